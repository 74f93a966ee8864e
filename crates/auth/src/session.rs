//! Sessions of browsers.
//!
//! A cookie says whose the session is and by what login, sealed under a key that all replicas share; the store says whether it still
//! stands, and which groups a provider told of, of which there may be more than a cookie holds. A logout takes that record away, so
//! that the next request of the session is refused on any replica. A cookie that nobody here has sealed makes no call of the store.
//! Whether the login behind a session still stands, [`crate::access`] asks.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::apikey::{KeyStore, KeyStoreDown};
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

/// A session of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// By what.
    pub(crate) by: Login,
    /// What a provider told of; nothing where others know them.
    pub(crate) groups: Vec<String>,
}

/// The login that a session was given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Login {
    /// At a provider.
    Provider(String),
    /// By a password of the htpasswd file: the mark of its hash.
    Password(String),
    /// By a password of the directory.
    Directory,
}

/// What a cookie says.
#[derive(Serialize, Deserialize)]
struct Content {
    user: String,
    by: Login,
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
    pub(crate) async fn begin(&self, session: &Session) -> Result<String, KeyStoreDown> {
        let Session { user, by, groups } = session;
        let (id, expires) = (rand::random::<u128>(), secret::now() + LIFETIME.as_secs());
        let content = Content { user: user.clone(), by: by.clone(), id: format!("{id:032x}"), expires };
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

    /// The session that a cookie is of, if it has not ended.
    pub(crate) async fn find(&self, cookie: &str) -> Result<Option<Session>, KeyStoreDown> {
        let Some((Content { user, by, .. }, id)) = self.open(cookie) else { return Ok(None) };
        let value = self.store.get(&user, id).await?;
        let record: Option<Record> = value.and_then(|value| serde_json::from_slice(&value).ok());
        Ok(record.map(|Record { groups, .. }| Session { user, by, groups }))
    }

    /// Ends a session, if the cookie is of one: whose it was, and by what.
    pub(crate) async fn end(&self, cookie: &str) -> Result<Option<(String, Login)>, KeyStoreDown> {
        let Some((Content { user, by, .. }, id)) = self.open(cookie) else { return Ok(None) };
        self.store.delete(&user, id).await?;
        Ok(Some((user, by)))
    }

    fn open(&self, cookie: &str) -> Option<(Content, u128)> {
        let content: Content = self.sealer.open(cookie)?;
        let id = u128::from_str_radix(&content.id, 16).ok()?;
        (content.expires > secret::now()).then_some((content, id))
    }
}

#[cfg(test)]
mod tests;
