//! What registries are loaded with. A file a family; each lists its workloads in `all`.

mod blob;
mod history;
mod image;
mod list;
mod manifest;
mod mixed;
mod push;
mod tags;
mod zb;

use std::time::Duration;

use async_trait::async_trait;

use crate::client::Connection;
use crate::failure::Outcome;
use crate::peer::Peer;

/// How large everything is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// How long a run goes on.
    pub length: Duration,
    /// Operations of a run at most.
    pub most: u64,
    /// Bytes that stand for a mebibyte.
    pub mebibyte: u64,
    /// The largest number of tags, images or repositories that is stored beforehand.
    pub largest: u64,
}

impl Scale {
    /// What is worth measuring.
    #[must_use]
    pub fn full(length: Duration, largest: u64) -> Self {
        Self { length, most: u64::MAX, mebibyte: 1 << 20, largest }
    }

    /// Only so much that each workload is seen to work.
    #[must_use]
    pub fn smoke() -> Self {
        Self { length: Duration::from_millis(50), most: 3, mebibyte: 1 << 10, largest: 5 }
    }

    fn mib(self, count: u64) -> u64 {
        count * self.mebibyte
    }

    /// These numbers, as far as they are wanted.
    fn counts(self, counts: &[u64]) -> Vec<u64> {
        let mut counts: Vec<u64> = counts.iter().map(|count| (*count).min(self.largest)).collect();
        counts.dedup();
        counts
    }
}

/// What a figure is worth: what it is compared with besides the other peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Hashing by one core, or writing to the disk, whichever is slower.
    HashOrDisk,
    /// A file sent by the kernel: the peer that only serves files.
    Files,
    /// Something that has no limit of the machine's.
    None,
}

/// A load, and how it is put on.
pub(crate) struct Workload {
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) length: Duration,
    /// Operations of a run at most.
    pub(crate) most: u64,
    pub(crate) bound: Bound,
    /// Whether bytes count, rather than requests.
    pub(crate) in_bytes: bool,
    make: Box<dyn Fn() -> Box<dyn Load>>,
}

impl Workload {
    /// A workload whose requests count.
    fn new<L: Load + 'static>(scale: Scale, family: &'static str, name: &str, make: impl Fn() -> L + 'static) -> Self {
        Self {
            family,
            name: name.to_owned(),
            connections: 1,
            length: scale.length,
            most: scale.most,
            bound: Bound::None,
            in_bytes: false,
            make: Box::new(move || Box::new(make())),
        }
    }

    fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        if connections > 1 {
            self.name = format!("{}, {connections} connections", self.name);
        }
        self
    }

    /// No more than so many operations a run.
    fn most(mut self, most: u64) -> Self {
        self.most = self.most.min(most);
        self
    }

    fn bound(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    fn in_bytes(mut self) -> Self {
        self.in_bytes = true;
        self
    }

    /// The load, for one peer.
    pub(crate) fn load(&self) -> Box<dyn Load> {
        (self.make)()
    }
}

/// Which operation of which run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) run: u64,
    pub(crate) number: u64,
}

/// What is done to one peer.
#[async_trait(?Send)]
pub(crate) trait Load {
    /// Whether a server of files will do.
    fn only_reads(&self) -> bool {
        false
    }

    /// Stores what is needed. Not measured.
    async fn prepare(&mut self, peer: &Peer) -> Outcome<()>;

    /// Makes what the operations of the next run need. Not measured.
    async fn ready(&mut self, _operations: u64) -> Outcome<()> {
        Ok(())
    }

    /// One operation; answers how many bytes of content moved.
    async fn operate(&self, at: &mut Connection, turn: Turn) -> Outcome<u64>;
}

/// All workloads.
pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let families = [
        manifest::all(scale),
        blob::all(scale),
        push::all(scale),
        tags::all(scale),
        history::all(scale),
        image::all(scale),
        list::all(scale),
        mixed::all(scale),
        zb::all(scale),
    ];
    families.into_iter().flatten().collect()
}

/// Does something `count` times, over several connections.
pub(crate) async fn many<F>(peer: &Peer, count: u64, each: F) -> Outcome<()>
where
    F: AsyncFn(&mut Connection, u64) -> Outcome<()>,
{
    const CONNECTIONS: u64 = 32;
    let next = std::cell::Cell::new(0);
    let work = |_| async {
        let mut at = peer.connect().await?;
        while next.get() < count {
            let number = next.replace(next.get() + 1);
            each(&mut at, number).await?;
        }
        Ok(())
    };
    futures::future::try_join_all((0..CONNECTIONS.min(count)).map(work)).await.map(drop)
}
