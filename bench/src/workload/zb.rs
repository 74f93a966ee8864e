//! The tests of zot's benchmark, `zb`, under their own names.
//!
//! What they do, so that figures can be laid side by side: a push is an image of one layer and a configuration of its own
//! into a repository that is new each time; the layer is the same for all pushes of its size, so that all but the first are
//! of bytes that the registry has. A pull asks for manifest, configuration and layer by HEAD, and then reads each. Lists
//! are made over as many images as there are requests. Other than there, preparing is not measured, and nothing is
//! deleted at the end.
//!
//! Two of its eighteen, `On-demand Sync 100MB` and `On-demand Sync 1GB`, measure a mirror, which needs a registry to copy from.

use async_trait::async_trait;

use super::{Load, Scale, Turn, Workload, many};
use crate::blob::{Blob, unique};
use crate::client::Connection;
use crate::failure::Outcome;
use crate::peer::Peer;
use crate::protocol;

const SMALL: u64 = 1;
const MEDIUM: u64 = 10;
const LARGE: u64 = 100;
/// Clients at a time: zb is usually run with ten.
const CLIENTS: usize = 10;
/// Images of the catalog.
const IMAGES: u64 = 100;

#[derive(Clone, Copy)]
enum Act {
    Catalog,
    Push,
    PushChunk,
    Pull,
    /// Three pulls, then a push.
    PullAndPush,
}

/// Of ten operations, how many are of which size.
type Sizes = &'static [u64];
const MIXED: Sizes = &[SMALL, MEDIUM, MEDIUM, MEDIUM, MEDIUM, SMALL, MEDIUM, MEDIUM, MEDIUM, LARGE];
const THIRDS: Sizes = &[SMALL, MEDIUM, LARGE];

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let tests: [(&str, Act, Sizes); 16] = [
        ("Get Catalog", Act::Catalog, &[SMALL]),
        ("Push Monolith 1MB", Act::Push, &[SMALL]),
        ("Push Monolith 10MB", Act::Push, &[MEDIUM]),
        ("Push Monolith 100MB", Act::Push, &[LARGE]),
        ("Push Chunk Streamed 1MB", Act::PushChunk, &[SMALL]),
        ("Push Chunk Streamed 10MB", Act::PushChunk, &[MEDIUM]),
        ("Push Chunk Streamed 100MB", Act::PushChunk, &[LARGE]),
        ("Pull 1MB", Act::Pull, &[SMALL]),
        ("Pull 10MB", Act::Pull, &[MEDIUM]),
        ("Pull 100MB", Act::Pull, &[LARGE]),
        ("Pull Mixed 20% 1MB, 70% 10MB, 10% 100MB", Act::Pull, MIXED),
        ("Push Monolith Mixed 20% 1MB, 70% 10MB, 10% 100MB", Act::Push, MIXED),
        ("Push Chunk Mixed 33% 1MB, 33% 10MB, 33% 100MB", Act::PushChunk, THIRDS),
        ("Pull 75% and Push 25% Mixed 1MB", Act::PullAndPush, &[SMALL]),
        ("Pull 75% and Push 25% Mixed 10MB", Act::PullAndPush, &[MEDIUM]),
        ("Pull 75% and Push 25% Mixed 100MB", Act::PullAndPush, &[LARGE]),
    ];
    let make = |(name, act, sizes): (&str, Act, Sizes)| {
        let images = IMAGES.min(scale.largest);
        let make = move || Zb { act, sizes, mebibyte: scale.mebibyte, images, stored: Vec::new() };
        let mut workload = Workload::new(scale, "zb", name, make);
        // The name stays as it is there.
        workload.connections = CLIENTS;
        workload
    };
    tests.into_iter().map(make).collect()
}

struct Zb {
    act: Act,
    sizes: Sizes,
    mebibyte: u64,
    images: u64,
    /// For each of the sizes: layer, configuration and repository of an image to pull.
    stored: Vec<(Blob, Blob, String)>,
}

#[async_trait(?Send)]
impl Load for Zb {
    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let mut at = peer.connect().await?;
        let mut layers: Vec<(u64, Blob)> = Vec::new();
        for size in self.sizes {
            if !layers.iter().any(|(of, _)| of == size) {
                layers.push((*size, Blob::new(size * self.mebibyte)));
            }
            let layer = layers.iter().find(|(of, _)| of == size).map(|(_, layer)| layer.clone());
            let layer = layer.unwrap_or_else(|| Blob::new(size * self.mebibyte));
            let (config, repository) = (Blob::new(200), format!("zb/{}", unique()));
            push(&mut at, &repository, &layer, &config, false).await?;
            self.stored.push((layer, config, repository));
        }
        if matches!(self.act, Act::Catalog) {
            let layer = &self.stored[0].0;
            many(peer, self.images, async |at, _| {
                push(at, &format!("zb/{}", unique()), layer, &Blob::new(200), false).await.map(drop)
            })
            .await?;
        }
        Ok(())
    }

    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64> {
        let index = usize::try_from(turn.number).unwrap_or(0) % self.stored.len();
        let (layer, config, repository) = &self.stored[index];
        match self.act {
            Act::Catalog => protocol::get(at, "/v2/_catalog").await,
            Act::Pull => pull(at, repository, layer, config).await,
            Act::PullAndPush if turn.number % 4 != 3 => pull(at, repository, layer, config).await,
            Act::PullAndPush | Act::Push => push(at, &format!("zb/{}", unique()), layer, &Blob::new(200), false).await,
            Act::PushChunk => push(at, &format!("zb/{}", unique()), layer, &Blob::new(200), true).await,
        }
    }
}

async fn push(at: &mut Connection, repository: &str, layer: &Blob, config: &Blob, in_chunk: bool) -> Outcome<u64> {
    let mut bytes = 0;
    for blob in [layer, config] {
        bytes += if in_chunk {
            protocol::push_chunked(at, repository, blob, blob.size()).await?
        } else {
            protocol::push_whole(at, repository, blob).await?
        };
    }
    let manifest = protocol::manifest(config, std::slice::from_ref(layer));
    Ok(bytes + protocol::push_manifest(at, repository, "tag", manifest).await?)
}

async fn pull(at: &mut Connection, repository: &str, layer: &Blob, config: &Blob) -> Outcome<u64> {
    let manifest = protocol::manifest_path(repository, "tag");
    let (config, layer) = (config.digest(), layer.digest());
    let paths = [manifest, protocol::blob_path(repository, config), protocol::blob_path(repository, layer)];
    let mut bytes = 0;
    for path in paths {
        protocol::head(at, &path).await?;
        bytes += protocol::get(at, &path).await?;
    }
    Ok(bytes)
}
