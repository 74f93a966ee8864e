//! What is in `deploy/` works as it lies there: the cluster of one command, and the configurations of the balancers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use wharf_e2e::lab::Lab;
use wharf_e2e::ports::Port;
use wharf_e2e::{tools, wait};

/// `deploy/try-cluster`: serves through all three replicas, survives the death of one, and leaves nothing behind.
#[tokio::test]
async fn one_command_makes_a_cluster() {
    let lab = Lab::new("try-cluster");
    let port = Port::claim().number();
    let log = lab.log("try-cluster");
    let mut command = Command::new(tools::root().join("deploy/try-cluster"));
    command.arg(port.to_string()).env("WHARF_BIN", tools::wharf()).env("TMPDIR", lab.directory("tmp"));
    let output = std::fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let mut cluster = Cluster(command.spawn().unwrap());
    let text = || std::fs::read_to_string(&log).unwrap();
    wait::until("the cluster says that it serves", wait::START, async || {
        assert!(cluster.0.try_wait().unwrap().is_none(), "{}", text());
        text().contains("Ctrl-C ends it all")
    })
    .await;

    let image = lab.file("file", "content");
    let archive = lab.directory("image").join("image.tar");
    let mut make = Command::new(tools::root().join("tools/oci-image"));
    make.arg("--output").arg(&archive).args(["--name", "try:1", "--file"]).arg(format!("{}=/file", image.display()));
    tools::run(make.args(["--", "/file"]));
    let name = format!("docker://127.0.0.1:{port}/try");
    let push = |tag: &str| {
        let mut skopeo = Command::new(tools::find("skopeo"));
        skopeo.args(["copy", "--retry-times=3", "--dest-tls-verify=false"]);
        tools::run(skopeo.arg(format!("oci-archive:{}", archive.display())).arg(format!("{name}:{tag}")));
    };
    push("1");
    let printed = text();
    let kill = printed.lines().find(|line| line.starts_with("Kill a replica:")).unwrap();
    let victim: Vec<_> = kill.split_whitespace().skip(3).take(3).collect();
    assert_eq!(victim[..2], ["kill", "-9"], "{kill}");
    tools::run(Command::new("kill").args(&victim[1..]));
    push("2");
    let mut inspect = Command::new(tools::find("skopeo"));
    inspect.args(["inspect", "--tls-verify=false", "--format={{.Digest}}"]);
    let one = tools::run(inspect.arg(format!("{name}:1")));
    assert!(one.starts_with("sha256:"), "{one}");

    // As Ctrl-C does, except that a test that itself runs in the background would pass a deaf ear for that on.
    tools::run(Command::new("kill").args(["-TERM", &cluster.0.id().to_string()]));
    wait::until("the cluster has ended", wait::START, async || cluster.0.try_wait().unwrap().is_some()).await;
    assert!(text().trim_end().ends_with("ended"), "{}", text());
    let left: Vec<_> = std::fs::read_dir(lab.directory("tmp")).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The configurations are accepted by the programs that they are for.
#[tokio::test]
async fn balancers_accept_their_configurations() {
    let deploy = tools::root().join("deploy");
    let lab = Lab::new("balancers");
    // What a machine has where HAProxy and a certificate are installed.
    for (file, plain) in [("haproxy.cfg", true), ("haproxy.cfg", false), ("passthrough.cfg", false)] {
        let text = std::fs::read_to_string(deploy.join("haproxy").join(file)).unwrap();
        let text = text.replace("/etc/haproxy/certs/", &certificate(&lab).display().to_string());
        let config = lab.file(file, &text);
        let mut check = Command::new(tools::find("haproxy"));
        check.args(["-c", "-f"]).arg(&config);
        if plain {
            check.env("REGISTRY_BIND", "127.0.0.1:1");
        }
        tools::run(&mut check);
    }

    let text = std::fs::read_to_string(deploy.join("nginx/wharf.conf")).unwrap();
    let text = text.replace("/etc/nginx/certs", &lab.directory("tls").display().to_string());
    let site =
        lab.file("wharf.conf", &text.replace("registry.key", "key.pem").replace("registry.pem", "certificate.pem"));
    let pid = lab.path().join("pid");
    let whole =
        format!("events {{}}\npid {};\nerror_log stderr;\nhttp {{ include {}; }}\n", pid.display(), site.display());
    let config = lab.file("nginx.conf", &whole);
    tools::run(Command::new(tools::find("nginx")).arg("-t").arg("-c").arg(&config));
}

/// A key with its certificate in one file, as HAProxy reads them.
fn certificate(lab: &Lab) -> std::path::PathBuf {
    let (key, certificate) = (lab.directory("tls").join("key.pem"), lab.directory("tls").join("certificate.pem"));
    let mut openssl = Command::new(tools::find("openssl"));
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=registry.test", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    tools::run(&mut openssl);
    let both = std::fs::read_to_string(&key).unwrap() + &std::fs::read_to_string(&certificate).unwrap();
    lab.file("registry.pem", &both)
}

/// The script's process, ended with the test.
struct Cluster(std::process::Child);

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = tools::attempt(Command::new("kill").arg(self.0.id().to_string()));
            let _ = self.0.wait();
        }
    }
}
