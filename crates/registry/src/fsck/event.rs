//! What a walk says while it goes on: progress, findings, and where it could go on later.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, RepositoryName};
use wharf_store::Generation;

use super::suspect::Suspect;

/// What is walked, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Every manifest of every repository: its bytes, its children, its blobs and its holds on them.
    #[default]
    Repositories,
    /// Every stored segment: does its root name it?
    Segments,
    /// The record of every blob: is it held, or will a collector look at it?
    Blobs,
    /// Every hold: does it belong to a manifest, or is it still going to be taken off?
    Holds,
    /// Every upload session: will a collector look at it?
    Uploads,
    /// Every unfinished upload in parts: is it a session's?
    Unfinished,
    /// All data: does anything name them?
    Data,
    /// The bytes of every blob, hashed; only where it is asked for.
    Scrub,
    /// A second look at what was suspected.
    Confirm,
    /// The end.
    Done,
}

impl Phase {
    /// The one after this.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Repositories => Self::Segments,
            Self::Segments => Self::Blobs,
            Self::Blobs => Self::Holds,
            Self::Holds => Self::Uploads,
            Self::Uploads => Self::Unfinished,
            Self::Unfinished => Self::Data,
            Self::Data => Self::Scrub,
            Self::Scrub => Self::Confirm,
            Self::Confirm | Self::Done => Self::Done,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repositories => "repositories",
            Self::Segments => "segments",
            Self::Blobs => "blobs",
            Self::Holds => "holds",
            Self::Uploads => "uploads",
            Self::Unfinished => "unfinished",
            Self::Data => "data",
            Self::Scrub => "scrub",
            Self::Confirm => "confirm",
            Self::Done => "done",
        })
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that was acknowledged cannot be read whole any more.
    Lost,
    /// Everything can be read, but nothing keeps it from being collected or forgotten.
    Danger,
    /// Nothing is lost; something takes space that nobody will free.
    Leftover,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "LOST",
            Self::Danger => "danger",
            Self::Leftover => "leftover",
        })
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// The bytes of a manifest that is in its repository are missing or have another digest.
    ManifestLost {
        /// Where.
        repository: RepositoryName,
        /// Which.
        manifest: Digest,
        /// Where its bytes should be.
        generation: Generation,
        /// What is wrong with them.
        problem: String,
    },
    /// What an index lists is not in its repository.
    ChildLost {
        /// Where.
        repository: RepositoryName,
        /// The index.
        manifest: Digest,
        /// What it lists.
        child: Digest,
    },
    /// A tag names a manifest that is not in its repository.
    TagLost {
        /// Where.
        repository: RepositoryName,
        /// The tag.
        tag: String,
        /// What it names.
        manifest: Digest,
    },
    /// A manifest that is in its repository needs a blob that has no record, or one that says gone.
    BlobLost {
        /// Where.
        repository: RepositoryName,
        /// Who needs it.
        manifest: Digest,
        /// The blob.
        blob: Digest,
        /// `absent` or `gone`.
        state: String,
    },
    /// A blob's record names bytes that are not there, or not all of them.
    BytesLost {
        /// The blob.
        blob: Digest,
        /// Where its bytes should be.
        generation: Generation,
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: Option<u64>,
        /// A repository and a manifest that need it.
        needed_by: Option<(RepositoryName, Digest)>,
    },
    /// A blob's bytes no longer have its digest.
    BytesDamaged {
        /// The blob.
        blob: Digest,
        /// Where its bytes are.
        generation: Generation,
        /// The digest that they have.
        actual: Digest,
        /// A repository and a manifest that need it.
        needed_by: Option<(RepositoryName, Digest)>,
    },
    /// A root names a segment that is not there. What stood in it, and behind it, cannot be read.
    SegmentLost {
        /// Where.
        repository: RepositoryName,
        /// What the store said.
        problem: String,
    },
    /// A record cannot be understood.
    Unreadable {
        /// Its key.
        key: String,
        /// Why.
        problem: String,
    },
    /// A manifest that is in its repository has no hold on a blob that it needs: a collector might take the blob.
    HoldMissing {
        /// Where.
        repository: RepositoryName,
        /// Who needs it.
        manifest: Digest,
        /// The blob.
        blob: Digest,
    },
    /// A blob was left condemned, and no collector will look at it again.
    BlobCondemned {
        /// The blob.
        blob: Digest,
    },
    /// A hold of a push that is in no root and that no collector will look at.
    StrayHold {
        /// Where.
        repository: RepositoryName,
        /// What was pushed.
        manifest: Digest,
        /// The push.
        push: String,
        /// What it holds.
        blob: Digest,
    },
    /// A lease that is over and that no collector will look at.
    StrayLease {
        /// Where.
        repository: RepositoryName,
        /// What it holds.
        blob: Digest,
        /// The key of its record.
        key: String,
    },
    /// A blob that nothing holds and that no collector will look at.
    UnheldBlob {
        /// The blob.
        blob: Digest,
        /// How many bytes it takes.
        size: u64,
    },
    /// The record of a blob says gone, its bytes are still there, and no collector will look at it.
    GoneBytes {
        /// The blob.
        blob: Digest,
        /// Where its bytes are.
        generation: Generation,
        /// How many there are.
        size: u64,
    },
    /// A segment that no root names and that no collector will look at.
    StraySegment {
        /// Where.
        repository: RepositoryName,
        /// Its id.
        segment: String,
    },
    /// Data that nothing names: no blob, no manifest, no upload session, no work of a collector.
    StrayData {
        /// Their id.
        generation: Generation,
        /// How many bytes they take.
        size: u64,
    },
    /// An unfinished upload in parts that belongs to no session.
    StrayUpload {
        /// The id of the data that it would have made.
        generation: Generation,
        /// The store's id of it.
        upload: String,
    },
    /// An upload session that was not touched for long and that no collector will look at.
    ForgottenSession {
        /// Where.
        repository: RepositoryName,
        /// Its id.
        upload: String,
    },
}

impl Kind {
    /// Its name, as it stands in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ManifestLost { .. } => "manifest-lost",
            Self::ChildLost { .. } => "child-lost",
            Self::TagLost { .. } => "tag-lost",
            Self::BlobLost { .. } => "blob-lost",
            Self::BytesLost { .. } => "bytes-lost",
            Self::BytesDamaged { .. } => "bytes-damaged",
            Self::SegmentLost { .. } => "segment-lost",
            Self::Unreadable { .. } => "unreadable",
            Self::HoldMissing { .. } => "hold-missing",
            Self::BlobCondemned { .. } => "blob-condemned",
            Self::StrayHold { .. } => "stray-hold",
            Self::StrayLease { .. } => "stray-lease",
            Self::UnheldBlob { .. } => "unheld-blob",
            Self::GoneBytes { .. } => "gone-bytes",
            Self::StraySegment { .. } => "stray-segment",
            Self::StrayData { .. } => "stray-data",
            Self::StrayUpload { .. } => "stray-upload",
            Self::ForgottenSession { .. } => "forgotten-session",
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            // No client reads these.
            Self::Unreadable { key, .. } if ["due/", "upload/"].iter().any(|kind| key.starts_with(kind)) => {
                Severity::Danger
            }
            Self::ManifestLost { .. }
            | Self::ChildLost { .. }
            | Self::TagLost { .. }
            | Self::BlobLost { .. }
            | Self::BytesLost { .. }
            | Self::BytesDamaged { .. }
            | Self::SegmentLost { .. }
            | Self::Unreadable { .. } => Severity::Lost,
            Self::HoldMissing { .. } | Self::BlobCondemned { .. } => Severity::Danger,
            Self::StrayHold { .. }
            | Self::StrayLease { .. }
            | Self::UnheldBlob { .. }
            | Self::GoneBytes { .. }
            | Self::StraySegment { .. }
            | Self::StrayData { .. }
            | Self::StrayUpload { .. }
            | Self::ForgottenSession { .. } => Severity::Leftover,
        }
    }

    /// What a person can do, or should know, where no repair is.
    #[must_use]
    pub const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::ManifestLost { .. } => Some("bring its bytes back from a backup, under the same id in data/"),
            Self::ChildLost { .. } => Some("push what it lists again"),
            Self::TagLost { .. } => Some("set the tag again"),
            Self::BlobLost { .. } => Some("upload the blob again, to any repository"),
            Self::BytesLost { .. } | Self::BytesDamaged { .. } => {
                Some("bring the bytes back from a backup, under the same id in data/")
            }
            Self::SegmentLost { .. } | Self::Unreadable { .. } => Some("bring the record back from a backup"),
            Self::StrayData { .. } => Some("kept, since it may be what is left of something that is lost"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed = |by: &Option<(RepositoryName, Digest)>| match by {
            Some((repository, manifest)) => format!("needed by {repository}@{manifest}"),
            None => "needed by no manifest".to_owned(),
        };
        match self {
            Self::ManifestLost { repository, manifest, generation, problem } => {
                write!(f, "{repository}@{manifest}: its bytes, data {generation}, {problem}")
            }
            Self::ChildLost { repository, manifest, child } => {
                write!(f, "{repository}@{manifest}: it lists {child}, which is not in the repository")
            }
            Self::TagLost { repository, tag, manifest } => {
                write!(f, "{repository}:{tag}: it names {manifest}, which is not in the repository")
            }
            Self::BlobLost { repository, manifest, blob, state } => {
                write!(f, "{repository}@{manifest}: it needs the blob {blob}, whose record is {state}")
            }
            Self::BytesLost { blob, generation, expected, found, needed_by } => {
                let found = found.map_or_else(|| "are missing".to_owned(), |found| format!("are only {found}"));
                write!(f, "blob {blob}: its {expected} bytes, data {generation}, {found}; {}", needed(needed_by))
            }
            Self::BytesDamaged { blob, generation, actual, needed_by } => {
                write!(f, "blob {blob}: its bytes, data {generation}, have the digest {actual}; {}", needed(needed_by))
            }
            Self::SegmentLost { repository, problem } => {
                write!(f, "{repository}: part of its state cannot be read: {problem}")
            }
            Self::Unreadable { key, problem } => write!(f, "the record {key} cannot be understood: {problem}"),
            Self::HoldMissing { repository, manifest, blob } => {
                write!(f, "{repository}@{manifest}: it has no hold on the blob {blob}, which it needs")
            }
            Self::BlobCondemned { blob } => write!(f, "blob {blob}: left condemned"),
            Self::StrayHold { repository, manifest, push, blob } => {
                write!(f, "a hold of {repository} on {blob}, of the push {push} of {manifest}, which is in no root")
            }
            Self::StrayLease { repository, blob, .. } => {
                write!(f, "a lease of {repository} on {blob}, which is over")
            }
            Self::UnheldBlob { blob, size } => write!(f, "blob {blob}: {size} bytes that nothing holds"),
            Self::GoneBytes { blob, generation, size } => {
                write!(f, "blob {blob}: gone, but its {size} bytes are still there, data {generation}")
            }
            Self::StraySegment { repository, segment } => {
                write!(f, "segment {segment} of {repository}, which the root does not name")
            }
            Self::StrayData { generation, size } => write!(f, "data {generation}: {size} bytes that nothing names"),
            Self::StrayUpload { generation, .. } => {
                write!(f, "an unfinished upload of data {generation}, which belongs to no session")
            }
            Self::ForgottenSession { repository, upload } => {
                write!(f, "upload session {upload} of {repository}, which no collector will look at")
            }
        }
    }
}

/// What was done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repair {
    /// Nothing: it was not asked for.
    Open,
    /// It is on the collectors' work list now; they decide.
    Queued,
    /// What was missing was put back.
    Restored,
    /// It was removed: nothing names it, and nothing ever can.
    Removed,
    /// It takes a person: see [`Kind::advice`].
    Manual,
    /// It had changed before it could be repaired.
    Moot,
}

/// A finding, confirmed by a second look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was done about it.
    pub repair: Repair,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
}

/// How far a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// How many things it has looked at so far, over all runs of this walk.
    pub checked: u64,
    /// Which part of the phase is done, from 0 to 1, where that can be told.
    pub share: Option<f64>,
    /// Bytes that were read and hashed.
    pub bytes: u64,
}

/// Sums of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many things each phase looked at.
    pub checked: BTreeMap<Phase, u64>,
    /// How many findings there are of each kind.
    pub findings: BTreeMap<String, u64>,
    /// How many of them say that something is lost.
    pub lost: u64,
    /// Bytes that were read and hashed.
    pub bytes: u64,
    /// What could not be judged, and why.
    pub skipped: u64,
}

impl Summary {
    /// How many findings there are.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.findings.values().sum()
    }
}

/// Where a walk stands: enough to go on in another process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The phase that is walked.
    pub phase: Phase,
    /// The last key that was looked at in it.
    pub(super) after: Option<String>,
    /// Large repositories before that key, and the last entry of each that was looked at.
    pub(super) open: VecDeque<(RepositoryName, String)>,
    /// How many repositories there were when the walk began.
    pub(super) repositories: u64,
    /// How many of them were walked.
    pub(super) walked: u64,
    /// What looked wrong and waits for its second look.
    pub(super) suspects: Vec<Suspect>,
    /// What was counted so far.
    pub summary: Summary,
}

impl State {
    /// Whether the walk has not begun.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.phase == Phase::default() && self.after.is_none()
    }
}

/// What a walk says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// Something is wrong.
    Finding(Finding),
    /// Something could not be judged; a later walk may.
    Skipped {
        /// What, and why.
        reason: String,
    },
    /// Where it could go on if it was stopped now.
    Checkpoint(State),
    /// It is over.
    Done(Summary),
}
