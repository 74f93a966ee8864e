//! Manifests read: what every pull and every check of a cluster begins with.

use async_trait::async_trait;

use super::{Bound, Load, Scale, Turn, Workload};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::Outcome;
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/manifests";
const TAG: &str = "latest";

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let mut workloads = Vec::new();
    for (method, whole) in [("GET", true), ("HEAD", false)] {
        for (by, tagged) in [("tag", true), ("digest", false)] {
            for connections in [1, 64] {
                let make = move || Read { whole, tagged, path: String::new() };
                let name = format!("manifest {method} by {by}");
                let workload = Workload::new(scale, "manifest", &name, make);
                workloads.push(workload.connections(connections).bound(Bound::Files));
            }
        }
    }
    workloads
}

struct Read {
    whole: bool,
    tagged: bool,
    path: String,
}

#[async_trait(?Send)]
impl Load for Read {
    fn only_reads(&self) -> bool {
        true
    }

    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let mut at = peer.connect().await?;
        let blobs: Vec<Blob> = (0..11).map(|_| Blob::new(1000)).collect();
        for blob in &blobs {
            peer.store_blob(&mut at, REPOSITORY, blob).await?;
        }
        let manifest = protocol::manifest(&blobs[0], &blobs[1..]);
        let digest = peer.store_manifest(&mut at, REPOSITORY, TAG, manifest).await?;
        self.path = protocol::manifest_path(REPOSITORY, if self.tagged { TAG } else { &digest });
        Ok(())
    }

    async fn operate(&self, at: &mut Connection, _: Turn) -> Outcome<u64> {
        if self.whole { protocol::get(at, &self.path).await } else { protocol::head(at, &self.path).await.map(|()| 0) }
    }
}
