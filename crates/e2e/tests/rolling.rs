//! A cluster behind HAProxy as `deploy/haproxy` configures it goes on while its replicas are replaced, and while they are
//! killed: no operation of a real client fails.
//!
//! The client is crane, with the retries that it makes by itself. Beside it runs a client that repeats nothing, so that what
//! the balancer could not hide is known.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use wharf_e2e::balancer::Balancer;
use wharf_e2e::image::Image;
use wharf_e2e::{Client, Lab, Replica, Seaweed, Storage, say, tools, wait};

const IMAGE: u64 = 1 << 20;
const CRANES: usize = 2;

/// How often each replica is replaced, or one of them killed: `WHARF_E2E_ROUNDS`.
fn rounds() -> usize {
    std::env::var("WHARF_E2E_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_are_replaced_one_by_one() {
    let lab = Lab::new("rolling");
    let mut cluster = Cluster::start(&lab).await;
    let load = Load::start(&lab, &cluster.balancer.address());
    load.has_done(6).await;
    for _ in 0..rounds() {
        for replica in &mut cluster.replicas {
            replica.terminate();
            assert!(replica.ended(Duration::from_secs(40)).await.success());
            replica.restart().await;
            // As a service manager waits until the new one is in the balancer.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let done = load.stop().await;
    assert!(done.failures.is_empty(), "{}", done.failures.join("\n"));
    assert_eq!(done.raw_failed, 0, "requests failed that nobody repeated, of {}", done.raw);
    say!("{} operations of crane and {} of a client without retries: none failed", done.operations, done.raw);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_are_killed() {
    let lab = Lab::new("killing");
    let mut cluster = Cluster::start(&lab).await;
    let load = Load::start(&lab, &cluster.balancer.address());
    load.has_done(6).await;
    for round in 0..rounds() * 4 {
        let replica = &mut cluster.replicas[round % 3];
        replica.kill();
        replica.restart().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let done = load.stop().await;
    assert!(done.failures.is_empty(), "{}", done.failures.join("\n"));
    say!(
        "{} kills: {} operations of crane, none failed; without retries {} of {} failed",
        rounds() * 4,
        done.operations,
        done.raw_failed,
        done.raw
    );
}

struct Cluster {
    balancer: Balancer,
    replicas: Vec<Replica>,
    _store: Seaweed,
}

impl Cluster {
    async fn start(lab: &Lab) -> Self {
        let store = Seaweed::start(lab).await;
        let mut replicas = Vec::new();
        for index in 0..3 {
            replicas.push(Replica::start(lab, &format!("wharf-{index}"), &Storage::S3(store.bucket())).await);
        }
        let addresses: Vec<_> = replicas.iter().map(Replica::address).collect();
        Self { balancer: Balancer::shipped(lab, &addresses).await, replicas, _store: store }
    }
}

/// Clients that push and pull until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    cranes: Vec<JoinHandle<Vec<String>>>,
    raw: JoinHandle<(usize, usize)>,
}

/// What clients did.
struct Done {
    operations: usize,
    failures: Vec<String>,
    raw: usize,
    raw_failed: usize,
}

impl Load {
    fn start(lab: &Lab, address: &str) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let cranes = (0..CRANES).map(|number| {
            let place = lab.directory(&format!("crane-{number}"));
            let name = format!("{address}/rolling/{number}");
            let (stop, done) = (stop.clone(), done.clone());
            tokio::task::spawn_blocking(move || push_and_pull(number, &place, &name, &stop, &done))
        });
        let raw = tokio::spawn(without_retries(Client::new([address.to_owned()]), stop.clone()));
        Self { cranes: cranes.collect(), raw, stop, done }
    }

    /// Waits until a number of operations has ended.
    async fn has_done(&self, number: usize) {
        wait::until("clients push and pull", wait::START, async || self.done.load(Ordering::Relaxed) >= number).await;
    }

    /// Lets each client finish what it is at.
    async fn stop(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for crane in self.cranes {
            failures.extend(crane.await.unwrap());
        }
        let (raw, raw_failed) = self.raw.await.unwrap();
        Done { operations: self.done.load(Ordering::Relaxed), failures, raw, raw_failed }
    }
}

/// Pushes images that were never there before, and pulls each back; answers what failed.
fn push_and_pull(number: usize, place: &Path, name: &str, stop: &AtomicBool, done: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    let crane = |arguments: &[&str]| {
        let outcome = tools::attempt(Command::new(tools::find("crane")).arg("--insecure").args(arguments));
        done.fetch_add(1, Ordering::Relaxed);
        if outcome.0 { Ok(outcome.1) } else { Err(format!("crane {arguments:?}: {}", outcome.1)) }
    };
    for count in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let image = Image::new(number as u64 * 1_000_000 + count, IMAGE);
        let (layout, pulled) = (place.join(format!("{count}")), place.join(format!("{count}-back")));
        image.write_layout(&layout, "v1");
        let reference = format!("{name}:{}", count % 5);
        let once = crane(&["push", &layout.display().to_string(), &reference])
            .and_then(|_| crane(&["pull", "--format=oci", &reference, &pulled.display().to_string()]));
        match once {
            Err(failure) => failures.push(failure),
            Ok(_) => {
                let manifest = pulled.join("blobs/sha256").join(image.digest().trim_start_matches("sha256:"));
                if std::fs::read(&manifest).is_ok_and(|bytes| bytes != image.manifest) || !manifest.exists() {
                    failures.push(format!("{reference}: another image came back"));
                }
            }
        }
        for directory in [layout, pulled] {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
    failures
}

/// Pushes small images and reads them back, each request once; answers how many pushes and reads there were, and how many
/// of them failed.
async fn without_retries(client: Client, stop: Arc<AtomicBool>) -> (usize, usize) {
    let (mut all, mut failed) = (0, 0);
    for count in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let image = Image::new(9_000_000_000 + count, 10_000);
        let pushed = image.try_push(&client, "rolling/raw", "latest").await;
        let read = client.try_pull_blob("rolling/raw", &wharf_e2e::content::digest(&image.layer)).await.map(|_| ());
        // A read of what could not be pushed says nothing.
        let outcomes = if pushed.is_ok() { vec![pushed, read] } else { vec![pushed] };
        all += outcomes.len();
        failed += outcomes.iter().filter(|outcome| outcome.is_err()).count();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (all, failed)
}
