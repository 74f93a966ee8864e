//! Sessions of browsers.
//!
//! A cookie says whose the session is, sealed under a key that all replicas share; the store says whether it still stands, and which
//! groups the login told of, of which there may be more than a cookie holds. A logout takes that record away, so that the next
//! request of the session is refused on any replica. A cookie that nobody here has sealed makes no call of the store.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::apikey::{KeyStore, KeyStoreDown};
use crate::caller::{Caller, Via};
use crate::openid::Arrival;
use crate::sealed::Sealer;
use crate::secret;

/// How long a session lasts, as in zot.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// How many sessions a user has at a time; one more ends the oldest.
const MOST: usize = 50;

/// See the module.
#[derive(Debug)]
pub struct Sessions {
    sealer: Sealer,
    store: Arc<dyn KeyStore>,
}

/// A session that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whose it was.
    pub user: String,
    /// Where they had logged in.
    pub(crate) provider: String,
}

/// What a cookie says.
#[derive(Serialize, Deserialize)]
struct Content {
    user: String,
    /// Where they logged in.
    provider: String,
    /// In hexadecimal digits.
    id: String,
    expires: u64,
}

/// What the store says.
#[derive(Serialize, Deserialize)]
struct Record {
    expires: u64,
    groups: Vec<String>,
}

impl Sessions {
    /// Sessions under a key that all replicas share; `None` only where the library has no cipher.
    #[must_use]
    pub fn new(shared: &[u8], store: Arc<dyn KeyStore>) -> Option<Self> {
        Some(Self { sealer: Sealer::new(shared, "wharf session 1")?, store })
    }

    /// Begins a session of somebody who has just logged in: the cookie's value.
    pub(crate) async fn begin(&self, arrival: &Arrival) -> Result<String, KeyStoreDown> {
        let Arrival { name: user, groups, provider, .. } = arrival;
        let (id, expires) = (rand::random::<u128>(), secret::now() + LIFETIME.as_secs());
        let content = Content { user: user.clone(), provider: provider.clone(), id: format!("{id:032x}"), expires };
        let cookie = self.sealer.seal(&content).ok_or_else(|| KeyStoreDown("the name is too long".into()))?;
        self.make_room(user).await?;
        let record = Record { expires, groups: groups.clone() };
        let value = serde_json::to_vec(&record).map_err(|error| KeyStoreDown(error.into()))?;
        if !self.store.create(user, id, value.into()).await? {
            return Err(KeyStoreDown("the id is taken".into()));
        }
        Ok(cookie)
    }

    /// Takes away what is over, and the oldest where there are too many: nothing is kept of a user beyond the next login.
    async fn make_room(&self, user: &str) -> Result<(), KeyStoreDown> {
        let records = self.store.list(user).await?;
        let end = |value: &[u8]| serde_json::from_slice(value).map_or(0, |record: Record| record.expires);
        let mut all: Vec<_> = records.iter().map(|(id, value)| (end(value), *id)).collect();
        all.sort_unstable();
        let (now, spare) = (secret::now(), (all.len() + 1).saturating_sub(MOST));
        for (place, (expires, id)) in all.into_iter().enumerate() {
            if expires <= now || place < spare {
                self.store.delete(user, id).await?;
            }
        }
        Ok(())
    }

    /// Whose session a cookie is, if it still stands.
    pub(crate) async fn verify(&self, cookie: &str) -> Result<Option<Caller>, KeyStoreDown> {
        let Some((content, id)) = self.open(cookie) else { return Ok(None) };
        let value = self.store.get(&content.user, id).await?;
        let record: Option<Record> = value.and_then(|value| serde_json::from_slice(&value).ok());
        Ok(record.map(|record| Caller::user(&content.user, record.groups, Via::Session)))
    }

    /// Ends a session, if the cookie is one.
    pub(crate) async fn end(&self, cookie: &str) -> Result<Option<Ended>, KeyStoreDown> {
        let Some((content, id)) = self.open(cookie) else { return Ok(None) };
        self.store.delete(&content.user, id).await?;
        Ok(Some(Ended { user: content.user, provider: content.provider }))
    }

    fn open(&self, cookie: &str) -> Option<(Content, u128)> {
        let content: Content = self.sealer.open(cookie)?;
        let id = u128::from_str_radix(&content.id, 16).ok()?;
        (content.expires > secret::now()).then_some((content, id))
    }
}

#[cfg(test)]
mod tests;
