//! Counts calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::call::{Answer, Call, Operation};
use super::{Layer, Reading};
use crate::{DataStream, StoreError, StoreResult};

/// What was called so far. Reading it costs nothing to the calls.
#[derive(Debug, Default)]
pub struct Counts {
    of: [OfOne; Operation::ALL.len()],
    /// Calls that wait for their turn.
    waiting: AtomicU64,
}

/// The counters of one kind of call.
#[derive(Debug, Default)]
struct OfOne {
    calls: AtomicU64,
    answered: AtomicU64,
    errors: AtomicU64,
    given_up: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    micros: AtomicU64,
}

/// How often one kind of call was made, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// The kind.
    pub operation: Operation,
    /// Calls that began.
    pub calls: u64,
    /// Calls that were answered. A read counts here once it begins.
    pub answered: u64,
    /// Calls that failed; to find nothing, or a family busy, is no failure. A read may fail after it was answered.
    pub errors: u64,
    /// Calls whose caller did not wait for the answer, or for all of a read: a deadline was missed or a request dropped.
    pub given_up: u64,
    /// Bytes of content that went to the store, in attempts that failed too.
    pub sent: u64,
    /// Bytes of content that came from the store.
    pub received: u64,
    /// The time that all calls together took until they were answered, or failed.
    pub time: Duration,
}

impl Counts {
    /// All counts, one for each kind of call.
    #[must_use]
    pub fn snapshot(&self) -> Vec<CallCount> {
        Operation::ALL.iter().map(|&operation| self.one(operation)).collect()
    }

    /// The counts of one kind of call.
    #[must_use]
    pub fn one(&self, operation: Operation) -> CallCount {
        let of = self.of(operation);
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCount {
            operation,
            calls: now(&of.calls),
            answered: now(&of.answered),
            errors: now(&of.errors),
            given_up: now(&of.given_up),
            sent: now(&of.sent),
            received: now(&of.received),
            time: Duration::from_micros(now(&of.micros)),
        }
    }

    /// How many calls wait for their turn at this moment: see [`super::Limits`].
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A call waits for its turn as long as the answer is there.
    pub(super) fn wait(self: &Arc<Self>) -> InLine {
        add(&self.waiting, 1);
        InLine(self.clone())
    }

    fn of(&self, operation: Operation) -> &OfOne {
        &self.of[operation as usize]
    }
}

/// See [`Counts::wait`].
#[derive(Debug)]
pub(super) struct InLine(Arc<Counts>);

impl Drop for InLine {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OfOne {
    fn failed(&self, error: &StoreError) {
        let is_answer = matches!(error, StoreError::NotFound { .. } | StoreError::Busy { .. });
        add(if is_answer { &self.answered } else { &self.errors }, 1);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// The layer.
#[derive(Debug)]
pub(super) struct Count(Arc<Counts>);

impl Count {
    pub(super) const fn new(counts: Arc<Counts>) -> Self {
        Self(counts)
    }
}

/// Counts a call as given up unless it ended.
struct Waiting {
    counts: Arc<Counts>,
    operation: Operation,
    is_over: bool,
}

impl Waiting {
    fn new(counts: Arc<Counts>, operation: Operation) -> Self {
        Self { counts, operation, is_over: false }
    }

    fn of(&self) -> &OfOne {
        self.counts.of(self.operation)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_over {
            add(&self.of().given_up, 1);
        }
    }
}

impl Layer for Count {
    async fn around<'a, T, F>(&'a self, call: Call<'a>, attempt: F) -> StoreResult<T>
    where
        T: Answer,
        F: Fn() -> BoxFuture<'a, StoreResult<T>> + Send + Sync,
    {
        let mut waiting = Waiting::new(self.0.clone(), call.operation);
        super::tally::count();
        add(&waiting.of().calls, 1);
        add(&waiting.of().sent, call.sent);
        let began = Instant::now();
        let result = attempt().await;
        waiting.is_over = true;
        add(&waiting.of().micros, u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        match &result {
            Ok(answer) => {
                add(&waiting.of().answered, 1);
                add(&waiting.of().received, answer.received());
            }
            Err(error) => waiting.of().failed(error),
        }
        result
    }

    fn stream(self: Arc<Self>, reading: Reading, stream: DataStream) -> DataStream {
        let missing = reading.range.end.saturating_sub(reading.range.start);
        let mut waiting = Waiting::new(self.0.clone(), Operation::Read);
        waiting.is_over = missing == 0;
        futures::stream::unfold((stream, waiting, missing), |(mut stream, mut waiting, mut missing)| async move {
            let next = stream.next().await;
            match &next {
                Some(Ok(bytes)) => {
                    add(&waiting.of().received, bytes.len() as u64);
                    missing = missing.saturating_sub(bytes.len() as u64);
                    // Who has it all need not ask for more.
                    waiting.is_over = missing == 0;
                }
                Some(Err(error)) => {
                    waiting.is_over = true;
                    waiting.of().failed(error);
                }
                None => waiting.is_over = true,
            }
            next.map(|item| (item, (stream, waiting, missing)))
        })
        .boxed()
    }
}
