//! Scopes of Docker's token protocol: `repository:team/web:pull,push`.

use std::fmt;

use serde::{Deserialize, Serialize};
use wharf_oci::RepositoryName;

use crate::policy::Action;

/// How many scopes one token may have, and how long they may be together.
const MOST: usize = 64;
const LONGEST: usize = 8 << 10;

/// What a token is good for in one place. The form is that of the `access` claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// `repository`, or `registry` for the catalog.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of the repository.
    pub name: String,
    /// `pull`, `push`, `delete`, or `*`.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// The scopes that were asked for are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has at most {MOST} scopes, of {LONGEST} characters together")]
pub struct TooManyScopes;

impl Scope {
    /// Of a repository.
    #[must_use]
    pub fn repository(name: &RepositoryName, actions: &[&str]) -> Self {
        let actions = actions.iter().map(ToString::to_string).collect();
        Self { kind: "repository".to_owned(), name: name.to_string(), actions }
    }

    /// Of the catalog.
    #[must_use]
    pub fn catalog() -> Self {
        Self { kind: "registry".to_owned(), name: "catalog".to_owned(), actions: vec!["*".to_owned()] }
    }

    /// Reads one or, between spaces, several. What is no scope is left out: it gives nothing.
    ///
    /// # Errors
    /// Where there are too many.
    pub fn parse_all<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Self>, TooManyScopes> {
        let (mut scopes, mut length) = (Vec::new(), 0);
        for text in texts {
            length += text.len();
            for scope in text.split(' ').filter_map(Self::parse) {
                if scopes.len() == MOST || length > LONGEST {
                    return Err(TooManyScopes);
                }
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        // `repository(plugin)` is a repository.
        let kind = kind.split('(').next().unwrap_or(kind).to_owned();
        let actions = actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned).collect();
        Some(Self { kind, name: name.to_owned(), actions })
    }

    /// Whether it is good for this.
    #[must_use]
    pub fn covers(&self, repository: &RepositoryName, action: Action) -> bool {
        let word = match action {
            Action::Read => "pull",
            Action::Create | Action::Update => "push",
            Action::Delete => "delete",
            Action::DetectManifestCollision => return false,
        };
        self.kind == "repository" && self.name == repository.as_str() && self.has(word)
    }

    /// Whether it is good for the list of repositories.
    #[must_use]
    pub fn covers_catalog(&self) -> bool {
        self.kind == "registry" && self.name == "catalog" && self.has("*")
    }

    fn has(&self, word: &str) -> bool {
        self.actions.iter().any(|action| action == word || action == "*")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<String> {
        Scope::parse_all(std::iter::once(text)).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn scopes_are_read_as_docker_writes_them() {
        assert_eq!(parse("repository:a/b:pull,push"), ["repository:a/b:pull,push"]);
        assert_eq!(parse("repository:a:pull repository:b:push"), ["repository:a:pull", "repository:b:push"]);
        assert_eq!(parse("repository:host:5000/a:pull"), ["repository:host:5000/a:pull"]);
        assert_eq!(parse("repository(plugin):a:"), ["repository:a:"]);
        assert_eq!(parse("nonsense a:b"), Vec::<String>::new());
        assert_eq!(Scope::parse_all(std::iter::repeat_n("repository:a:pull", 65)), Err(TooManyScopes));
        assert_eq!(Scope::parse_all(["a".repeat(9000).as_str(), "repository:a:pull"].into_iter()), Err(TooManyScopes));
    }

    #[test]
    fn a_scope_covers_what_it_names() {
        let all = Scope::parse_all(["repository:a:pull,push", "repository:b:*", "registry:catalog:*"].into_iter());
        let all = all.unwrap();
        let covers = |name: &str, action| {
            let name = name.parse().unwrap();
            all.iter().any(|scope| scope.covers(&name, action))
        };
        assert!(covers("a", Action::Read) && covers("a", Action::Create) && covers("a", Action::Update));
        assert!(!covers("a", Action::Delete) && covers("b", Action::Delete) && !covers("a/b", Action::Read));
        assert!(!all[1].covers_catalog() && all[2].covers_catalog());
    }
}
