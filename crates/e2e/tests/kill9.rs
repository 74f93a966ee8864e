//! `kill -9` in the middle of pushes, over and over: after each restart everything that was acknowledged is there, and
//! every tag that is listed can be pulled in full.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf_e2e::content::{digest, mix};
use wharf_e2e::image::Image;
use wharf_e2e::{Client, Lab, Registry, say, scale, wait};

const WRITERS: u64 = 4;
const REPOSITORY: &str = "kill/images";

/// Pushes that were answered 201: tag, manifest digest, layer digest.
type Acknowledged = Arc<Mutex<Vec<(String, String, String)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives() {
    let lab = Lab::new("kill9");
    let mut registry = Registry::local(&lab).await;
    let rounds = scale("WHARF_E2E_KILLS", 8);
    let acknowledged = Acknowledged::default();
    let mut starts = Vec::new();

    for round in 0..rounds {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(push_until_it_fails(registry.client(), round, writer, acknowledged.clone())))
            .collect();
        // Some time after the first push of the round; how long differs from round to round.
        let before = acknowledged.lock().unwrap().len();
        wait::until("a push is acknowledged", wait::START, async || acknowledged.lock().unwrap().len() > before).await;
        tokio::time::sleep(Duration::from_millis(mix(round) % 500)).await;
        registry.replicas()[0].kill();
        for writer in writers {
            writer.await.unwrap();
        }
        starts.push(registry.replicas()[0].restart().await);
        verify(&registry.client(), &acknowledged).await;
    }

    let count = acknowledged.lock().unwrap().len();
    assert!(count as u64 >= rounds, "only {count} pushes in {rounds} rounds");
    let slowest = starts.iter().max().unwrap();
    say!("{rounds} kills, {count} acknowledged pushes, none lost; slowest start {} ms", slowest.as_millis());
}

async fn push_until_it_fails(client: Client, round: u64, writer: u64, acknowledged: Acknowledged) {
    for number in 0.. {
        let image = Image::new(round << 32 | writer << 24 | number, 64 << 10);
        let tag = format!("r{round}-w{writer}-{number}");
        if image.try_push(&client, REPOSITORY, &tag).await.is_err() {
            return;
        }
        acknowledged.lock().unwrap().push((tag, image.digest(), digest(&image.layer)));
    }
}

async fn verify(client: &Client, acknowledged: &Acknowledged) {
    let pushes = acknowledged.lock().unwrap().clone();
    let listed = client.tags(REPOSITORY).await;
    for (tag, manifest, layer) in &pushes {
        assert!(listed.contains(tag), "{tag} was acknowledged and is not listed");
        assert_eq!(client.resolve(REPOSITORY, tag).await.as_ref(), Some(manifest), "{tag}");
        client.pull_blob(REPOSITORY, layer).await;
    }
    // A push that was cut off is there in full or not at all.
    for tag in listed.iter().filter(|tag| !pushes.iter().any(|(known, _, _)| known == *tag)) {
        let bytes =
            client.manifest(REPOSITORY, tag).await.unwrap_or_else(|| panic!("{tag} is listed and is not there"));
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        client.pull_blob(REPOSITORY, manifest["config"]["digest"].as_str().unwrap()).await;
        client.pull_blob(REPOSITORY, manifest["layers"][0]["digest"].as_str().unwrap()).await;
    }
}
