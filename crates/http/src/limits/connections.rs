//! So many connections. At the limit, the one that has been idle for longest makes room: clients that keep connections open without
//! need, or for the sake of it, keep nobody out. Only where every connection is at work, a new one is turned away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    began: Instant,
}

#[derive(Debug)]
struct Open {
    most: usize,
    last: u64,
    by_number: HashMap<u64, Arc<State>>,
}

/// What is known of one.
#[derive(Debug)]
struct State {
    /// Requests that it is at.
    running: AtomicU32,
    /// When it was at one, since the beginning, in milliseconds.
    idle_since: AtomicU64,
    leave: CancellationToken,
    /// When each of its requests last went on.
    requests: Mutex<Vec<Weak<AtomicU64>>>,
}

/// The place of one connection. Dropping it makes it free.
#[derive(Debug)]
pub(crate) struct Seat {
    connections: Arc<Connections>,
    number: u64,
    state: Arc<State>,
}

/// One request of a connection, which is not idle while it lasts.
#[derive(Debug)]
pub(crate) struct Busy {
    progress: Progress,
    state: Arc<State>,
}

/// Notes that a request goes on: bytes of it came, or bytes of its answer went.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    began: Instant,
    at: Arc<AtomicU64>,
}

impl Connections {
    /// With room for this many.
    pub(crate) fn new(most: usize) -> Self {
        Self { open: Mutex::new(Open { most, last: 0, by_number: HashMap::new() }), began: Instant::now() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, room for this many. None is closed for that.
    pub(crate) fn allow(&self, most: usize) {
        self.open().most = most;
    }

    /// Takes a place, if there is one or an idle connection can leave. `closing` ends it too.
    pub(crate) fn enter(self: &Arc<Self>, closing: &CancellationToken) -> Option<Seat> {
        let mut open = self.open();
        if open.by_number.len() >= open.most {
            let idle = open.by_number.iter().filter(|(_, state)| state.running.load(Ordering::Acquire) == 0);
            let number = *idle.min_by_key(|(_, state)| state.idle_since.load(Ordering::Relaxed))?.0;
            open.by_number.remove(&number)?.leave.cancel();
        }
        open.last += 1;
        let number = open.last;
        let idle_since = AtomicU64::new(millis(self.began));
        let state = Arc::new(State {
            running: AtomicU32::new(0),
            idle_since,
            leave: closing.child_token(),
            requests: Mutex::default(),
        });
        open.by_number.insert(number, state.clone());
        Some(Seat { connections: self.clone(), number, state })
    }
}

impl Seat {
    /// Cancelled when the connection has to end, as soon as it is idle.
    pub(crate) fn leave(&self) -> CancellationToken {
        self.state.leave.clone()
    }

    /// Begins a request, and watches whether it goes on. One of HTTP/1.1 need not be watched: its connection has a deadline for each
    /// write, which knows of every byte.
    pub(crate) fn busy(&self, is_watched: bool) -> Busy {
        self.state.running.fetch_add(1, Ordering::AcqRel);
        let began = self.connections.began;
        let progress = Progress { began, at: Arc::new(AtomicU64::new(millis(began))) };
        if is_watched {
            let mut requests = self.state.requests();
            requests.retain(|request| request.strong_count() > 0);
            requests.push(Arc::downgrade(&progress.at));
        }
        Busy { progress, state: self.state.clone() }
    }

    /// Whether one of its requests has not gone on for so long. A client of HTTP/2 can take nothing of one answer, for ever, on a
    /// connection that is otherwise alive.
    fn is_stuck(&self, longest: Duration) -> bool {
        let now = millis(self.connections.began);
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let requests = self.state.requests();
        let mut last = requests.iter().filter_map(Weak::upgrade).map(|at| at.load(Ordering::Relaxed));
        last.any(|last| now.saturating_sub(last) > longest)
    }

    /// Waits until that is so.
    pub(crate) async fn stuck(&self, longest: Duration) {
        while !self.is_stuck(longest) {
            tokio::time::sleep(longest / 4).await;
        }
    }
}

impl State {
    fn requests(&self) -> MutexGuard<'_, Vec<Weak<AtomicU64>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// What notes that the request goes on.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Progress {
    /// It does.
    pub(crate) fn made(&self) {
        self.at.store(millis(self.began), Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.open().by_number.remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.state.idle_since.store(millis(self.progress.began), Ordering::Relaxed);
        self.state.running.fetch_sub(1, Ordering::AcqRel);
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_one_leaves() {
        let (connections, closing) = (Arc::new(Connections::new(3)), CancellationToken::new());
        let mut seats = Vec::new();
        for _ in 0..3 {
            seats.push(connections.enter(&closing).unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let at_work = seats[0].busy(true);
        drop(seats[1].busy(true));
        let left = |seats: &[Seat]| seats.iter().map(|seat| seat.leave().is_cancelled()).collect::<Vec<_>>();
        seats.push(connections.enter(&closing).unwrap());
        assert_eq!(left(&seats), [false, false, true, false]);
        let all = [seats[1].busy(true), seats[3].busy(true)];
        assert!(connections.enter(&closing).is_none());
        drop(seats.remove(2));
        assert!(connections.enter(&closing).is_none(), "it had made room already");
        drop((at_work, all));
        drop(seats.remove(0));
        assert!(connections.enter(&closing).is_some());
        closing.cancel();
        assert!(seats[0].leave().is_cancelled());
    }

    #[tokio::test]
    async fn a_request_that_does_not_go_on_is_seen_beside_one_that_does() {
        let (connections, closing) = (Arc::new(Connections::new(1)), CancellationToken::new());
        let seat = connections.enter(&closing).unwrap();
        let (still, goes_on) = (seat.busy(true), seat.busy(true));
        tokio::time::sleep(Duration::from_millis(30)).await;
        goes_on.progress().made();
        assert!(seat.is_stuck(Duration::from_millis(20)) && !seat.is_stuck(Duration::from_secs(10)));
        drop(still);
        goes_on.progress().made();
        assert!(!seat.is_stuck(Duration::from_millis(20)));
    }
}
