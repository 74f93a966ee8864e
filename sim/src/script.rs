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
    /// Pulls what a tag names, through this replica.
    PullThrough(usize, &'static str, &'static str),
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

/// Which store calls count as steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All.
    All,
    /// Those about roots, blobs and holds, at which actors meet, and the answers to reads of a root.
    Meeting,
    /// Of these the writes.
    Writes,
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
    /// As that, and then nothing may be left that nobody claims.
    Rest,
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
    /// Which calls the steps count.
    pub counted: Counted,
    /// Of the calls of one actor the latest goes first, so that it ends one thing before it goes on with another; else any.
    pub deep: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Script {
    /// One after the other.
    pub rounds: Vec<Round>,
}

/// How many replicas duel. Collectors and clients are on any of them.
pub const REPLICAS: usize = 3;

/// How many duels a script has.
const BOUTS: usize = 12;

/// Images of one blob each: in one piece, and in parts.
const SMALL_IMAGES: [usize; 2] = [4, 3];

/// What there is of the image before a duel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// Nothing.
    Nothing,
    /// Its blob, under a lease.
    Leased,
    /// The image, and the lease of its blob.
    Fresh,
    /// The image; the collector has seen it.
    Held,
    /// The image was deleted, and the collector has not seen it yet.
    Deleted,
}

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

    /// What a client does that has a point there, mostly.
    fn op(&mut self, given: Given) -> Op {
        let at = if self.below(8) == 0 { self.pick(&REPOSITORIES) } else { self.repository };
        let image = self.image;
        let (push, push_image) = (Op::Push(at, image, self.tag()), Op::PushImage(at, image, self.tag()));
        let other = match self.below(8) {
            0 => Op::RaceChunks(at),
            1 => Op::Pull(at, TAGS[0]),
            2 => Op::DeleteTag(at, self.pick(&TAGS[..2])),
            3 => Op::DeleteBlob(at, image),
            4 => Op::Mount(self.pick(&REPOSITORIES), image),
            5 => Op::Head(at, image),
            6 => Op::FinishTwice(at, image),
            _ => Op::PushImage(at, self.pick(&SMALL_IMAGES), self.tag()),
        };
        let likely = match given {
            Given::Leased => [push.clone(), push.clone(), push, Op::DeleteBlob(at, image), Op::Head(at, image)],
            Given::Nothing | Given::Deleted => {
                [Op::Upload(at, image), Op::Upload(at, image), Op::FinishTwice(at, image), push_image, push]
            }
            Given::Fresh | Given::Held => {
                let delete = || Op::Delete(at, image);
                [delete(), delete(), delete(), Op::Upload(at, image), Op::Mount(self.pick(&REPOSITORIES), image)]
            }
        };
        let [a, b, c, d, e] = likely;
        match self.below(12) {
            0 | 1 => a,
            2 | 3 => b,
            4 | 5 => c,
            6 | 7 => d,
            8 | 9 => e,
            _ => other,
        }
    }

    /// What was there goes, what is wanted is made, and then the duel.
    fn bout(&mut self, rounds: &mut Vec<Round>) {
        let (at, image) = (self.repository, self.image);
        let given =
            self.pick(&[Given::Nothing, Given::Leased, Given::Leased, Given::Fresh, Given::Held, Given::Deleted]);
        let quietly = |before, ops| Round {
            before,
            actors: vec![(0, ops)],
            changes: Vec::new(),
            counted: Counted::All,
            deep: true,
        };
        let gone = if self.below(4) > 0 { vec![Op::Delete(at, image)] } else { Vec::new() };
        rounds.push(quietly(Before::Rest, gone));
        let pushed = Op::PushImage(at, image, self.tag());
        let ops = match given {
            Given::Nothing => Vec::new(),
            Given::Leased => vec![Op::Upload(at, image)],
            Given::Fresh | Given::Held => vec![pushed],
            Given::Deleted => vec![pushed, Op::Delete(at, image)],
        };
        rounds.push(quietly(Before::Collected, ops));
        let before = match (given, self.below(3)) {
            (Given::Held, _) => Before::Collected,
            (_, 0) => Before::Nothing,
            _ => Before::TimePasses,
        };
        let reads = self.below(12) == 0;
        let actors = if reads { self.readers() } else { self.duellists(given) };
        let counted = match (reads, self.below(10)) {
            (true, _) | (_, 0) => Counted::Meeting,
            (_, 1 | 2) => Counted::All,
            _ => Counted::Writes,
        };
        let (changes, deep) = (self.changes(counted), self.below(3) > 0);
        rounds.push(Round { before, actors, changes, counted, deep });
    }

    /// A client and mostly a collector, now and then a third.
    fn duellists(&mut self, given: Given) -> Vec<(usize, Vec<Op>)> {
        let first = self.below(REPLICAS as u64) as usize;
        let mut programs = vec![vec![self.op(given)]];
        programs.push(vec![if self.below(6) > 0 { Op::Collect } else { self.op(given) }]);
        if self.below(6) == 0 {
            programs.push(vec![if self.below(2) == 0 { Op::Collect } else { self.op(given) }]);
        }
        if self.below(5) == 0 {
            programs[0].push(self.op(given));
        }
        programs.into_iter().enumerate().map(|(i, ops)| ((first + i) % REPLICAS, ops)).collect()
    }

    /// One writes a tag and then reads it through another replica, where somebody else reads it too.
    fn readers(&mut self) -> Vec<(usize, Vec<Op>)> {
        let at = self.repository;
        let write = match self.below(3) {
            0 => Op::DeleteTag(at, TAGS[0]),
            _ => Op::PushImage(at, self.pick(&SMALL_IMAGES), Some(TAGS[0])),
        };
        vec![(0, vec![Op::Pull(at, TAGS[0])]), (1, vec![write, Op::PullThrough(0, at, TAGS[0])])]
    }

    /// At most once does time pass while one request runs: else what it writes may stay behind.
    fn changes(&mut self, counted: Counted) -> Vec<Change> {
        let gaps: &[u64] = match counted {
            Counted::All => &[0, 1, 2, 3, 4, 6, 8, 12],
            Counted::Meeting => &[0, 1, 1, 2, 3, 4, 6],
            Counted::Writes => &[0, 0, 0, 1, 1, 2, 2, 3, 3],
        };
        let mut step = 0;
        let steps: Vec<u64> = (0..self.pick(&[1, 1, 2, 2, 3]))
            .map(|_| {
                step += self.pick(gaps);
                step
            })
            .collect();
        let mut passed = false;
        steps
            .into_iter()
            .map(|step| {
                let event = match self.below(20) {
                    0..9 if !passed => {
                        passed = true;
                        Event::TimePasses
                    }
                    9..12 if !self.mild => Event::Kill,
                    12 if !self.mild => Event::LoseReply,
                    13 if !self.mild => Event::Late,
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
        let mut rounds = Vec::new();
        for _ in 0..BOUTS {
            author.bout(&mut rounds);
        }
        Self { rounds }
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
                    without(&|script| {
                        script.rounds[r].actors[a].1.remove(o);
                    });
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
