//! What authentication keeps in the store: a key that all replicas share, and what is known of API keys. What the bytes mean is
//! authentication's own business.

use std::fmt;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::{self, StreamExt as _};
use wharf_oci::Algorithm;
use wharf_store::{ListRequest, Put};

use crate::error::Result;
use crate::key::{InvalidKey, Key};
use crate::registry::Registry;

/// How many API keys of one user are read at once, and how many there may be.
const AT_ONCE: usize = 8;
const MOST_KEYS: usize = 1000;

/// Whose API keys: a digest of the name, which may be of any characters.
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

/// The id of an API key, which is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKeyId(u128);

impl ApiKeyId {
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

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl ApiKeyId {
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

    /// What is known of an API key; `None` where it never was, or was deleted. Asks the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn api_key(&self, owner: &Owner, id: ApiKeyId) -> Result<Option<Bytes>> {
        let record = self.core.records.get(&Key::Api(owner.clone(), id).to_string()).await?;
        Ok(record.map(|record| record.value))
    }

    /// Remembers an API key. `false` where one with this id is there already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_api_key(&self, owner: &Owner, id: ApiKeyId, value: Bytes) -> Result<bool> {
        let put = self.core.records.put_if_absent(&Key::Api(owner.clone(), id).to_string(), value).await?;
        Ok(matches!(put, Put::Done(_)))
    }

    /// Forgets an API key, or does nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_api_key(&self, owner: &Owner, id: ApiKeyId) -> Result<()> {
        Ok(self.core.records.delete(&Key::Api(owner.clone(), id).to_string()).await?)
    }

    /// What is known of a user's API keys, the first thousand of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn api_keys(&self, owner: &Owner) -> Result<Vec<(ApiKeyId, Bytes)>> {
        let prefix = Key::api_keys_of(owner);
        let request = ListRequest { prefix: &prefix, after: None, fold: false, limit: MOST_KEYS };
        let page = self.core.records.list(request).await?;
        let ids = page.entries.iter().filter_map(|entry| match entry.key.parse() {
            Ok(Key::Api(_, id)) => Some(id),
            _ => None,
        });
        let ids: Vec<_> = ids.collect();
        let read =
            stream::iter(ids).map(|id| async move { Ok::<_, crate::Error>((id, self.api_key(owner, id).await?)) });
        let all: Vec<(ApiKeyId, Option<Bytes>)> = read.buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().filter_map(|(id, value)| Some((id, value?))).collect())
    }
}
