//! Gives every attempt a time in which it must be answered.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::time::timeout;

use super::call::{Answer, Call, Operation};
use super::{Layer, Reading};
use crate::{DataStream, StoreError, StoreResult};

/// How long an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Any call that moves little, and the beginning of a read.
    pub call: Duration,
    /// A listing.
    pub list: Duration,
    /// Making the whole of an upload, or making it durable: some stores copy it.
    pub complete: Duration,
    /// The slowest that content may go to the store, in bytes a second; a call that sends gets the time for it on top.
    pub slowest: u64,
    /// The time between two chunks of a read while its reader waits.
    pub chunk: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(10),
            list: Duration::from_secs(30),
            complete: Duration::from_secs(180),
            slowest: 512 << 10,
            chunk: Duration::from_secs(15),
        }
    }
}

impl Deadlines {
    fn of(&self, call: &Call<'_>) -> Duration {
        let answer = match call.operation {
            Operation::List | Operation::DataList | Operation::Unfinished => self.list,
            Operation::Complete | Operation::Sync => self.complete,
            _ => self.call,
        };
        answer + Duration::from_secs(call.sent / self.slowest.max(1))
    }
}

/// The layer.
#[derive(Debug)]
pub(super) struct Deadline(Deadlines);

impl Deadline {
    pub(super) const fn new(deadlines: Deadlines) -> Self {
        Self(deadlines)
    }
}

fn missed(operation: Operation, what: &str, deadline: Duration) -> StoreError {
    StoreError::unavailable(operation.name(), what, format!("no answer in {deadline:?}"))
}

impl Layer for Deadline {
    async fn around<'a, T, F>(&'a self, call: Call<'a>, attempt: F) -> StoreResult<T>
    where
        T: Answer,
        F: Fn() -> BoxFuture<'a, StoreResult<T>> + Send + Sync,
    {
        let deadline = self.0.of(&call);
        let answer = timeout(deadline, attempt()).await;
        answer.unwrap_or_else(|_| Err(missed(call.operation, call.what, deadline)))
    }

    fn stream(self: Arc<Self>, reading: Reading, stream: DataStream) -> DataStream {
        let deadline = self.0.chunk;
        futures::stream::unfold((Some(stream), reading), move |(stream, reading)| async move {
            let mut stream = stream?;
            match timeout(deadline, stream.next()).await {
                Ok(next) => next.map(|item| (item, (Some(stream), reading))),
                Err(_) => {
                    let missed = missed(Operation::Read, reading.generation.as_str(), deadline);
                    Some((Err(missed), (None, reading)))
                }
            }
        })
        .boxed()
    }
}
