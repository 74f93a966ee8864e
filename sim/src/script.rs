//! Duels as data: a few operations about one blob and one repository, in rounds, and where their order turns.
//!
//! A wide run has everything happen at once and seldom twice at the same place. A duel is short, so that few places exist at which two
//! of its actors can meet, and every seed tries some of them: at each time the actor of the highest rank makes its calls,
//! and at a few random steps that actor falls behind all others, just as the grace time passes or its replica dies.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::work::{REPOSITORIES, TAGS};

/// What an actor does.
#[derive(Clone, Debug)]
pub enum Op {
    /// Uploads the blob of an image.
    Upload(&'static str, usize),
    /// Two requests end the same upload.
    FinishTwice(&'static str, usize),
    /// Two chunks at the same offset of one upload.
    RaceChunks(&'static str),
    /// Mounts the blob of an image from the other repository.
    Mount(&'static str, usize),
    /// Asks for the blob of an image, which renews its lease.
    Head(&'static str, usize),
    /// Pushes the manifest of an image, and nothing else.
    Push(&'static str, usize, Option<&'static str>),
    /// Makes sure of the blob, then pushes the manifest.
    PushImage(&'static str, usize, Option<&'static str>),
    /// Deletes an image.
    Delete(&'static str, usize),
    /// Deletes a tag.
    DeleteTag(&'static str, &'static str),
    /// Takes the leases of a blob.
    DeleteBlob(&'static str, usize),
    /// Pulls what a tag names.
    Pull(&'static str, &'static str),
    /// A collector looks at everything that is due.
    Collect,
}

/// What happens at a step, besides the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing.
    Turn,
    /// The grace time passes.
    TimePasses,
    /// The replica that is about to make a call dies.
    Kill,
    /// The call takes effect and its answer is lost.
    LoseReply,
    /// The call takes effect later, and fails.
    Late,
}

/// At a step of a round the actor whose turn it is falls behind all others.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Counted in store calls from the beginning of the round.
    pub step: u64,
    /// What happens there.
    pub event: Event,
}

/// What comes before a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The grace time passes.
    TimePasses,
    /// The grace time passes, and collectors finish all that is due.
    Collected,
}

/// Actors that work at the same time.
#[derive(Clone, Debug)]
pub struct Round {
    /// What comes before.
    pub before: Before,
    /// What each actor does, one after the other, and at which replica.
    pub actors: Vec<(usize, Vec<Op>)>,
    /// In order of their steps.
    pub changes: Vec<Change>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Script {
    /// One after the other.
    pub rounds: Vec<Round>,
}

/// How many replicas duel. Collectors and clients are on any of them.
pub const REPLICAS: usize = 3;

/// Images of one blob each: in one piece, and in parts.
const SMALL_IMAGES: [usize; 2] = [4, 3];

struct Author {
    rng: ChaCha8Rng,
    repository: &'static str,
    image: usize,
    mild: bool,
}

impl Author {
    fn below(&mut self, n: u64) -> u64 {
        self.rng.random_range(0..n)
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        #[allow(clippy::cast_possible_truncation)] // below a length
        items[self.below(items.len() as u64) as usize]
    }

    fn tag(&mut self) -> Option<&'static str> {
        (self.below(2) == 0).then(|| self.pick(&TAGS[..2]))
    }

    fn op(&mut self) -> Op {
        let at = if self.below(6) == 0 { self.pick(&REPOSITORIES) } else { self.repository };
        let image = if self.below(8) == 0 { self.pick(&SMALL_IMAGES) } else { self.image };
        match self.below(32) {
            0..4 => Op::Upload(at, image),
            4..9 => Op::Push(at, image, self.tag()),
            9..12 => Op::PushImage(at, image, self.tag()),
            12..18 => Op::Delete(at, image),
            18 => Op::DeleteTag(at, self.pick(&TAGS[..2])),
            19 => Op::DeleteBlob(at, image),
            20 => Op::Mount(self.pick(&REPOSITORIES), image),
            21 => Op::Head(at, image),
            22 => Op::FinishTwice(at, image),
            23 => Op::RaceChunks(at),
            24..26 => Op::Pull(at, TAGS[0]),
            _ => Op::Collect,
        }
    }

    fn round(&mut self) -> Round {
        let before = match self.below(5) {
            0 => Before::Nothing,
            1 | 2 => Before::TimePasses,
            _ => Before::Collected,
        };
        let actors = if self.below(12) == 0 { self.readers() } else { self.duellists() };
        Round { before, actors, changes: self.changes() }
    }

    fn duellists(&mut self) -> Vec<(usize, Vec<Op>)> {
        let count = 2 + usize::from(self.below(3) == 0);
        let first = self.below(REPLICAS as u64) as usize;
        (0..count)
            .map(|actor| {
                let ops = (0..1 + self.below(5) / 4).map(|_| self.op()).collect();
                ((first + actor) % REPLICAS, ops)
            })
            .collect()
    }

    /// One writes a tag, two read it through one replica.
    fn readers(&mut self) -> Vec<(usize, Vec<Op>)> {
        let at = self.repository;
        let pull = || Op::Pull(at, TAGS[0]);
        let write = match self.below(3) {
            0 => vec![Op::DeleteTag(at, TAGS[0]), pull()],
            _ => vec![Op::PushImage(at, self.pick(&SMALL_IMAGES), Some(TAGS[0])), pull()],
        };
        vec![(0, vec![pull(), pull()]), (0, write), (0, vec![pull()])]
    }

    /// At most once does time pass while one request runs: else what it writes may stay behind.
    fn changes(&mut self) -> Vec<Change> {
        let longest = self.pick(&[15, 30, 60]);
        let mut steps: Vec<u64> = (0..1 + self.below(4)).map(|_| self.below(longest)).collect();
        steps.sort_unstable();
        steps.dedup();
        let mut passed = false;
        steps
            .into_iter()
            .map(|step| {
                let event = match self.below(20) {
                    0..5 if !passed => {
                        passed = true;
                        Event::TimePasses
                    }
                    5..7 if !self.mild => Event::Kill,
                    7 if !self.mild => Event::LoseReply,
                    8 if !self.mild => Event::Late,
                    _ => Event::Turn,
                };
                Change { step, event }
            })
            .collect()
    }
}

impl Script {
    /// The duel of a seed; a mild one has no kills and no faults.
    #[must_use]
    pub fn of(seed: u64, mild: bool) -> Self {
        let mut author = Author { rng: ChaCha8Rng::seed_from_u64(!seed), repository: REPOSITORIES[0], image: 0, mild };
        author.repository = author.pick(&REPOSITORIES);
        author.image = author.pick(&SMALL_IMAGES);
        let (at, image) = (author.repository, author.image);
        let first = if author.below(2) == 0 { Op::PushImage(at, image, author.tag()) } else { Op::Upload(at, image) };
        let first = Round { before: Before::Nothing, actors: vec![(0, vec![first])], changes: Vec::new() };
        let rounds = 3 + author.below(4);
        Self { rounds: std::iter::once(first).chain((0..rounds).map(|_| author.round())).collect() }
    }

    /// Every script that is smaller by one thing, the largest things first.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        let mut without = |edit: &dyn Fn(&mut Self)| {
            let mut script = self.clone();
            edit(&mut script);
            smaller.push(script);
        };
        for r in (0..self.rounds.len()).rev() {
            without(&|script| drop(script.rounds.remove(r)));
        }
        for (r, round) in self.rounds.iter().enumerate() {
            for a in 0..round.actors.len() {
                without(&|script| drop(script.rounds[r].actors.remove(a)));
                for o in 0..round.actors[a].1.len() {
                    without(&|script| drop(script.rounds[r].actors[a].1.remove(o)));
                }
            }
            for c in 0..round.changes.len() {
                without(&|script| {
                    script.rounds[r].changes.remove(c);
                });
                if round.changes[c].event != Event::Turn {
                    without(&|script| script.rounds[r].changes[c].event = Event::Turn);
                }
            }
            if round.before != Before::Nothing {
                without(&|script| script.rounds[r].before = Before::Nothing);
            }
        }
        smaller
    }
}
