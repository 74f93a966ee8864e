//! So many a second.
//!
//! A bucket is one number: the time at which it would be full again if nothing more were taken (the generic cell rate algorithm).
//! There are so many buckets at most; of those beyond, the least used are forgotten, which lets their clients begin afresh.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

/// A hundred bytes each.
const MOST: usize = 1 << 16;
const SECOND: u64 = 1_000_000_000;

/// Buckets by whatever names them.
#[derive(Debug)]
pub(crate) struct Buckets {
    full_at: Cache<u64, Arc<AtomicU64>>,
    /// Seeded afresh at each start, so that nobody can choose names that fall together.
    hasher: RandomState,
    began: Instant,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { full_at: Cache::new(MOST), hasher: RandomState::new(), began: Instant::now() }
    }
}

impl Buckets {
    /// Takes one out of a bucket that holds, and is refilled by, `rate` a second; else answers when there is one again.
    pub(crate) fn take(&self, name: impl Hash, rate: NonZeroU32) -> Result<(), Duration> {
        self.take_at(self.began.elapsed(), name, rate)
    }

    fn take_at(&self, now: Duration, name: impl Hash, rate: NonZeroU32) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let name = self.hasher.hash_one(name);
        let bucket = self.full_at.get_or_insert_with(&name, || Ok::<_, Infallible>(Arc::default()));
        let Ok(bucket) = bucket;
        let each = SECOND / u64::from(rate.get());
        let mut wait = Duration::ZERO;
        let taken = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now).saturating_add(each);
            wait = Duration::from_nanos(next.saturating_sub(now.saturating_add(SECOND)));
            wait.is_zero().then_some(next)
        });
        taken.map(|_| ()).map_err(|_| wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_second_and_refills() {
        let buckets = Buckets::default();
        let rate = NonZeroU32::new(4).unwrap();
        let take = |millis| buckets.take_at(Duration::from_millis(millis), "a", rate);
        let burst = |millis| (0..10).filter(|_| take(millis).is_ok()).count();
        assert_eq!(burst(5), 4);
        assert_eq!(take(5), Err(Duration::from_millis(250)));
        assert_eq!(take(254), Err(Duration::from_millis(1)));
        assert_eq!(burst(255), 1);
        assert_eq!(burst(100_000), 4, "it does not overflow");
        assert!(buckets.take("b", rate).is_ok());
    }
}
