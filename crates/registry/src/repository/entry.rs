//! What the state of a repository is made of: entries in one ordered key space.
//!
//! ```text
//! m/<digest>                 a manifest
//! m/<digest>/c/<index>       an index of the repository lists it
//! m/<digest>/r/<manifest>    a manifest refers to it; it need not be there itself
//! m/<digest>/t/<tag>         a tag names it
//! t/<tag>                    a tag
//! ```
//! Everything about one manifest lies side by side, so that a push touches two places of the order: one for the
//! manifest and one for each tag.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, Tag};
use wharf_store::Generation;

use crate::env::Seconds;
use crate::key::Id;

/// The key of an entry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct EntryKey(Box<str>);

impl EntryKey {
    pub(crate) fn manifest(digest: &Digest) -> Self {
        Self(format!("m/{digest}").into())
    }

    pub(crate) fn listed_by(child: &Digest, index: &Digest) -> Self {
        Self(format!("m/{child}/c/{index}").into())
    }

    pub(crate) fn referrer(subject: &Digest, manifest: &Digest) -> Self {
        Self(format!("m/{subject}/r/{manifest}").into())
    }

    pub(crate) fn tag_of(digest: &Digest, tag: &Tag) -> Self {
        Self(format!("m/{digest}/t/{tag}").into())
    }

    pub(crate) fn tag(tag: &Tag) -> Self {
        Self(format!("t/{tag}").into())
    }

    /// What begins the keys of all indexes that list `child`.
    pub(crate) fn all_listing(child: &Digest) -> String {
        format!("m/{child}/c/")
    }

    /// What begins the keys of all referrers of `subject`.
    pub(crate) fn all_referrers(subject: &Digest) -> String {
        format!("m/{subject}/r/")
    }

    /// What begins the keys of all tags of `digest`.
    pub(crate) fn all_tags_of(digest: &Digest) -> String {
        format!("m/{digest}/t/")
    }

    /// What begins the keys of all tags.
    pub(crate) const ALL_TAGS: &str = "t/";

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component: the tag, the index or the referrer.
    pub(crate) fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl Borrow<str> for EntryKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Behind `m/<digest>`.
    #[serde(rename = "m")]
    Manifest(ManifestEntry),
    /// Behind `t/<tag>`.
    #[serde(rename = "t")]
    Tag(TagEntry),
    /// Behind `m/<digest>/r/<manifest>`.
    #[serde(rename = "r")]
    Referrer(ReferrerEntry),
    /// Behind `m/<digest>/c/<index>` and `m/<digest>/t/<tag>`: that it is there says all.
    #[serde(rename = "x")]
    Mark,
}

/// A manifest of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestEntry {
    /// The push that set it; the holds of its blobs carry the same id.
    pub(crate) push: Id,
    /// Where its bytes are. They belong to this entry.
    #[serde(rename = "gen")]
    pub(crate) generation: Generation,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its media type.
    #[serde(rename = "type")]
    pub(crate) media_type: String,
    /// What it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Digest>,
    /// When it was pushed.
    pub(crate) at: Seconds,
    /// By whom, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// A tag of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagEntry {
    /// What it names.
    #[serde(rename = "d")]
    pub(crate) manifest: Digest,
    /// When it was last set.
    pub(crate) at: Seconds,
    /// By whom, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// What a list of referrers says of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReferrerEntry {
    /// Its media type.
    #[serde(rename = "type")]
    pub(crate) media_type: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its artifact type.
    #[serde(rename = "artifact", default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    /// Its annotations, unless they are too large to stand here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Its annotations, or its artifact type, have to be read from the manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) long: bool,
}

/// The largest artifact type and annotations that stand in an entry, in bytes together. The state of a repository stays
/// small, whatever clients write into their manifests.
const MAX_INLINE: usize = 1024;

impl ReferrerEntry {
    /// Of a manifest of `size` bytes.
    pub(crate) fn new(manifest: &wharf_oci::Manifest, size: u64) -> Self {
        let inline = manifest.artifact_type.as_ref().map_or(0, String::len)
            + manifest.annotations.iter().map(|(k, v)| k.len() + v.len() + 6).sum::<usize>();
        let long = inline > MAX_INLINE;
        Self {
            media_type: manifest.media_type.clone(),
            size,
            artifact_type: manifest.artifact_type.clone().filter(|_| !long),
            annotations: if long { BTreeMap::new() } else { manifest.annotations.clone() },
            long,
        }
    }
}

impl Entry {
    /// About how many bytes the entry takes in a record, with its key.
    pub(crate) fn weight(key: &EntryKey, entry: Option<&Self>) -> usize {
        let value = match entry {
            None => 4,
            Some(Self::Mark) => 3,
            Some(Self::Tag(tag)) => 110 + tag.by.as_ref().map_or(0, String::len),
            Some(Self::Manifest(m)) => {
                180 + m.media_type.len()
                    + m.by.as_ref().map_or(0, String::len)
                    + m.subject.as_ref().map_or(0, |s| s.hex().len() + 20)
            }
            Some(Self::Referrer(r)) => {
                60 + r.media_type.len()
                    + r.artifact_type.as_ref().map_or(0, String::len)
                    + r.annotations.iter().map(|(k, v)| k.len() + v.len() + 6).sum::<usize>()
            }
        };
        key.0.len() + value + 4
    }
}
