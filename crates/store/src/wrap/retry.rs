//! Repeats what failed for a reason that may pass.
//!
//! Everything may be repeated: reads and listings change nothing; [`crate::Records::put`] and [`crate::Records::delete`]
//! leave what they would have left; a conditional put may then find its own write and answer [`crate::Put::Lost`], which its callers
//! know; data are written under ids that are used once. A repeated [`crate::Data::start`] may leave a second upload behind; it
//! holds no parts, belongs to the family, and goes when the family is swept.
//!
//! An attempt that was not answered may take effect after the one that was. So a key that is written or removed without a
//! condition is not to be used for something else afterwards.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::call::{Answer, Call, Operation};
use super::outage::Outage;
use super::{Layer, Reading};
use crate::{DataStream, StoreError, StoreResult};

/// How failed attempts are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// The pause after the first attempt, which doubles with every further one. Up to half of it is taken off at random.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// No attempt begins later than this after the first.
    pub total: Duration,
    /// Of a hundred calls of the process so many may be repeated, so that retries do not keep a weak store down.
    pub percent: u32,
    /// This many a second may be repeated in any case.
    pub minimum: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
            total: Duration::from_secs(20),
            percent: 10,
            minimum: 10,
        }
    }
}

/// The price of a retry; a call earns [`Retries::percent`] of it.
const PRICE: u64 = 100;
/// The most that is saved up, in retries, over what a second brings.
const SAVED: u64 = 100;

/// What may be spent on retries.
#[derive(Debug)]
struct Budget {
    saved: u64,
    /// When the minimum was last paid in.
    paid: Instant,
}

/// The layer.
#[derive(Debug)]
pub(super) struct Retry {
    options: Retries,
    budget: Mutex<Budget>,
    outage: Outage,
}

/// The attempts of one call.
struct Attempts {
    begun: Instant,
    failed: u32,
}

impl Attempts {
    fn begin() -> Self {
        Self { begun: Instant::now(), failed: 0 }
    }
}

impl Retry {
    pub(super) fn new(options: Retries) -> Self {
        let saved = (SAVED + u64::from(options.minimum)) * PRICE;
        let budget = Mutex::new(Budget { saved, paid: Instant::now() });
        Self { options, budget, outage: Outage::new(options.total) }
    }

    /// Pays in for a call, and what the time since the last one brought; takes out for a retry. Answers whether there was enough.
    fn settle(&self, earned: u64, price: u64) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let minimum = u64::from(self.options.minimum) * PRICE;
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(budget.paid);
        let brought = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_mul(minimum) / 1000;
        if brought > 0 {
            budget.paid = now;
        }
        let saved = budget.saved.saturating_add(brought).saturating_add(earned).min(SAVED * PRICE + minimum);
        let is_enough = saved >= price;
        budget.saved = if is_enough { saved - price } else { saved };
        is_enough
    }

    /// Waits before the next attempt, or answers the error where there is to be none.
    async fn pause(&self, attempts: &mut Attempts, call: &Call<'_>, error: StoreError) -> StoreResult<()> {
        if !error.is_transient() {
            return Err(error);
        }
        let pause = self.next_pause(attempts.failed);
        let is_late = attempts.begun.elapsed() + pause > self.options.total;
        if is_late || self.outage.is_on() || !self.settle(0, PRICE) {
            return Err(error);
        }
        attempts.failed += 1;
        tracing::debug!(operation = call.operation.name(), what = call.what, %error, ?pause, "once more");
        sleep(pause).await;
        Ok(())
    }

    /// Makes an attempt, unless the store is away.
    async fn attempt<T>(&self, call: &Call<'_>, attempt: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        if !self.outage.admits() {
            let why = format!("it has answered nothing for {:?} and more", self.options.total);
            return Err(StoreError::unavailable(call.operation.name(), call.what, why));
        }
        let begun = Instant::now();
        let result = attempt.await;
        match &result {
            Err(error) if error.is_transient() => self.outage.not_answered(begun),
            _ => self.outage.answered(),
        }
        result
    }

    fn next_pause(&self, failed: u32) -> Duration {
        let whole = self.options.first_pause.saturating_mul(1 << failed.min(16)).min(self.options.longest_pause);
        whole.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

impl Layer for Retry {
    async fn around<'a, T, F>(&'a self, call: Call<'a>, attempt: F) -> StoreResult<T>
    where
        T: Answer,
        F: Fn() -> BoxFuture<'a, StoreResult<T>> + Send + Sync,
    {
        self.settle(u64::from(self.options.percent), 0);
        let mut attempts = Attempts::begin();
        loop {
            match self.attempt(&call, attempt()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(&mut attempts, &call, error).await?,
            }
        }
    }

    fn stream(self: Arc<Self>, reading: Reading, stream: DataStream) -> DataStream {
        let resuming = Resuming { retry: self, reading, stream: Some(stream), attempts: Attempts::begin() };
        futures::stream::unfold(Some(resuming), |resuming| async move {
            let mut resuming = resuming?;
            match resuming.next().await? {
                Ok(bytes) => Some((Ok(bytes), Some(resuming))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}

/// A read that goes on where it broke off.
struct Resuming {
    retry: Arc<Retry>,
    /// Its range is what is still to come.
    reading: Reading,
    stream: Option<DataStream>,
    attempts: Attempts,
}

impl Resuming {
    async fn next(&mut self) -> Option<StoreResult<Bytes>> {
        // The reader may have taken its time over the last bytes: that is no fault of the store.
        self.attempts = Attempts::begin();
        loop {
            let error = match self.attempt().await {
                Ok(next) => return next.map(Ok),
                Err(error) => error,
            };
            self.stream = None;
            let call = Call::new(Operation::Read, self.reading.generation.as_str());
            if let Err(error) = self.retry.pause(&mut self.attempts, &call, error).await {
                return Some(Err(error));
            }
        }
    }

    async fn attempt(&mut self) -> StoreResult<Option<Bytes>> {
        let Reading { data, generation, range } = &mut self.reading;
        if range.is_empty() {
            return Ok(None);
        }
        let (stream, is_new) = match &mut self.stream {
            Some(stream) => (stream, false),
            none => {
                let call = Call::new(Operation::Read, generation.as_str());
                let read = self.retry.attempt(&call, data.read(generation, range.clone())).await?;
                (none.insert(read), true)
            }
        };
        match stream.next().await.transpose()? {
            Some(bytes) => {
                range.start += bytes.len() as u64;
                Ok(Some(bytes))
            }
            None if is_new => Err(StoreError::corrupt(generation, format!("it ends before {}", range.start))),
            None => Err(StoreError::unavailable("read", generation, format!("it broke off before {}", range.start))),
        }
    }
}
