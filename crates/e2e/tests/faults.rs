//! A bad network between the replicas and their store, a store that wants less, and one that dies: every request is answered in time,
//! with 503 and `Retry-After` where it cannot be done; nothing acknowledged is lost; and it goes on by itself when it is over.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use wharf_e2e::patient::{Patient, Rules};
use wharf_e2e::throttle::Throttle;
use wharf_e2e::toxiproxy::{Toxic, Toxiproxy};
use wharf_e2e::workload::{Held, Plan, Worker, check};
use wharf_e2e::{Client, Lab, Replica, Seaweed, Storage, say, scale, wait};

const WORKERS: u64 = 6;
const REPOSITORIES: [&str; 3] = ["faults/a", "faults/b", "faults-c"];

/// How long a request may take, whatever the store does.
const RULES: Rules =
    Rules { answered_within: Duration::from_secs(60), patience: Duration::from_secs(150), is_balanced: false };

/// How soon a push succeeds after the fault is over.
const RECOVERY: Duration = Duration::from_secs(30);

/// Two replicas over one store.
struct Scene {
    replicas: Vec<Replica>,
    client: Patient,
    /// Numbers the workers, so that those of each fault have tags of their own.
    workers: u64,
    held: Vec<Arc<Held>>,
}

impl Scene {
    async fn new(lab: &Lab, storage: &Storage) -> Self {
        let settings = json!({"storage": {"gcDelay": "20s", "gcInterval": "1s"}});
        let mut replicas = Vec::new();
        for index in 0..2 {
            replicas.push(Replica::configured(lab, &format!("wharf-{index}"), storage, &settings).await);
        }
        let client = Patient::new(Client::new(replicas.iter().map(Replica::address)), RULES);
        Self { replicas, client, workers: 0, held: Vec::new() }
    }

    /// Lets workers work for so many seconds while `fault` happens, then sees that all is well.
    async fn suffer(&mut self, name: &str, seconds: u64, fault: impl AsyncFnOnce()) {
        let time = Duration::from_secs(seconds * scale("WHARF_E2E_FAULTS", 1));
        self.client.tally().begin();
        let before = self.client.tally().seen();
        let plan = Arc::new(Plan::new(&REPOSITORIES, Instant::now() + time));
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            self.workers += 1;
            workers.spawn(Worker::new(self.workers, self.client.clone(), plan.clone()).run());
        }
        let ((), recovered) = tokio::join!(finish(workers), async {
            fault().await;
            self.recovers().await
        });
        self.held.extend(plan.ledger.all());
        for one in &self.held {
            check(&self.client, one).await;
        }
        for replica in &mut self.replicas {
            replica.assert_alive();
        }
        let seen = self.client.tally().seen();
        say!(
            "{name}: {} operations, {} of {} requests were answered 503, slowest answer {:.1} s, recovered after {:.1} s, \
             {} images whole",
            plan.operations(),
            seen.refused - before.refused,
            seen.requests - before.requests,
            seen.slowest.as_secs_f64(),
            recovered.as_secs_f64(),
            self.held.len(),
        );
        assert_eq!(seen.broken, before.broken, "a replica broke connections of its clients");
        assert!(plan.operations() > 0, "{name}: nothing was done");
    }

    /// Waits until both replicas are ready and begin an upload.
    async fn recovers(&self) -> Duration {
        wait::until("the replicas recover", RECOVERY, async || {
            for replica in &self.replicas {
                if replica.readiness().await != Some(200) {
                    return false;
                }
            }
            let path = "/v2/faults/recovery/blobs/uploads/";
            self.client.send(path, |client| client.request(Method::POST, path)).await.status.as_u16() == 202
        })
        .await
    }
}

async fn finish(mut workers: JoinSet<()>) {
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network() {
    let lab = Lab::new("faults");
    let mut store = Seaweed::start(&lab).await;
    let network = Toxiproxy::start(&lab, &store.address()).await;
    let mut scene = Scene::new(&lab, &Storage::S3(store.bucket_at(&network.address()))).await;

    let faults: [(&str, u64, Vec<Toxic>); 6] = [
        ("late answers", 5, vec![Toxic::latency(100, 80)]),
        ("connections reset", 5, vec![Toxic::reset(0.2, 20)]),
        ("answers lost after the write took effect", 6, vec![Toxic::answers_lost(0.2, 30)]),
        ("answers cut short", 5, vec![Toxic::cut_short(0.3, 40_000)]),
        ("little bandwidth", 6, vec![Toxic::slow("upstream", 1000), Toxic::slow("downstream", 1000)]),
        ("half-open connections", 22, vec![Toxic::half_open(1.0)]),
    ];
    for (name, seconds, toxics) in faults {
        scene
            .suffer(name, seconds, async || {
                network.add(&toxics).await;
                // The last of it is good again, while the workers still work.
                sleep(seconds - 1).await;
                network.heal().await;
            })
            .await;
    }
    scene
        .suffer("the store killed and started again", 6, async || {
            sleep(1).await;
            store.kill();
            sleep(3).await;
            store.restart().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_wants_less() {
    let lab = Lab::new("slow-down");
    let store = Seaweed::start(&lab).await;
    let throttle = Throttle::start(&store.address()).await;
    let mut scene = Scene::new(&lab, &Storage::S3(store.bucket_at(throttle.address()))).await;
    for (name, percent) in [("SlowDown to one request of ten", 10), ("SlowDown to all", 100)] {
        let before = throttle.refused();
        scene
            .suffer(name, 6, async || {
                throttle.refuse(percent);
                sleep(5).await;
                throttle.refuse(0);
            })
            .await;
        say!("{} requests were refused", throttle.refused() - before);
    }
}
