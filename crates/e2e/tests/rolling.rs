//! A cluster behind HAProxy as `deploy/haproxy` configures it goes on while its replicas are replaced, and while they are
//! killed: no operation of a real client fails.
//!
//! The clients are those of [`wharf_e2e::load`].

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use wharf_e2e::balancer::Balancer;
use wharf_e2e::load::{Done, Load};
use wharf_e2e::{Lab, Replica, Seaweed, Storage, say};

/// How often each replica is replaced, or one of them killed: `WHARF_E2E_ROUNDS`.
fn rounds() -> usize {
    std::env::var("WHARF_E2E_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_are_replaced_one_by_one() {
    let lab = Lab::new("rolling");
    let mut cluster = Cluster::start(&lab).await;
    let address = cluster.balancer.address();
    let load = Load::start(&lab, &address).with_docker(&lab, &address).await;
    load.goes_on(6).await;
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
    none_failed(&done);
    assert_eq!(done.raw.failed, 0, "requests failed that nobody repeated, of {}", done.raw.operations);
    say!(
        "{} operations of crane, {} of docker and {} of a client without retries: none failed",
        done.crane.operations,
        done.docker.operations,
        done.raw.operations
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_are_killed() {
    let lab = Lab::new("killing");
    let mut cluster = Cluster::start(&lab).await;
    let address = cluster.balancer.address();
    let load = Load::start(&lab, &address).with_docker(&lab, &address).await;
    load.goes_on(6).await;
    for round in 0..rounds() * 4 {
        let replica = &mut cluster.replicas[round % 3];
        replica.kill();
        replica.restart().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let done = load.stop().await;
    none_failed(&done);
    say!(
        "{} kills: {} operations of crane and {} of docker, none failed; without retries {} of {} failed",
        rounds() * 4,
        done.crane.operations,
        done.docker.operations,
        done.raw.failed,
        done.raw.operations
    );
}

/// Of the clients that repeat by themselves.
fn none_failed(done: &Done) {
    for client in [&done.crane, &done.docker] {
        assert!(client.failures.is_empty(), "{}", client.failures.join("\n"));
        assert!(client.operations > 1, "{client:?}");
    }
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
