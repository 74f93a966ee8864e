//! More clients, for artifacts, charts and signatures. `tools/setup-more` builds them, which takes minutes, so that
//! they are not part of every run: `just e2e-more`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use wharf_e2e::image::Image;
use wharf_e2e::{Lab, Registry, scenario, scenarios, tools};

const LAYER: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools/setup-more"]
async fn local_disk() {
    let lab = Lab::new("clients-more-local");
    let registry = Registry::local(&lab).await;
    scenario::run_all(&lab, &registry, &scenarios![oras, helm, regctl, cosign]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools/setup-more"]
async fn three_replicas() {
    let lab = Lab::new("clients-more-cluster");
    let registry = Registry::cluster(&lab, 3).await;
    scenario::run_all(&lab, &registry, &scenarios![oras, helm, regctl, cosign]).await;
}

/// ORAS pushes an artifact, attaches another to it, discovers it, and pulls.
async fn oras(lab: &Lab, registry: &Registry) {
    let directory = lab.directory("oras");
    std::fs::write(directory.join("model.bin"), b"weights").unwrap();
    std::fs::write(directory.join("sbom.json"), b"{}").unwrap();
    let name = format!("{}/more/oras:v1", registry.address());
    let oras = |verb: &str, arguments: &[&str]| {
        let mut command = Command::new(tools::find("oras"));
        tools::run(command.current_dir(&directory).args([verb, "--plain-http"]).args(arguments))
    };

    oras("push", &[&name, "--artifact-type", "application/x.model", "model.bin:application/x.weights"]);
    oras("attach", &[&name, "--artifact-type", "application/x.sbom", "sbom.json:application/json"]);
    let found = oras("discover", &["--format", "json", &name]);
    assert!(found.contains("application/x.sbom"), "{found}");
    let filtered = oras("discover", &["--format", "json", "--artifact-type", "application/x.other", &name]);
    assert!(!filtered.contains("application/x.sbom"), "{filtered}");
    oras("pull", &["--output", "back", &name]);
    assert_eq!(std::fs::read(directory.join("back/model.bin")).unwrap(), b"weights");
}

/// Helm pushes a chart and pulls it.
async fn helm(lab: &Lab, registry: &Registry) {
    let directory = lab.directory("helm");
    let helm = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("helm"));
        command.current_dir(&directory).env("HOME", &directory).args(arguments);
        tools::run(&mut command)
    };
    let repository = format!("oci://{}/more/charts", registry.address());

    helm(&["create", "demo"]);
    helm(&["package", "demo"]);
    helm(&["push", "--plain-http", "demo-0.1.0.tgz", &repository]);
    helm(&["pull", "--plain-http", &format!("{repository}/demo"), "--version", "0.1.0", "--destination", "demo"]);
    let (pushed, pulled) = (directory.join("demo-0.1.0.tgz"), directory.join("demo/demo-0.1.0.tgz"));
    assert_eq!(std::fs::read(pushed).unwrap(), std::fs::read(pulled).unwrap());
}

/// regctl uploads in chunks, copies with referrers, lists and deletes a tag.
async fn regctl(lab: &Lab, registry: &Registry) {
    let image = Image::new(31, LAYER);
    let layout = lab.directory("regctl-layout");
    image.write_layout(&layout, "v1");
    let address = registry.address();
    // A small limit makes regctl send the layer in chunks.
    let host = format!("reg={address},tls=disabled,blobMax=65536,blobChunk=131072");
    let regctl = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("regctl"));
        command.env("HOME", lab.path()).args(["--host", &host]).args(arguments);
        tools::run(&mut command)
    };
    let name = format!("{address}/more/regctl:v1");

    regctl(&["image", "copy", &format!("ocidir://{}:v1", layout.display()), &name]);
    assert_eq!(regctl(&["image", "digest", &name]).trim(), image.digest());
    let mut attach = Command::new("sh");
    attach.env("HOME", lab.path()).arg("-c").arg(format!(
        "echo note | {} --host '{host}' artifact put --subject {name} --artifact-type application/x.note",
        tools::find("regctl").display()
    ));
    tools::run(&mut attach);
    let copy = format!("{address}/more/regctl-copy:v1");
    regctl(&["image", "copy", "--referrers", &name, &copy]);
    let referrers = regctl(&["artifact", "list", &copy]);
    assert!(referrers.contains("application/x.note"), "{referrers}");
    let tags = regctl(&["tag", "ls", &format!("{address}/more/regctl-copy")]);
    assert!(tags.lines().any(|tag| tag == "v1"), "{tags}");
    regctl(&["tag", "delete", &copy]);
    let client = registry.client();
    assert_eq!(client.resolve("more/regctl-copy", "v1").await, None);
    assert_eq!(client.resolve("more/regctl", "v1").await, Some(image.digest()));
}

/// cosign signs an image with a key of the test's own, and verifies it, without any service elsewhere.
async fn cosign(lab: &Lab, registry: &Registry) {
    let image = Image::new(32, LAYER);
    image.push(&registry.client(), "more/cosign", "v1").await;
    let other = Image::new(33, LAYER);
    other.push(&registry.client(), "more/cosign", "unsigned").await;
    let directory = lab.directory("cosign");
    let cosign = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("cosign"));
        command.current_dir(&directory).env("HOME", &directory).env("COSIGN_PASSWORD", "").args(arguments);
        tools::attempt(&mut command)
    };
    let must = |arguments: &[&str]| {
        let (success, output) = cosign(arguments);
        assert!(success, "cosign {arguments:?}: {output}");
    };
    let name = |image: &Image| format!("{}/more/cosign@{}", registry.address(), image.digest());
    let verify = ["verify", "--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-http-registry"];

    must(&["generate-key-pair"]);
    must(&["signing-config", "create", "--out", "signing.json"]);
    let sign = ["sign", "--yes", "--key", "cosign.key", "--signing-config", "signing.json", "--allow-http-registry"];
    must(&[&sign[..], &[&name(&image)]].concat());
    must(&[&verify[..], &[&name(&image)]].concat());
    let (success, _) = cosign(&[&verify[..], &[&name(&other)]].concat());
    assert!(!success, "an image that was never signed verifies");
}
