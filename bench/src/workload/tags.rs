//! Manifests pushed into repositories that hold more and more tags.

use async_trait::async_trait;

use super::{Load, Scale, Turn, Workload, many};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::Outcome;
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/tags";

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let mut workloads = Vec::new();
    for tags in scale.counts(&[1, 1_000, 50_000]) {
        for connections in [1, 16] {
            let name = format!("manifest push beside {tags} tags");
            let make = move || Tags { tags, blobs: Vec::new() };
            workloads.push(Workload::new(scale, "tags", &name, make).connections(connections));
        }
    }
    workloads
}

struct Tags {
    tags: u64,
    blobs: Vec<Blob>,
}

#[async_trait(?Send)]
impl Load for Tags {
    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let mut at = peer.connect().await?;
        self.blobs = (0..11).map(|_| Blob::new(100)).collect();
        for blob in &self.blobs {
            peer.store_blob(&mut at, REPOSITORY, blob).await?;
        }
        let config = &self.blobs[0];
        many(peer, self.tags, async |at, number| {
            let manifest = protocol::manifest(config, &[]);
            protocol::push_manifest(at, REPOSITORY, &format!("old-{number}"), manifest).await.map(drop)
        })
        .await
    }

    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64> {
        let manifest = protocol::manifest(&self.blobs[0], &self.blobs[1..]);
        let tag = format!("new-{}-{}", turn.run, turn.number);
        protocol::push_manifest(at, REPOSITORY, &tag, manifest).await
    }
}
