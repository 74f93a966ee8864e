//! The memory that all writers of a process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{StoreError, StoreResult};

/// The grain in which memory is counted, in bytes.
const GRAIN: u64 = 4096;
/// How long a writer waits for memory.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a writer holds before it is known to be large.
const SMALL: u64 = 512 << 10;
/// The share of small holdings in the whole is one of so many.
const SMALL_SHARE: u64 = 4;
/// So many small holdings are the least that is worth a share of its own.
const SMALL_LEAST: u64 = 8;

/// Bytes that writers may hold together. Whoever waits longest is served first.
///
/// A part of them is for writers that hold little yet, so that small blobs, which are most of all, pass the large
/// ones. A writer that grows takes its whole holding at once and waits with the small one in its hand; one that has its
/// whole holding never waits for more. So no two writers wait for each other. While others wait, a writer gives its whole
/// holding back after each part and waits for its next turn, so that all go on and none is refused because others are long.
#[derive(Debug)]
pub struct Budget {
    small: Pool,
    whole: Pool,
}

#[derive(Debug)]
struct Pool {
    permits: Arc<Semaphore>,
    grains: u32,
    waiting: AtomicUsize,
}

/// Memory that a writer holds. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Holding {
    permit: OwnedSemaphorePermit,
    /// What may be buffered in it, in bytes.
    pub(super) bytes: u64,
    /// Whether more has to be waited for once this is full.
    pub(super) is_small: bool,
}

impl Budget {
    /// A budget of so many bytes. One writer always gets what it needs, even if that is more.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let has_small = bytes >= SMALL * SMALL_SHARE * SMALL_LEAST;
        let small = if has_small { bytes / SMALL_SHARE } else { 0 };
        Self { small: Pool::new(small / GRAIN), whole: Pool::new(((bytes - small) / GRAIN).max(1)) }
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        (u64::from(self.small.grains) + u64::from(self.whole.grains)) * GRAIN
    }

    /// What nobody holds, in bytes.
    #[must_use]
    pub fn free(&self) -> u64 {
        (self.small.permits.available_permits() + self.whole.permits.available_permits()) as u64 * GRAIN
    }

    /// How many writers wait for memory.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.small.waiting.load(Ordering::Relaxed) + self.whole.waiting.load(Ordering::Relaxed)
    }

    /// Whether others wait for what a whole holding takes.
    pub(super) fn is_wanted(&self) -> bool {
        self.whole.waiting.load(Ordering::Relaxed) > 0
    }

    /// Memory for a writer that holds nothing and wants to buffer `now`, of at most `most` later.
    ///
    /// # Errors
    /// When there is none for a minute.
    pub(super) async fn begin(&self, now: u64, most: u64) -> StoreResult<Holding> {
        if now > SMALL || most <= 2 * SMALL || self.small.grains == 0 {
            return self.whole(most).await;
        }
        let permit = self.small.wait(SMALL).await?;
        Ok(Holding { permit, bytes: SMALL, is_small: true })
    }

    /// Memory for a writer that holds nothing, or only a small holding, which it drops afterwards.
    ///
    /// # Errors
    /// When there is none for a minute.
    pub(super) async fn whole(&self, bytes: u64) -> StoreResult<Holding> {
        let permit = self.whole.wait(bytes).await?;
        Ok(Holding { permit, bytes, is_small: false })
    }

    /// Memory beside a whole holding, if there is some at once.
    pub(super) fn try_more(&self, bytes: u64) -> Option<Holding> {
        let permit = self.whole.permits.clone().try_acquire_many_owned(self.whole.grains_of(bytes)).ok()?;
        Some(Holding { permit, bytes, is_small: false })
    }
}

impl Holding {
    /// Both in one. Only for whole holdings.
    pub(super) fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
        self.bytes += other.bytes;
    }
}

/// Counts a writer among those that wait, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    fn new(grains: u64) -> Self {
        let grains = u32::try_from(grains).unwrap_or(u32::MAX).min(u32::MAX >> 3);
        Self { permits: Arc::new(Semaphore::new(grains as usize)), grains, waiting: AtomicUsize::new(0) }
    }

    async fn wait(&self, bytes: u64) -> StoreResult<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_many_owned(self.grains_of(bytes)) {
            return Ok(permit);
        }
        let _counted = Counted::new(&self.waiting);
        let wait = self.permits.clone().acquire_many_owned(self.grains_of(bytes));
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(e)) => Err(StoreError::unavailable("reserve", "upload memory", e)),
            Err(_) => Err(StoreError::unavailable("reserve", "upload memory", "too many uploads at once")),
        }
    }

    /// More than there is counts as all.
    fn grains_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(GRAIN)).unwrap_or(u32::MAX).min(self.grains)
    }
}
