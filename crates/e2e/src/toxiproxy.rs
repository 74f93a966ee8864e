//! toxiproxy: a bad network between two parts.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

const PROXY: &str = "store";

/// A running proxy that does no harm until it is told to.
#[derive(Debug)]
pub struct Toxiproxy {
    _process: Process,
    api: Port,
    port: Port,
    http: reqwest::Client,
}

/// One way in which the network is bad, in one direction, for a share of the connections.
#[derive(Clone, Debug)]
pub struct Toxic {
    kind: &'static str,
    stream: &'static str,
    share: f64,
    attributes: Value,
}

impl Toxic {
    /// Answers come late, by a time that differs.
    #[must_use]
    pub fn latency(milliseconds: u64, jitter: u64) -> Self {
        Self::new("latency", "downstream", 1.0, json!({"latency": milliseconds, "jitter": jitter}))
    }

    /// Connections are reset.
    #[must_use]
    pub fn reset(share: f64, after_milliseconds: u64) -> Self {
        Self::new("reset_peer", "downstream", share, json!({"timeout": after_milliseconds}))
    }

    /// Nothing comes back, and the connection stays open.
    #[must_use]
    pub fn half_open(share: f64) -> Self {
        Self::new("timeout", "downstream", share, json!({"timeout": 0}))
    }

    /// Requests take effect, but their answers do not come: the connection is closed instead.
    #[must_use]
    pub fn answers_lost(share: f64, after_milliseconds: u64) -> Self {
        Self::new("timeout", "downstream", share, json!({"timeout": after_milliseconds}))
    }

    /// Answers end after so many bytes of a connection.
    #[must_use]
    pub fn cut_short(share: f64, bytes: u64) -> Self {
        Self::new("limit_data", "downstream", share, json!({"bytes": bytes}))
    }

    /// So many kilobytes a second in one direction.
    #[must_use]
    pub fn slow(stream: &'static str, kilobytes: u64) -> Self {
        Self::new("bandwidth", stream, 1.0, json!({"rate": kilobytes}))
    }

    const fn new(kind: &'static str, stream: &'static str, share: f64, attributes: Value) -> Self {
        Self { kind, stream, share, attributes }
    }
}

impl Toxiproxy {
    /// Starts it in front of `upstream`.
    pub async fn start(lab: &Lab, upstream: &str) -> Self {
        let place = lab.place();
        let (api, port) = (place.port(), place.port());
        let mut command = Command::new(tools::find("toxiproxy"));
        command.args(["-host", &place.address().to_string(), "-port", &api.number().to_string()]);
        let mut process = Process::start("toxiproxy", &place.command(&command), &lab.log("toxiproxy"));
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap_or_else(|error| panic!("HTTP client: {error}"));
        let url = format!("http://{}/version", api.address());
        wait::until("toxiproxy answers", wait::START, async || {
            process.assert_alive();
            http.get(&url).send().await.is_ok()
        })
        .await;
        let proxy = Self { _process: process, api, port, http };
        let settings = json!({"name": PROXY, "listen": proxy.address(), "upstream": upstream, "enabled": true});
        proxy.ask(Method::POST, "/proxies", &settings).await;
        proxy
    }

    /// Its own `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Makes the network bad in these ways.
    pub async fn add(&self, toxics: &[Toxic]) {
        for (number, toxic) in toxics.iter().enumerate() {
            let settings = json!({
                "name": number.to_string(),
                "type": toxic.kind,
                "stream": toxic.stream,
                "toxicity": toxic.share,
                "attributes": toxic.attributes,
            });
            self.ask(Method::POST, &format!("/proxies/{PROXY}/toxics"), &settings).await;
        }
    }

    /// Makes the network good again.
    pub async fn heal(&self) {
        self.ask(Method::POST, "/reset", &json!({})).await;
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) {
        let request = self.http.request(method, format!("http://{}{path}", self.api.address())).body(body.to_string());
        let answer = request.send().await.unwrap_or_else(|error| panic!("toxiproxy, {path}: {error}"));
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "toxiproxy, {path}: {status}: {text}");
    }
}
