//! The S3 servers that a test can run over, each killed and started again like the others.

use std::path::PathBuf;
use std::process::Command;

use crate::bucket::Bucket;
use crate::lab::Lab;
use crate::ports::Port;
use crate::process::Process;
use crate::seaweed::Seaweed;
use crate::{tools, wait};

const BUCKET: &str = "wharf";
const REGION: &str = "us-east-1";
/// In the form that Garage wants.
const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A running S3 server with one empty bucket.
#[derive(Debug)]
pub enum Server {
    /// SeaweedFS.
    Seaweed(Box<Seaweed>),
    /// A server that is one program with one port and one directory.
    Simple(Box<Simple>),
}

/// See [`Server::Simple`].
#[derive(Debug)]
pub struct Simple {
    name: &'static str,
    process: Process,
    command: Command,
    log: PathBuf,
    port: Port,
    _other: Port,
}

impl Server {
    /// Starts the server of this name: `seaweedfs`, `versitygw`, `minio`, or `garage`, which has no conditional writes.
    ///
    /// # Panics
    /// For another name.
    pub async fn start(lab: &Lab, name: &str) -> Self {
        match name {
            "seaweedfs" => Self::Seaweed(Box::new(Seaweed::start(lab).await)),
            "versitygw" => Self::Simple(Box::new(Simple::start(lab, "versitygw", versitygw).await)),
            "minio" => Self::Simple(Box::new(Simple::start(lab, "minio", minio).await)),
            "garage" => Self::Simple(Box::new(Simple::start(lab, "garage", garage).await)),
            other => panic!("{other}: seaweedfs, versitygw, minio or garage"),
        }
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        match self {
            Self::Seaweed(server) => server.bucket(),
            Self::Simple(server) => server.bucket(),
        }
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        match self {
            Self::Seaweed(server) => server.kill(),
            Self::Simple(server) => server.process.kill(),
        }
    }

    /// Starts it again over what it had stored, and waits until it takes objects.
    pub async fn restart(&mut self) {
        match self {
            Self::Seaweed(server) => server.restart().await,
            Self::Simple(server) => {
                server.process = Process::start(server.name, &server.command, &server.log);
                server.works(Bucket::stores).await;
            }
        }
    }
}

impl Simple {
    async fn start(lab: &Lab, name: &'static str, command: impl Fn(&Lab, &Port, &Port) -> Command) -> Self {
        let (port, other) = (Port::claim(), Port::claim());
        let (command, log) = (command(lab, &port, &other), lab.log(name));
        let process = Process::start(name, &command, &log);
        let mut server = Self { name, process, command, log, port, _other: other };
        // One makes its bucket by itself.
        server.works(|bucket| bucket.stores() || bucket.create()).await;
        server.works(Bucket::stores).await;
        server
    }

    fn bucket(&self) -> Bucket {
        Bucket {
            endpoint: self.port.address(),
            bucket: BUCKET.to_owned(),
            region: REGION.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
        }
    }

    async fn works(&mut self, done: impl Fn(&Bucket) -> bool) {
        let bucket = self.bucket();
        wait::until(&format!("{} works", self.name), wait::START, async || {
            self.process.assert_alive();
            done(&bucket)
        })
        .await;
    }
}

fn versitygw(lab: &Lab, port: &Port, _other: &Port) -> Command {
    let mut command = Command::new(tools::find("versitygw"));
    command
        .args(["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--region", REGION, "--port", &port.address()])
        .arg("posix")
        .arg(lab.directory("versitygw"));
    command
}

fn minio(lab: &Lab, port: &Port, _other: &Port) -> Command {
    let mut command = Command::new(tools::find("minio"));
    command
        .env("MINIO_ROOT_USER", ACCESS_KEY)
        .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
        .env("MINIO_BROWSER", "off")
        .args(["server", "--quiet", "--address", &port.address()])
        .arg(lab.directory("minio"));
    command
}

fn garage(lab: &Lab, port: &Port, other: &Port) -> Command {
    let config = format!(
        "metadata_dir = '{}'
data_dir = '{}'
db_engine = 'sqlite'
replication_factor = 1
rpc_bind_addr = '{rpc}'
rpc_public_addr = '{rpc}'
rpc_secret = '{SECRET_KEY}'
[s3_api]
s3_region = '{REGION}'
api_bind_addr = '{}'
",
        lab.directory("garage-metadata").display(),
        lab.directory("garage-data").display(),
        port.address(),
        rpc = other.address(),
    );
    let mut command = Command::new(tools::find("garage"));
    command
        .env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY)
        .env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY)
        .env("GARAGE_DEFAULT_BUCKET", BUCKET)
        .arg("--config")
        .arg(lab.file("garage.toml", &config))
        .args(["server", "--single-node", "--default-bucket"]);
    command
}
