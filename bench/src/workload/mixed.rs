//! What a registry of a cluster sees: mostly checks and pulls, now and then a push.

use async_trait::async_trait;

use super::image::Image;
use super::{Load, Scale, Turn, Workload};
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/mixed";
/// Of so many operations one is a push, and `PULLS` are pulls of a blob.
const CYCLE: u64 = 20;
const PULLS: u64 = 5;

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let size = scale.mib(1) / 16;
    let name = "14 manifests, 5 blobs of 64 KiB, 1 image push";
    let make = move || Mixed { size, blob: String::new(), images: Vec::new() };
    vec![Workload::new(scale, "mixed", name, make).connections(16).most(20_000)]
}

struct Mixed {
    size: u64,
    blob: String,
    images: Vec<Image>,
}

#[async_trait(?Send)]
impl Load for Mixed {
    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let image = Image::new(1, self.size);
        let mut at = peer.connect().await?;
        image.push(&mut at, REPOSITORY, "latest").await?;
        self.blob = protocol::blob_path(REPOSITORY, image.blobs[1].digest());
        Ok(())
    }

    async fn ready(&mut self, operations: u64) -> Outcome<()> {
        self.images = (0..operations.div_ceil(CYCLE)).map(|_| Image::new(1, self.size)).collect();
        Ok(())
    }

    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64> {
        match turn.number % CYCLE {
            0 => {
                let image = usize::try_from(turn.number / CYCLE).ok().and_then(|number| self.images.get(number));
                let image = image.ok_or_else(|| Failure::Usage("no image was made".to_owned()))?;
                image.push(at, REPOSITORY, &format!("v{}-{}", turn.run, turn.number)).await
            }
            1..=PULLS => protocol::get(at, &self.blob).await,
            _ => protocol::get(at, &protocol::manifest_path(REPOSITORY, "latest")).await,
        }
    }
}
