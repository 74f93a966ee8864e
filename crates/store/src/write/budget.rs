//! The memory that all writers of a process share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{StoreError, StoreResult};

/// The grain in which memory is counted, in bytes.
const GRAIN: u64 = 4096;
/// How long a writer waits for memory.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that writers may hold together. Whoever waits longest is served first.
#[derive(Debug)]
pub struct Budget {
    permits: Arc<Semaphore>,
    grains: u32,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let grains = u32::try_from(bytes / GRAIN).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 3);
        Self { permits: Arc::new(Semaphore::new(grains as usize)), grains }
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        u64::from(self.grains) * GRAIN
    }

    /// Reserves memory. A writer reserves once, before it buffers, and never waits for more while it holds that: so no two
    /// writers wait for each other.
    ///
    /// # Errors
    /// When there is none for a minute.
    pub async fn reserve(&self, bytes: u64) -> StoreResult<OwnedSemaphorePermit> {
        let wait = self.permits.clone().acquire_many_owned(self.grains_of(bytes));
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(e)) => Err(StoreError::unavailable("reserve", "upload memory", e)),
            Err(_) => Err(StoreError::unavailable("reserve", "upload memory", "too many uploads at once")),
        }
    }

    /// Reserves memory if there is some at once.
    pub(crate) fn try_reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_many_owned(self.grains_of(bytes)).ok()
    }

    /// More than there is counts as all.
    fn grains_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(GRAIN)).unwrap_or(u32::MAX).min(self.grains)
    }
}
