//! Counts calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;
use futures::future::BoxFuture;

use super::call::{Answer, Call, Operation};
use super::{Layer, Reading};
use crate::{DataStream, StoreError, StoreResult};

/// What was called so far. Reading it costs nothing to the calls.
#[derive(Debug, Default)]
pub struct Counts {
    of: [OfOne; Operation::ALL.len()],
}

/// The counters of one kind of call.
#[derive(Debug, Default)]
struct OfOne {
    calls: AtomicU64,
    errors: AtomicU64,
    given_up: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// How often one kind of call was made, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// The kind.
    pub operation: Operation,
    /// Calls that began.
    pub calls: u64,
    /// Calls that failed; to find nothing, or a family busy, is no failure. A read may fail after it was answered.
    pub errors: u64,
    /// Calls whose caller did not wait for the answer, or for all of a read: a deadline was missed or a request dropped.
    pub given_up: u64,
    /// Bytes of content that went to the store, in attempts that failed too.
    pub sent: u64,
    /// Bytes of content that came from the store.
    pub received: u64,
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
            errors: now(&of.errors),
            given_up: now(&of.given_up),
            sent: now(&of.sent),
            received: now(&of.received),
        }
    }

    fn of(&self, operation: Operation) -> &OfOne {
        &self.of[operation as usize]
    }
}

impl OfOne {
    fn failed(&self, error: &StoreError) {
        if !matches!(error, StoreError::NotFound { .. } | StoreError::Busy { .. }) {
            add(&self.errors, 1);
        }
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
        add(&waiting.of().calls, 1);
        add(&waiting.of().sent, call.sent);
        let result = attempt().await;
        waiting.is_over = true;
        match &result {
            Ok(answer) => add(&waiting.of().received, answer.received()),
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
