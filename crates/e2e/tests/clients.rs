//! The clients that people have push to Wharf and pull from it, and what comes back is what went in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use wharf_e2e::engines::{Containerd, Docker};
use wharf_e2e::image::Image;
use wharf_e2e::{Lab, Registry, scenario, scenarios, tools};

/// Large enough to be sent in several writes.
const LAYER: u64 = 3 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_disk() {
    let lab = Lab::new("clients-local");
    let registry = Registry::local(&lab).await;
    scenario::run_all(&lab, &registry, &scenarios![docker, podman, skopeo, buildah, containerd, crane]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas() {
    let lab = Lab::new("clients-cluster");
    let registry = Registry::cluster(&lab, 3).await;
    scenario::run_all(&lab, &registry, &scenarios![docker, podman, skopeo, buildah, containerd, crane]).await;
}

/// Docker makes an image, pushes it, forgets it and pulls it again by tag and by digest; and pulls one that another
/// client pushed.
async fn docker(lab: &Lab, registry: &Registry) {
    let docker = Docker::start(lab).await;
    let image = Image::new(1, LAYER);
    let archive = lab.path().join("docker.tar");
    std::fs::write(&archive, &image.layer).unwrap();
    let name = format!("{}/clients/docker:v1", registry.address());

    tools::run(docker.command().arg("import").arg(&archive).arg(&name));
    let id = tools::run(docker.command().args(["image", "inspect", "--format", "{{.Id}}", &name]));
    let output = tools::run(docker.command().args(["push", &name]));
    let digest = registry.client().resolve("clients/docker", "v1").await.expect("the tag is there");
    assert!(output.contains(&digest), "docker says:\n{output}\nthe registry has {digest}");

    for reference in [name.clone(), format!("{}/clients/docker@{digest}", registry.address())] {
        tools::run(docker.command().args(["image", "rm", "--force", id.trim()]));
        tools::run(docker.command().args(["pull", &reference]));
        let pulled = tools::run(docker.command().args(["image", "inspect", "--format", "{{.Id}}", &reference]));
        assert_eq!(pulled, id);
    }

    let other = Image::new(2, LAYER);
    other.push(&registry.client(), "clients/docker", "other").await;
    let name = format!("{}/clients/docker:other", registry.address());
    let output = tools::run(docker.command().args(["pull", &name]));
    assert!(output.contains(&other.digest()), "{output}");
}

/// Podman reads an image layout, pushes, forgets and pulls.
async fn podman(lab: &Lab, registry: &Registry) {
    let layout = layout(lab, "podman", &Image::new(3, LAYER));
    let digests = lab.path().join("podman.digest");
    let name = format!("{}/clients/podman:v1", registry.address());
    let podman = || storage_command(lab, "podman");

    let id = tools::run(podman().args(["pull", "--quiet", &format!("oci:{layout}:v1")]));
    let id = id.trim();
    tools::run(podman().args(["push", "--tls-verify=false", "--digestfile"]).arg(&digests).args([id, &name]));
    assert_pushed(registry, "clients/podman", &digests).await;
    tools::run(podman().args(["rmi", "--force", id]));
    let pulled = tools::run(podman().args(["pull", "--quiet", "--tls-verify=false", &name]));
    assert_eq!(pulled.trim(), id);
}

/// Skopeo copies to the registry and back without changing a byte, syncs, lists and deletes.
async fn skopeo(lab: &Lab, registry: &Registry) {
    let image = Image::new(4, LAYER);
    let layout = layout(lab, "skopeo", &image);
    let address = registry.address();
    let skopeo = |arguments: &[&str]| tools::run(Command::new(tools::find("skopeo")).args(arguments));
    let remote = format!("docker://{address}/clients/skopeo:v1");

    let source = format!("oci:{layout}:v1");
    skopeo(&["copy", "--preserve-digests", "--dest-tls-verify=false", &source, &remote]);
    let client = registry.client();
    assert_eq!(client.resolve("clients/skopeo", "v1").await, Some(image.digest()));

    let back = lab.directory("skopeo-back");
    let target = format!("oci:{}:v1", back.display());
    skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", &remote, &target]);
    let blob = back.join("blobs").join(wharf_e2e::content::digest(&image.layer).replace(':', "/"));
    assert_eq!(std::fs::read(blob).unwrap(), image.layer);

    // From one repository to another: the blobs are mounted or found.
    let copy = format!("docker://{address}/clients/skopeo-copy:v1");
    skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false", &remote, &copy]);
    assert_eq!(client.resolve("clients/skopeo-copy", "v1").await, Some(image.digest()));

    let directory = lab.directory("skopeo-sync");
    let source = format!("{address}/clients/skopeo");
    let target = directory.display().to_string();
    skopeo(&["sync", "--src", "docker", "--dest", "dir", "--src-tls-verify=false", &source, &target]);
    assert_eq!(std::fs::read(directory.join("skopeo:v1/manifest.json")).unwrap(), image.manifest);

    let tags = skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{address}/clients/skopeo")]);
    assert!(tags.contains("\"v1\""), "{tags}");
    skopeo(&["delete", "--tls-verify=false", &remote]);
    assert_eq!(client.resolve("clients/skopeo", "v1").await, None);
    assert_eq!(client.resolve("clients/skopeo-copy", "v1").await, Some(image.digest()));
}

/// Buildah builds an image from nothing, pushes and pulls it.
async fn buildah(lab: &Lab, registry: &Registry) {
    let file = lab.file("greeting", "good morning\n");
    let digests = lab.path().join("buildah.digest");
    let name = format!("{}/clients/buildah:v1", registry.address());
    let buildah = || storage_command(lab, "buildah");

    let container = tools::run(buildah().args(["from", "scratch"]));
    tools::run(buildah().args(["copy", container.trim()]).arg(&file).arg("/greeting"));
    let id = tools::run(buildah().args(["commit", "--quiet", container.trim()]));
    let id = id.trim();
    tools::run(buildah().args(["push", "--tls-verify=false", "--digestfile"]).arg(&digests).args([id, &name]));
    assert_pushed(registry, "clients/buildah", &digests).await;
    tools::run(buildah().args(["rm", container.trim()]));
    tools::run(buildah().args(["rmi", "--force", id]));
    let pulled = tools::run(buildah().args(["pull", "--quiet", "--tls-verify=false", &name]));
    assert_eq!(pulled.trim(), id);
}

/// containerd imports an image, pushes, forgets and pulls it, with the same digest throughout.
async fn containerd(lab: &Lab, registry: &Registry) {
    let containerd = Containerd::start(lab).await;
    let image = Image::new(5, LAYER);
    let layout = layout(lab, "containerd", &image);
    let archive = lab.path().join("containerd.tar");
    tools::run(Command::new("tar").arg("-C").arg(&layout).arg("-cf").arg(&archive).arg("."));
    let name = format!("{}/clients/containerd:v1", registry.address());
    let base = format!("{}/clients/containerd", registry.address());

    let import = ["images", "import", "--snapshotter", "native", "--base-name", &base];
    tools::run(containerd.command().args(import).arg(&archive));
    tools::run(containerd.command().args(["images", "push", "--plain-http", &name]));
    assert_eq!(registry.client().resolve("clients/containerd", "v1").await, Some(image.digest()));
    tools::run(containerd.command().args(["images", "rm", "--sync", &name]));
    tools::run(containerd.command().args(["images", "pull", "--plain-http", "--snapshotter", "native", &name]));
    let images = tools::run(containerd.command().args(["images", "ls"]));
    assert!(images.contains(&name) && images.contains(&image.digest()), "{images}");
}

/// crane pushes, asks for the digest, lists, copies, pulls and deletes.
async fn crane(lab: &Lab, registry: &Registry) {
    let image = Image::new(6, LAYER);
    let layout = layout(lab, "crane", &image);
    let address = registry.address();
    let crane = |arguments: &[&str]| tools::run(Command::new(tools::find("crane")).arg("--insecure").args(arguments));
    let name = format!("{address}/clients/crane:v1");

    // The layout has one image, so that crane pushes that and not the index.
    crane(&["push", &layout, &name]);
    assert_eq!(crane(&["digest", &name]).trim(), image.digest());
    assert_eq!(crane(&["ls", &format!("{address}/clients/crane")]).trim(), "v1");
    let copy = format!("{address}/clients/crane-copy:v2");
    crane(&["copy", &name, &copy]);
    assert_eq!(crane(&["manifest", &copy]).as_bytes(), image.manifest);
    let back = lab.path().join("crane-back").display().to_string();
    crane(&["pull", "--format=oci", &copy, &back]);
    let blob = Path::new(&back).join("blobs").join(wharf_e2e::content::digest(&image.layer).replace(':', "/"));
    assert_eq!(std::fs::read(blob).unwrap(), image.layer);
    let catalog = crane(&["catalog", &address]);
    assert!(catalog.contains("clients/crane-copy"), "{catalog}");
    crane(&["delete", &format!("{address}/clients/crane@{}", image.digest())]);
    let gone = registry
        .client()
        .request(Method::HEAD, &format!("/v2/clients/crane/manifests/{}", image.digest()))
        .send()
        .await
        .unwrap();
    assert_eq!(gone.status(), 404);
}

/// Writes the image as a layout and answers its path.
fn layout(lab: &Lab, client: &str, image: &Image) -> String {
    let directory = lab.directory(&format!("{client}-layout"));
    image.write_layout(&directory, "v1");
    directory.display().to_string()
}

/// Podman or Buildah with storage of the test's own.
fn storage_command(lab: &Lab, program: &str) -> Command {
    let mut command = Command::new(tools::find(program));
    command
        .args(["--storage-driver", "vfs", "--root"])
        .arg(lab.directory(&format!("{program}-storage")))
        .arg("--runroot")
        .arg(lab.directory(&format!("{program}-run")));
    command
}

/// The registry has the digest under `v1` that the client wrote to a file.
async fn assert_pushed(registry: &Registry, repository: &str, digests: &Path) {
    let digest = std::fs::read_to_string(digests).unwrap();
    assert_eq!(registry.client().resolve(repository, "v1").await.as_deref(), Some(digest.trim()));
}
