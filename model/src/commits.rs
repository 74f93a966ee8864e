//! One repository: group commit, unknown outcomes, the window of remembered commits, and segments.
//!
//! `registry/src/repository/commit.rs`, `tree.rs` and the part of `gc/push.rs` that collects segments. The state of a repository is two
//! cells here, each with the change that wrote it last; a change is one write of a cell, or one that is refused when its cell is
//! empty. A root that holds both cells itself is settled: they go into a segment.

use crate::actors::{Faults, Id, Io, Protocol, Run, System};
use crate::scenario::{Scenario, Size};

/// A step done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // their names say it
pub enum Broken {
    /// A root is written without its condition.
    Unconditional,
    /// A swap without an answer is taken for one that never happened.
    CommitNotLookedUp,
    /// A swap without an answer is taken for one that was done.
    CommitTakenForDone,
    /// A commit that is no longer remembered is taken for one that never happened.
    ForgottenTakenForLost,
    /// Segments are written after the root that names them.
    SegmentsAfterRoot,
    /// No due entry before new segments.
    NoDueOfSegments,
    /// The due entry does not name the segments that the change replaces.
    ReplacedForgotten,
    /// A collector does not look which segments the root names.
    NamedNotSpared,
    /// A collector does not wait for the version of an entry, nor makes a swap of it fail.
    NotTouched,
    /// After a lost swap the segments of all attempts are dropped, also of those that may still take effect.
    LivingDropped,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Unconditional,
        Self::CommitNotLookedUp,
        Self::CommitTakenForDone,
        Self::ForgottenTakenForLost,
        Self::SegmentsAfterRoot,
        Self::NoDueOfSegments,
        Self::ReplacedForgotten,
        Self::NamedNotSpared,
        Self::NotTouched,
        Self::LivingDropped,
    ];
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Writes a cell.
    Set(u8),
    /// Empties a cell, and is refused when it is empty.
    Clear(u8),
}

/// How many commits a root remembers.
const REMEMBERED: usize = 2;
/// How often a batch is tried.
const ATTEMPTS: usize = 3;

/// Two cells: by which change each was written.
type Cells = [Option<Id>; 2];

/// The root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Root {
    version: u8,
    commits: [Id; REMEMBERED],
    /// What the root holds itself: `Some(None)` takes the cell of the segment away.
    recent: [Option<Option<Id>>; 2],
    segment: Option<Id>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    root: Root,
    segments: Vec<(Id, Cells)>,
    dues: Vec<(Id, Due)>,
    /// Only to check by: every change that took effect, in order.
    applied: Vec<Id>,
    /// Only to check by: changes that were answered, as done or as refused.
    answered: Vec<(Id, bool)>,
    broken: Option<&'static str>,
    /// Only to check by: segments that were dropped, and how many were written after that.
    dropped: Vec<Id>,
    outlived: u8,
}

/// See the registry's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Due {
    version: u8,
    fresh: Option<Id>,
    replaced: Option<Id>,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Root,
    /// Swaps the root that has the version; with the changes that it carries.
    Swap(u8, Root, [Option<Id>; 2]),
    Segment(Id),
    PutSegment(Id, Cells),
    DeleteSegment(Id),
    Dues,
    PutDue(Id, Due),
    DeleteDue(Id),
    /// A client is told: its change was done, or refused.
    Tell(Id, bool),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    Lost,
    Root(Root),
    Segment(Option<Cells>),
    Dues(Vec<(Id, Due)>),
}

fn put<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(at) = list.binary_search(&item) {
        list.insert(at, item);
    }
}

impl Store {
    fn swap(&mut self, known: u8, root: Root, changes: [Option<Id>; 2]) -> Answer {
        if self.root.version != known {
            return Answer::Lost;
        }
        self.root = root;
        for change in changes.into_iter().flatten() {
            if self.applied.contains(&change) {
                self.broken = Some("P2: a change took effect twice");
            }
            self.applied.push(change);
        }
        Answer::Done
    }
}

/// An attempt that may have taken effect.
#[derive(Clone, Debug)]
struct Attempt {
    version: u8,
    commit: Id,
    answers: Vec<bool>,
    segment: Option<Id>,
}

/// What an actor does.
#[derive(Clone, Debug)]
enum Op {
    /// Commits a batch, from a root that is cached or not.
    Batch(Vec<Change>),
    /// A collector works on an entry.
    Collect,
}

#[derive(Clone, Debug)]
struct Commits {
    store: Store,
    actors: Vec<Vec<Op>>,
    broken: Option<Broken>,
}

type Wire<'a, 'b> = &'a mut Io<'b, Call, Answer>;

impl Commits {
    fn breaks(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    fn root(&self, io: Wire<'_, '_>) -> Run<Root, Call> {
        match io.call(Call::Root)? {
            Ok(Answer::Root(root)) => Ok(root),
            other => panic!("{other:?}"),
        }
    }

    /// The cells of a root. `None` when its segment is not there: an error for whoever reads, and a broken promise if the root is the
    /// current one.
    fn cells(&self, io: Wire<'_, '_>, root: &Root) -> Run<Option<Cells>, Call> {
        let below = match root.segment {
            None => [None; 2],
            Some(id) => match io.call(Call::Segment(id))? {
                Ok(Answer::Segment(Some(cells))) => cells,
                _ => return Ok(None),
            },
        };
        Ok(Some([0, 1].map(|i| root.recent[i].unwrap_or(below[i]))))
    }

    fn tell(&self, io: Wire<'_, '_>, ids: &[Id], answers: &[bool]) -> Run<bool, Call> {
        for (id, answer) in ids.iter().zip(answers) {
            let _ = io.call(Call::Tell(*id, *answer))?;
        }
        Ok(true)
    }

    /// A batch. Each change is told apart by an id of its own.
    fn batch(&self, io: Wire<'_, '_>, changes: &[Change]) -> Run<bool, Call> {
        let ids: Vec<Id> = changes.iter().map(|_| io.id()).collect();
        let mut attempts: Vec<Attempt> = Vec::new();
        // The version that it knows may be any old one.
        let mut base = self.root(io)?;
        let mut is_current = false;
        for _ in 0..ATTEMPTS {
            let Some(mut cells) = self.cells(io, &base)? else { return Ok(false) };
            let mut draft = base;
            let mut answers = Vec::new();
            let mut carried = [None; 2];
            for (i, (change, id)) in changes.iter().zip(&ids).enumerate() {
                let (cell, value) = match *change {
                    Change::Set(cell) => (usize::from(cell), Some(*id)),
                    Change::Clear(cell) => (usize::from(cell), None),
                };
                let is_done = value.is_some() || cells[cell].is_some();
                if is_done {
                    cells[cell] = value;
                    draft.recent[cell] = Some(value);
                    carried[i] = Some(*id);
                }
                answers.push(is_done);
            }
            if carried == [None; 2] {
                if is_current {
                    return self.tell(io, &ids, &answers);
                }
                base = self.root(io)?;
                is_current = true;
                continue;
            }
            let commit = io.id();
            draft.version += 1;
            draft.commits.rotate_left(1);
            draft.commits[REMEMBERED - 1] = commit;
            // Both cells are more than the root may hold.
            let mut segment = None;
            if draft.recent.iter().all(Option::is_some) {
                let id = io.id();
                segment = Some(id);
                let replaced = draft.segment.filter(|_| !self.breaks(Broken::ReplacedForgotten));
                if !self.breaks(Broken::NoDueOfSegments) {
                    let due = io.id();
                    let entry = Due { version: draft.version, fresh: segment, replaced };
                    if io.call(Call::PutDue(due, entry))?.is_err() {
                        return Ok(false);
                    }
                }
                draft.recent = [None; 2];
                draft.segment = segment;
                if !self.breaks(Broken::SegmentsAfterRoot) && io.call(Call::PutSegment(id, cells))?.is_err() {
                    return Ok(false);
                }
            }
            attempts.push(Attempt { version: draft.version, commit, answers: answers.clone(), segment });
            let known = if self.breaks(Broken::Unconditional) { self.root(io)?.version } else { base.version };
            match io.call(Call::Swap(known, draft, carried))? {
                Ok(Answer::Done) => {
                    if let (true, Some(id)) = (self.breaks(Broken::SegmentsAfterRoot), segment) {
                        let _ = io.call(Call::PutSegment(id, cells))?;
                    }
                    return self.tell(io, &ids, &answers);
                }
                Ok(_) => {}
                Err(_) if self.breaks(Broken::CommitTakenForDone) => return self.tell(io, &ids, &answers),
                Err(_) if self.breaks(Broken::CommitNotLookedUp) => attempts.clear(),
                Err(_) => {}
            }
            base = self.root(io)?;
            is_current = true;
            if let Some(at) = attempts.iter().position(|a| base.commits.contains(&a.commit)) {
                let answers = attempts.swap_remove(at).answers;
                return self.tell(io, &ids, &answers);
            }
            #[allow(clippy::cast_possible_truncation)] // 2
            let is_forgotten = |a: &Attempt| base.version >= a.version + REMEMBERED as u8;
            if attempts.iter().any(is_forgotten) && !self.breaks(Broken::ForgottenTakenForLost) {
                return Ok(false);
            }
            let may_live = |a: &Attempt| base.version < a.version && !self.breaks(Broken::LivingDropped);
            let (alive, dead): (Vec<_>, Vec<_>) = attempts.into_iter().partition(may_live);
            attempts = alive;
            for id in dead.into_iter().filter_map(|attempt| attempt.segment) {
                let _ = io.call(Call::DeleteSegment(id))?;
            }
        }
        Ok(false)
    }

    fn dues(&self, io: Wire<'_, '_>) -> Run<Vec<(Id, Due)>, Call> {
        match io.call(Call::Dues)? {
            Ok(Answer::Dues(dues)) => Ok(dues),
            other => panic!("{other:?}"),
        }
    }

    fn collect(&self, io: Wire<'_, '_>) -> Run<bool, Call> {
        let dues = self.dues(io)?;
        if dues.is_empty() {
            return Ok(true);
        }
        #[allow(clippy::cast_possible_truncation)] // a handful
        let at = if dues.len() == 1 { 0 } else { io.choose(dues.len() as u8)? };
        self.work(io, dues[usize::from(at)])
    }

    fn work(&self, io: Wire<'_, '_>, (id, due): (Id, Due)) -> Run<bool, Call> {
        let mut root = self.root(io)?;
        while root.version < due.version && !self.breaks(Broken::NotTouched) {
            // Swapped to itself, so that a swap which is still under way is lost.
            let mut touched = root;
            touched.version += 1;
            touched.commits.rotate_left(1);
            touched.commits[REMEMBERED - 1] = io.id();
            match io.call(Call::Swap(root.version, touched, [None; 2]))? {
                Ok(Answer::Done) => {
                    root = touched;
                    break;
                }
                Ok(_) => root = self.root(io)?,
                Err(_) => return Ok(true),
            }
        }
        for segment in [due.fresh, due.replaced].into_iter().flatten() {
            if root.segment == Some(segment) && !self.breaks(Broken::NamedNotSpared) {
                continue;
            }
            if io.call(Call::DeleteSegment(segment))?.is_err() {
                return Ok(true);
            }
        }
        let _ = io.call(Call::DeleteDue(id))?;
        Ok(true)
    }
}

impl Protocol for Commits {
    type Store = Store;
    type Call = Call;
    type Answer = Answer;

    fn store(&self) -> Store {
        self.store.clone()
    }

    fn programs(&self) -> Vec<usize> {
        self.actors.iter().map(Vec::len).collect()
    }

    fn run(&self, actor: usize, at: usize, io: &mut Io<'_, Call, Answer>) -> Run<bool, Call> {
        match &self.actors[actor][at] {
            Op::Batch(changes) => self.batch(io, changes).map(|_| true),
            Op::Collect => self.collect(io),
        }
    }

    fn apply(&self, store: &mut Store, call: Call) -> Answer {
        match call {
            Call::Root => return Answer::Root(store.root),
            Call::Swap(known, root, changes) => return store.swap(known, root, changes),
            Call::Segment(id) => {
                return Answer::Segment(store.segments.iter().find(|(i, _)| *i == id).map(|(_, cells)| *cells));
            }
            Call::PutSegment(id, cells) => {
                store.outlived += u8::from(store.dropped.contains(&id));
                put(&mut store.segments, (id, cells));
            }
            Call::DeleteSegment(id) => {
                put(&mut store.dropped, id);
                store.segments.retain(|(i, _)| *i != id);
            }
            Call::Dues => return Answer::Dues(store.dues.clone()),
            Call::PutDue(id, due) => put(&mut store.dues, (id, due)),
            Call::DeleteDue(id) => store.dues.retain(|(i, _)| *i != id),
            Call::Tell(id, is_done) => put(&mut store.answered, (id, is_done)),
        }
        Answer::Done
    }

    fn is_write(&self, call: Call) -> bool {
        !matches!(call, Call::Root | Call::Segment(_) | Call::Dues | Call::Tell(..))
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        if let Some(broken) = store.broken {
            return Err(broken.into());
        }
        if let Some(id) = store.root.segment
            && !store.segments.iter().any(|(i, _)| *i == id)
        {
            return Err("P1: the root names a segment that is not there".into());
        }
        for (id, is_done) in &store.answered {
            if store.applied.contains(id) != *is_done {
                let (said, is) = if *is_done { ("done", "never was") } else { ("refused", "took effect") };
                return Err(format!("P2: a change was answered {said}, and {is}"));
            }
        }
        Ok(())
    }

    fn check_rest(&self, store: &Store, _: Faults) -> Result<(), String> {
        let mut store = store.clone();
        let system = System { protocol: self.clone(), most: Faults::default() };
        for _ in 0..24 {
            let Some(first) = store.dues.first().copied() else { break };
            system.alone(&mut store, |io| self.work(io, first));
        }
        self.check(&store)?;
        let stray = store.segments.iter().filter(|(id, _)| store.root.segment != Some(*id)).count();
        if stray > usize::from(store.outlived) {
            return Err(format!("P5: {stray} segments are left that no root names"));
        }
        self.check_value(&store)
    }
}

impl Commits {
    /// The cells are what the changes that took effect make of them, one after the other.
    fn check_value(&self, store: &Store) -> Result<(), String> {
        let below = store.root.segment.and_then(|id| store.segments.iter().find(|(i, _)| *i == id)).map(|(_, c)| *c);
        let cells = [0, 1].map(|i| store.root.recent[i].unwrap_or(below.unwrap_or_default()[i]));
        for (cell, value) in cells.into_iter().enumerate() {
            let last = store.applied.iter().rev().find(|id| self.cell_of(**id).0 == cell);
            let expected = last.and_then(|id| self.cell_of(*id).1.then_some(*id));
            let begun = value.is_some_and(|id| id > 200) && last.is_none();
            if value != expected && !begun {
                return Err(format!("P2: cell {cell} is {value:?}, where the last change made it {expected:?}"));
            }
        }
        Ok(())
    }

    /// Which cell a change is about, and whether it sets it.
    fn cell_of(&self, id: Id) -> (usize, bool) {
        let (actor, at, i) = crate::actors::place_of(id);
        match self.actors.get(actor).and_then(|ops| ops.get(at)) {
            Some(Op::Batch(changes)) => match changes[i] {
                Change::Set(cell) => (usize::from(cell), true),
                Change::Clear(cell) => (usize::from(cell), false),
            },
            _ => (9, false),
        }
    }
}

fn scenario(name: &'static str, size: Size, actors: &[&[Op]], faults: (u8, u8)) -> Scenario {
    // A repository that has a segment with both cells already, and one newer value.
    let root = Root { version: 1, commits: [0, 0], recent: [Some(Some(201)), None], segment: Some(210) };
    let store = Store { root, segments: vec![(210, [Some(202), Some(203)])], ..Store::default() };
    let actors: Vec<Vec<Op>> = actors.iter().map(|ops| ops.to_vec()).collect();
    let most = Faults { crashes: faults.0, losses: faults.1 };
    let commits = Commits { store, actors, broken: None };
    Scenario::new(name, size, move |broken: Option<Broken>| System {
        protocol: Commits { broken, ..commits.clone() },
        most,
    })
}

/// All of them.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    use Size::{Large, Small};
    let set = |cells: &[u8]| Op::Batch(cells.iter().map(|cell| Change::Set(*cell)).collect());
    let clear = |cell| Op::Batch(vec![Change::Clear(cell)]);
    let both = Op::Batch(vec![Change::Clear(1), Change::Set(0)]);
    let collect = Op::Collect;
    vec![
        scenario("commits: two batches", Small, &[&[set(&[0, 1])], std::slice::from_ref(&both)], (1, 1)),
        scenario(
            "commits: a batch, three small ones, a lost answer",
            Small,
            &[&[set(&[0])], &[set(&[0]), set(&[0]), set(&[0])]],
            (0, 1),
        ),
        scenario(
            "commits: a cell emptied twice, a lost answer",
            Small,
            &[&[clear(1)], &[clear(1)], &[set(&[0])]],
            (0, 1),
        ),
        scenario(
            "commits: a batch that settles, a collector",
            Small,
            &[&[set(&[1])], &[collect.clone(), collect.clone()]],
            (1, 1),
        ),
        scenario(
            "commits: two that settle, a collector",
            Small,
            &[&[set(&[1])], &[set(&[1])], &[collect.clone(), collect.clone()]],
            (0, 0),
        ),
        scenario(
            "commits: two that settle, a collector, a crash",
            Small,
            &[&[set(&[1])], &[set(&[0, 1])], std::slice::from_ref(&collect)],
            (1, 0),
        ),
        scenario(
            "commits: two that settle, a collector, a lost answer",
            Large,
            &[&[set(&[1])], &[set(&[0, 1])], &[collect.clone(), collect.clone()]],
            (0, 1),
        ),
        scenario("commits: three batches, two lost answers", Large, &[&[set(&[0, 1])], &[both], &[set(&[0])]], (0, 2)),
    ]
}
