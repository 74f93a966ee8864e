//! Limits how many attempts there are at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Layer;
use super::call::{Answer, Call};
use super::count::Counts;
use crate::{StoreError, StoreResult};

/// How many attempts there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls for records.
    pub records: usize,
    /// Calls for data. A read counts until its first bytes come: how fast they then go is the reader's affair.
    pub data: usize,
    /// How long a call waits for its turn before it fails.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: 256, data: 256, patience: Duration::from_secs(20) }
    }
}

/// The layer. Who waits longest is served first.
#[derive(Debug)]
pub(super) struct Limit {
    turns: Semaphore,
    patience: Duration,
    counts: Arc<Counts>,
}

impl Limit {
    pub(super) fn new(most: usize, patience: Duration, counts: Arc<Counts>) -> Self {
        Self { turns: Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)), patience, counts }
    }
}

impl Layer for Limit {
    async fn around<'a, T, F>(&'a self, call: Call<'a>, attempt: F) -> StoreResult<T>
    where
        T: Answer,
        F: Fn() -> BoxFuture<'a, StoreResult<T>> + Send + Sync,
    {
        let refused = |why| StoreError::unavailable(call.operation.name(), call.what, why);
        let turn = match self.turns.try_acquire() {
            Ok(turn) => Ok(turn),
            Err(_) => {
                let _in_line = self.counts.wait();
                timeout(self.patience, self.turns.acquire()).await.map_err(|_| refused("too many calls at a time"))?
            }
        };
        let _turn = turn.map_err(|_| refused("the store is closed"))?;
        attempt().await
    }
}
