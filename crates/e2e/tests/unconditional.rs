//! A store without conditional writes is refused at the start, with the reason; and with `storage.singleReplica` one process serves
//! from it what any other serves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use wharf_e2e::patient::{Patient, Rules};
use wharf_e2e::server::Server;
use wharf_e2e::throttle::Throttle;
use wharf_e2e::workload::{Plan, Worker, check};
use wharf_e2e::{Bucket, Client, Lab, Replica, Seaweed, Storage, inventory, say, wait};

const DELAY: u64 = 5;

/// SeaweedFS behind a gateway that takes the conditions off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_careless_gateway() {
    let lab = Lab::new("unconditional");
    let store = Seaweed::start_open(&lab).await;
    let gateway = Throttle::start(&store.address()).await;
    gateway.forget_conditions();
    one_process_alone(&lab, &store.bucket_at(gateway.address()), Duration::from_secs(5)).await;
}

/// Garage, which has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds Garage, which takes long: just garage"]
async fn garage() {
    let lab = Lab::new("garage");
    let store = Server::start(&lab, "garage").await;
    one_process_alone(&lab, &store.bucket(), Duration::from_secs(30)).await;
}

async fn one_process_alone(lab: &Lab, bucket: &Bucket, time: Duration) {
    let storage = Storage::S3(bucket.clone());
    let said = Replica::refused(lab, "refused", &storage, &json!({})).await;
    let reason = said.lines().find(|line| line.contains("storage.singleReplica")).unwrap_or_else(|| panic!("{said}"));
    say!("refused: {reason}");

    let settings = json!({"storage": {"singleReplica": true, "gcDelay": format!("{DELAY}s"), "gcInterval": "1s"}});
    let mut replica = Replica::configured(lab, "alone", &storage, &settings).await;
    let rules =
        Rules { answered_within: Duration::from_secs(60), patience: Duration::from_secs(60), is_balanced: false };
    let client = Patient::new(Client::new([replica.address()]), rules);
    let plan = Arc::new(Plan::new(&["alone/a", "alone/b"], Instant::now() + time));
    let mut workers = JoinSet::new();
    for number in 0..4 {
        workers.spawn(Worker::new(number, client.clone(), plan.clone()).run());
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    replica.kill();
    replica.restart().await;
    wait::until("the collector has nothing left to do", Duration::from_secs(60 * DELAY), async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        inventory::work_list(bucket) == 0
    })
    .await;
    let held = plan.ledger.all();
    for one in &held {
        check(&client, one).await;
    }
    let found = inventory::take(bucket, &held, &lab.directory("inventory"));
    say!("one process alone: {} operations, {} images whole; {found}", plan.operations(), held.len());
    assert_eq!(found.left, inventory::Leftovers::default());
}
