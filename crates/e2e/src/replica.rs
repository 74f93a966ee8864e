//! One `wharf` process.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bucket::Bucket;
use crate::lab::Lab;
use crate::place::Place;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

/// Where a replica keeps its registry.
#[derive(Clone, Debug)]
pub enum Storage {
    /// A directory.
    Local(PathBuf),
    /// A bucket.
    S3(Bucket),
}

impl Storage {
    /// The `storage` section of a configuration file.
    fn section(&self, scratch: &std::path::Path) -> Value {
        match self {
            Self::Local(directory) => json!({"rootDirectory": directory}),
            Self::S3(bucket) => json!({
                "rootDirectory": scratch,
                "storageDriver": driver(bucket),
            }),
        }
    }
}

/// The `storageDriver` of a configuration that keeps everything in a bucket.
#[must_use]
pub fn driver(bucket: &Bucket) -> Value {
    let mut driver = bucket.settings();
    driver["name"] = "s3".into();
    driver
}

/// A `wharf` process that can be killed and started again on the same port.
#[derive(Debug)]
pub struct Replica {
    name: String,
    process: Process,
    place: Place,
    port: Port,
    config: PathBuf,
    log: PathBuf,
    probe: reqwest::Client,
    scheme: &'static str,
}

impl Replica {
    /// Writes its configuration, starts it and waits until it is ready.
    pub async fn start(lab: &Lab, name: &str, storage: &Storage) -> Self {
        Self::configured(lab, name, storage, &Value::Null).await
    }

    /// The same with more keys, which go over its own.
    pub async fn configured(lab: &Lab, name: &str, storage: &Storage, more: &Value) -> Self {
        let (place, port) = (lab.place().clone(), lab.place().port());
        let config = configuration(lab, name, &port, storage, more);
        let scheme = if config["http"]["tls"].is_null() { "http" } else { "https" };
        let config = lab.file(&format!("{name}.json"), &format!("{config:#}"));
        let log = lab.log(name);
        let probe = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap_or_else(|error| panic!("HTTP client: {error}"));
        let process = launch(name, &place, &config, &log);
        let mut replica = Self { name: name.to_owned(), process, place, port, config, log, probe, scheme };
        replica.ready().await;
        replica
    }

    /// Starts one that has to refuse to serve, and answers what it said.
    pub async fn refused(lab: &Lab, name: &str, storage: &Storage, settings: &Value) -> String {
        let config = configuration(lab, name, &lab.place().port(), storage, settings);
        let config = lab.file(&format!("{name}.json"), &format!("{config:#}"));
        let mut process = launch(name, lab.place(), &config, &lab.log(name));
        let status = process.ended(wait::START).await;
        assert!(!status.success(), "{name} ended with {status}");
        process.output()
    }

    /// Its `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after it has ended, waits until it is ready, and answers how long that took.
    pub async fn restart(&mut self) -> Duration {
        assert!(!self.process.is_alive(), "{} still runs", self.name);
        self.process = launch(&self.name, &self.place, &self.config, &self.log);
        self.ready().await
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) {
        self.process.hang_up();
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &std::path::Path {
        &self.config
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        self.process.ended(limit).await
    }

    /// Panics, with its log, if it has ended.
    pub fn assert_alive(&mut self) {
        self.process.assert_alive();
    }

    /// Its process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What it has had of the processors so far.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        self.process.processor_time()
    }

    /// The peak of its resident memory so far, in bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.process.peak_memory()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The status of `/readyz`, if it answers.
    pub async fn readiness(&self) -> Option<u16> {
        self.health(&ready_path()).await
    }

    /// The status of `/livez`, if it answers.
    pub async fn liveness(&self) -> Option<u16> {
        self.health("/livez").await
    }

    async fn health(&self, path: &str) -> Option<u16> {
        let url = format!("{}://{}{path}", self.scheme, self.address());
        self.probe.get(&url).send().await.ok().map(|answer| answer.status().as_u16())
    }

    async fn ready(&mut self) -> Duration {
        wait::until(&format!("{} is ready", self.name), wait::START, async || {
            self.process.assert_alive();
            self.readiness().await == Some(200)
        })
        .await
    }
}

/// Where a replica says whether it is ready.
#[must_use]
pub fn ready_path() -> String {
    std::env::var("WHARF_E2E_READY").unwrap_or_else(|_| "/readyz".to_owned())
}

fn configuration(lab: &Lab, name: &str, port: &Port, storage: &Storage, more: &Value) -> Value {
    let scratch = lab.path().join(format!("{name}-scratch"));
    let mut config = json!({
        "storage": storage.section(&scratch),
        "http": {"address": port.ip(), "port": port.number().to_string()},
        "log": {"level": "info"},
    });
    merge(&mut config, more);
    config
}

/// Puts the keys of `more` over those of a configuration.
pub fn merge(config: &mut Value, more: &Value) {
    match (config, more) {
        (Value::Object(config), Value::Object(more)) => {
            for (key, value) in more {
                merge(config.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (config, more) => *config = more.clone(),
    }
}

fn launch(name: &str, place: &Place, config: &std::path::Path, log: &std::path::Path) -> Process {
    let mut command = tools::wharf_command(tools::wharf());
    command.arg("serve").arg(config);
    Process::start(name, &place.command(&command), log)
}
