//! The clients that people have.

use std::path::Path;
use std::process::Command;

use wharf_e2e::engines::Docker;
use wharf_e2e::image::Image;
use wharf_e2e::registry::Cluster;
use wharf_e2e::{Lab, say, tools};

use super::{PASSWORD, WRONG, access, no_secret_in_logs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_log_in() {
    let lab = Lab::new("auth-clients");
    let cluster = Cluster::configured(&lab, 3, &access(&lab)).await;
    let address = cluster.balancer.address();
    docker(&lab, &address).await;
    podman(&lab, &address);
    skopeo(&lab, &address);
    no_secret_in_logs(&cluster.replicas, &[]);
}

async fn docker(lab: &Lab, address: &str) {
    let docker = Docker::start(lab).await;
    let archive = lab.path().join("docker.tar");
    std::fs::write(&archive, &Image::new(1, 1 << 20).layer).unwrap();
    let image = |name: &str| format!("{address}/{name}");
    for name in ["public/docker:v1", "team/docker:v1", "secret/docker:v1"] {
        tools::run(docker.command().arg("import").arg(&archive).arg(image(name)));
    }
    let attempt = |arguments: &[&str]| tools::attempt(docker.command().args(arguments));
    assert!(!attempt(&["push", &image("public/docker:v1")]).0, "nobody may not push");
    assert!(!attempt(&["login", "-u", "admin", "-p", WRONG, address]).0, "a wrong password");
    tools::run(docker.command().args(["login", "-u", "admin", "-p", PASSWORD, address]));
    for name in ["public/docker:v1", "team/docker:v1", "secret/docker:v1"] {
        tools::run(docker.command().args(["push", &image(name)]));
    }
    tools::run(docker.command().args(["logout", address]));
    let forget = |name: &str| tools::run(docker.command().args(["image", "rm", "--force", &image(name)]));
    for name in ["public/docker:v1", "team/docker:v1", "secret/docker:v1"] {
        forget(name);
    }
    tools::run(docker.command().args(["pull", &image("public/docker:v1")]));
    assert!(!attempt(&["pull", &image("team/docker:v1")]).0, "nobody may not pull this");
    tools::run(docker.command().args(["login", "-u", "reader", "-p", PASSWORD, address]));
    tools::run(docker.command().args(["pull", &image("team/docker:v1")]));
    let (pulled, output) = attempt(&["pull", &image("secret/docker:v1")]);
    assert!(!pulled && output.contains("denied"), "{output}");
    say!("docker: anonymous pull, login, push, pull, denial");
}

fn podman(lab: &Lab, address: &str) {
    let layout = layout(lab, "podman");
    let file = lab.path().join("podman.auth.json");
    let podman = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("podman"));
        let storage = lab.path().join("podman-storage");
        command.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments);
        tools::attempt(&mut command)
    };
    let file = format!("--authfile={}", file.display());
    let (done, id) = podman(&["pull", "--quiet", &format!("oci:{layout}:v1")]);
    assert!(done, "{id}");
    let id = id.trim();
    let target = format!("{address}/team/podman:v1");
    let login = |user: &str, password: &str| {
        podman(&["login", &file, "--tls-verify=false", "-u", user, "-p", password, address])
    };
    assert!(!login("writer", WRONG).0);
    assert!(login("writer", PASSWORD).0);
    let (done, output) = podman(&["push", &file, "--tls-verify=false", id, &target]);
    assert!(done, "{output}");
    assert!(!podman(&["push", &file, "--tls-verify=false", id, &format!("{address}/secret/podman:v1")]).0);
    let (done, output) = podman(&["pull", &file, "--quiet", "--tls-verify=false", &target]);
    assert!(done, "{output}");
    say!("podman: login, push, pull, denial");
}

fn skopeo(lab: &Lab, address: &str) {
    let layout = layout(lab, "skopeo");
    let (source, target) = (format!("oci:{layout}:v1"), format!("docker://{address}/team/skopeo:v1"));
    let skopeo = |arguments: &[&str]| tools::attempt(Command::new(tools::find("skopeo")).args(arguments));
    let credentials = |user: &str, password: &str| format!("--dest-creds={user}:{password}");
    let copy = ["copy", "--dest-tls-verify=false"];
    assert!(!skopeo(&[&copy[..], &["--dest-no-creds", &source, &target]].concat()).0);
    assert!(!skopeo(&[&copy[..], &[&credentials("writer", WRONG), &source, &target]].concat()).0);
    let (done, output) = skopeo(&[&copy[..], &[&credentials("writer", PASSWORD), &source, &target]].concat());
    assert!(done, "{output}");
    let inspect = ["inspect", "--tls-verify=false"];
    assert!(!skopeo(&[&inspect[..], &["--no-creds", &target]].concat()).0);
    let (done, output) = skopeo(&[&inspect[..], &[&format!("--creds=reader:{PASSWORD}"), &target]].concat());
    assert!(done, "{output}");
    let delete = ["delete", "--tls-verify=false"];
    assert!(!skopeo(&[&delete[..], &[&format!("--creds=writer:{PASSWORD}"), &target]].concat()).0);
    let (done, output) = skopeo(&[&delete[..], &[&format!("--creds=admin:{PASSWORD}"), &target]].concat());
    assert!(done, "{output}");
    say!("skopeo: copy, inspect, delete, denial");
}

/// Clients that take long to build: `tools/setup-more`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools/setup-more"]
async fn more_clients_log_in() {
    let lab = Lab::new("auth-clients-more");
    let cluster = Cluster::configured(&lab, 3, &access(&lab)).await;
    let address = cluster.balancer.address();
    helm(&lab, &address);
    oras(&lab, &address);
    no_secret_in_logs(&cluster.replicas, &[]);
}

fn helm(lab: &Lab, address: &str) {
    let directory = lab.directory("helm");
    let helm = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("helm"));
        tools::attempt(command.current_dir(&directory).env("HOME", &directory).args(arguments))
    };
    let must = |arguments: &[&str]| {
        let (done, output) = helm(arguments);
        assert!(done, "helm {arguments:?}: {output}");
    };
    let login = |user: &str, password: &str| {
        helm(&["registry", "login", "--plain-http", "-u", user, "-p", password, address]).0
    };
    let (team, secret) = (format!("oci://{address}/team/charts"), format!("oci://{address}/secret/charts"));
    must(&["create", "demo"]);
    must(&["package", "demo"]);
    assert!(!helm(&["push", "--plain-http", "demo-0.1.0.tgz", &team]).0, "nobody may not push");
    assert!(!login("writer", WRONG), "a wrong password");
    assert!(login("writer", PASSWORD));
    must(&["push", "--plain-http", "demo-0.1.0.tgz", &team]);
    assert!(!helm(&["push", "--plain-http", "demo-0.1.0.tgz", &secret]).0, "a writer may not push there");
    must(&["registry", "logout", address]);
    let pull = ["pull", "--plain-http", &format!("{team}/demo"), "--version", "0.1.0", "--destination", "back"];
    assert!(!helm(&pull).0, "nobody may not pull this");
    assert!(login("reader", PASSWORD));
    std::fs::create_dir(directory.join("back")).unwrap();
    must(&pull);
    let (pushed, pulled) = (directory.join("demo-0.1.0.tgz"), directory.join("back/demo-0.1.0.tgz"));
    assert_eq!(std::fs::read(pushed).unwrap(), std::fs::read(pulled).unwrap());
    say!("helm: login, push, pull, denial");
}

fn oras(lab: &Lab, address: &str) {
    let directory = lab.directory("oras");
    std::fs::write(directory.join("model.bin"), b"weights").unwrap();
    std::fs::write(directory.join("sbom.json"), b"{}").unwrap();
    let oras = |verb: &[&str], arguments: &[&str]| {
        let mut command = Command::new(tools::find("oras"));
        command.current_dir(&directory).env("HOME", &directory).args(verb);
        tools::attempt(command.args(["--plain-http", "--registry-config", "auth.json"]).args(arguments))
    };
    let must = |verb: &str, arguments: &[&str]| {
        let (done, output) = oras(&[verb], arguments);
        assert!(done, "oras {verb} {arguments:?}: {output}");
        output
    };
    let login = |user: &str, password: &str| oras(&["login"], &["-u", user, "-p", password, address]).0;
    let (team, secret) = (format!("{address}/team/oras:v1"), format!("{address}/secret/oras:v1"));
    assert!(!oras(&["push"], &[&team, "model.bin"]).0, "nobody may not push");
    assert!(!login("writer", WRONG), "a wrong password");
    assert!(login("writer", PASSWORD));
    must("push", &[&team, "model.bin:application/x.weights"]);
    must("attach", &[&team, "--artifact-type", "application/x.sbom", "sbom.json:application/json"]);
    assert!(!oras(&["push"], &[&secret, "model.bin"]).0, "a writer may not push there");
    assert!(login("reader", PASSWORD));
    let found = must("discover", &["--format", "json", &team]);
    assert!(found.contains("application/x.sbom"), "{found}");
    must("pull", &["--output", "back", &team]);
    assert_eq!(std::fs::read(directory.join("back/model.bin")).unwrap(), b"weights");
    assert!(!oras(&["manifest", "delete"], &["--force", &team]).0, "a reader may not delete");
    assert!(login("admin", PASSWORD));
    must("resolve", &[&team]);
    assert!(oras(&["manifest", "delete"], &["--force", &team]).0);
    say!("oras: login, push, attach, discover, pull, delete, denial");
}

fn layout(lab: &Lab, name: &str) -> String {
    let directory = lab.directory(&format!("{name}-layout"));
    Image::new(7, 1 << 20).write_layout(Path::new(&directory), "v1");
    directory.display().to_string()
}
