//! Segments: immutable pieces of a large repository's state, named by its root.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wharf_oci::RepositoryName;
use wharf_store::{StoreError, StoreResult};

use super::entry::{Entry, EntryKey};
use crate::core::Core;
use crate::key::{Id, Key};
use crate::record;

/// A segment as its parent names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Child {
    /// The first key in it.
    pub(crate) first: EntryKey,
    /// Its id.
    pub(crate) id: Id,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Segment {
    /// Entries, in order.
    #[serde(rename = "leaf")]
    Leaf(Vec<(EntryKey, Entry)>),
    /// Further segments, in order.
    #[serde(rename = "inner")]
    Inner(Vec<Child>),
}

impl Segment {
    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.iter().map(|(k, e)| Entry::weight(k, Some(e))).sum(),
            Self::Inner(children) => children.len() * 130,
        }
    }
}

/// Which child the key belongs to; what comes before the first belongs to the first.
pub(crate) fn child_for(children: &[Child], key: &str) -> usize {
    children.partition_point(|c| c.first.as_str() <= key).saturating_sub(1)
}

/// Reads a segment, or takes it from the cache: it never changes.
pub(crate) async fn load(core: &Core, name: &RepositoryName, id: Id) -> StoreResult<Arc<Segment>> {
    if let Some(segment) = core.segments.get(&id) {
        return Ok(segment);
    }
    let key = Key::Segment(name.clone(), id);
    let segment: record::Cell<Segment> =
        record::load(core.records.as_ref(), &key).await?.ok_or_else(|| StoreError::not_found(&key))?;
    let segment = Arc::new(segment.value);
    core.segments.insert(id, segment.clone());
    Ok(segment)
}
