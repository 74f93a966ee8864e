//! The record of a blob: which generation has its bytes.

use serde::{Deserialize, Serialize};
use wharf_oci::Digest;
use wharf_store::{Generation, StoreResult};

use crate::backoff::Backoff;
use crate::breaks::Break;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key::{Id, Key};
use crate::record::{self, Cell, Swap};

/// What may be done with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlobState {
    /// They serve.
    Live,
    /// A collector found no holder. Whoever needs the blob swaps it back to live.
    Condemned,
    /// They are being deleted or already are. The record stays, for the next upload of the digest.
    Gone,
}

/// One digest, one generation: deduplication is exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRecord {
    pub(crate) state: BlobState,
    #[serde(rename = "gen")]
    pub(crate) generation: Generation,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Makes each value of the record different from every other.
    pub(crate) nonce: Id,
}

impl BlobRecord {
    /// The same bytes in another state.
    pub(crate) fn turned(&self, core: &Core, state: BlobState) -> Self {
        Self { state, nonce: core.id(), ..self.clone() }
    }
}

/// Reads the record of a blob.
pub(crate) async fn load(core: &Core, digest: &Digest) -> StoreResult<Option<Cell<BlobRecord>>> {
    record::load(core.records.as_ref(), &Key::Blob(digest.clone())).await
}

/// Swaps the record of a blob.
pub(crate) async fn swap(
    core: &Core,
    digest: &Digest,
    known: Option<&Cell<BlobRecord>>,
    value: &BlobRecord,
) -> StoreResult<Swap> {
    record::swap(core.records.as_ref(), &Key::Blob(digest.clone()), known.map(|k| &k.etag), value).await
}

/// Sees that a blob is live, and takes it back from a collector that condemned it. Only after the caller has put its hold or
/// lease: either the collector sees that, or this sees what the collector did.
///
/// `None` when there is no such blob (any more).
pub(crate) async fn ensure_live(core: &Core, digest: &Digest) -> Result<Option<BlobRecord>> {
    let mut backoff = Backoff::new();
    while backoff.goes_on() {
        let Some(cell) = load(core, digest).await? else { return Ok(None) };
        match cell.value.state {
            BlobState::Live => return Ok(Some(cell.value)),
            BlobState::Gone => return Ok(None),
            BlobState::Condemned if core.broken(Break::NoRescue) => return Ok(Some(cell.value)),
            BlobState::Condemned => {
                let rescued = cell.value.turned(core, BlobState::Live);
                if matches!(swap(core, digest, Some(&cell), &rescued).await?, Swap::Done(_)) {
                    return Ok(Some(rescued));
                }
            }
        }
        backoff.pause(core).await;
    }
    Err(Error::Contended(digest.to_string()))
}
