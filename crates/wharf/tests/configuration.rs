//! Drives `wharf verify` over the files of `tests/config`.
//!
//! `bad/NAME.json` (or `.yaml`, `.toml`) must be refused with exactly the problems of `bad/NAME.expected`, one a line.
//! `good/NAME.json` must be accepted, and every line of `good/NAME.expected`, where there is one, must be printed.
//! Either may have a `NAME.env` with one `VARIABLE=value` a line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn files(folder: &str) -> BTreeSet<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let entries = fs::read_dir(folder).expect("the folder of fixtures");
    let files: BTreeSet<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.extension().is_some_and(|suffix| suffix == "expected" || suffix == "env"))
        .collect();
    assert!(files.len() > 10, "too few fixtures");
    files
}

fn beside(file: &Path, suffix: &str) -> Option<String> {
    fs::read_to_string(file.with_extension(suffix)).ok()
}

fn verify(file: &Path) -> Output {
    let variables = beside(file, "env").unwrap_or_default();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.env_clear().env("HOME", "/home/someone").envs(variables).arg("verify").arg(file);
    command.output().expect("wharf runs")
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_bad_configuration_is_refused_with_every_reason() {
    let mut failures = Vec::new();
    for file in files("bad") {
        let output = verify(&file);
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = beside(&file, "expected").unwrap_or_default();
        let problems = stderr.split_once('\n').map(|(_, problems)| problems).unwrap_or_default();
        if output.status.code() != Some(1) || lines(problems) != lines(&expected) || expected.is_empty() {
            failures.push(format!("{}: {}\n{stderr}", file.display(), output.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_good_configuration_is_accepted() {
    let mut failures = Vec::new();
    for file in files("good") {
        let output = verify(&file);
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let printed: Vec<String> =
            stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = beside(&file, "expected").unwrap_or_default();
        let missing: Vec<_> = lines(&expected).into_iter().filter(|line| !printed.iter().any(|p| p == line)).collect();
        if !output.status.success() || !missing.is_empty() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            failures.push(format!("{}: missing {missing:#?}\n{stdout}{stderr}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_secret_is_printed() {
    for file in files("good").into_iter().chain(files("bad")) {
        let output = verify(&file);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("s3cr3t"), "{}: {text}", file.display());
    }
}
