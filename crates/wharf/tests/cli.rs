//! Drives the commands as a person would.

use std::process::{Command, Output};

fn wharf(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.env_clear().envs(variables.iter().copied()).args(arguments);
    command.output().expect("wharf runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn version_names_the_specification() {
    let output = wharf(&["version"], &[]);
    assert!(output.status.success());
    assert!(stdout(&output).starts_with(concat!("wharf ", env!("CARGO_PKG_VERSION"), " (distribution-spec 1.1.1)")));
}

#[test]
fn every_command_has_examples() {
    for command in ["serve", "verify", "doctor", "fsck", "gc", "completions"] {
        let output = wharf(&[command, "--help"], &[]);
        assert!(stdout(&output).contains(&format!("Examples:\n  wharf {command}")), "{command}");
    }
}

#[test]
fn completions_for_every_usual_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = wharf(&["completions", shell], &[]);
        assert!(output.status.success() && stdout(&output).contains("doctor"), "{shell}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for command in ["serve", "verify", "doctor"] {
        let output = wharf(&[command, "/nowhere/config.json"], &[]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = stderr(&output);
        assert!(text.starts_with("/nowhere/config.json: refused, 1 problem\n  (file): cannot be read"), "{text}");
    }
}

#[test]
fn the_file_may_come_from_the_environment() {
    let output = wharf(&["verify"], &[("WHARF_CONFIG", "/nowhere/config.json")]);
    assert!(stderr(&output).starts_with("/nowhere/config.json: refused"));
    let output = wharf(&["verify"], &[("WHARF_CONFIG", ""), ("XDG_DATA_HOME", "/data")]);
    assert!(stdout(&output).starts_with("defaults: accepted. In effect:\n"), "{}", stderr(&output));
}

#[test]
fn a_log_that_cannot_be_written_refuses_the_start() {
    let variables = [("XDG_DATA_HOME", "/data"), ("WHARF_LOG_OUTPUT", "/nowhere/wharf.log")];
    let output = wharf(&["serve"], &variables);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("log.output: /nowhere/wharf.log cannot be opened for appending"));
}
