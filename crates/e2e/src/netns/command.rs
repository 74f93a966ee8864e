//! The programs that make networks.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::tools;

/// Panics, and says what is missing, where networks cannot be made: a test that could not run has not passed.
pub(super) fn require() {
    assert!(rustix::process::geteuid().is_root(), "hosts of their own are network namespaces, which needs root");
    for program in ["ip", "tc", "nft"] {
        let _ = tools::find(program);
    }
}

/// Runs `ip`.
pub(super) fn ip(line: &str) -> String {
    tools::run(Command::new(tools::find("ip")).args(line.split_whitespace()))
}

/// Runs `ip` and does not mind if it fails.
pub(super) fn try_ip(line: &str) {
    let _ = tools::attempt(Command::new(tools::find("ip")).args(line.split_whitespace()));
}

/// Runs `tc`.
pub(super) fn tc(line: &str) {
    tools::run(Command::new(tools::find("tc")).args(line.split_whitespace()));
}

/// Has `nft` do these commands in a namespace.
pub(super) fn nft(namespace: &str, commands: &str) -> String {
    let mut command = Command::new(tools::find("ip"));
    command.args(["netns", "exec", namespace]).arg(tools::find("nft")).args(["-f", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("nft: {error}"));
    if let Some(mut input) = child.stdin.take() {
        // What it did not read it will complain about.
        let _ = input.write_all(commands.as_bytes());
    }
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("nft: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nft in {namespace}: {errors}\n{commands}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
