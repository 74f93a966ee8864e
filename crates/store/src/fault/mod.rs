//! A store that is reached over a bad network, for tests: calls take time, get lost, lose their answers, and writes land late.
//!
//! [`Fault`] is put next to a backend, below the layers of [`crate::wrap`], as the network is. All times are the runtime's, so that
//! they pass at once where its clock is paused, and all chance comes from one source, so that a seeded run repeats.
//! Reads are never stale: whatever they answer was so when they reached the store.

mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::{Data, DataStream, Records, StoreError, StoreResult};
use store::Faulty;

/// How often what goes wrong, each of a thousand calls, and how long things take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// The longest way to the store, and the longest way back.
    pub delay: Duration,
    /// Calls that fail and never take effect.
    pub lost_requests: u64,
    /// Calls that take effect and fail.
    pub lost_replies: u64,
    /// Writes that fail and take effect later.
    pub late_writes: u64,
    /// The longest time until a late write takes effect.
    pub lateness: Duration,
    /// Writes that take effect although their future was dropped before.
    pub survivors: u64,
    /// Streams that break off between two chunks.
    pub broken_streams: u64,
}

/// A bad network. Clones share the source of chance.
#[derive(Clone)]
pub struct Fault {
    plan: FaultPlan,
    random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// What becomes of one call. Chance is asked for all of it at the beginning, so that no race changes it.
#[derive(Clone, Copy, Debug)]
struct Fate {
    there: Duration,
    back: Duration,
    outcome: Outcome,
    survives: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    LostRequest,
    LostReply,
    Late(Duration),
}

impl Fault {
    /// A network with this plan, which takes its chance from `random`.
    pub fn new(plan: FaultPlan, random: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { plan, random: Arc::new(random) }
    }

    /// Records that are reached over it.
    #[must_use]
    pub fn records(&self, inner: Arc<dyn Records>) -> Arc<dyn Records> {
        Arc::new(Faulty { inner, fault: self.clone() })
    }

    /// Data that are reached over it.
    #[must_use]
    pub fn data(&self, inner: Arc<dyn Data>) -> Arc<dyn Data> {
        Arc::new(Faulty { inner, fault: self.clone() })
    }

    fn up_to(&self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis((self.random)() % millis.saturating_add(1).max(1))
    }

    fn fate(&self, is_write: bool) -> Fate {
        let (there, back) = (self.up_to(self.plan.delay), self.up_to(self.plan.delay));
        let drawn = (self.random)() % 1000;
        let lost = self.plan.lost_requests;
        let late = lost + self.plan.lost_replies;
        let outcome = match drawn {
            n if n < lost => Outcome::LostRequest,
            n if n < late => Outcome::LostReply,
            n if is_write && n < late + self.plan.late_writes => Outcome::Late(self.up_to(self.plan.lateness)),
            _ => Outcome::Answered,
        };
        Fate { there, back, outcome, survives: is_write && (self.random)() % 1000 < self.plan.survivors }
    }

    /// Sends a call on its way. Its `effect` owns what it needs, since it may come when nobody waits for it any more.
    async fn send<T: Send + 'static>(
        &self,
        (operation, is_write): (&'static str, bool),
        what: &str,
        effect: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) -> StoreResult<T> {
        let fate = self.fate(is_write);
        let lost = failed(operation, what, fate.outcome);
        let travel = tokio::spawn(async move {
            sleep(fate.there).await;
            match fate.outcome {
                Outcome::LostRequest => Err(lost),
                Outcome::Late(delay) => {
                    tokio::spawn(async move {
                        sleep(delay).await;
                        effect.await.is_ok()
                    });
                    Err(lost)
                }
                Outcome::Answered | Outcome::LostReply => {
                    let result = effect.await;
                    sleep(fate.back).await;
                    if fate.outcome == Outcome::Answered { result } else { Err(lost) }
                }
            }
        });
        // A task that nobody waits for goes on to its end; one with a handle that aborts does not.
        let ended = if fate.survives { travel.await } else { AbortOnDropHandle::new(travel).await };
        ended.unwrap_or_else(|e| Err(StoreError::unavailable(operation, what, e)))
    }

    /// A stream that may break off.
    fn stream(&self, what: &str, stream: DataStream) -> DataStream {
        let start = (stream, self.clone(), Arc::<str>::from(what));
        futures::stream::unfold(Some(start), |state| async move {
            let (mut stream, fault, what) = state?;
            let chunk = stream.next().await?;
            if (fault.random)() % 1000 < fault.plan.broken_streams {
                return Some((Err(failed("read", &what, Outcome::LostReply)), None));
            }
            Some((chunk, Some((stream, fault, what))))
        })
        .boxed()
    }
}

fn failed(operation: &'static str, what: &str, outcome: Outcome) -> StoreError {
    StoreError::unavailable(operation, what, format!("a fault was wanted: {outcome:?}"))
}
