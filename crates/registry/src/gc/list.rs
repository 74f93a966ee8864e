//! Working off the list of due entries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use wharf_store::{ListRequest, StoreResult};

use super::{Counters, Outcome, work};
use crate::core::Core;
use crate::due::{self, Due, Place};
use crate::error::Result;
use crate::key::Key;
use crate::record;
use crate::registry::Registry;

/// How many entries one page of the list has.
const PAGE: usize = 500;
/// How many entries are worked on at once.
const AT_ONCE: usize = 4;

/// What collectors of this process did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs whose last holder was gone.
    pub blobs: u64,
    /// Bytes that were freed.
    pub bytes: u64,
    /// Upload sessions that had expired or ended.
    pub uploads: u64,
    /// Pushes that never became part of their repository, and manifests that were deleted.
    pub pushes: u64,
    /// Segments that no root named any more.
    pub segments: u64,
    /// Blobs that were found needed.
    pub kept: u64,
    /// Entries that were put off.
    pub postponed: u64,
    /// Entries that could not be worked on because the store failed.
    pub errors: u64,
}

/// Works off what is due.
#[derive(Clone, Debug)]
pub struct Collector {
    core: Arc<Core>,
}

impl Registry {
    /// The collector of this registry.
    #[must_use]
    pub fn collector(&self) -> Collector {
        Collector { core: self.core.clone() }
    }
}

impl Collector {
    /// Collects every `interval` until `stop`.
    pub async fn run(&self, interval: Duration, stop: CancellationToken) {
        loop {
            // Replicas that were started together do not stay in step.
            let part = u32::from(self.core.env.random() as u8) + 128;
            let pause = interval.saturating_mul(part) / 256;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                result = self.run_once() => if let Err(e) = result {
                    tracing::warn!(error = %e, "the collector could not read its work list; it tries again later");
                }
            }
        }
    }

    /// Works once on everything that is due now. Answers how many entries it looked at.
    ///
    /// # Errors
    /// When the list cannot be read. An entry that fails is counted and stays.
    pub async fn run_once(&self) -> Result<u64> {
        let (core, now) = (&self.core, self.core.now());
        let (mut after, mut seen) = (None::<String>, 0);
        loop {
            let request = ListRequest { prefix: Key::DUE, after: after.as_deref(), fold: false, limit: PAGE };
            let page = core.records.list(request).await?;
            let mut places: Vec<Place> = page
                .entries
                .iter()
                .filter_map(|entry| match entry.key.parse() {
                    Ok(Key::Due(time, id)) => Some(Place { time, id }),
                    _ => None,
                })
                .take_while(|place| place.time <= now)
                .collect();
            let is_last = places.len() < page.entries.len();
            seen += places.len() as u64;
            shuffle(core, &mut places);
            futures::stream::iter(places).for_each_concurrent(AT_ONCE, |place| self.look_at(place)).await;
            match page.next {
                Some(next) if !is_last => after = Some(next),
                _ => return Ok(seen),
            }
        }
    }

    /// What was collected since the process started.
    #[must_use]
    pub fn collected(&self) -> Collected {
        let c = &self.core.counters;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Collected {
            blobs: read(&c.blobs),
            bytes: read(&c.bytes),
            uploads: read(&c.uploads),
            pushes: read(&c.pushes),
            segments: read(&c.segments),
            kept: read(&c.kept),
            postponed: read(&c.postponed),
            errors: read(&c.errors),
        }
    }

    async fn look_at(&self, place: Place) {
        let core = &self.core;
        if let Err(e) = self.work_on(place).await {
            Counters::add(&core.counters.errors, 1);
            tracing::warn!(error = %e, "an entry of the collector's work list stays for later");
        }
    }

    async fn work_on(&self, place: Place) -> Result<()> {
        let core = &self.core;
        let key = Key::Due(place.time, place.id);
        // Another replica may have finished it since it was listed.
        let Some(cell) = record::load::<Due>(core.records.as_ref(), &key).await? else { return Ok(()) };
        match work(core, &cell.value).await? {
            Outcome::Finished => Ok(due::remove(core, place).await?),
            Outcome::Later(time) => Ok(move_to(core, place, time, &cell.value).await?),
            Outcome::Again => {
                Counters::add(&core.counters.postponed, 1);
                Ok(())
            }
        }
    }
}

/// Moves an entry: first the new one, then the old one goes.
async fn move_to(core: &Core, old: Place, time: crate::env::Seconds, due: &Due) -> StoreResult<()> {
    Counters::add(&core.counters.postponed, 1);
    due::put_at(core, Place { time, id: core.id() }, due).await?;
    due::remove(core, old).await
}

/// A random order, so that replicas seldom meet on one entry.
fn shuffle(core: &Core, places: &mut [Place]) {
    for i in (1..places.len()).rev() {
        let j = (core.env.random() % (i as u128 + 1)) as usize;
        places.swap(i, j);
    }
}
