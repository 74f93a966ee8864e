//! Repository names, tags and references (distribution-spec, "Pulling manifests").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, InvalidDigest};

/// The longest repository name, in bytes. The specification warns that many clients stop at 255 with the
/// host; a name has to fit into one segment of a store's key.
const MAX_NAME: usize = 250;
/// The longest tag, in bytes (distribution-spec: 128).
const MAX_TAG: usize = 128;

macro_rules! text_type {
    ($type:ident, $error:ty) => {
        impl $type {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The name of a repository: path components of `[a-z0-9]` with single `.`, `_`, `__` or any number of `-`
/// between them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Box<str>);

text_type!(RepositoryName, InvalidName);

/// Why a text is not a repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Longer than a name may be.
    #[error("a repository name has at most {MAX_NAME} characters")]
    Length,
    /// A component breaks the grammar.
    #[error(
        "a repository name is made of lower-case components such as team/web-1.2_a, with letters and digits \
         at both ends of each"
    )]
    Grammar,
}

impl FromStr for RepositoryName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() > MAX_NAME {
            return Err(InvalidName::Length);
        }
        if !text.split('/').all(is_component) {
            return Err(InvalidName::Grammar);
        }
        Ok(Self(text.into()))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = text.starts_with(is_alnum) && text.ends_with(is_alnum);
    ends && text
        .split(is_alnum)
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

text_type!(Tag, InvalidReference);

impl FromStr for Tag {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let rest = |b: u8| first(b) || b == b'.' || b == b'-';
        let grammar = text.bytes().next().is_some_and(first) && text.bytes().all(rest);
        if !grammar || text.len() > MAX_TAG {
            return Err(InvalidReference::Tag);
        }
        Ok(Self(text.into()))
    }
}

/// What names a manifest in a request: a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

/// Why a text is not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Not a tag.
    #[error("a tag has at most {MAX_TAG} characters of A-Z a-z 0-9 _ . - and begins with a letter, a digit or _")]
    Tag,
    /// It has a colon, so that it should be a digest, and is none.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_grammar() {
        for good in ["a", "0", "team/web", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c.d/e_f", "library/ubuntu"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", "a/..", "a/../b", "a b", "a._b", "ä",
            "a%2fb", &long,
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reference_with_a_colon_is_a_digest() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        assert!(matches!("_A.b-1".parse(), Ok(Reference::Tag(_))));
        assert_eq!("sha256:12".parse::<Reference>(), Err(InvalidReference::Digest(InvalidDigest::Hex)));
        for bad in ["", "-bad", ".bad", "a/b", "a b", &"a".repeat(129)] {
            assert_eq!(bad.parse::<Reference>(), Err(InvalidReference::Tag), "{bad}");
        }
    }
}
