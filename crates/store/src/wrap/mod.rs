//! What stands around every backend: counting, deadlines, limits and retries.
//!
//! Each is a `Layer`, in a file of its own, and says only what it does *around* a call. `Wrapped` is a store with one
//! layer around it. [`stack`] puts them together: the backend, then counting (so that every attempt is counted), then the
//! deadline of one attempt, then the limit of attempts at a time (waiting for a turn is no part of the deadline), then
//! the retries.

mod call;
mod count;
mod deadline;
mod exclusive;
mod limit;
mod outage;
mod retry;
mod tally;
mod wrapped;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{Data, DataStream, Generation, Records, StoreResult};

pub use call::Operation;
pub use count::{CallCount, Counts};
pub use deadline::Deadlines;
pub use exclusive::Exclusive;
pub use limit::Limits;
pub use retry::Retries;
pub use tally::tally;

use call::{Answer, Call};
use count::Count;
use deadline::Deadline;
use limit::Limit;
use retry::Retry;
use wrapped::Wrapped;

/// What the layers around a backend shall do. The default suits a bucket in the same region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackOptions {
    /// How long an attempt may take; `None` for ever.
    pub deadlines: Option<Deadlines>,
    /// How many attempts there may be at a time; `None` for any number.
    pub limits: Option<Limits>,
    /// How failed attempts are repeated; `None` for not at all.
    pub retries: Option<Retries>,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            deadlines: Some(Deadlines::default()),
            limits: Some(Limits::default()),
            retries: Some(Retries::default()),
        }
    }
}

impl StackOptions {
    /// Only counts. For a backend on the local disk, which has its own queues and fails for reasons that do not pass in a second.
    #[must_use]
    pub const fn counting() -> Self {
        Self { deadlines: None, limits: None, retries: None }
    }
}

/// A backend with everything around it.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The records.
    pub records: Arc<dyn Records>,
    /// The data.
    pub data: Arc<dyn Data>,
    /// What was called so far, attempts each for itself.
    pub counts: Arc<Counts>,
}

/// Puts the layers around a backend. The limits are for records and data each, the budget of retries is for both together.
pub fn stack(records: Arc<dyn Records>, data: Arc<dyn Data>, options: StackOptions) -> Stack {
    let counts = Arc::new(Counts::default());
    let count = Arc::new(Count::new(counts.clone()));
    let mut records: Arc<dyn Records> = Arc::new(Wrapped::new(records, count.clone()));
    let mut data: Arc<dyn Data> = Arc::new(Wrapped::new(data, count));
    if let Some(deadlines) = options.deadlines {
        let layer = Arc::new(Deadline::new(deadlines));
        records = Arc::new(Wrapped::new(records, layer.clone()));
        data = Arc::new(Wrapped::new(data, layer));
    }
    if let Some(limits) = options.limits {
        records =
            Arc::new(Wrapped::new(records, Arc::new(Limit::new(limits.records, limits.patience, counts.clone()))));
        data = Arc::new(Wrapped::new(data, Arc::new(Limit::new(limits.data, limits.patience, counts.clone()))));
    }
    if let Some(retries) = options.retries {
        let layer = Arc::new(Retry::new(retries));
        records = Arc::new(Wrapped::new(records, layer.clone()));
        data = Arc::new(Wrapped::new(data, layer));
    }
    Stack { records, data, counts }
}

/// A read under way: where it came from, so that a layer can begin it once more.
struct Reading {
    data: Arc<dyn Data>,
    generation: Generation,
    range: Range<u64>,
}

/// What is done around a call.
trait Layer: fmt::Debug + Send + Sync + Sized + 'static {
    /// Answers a call by making attempts: usually one.
    fn around<'a, T, F>(&'a self, call: Call<'a>, attempt: F) -> impl Future<Output = StoreResult<T>> + Send
    where
        T: Answer,
        F: Fn() -> BoxFuture<'a, StoreResult<T>> + Send + Sync;

    /// Wraps the bytes of a read that has begun.
    fn stream(self: Arc<Self>, _reading: Reading, stream: DataStream) -> DataStream {
        stream
    }
}
