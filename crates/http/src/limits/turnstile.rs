//! So many requests at once. The others wait, and are let in by turns: one of each client, however many one client has waiting.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// The longest that a request waits. Clients that are told to come again spread out.
const PATIENCE: Duration = Duration::from_secs(10);

/// No room, and none to wait in or none for too long.
#[derive(Debug)]
pub(crate) struct Full;

/// Lets requests through.
#[derive(Debug)]
pub(crate) struct Turnstile {
    state: Mutex<State>,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    most: usize,
    running: usize,
    waiting: usize,
    lanes: HashMap<IpAddr, VecDeque<oneshot::Sender<Pass>>>,
    /// Whose turn it is; each client that waits, once.
    order: VecDeque<IpAddr>,
}

/// The right to be served. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Pass(Option<Arc<Turnstile>>);

impl State {
    /// Who is let in next, if there is room. The one who is counts as running.
    fn next(&mut self) -> Option<oneshot::Sender<Pass>> {
        if self.running >= self.most {
            return None;
        }
        let client = self.order.pop_front()?;
        let lane = self.lanes.get_mut(&client)?;
        let next = lane.pop_front();
        if lane.is_empty() {
            self.lanes.remove(&client);
        } else {
            self.order.push_back(client);
        }
        self.waiting -= usize::from(next.is_some());
        self.running += usize::from(next.is_some());
        next
    }
}

impl Turnstile {
    /// With room for this many.
    pub(crate) fn new(most: usize) -> Self {
        let (lanes, order) = (HashMap::new(), VecDeque::new());
        let state = Mutex::new(State { most, running: 0, waiting: 0, lanes, order });
        Self { state, patience: PATIENCE }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, room for this many.
    pub(crate) fn allow(self: &Arc<Self>, most: usize) {
        self.state().most = most;
        self.admit();
    }

    /// Waits for room.
    pub(crate) async fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Pass, Full> {
        let waits = {
            let mut state = self.state();
            if state.waiting == 0 && state.running < state.most {
                state.running += 1;
                return Ok(Pass(Some(self.clone())));
            }
            if state.waiting >= state.most {
                return Err(Full);
            }
            let (pass, waits) = oneshot::channel();
            state.waiting += 1;
            let lane = state.lanes.entry(client).or_default();
            let is_first = lane.is_empty();
            lane.push_back(pass);
            if is_first {
                state.order.push_back(client);
            }
            waits
        };
        match tokio::time::timeout(self.patience, waits).await {
            Ok(Ok(pass)) => Ok(pass),
            _ => Err(Full),
        }
    }

    /// Lets in whoever there is room for.
    fn admit(self: &Arc<Self>) {
        loop {
            let Some(next) = self.state().next() else { return };
            if let Err(mut pass) = next.send(Pass(Some(self.clone()))) {
                // It waits no longer. Its pass must not let anybody in by itself: this loop does.
                pass.0 = None;
                self.state().running -= 1;
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(turnstile) = self.0.take() {
            turnstile.state().running -= 1;
            turnstile.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[tokio::test]
    async fn clients_take_turns() {
        let turnstile = Arc::new(Turnstile::new(8));
        turnstile.allow(1);
        let first = turnstile.enter(client(1)).await.unwrap();
        turnstile.allow(8);
        let mut running = vec![first];
        for _ in 0..7 {
            running.push(turnstile.enter(client(1)).await.unwrap());
        }
        // Six of one client wait, then one of another.
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for last in [1, 1, 1, 1, 1, 1, 2] {
            let (turnstile, order) = (turnstile.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let pass = turnstile.enter(client(last)).await;
                order.lock().unwrap().push(last);
                drop(pass.unwrap());
            }));
            tokio::task::yield_now().await;
        }
        assert!(order.lock().unwrap().is_empty());
        drop(running.pop());
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 1, 1, 1, 1, 1]);
        drop(running);
        let state = turnstile.state();
        assert_eq!(state.running, 0);
        assert!(state.lanes.is_empty() && state.order.is_empty());
    }

    #[tokio::test]
    async fn who_leaves_the_queue_leaves_no_gap() {
        let turnstile = Arc::new(Turnstile::new(2));
        let running = [turnstile.enter(client(1)).await.unwrap(), turnstile.enter(client(1)).await.unwrap()];
        let mut leaves = Box::pin(turnstile.enter(client(1)));
        assert!((&mut leaves).now_or_never().is_none());
        let stays = tokio::spawn({
            let turnstile = turnstile.clone();
            async move { turnstile.enter(client(2)).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(turnstile.enter(client(3)).now_or_never().is_some_and(|refused| refused.is_err()), "nowhere to wait");
        drop(leaves);
        drop(running);
        assert!(stays.await.unwrap());
        let state = turnstile.state();
        assert_eq!((state.running, state.waiting), (0, 0));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let turnstile = Arc::new(Turnstile { patience: Duration::from_millis(20), ..Turnstile::new(1) });
        let running = turnstile.enter(client(1)).await.unwrap();
        assert!(turnstile.enter(client(2)).await.is_err());
        drop(running);
        assert!(turnstile.enter(client(2)).await.is_ok());
    }
}
