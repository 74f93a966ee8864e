//! A load as clients make it, for tests of what clients notice: crane, and where wanted a Docker engine, push and pull with the
//! retries that they make by themselves, and beside them is a client that repeats nothing, so that what the balancer could not
//! hide is known.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::client::Client;
use crate::content::digest;
use crate::engines::Docker;
use crate::image::Image;
use crate::lab::Lab;
use crate::{tools, wait};

/// Bytes of an image.
const IMAGE: u64 = 1 << 20;
/// How many cranes there are.
const CRANES: usize = 2;

/// Clients that push and pull until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    cranes: Vec<JoinHandle<Repeating>>,
    docker: Option<JoinHandle<Repeating>>,
    raw: JoinHandle<Raw>,
}

/// What clients did that repeat by themselves: pushes of images that were never there before, and pulls of each.
#[derive(Debug, Default)]
pub struct Repeating {
    /// How many pushes and pulls.
    pub operations: usize,
    /// Of them, those that failed, and those that brought something else than was pushed.
    pub failures: Vec<String>,
    /// The longest of them.
    pub longest: Duration,
    /// What was pushed with success.
    pub pushed: Vec<Pushed>,
}

/// An image that was acknowledged.
#[derive(Clone, Debug)]
pub struct Pushed {
    repository: String,
    manifest: String,
    layer: String,
}

/// What the client without retries did: pushes of small images, and a read of each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw {
    /// How many pushes and reads.
    pub operations: usize,
    /// Of them, those that failed.
    pub failed: usize,
    /// The longest of them.
    pub longest: Duration,
}

/// What clients did.
#[derive(Debug, Default)]
pub struct Done {
    /// All cranes.
    pub crane: Repeating,
    /// The Docker engine, where there was one.
    pub docker: Repeating,
    /// The one that does not.
    pub raw: Raw,
}

impl Load {
    /// Starts clients of this `host:port`.
    #[must_use]
    pub fn start(lab: &Lab, address: &str) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let cranes = (0..CRANES).map(|number| {
            let place = lab.directory(&format!("crane-{number}"));
            let (address, stop, done) = (address.to_owned(), stop.clone(), done.clone());
            tokio::task::spawn_blocking(move || push_and_pull(number, &place, &address, &stop, &done))
        });
        let raw = tokio::spawn(without_retries(Client::new([address.to_owned()]), stop.clone()));
        Self { cranes: cranes.collect(), docker: None, raw, stop, done }
    }

    /// Starts a Docker engine too, which pushes and pulls.
    #[must_use]
    pub async fn with_docker(mut self, lab: &Lab, address: &str) -> Self {
        let docker = Docker::start(lab).await;
        let place = lab.directory("docker-images");
        let (address, stop) = (address.to_owned(), self.stop.clone());
        self.docker = Some(tokio::task::spawn_blocking(move || dock(&docker, &place, &address, &stop)));
        self
    }

    /// Waits until crane has ended so many operations more.
    pub async fn goes_on(&self, more: usize) {
        let before = self.done.load(Ordering::Relaxed);
        let done = async || self.done.load(Ordering::Relaxed) >= before + more;
        wait::until("clients push and pull", 3 * wait::START, done).await;
    }

    /// Lets each client finish what it is at.
    ///
    /// # Panics
    /// When a client did.
    pub async fn stop(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Repeating::default();
        for crane in self.cranes {
            let one = crane.await.unwrap_or_else(|error| panic!("crane: {error}"));
            all.operations += one.operations;
            all.failures.extend(one.failures);
            all.longest = all.longest.max(one.longest);
            all.pushed.extend(one.pushed);
        }
        let docker = match self.docker {
            Some(docker) => docker.await.unwrap_or_else(|error| panic!("docker: {error}")),
            None => Repeating::default(),
        };
        Done { crane: all, docker, raw: self.raw.await.unwrap_or_else(|error| panic!("client: {error}")) }
    }
}

impl Pushed {
    /// Reads it whole.
    ///
    /// # Panics
    /// When any of it is not there, or not what it was.
    pub async fn check(&self, client: &Client) {
        let Self { repository, manifest, layer } = self;
        let found = client.resolve(repository, manifest).await;
        assert_eq!(found.as_ref(), Some(manifest), "{repository}: a manifest that was acknowledged");
        client.pull_blob(repository, layer).await;
    }
}

fn push_and_pull(number: usize, place: &Path, address: &str, stop: &AtomicBool, done: &AtomicUsize) -> Repeating {
    let repository = format!("load/{number}");
    let mut crane = Repeating::default();
    for count in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let image = Image::new(number as u64 * 1_000_000 + count, IMAGE);
        let (layout, pulled) = (place.join(format!("{count}")), place.join(format!("{count}-back")));
        image.write_layout(&layout, "v1");
        let reference = format!("{address}/{repository}:{}", count % 5);
        if crane.crane(&["push", &layout.display().to_string(), &reference], done) {
            let (manifest, layer) = (image.digest(), digest(&image.layer));
            crane.pushed.push(Pushed { repository: repository.clone(), manifest, layer });
            if crane.crane(&["pull", "--format=oci", &reference, &pulled.display().to_string()], done) {
                let manifest = pulled.join("blobs/sha256").join(image.digest().trim_start_matches("sha256:"));
                if std::fs::read(&manifest).map_or(true, |bytes| bytes != image.manifest) {
                    crane.failures.push(format!("{reference}: another image came back"));
                }
            }
        }
        for directory in [layout, pulled] {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
    crane
}

/// An image of its own each time; once it was pushed, the engine forgets it and pulls it.
fn dock(docker: &Docker, place: &Path, address: &str, stop: &AtomicBool) -> Repeating {
    let mut done = Repeating::default();
    for count in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let archive = place.join("layer.tar");
        let image = Image::new(8_000_000_000 + count, IMAGE);
        std::fs::write(&archive, &image.layer).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
        let reference = format!("{address}/load/docker:{}", count % 5);
        let id = tools::run(docker.command().arg("import").arg(&archive).arg(&reference)).trim().to_owned();
        let pushed = done.run(docker.command().args(["push", "--quiet", &reference]));
        tools::run(docker.command().args(["image", "rm", "--force", &id]));
        if pushed && done.run(docker.command().args(["pull", "--quiet", &reference])) {
            let back = tools::run(docker.command().args(["image", "inspect", "--format", "{{.Id}}", &reference]));
            if back.trim() != id {
                done.failures.push(format!("{reference}: another image came back"));
            }
            tools::run(docker.command().args(["image", "rm", "--force", &id]));
        }
    }
    done
}

impl Repeating {
    /// Runs crane once; whether it succeeded.
    fn crane(&mut self, arguments: &[&str], done: &AtomicUsize) -> bool {
        let success = self.run(Command::new(tools::find("crane")).arg("--insecure").args(arguments));
        done.fetch_add(1, Ordering::Relaxed);
        success
    }

    /// Runs a command once; whether it succeeded.
    fn run(&mut self, command: &mut Command) -> bool {
        let begin = Instant::now();
        let (success, output) = tools::attempt(command);
        self.operations += 1;
        self.longest = self.longest.max(begin.elapsed());
        if !success {
            self.failures.push(format!("{command:?} after {:?}: {output}", begin.elapsed()));
        }
        success
    }
}

async fn without_retries(client: Client, stop: Arc<AtomicBool>) -> Raw {
    let mut raw = Raw::default();
    for count in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let image = Image::new(9_000_000_000 + count, 10_000);
        // A read of what could not be pushed says nothing.
        if raw.note(image.try_push(&client, "load/raw", "latest")).await {
            let layer = digest(&image.layer);
            raw.note(async { client.try_pull_blob("load/raw", &layer).await.map(drop) }).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    raw
}

impl Raw {
    /// Does it; whether it succeeded.
    async fn note(&mut self, operation: impl Future<Output = Result<(), String>>) -> bool {
        let begin = Instant::now();
        let success = operation.await.is_ok();
        self.operations += 1;
        self.failed += usize::from(!success);
        self.longest = self.longest.max(begin.elapsed());
        success
    }
}
