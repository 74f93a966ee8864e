//! Blobs pushed that no registry has seen.

use async_trait::async_trait;

use super::{Bound, Load, Scale, Turn, Workload};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/pushes";

#[derive(Clone, Copy)]
enum Way {
    Whole,
    Streamed,
    Chunked(u64),
}

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let make = |name: &str, size: u64, way: Way, connections: usize, most: u64| {
        let workload = Workload::new(scale, "push", name, move || Push { size, way, blobs: Vec::new() });
        workload.connections(connections).most(most).bound(Bound::HashOrDisk).in_bytes()
    };
    let mib = scale.mib(1);
    vec![
        make("blob push 1 KiB", 1 << 10, Way::Whole, 1, 2000),
        make("blob push 1 KiB", 1 << 10, Way::Whole, 16, 4000),
        make("blob push 1 MiB", mib, Way::Whole, 1, 256),
        make("blob push 1 MiB", mib, Way::Whole, 16, 512),
        make("blob push 100 MiB streamed", 100 * mib, Way::Streamed, 1, 8),
        make("blob push 100 MiB streamed", 100 * mib, Way::Streamed, 4, 8),
        make("blob push 1 GiB streamed", 1024 * mib, Way::Streamed, 1, 1),
        make("blob push 16 MiB in chunks of 1 MiB", 16 * mib, Way::Chunked(mib), 1, 32),
    ]
}

struct Push {
    size: u64,
    way: Way,
    blobs: Vec<Blob>,
}

#[async_trait(?Send)]
impl Load for Push {
    async fn prepare(&mut self, _: &Peer) -> Outcome<()> {
        Ok(())
    }

    async fn ready(&mut self, operations: u64) -> Outcome<()> {
        self.blobs = (0..operations).map(|_| Blob::new(self.size)).collect();
        Ok(())
    }

    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64> {
        let blob = usize::try_from(turn.number).ok().and_then(|number| self.blobs.get(number));
        let blob = blob.ok_or_else(|| Failure::Usage("no blob was made for this operation".to_owned()))?;
        match self.way {
            Way::Whole => protocol::push_whole(at, REPOSITORY, blob).await,
            Way::Streamed => protocol::push_streamed(at, REPOSITORY, blob).await,
            Way::Chunked(piece) => protocol::push_chunked(at, REPOSITORY, blob, piece).await,
        }
    }
}
