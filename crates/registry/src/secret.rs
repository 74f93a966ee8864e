//! What authentication keeps in the store: a key that all replicas share, and what is known of API keys and of sessions. What the
//! bytes mean is authentication's own business.

use std::fmt;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::{self, StreamExt as _};
use wharf_oci::Algorithm;
use wharf_store::{ListRequest, Put};

use crate::error::Result;
use crate::key::{InvalidKey, Key};
use crate::registry::Registry;

/// How many API keys or sessions of one user are read at once, and how many there may be.
const AT_ONCE: usize = 8;
const MOST: usize = 1000;

/// What is kept for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// API keys.
    ApiKey,
    /// Sessions.
    Session,
}

/// Whose: a digest of the name, which may be of any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The owner of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Algorithm::Sha256.digest(name.as_bytes()).hex().to_owned())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Owner {
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, InvalidKey> {
        if text.len() == 64 && is_hex(text) { Ok(Self(text.to_owned())) } else { Err(InvalidKey) }
    }
}

/// The id of an API key or a session, which is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptId(u128);

impl KeptId {
    /// An id of random bits.
    #[must_use]
    pub const fn new(random: u128) -> Self {
        Self(random)
    }

    /// The bits.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0
    }
}

impl fmt::Display for KeptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl KeptId {
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, InvalidKey> {
        if text.len() != 32 || !is_hex(text) {
            return Err(InvalidKey);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| InvalidKey)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Registry {
    /// The secret of this name (letters and `-`): whoever asks first makes it, and all others get the same.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn shared_secret(&self, name: &str) -> Result<Bytes> {
        let (records, key) = (&self.core.records, Key::Secret(name.to_owned()).to_string());
        if let Some(record) = records.get(&key).await? {
            return Ok(record.value);
        }
        let random = [self.core.env.random().to_be_bytes(), self.core.env.random().to_be_bytes()].concat();
        // Whatever the answer, what is there now counts: another replica may have been faster, or this very write.
        let put = records.put_if_absent(&key, Bytes::from(random)).await;
        match (records.get(&key).await?, put) {
            (Some(record), _) => Ok(record.value),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(_)) => Err(crate::Error::Contended(format!("the secret {name}"))),
        }
    }

    /// What is known of an API key or a session; `None` where it never was, or was deleted. Asks the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn kept(&self, kind: Kept, owner: &Owner, id: KeptId) -> Result<Option<Bytes>> {
        let record = self.core.records.get(&Key::Kept(kind, owner.clone(), id).to_string()).await?;
        Ok(record.map(|record| record.value))
    }

    /// Remembers one. `false` where one with this id is there already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep(&self, kind: Kept, owner: &Owner, id: KeptId, value: Bytes) -> Result<bool> {
        let put = self.core.records.put_if_absent(&Key::Kept(kind, owner.clone(), id).to_string(), value).await?;
        Ok(matches!(put, Put::Done(_)))
    }

    /// Forgets one, or does nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&self, kind: Kept, owner: &Owner, id: KeptId) -> Result<()> {
        Ok(self.core.records.delete(&Key::Kept(kind, owner.clone(), id).to_string()).await?)
    }

    /// What is known of all of a user, of the first thousand.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn kept_of(&self, kind: Kept, owner: &Owner) -> Result<Vec<(KeptId, Bytes)>> {
        let prefix = Key::kept_of(kind, owner);
        let request = ListRequest { prefix: &prefix, after: None, fold: false, limit: MOST };
        let page = self.core.records.list(request).await?;
        let ids = page.entries.iter().filter_map(|entry| match entry.key.parse() {
            Ok(Key::Kept(_, _, id)) => Some(id),
            _ => None,
        });
        let ids: Vec<_> = ids.collect();
        let read =
            stream::iter(ids).map(|id| async move { Ok::<_, crate::Error>((id, self.kept(kind, owner, id).await?)) });
        let all: Vec<(KeptId, Option<Bytes>)> = read.buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().filter_map(|(id, value)| Some((id, value?))).collect())
    }
}
