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
        let port = Port::claim();
        let config = lab.file("haproxy.cfg", &configuration(&port.address(), replicas));
        let mut command = Command::new(tools::find("haproxy"));
        command.arg("-db").arg("-f").arg(&config);
        Self::run(lab, &command, port, replicas.len()).await
    }

    /// Starts it in front of three `host:port`s as `deploy/haproxy/haproxy.cfg` says.
    pub async fn shipped(lab: &Lab, replicas: &[String]) -> Self {
        let (port, statistics) = (Port::claim(), Port::claim());
        let mut command = Command::new(tools::find("haproxy"));
        command.arg("-db").arg("-f").arg(tools::root().join("deploy/haproxy/haproxy.cfg"));
        command.env("REGISTRY_BIND", port.address()).env("REGISTRY_STATS", statistics.address());
        for (index, replica) in replicas.iter().enumerate() {
            command.env(format!("REPLICA_{}", index + 1), replica);
        }
        Self::run(lab, &command, port, replicas.len()).await
    }

    async fn run(lab: &Lab, command: &Command, port: Port, replicas: usize) -> Self {
        let process = Process::start("HAProxy", command, &lab.log("haproxy"));
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
