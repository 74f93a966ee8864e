//! One digest in two repositories: what the store has of it.

use crate::actors::Id;

/// A repository: 0 or 1.
pub(crate) type Repository = u8;
/// Where bytes are. Those of upload session `s` are at generation `s`.
pub(crate) type Generation = u8;

/// The generation that a record names which was put only so that a stalled commit loses its swap: nothing is there.
pub(crate) const NO_BYTES: Generation = 9;

/// A root: as much of it as concerns one manifest, which needs the digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Root {
    /// The latest commit; a swap is on condition of it.
    pub(crate) commit: Id,
    pub(crate) fence: u8,
    pub(crate) kept: u8,
    /// The push under which the manifest is there.
    pub(crate) manifest: Option<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BlobState {
    Absent,
    Live,
    Condemned,
    Gone,
}

/// The record of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Blob {
    pub(crate) state: BlobState,
    pub(crate) generation: Generation,
    pub(crate) nonce: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SessionState {
    Absent,
    Open,
    Closing(Id),
    Done,
    Spent,
    Expired { closing: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) state: SessionState,
    pub(crate) nonce: Id,
}

/// Who holds the blob for a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Hold {
    Lease(Repository, Id),
    Push(Repository, Id),
}

/// An entry of the collector's work list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Due {
    Blob,
    Lease(Repository, Id),
    Push(Repository, Id),
    Upload(u8),
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) roots: [Root; 2],
    pub(crate) blob: Blob,
    pub(crate) sessions: [Session; 2],
    pub(crate) holds: Vec<Hold>,
    pub(crate) dues: Vec<(Id, Due)>,
    pub(crate) data: Vec<Generation>,
    /// The generation that served when the manifest of each repository was committed; only to check by.
    pub(crate) served: [Generation; 2],
    /// Holds that were dropped, and whether one was put after that; only to check by.
    pub(crate) dropped: Vec<Hold>,
    pub(crate) outlived: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Root(Repository),
    /// Swaps a root that stands at the commit.
    SwapRoot(Repository, Id, Root),
    Blob,
    /// Swaps the record that has the nonce.
    SwapBlob(Id, Blob),
    /// For a break: deletes the record.
    DeleteBlob,
    Session(u8),
    SwapSession(u8, Id, Session),
    DeleteSession(u8),
    Holds,
    PutHold(Hold),
    DeleteHold(Hold),
    Dues,
    PutDue(Id, Due),
    DeleteDue(Id),
    HasData(Generation),
    DeleteData(Generation),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Done,
    /// Another value is in place.
    Lost,
    Root(Root),
    Blob(Blob),
    Session(Session),
    Holds(Vec<Hold>),
    Dues(Vec<(Id, Due)>),
    Is(bool),
}

fn put<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(at) = list.binary_search(&item) {
        list.insert(at, item);
    }
}

impl Store {
    /// Nothing; two sessions whose bytes are there, if they are open.
    pub(crate) fn new(open: [bool; 2]) -> Self {
        let session = |open| Session { state: if open { SessionState::Open } else { SessionState::Absent }, nonce: 0 };
        Self {
            roots: [Root::default(); 2],
            blob: Blob { state: BlobState::Absent, generation: NO_BYTES, nonce: 0 },
            sessions: open.map(session),
            holds: Vec::new(),
            dues: (0u8..2).filter(|s| open[usize::from(*s)]).map(|s| (240 + s, Due::Upload(s))).collect(),
            data: (0u8..2).filter(|s| open[usize::from(*s)]).collect(),
            served: [NO_BYTES; 2],
            dropped: Vec::new(),
            outlived: false,
        }
    }

    /// With a live blob of a session long over.
    #[must_use]
    pub(crate) fn with_blob(mut self, state: BlobState) -> Self {
        self.blob = Blob { state, generation: 5, nonce: 0 };
        if state != BlobState::Gone {
            put(&mut self.data, 5);
        }
        self
    }

    /// With a lease, and its due entry.
    #[must_use]
    pub(crate) fn with_lease(mut self, repository: Repository) -> Self {
        let id = 250 + repository;
        put(&mut self.holds, Hold::Lease(repository, id));
        self.with_due(id, Due::Lease(repository, id))
    }

    /// With the manifest.
    #[must_use]
    pub(crate) fn with_manifest(mut self, repository: Repository) -> Self {
        let push = 252 + repository;
        self.roots[usize::from(repository)].manifest = Some(push);
        self.served[usize::from(repository)] = self.blob.generation;
        put(&mut self.holds, Hold::Push(repository, push));
        self
    }

    #[must_use]
    pub(crate) fn with_due(mut self, id: Id, due: Due) -> Self {
        put(&mut self.dues, (id, due));
        self
    }

    pub(crate) fn apply(&mut self, call: Call) -> Answer {
        match call {
            Call::Root(r) => return Answer::Root(self.roots[usize::from(r)]),
            Call::SwapRoot(r, known, root) => return self.swap_root(usize::from(r), known, root),
            Call::Blob => return Answer::Blob(self.blob),
            Call::SwapBlob(known, blob) if self.blob.nonce == known => self.blob = blob,
            Call::DeleteBlob => self.blob = Blob { state: BlobState::Absent, generation: NO_BYTES, nonce: 0 },
            Call::Session(s) => return Answer::Session(self.sessions[usize::from(s)]),
            Call::SwapSession(s, known, session) if self.sessions[usize::from(s)].nonce == known => {
                self.sessions[usize::from(s)] = session;
            }
            Call::SwapBlob(..) | Call::SwapSession(..) => return Answer::Lost,
            Call::DeleteSession(s) => {
                // Its nonce stays behind here alone, so that no swap matches an absent record.
                self.sessions[usize::from(s)] = Session { state: SessionState::Absent, nonce: 255 };
            }
            Call::Holds => return Answer::Holds(self.holds.clone()),
            Call::PutHold(hold) => {
                self.outlived |= self.dropped.contains(&hold);
                put(&mut self.holds, hold);
            }
            Call::DeleteHold(hold) => {
                put(&mut self.dropped, hold);
                self.holds.retain(|h| *h != hold);
            }
            Call::Dues => return Answer::Dues(self.dues.clone()),
            Call::PutDue(id, due) => put(&mut self.dues, (id, due)),
            Call::DeleteDue(id) => self.dues.retain(|(i, _)| *i != id),
            Call::HasData(generation) => return Answer::Is(self.data.contains(&generation)),
            Call::DeleteData(generation) => self.data.retain(|g| *g != generation),
        }
        Answer::Done
    }

    fn swap_root(&mut self, r: usize, known: Id, root: Root) -> Answer {
        if self.roots[r].commit != known {
            return Answer::Lost;
        }
        if self.roots[r].manifest != root.manifest {
            self.served[r] = self.blob.generation;
        }
        self.roots[r] = root;
        Answer::Done
    }
}

impl Call {
    pub(crate) const fn is_write(self) -> bool {
        !matches!(self, Self::Root(_) | Self::Blob | Self::Session(_) | Self::Holds | Self::Dues | Self::HasData(_))
    }
}
