//! A provider, as it describes itself (OpenID Connect Discovery 1.0), and its keys.
//!
//! Nothing is asked before it is needed, so that a provider that is away keeps no replica from starting. What is known is used for
//! minutes, then asked for again behind the requests that use it; while the provider does not answer, it is used for some hours more.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::web::Web;
use super::{InvalidProvider, ProviderDown};
use crate::token::{BadToken, KeySet, header};

/// For how long what is known is taken as it is: a key that the provider has withdrawn is good no longer.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// For how long, while the provider does not answer.
const KEPT: Duration = Duration::from_secs(4 * 60 * 60);
/// The pause after asking, whatever the answer was: tokens of unknown keys must not become requests to the provider.
const PAUSE: Duration = Duration::from_secs(10);
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// See the module.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: String,
    /// Whether it may call itself, and be called in tokens, something else.
    any_name: bool,
    pub(crate) web: Web,
    known: RwLock<Option<Arc<Known>>>,
    /// When it was asked last. Who asks holds it.
    asked: Mutex<Option<Instant>>,
    #[cfg(test)]
    pub(crate) ahead: std::sync::atomic::AtomicU64,
}

/// What is known of it.
pub(crate) struct Known {
    pub(crate) about: About,
    keys: KeySet,
    at: Instant,
}

/// How it describes itself.
#[derive(Debug, Deserialize)]
pub(crate) struct About {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    pub(crate) authorization_endpoint: String,
    #[serde(default)]
    pub(crate) token_endpoint: String,
    pub(crate) userinfo_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
}

/// Why nothing is known by a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unverified {
    #[error(transparent)]
    Bad(#[from] BadToken),
    #[error(transparent)]
    Down(#[from] ProviderDown),
}

impl Provider {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// Where it could never be asked.
    pub(crate) fn new(issuer: &str, any_name: bool, authorities: Option<&[u8]>) -> Result<Arc<Self>, InvalidProvider> {
        let url: url::Url = issuer.parse().map_err(|_| InvalidProvider(format!("{issuer:?} is no URL")))?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() || url.query().is_some() {
            return Err(InvalidProvider(format!("{issuer:?} must be a URL of the web, without a query")));
        }
        Ok(Arc::new(Self {
            issuer: issuer.to_owned(),
            any_name,
            web: Web::new(authorities)?,
            known: RwLock::default(),
            asked: Mutex::default(),
            #[cfg(test)]
            ahead: std::sync::atomic::AtomicU64::new(0),
        }))
    }

    /// A test may have hours pass.
    fn now(&self) -> Instant {
        #[cfg(test)]
        return Instant::now() + Duration::from_secs(self.ahead.load(std::sync::atomic::Ordering::Relaxed));
        #[cfg(not(test))]
        Instant::now()
    }

    fn age(&self, at: Instant) -> Duration {
        self.now().saturating_duration_since(at)
    }

    /// Its name.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether a token that says that it comes from there may be one of its tokens.
    pub(crate) fn may_be(&self, issuer: &str) -> bool {
        self.any_name || self.issuer == issuer
    }

    /// What a token says, if it is one of this provider's, for one of these audiences, and not over.
    pub(crate) async fn verify(
        self: &Arc<Self>,
        token: &str,
        audiences: &[String],
    ) -> Result<Map<String, Value>, Unverified> {
        let header = header(token)?;
        let known = self.known(header.kid.as_deref()).await?;
        let claims = known.keys.verify(token, |validation| {
            validation.set_audience(audiences);
            validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
            if !self.any_name {
                validation.set_issuer(&[&self.issuer]);
            }
        });
        Ok(claims?)
    }

    /// What is known, which is asked for where there is nothing, or not this key.
    pub(crate) async fn known(self: &Arc<Self>, key: Option<&str>) -> Result<Arc<Known>, ProviderDown> {
        if let Some(known) = self.current().filter(|known| self.age(known.at) < KEPT && known.keys.has(key)) {
            if self.age(known.at) >= FRESH && self.asked.try_lock().is_ok() {
                let provider = self.clone();
                // It ends by its own deadlines.
                tokio::spawn(async move { provider.ask(None).await });
            }
            return Ok(known);
        }
        self.ask(key).await
    }

    /// What is known already.
    pub(crate) fn current(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks, one at a time. Where that would be too soon, or fails, what is known must do.
    async fn ask(&self, key: Option<&str>) -> Result<Arc<Known>, ProviderDown> {
        let mut asked = self.asked.lock().await;
        // Whoever asked before may have got it.
        if let Some(known) = self.current().filter(|known| self.age(known.at) < FRESH && known.keys.has(key)) {
            return Ok(known);
        }
        let why = if asked.is_some_and(|at| self.age(at) < PAUSE) {
            ProviderDown(format!("{} did not answer a moment ago", self.issuer))
        } else {
            let answer = self.fetch().await;
            *asked = Some(self.now());
            match answer {
                Ok(known) => {
                    let known = Arc::new(known);
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
                    return Ok(known);
                }
                Err(why) => {
                    tracing::warn!(error = %why, "a provider of OpenID Connect does not answer as it should");
                    why
                }
            }
        };
        self.current().filter(|known| self.age(known.at) < KEPT).ok_or(why)
    }

    async fn fetch(&self) -> Result<Known, ProviderDown> {
        let url = format!("{}{WELL_KNOWN}", self.issuer.trim_end_matches('/'));
        let body = self.web.get(&url, None).await?;
        let about: About = serde_json::from_slice(&body).map_err(|error| ProviderDown(format!("{url}: {error}")))?;
        if !self.any_name && about.issuer != self.issuer {
            return Err(ProviderDown(format!("{url} calls itself {:?}: http.auth must name it so", about.issuer)));
        }
        // Whoever reads what passes in the clear must not be shown a code, nor offer keys.
        let is_plain = |url: &&str| self.issuer.starts_with("https:") && !url.starts_with("https:") && !url.is_empty();
        if let Some(plain) = about.endpoints().into_iter().find(is_plain) {
            return Err(ProviderDown(format!("{url} names {plain}, which is not encrypted")));
        }
        let keys = self.web.get(&about.jwks_uri, None).await?;
        let keys = KeySet::of_document(&keys).map_err(|error| ProviderDown(format!("{}: {error}", about.jwks_uri)))?;
        Ok(Known { about, keys, at: self.now() })
    }
}

impl About {
    /// What is asked, or where browsers are sent.
    fn endpoints(&self) -> [&str; 4] {
        let user = self.userinfo_endpoint.as_deref().unwrap_or_default();
        [&self.jwks_uri, &self.authorization_endpoint, &self.token_endpoint, user]
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("about", &self.about).finish_non_exhaustive()
    }
}
