//! All of it together: from what a client shows to who it is, and from there to what it may do.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::apikey::{self, ApiKey, ApiKeyWish, ApiKeys, KeyStoreDown, NewApiKey, NoApiKey};
use crate::caller::{Caller, Limit, Password, Via};
use crate::certificate::Identity;
use crate::credentials::Credentials;
use crate::hasher::Busy;
use crate::htpasswd::Htpasswd;
use crate::ldap::{Directory, DirectoryDown};
use crate::openid::{Arrival, Departure, Logins, NoLogin, Returned, Workloads};
use crate::policy::{Decision, Policy, Question};
use crate::scope::Scope;
use crate::session::{Login, Session, Sessions};
use crate::token::{BadToken, Issuer, Outside, Token};

/// How often files of users are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How callers are known and what they may do, as one configuration says.
#[derive(Debug)]
pub struct Access {
    /// The decision.
    pub policy: Policy,
    /// Ways to log in.
    pub logins: Ways,
    /// What the challenge of a login calls this registry.
    pub realm: String,
    /// How long a refusal waits.
    pub fail_delay: Duration,
}

/// Ways to log in. Without any, nobody is asked to.
#[derive(Debug, Default)]
pub struct Ways {
    /// A file of users.
    pub htpasswd: Option<Arc<Htpasswd>>,
    /// A directory.
    pub directory: Option<Arc<Directory>>,
    /// Where certificates of clients have a name, if they are a way to log in.
    pub certificates: Option<Identity>,
    /// API keys.
    pub api_keys: Option<Keys>,
    /// Our own tokens.
    pub issuer: Option<Issuer>,
    /// Tokens from elsewhere, and then nothing else but those of workloads.
    pub outside: Option<Outside>,
    /// Tokens of workloads.
    pub workloads: Option<Workloads>,
    /// What there is for browsers.
    pub browsers: Option<Browsers>,
    /// A token service that clients are told of in the place of our own: its URL, and its name for this registry.
    pub told: Option<(String, String)>,
    /// Where clients are sent for a login.
    pub challenge: ChallengeKind,
}

/// What there is for browsers: wherever people have passwords, or a provider knows them.
#[derive(Debug)]
pub struct Browsers {
    /// Providers.
    pub providers: Option<Logins>,
    /// Those who have logged in.
    pub sessions: Sessions,
    /// Whether cookies go over TLS alone; `None`: where the browser came by it.
    pub secure: Option<bool>,
}

/// API keys, by where they are kept.
#[derive(Clone, Debug)]
pub struct Keys(pub(crate) ApiKeys);

/// Where clients are sent for a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChallengeKind {
    /// To our own token service where its address is known for certain, else to a password.
    #[default]
    Auto,
    /// To our own token service.
    Token,
    /// To a password with each request.
    Password,
}

/// Why nobody is known by what a client shows.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// It is wrong.
    #[error("the credentials are not valid")]
    Invalid,
    /// A token whose time is over.
    #[error("the token has expired")]
    Expired,
    /// A token of a workload that is not let in, with what the workload may be told.
    #[error("{0}")]
    Refused(String),
    /// Too many passwords are being tried.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// What would know does not answer.
    #[error("{0}")]
    Down(Box<dyn std::error::Error + Send + Sync>),
}

/// May they?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// The policy might allow it; this login is not good for it.
    OutOfScope,
    /// No, with what they may be told.
    Denied(Option<String>),
}

impl From<KeyStoreDown> for Unknown {
    fn from(why: KeyStoreDown) -> Self {
        Self::Down(why.into())
    }
}

impl From<DirectoryDown> for Unknown {
    fn from(why: DirectoryDown) -> Self {
        Self::Down(why.into())
    }
}

impl From<BadToken> for Unknown {
    fn from(why: BadToken) -> Self {
        match why {
            BadToken::Expired => Self::Expired,
            BadToken::Invalid => Self::Invalid,
        }
    }
}

impl Keys {
    /// The keys of a store.
    #[must_use]
    pub fn new(store: Arc<dyn apikey::KeyStore>) -> Self {
        Self(ApiKeys::new(store))
    }
}

impl Access {
    /// Nobody is asked who they are, and everybody may do all.
    #[must_use]
    pub fn open() -> Self {
        let policy = Policy::without_rules(crate::policy::Logins::default());
        Self { policy, logins: Ways::default(), realm: String::new(), fail_delay: Duration::ZERO }
    }

    /// Whether there is a way to log in.
    #[must_use]
    pub const fn has_logins(&self) -> bool {
        self.logins.takes_passwords()
            || self.logins.outside.is_some()
            || self.logins.certificates.is_some()
            || self.logins.browsers.is_some()
    }

    /// Whether there are rules at all.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        self.policy.has_rules()
    }

    /// Who shows this, on a connection whose certificate has this name.
    ///
    /// # Errors
    /// Where that is nobody. Showing nothing is not an error: it is [`Caller::default`].
    pub async fn identify(&self, credentials: &Credentials, certificate: Option<&str>) -> Result<Caller, Unknown> {
        match (credentials, certificate) {
            // Tokens from elsewhere are the only login where there are any.
            (Credentials::None, Some(name)) if self.logins.outside.is_none() => {
                Ok(Caller::user(name, Vec::new(), Via::Certificate))
            }
            (Credentials::None, _) => Ok(Caller::default()),
            // Where nobody can log in, nobody needs to.
            _ if !self.has_logins() => Ok(Caller::default()),
            (Credentials::Malformed, _) => Err(Unknown::Invalid),
            (Credentials::Basic { user, password }, _) => self.logins.by_password(user, password).await,
            (Credentials::Bearer(token), _) => self.logins.by_token(token).await,
            (Credentials::Session(cookie), _) => self.logins.by_session(cookie).await,
        }
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, caller: &Caller, question: &Question<'_>) -> Verdict {
        if !caller.limit.allows(question) {
            return Verdict::OutOfScope;
        }
        match self.policy.decide(&caller.subject(), question) {
            Decision::Allowed(_) => Verdict::Allowed,
            Decision::Denied { reason, .. } => Verdict::Denied(reason),
        }
    }

    /// Sends a browser to a provider; `None` where there are none. `base` is how it sees this registry.
    pub async fn depart(&self, provider: &str, base: &str, onward: Option<&str>) -> Option<Result<Departure, NoLogin>> {
        Some(self.logins.providers()?.depart(provider, base, onward).await)
    }

    /// Finds out who came back from a provider; `None` where there are none.
    pub async fn arrive(&self, provider: &str, returned: Returned<'_>) -> Option<Result<Arrival, NoLogin>> {
        Some(self.logins.providers()?.arrive(provider, returned).await)
    }

    /// Begins a session of who came back: the cookie's value; `None` where there are none.
    pub async fn begin_session(&self, arrival: &Arrival) -> Option<Result<String, KeyStoreDown>> {
        let Arrival { name, provider, groups, .. } = arrival;
        let by = Login::Provider(provider.clone());
        let session = Session { user: name.clone(), by, groups: groups.clone() };
        Some(self.logins.browsers.as_ref()?.sessions.begin(&session).await)
    }

    /// Begins a session of who has just shown a password: the cookie's value; `None` where they have shown something else. A session
    /// that could be had for a token, a key or a session would outlive it.
    pub async fn begin_session_of(&self, caller: &Caller) -> Option<Result<String, KeyStoreDown>> {
        let browsers = self.logins.browsers.as_ref()?;
        let user = caller.user.as_ref().filter(|_| matches!(caller.limit, Limit::None))?;
        let by = match &user.via {
            Via::Password(mark) => Login::Password(mark.clone()),
            Via::Directory => Login::Directory,
            _ => return None,
        };
        let session = Session { user: user.name.to_string(), by, groups: Vec::new() };
        Some(browsers.sessions.begin(&session).await)
    }

    /// Ends a session, if the cookie is of one: whose it was; `None` where there are none. With it comes the page where the browser
    /// logs out of the provider too, as far as that is known.
    pub async fn end_session(&self, cookie: &str) -> Option<Result<Option<(String, Option<String>)>, KeyStoreDown>> {
        let with_page = |(user, by)| match by {
            Login::Provider(name) => (user, self.logins.providers().and_then(|all| all.farewell(&name))),
            Login::Password(_) | Login::Directory => (user, None),
        };
        let ended = self.logins.browsers.as_ref()?.sessions.end(cookie).await;
        Some(ended.map(|ended| ended.map(with_page)))
    }

    /// Makes a token; `None` where there is no token service here.
    ///
    /// # Errors
    /// Where the caller is one who gets no token.
    pub fn issue(&self, caller: &Caller, scopes: Vec<Scope>) -> Option<Result<Token, BadToken>> {
        Some(self.logins.issuer.as_ref()?.issue(caller, scopes))
    }

    /// Makes an API key; `None` where there are none.
    pub async fn create_key(&self, caller: &Caller, wish: ApiKeyWish) -> Option<Result<NewApiKey, NoApiKey>> {
        Some(self.logins.api_keys.as_ref()?.0.create(caller, wish).await)
    }

    /// The API keys of a user; `None` where there are none.
    pub async fn keys_of(&self, user: &str) -> Option<Result<Vec<(u128, ApiKey)>, KeyStoreDown>> {
        Some(self.logins.api_keys.as_ref()?.0.list(user).await)
    }

    /// Deletes an API key; `None` where there are none.
    pub async fn delete_key(&self, user: &str, id: u128) -> Option<Result<(), KeyStoreDown>> {
        Some(self.logins.api_keys.as_ref()?.0.delete(user, id).await)
    }
}

impl Ways {
    /// Whether there are passwords, or what takes their place.
    #[must_use]
    pub const fn takes_passwords(&self) -> bool {
        self.htpasswd.is_some() || self.directory.is_some() || self.api_keys.is_some() || self.workloads.is_some()
    }

    async fn by_password(&self, user: &str, password: &Password) -> Result<Caller, Unknown> {
        if self.outside.is_some() {
            return Err(Unknown::Invalid);
        }
        // Clients that know of passwords alone show a workload's token as one, under any name.
        if let Some(workloads) = &self.workloads
            && Workloads::looks_like_one(password.as_bytes())
            && let Ok(token) = std::str::from_utf8(password.as_bytes())
        {
            return workloads.verify(token).await?.ok_or(Unknown::Invalid);
        }
        if let Some(Keys(keys)) = &self.api_keys
            && apikey::looks_like_one(password.as_bytes())
            && let Some(found) = keys.verify(user, password.as_bytes()).await?
            && let Some(caller) = self.standing(found)
        {
            return Ok(caller);
        }
        if let Some(file) = &self.htpasswd
            && file.verify(user, password, self.directory.is_none()).await?
        {
            return Ok(Caller::user(user, Vec::new(), Via::Password(self.mark(user).unwrap_or_default())));
        }
        if let Some(directory) = &self.directory
            && let Some(entry) = directory.login(user, password).await?
        {
            return Ok(Caller::user(&entry.name, entry.groups.clone(), Via::Directory));
        }
        Err(Unknown::Invalid)
    }

    async fn by_token(&self, token: &str) -> Result<Caller, Unknown> {
        if let Some(ours) = self.issuer.as_ref().and_then(|issuer| issuer.read(token)) {
            return ours?.lookup(self).await;
        }
        if let Some(workloads) = &self.workloads
            && let Some(caller) = workloads.verify(token).await?
        {
            return Ok(caller);
        }
        Ok(self.outside.as_ref().ok_or(Unknown::Invalid)?.verify(token)?)
    }

    /// Providers where people log in with a browser.
    fn providers(&self) -> Option<&Logins> {
        self.browsers.as_ref()?.providers.as_ref()
    }

    /// Whose session it is, if what it was given for still stands.
    async fn by_session(&self, cookie: &str) -> Result<Caller, Unknown> {
        // Where tokens are the only login, a session is none.
        let browsers = self.browsers.as_ref().filter(|_| self.outside.is_none()).ok_or(Unknown::Invalid)?;
        let Session { user, by, groups } = browsers.sessions.find(cookie).await?.ok_or(Unknown::Invalid)?;
        let groups = match &by {
            Login::Provider(name) if browsers.providers.as_ref().is_some_and(|all| all.knows(name)) => groups,
            Login::Password(mark) if self.mark(&user).is_some_and(|now| now == *mark) => Vec::new(),
            Login::Directory => {
                let directory = self.directory.as_ref().ok_or(Unknown::Invalid)?;
                directory.look_up(&user).await?.ok_or(Unknown::Invalid)?.groups.clone()
            }
            Login::Provider(_) | Login::Password(_) => return Err(Unknown::Invalid),
        };
        let by_password = matches!(by, Login::Password(_));
        Ok(Caller::user(&user, groups, Via::Session { by_password }))
    }

    /// What names the present password of a user in tokens.
    pub(crate) fn mark(&self, user: &str) -> Option<String> {
        self.htpasswd.as_ref()?.fingerprint(user, self.issuer.as_ref()?.marks())
    }

    /// The bearer of an API key, unless the user of the key is gone.
    pub(crate) fn standing(&self, (caller, key): (Caller, ApiKey)) -> Option<Caller> {
        let is_there = self.htpasswd.as_ref().is_some_and(|file| file.knows(&key.user));
        (!key.by_password || is_there).then_some(caller)
    }

    /// The bearer of a token that was given for an API key.
    pub(crate) async fn by_key_id(&self, user: &str, id: u128) -> Result<Option<Caller>, Unknown> {
        let Some(Keys(keys)) = &self.api_keys else { return Ok(None) };
        Ok(keys.find(user, id).await?.and_then(|found| self.standing(found)))
    }
}

/// The access that is in effect, which may be replaced while requests run.
#[derive(Debug)]
pub struct Gate(RwLock<Arc<Access>>);

impl Gate {
    /// Puts this in effect.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self(RwLock::new(Arc::new(access)))
    }

    /// What is in effect now.
    #[must_use]
    pub fn current(&self) -> Arc<Access> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another access in effect: the next request is asked by it.
    pub fn replace(&self, access: Access) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// Looks at files of users again and again until `stop`.
    pub async fn keep_fresh(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            if let Some(file) = &self.current().logins.htpasswd {
                file.refresh().await;
            }
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Access::open())
    }
}

#[cfg(test)]
mod tests;
