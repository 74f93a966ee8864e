//! Pushing, deleting, mounting: `registry/src/push.rs` and `blob.rs`.

use super::store::{Answer, BlobState, Call, Due, Hold, Repository, Root};
use super::{Blobs, Broken, Swap, Wire, sure};
use crate::actors::{Failed, Id, Run};

/// What a look at the blob's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Live,
    Missing,
    Unknown,
}

/// Why a push or a removal is not in place.
enum Refused {
    Already,
    Fenced,
}

/// How often a push begins again.
const ATTEMPTS: usize = 3;

impl Blobs {
    pub(super) fn push(&self, io: Wire<'_, '_>, r: Repository) -> Run<bool, Call> {
        let mut stale: Vec<(Id, Id)> = Vec::new();
        for _ in 0..ATTEMPTS {
            let (root, holds) = self.look_at_repository(io, r)?;
            if root.manifest.is_some() {
                self.withdraw(io, r, &stale)?;
                return Ok(true);
            }
            let is_held = holds.iter().any(|hold| matches!(hold, Hold::Lease(at, _) if *at == r));
            if !is_held {
                self.withdraw(io, r, &stale)?;
                return Ok(false);
            }
            let early = if self.breaks(Broken::HoldAfterLook) { Some(self.ensure_live(io)?) } else { None };
            let (push, due) = match stale.pop() {
                Some(attempt) if self.breaks(Broken::RetryUnderOldPush) => attempt,
                other => {
                    stale.extend(other);
                    let (push, due) = (io.id(), io.id());
                    if !self.breaks(Broken::NoDueOfPush) {
                        sure!(io.call(Call::PutDue(due, Due::Push(r, push))));
                    }
                    sure!(io.call(Call::PutHold(Hold::Push(r, push))));
                    (push, due)
                }
            };
            let look = if let Some(early) = early { early } else { self.ensure_live(io)? };
            match look {
                Look::Live => {}
                Look::Missing => {
                    stale.push((push, due));
                    self.withdraw(io, r, &stale)?;
                    return Ok(false);
                }
                Look::Unknown => return Ok(false),
            }
            let change = |base: Root| match base.manifest {
                Some(_) => Err(Refused::Already),
                None if base.fence != root.fence => Err(Refused::Fenced),
                None => Ok(Root { manifest: Some(push), ..base }),
            };
            match self.commit(io, r, root, change)? {
                Ok(_) => {
                    sure!(io.call(Call::DeleteDue(due)));
                    self.withdraw(io, r, &stale)?;
                    return Ok(true);
                }
                Err(None) => return Ok(false),
                Err(Some(Refused::Already)) => {
                    stale.push((push, due));
                    self.withdraw(io, r, &stale)?;
                    return Ok(true);
                }
                Err(Some(Refused::Fenced)) => stale.push((push, due)),
            }
        }
        Ok(false)
    }

    /// The root and the holds, at once: in either order.
    fn look_at_repository(&self, io: Wire<'_, '_>, r: Repository) -> Run<(Root, Vec<Hold>), Call> {
        if io.choose(2)? == 0 {
            let root = self.root(io, r)?;
            Ok((root, self.holds(io)?))
        } else {
            let holds = self.holds(io)?;
            Ok((self.root(io, r)?, holds))
        }
    }

    fn withdraw(&self, io: Wire<'_, '_>, r: Repository, stale: &[(Id, Id)]) -> Run<bool, Call> {
        for (push, due) in stale {
            sure!(io.call(Call::DeleteHold(Hold::Push(r, *push))));
            sure!(io.call(Call::DeleteDue(*due)));
        }
        Ok(true)
    }

    /// Only after the caller's hold or lease.
    pub(super) fn ensure_live(&self, io: Wire<'_, '_>) -> Run<Look, Call> {
        loop {
            let blob = self.blob(io)?;
            match blob.state {
                BlobState::Live => return Ok(Look::Live),
                BlobState::Absent | BlobState::Gone => return Ok(Look::Missing),
                BlobState::Condemned if self.breaks(Broken::NoRescue) => return Ok(Look::Live),
                BlobState::Condemned => match self.swap_blob(io, blob, BlobState::Live, blob.generation)? {
                    Swap::Done => return Ok(Look::Live),
                    Swap::Lost => {}
                    Swap::Unknown => return Ok(Look::Unknown),
                },
            }
        }
    }

    pub(super) fn delete(&self, io: Wire<'_, '_>, r: Repository) -> Run<bool, Call> {
        for _ in 0..ATTEMPTS {
            let root = self.root(io, r)?;
            let Some(push) = root.manifest else { return Ok(true) };
            let dues = [Due::Blob, Due::Push(r, push)];
            if !self.breaks(Broken::DueAfterSwap) {
                for due in dues {
                    sure!(put_due(io, due));
                }
            }
            if self.breaks(Broken::HoldsBeforeRoot) {
                sure!(io.call(Call::DeleteHold(Hold::Push(r, push))));
            }
            let change = |base: Root| {
                let is_kept = base.kept == root.kept || self.breaks(Broken::KeptIgnored);
                let stands = base.manifest == Some(push) && is_kept;
                if stands { Ok(Root { manifest: None, ..base }) } else { Err(()) }
            };
            match self.commit(io, r, root, change)? {
                Ok(_) => {
                    if self.breaks(Broken::DueAfterSwap) {
                        for due in dues {
                            sure!(put_due(io, due));
                        }
                    }
                    sure!(io.call(Call::DeleteHold(Hold::Push(r, push))));
                    return Ok(true);
                }
                Err(Some(())) => {}
                Err(None) => return Ok(false),
            }
        }
        Ok(false)
    }

    pub(super) fn delete_blob(&self, io: Wire<'_, '_>, r: Repository) -> Run<bool, Call> {
        let (root, holds) = self.look_at_repository(io, r)?;
        if root.manifest.is_some_and(|push| holds.contains(&Hold::Push(r, push))) {
            return Ok(false);
        }
        sure!(put_due(io, Due::Blob));
        for hold in self.holds(io)?.into_iter().filter(|hold| matches!(hold, Hold::Lease(at, _) if *at == r)) {
            sure!(io.call(Call::DeleteHold(hold)));
        }
        Ok(true)
    }

    pub(super) fn mount(&self, io: Wire<'_, '_>, to: Repository, from: Repository) -> Run<bool, Call> {
        let (root, holds) = self.look_at_repository(io, from)?;
        let is_held = holds.iter().any(|hold| match hold {
            Hold::Lease(at, _) => *at == from,
            Hold::Push(at, push) => *at == from && root.manifest == Some(*push),
        });
        if !is_held {
            return Ok(false);
        }
        let lease = io.id();
        sure!(io.call(Call::PutDue(lease, Due::Lease(to, lease))));
        sure!(io.call(Call::PutHold(Hold::Lease(to, lease))));
        let look = self.ensure_live(io)?;
        if look == Look::Missing {
            sure!(io.call(Call::DeleteHold(Hold::Lease(to, lease))));
        }
        Ok(look == Look::Live)
    }
}

/// An entry under an id of its own.
pub(super) fn put_due(io: Wire<'_, '_>, due: Due) -> Run<Result<Answer, Failed>, Call> {
    let id = io.id();
    io.call(Call::PutDue(id, due))
}
