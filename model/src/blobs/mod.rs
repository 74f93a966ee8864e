//! One digest: pushes, uploads, mounts, deletions, collectors and expiry, in two repositories.
//!
//! A root is one value here, changed by one swap; how several changes become one swap, and how an unknown outcome is looked up, is
//! modelled in [`crate::commits`]. The bytes of a manifest share the fate of its hold. There is no clock: whoever asks whether a time is
//! over is told so, or, where the scenario says `patient`, either.

mod client;
mod collector;
mod scenarios;
mod store;
mod upload;

pub use scenarios::scenarios;

use crate::actors::{Faults, Io, Protocol, Run, System};
use store::{Answer, Blob, BlobState, Call, Hold, Repository, Root, Session, Store};

/// A step of the protocol done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // their names say it; see the registry's own
pub enum Broken {
    NoFence,
    RetryUnderOldPush,
    HoldAfterLook,
    DataBeforeGone,
    GoneDeleted,
    NoSecondLook,
    NoSessionLook,
    OwnBytesDropped,
    HoldsBeforeRoot,
    NoRescue,
    DueAfterSwap,
    KeptIgnored,
    /// Whoever lets a closing session expire does not make its commit lose.
    CommitNotStopped,
    /// A commit does not put its due entry again.
    DueNotAgain,
    /// A commit puts its due entry again at its old place.
    DueAgainAtOldPlace,
    /// A push puts no due entry.
    NoDueOfPush,
    /// A collector that finds a blob needed leaves it condemned.
    LeftCondemned,
    /// A root is written without its condition.
    Unconditional,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NoFence,
        Self::RetryUnderOldPush,
        Self::HoldAfterLook,
        Self::DataBeforeGone,
        Self::GoneDeleted,
        Self::NoSecondLook,
        Self::NoSessionLook,
        Self::OwnBytesDropped,
        Self::HoldsBeforeRoot,
        Self::NoRescue,
        Self::DueAfterSwap,
        Self::KeptIgnored,
        Self::CommitNotStopped,
        Self::DueNotAgain,
        Self::DueAgainAtOldPlace,
        Self::NoDueOfPush,
        Self::LeftCondemned,
        Self::Unconditional,
    ];
}

/// What an actor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Pushes the manifest.
    Push(Repository),
    /// Deletes the manifest.
    Delete(Repository),
    /// Takes the leases of the blob.
    DeleteBlob(Repository),
    /// Mounts the blob into the one repository from the other.
    Mount(Repository, Repository),
    /// Ends upload session `s` of a repository.
    Finish(Repository, u8),
    /// Works on one due entry.
    Collect,
}

/// The protocol.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    pub(crate) store: Store,
    pub(crate) actors: Vec<Vec<Op>>,
    /// Whether a lease or a push may be found young too.
    pub(crate) patient: bool,
    pub(crate) broken: Option<Broken>,
}

type Wire<'a, 'b> = &'a mut Io<'b, Call, Answer>;

/// The call was not answered, so that the request ends where it is; what it left is the collector's.
macro_rules! sure {
    ($answer:expr) => {
        match $answer? {
            Ok(answer) => answer,
            Err(_) => return Ok(false.into()),
        }
    };
}
pub(crate) use sure;

/// What became of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    Done,
    Lost,
    Unknown,
}

impl Blobs {
    fn breaks(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// A read is always answered.
    fn root(&self, io: Wire<'_, '_>, repository: Repository) -> Run<Root, Call> {
        match io.call(Call::Root(repository))? {
            Ok(Answer::Root(root)) => Ok(root),
            other => panic!("{other:?}"),
        }
    }

    fn blob(&self, io: Wire<'_, '_>) -> Run<Blob, Call> {
        match io.call(Call::Blob)? {
            Ok(Answer::Blob(blob)) => Ok(blob),
            other => panic!("{other:?}"),
        }
    }

    fn session(&self, io: Wire<'_, '_>, session: u8) -> Run<Session, Call> {
        match io.call(Call::Session(session))? {
            Ok(Answer::Session(session)) => Ok(session),
            other => panic!("{other:?}"),
        }
    }

    fn holds(&self, io: Wire<'_, '_>) -> Run<Vec<Hold>, Call> {
        match io.call(Call::Holds)? {
            Ok(Answer::Holds(holds)) => Ok(holds),
            other => panic!("{other:?}"),
        }
    }

    /// Swaps the record of the blob. What was not answered is read, and compared by its nonce.
    fn swap_blob(&self, io: Wire<'_, '_>, known: Blob, state: BlobState, generation: u8) -> Run<Swap, Call> {
        let nonce = io.id();
        let answer = io.call(Call::SwapBlob(known.nonce, Blob { state, generation, nonce }))?;
        if answer == Ok(Answer::Done) {
            return Ok(Swap::Done);
        }
        let now = self.blob(io)?;
        Ok(match answer {
            _ if now.nonce == nonce => Swap::Done,
            Err(_) if now.nonce == known.nonce => Swap::Unknown,
            _ => Swap::Lost,
        })
    }

    fn swap_session(&self, io: Wire<'_, '_>, s: u8, known: Session, state: store::SessionState) -> Run<Swap, Call> {
        let nonce = io.id();
        let answer = io.call(Call::SwapSession(s, known.nonce, Session { state, nonce }))?;
        if answer == Ok(Answer::Done) {
            return Ok(Swap::Done);
        }
        let now = self.session(io, s)?;
        Ok(match answer {
            _ if now.nonce == nonce => Swap::Done,
            Err(_) if now.nonce == known.nonce => Swap::Unknown,
            _ => Swap::Lost,
        })
    }

    /// Applies a change to a root until it is in place or refused (`None` of `change`). `Err` of the answer: not known.
    fn commit<T>(
        &self,
        io: Wire<'_, '_>,
        repository: Repository,
        mut base: Root,
        change: impl Fn(Root) -> Result<Root, T>,
    ) -> Run<Result<Root, Option<T>>, Call> {
        let mut is_current = false;
        loop {
            match change(base) {
                Err(_) if !is_current => {}
                Err(refusal) => return Ok(Err(Some(refusal))),
                Ok(root) => {
                    let root = Root { commit: io.id(), ..root };
                    let known = if self.breaks(Broken::Unconditional) {
                        self.root(io, repository)?.commit
                    } else {
                        base.commit
                    };
                    match io.call(Call::SwapRoot(repository, known, root))? {
                        Ok(Answer::Done) => return Ok(Ok(root)),
                        Ok(_) => {}
                        Err(_) => return Ok(Err(None)),
                    }
                }
            }
            base = self.root(io, repository)?;
            is_current = true;
        }
    }
}

impl Protocol for Blobs {
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
        match self.actors[actor][at] {
            Op::Push(repository) => self.push(io, repository),
            Op::Delete(repository) => self.delete(io, repository),
            Op::DeleteBlob(repository) => self.delete_blob(io, repository),
            Op::Mount(to, from) => self.mount(io, to, from),
            Op::Finish(repository, session) => self.finish(io, repository, session),
            Op::Collect => self.collect(io),
        }
    }

    fn apply(&self, store: &mut Store, call: Call) -> Answer {
        store.apply(call)
    }

    fn is_write(&self, call: Call) -> bool {
        call.is_write()
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        let serves = matches!(store.blob.state, BlobState::Live | BlobState::Condemned);
        if serves && !store.data.contains(&store.blob.generation) {
            return Err("P1: the blob's record names bytes that are gone".into());
        }
        for (r, root) in store.roots.iter().enumerate() {
            let Some(push) = root.manifest else { continue };
            #[allow(clippy::cast_possible_truncation)] // 0 or 1
            let hold = Hold::Push(r as u8, push);
            if !serves {
                return Err(format!("P1: repository {r} has the manifest, but its blob is gone"));
            }
            if !store.holds.contains(&hold) {
                return Err(format!("P1: repository {r} has the manifest, but not its hold"));
            }
            if store.served[r] != store.blob.generation {
                return Err(format!("P1: the bytes behind repository {r} changed while it has the manifest"));
            }
        }
        Ok(())
    }

    /// Faults are over: whatever is due is collected, by the collector itself, and nothing may be left that nobody claims.
    fn check_rest(&self, store: &Store, faults: Faults) -> Result<(), String> {
        let mut store = store.clone();
        let system = System { protocol: self.clone(), most: Faults::default() };
        for _ in 0..24 {
            if store.dues.is_empty() {
                break;
            }
            // The first entry, and every time is over.
            system.alone(&mut store, |io| self.collect_first(io));
        }
        self.check(&store)?;
        let is_held =
            |hold: &Hold| matches!(hold, Hold::Push(r, p) if store.roots[usize::from(*r)].manifest == Some(*p));
        let stray = store.holds.iter().filter(|hold| !is_held(hold)).count();
        let is_needed = store.holds.iter().any(is_held);
        let bytes: Vec<u8> = store.data.iter().copied().filter(|g| !is_needed || *g != store.blob.generation).collect();
        if !store.dues.is_empty() {
            return Err(format!("P5: the collector never ends: {:?}", store.dues));
        }
        if !bytes.is_empty() {
            return Err(format!("P5: bytes are left that nobody needs: {bytes:?}"));
        }
        // It serves all the same, and whoever looks at it next swaps it back.
        if is_needed && store.blob.state == BlobState::Condemned && faults.losses == 0 {
            return Err("P5: a needed blob is left condemned".into());
        }
        if stray > 0 && !store.outlived {
            return Err(format!("P5: {stray} empty holds are left: {:?}", store.holds));
        }
        let sessions = store.sessions.iter().filter(|s| s.state != store::SessionState::Absent).count();
        if sessions > usize::from(faults.crashes + faults.losses) {
            return Err("P5: sessions are left".into());
        }
        Ok(())
    }
}
