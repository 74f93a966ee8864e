//! The clock of a replica: virtual time, with jumps that the scheduler makes, and a skew of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use wharf_registry::Env;

use crate::scheduler::Scheduler;

/// Time and chance for the registry.
#[derive(Debug)]
pub struct SimEnv {
    scheduler: Arc<Scheduler>,
    begun: Instant,
    jumps: Arc<AtomicI64>,
    skew: i64,
}

impl SimEnv {
    /// The clock of one replica; all share the jumps.
    #[must_use]
    pub fn new(scheduler: Arc<Scheduler>, jumps: Arc<AtomicI64>, skew: i64) -> Self {
        Self { scheduler, begun: Instant::now(), jumps, skew }
    }
}

/// Lets time pass at once for everybody.
pub fn jump(jumps: &AtomicI64, by: Duration) {
    jumps.fetch_add(i64::try_from(by.as_secs()).unwrap_or(0), Ordering::Relaxed);
}

impl Env for SimEnv {
    fn now(&self) -> OffsetDateTime {
        let elapsed = i64::try_from(self.begun.elapsed().as_secs()).unwrap_or(0);
        let seconds = 1_700_000_000 + elapsed + self.jumps.load(Ordering::Relaxed) + self.skew;
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn random(&self) -> u128 {
        self.scheduler.bits()
    }
}
