//! What one may do with a repository.

use std::fmt;
use std::str::FromStr;

/// One thing to do with a repository, in zot's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Pull, list tags and referrers, see it in the catalog.
    Read,
    /// Push blobs, and manifests under tags that are not there yet.
    Create,
    /// Let a tag that is there name another manifest.
    Update,
    /// Delete tags, manifests and blobs.
    Delete,
    /// Not a right but a guard: a manifest that several tags name is not deleted by its digest.
    DetectManifestCollision,
}

/// A word that is no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no action {0:?}; there are read, create, update, delete and detectManifestCollision")]
pub struct UnknownAction(pub String);

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Read, Self::Create, Self::Update, Self::Delete, Self::DetectManifestCollision];

    /// Its word in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::DetectManifestCollision => "detectManifestCollision",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Actions(u8);

impl Actions {
    /// Whether an action is in it.
    pub(super) const fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |set, action| set | (1 << action as u8)))
    }
}
