//! The keys of the store: the one place that knows how they are spelt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wharf_oci::{Digest, RepositoryName};
use wharf_store::Family;

use crate::env::Seconds;
use crate::secret::{Kept, KeptId, Owner};

/// A random id that is never used twice: of a push, a committer, a lease, a segment or a work-list entry. It begins with the time
/// at which it was made, so that the age of a push can be told from its holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(u128);

/// How many of an id's bits are random.
const RANDOM_BITS: u32 = 88;

impl Id {
    /// An id made now, of random bits.
    pub(crate) const fn new(now: Seconds, random: u128) -> Self {
        Self(((now as u128) << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1)))
    }

    /// When it was made.
    pub(crate) const fn made(self) -> Seconds {
        (self.0 >> RANDOM_BITS) as Seconds
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that is not one of Wharf's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is none of this registry's")]
pub(crate) struct InvalidKey;

impl FromStr for Id {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(InvalidKey);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidKey)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Who holds a blob for a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// Nobody yet: it was uploaded or mounted and waits for its manifest until `due`.
    Lease {
        /// When it may be forgotten.
        due: Seconds,
        /// Its own id.
        id: Id,
    },
    /// A push of a manifest. It counts while the repository's root holds the manifest under this very push.
    Push {
        /// Digest of the manifest.
        manifest: Digest,
        /// Id of the push.
        push: Id,
    },
}

/// Every key of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The state of a repository.
    Root(RepositoryName),
    /// Where the bytes of a blob are.
    Blob(Digest),
    /// An upload session.
    Upload(RepositoryName, Family),
    /// Part of the state of a large repository.
    Segment(RepositoryName, Id),
    /// A repository holds a blob.
    Hold(Digest, RepositoryName, Holder),
    /// Work for the collector, not before a time.
    Due(Seconds, Id),
    /// A secret that all replicas share, by its name.
    Secret(String),
    /// What is known of an API key or a session.
    Kept(Kept, Owner, KeptId),
}

/// The prefixes that are listed.
impl Key {
    pub(crate) const ROOTS: &str = "repo/";
    pub(crate) const DUE: &str = "due/";
    pub(crate) const BLOBS: &str = "blob/";
    pub(crate) const HOLDS: &str = "hold/";
    pub(crate) const UPLOADS: &str = "upload/";
    pub(crate) const SEGMENTS: &str = "segment/";

    pub(crate) fn holds(digest: &Digest) -> String {
        format!("hold/{}/", Dashed(digest))
    }

    pub(crate) fn holds_of(digest: &Digest, repository: &RepositoryName) -> String {
        format!("hold/{}/{}/", Dashed(digest), Encoded(repository))
    }

    pub(crate) fn leases_of(digest: &Digest, repository: &RepositoryName) -> String {
        format!("hold/{}/{}/l/", Dashed(digest), Encoded(repository))
    }

    pub(crate) fn kept_of(kind: Kept, owner: &Owner) -> String {
        format!("{}/{owner}/", folder(kind))
    }

    /// The repository in a folder of [`Key::holds`].
    pub(crate) fn repository_of_hold_folder(folder: &str) -> Result<RepositoryName, InvalidKey> {
        folder.strip_suffix('/').and_then(|f| f.rsplit('/').next()).ok_or(InvalidKey).and_then(decode)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => write!(f, "repo/{}", Encoded(name)),
            Self::Blob(digest) => write!(f, "blob/{}", Dashed(digest)),
            Self::Upload(name, id) => write!(f, "upload/{}/{id}", Encoded(name)),
            Self::Segment(name, id) => write!(f, "segment/{}/{id}", Encoded(name)),
            Self::Hold(digest, name, holder) => {
                write!(f, "hold/{}/{}/", Dashed(digest), Encoded(name))?;
                match holder {
                    Holder::Lease { due, id } => write!(f, "l/{}/{id}", Padded(*due)),
                    Holder::Push { manifest, push } => write!(f, "m/{}/{push}", Dashed(manifest)),
                }
            }
            Self::Due(time, id) => write!(f, "due/{}/{id}", Padded(*time)),
            Self::Secret(name) => write!(f, "secret/{name}"),
            Self::Kept(kind, owner, id) => write!(f, "{}/{owner}/{id}", folder(*kind)),
        }
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(InvalidKey);
        let key = match next()? {
            "repo" => Self::Root(decode(next()?)?),
            "blob" => Self::Blob(undash(next()?)?),
            "upload" => Self::Upload(decode(next()?)?, next()?.parse().map_err(|_| InvalidKey)?),
            "segment" => Self::Segment(decode(next()?)?, next()?.parse()?),
            "hold" => {
                let (digest, name) = (undash(next()?)?, decode(next()?)?);
                let holder = match next()? {
                    "l" => Holder::Lease { due: unpad(next()?)?, id: next()?.parse()? },
                    "m" => Holder::Push { manifest: undash(next()?)?, push: next()?.parse()? },
                    _ => return Err(InvalidKey),
                };
                Self::Hold(digest, name, holder)
            }
            "due" => Self::Due(unpad(next()?)?, next()?.parse()?),
            "secret" => Self::Secret(plain(next()?)?),
            "apikey" => Self::Kept(Kept::ApiKey, Owner::parse(next()?)?, KeptId::parse(next()?)?),
            "session" => Self::Kept(Kept::Session, Owner::parse(next()?)?, KeptId::parse(next()?)?),
            _ => return Err(InvalidKey),
        };
        if parts.next().is_some() { Err(InvalidKey) } else { Ok(key) }
    }
}

const fn folder(kind: Kept) -> &'static str {
    match kind {
        Kept::ApiKey => "apikey",
        Kept::Session => "session",
    }
}

/// The name of a secret.
fn plain(segment: &str) -> Result<String, InvalidKey> {
    let is_plain = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if is_plain { Ok(segment.to_owned()) } else { Err(InvalidKey) }
}

/// A repository's name as one segment: `/` becomes `!`, which no name contains.
struct Encoded<'a>(&'a RepositoryName);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, component) in self.0.as_str().split('/').enumerate() {
            if i > 0 {
                f.write_str("!")?;
            }
            f.write_str(component)?;
        }
        Ok(())
    }
}

fn decode(segment: &str) -> Result<RepositoryName, InvalidKey> {
    segment.replace('!', "/").parse().map_err(|_| InvalidKey)
}

/// A digest as one segment: `:` becomes `-`.
struct Dashed<'a>(&'a Digest);

impl fmt::Display for Dashed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.algorithm(), self.0.hex())
    }
}

fn undash(segment: &str) -> Result<Digest, InvalidKey> {
    let (algorithm, hex) = segment.split_once('-').ok_or(InvalidKey)?;
    format!("{algorithm}:{hex}").parse().map_err(|_| InvalidKey)
}

/// Seconds with leading zeros, so that the order of keys is the order of time.
struct Padded(Seconds);

impl fmt::Display for Padded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

fn unpad(segment: &str) -> Result<Seconds, InvalidKey> {
    if segment.len() != 12 || !segment.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidKey);
    }
    segment.parse().map_err(|_| InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_oci::Algorithm;

    #[test]
    fn every_key_parses_back_and_fits_a_store() {
        let name: RepositoryName = format!("{}/b", "a".repeat(248)).parse().expect("a name");
        let digest = Algorithm::Sha512.digest(b"x");
        let id = Id::new(1_764_000_000, u128::MAX);
        assert_eq!(id.made(), 1_764_000_000);
        let holders = [Holder::Lease { due: 5, id }, Holder::Push { manifest: digest.clone(), push: id }];
        let mut keys = vec![
            Key::Root(name.clone()),
            Key::Blob(digest.clone()),
            Key::Upload(name.clone(), Family::new(9)),
            Key::Segment(name.clone(), id),
            Key::Due(1_764_000_000, id),
            Key::Secret("token-key".to_owned()),
            Key::Kept(Kept::ApiKey, Owner::new("a/../b"), KeptId::new(7)),
            Key::Kept(Kept::Session, Owner::new("lena"), KeptId::new(7)),
        ];
        keys.extend(holders.map(|h| Key::Hold(digest.clone(), name.clone(), h)));
        for key in keys {
            let text = key.to_string();
            assert_eq!(text.parse(), Ok(key), "{text}");
            assert!(text.len() < 900 && text.split('/').all(|s| s.len() < 255), "{text}");
        }
        let folder = format!("{}{}/", Key::holds(&digest), Encoded(&name));
        assert_eq!(Key::repository_of_hold_folder(&folder), Ok(name));
    }

    #[test]
    fn other_texts_are_no_keys() {
        for text in ["", "repo", "repo/", "repo/A", "repo/a/b", "blob/sha256-", "due/1/2", "hold/x/y/z"] {
            assert_eq!(text.parse::<Key>(), Err(InvalidKey), "{text}");
        }
    }
}
