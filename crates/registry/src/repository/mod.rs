//! A repository as a value: its root, the segments of a large one, strict reads and group commit.

mod commit;
mod entry;
mod handle;
mod root;
mod segment;
mod tree;
mod view;

pub(crate) use commit::{Change, Committed, Expected, Push, Refusal, Removal, TagPush};
pub(crate) use entry::{Entry, EntryKey, ManifestEntry, ReferrerEntry};
pub(crate) use handle::{CachedRoot, Handle};
pub(crate) use segment::Segment;
pub use tree::Shape;
pub(crate) use view::View;
