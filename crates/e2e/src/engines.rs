//! Container engines of the test's own, apart from any that the machine runs.

use std::path::PathBuf;
use std::process::Command;

use crate::lab::Lab;
use crate::process::Process;
use crate::{tools, wait};

/// A Docker engine with its own socket and data.
#[derive(Debug)]
pub struct Docker {
    process: Process,
    host: String,
    config: PathBuf,
}

impl Docker {
    /// Starts it without a network: it only moves images.
    pub async fn start(lab: &Lab) -> Self {
        let directory = lab.directory("docker");
        let host = format!("unix://{}/socket", directory.display());
        // The engine mounts its data on itself; in a namespace of its own that goes with it, however it ends.
        let mut command = Command::new(tools::find("unshare"));
        command
            .args(["--mount", "--propagation=private", "--"])
            .arg(tools::find("dockerd"))
            .args(["--host", &host])
            .args(["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"])
            .args(["--storage-driver=vfs", "--exec-opt=native.cgroupdriver=cgroupfs"])
            .arg(format!("--data-root={}", directory.join("data").display()))
            .arg(format!("--exec-root={}", directory.join("exec").display()))
            .arg(format!("--pidfile={}", directory.join("pid").display()))
            .arg(format!("--config-file={}", lab.file("dockerd.json", "{}").display()));
        let process = Process::start("dockerd", &command, &lab.log("dockerd"));
        let mut docker = Self { process, host, config: lab.directory("docker-client") };
        wait::until("the Docker engine answers", wait::START, async || {
            docker.process.assert_alive();
            tools::attempt(docker.command().arg("version")).0
        })
        .await;
        docker
    }

    /// The `docker` client of this engine.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(tools::find("docker"));
        command.arg("--config").arg(&self.config).args(["--host", &self.host]);
        command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
        command
    }
}

/// A containerd with its own socket and data.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
    socket: PathBuf,
}

impl Containerd {
    /// Starts it.
    pub async fn start(lab: &Lab) -> Self {
        let directory = lab.directory("containerd");
        let socket = directory.join("socket");
        let config = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{0}/socket\"\n[ttrpc]\naddress = \"{0}/socket.ttrpc\"\n",
            directory.display()
        );
        let mut command = Command::new(tools::find("containerd"));
        command.arg("--config").arg(lab.file("containerd.toml", &config));
        let process = Process::start("containerd", &command, &lab.log("containerd"));
        let mut containerd = Self { process, socket };
        wait::until("containerd answers", wait::START, async || {
            containerd.process.assert_alive();
            tools::attempt(containerd.command().arg("version")).0
        })
        .await;
        containerd
    }

    /// The `ctr` client of this containerd.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(tools::find("ctr"));
        command.arg("--address").arg(&self.socket);
        command
    }
}
