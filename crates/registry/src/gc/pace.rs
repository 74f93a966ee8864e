//! How fast a collector may go: so many calls of the store a second, and slower while requests need the store.
//!
//! It is kept between entries of the work list: the calls of an entry follow each other as they always do, and are paid for
//! afterwards. So nobody ever waits for a collector that waits in the middle of something.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// The longest pause before an entry while the load is high: garbage that grows under load is still worked off.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pause between two looks at the load.
const LOOK: Duration = Duration::from_millis(25);

/// Whether others need the store at this moment.
pub trait Load: fmt::Debug + Send + Sync {
    /// Whether a collector should wait.
    fn is_high(&self) -> bool;
}

/// See the module. Its figures may change at any time.
#[derive(Debug)]
pub struct Pace {
    load: Box<dyn Load>,
    calls_per_second: AtomicU64,
    /// In seconds.
    patience: AtomicU64,
    /// When everything is paid for that was spent.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// A pace that heeds this load.
    #[must_use]
    pub fn new(load: Box<dyn Load>) -> Self {
        Self { load, calls_per_second: AtomicU64::new(0), patience: AtomicU64::new(u64::MAX), paid: Mutex::default() }
    }

    /// Calls of the store that all entries together may make in a second, on average; 0 is any number. An entry that has been due for
    /// longer than `patience` heeds no load any more.
    pub fn set(&self, calls_per_second: u64, patience: Duration) {
        self.calls_per_second.store(calls_per_second, Ordering::Relaxed);
        self.patience.store(patience.as_secs(), Ordering::Relaxed);
    }

    /// Waits for the turn of an entry that has been due for `overdue`.
    pub(super) async fn turn(&self, overdue: Duration) {
        if overdue.as_secs() < self.patience.load(Ordering::Relaxed) {
            let latest = Instant::now() + LONGEST_PAUSE;
            while self.load.is_high() && Instant::now() < latest {
                sleep(LOOK).await;
            }
        }
        // Others may spend meanwhile.
        while let Some(paid) = self.owed() {
            sleep_until(paid).await;
        }
    }

    /// An entry made so many calls.
    pub(super) fn spent(&self, calls: u64) {
        let rate = self.calls_per_second.load(Ordering::Relaxed);
        if rate == 0 {
            *self.lock() = None;
            return;
        }
        let mut paid = self.lock();
        let from = paid.map_or_else(Instant::now, |paid| paid.max(Instant::now()));
        *paid = Some(from + Duration::from_micros(calls.saturating_mul(1_000_000) / rate));
    }

    fn owed(&self) -> Option<Instant> {
        self.lock().filter(|paid| *paid > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Switch(Arc<AtomicBool>);

    impl Load for Switch {
        fn is_high(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    async fn time_of(work: impl Future<Output = ()>) -> Duration {
        let began = Instant::now();
        work.await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_paid_for_afterwards() {
        let pace = Pace::new(Box::new(Switch::default()));
        pace.set(100, Duration::from_secs(60));
        assert_eq!(time_of(pace.turn(Duration::ZERO)).await, Duration::ZERO);
        pace.spent(10);
        pace.spent(20);
        assert_eq!(time_of(pace.turn(Duration::ZERO)).await, Duration::from_millis(300));
        pace.set(0, Duration::from_secs(60));
        pace.spent(1_000_000);
        assert_eq!(time_of(pace.turn(Duration::ZERO)).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn under_load_it_waits_and_still_goes_on() {
        let load = Switch::default();
        let pace = Pace::new(Box::new(load.clone()));
        pace.set(0, Duration::from_secs(60));
        load.0.store(true, Ordering::Relaxed);
        assert!(time_of(pace.turn(Duration::ZERO)).await >= LONGEST_PAUSE, "requests come first");
        assert_eq!(time_of(pace.turn(Duration::from_secs(61))).await, Duration::ZERO, "it waited long enough");
        load.0.store(false, Ordering::Relaxed);
        assert_eq!(time_of(pace.turn(Duration::ZERO)).await, Duration::ZERO);
    }
}
