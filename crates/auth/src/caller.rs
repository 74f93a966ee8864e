//! Who is asking.

use std::fmt;
use std::sync::Arc;

use wharf_oci::RepositoryName;

use crate::policy::{Action, Glob, Question, Subject};
use crate::scope::Scope;

/// Who is asking, and within which bounds that login may act.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// `None`: nobody logged in.
    pub user: Option<User>,
    /// What the login itself is good for, whatever the policy allows its user.
    pub limit: Limit,
}

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub struct User {
    /// The name that policies know.
    pub name: Arc<str>,
    /// What the login told of.
    pub groups: Vec<String>,
    /// Of a token from elsewhere.
    pub claims: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
    /// How.
    pub via: Via,
}

/// How somebody has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A password of the htpasswd file, which a fingerprint names.
    Password(String),
    /// The directory (LDAP).
    Directory,
    /// An API key, by its id.
    ApiKey(u128),
    /// A client's certificate.
    Certificate,
    /// A token from elsewhere.
    Outside,
    /// A session of a browser.
    Session {
        /// Whether its user is one of the htpasswd file.
        by_password: bool,
    },
    /// The token of a workload.
    Workload {
        /// When that token ends, in seconds since 1970: nothing that is given for it lasts longer.
        ends: u64,
    },
}

/// What a login is good for.
#[derive(Clone, Debug, Default)]
pub enum Limit {
    /// Everything.
    #[default]
    None,
    /// What a token was asked for.
    Scopes(Vec<Scope>),
    /// The repositories that an API key was made for.
    Repositories(Vec<Glob>),
    /// What a token was asked for, of those repositories.
    Both(Vec<Scope>, Vec<Glob>),
}

impl Caller {
    /// Somebody.
    #[must_use]
    pub fn user(name: &str, groups: Vec<String>, via: Via) -> Self {
        Self { user: Some(User { name: name.into(), groups, claims: None, via }), limit: Limit::None }
    }

    /// The name, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.user.as_ref().map(|user| &*user.name)
    }

    /// As policies see them.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match &self.user {
            None => Subject::default(),
            Some(user) => Subject { name: Some(&user.name), groups: &user.groups, claims: user.claims.as_deref() },
        }
    }
}

impl Limit {
    /// The same login, by a token that was asked for these.
    pub(crate) fn and_scopes(self, scopes: Vec<Scope>) -> Self {
        match self {
            Self::Repositories(globs) | Self::Both(_, globs) => Self::Both(scopes, globs),
            Self::None | Self::Scopes(_) => Self::Scopes(scopes),
        }
    }

    /// Whether a login is good for the list of repositories.
    #[must_use]
    pub fn allows_catalog(&self) -> bool {
        match self {
            Self::None | Self::Repositories(_) => true,
            Self::Scopes(scopes) | Self::Both(scopes, _) => scopes.iter().any(Scope::covers_catalog),
        }
    }

    /// Whether a repository may stand in that list.
    #[must_use]
    pub fn shows(&self, name: &RepositoryName) -> bool {
        match self {
            Self::None | Self::Scopes(_) => true,
            Self::Repositories(globs) | Self::Both(_, globs) => globs.iter().any(|glob| glob.matches(name)),
        }
    }

    /// Whether it is a token that another one, asked for more, could replace.
    #[must_use]
    pub const fn is_token(&self) -> bool {
        matches!(self, Self::Scopes(_) | Self::Both(..))
    }

    /// Whether a login is good for this.
    #[must_use]
    pub fn allows(&self, question: &Question<'_>) -> bool {
        match self {
            Self::None => true,
            // It takes nothing away from anybody to guard what is deleted.
            _ if question.action == Action::DetectManifestCollision => true,
            Self::Repositories(_) => self.shows(question.repository),
            Self::Scopes(scopes) | Self::Both(scopes, _) => {
                let covered = scopes.iter().any(|scope| scope.covers(question.repository, question.action));
                covered && self.shows(question.repository)
            }
        }
    }
}

/// A password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<[u8]>);

impl Password {
    /// Takes the bytes as they came.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
