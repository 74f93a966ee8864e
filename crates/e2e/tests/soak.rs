//! Everything at once, for a long time: clients push, tag, mount, delete and pull shared layers through three replicas whose
//! collectors wait only seconds; replicas are killed every few seconds, and the store once. Whatever was acknowledged is pullable
//! whole at every moment, and at the end the bucket holds what is held.
//!
//! `WHARF_E2E_SOAK` is the time in seconds, `WHARF_E2E_STORE` the store: `seaweedfs`, `versitygw` or `minio`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use wharf_e2e::balancer::Balancer;
use wharf_e2e::content::mix;
use wharf_e2e::patient::{Patient, Rules};
use wharf_e2e::server::Server;
use wharf_e2e::workload::{Plan, Worker, check};
use wharf_e2e::{Bucket, Client, Lab, Replica, Storage, inventory, say, scale};

const REPLICAS: usize = 3;
const WORKERS: u64 = 16;
/// How long what nobody needs is kept, in seconds.
const DELAY: u64 = 8;
const REPOSITORIES: [&str; 4] = ["soak/a", "soak/b", "soak-c", "soak/a/d"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_at_every_moment() {
    let lab = Lab::new("soak");
    let time = Duration::from_secs(scale("WHARF_E2E_SOAK", 45));
    let name = std::env::var("WHARF_E2E_STORE").unwrap_or_else(|_| "seaweedfs".to_owned());
    let mut server = Server::start(&lab, &name).await;
    let mut replicas = start(&lab, &server).await;
    let addresses: Vec<String> = replicas.iter().map(Replica::address).collect();
    let balancer = Balancer::start(&lab, &addresses).await;
    let client = Patient::new(
        Client::new([balancer.address()]),
        Rules { answered_within: Duration::from_secs(280), patience: Duration::from_secs(600), is_balanced: true },
    );

    let plan = Arc::new(Plan::new(&REPOSITORIES, Instant::now() + time));
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(Worker::new(number, client.clone(), plan.clone()).run());
    }
    let (kills, ()) = tokio::join!(kill(&mut replicas, &mut server, time), finish(workers));
    let (seen, operations) = (client.tally().seen(), plan.operations());
    say!(
        "{name}, {} s, {WORKERS} workers: {operations} operations, {} images pulled whole, {} requests; before they were asked \
         again {} were answered 5xx and {} broke; {} pushes begun anew; slowest answer {:.1} s; {kills} replicas killed, and \
         the store",
        time.as_secs(),
        plan.pulled.load(Ordering::Relaxed),
        seen.requests,
        seen.refused,
        seen.broken,
        plan.begun_anew.load(Ordering::Relaxed),
        seen.slowest.as_secs_f64(),
    );
    assert!(operations > WORKERS, "only {operations} operations");

    let rest = settle(&server.bucket()).await;
    let held = plan.ledger.all();
    for one in &held {
        check(&client, one).await;
    }
    let found = inventory::take(&server.bucket(), &held, &lab.directory("inventory"));
    say!("at rest after {:.0} s: {} images, all whole; {found}", rest.as_secs_f64(), held.len());
    let left = &found.left;
    assert_eq!(left.others, Vec::<String>::new(), "{left:?}");
    for kind in [&left.holds, &left.manifests, &left.segments, &left.sessions] {
        assert!(kind.len() <= kills, "more than {kills} deaths can leave: {left:?}");
    }
}

async fn start(lab: &Lab, server: &Server) -> Vec<Replica> {
    let storage = Storage::S3(server.bucket());
    // As fast as they can, so that they meet the clients, and each other, as often as possible.
    let settings = json!({"storage": {"gcDelay": format!("{DELAY}s"), "gcInterval": "1s", "gcCallsPerSecond": 0}});
    let mut replicas = Vec::new();
    for index in 0..REPLICAS {
        replicas.push(Replica::configured(lab, &format!("wharf-{index}"), &storage, &settings).await);
    }
    replicas
}

/// Waits until the collectors have nothing left to do, for as long as there is less and less of it; answers how long that took.
async fn settle(bucket: &Bucket) -> Duration {
    let begin = Instant::now();
    let (mut least, mut since) = (usize::MAX, begin);
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let left = inventory::work_list(bucket);
        if left == 0 {
            return begin.elapsed();
        }
        if left < least {
            (least, since) = (left, Instant::now());
        }
        assert!(since.elapsed().as_secs() < 20 * DELAY, "the work list does not grow shorter than {least}");
    }
}

/// Waits for the workers; a failure of one is the test's.
async fn finish(mut workers: JoinSet<()>) {
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
}

/// Kills a replica every few seconds and starts it again, and half-way the store; answers how many replicas.
async fn kill(replicas: &mut [Replica], server: &mut Server, time: Duration) -> usize {
    let (begin, mut kills, mut is_store_due) = (Instant::now(), 0, true);
    while begin.elapsed() < time {
        let random = mix(kills as u64 + 5);
        tokio::time::sleep(Duration::from_millis(1000 + random % 2000)).await;
        if is_store_due && begin.elapsed() > time / 2 {
            is_store_due = false;
            server.kill();
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.restart().await;
            continue;
        }
        let replica = &mut replicas[usize::try_from(random >> 32).unwrap() % REPLICAS];
        replica.kill();
        tokio::time::sleep(Duration::from_millis(random % 1000)).await;
        replica.restart().await;
        kills += 1;
    }
    for replica in replicas {
        replica.assert_alive();
    }
    kills
}
