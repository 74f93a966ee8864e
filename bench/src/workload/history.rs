//! The check for a layer, which every push makes, in repositories with a longer and longer history.

use std::sync::Mutex;

use async_trait::async_trait;

use super::{Load, Scale, Turn, Workload, many};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::Outcome;
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/history";

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let mut workloads = Vec::new();
    for images in scale.counts(&[10, 100, 1_000, 10_000]) {
        for (what, is_there) in [("the last layer", true), ("a layer that is not there", false)] {
            let name = format!("HEAD of {what}, {images} images");
            let make = move || History { images, is_there, path: String::new() };
            workloads.push(Workload::new(scale, "history", &name, make));
        }
    }
    workloads
}

struct History {
    images: u64,
    is_there: bool,
    path: String,
}

#[async_trait(?Send)]
impl Load for History {
    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let last = Mutex::new(String::new());
        many(peer, self.images, async |at, number| {
            let (config, layer) = (Blob::new(64), Blob::new(64));
            protocol::push_whole(at, REPOSITORY, &config).await?;
            protocol::push_whole(at, REPOSITORY, &layer).await?;
            let digest = layer.digest().to_owned();
            let manifest = protocol::manifest(&config, &[layer]);
            protocol::push_manifest(at, REPOSITORY, &format!("v{number}"), manifest).await?;
            if let Ok(mut last) = last.lock() {
                *last = digest;
            }
            Ok(())
        })
        .await?;
        let last = last.into_inner().unwrap_or_default();
        let missing = Blob::new(64);
        self.path = protocol::blob_path(REPOSITORY, if self.is_there { &last } else { missing.digest() });
        Ok(())
    }

    async fn operate(&self, at: &mut Connection, _: Turn) -> Outcome<u64> {
        if self.is_there {
            protocol::head(at, &self.path).await?;
        } else {
            protocol::head_missing(at, &self.path).await?;
        }
        Ok(0)
    }
}
