//! SeaweedFS: a real S3 store on loopback.

use std::process::Command;

use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::{tools, wait};

const BUCKET: &str = "wharf";
const ACCESS_KEY: &str = "wharf";
const SECRET_KEY: &str = "wharf-secret";

/// A running store with one empty bucket.
#[derive(Debug)]
pub struct Seaweed {
    process: Process,
    s3: Port,
    others: Vec<(&'static str, Port)>,
}

/// Where a replica finds a bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `host:port` of the S3 API.
    pub endpoint: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Access key id.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl Seaweed {
    /// Starts the store and creates the bucket.
    pub async fn start(lab: &Lab) -> Self {
        let directory = lab.directory("seaweed");
        let identities = serde_json::json!({"identities": [{
            "name": "wharf",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        let identities = lab.file("seaweed-s3.json", &identities.to_string());

        let s3 = Port::claim();
        let mut command = Command::new(tools::find("weed"));
        command
            .args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
            // Volumes are made as they are needed; the limit keeps the disk of a test small.
            .args(["-volume.max=0", "-master.volumeSizeLimitMB=1024", "-master.electionTimeout=1s"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-dir={}", directory.display()))
            .arg(format!("-filer.localSocket={}/filer.sock", directory.display()))
            .arg(format!("-s3.localSocket={}/s3.sock", directory.display()))
            .arg(format!("-s3.config={}", identities.display()))
            .arg(format!("-s3.port={}", s3.number()));
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
        .map(|flag| (flag, Port::claim()))
        .collect();
        command.args(others.iter().map(|(flag, port)| format!("-{flag}={}", port.number())));

        let process = Process::start("SeaweedFS", &command, &lab.log("seaweed"));
        let mut store = Self { process, s3, others };
        wait::until("SeaweedFS makes a bucket", wait::START, async || {
            store.process.assert_alive();
            store.request("PUT", BUCKET)
        })
        .await;
        // The first object makes the first volume, which takes a moment.
        let probe = format!("{BUCKET}/probe");
        wait::until("SeaweedFS stores an object", wait::START, async || store.request("PUT", &probe)).await;
        assert!(store.request("DELETE", &probe), "SeaweedFS cannot delete");
        store
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
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        }
    }

    /// Puts an object without bytes into the bucket, past every replica; whether that succeeded.
    #[must_use]
    pub fn put_empty(&self, key: &str) -> bool {
        self.request("PUT", &format!("{BUCKET}/{key}"))
    }

    /// `host:port` of the S3 API.
    #[must_use]
    pub fn address(&self) -> String {
        self.s3.address()
    }

    /// A signed request without a body; whether it succeeded.
    fn request(&self, method: &str, path: &str) -> bool {
        let mut command = Command::new(tools::find("curl"));
        command
            .args(["--silent", "--fail", "--max-time", "10", "--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")])
            .args(["--request", method, &format!("http://{}/{path}", self.address())]);
        tools::attempt(&mut command).0
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.process.kill();
        // Each part listens on a socket file too, whose path cannot be chosen.
        for (flag, port) in &self.others {
            let part = flag.replace(".port.grpc", "-grpc");
            let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{part}-{}.sock", port.number()));
        }
    }
}
