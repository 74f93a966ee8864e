//! Where the programs are that the tests need; `tools/setup` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
#[must_use]
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// The path of a program: what `tools/setup` put into `.cache`, else what `PATH` has.
///
/// A test whose program is missing fails: it would prove nothing if it passed.
#[must_use]
pub fn find(name: &str) -> PathBuf {
    let cache = root().join(".cache");
    let path = std::env::var_os("PATH").unwrap_or_default();
    [cache.join("bin"), cache.join("venv/bin"), cache.join("cargo/bin")]
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run tools/setup (or tools/setup-more)"))
}

/// The `wharf` program under test: `WHARF_BIN`, else the one beside this program or test in the target directory.
#[must_use]
pub fn wharf() -> PathBuf {
    if let Some(path) = std::env::var_os("WHARF_BIN") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().unwrap_or_else(|error| panic!("the own path: {error}"));
    // Programs lie in the directory of the profile, tests in `deps` below it.
    let found = own.ancestors().skip(1).take(2).map(|directory| directory.join("wharf")).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no wharf near {}: build it with the same profile first", own.display()))
}

/// A command of a `wharf` program for which its configuration file says all: the tests' own settings are none of it.
#[must_use]
pub fn wharf_command(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if ["WHARF_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// A command that is given to another program, with its environment and its directory.
#[must_use]
pub fn within(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer
}

/// Runs a command to its end and answers what it printed; panics with everything it said when it fails.
pub fn run(command: &mut Command) -> String {
    let (success, output) = attempt(command);
    assert!(success, "failed: {command:?}\n{output}");
    output
}

/// Runs a command to its end and answers whether it succeeded, and its standard output (with its standard error where it
/// failed).
///
/// A client that hangs is ended after five minutes.
pub fn attempt(command: &mut Command) -> (bool, String) {
    let output = within("timeout", &["--kill-after=10", "300"], command)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), text)
}
