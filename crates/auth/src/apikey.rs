//! API keys: a secret in the place of a password, for one user, which may end and may be bound to repositories.
//!
//! The registry keeps a digest of it, under the user's name and an id that follows from the secret. There is nothing about a key
//! anywhere else: one that is deleted is unknown to the next request on any replica.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Limit, User, Via};
use crate::policy::Glob;
use crate::secret;

/// How a key begins, as in zot.
const PREFIX: &str = "zak_";
/// Its random bits in hexadecimal digits.
const DIGITS: usize = 32;
/// The longest label, and the most scopes, each of which may be as long.
const LONGEST: usize = 512;
const MOST_SCOPES: usize = 64;

/// Where keys are kept. Values are opaque to it.
#[async_trait]
pub trait KeyStore: Send + Sync + fmt::Debug {
    /// The value of a user's key.
    async fn get(&self, user: &str, id: u128) -> Result<Option<Bytes>, KeyStoreDown>;
    /// Adds one; `false` where one with this id is there already.
    async fn create(&self, user: &str, id: u128, value: Bytes) -> Result<bool, KeyStoreDown>;
    /// Removes one, or does nothing.
    async fn delete(&self, user: &str, id: u128) -> Result<(), KeyStoreDown>;
    /// All of a user.
    async fn list(&self, user: &str) -> Result<Vec<(u128, Bytes)>, KeyStoreDown>;
}

/// The store does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the store of API keys does not answer: {0}")]
pub struct KeyStoreDown(pub Box<dyn std::error::Error + Send + Sync>);

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Whose.
    pub user: String,
    /// Digest of the secret.
    digest: String,
    /// As its maker calls it.
    pub label: String,
    /// Patterns of repositories that it is good for; none: all.
    pub scopes: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends; `None`: never.
    pub expires: Option<u64>,
    /// The program that made it.
    pub user_agent: String,
    /// Groups that the login told of.
    pub groups: Vec<String>,
    /// Whether the user is one of the htpasswd file, so that the key ends with that user.
    pub by_password: bool,
}

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id, which is no secret.
    pub id: u128,
    /// What to show in the place of a password. It is told once.
    pub secret: String,
    /// What is kept.
    pub key: ApiKey,
}

/// What is wanted of a new key.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyWish {
    /// See [`ApiKey::label`].
    pub label: String,
    /// See [`ApiKey::scopes`].
    pub scopes: Vec<String>,
    /// See [`ApiKey::expires`].
    pub expires: Option<u64>,
    /// See [`ApiKey::user_agent`].
    pub user_agent: String,
}

/// Why no key is made.
#[derive(Debug, thiserror::Error)]
pub enum NoApiKey {
    /// The wish makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Only somebody who has logged in otherwise makes keys.
    #[error("an API key, or a token that was given for one, makes no API keys")]
    ByKey,
    /// Nobody is logged in.
    #[error("API keys belong to a user")]
    Anonymous,
    /// See there.
    #[error(transparent)]
    Down(#[from] KeyStoreDown),
}

impl ApiKey {
    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.expires.is_some_and(|end| end <= secret::now())
    }

    /// Its bearer.
    fn caller(&self, id: u128) -> Caller {
        let user =
            User { name: self.user.as_str().into(), groups: self.groups.clone(), claims: None, via: Via::ApiKey(id) };
        let globs = self.scopes.iter().filter_map(|glob| Glob::new(glob).ok()).collect();
        let limit = if self.scopes.is_empty() { Limit::None } else { Limit::Repositories(globs) };
        Caller { user: Some(user), limit }
    }
}

/// Whether a text has the form of a key.
pub(crate) fn looks_like_one(text: &[u8]) -> bool {
    let digits = text.strip_prefix(PREFIX.as_bytes());
    digits.is_some_and(|d| d.len() == DIGITS && d.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)))
}

fn id_of(secret: &[u8]) -> u128 {
    let mut id = [0; 16];
    id.copy_from_slice(&digest(&SHA256, &[b"wharf api key id:", secret].concat()).as_ref()[..16]);
    u128::from_be_bytes(id)
}

fn digest_of(secret: &[u8]) -> String {
    hex::encode(digest(&SHA256, secret))
}

/// The keys of all users.
#[derive(Clone, Debug)]
pub(crate) struct ApiKeys(Arc<dyn KeyStore>);

impl ApiKeys {
    pub(crate) fn new(store: Arc<dyn KeyStore>) -> Self {
        Self(store)
    }

    /// The bearer of a secret, if it is this user's and stands, and what is known of it.
    pub(crate) async fn verify(&self, user: &str, secret: &[u8]) -> Result<Option<(Caller, ApiKey)>, KeyStoreDown> {
        let found = self.find(user, id_of(secret)).await?;
        let matches =
            |key: &ApiKey| verify_slices_are_equal(key.digest.as_bytes(), digest_of(secret).as_bytes()).is_ok();
        Ok(found.filter(|(_, key)| matches(key)))
    }

    /// The bearer of a token that was given for a key, if that stands.
    pub(crate) async fn find(&self, user: &str, id: u128) -> Result<Option<(Caller, ApiKey)>, KeyStoreDown> {
        let key = self.0.get(user, id).await?.and_then(|value| parse(&value));
        let key = key.filter(|key| key.user == user && !key.is_expired());
        Ok(key.map(|key| (key.caller(id), key)))
    }

    pub(crate) async fn create(&self, caller: &Caller, wish: ApiKeyWish) -> Result<NewApiKey, NoApiKey> {
        let user = caller.user.as_ref().ok_or(NoApiKey::Anonymous)?;
        if matches!(user.via, Via::ApiKey(_)) {
            return Err(NoApiKey::ByKey);
        }
        check(&wish).map_err(NoApiKey::Invalid)?;
        let secret = format!("{PREFIX}{:032x}", rand::random::<u128>());
        let key = ApiKey {
            user: user.name.to_string(),
            digest: digest_of(secret.as_bytes()),
            label: wish.label,
            scopes: wish.scopes,
            created: secret::now(),
            expires: wish.expires,
            user_agent: wish.user_agent.chars().take(LONGEST).collect(),
            groups: user.groups.clone(),
            by_password: matches!(user.via, Via::Password(_) | Via::Session { by_password: true }),
        };
        let id = id_of(secret.as_bytes());
        let value = serde_json::to_vec(&key).map_err(|error| KeyStoreDown(error.into()))?;
        if !self.0.create(&user.name, id, value.into()).await? {
            return Err(NoApiKey::Down(KeyStoreDown("the id is taken".into())));
        }
        Ok(NewApiKey { id, secret, key })
    }

    pub(crate) async fn delete(&self, user: &str, id: u128) -> Result<(), KeyStoreDown> {
        self.0.delete(user, id).await
    }

    pub(crate) async fn list(&self, user: &str) -> Result<Vec<(u128, ApiKey)>, KeyStoreDown> {
        let values = self.0.list(user).await?;
        let keys = values.iter().filter_map(|(id, value)| Some((*id, parse(value)?)));
        let mut keys: Vec<_> = keys.filter(|(_, key)| key.user == user).collect();
        keys.sort_by_key(|(id, key)| (key.created, *id));
        Ok(keys)
    }
}

fn parse(value: &[u8]) -> Option<ApiKey> {
    serde_json::from_slice(value)
        .inspect_err(|error| tracing::error!(%error, "an API key in the store cannot be read"))
        .ok()
}

fn check(wish: &ApiKeyWish) -> Result<(), String> {
    if wish.label.len() > LONGEST || wish.scopes.iter().any(|scope| scope.len() > LONGEST) {
        return Err(format!("a label and a scope have at most {LONGEST} bytes"));
    }
    if wish.scopes.len() > MOST_SCOPES {
        return Err(format!("an API key has at most {MOST_SCOPES} scopes"));
    }
    if let Some(bad) = wish.scopes.iter().find(|scope| Glob::new(scope).is_err()) {
        return Err(format!("the scope {bad:?} is no pattern of repositories"));
    }
    if wish.expires.is_some_and(|end| end <= secret::now()) {
        return Err("the expiration date is over already".to_owned());
    }
    Ok(())
}
