//! Whose turn it is, in a duel: store calls wait until the conductor lets one of them go on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::{Notify, oneshot};
use tokio::task;

use crate::scheduler::{Fault, lock};
use crate::script::Counted;

/// A call that waits for its turn.
#[derive(Debug)]
pub struct Waiting {
    task: task::Id,
    /// Its replica.
    pub replica: usize,
    /// Whether it changes the store.
    pub is_write: bool,
    key: String,
    go: oneshot::Sender<Fault>,
}

impl Waiting {
    /// Lets it go on.
    pub fn go(self, fault: Fault) {
        let _ = self.go.send(fault);
    }

    /// Whether it is a step.
    #[must_use]
    pub fn counts(&self, counted: Counted) -> bool {
        let is_meeting = ["repo/", "blob/", "hold/"].iter().any(|kind| self.key.starts_with(kind));
        match counted {
            Counted::All => true,
            Counted::Meeting => is_meeting || self.key == ANSWER,
            Counted::Writes => is_meeting && self.is_write,
        }
    }

    /// Whether it still waits: its request may have been given up.
    fn waits(&self) -> bool {
        !self.go.is_closed()
    }
}

/// Stands for the key of an answer that waits.
pub const ANSWER: &str = "answer";

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// The rank of each task; the highest goes first.
    ranks: BTreeMap<task::Id, i64>,
    /// Falls with each task that falls behind all others.
    lowest: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
    came: Notify,
}

impl Turns {
    /// Waits for the turn of this call; a task that is new gets this rank. Answers what happens to the call.
    pub async fn wait(&self, replica: usize, is_write: bool, key: &str, rank: u64) -> Fault {
        let (go, gone) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            let task = task::id();
            let rank = i64::try_from(rank).unwrap_or(0);
            state.ranks.entry(task).or_insert(rank);
            state.waiting.push(Waiting { task, replica, is_write, key: key.to_owned(), go });
        }
        self.came.notify_one();
        gone.await.unwrap_or(Fault::None)
    }

    /// Waits until a call waits.
    pub async fn some(&self) {
        loop {
            if !self.is_idle() {
                return;
            }
            self.came.notified().await;
        }
    }

    /// Whether no call waits.
    pub fn is_idle(&self) -> bool {
        let mut state = lock(&self.state);
        state.waiting.retain(Waiting::waits);
        state.waiting.is_empty()
    }

    /// The call whose turn it is: one of the task with the highest rank, the latest or the one that `chance` picks.
    pub fn take(&self, deep: bool, chance: usize) -> Option<Waiting> {
        let mut state = lock(&self.state);
        let State { waiting, ranks, .. } = &mut *state;
        waiting.retain(Waiting::waits);
        let best = waiting.iter().map(|w| ranks.get(&w.task)).max()?.copied();
        let of_best: Vec<usize> =
            (0..waiting.len()).filter(|i| ranks.get(&waiting[*i].task).copied() == best).collect();
        let at = if deep { of_best.len() - 1 } else { chance % of_best.len() };
        Some(waiting.remove(of_best[at]))
    }

    /// Its task falls behind all others. The call waits again.
    pub fn fall_behind(&self, call: Waiting) {
        let mut state = lock(&self.state);
        state.lowest -= 1;
        let lowest = state.lowest;
        state.ranks.insert(call.task, lowest);
        state.waiting.push(call);
    }
}
