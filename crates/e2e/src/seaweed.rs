//! SeaweedFS: a real S3 store.

use std::path::PathBuf;
use std::process::Command;

use crate::bucket::Bucket;
use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

const NAME: &str = "SeaweedFS";
const BUCKET: &str = "wharf";
const ACCESS_KEY: &str = "wharf";
const SECRET_KEY: &str = "wharf-secret";

/// A running store with one empty bucket.
#[derive(Debug)]
pub struct Seaweed {
    process: Process,
    command: Command,
    log: PathBuf,
    s3: Port,
    others: Vec<(&'static str, Port)>,
}

impl Seaweed {
    /// Starts the store and creates the bucket.
    pub async fn start(lab: &Lab) -> Self {
        Self::start_for(lab, true).await
    }

    /// As [`Seaweed::start`], but it serves whoever asks, whatever the signature.
    pub async fn start_open(lab: &Lab) -> Self {
        Self::start_for(lab, false).await
    }

    async fn start_for(lab: &Lab, asks_for_keys: bool) -> Self {
        let directory = lab.directory("seaweed");
        let identities = serde_json::json!({"identities": [{
            "name": "wharf",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        let identities = lab.file("seaweed-s3.json", &identities.to_string());

        let place = lab.place();
        let (s3, address) = (place.port(), place.address());
        let mut command = Command::new(tools::find("weed"));
        command
            .args(["-logtostderr=true", "server", "-filer", "-s3"])
            .args([format!("-ip={address}"), format!("-ip.bind={address}")])
            // Volumes are made as they are needed; the limit keeps the disk of a test small.
            .args(["-volume.max=0", "-master.volumeSizeLimitMB=1024", "-master.electionTimeout=1s"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-dir={}", directory.display()))
            .arg(format!("-filer.localSocket={}/filer.sock", directory.display()))
            .arg(format!("-s3.localSocket={}/s3.sock", directory.display()))
            .arg(format!("-s3.port={}", s3.number()));
        if asks_for_keys {
            command.arg(format!("-s3.config={}", identities.display()));
        }
        let others: Vec<_> = [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
        ]
        .into_iter()
        .map(|flag| (flag, place.port()))
        .collect();
        command.args(others.iter().map(|(flag, port)| format!("-{flag}={}", port.number())));

        let (command, log) = (place.command(&command), lab.log("seaweed"));
        let process = Process::start(NAME, &command, &log);
        let mut store = Self { process, command, log, s3, others };
        let bucket = store.bucket();
        wait::until("SeaweedFS makes a bucket", wait::START, async || {
            store.process.assert_alive();
            bucket.create()
        })
        .await;
        // The first object makes the first volume, which takes a moment.
        store.works().await;
        store
    }

    /// Kills it (SIGKILL), all its parts at once.
    pub fn kill(&mut self) {
        self.process.kill();
        self.remove_sockets();
    }

    /// Starts it again over what it had stored, and waits until it takes objects.
    pub async fn restart(&mut self) {
        self.process = Process::start(NAME, &self.command, &self.log);
        self.works().await;
    }

    async fn works(&mut self) {
        let bucket = self.bucket();
        wait::until("SeaweedFS stores an object", wait::START, async || {
            self.process.assert_alive();
            bucket.stores()
        })
        .await;
    }

    /// The bucket, as a replica that talks to the store directly sees it.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.bucket_at(&self.address())
    }

    /// The bucket behind a proxy at `endpoint`.
    #[must_use]
    pub fn bucket_at(&self, endpoint: &str) -> Bucket {
        Bucket {
            endpoint: endpoint.to_owned(),
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        }
    }

    /// `host:port` of the S3 API.
    #[must_use]
    pub fn address(&self) -> String {
        self.s3.address()
    }

    /// Each part listens on a socket file too, whose path cannot be chosen.
    fn remove_sockets(&self) {
        for (flag, port) in &self.others {
            let part = flag.replace(".port.grpc", "-grpc");
            let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{part}-{}.sock", port.number()));
        }
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.kill();
    }
}
