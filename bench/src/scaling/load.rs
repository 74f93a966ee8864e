//! The clients.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures::future::try_join_all;

use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::Outcome;
use crate::protocol;

/// Mebibytes of blobs, in turn. Large enough that a push sends parts on to the bucket while it still takes in others, and so uses
/// both directions of a link at once; different, so that clients do not keep step.
pub(super) const SIZES: [u64; 4] = [8, 6, 10, 7];
/// Clients for each replica.
pub(super) const CLIENTS: usize = 6;
const REPOSITORY: &str = "bench/scaling";
/// Until all links are busy in both directions. Clients begin one after the other in this time: of those that begin at once, all take
/// in first and all send on afterwards, for a while.
const WARM_UP: Duration = Duration::from_secs(5);

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Pull,
    Push,
}

/// Clients of a balancer.
#[derive(Debug)]
pub(super) struct Load {
    address: String,
    clients: usize,
    window: Duration,
}

/// Stores what is pulled.
pub(super) async fn fill(address: &str) -> Outcome<()> {
    let mut at = Connection::open(address).await?;
    for blob in blobs() {
        protocol::push_whole(&mut at, REPOSITORY, blob).await?;
    }
    let manifest = protocol::manifest(&blobs()[0], &blobs()[1..]);
    protocol::push_manifest(&mut at, REPOSITORY, "latest", manifest).await.map(drop)
}

fn blobs() -> &'static [Blob] {
    static BLOBS_TO_PULL: OnceLock<Vec<Blob>> = OnceLock::new();
    BLOBS_TO_PULL.get_or_init(|| SIZES.iter().map(|size| Blob::new(size << 20)).collect())
}

impl Load {
    /// Clients of so many replicas behind this `host:port`.
    pub(super) fn new(address: &str, replicas: usize, seconds: f64) -> Self {
        let window = Duration::from_secs_f64(seconds.clamp(0.1, 600.0));
        Self { address: address.to_owned(), clients: CLIENTS * replicas, window }
    }

    /// All clients together, in megabits a second.
    pub(super) async fn run(&self, way: Way) -> Outcome<f64> {
        let begin = Instant::now() + WARM_UP;
        let end = begin + self.window;
        let clients = (0..self.clients).map(|number| async move {
            tokio::time::sleep(WARM_UP.mul_f64(number as f64 / self.clients as f64)).await;
            let mut at = Connection::open(&self.address).await?;
            let mut bytes = 0.0;
            let mut count = number;
            while Instant::now() < end {
                let from = Instant::now();
                let size = match way {
                    Way::Pull => {
                        let blob = &blobs()[count % SIZES.len()];
                        protocol::get(&mut at, &protocol::blob_path(REPOSITORY, blob.digest())).await?
                    }
                    Way::Push => {
                        let blob = Blob::new(SIZES[count % SIZES.len()] << 20);
                        protocol::push_whole(&mut at, REPOSITORY, &blob).await?
                    }
                };
                bytes += size as f64 * share((from, Instant::now()), (begin, end));
                count += 1;
            }
            Outcome::Ok(bytes)
        });
        let bytes: f64 = try_join_all(clients).await?.into_iter().sum();
        Ok(bytes * 8.0 / 1e6 / self.window.as_secs_f64())
    }
}

/// The part of an operation that lies in the window. What began before or ended after it counts in part, so that the window's ends
/// do not matter.
fn share(operation: (Instant, Instant), window: (Instant, Instant)) -> f64 {
    let inside = operation.1.min(window.1).saturating_duration_since(operation.0.max(window.0));
    inside.as_secs_f64() / operation.1.duration_since(operation.0).as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_does_not_count() {
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        let now = at(0);
        let of = |from, to| {
            share(
                (now + Duration::from_secs(from), now + Duration::from_secs(to)),
                (now + Duration::from_secs(10), now + Duration::from_secs(20)),
            )
        };
        assert_eq!([of(12, 14), of(5, 15), of(19, 23), of(0, 40), of(2, 4)], [1.0, 0.5, 0.25, 0.25, 0.0]);
    }
}
