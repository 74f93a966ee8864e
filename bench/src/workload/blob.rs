//! Blobs read, whole and in part.

use async_trait::async_trait;

use super::{Bound, Load, Scale, Turn, Workload};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::Outcome;
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/blobs";

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let sizes = [
        ("1 KiB", 1 << 10, [1, 64]),
        ("1 MiB", scale.mib(1), [1, 16]),
        ("100 MiB", scale.mib(100), [1, 4]),
        ("1 GiB", scale.mib(1024), [1, 2]),
    ];
    let mut workloads = Vec::new();
    for (name, size, connections) in sizes {
        for connections in connections {
            let make = move || Read { size, range: None, path: String::new() };
            let workload = Workload::new(scale, "blob", &format!("blob GET {name}"), make);
            let workload = workload.connections(connections).bound(Bound::Files);
            workloads.push(if size > 1 << 10 { workload.in_bytes() } else { workload });
        }
    }
    let (size, range) = (scale.mib(1024), scale.mib(1));
    for connections in [1, 16] {
        let make = move || Read { size, range: Some(range), path: String::new() };
        let workload = Workload::new(scale, "blob", "blob GET 1 MiB out of 1 GiB", make);
        workloads.push(workload.connections(connections).bound(Bound::Files).in_bytes());
    }
    workloads
}

struct Read {
    size: u64,
    range: Option<u64>,
    path: String,
}

#[async_trait(?Send)]
impl Load for Read {
    fn only_reads(&self) -> bool {
        true
    }

    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let mut at = peer.connect().await?;
        let (config, layer) = (Blob::new(100), Blob::new(self.size));
        peer.store_blob(&mut at, REPOSITORY, &config).await?;
        peer.store_blob(&mut at, REPOSITORY, &layer).await?;
        self.path = protocol::blob_path(REPOSITORY, layer.digest());
        // As in a registry, where a blob belongs to an image.
        peer.store_manifest(&mut at, REPOSITORY, "latest", protocol::manifest(&config, &[layer])).await.map(drop)
    }

    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64> {
        match self.range {
            None => protocol::get(at, &self.path).await,
            Some(length) => {
                // Steps that do not repeat for long.
                let start = (turn.number * 7_919 * length) % (self.size - length);
                protocol::get_range(at, &self.path, start, length).await
            }
        }
    }
}
