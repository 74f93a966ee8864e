//! Whole images of ten layers, as clients push and pull them.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Load, Scale, Turn, Workload};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/images";
const LAYERS: u64 = 10;

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let size = scale.mib(1);
    let mut workloads = Vec::new();
    for (clients, images) in [(1, 16), (16, 48)] {
        let push = Workload::new(scale, "image", "image push, 10 layers of 1 MiB", move || Push::new(size));
        workloads.push(push.connections(clients).most(images).in_bytes());
    }
    for clients in [1, 16] {
        let pull = Workload::new(scale, "image", "image pull, 10 layers of 1 MiB", move || Pull::new(size));
        workloads.push(pull.connections(clients).in_bytes());
    }
    workloads
}

/// An image with blobs of its own.
pub(super) struct Image {
    pub(super) blobs: Vec<Blob>,
    pub(super) manifest: Bytes,
}

impl Image {
    pub(super) fn new(layers: u64, size: u64) -> Self {
        let mut blobs = vec![Blob::new(500)];
        blobs.extend((0..layers).map(|_| Blob::new(size)));
        let manifest = protocol::manifest(&blobs[0], &blobs[1..]);
        Self { blobs, manifest }
    }

    /// Each blob is asked for first, as clients do.
    pub(super) async fn push(&self, at: &mut Connection, repository: &str, tag: &str) -> Outcome<u64> {
        let mut bytes = 0;
        for blob in &self.blobs {
            protocol::head_missing(at, &protocol::blob_path(repository, blob.digest())).await?;
            bytes += protocol::push_streamed(at, repository, blob).await?;
        }
        Ok(bytes + protocol::push_manifest(at, repository, tag, self.manifest.clone()).await?)
    }
}

struct Push {
    size: u64,
    images: Vec<Image>,
}

impl Push {
    fn new(size: u64) -> Self {
        Self { size, images: Vec::new() }
    }
}

#[async_trait(?Send)]
impl Load for Push {
    async fn prepare(&mut self, _: &Peer) -> Outcome<()> {
        Ok(())
    }

    async fn ready(&mut self, operations: u64) -> Outcome<()> {
        self.images = (0..operations).map(|_| Image::new(LAYERS, self.size)).collect();
        Ok(())
    }

    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64> {
        let image = usize::try_from(turn.number).ok().and_then(|number| self.images.get(number));
        let image = image.ok_or_else(|| Failure::Usage("no image was made for this operation".to_owned()))?;
        image.push(at, REPOSITORY, &format!("v{}-{}", turn.run, turn.number)).await
    }
}

struct Pull {
    size: u64,
    blobs: Vec<String>,
}

impl Pull {
    fn new(size: u64) -> Self {
        Self { size, blobs: Vec::new() }
    }
}

#[async_trait(?Send)]
impl Load for Pull {
    fn only_reads(&self) -> bool {
        true
    }

    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let mut at = peer.connect().await?;
        let image = Image::new(LAYERS, self.size);
        for blob in &image.blobs {
            peer.store_blob(&mut at, REPOSITORY, blob).await?;
            self.blobs.push(protocol::blob_path(REPOSITORY, blob.digest()));
        }
        peer.store_manifest(&mut at, REPOSITORY, "latest", image.manifest).await.map(drop)
    }

    async fn operate(&self, at: &mut Connection, _: Turn) -> Outcome<u64> {
        let mut bytes = protocol::get(at, &protocol::manifest_path(REPOSITORY, "latest")).await?;
        for path in &self.blobs {
            bytes += protocol::get(at, path).await?;
        }
        Ok(bytes)
    }
}
