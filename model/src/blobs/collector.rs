//! The collector: `registry/src/gc/`.

use super::store::{Answer, Blob, BlobState, Call, Due, Hold, Repository, Root, SessionState};
use super::{Blobs, Broken, Swap, Wire, sure};
use crate::actors::{Id, Run};

enum Verdict {
    Needed(Repository, Id, Root),
    Waiting,
    Unheld(Vec<Hold>),
}

/// What became of an entry: whether it is finished. An unanswered call leaves it.
struct Finished(bool);

impl From<bool> for Finished {
    fn from(is: bool) -> Self {
        Self(is)
    }
}

impl Blobs {
    /// Takes some entry, and works on it.
    pub(super) fn collect(&self, io: Wire<'_, '_>) -> Run<bool, Call> {
        let dues = self.dues(io)?;
        #[allow(clippy::cast_possible_truncation)] // a handful
        let n = dues.len() as u8;
        if n == 0 {
            return Ok(true);
        }
        let at = if n == 1 { 0 } else { io.choose(n)? };
        self.work(io, dues[usize::from(at)])
    }

    pub(super) fn collect_first(&self, io: Wire<'_, '_>) -> Run<bool, Call> {
        match self.dues(io)?.first() {
            Some(first) => self.work(io, *first),
            None => Ok(true),
        }
    }

    fn dues(&self, io: Wire<'_, '_>) -> Run<Vec<(Id, Due)>, Call> {
        match io.call(Call::Dues)? {
            Ok(Answer::Dues(dues)) => Ok(dues),
            other => panic!("{other:?}"),
        }
    }

    fn work(&self, io: Wire<'_, '_>, (id, due): (Id, Due)) -> Run<bool, Call> {
        let Finished(is_finished) = match due {
            Due::Blob => self.collect_blob(io)?,
            Due::Lease(r, lease) => {
                sure!(io.call(Call::DeleteHold(Hold::Lease(r, lease))));
                self.collect_blob(io)?
            }
            Due::Push(r, push) => self.collect_push(io, r, push)?,
            Due::Upload(s) => self.collect_upload(io, s)?,
        };
        if is_finished {
            sure!(io.call(Call::DeleteDue(id)));
        }
        Ok(true)
    }

    /// Lists the holds, and reads a root for the first of them that asks for it.
    fn judge(&self, io: Wire<'_, '_>) -> Run<Verdict, Call> {
        let holds = self.holds(io)?;
        let mut roots = [None; 2];
        for hold in &holds {
            let Hold::Push(r, push) = *hold else { continue };
            let root = match roots[usize::from(r)] {
                Some(root) => root,
                None => self.root(io, r)?,
            };
            roots[usize::from(r)] = Some(root);
            if root.manifest == Some(push) {
                return Ok(Verdict::Needed(r, push, root));
            }
        }
        let is_young = self.patient && !holds.is_empty() && io.choose(2)? == 0;
        Ok(if is_young { Verdict::Waiting } else { Verdict::Unheld(holds) })
    }

    fn collect_blob(&self, io: Wire<'_, '_>) -> Run<Finished, Call> {
        match self.judge(io)? {
            Verdict::Waiting => {
                self.rescue(io)?;
                Ok(Finished(false))
            }
            Verdict::Needed(r, push, root) => {
                self.rescue(io)?;
                self.keep(io, r, push, root)
            }
            Verdict::Unheld(_) => self.condemn(io),
        }
    }

    fn keep(&self, io: Wire<'_, '_>, r: Repository, push: Id, root: Root) -> Run<Finished, Call> {
        let change = |base: Root| match base.manifest {
            Some(found) if found == push => Ok(Root { kept: base.kept + 1, ..base }),
            _ => Err(()),
        };
        Ok(Finished(self.commit(io, r, root, change)?.is_ok()))
    }

    /// A blob that is held must not stay condemned.
    fn rescue(&self, io: Wire<'_, '_>) -> Run<(), Call> {
        let blob = self.blob(io)?;
        if blob.state == BlobState::Condemned && !self.breaks(Broken::LeftCondemned) {
            self.swap_blob(io, blob, BlobState::Live, blob.generation)?;
        }
        Ok(())
    }

    fn condemn(&self, io: Wire<'_, '_>) -> Run<Finished, Call> {
        let mut blob = self.blob(io)?;
        match blob.state {
            BlobState::Absent => return self.clear_unborn(io),
            BlobState::Gone => {
                sure!(io.call(Call::DeleteData(blob.generation)));
                return self.clear_unborn(io);
            }
            BlobState::Condemned => {}
            BlobState::Live => {
                blob = match self.swap_to(io, blob, BlobState::Condemned)? {
                    Some(condemned) => condemned,
                    None => return Ok(Finished(false)),
                }
            }
        }
        let holds = match self.judge(io)? {
            Verdict::Unheld(holds) => holds,
            _ if self.breaks(Broken::NoSecondLook) => Vec::new(),
            _ => {
                self.swap_to(io, blob, BlobState::Live)?;
                return Ok(Finished(false));
            }
        };
        if !self.fence_all(io, &holds)? {
            self.swap_to(io, blob, BlobState::Live)?;
            return Ok(Finished(false));
        }
        if self.breaks(Broken::DataBeforeGone) {
            sure!(io.call(Call::DeleteData(blob.generation)));
        }
        if self.swap_to(io, blob, BlobState::Gone)?.is_none() {
            return Ok(Finished(false));
        }
        sure!(io.call(Call::DeleteData(blob.generation)));
        for hold in holds {
            sure!(io.call(Call::DeleteHold(hold)));
        }
        if self.breaks(Broken::GoneDeleted) {
            sure!(io.call(Call::DeleteBlob));
        }
        Ok(Finished(true))
    }

    /// The record as it is after a swap that was done.
    fn swap_to(&self, io: Wire<'_, '_>, known: Blob, state: BlobState) -> Run<Option<Blob>, Call> {
        let nonce = io.peek();
        let swap = self.swap_blob(io, known, state, known.generation)?;
        Ok((swap == Swap::Done).then_some(Blob { state, nonce, ..known }))
    }

    fn clear_unborn(&self, io: Wire<'_, '_>) -> Run<Finished, Call> {
        let Verdict::Unheld(holds) = self.judge(io)? else { return Ok(Finished(false)) };
        if !self.fence_all(io, &holds)? {
            return Ok(Finished(false));
        }
        for hold in holds {
            sure!(io.call(Call::DeleteHold(hold)));
        }
        Ok(Finished(true))
    }

    /// Fences the repositories of these holds. Whether none of their pushes is in a root, nor ever will be.
    fn fence_all(&self, io: Wire<'_, '_>, holds: &[Hold]) -> Run<bool, Call> {
        if self.breaks(Broken::NoFence) {
            return Ok(true);
        }
        for r in 0..2 {
            let of = |hold: &Hold| matches!(hold, Hold::Push(at, _) if *at == r);
            if !holds.iter().any(of) {
                continue;
            }
            let root = self.root(io, r)?;
            match self.commit(io, r, root, |base| Ok::<_, ()>(Root { fence: base.fence + 1, ..base }))? {
                Ok(fenced) => {
                    if holds
                        .iter()
                        .any(|hold| matches!(hold, Hold::Push(at, p) if *at == r && fenced.manifest == Some(*p)))
                    {
                        return Ok(false);
                    }
                }
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    fn collect_push(&self, io: Wire<'_, '_>, r: Repository, push: Id) -> Run<Finished, Call> {
        let root = self.root(io, r)?;
        if root.manifest == Some(push) {
            return self.keep(io, r, push, root);
        }
        let fence = |base: Root| Ok::<_, ()>(Root { fence: base.fence + 1, ..base });
        match self.commit(io, r, root, fence)? {
            Ok(fenced) if fenced.manifest != Some(push) => {}
            _ => return Ok(Finished(false)),
        }
        sure!(io.call(Call::DeleteHold(Hold::Push(r, push))));
        Ok(Finished(true))
    }

    fn collect_upload(&self, io: Wire<'_, '_>, s: u8) -> Run<Finished, Call> {
        let session = self.session(io, s)?;
        let (closing, expires) = match session.state {
            SessionState::Absent => return Ok(Finished(true)),
            SessionState::Open => (false, true),
            SessionState::Closing(_) => (true, true),
            SessionState::Expired { closing } => (closing, false),
            SessionState::Done | SessionState::Spent => (false, false),
        };
        if expires && self.swap_session(io, s, session, SessionState::Expired { closing })? != Swap::Done {
            return Ok(Finished(false));
        }
        if closing && !self.breaks(Broken::CommitNotStopped) && !self.stop_commit(io)? {
            return Ok(Finished(false));
        }
        let asks = closing || session.state == SessionState::Done;
        let named = if asks { Some(self.blob(io)?) } else { None };
        let serves = named
            .is_some_and(|blob| matches!(blob.state, BlobState::Live | BlobState::Condemned) && blob.generation == s);
        if !serves {
            sure!(io.call(Call::DeleteData(s)));
        }
        if expires {
            return Ok(Finished(false));
        }
        sure!(io.call(Call::DeleteSession(s)));
        Ok(Finished(true))
    }

    /// Makes a committer that stalled lose its swap of the blob's record.
    fn stop_commit(&self, io: Wire<'_, '_>) -> Run<bool, Call> {
        for _ in 0..2 {
            let blob = self.blob(io)?;
            let state = if blob.state == BlobState::Absent { BlobState::Gone } else { blob.state };
            match self.swap_blob(io, blob, state, blob.generation)? {
                Swap::Done => {
                    sure!(super::client::put_due(io, Due::Blob));
                    return Ok(true);
                }
                Swap::Lost => {}
                Swap::Unknown => return Ok(false),
            }
        }
        Ok(false)
    }
}
