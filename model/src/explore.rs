//! Visits every state that a scenario can reach, breadth first, so that the first violation has the shortest trace.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// What can be explored.
pub(crate) trait Explorable {
    /// A state. Equal states have equal futures.
    type State: Clone + Hash;

    /// Where it begins.
    fn initial(&self) -> Self::State;

    /// All states that one step leads to, always in the same order.
    fn successors(&self, state: &Self::State) -> Vec<Self::State>;

    /// Checks what must hold in every state.
    ///
    /// # Errors
    /// What is violated.
    fn check(&self, state: &Self::State) -> Result<(), String>;

    /// Tells a step, for a trace.
    fn tell(&self, before: &Self::State, after: &Self::State) -> String;
}

/// What an exploration came to.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// How many different states there are.
    pub states: usize,
    /// How many steps the longest of the shortest ways has.
    pub depth: usize,
    /// Whether every reachable state was visited.
    pub is_complete: bool,
    /// A promise that is broken, with the steps that lead to it.
    pub violation: Option<Violation>,
}

/// See [`Explored::violation`].
#[derive(Clone, Debug)]
pub struct Violation {
    /// What is broken.
    pub what: String,
    /// One line a step.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// A fingerprint is a good hash already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// How a state was reached: from which one, as which of its successors.
#[derive(Clone, Copy)]
struct Way {
    from: u32,
    successor: u16,
}

/// States are remembered by 64 bits of their hash: among ten million the chance that two different ones are taken for one is below one
/// in a hundred thousand.
fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Explores until a promise is broken, until nothing is left, or until there are more states than `most`.
pub(crate) fn explore<E: Explorable>(model: &E, most: usize) -> Explored {
    let first = model.initial();
    let mut seen: HashSet<u64, BuildHasherDefault<Same>> = HashSet::default();
    seen.insert(fingerprint(&first));
    let mut ways = vec![Way { from: 0, successor: 0 }];
    let mut frontier = vec![(0u32, first)];
    let mut explored = Explored::default();
    while !frontier.is_empty() && ways.len() <= most {
        let mut next = Vec::new();
        for (at, state) in &frontier {
            if let Err(what) = model.check(state) {
                let violation = Violation { what, trace: retrace(model, &ways, *at) };
                return Explored { states: ways.len(), violation: Some(violation), ..explored };
            }
            for (i, after) in model.successors(state).into_iter().enumerate() {
                if seen.insert(fingerprint(&after)) {
                    #[allow(clippy::cast_possible_truncation)] // far fewer successors, and states
                    let (successor, id) = (i as u16, ways.len() as u32);
                    ways.push(Way { from: *at, successor });
                    next.push((id, after));
                }
            }
        }
        frontier = next;
        explored.depth += usize::from(!frontier.is_empty());
    }
    Explored { states: ways.len(), is_complete: frontier.is_empty(), ..explored }
}

fn retrace<E: Explorable>(model: &E, ways: &[Way], end: u32) -> Vec<String> {
    let (mut at, mut steps) = (end, Vec::new());
    while at != 0 {
        let way = ways[at as usize];
        steps.push(usize::from(way.successor));
        at = way.from;
    }
    let (mut state, mut lines) = (model.initial(), Vec::new());
    for step in steps.into_iter().rev() {
        let after = model.successors(&state).swap_remove(step);
        lines.push(model.tell(&state, &after));
        state = after;
    }
    lines
}
