//! What would become of an entry of the work list, and why. It decides, reads and never writes; the collector decides anew before it
//! acts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, RepositoryName};
use wharf_store::Family;

use super::judge::{Verdict, judge};
use super::push::Unfinished;
use crate::blob_record::{self, BlobState};
use crate::core::Core;
use crate::due::Due;
use crate::env::Seconds;
use crate::error::{Error, Result};
use crate::key::Id;
use crate::registry::Repository;
use crate::repository::Handle;
use crate::upload::SessionState;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The kind of the entry: `blob`, `lease`, `push`, `upload` or `segments`.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Since when it is due, in seconds since 1970.
    pub due: Seconds,
    /// What would be done.
    pub action: Action,
    /// Why.
    pub why: String,
    /// Bytes that would go, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it is looked at again, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Seconds>,
}

/// What is done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// What it is about goes.
    Delete,
    /// What it is about is needed; only the entry goes.
    Keep,
    /// It is looked at again later.
    Wait,
    /// Nothing is left; only the entry goes.
    Nothing,
}

/// What was found, before it is put beside the entry.
struct Found {
    action: Action,
    why: String,
    bytes: Option<u64>,
    until: Option<Seconds>,
}

impl Found {
    fn new(action: Action, why: impl Into<String>) -> Self {
        Self { action, why: why.into(), bytes: None, until: None }
    }
}

/// The word for an entry's kind.
pub(super) const fn kind(due: &Due) -> &'static str {
    match due {
        Due::Blob(_) => "blob",
        Due::Lease { .. } => "lease",
        Due::Push { .. } => "push",
        Due::Upload { .. } => "upload",
        Due::Segments { .. } => "segments",
    }
}

/// What an entry is about, for people.
pub(super) fn subject(due: &Due) -> String {
    match due {
        Due::Blob(digest) => digest.to_string(),
        Due::Lease { digest, repository, .. } => format!("{repository}: {digest}"),
        Due::Push { repository, manifest, .. } => format!("{repository}: manifest {manifest}"),
        Due::Upload { repository, upload, .. } => format!("{repository}: upload {upload}"),
        Due::Segments { repository, ids, .. } => format!("{repository}: {} segments", ids.len()),
    }
}

/// Looks at an entry that is due since `time`.
pub(super) async fn plan(core: &Arc<Core>, time: Seconds, due: &Due) -> Result<Plan> {
    let found = match due {
        Due::Blob(digest) => blob(core, digest).await?,
        Due::Lease { due, .. } if *due > core.now() => {
            Found { until: Some(*due), ..Found::new(Action::Wait, "the lease runs") }
        }
        Due::Lease { digest, .. } => blob(core, digest).await?,
        Due::Push { repository, manifest, push, generation, blobs } => {
            push_of(core, repository, &Unfinished { manifest, push: *push, generation, blobs }).await?
        }
        Due::Upload { repository, upload, .. } => upload_of(core, repository, upload).await?,
        Due::Segments { repository, version, ids } => segments(core, repository, *version, ids).await?,
    };
    let Found { action, why, bytes, until } = found;
    Ok(Plan { kind: kind(due).to_owned(), subject: subject(due), due: time, action, why, bytes, until })
}

async fn blob(core: &Arc<Core>, digest: &Digest) -> Result<Found> {
    let holds = match judge(core, digest).await? {
        Verdict::Needed { repository, manifest, .. } => {
            return Ok(Found::new(Action::Keep, format!("the manifest {manifest} of {repository} needs it")));
        }
        Verdict::Waiting(until) => {
            let why = "a lease runs, or a push that is under way holds it";
            return Ok(Found { until: Some(until), ..Found::new(Action::Wait, why) });
        }
        Verdict::Unheld(holds) => holds.len(),
    };
    let left = match holds {
        0 => "nobody holds it".to_owned(),
        1 => "nobody holds it any more: one hold has lapsed".to_owned(),
        count => format!("nobody holds it any more: {count} holds have lapsed"),
    };
    Ok(match blob_record::load(core, digest).await? {
        None => Found::new(Action::Nothing, "there is no such blob"),
        Some(cell) if cell.value.state == BlobState::Gone => Found::new(Action::Nothing, "it has gone already"),
        Some(cell) => Found { bytes: Some(cell.value.size), ..Found::new(Action::Delete, left) },
    })
}

async fn push_of(core: &Arc<Core>, repository: &RepositoryName, left: &Unfinished<'_>) -> Result<Found> {
    let view = Handle::of(core, repository).view(core).await?;
    let entry = match &view {
        Some(view) => view.manifest(left.manifest).await?,
        None => None,
    };
    if entry.is_some_and(|entry| entry.push == left.push) {
        return Ok(Found::new(Action::Keep, "the manifest is part of the repository"));
    }
    let holds = left.blobs.len();
    let why = format!("the manifest was deleted, or its push never ended: its bytes and {holds} holds go");
    Ok(Found { bytes: core.data.size(left.generation).await?, ..Found::new(Action::Delete, why) })
}

async fn upload_of(core: &Arc<Core>, repository: &RepositoryName, upload: &Family) -> Result<Found> {
    let repository = Repository { core: core.clone(), name: repository.clone() };
    let session = match repository.load_session(upload).await {
        Ok(cell) => cell.value,
        Err(Error::UploadUnknown) => return Ok(Found::new(Action::Nothing, "the session has gone already")),
        Err(error) => return Err(error),
    };
    let until = session.touched + core.grace().as_secs();
    if until > core.now() {
        return Ok(Found { until: Some(until), ..Found::new(Action::Wait, "somebody wrote to it not long ago") });
    }
    let (why, bytes) = match session.state {
        SessionState::Open { offset, .. } => ("nobody came back to it: it expires, and its bytes go", Some(offset)),
        SessionState::Closing { .. } => ("nobody came back to end it: it expires", None),
        SessionState::Done { .. } | SessionState::Spent { .. } => ("it has ended: its record goes", None),
        SessionState::Expired { .. } => ("it has expired: its record goes, and what was left of it", None),
    };
    Ok(Found { bytes, ..Found::new(Action::Delete, why) })
}

async fn segments(core: &Arc<Core>, repository: &RepositoryName, version: u64, ids: &[Id]) -> Result<Found> {
    let Some(view) = Handle::of(core, repository).view(core).await? else {
        return Ok(Found::new(Action::Delete, "the repository does not exist"));
    };
    let named = view.named_segments().await?;
    let unnamed = ids.iter().filter(|id| !named.contains(id)).count();
    if unnamed == 0 {
        return Ok(Found::new(Action::Keep, "the repository names all of them"));
    }
    let is_behind = view.root.version >= version;
    let how = if is_behind { "" } else { ", once the repository has been fenced" };
    Ok(Found::new(Action::Delete, format!("the repository does not name {unnamed} of {}{how}", ids.len())))
}
