//! Making a blob of a session's bytes: `registry/src/upload.rs` and `commit_upload.rs`.

use super::store::{Answer, BlobState, Call, Due, Hold, Repository, SessionState};
use super::{Blobs, Broken, Swap, Wire, sure};
use crate::actors::{Id, Run};

/// How often a commit looks at the blob's record.
const ATTEMPTS: usize = 3;

/// What became of a commit.
enum Settled {
    /// This generation serves.
    Serves(u8),
    /// Nothing came of it: the lease goes.
    Failed,
    /// It stops where it is.
    Unknown,
}

impl Blobs {
    pub(super) fn finish(&self, io: Wire<'_, '_>, r: Repository, s: u8) -> Run<bool, Call> {
        let session = self.session(io, s)?;
        let in_doubt = match session.state {
            SessionState::Open => false,
            SessionState::Closing(_) => true,
            SessionState::Done | SessionState::Spent => return Ok(true),
            SessionState::Absent | SessionState::Expired { .. } => return Ok(false),
        };
        let committer = io.id();
        let closing = super::Session { state: SessionState::Closing(committer), nonce: io.peek() };
        if self.swap_session(io, s, session, closing.state)? != Swap::Done {
            return Ok(false);
        }
        let lease = io.id();
        sure!(io.call(Call::PutDue(lease, Due::Lease(r, lease))));
        sure!(io.call(Call::PutHold(Hold::Lease(r, lease))));
        let generation = match self.settle(io, s, committer, in_doubt)? {
            Settled::Serves(generation) => generation,
            Settled::Failed => {
                sure!(io.call(Call::DeleteHold(Hold::Lease(r, lease))));
                return Ok(false);
            }
            Settled::Unknown => return Ok(false),
        };
        if self.breaks(Broken::DueAgainAtOldPlace) {
            sure!(io.call(Call::PutDue(lease, Due::Lease(r, lease))));
        } else if !self.breaks(Broken::DueNotAgain) {
            // Elsewhere: a removal of the old one may still be under way.
            let again = io.id();
            sure!(io.call(Call::PutDue(again, Due::Lease(r, lease))));
            sure!(io.call(Call::DeleteDue(lease)));
        }
        let is_own = generation == s;
        let ended = if is_own { SessionState::Done } else { SessionState::Spent };
        let swap = self.swap_session(io, s, closing, ended)?;
        if swap == Swap::Done && (!is_own || self.breaks(Broken::OwnBytesDropped)) {
            sure!(io.call(Call::DeleteData(s)));
        }
        Ok(true)
    }

    /// Makes the blob live with the session's own bytes, or finds that others serve.
    fn settle(&self, io: Wire<'_, '_>, s: u8, committer: Id, mut in_doubt: bool) -> Run<Settled, Call> {
        for _ in 0..ATTEMPTS {
            let blob = self.blob(io)?;
            let generation = match blob.state {
                BlobState::Live => {
                    let is_there = !in_doubt || sure_has(io.call(Call::HasData(blob.generation))?);
                    return Ok(if is_there { Settled::Serves(blob.generation) } else { Settled::Failed });
                }
                BlobState::Condemned => blob.generation,
                BlobState::Absent | BlobState::Gone => {
                    if !self.breaks(Broken::NoSessionLook) {
                        match self.session(io, s)?.state {
                            SessionState::Closing(by) if by == committer => {}
                            SessionState::Closing(_) | SessionState::Done | SessionState::Spent => {
                                return Ok(Settled::Unknown);
                            }
                            _ => return Ok(Settled::Failed),
                        }
                    }
                    if blob.state == BlobState::Gone && blob.generation == s {
                        return Ok(Settled::Failed);
                    }
                    if blob.state == BlobState::Gone && io.call(Call::DeleteData(blob.generation))?.is_err() {
                        return Ok(Settled::Unknown);
                    }
                    s
                }
            };
            if self.swap_blob(io, blob, BlobState::Live, generation)? == Swap::Done {
                return Ok(Settled::Serves(generation));
            }
            in_doubt = true;
        }
        Ok(Settled::Unknown)
    }
}

fn sure_has(answer: Result<Answer, crate::actors::Failed>) -> bool {
    answer == Ok(Answer::Is(true))
}
