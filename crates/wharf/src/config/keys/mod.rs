//! Every key that a configuration may have: zot's own, and Wharf's.
//!
//! One table a section. A path names a key from the root: `.` joins keys, `[]` stands for any item of a list, and
//! `<name>` for any key of a map. The tables are all there is to know about a key's name, type and standing; what a key of
//! the first class does is in the typed sections (`storage.rs`, `http.rs`, `log.rs` beside this folder).

mod access;
mod extensions;
mod http;
mod process;
mod storage;
mod tree;

pub(super) use storage::DRIVERS;
pub(super) use tree::{Child, Node, schema};

/// What a value must look like. Texts that spell a number or a switch are taken for one, as zot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text; a number is taken as it is spelled.
    Text,
    /// Text that is never shown.
    Secret,
    /// A path of a file or folder.
    Path,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number, whole or not.
    Number,
    /// A port, as a number or as text; 0 or nothing lets the kernel pick.
    Port,
    /// A Go duration; a bare number is nanoseconds.
    Duration,
    /// A number of bytes, with a unit or without.
    Bytes,
    /// A window of the day.
    Window,
    /// An absolute URL of the web.
    Url,
    /// A list of texts; a single text is split at its commas.
    List,
    /// A list of addresses and networks.
    Networks,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A block with the keys below it.
    Block,
    /// A list of such blocks.
    Blocks,
    /// A block for a storage driver: keys that no table knows are passed on, unless they look like a slip.
    Driver,
    /// Anything.
    Free,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It has its effect.
    Used,
    /// Accepted, and not needed; with the reason.
    Unneeded(&'static str),
    /// Recognised, and without effect yet; with what does not happen.
    Later(&'static str),
    /// It asks for a protection that is not there yet; with what it asks for. Refused.
    Guard(&'static str),
    /// As the key above it.
    Inner,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// From the root.
    pub(crate) path: &'static str,
    /// What its value must look like.
    pub(crate) kind: Kind,
    /// What becomes of it.
    pub(crate) class: Class,
}

const fn used(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, class: Class::Used }
}

const fn inner(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, class: Class::Inner }
}

const fn unneeded(path: &'static str, kind: Kind, why: &'static str) -> Key {
    Key { path, kind, class: Class::Unneeded(why) }
}

const fn later(path: &'static str, kind: Kind, what: &'static str) -> Key {
    Key { path, kind, class: Class::Later(what) }
}

const fn guard(path: &'static str, kind: Kind, what: &'static str) -> Key {
    Key { path, kind, class: Class::Guard(what) }
}

/// Every key, section by section.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    [process::KEYS, storage::KEYS, storage::DRIVER_KEYS, http::KEYS, access::KEYS, extensions::KEYS]
        .into_iter()
        .flatten()
}
