//! HAProxy: each request to the next replica.

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

/// Names the replica that answered, in each answer that passed the balancer.
pub const SERVED_BY: &str = "x-served-by";

/// The header by which the balancer names each request that it passes on, and how the name begins.
pub const REQUEST_ID: &str = "x-request-id";
/// See [`REQUEST_ID`].
pub const SEEN: &str = "haproxy-";

/// A running balancer without stickiness.
#[derive(Debug)]
pub struct Balancer {
    _process: Process,
    port: Port,
}

impl Balancer {
    /// Starts it in front of `host:port`s, which it calls `r0`, `r1` and so on, and waits until it has seen all of them
    /// ready.
    pub async fn start(lab: &Lab, replicas: &[String]) -> Self {
        let port = lab.place().port();
        let config = lab.file("haproxy.cfg", &configuration(&port.address(), replicas));
        let mut command = Command::new(tools::find("haproxy"));
        command.arg("-db").arg("-f").arg(&config);
        Self::run(lab, &command, port, replicas.len()).await
    }

    /// Starts it in front of `host:port`s as `deploy/haproxy/haproxy.cfg` says, which has three.
    pub async fn shipped(lab: &Lab, replicas: &[String]) -> Self {
        let (port, statistics) = (lab.place().port(), lab.place().port());
        let mut command = Command::new(tools::find("haproxy"));
        command
            .arg("-db")
            .arg("-f")
            .arg(lab.file(&format!("haproxy-{}.cfg", port.number()), &shipped_configuration(replicas.len())));
        command.env("REGISTRY_BIND", port.address()).env("REGISTRY_STATS", statistics.address());
        for (index, replica) in replicas.iter().enumerate() {
            command.env(format!("REPLICA_{}", index + 1), replica);
        }
        Self::run(lab, &command, port, replicas.len()).await
    }

    async fn run(lab: &Lab, command: &Command, port: Port, replicas: usize) -> Self {
        let process = Process::start("HAProxy", &lab.place().command(command), &lab.log("haproxy"));
        let mut balancer = Self { _process: process, port };

        let probe = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap_or_else(|error| panic!("HTTP client: {error}"));
        let url = format!("http://{}/v2/", balancer.address());
        let mut seen = std::collections::BTreeSet::new();
        wait::until("HAProxy serves from every replica", wait::START, async || {
            balancer._process.assert_alive();
            if let Ok(answer) = probe.get(&url).send().await
                && let Some(name) = answer.headers().get(SERVED_BY)
            {
                seen.insert(name.as_bytes().to_owned());
            }
            seen.len() == replicas
        })
        .await;
        balancer
    }

    /// Its `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }
}

/// What lies in `deploy`, with a line for each of so many replicas in place of its three.
fn shipped_configuration(replicas: usize) -> String {
    let path = tools::root().join("deploy/haproxy/haproxy.cfg");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_replica = |line: &&str| line.trim_start().starts_with("server r");
    let pattern = text.lines().rfind(is_replica).unwrap_or_else(|| panic!("{} has no servers", path.display()));
    assert!(pattern.contains("r3 ") && pattern.contains("REPLICA_3"), "{}: {pattern}", path.display());
    let mut left = Some(replicas);
    let mut lines = Vec::new();
    for line in text.lines() {
        if !is_replica(&line) {
            lines.push(line.to_owned());
        } else if let Some(replicas) = left.take() {
            let of = |number: usize| {
                pattern.replace("r3 ", &format!("r{number} ")).replace("REPLICA_3", &format!("REPLICA_{number}"))
            };
            lines.extend((1..=replicas).map(of));
        }
    }
    lines.join("\n") + "\n"
}

/// In HTTP mode HAProxy chooses a server for each request, also for requests of one client connection, as long as
/// nothing asks for stickiness (`prefer-last-server`, cookies, a hashing algorithm).
fn configuration(address: &str, replicas: &[String]) -> String {
    let mut text = format!(
        "global
    maxconn 4096
    nbthread 1
defaults
    mode http
    balance roundrobin
    no option prefer-last-server
    option redispatch 1
    retries 3
    option httpchk GET {}
    default-server check inter 200ms fastinter 100ms downinter 100ms fall 1 rise 1
    timeout connect 2s
    timeout client 300s
    timeout server 300s
    timeout check 5s
frontend registry
    bind {address}
    option forwardfor
    http-request set-header {REQUEST_ID} {SEEN}%[uuid()]
    default_backend replicas
backend replicas
    http-response set-header {SERVED_BY} %s
",
        crate::replica::ready_path(),
    );
    for (index, replica) in replicas.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    server r{index} {replica}");
    }
    text
}
