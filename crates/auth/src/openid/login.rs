//! A login by a browser (OpenID Connect Core 1.0, 3.1, or plain OAuth 2.0: the code flow; PKCE, RFC 7636).
//!
//! What has to be known again when the browser comes back stands sealed in a cookie of the browser, so that it may come back to
//! another replica. The provider's code is good once, for whoever knows the verifier in that cookie; the answer must have the state
//! and its token, where it gives one that says who somebody is, the nonce of that cookie.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use url::Url;

use super::claims::ClaimNames;
use super::signing::SigningKey;
use super::site::{Dialect, Site};
use super::{InvalidProvider, ProviderDown};
use crate::caller::Password;
use crate::sealed::Sealer;
use crate::secret;

/// How long a login may take at the provider.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The longest of what comes back in a query, and the longest place to go to afterwards.
const LONGEST: usize = 2048;

/// One provider (zot: an item of `openid.providers`).
#[derive(Clone, Debug)]
pub struct LoginSettings {
    /// What it is called in paths.
    pub key: String,
    /// What it speaks, and where.
    pub dialect: Dialect,
    /// What it calls this registry.
    pub client_id: String,
    /// The secret that it knows this registry by, if it does.
    pub client_secret: Option<Password>,
    /// The key that it knows this registry by, in the place of the secret.
    pub client_key: Option<SigningKey>,
    /// What is asked for; of OpenID Connect, `openid` always is.
    pub scopes: Vec<String>,
    /// Where the name and the groups are.
    pub claims: ClaimNames,
}

/// All of them.
#[derive(Debug)]
pub struct Logins {
    providers: BTreeMap<String, Login>,
    /// Where a browser may be sent after a login, besides this registry itself.
    origins: Vec<String>,
    sealer: Sealer,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) settings: LoginSettings,
    pub(super) site: Site,
}

/// Where a browser goes to log in.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The provider's page.
    pub url: String,
    /// What the browser keeps meanwhile.
    pub cookie: String,
}

/// What a browser brings back.
#[derive(Clone, Copy, Debug)]
pub struct Returned<'a> {
    /// What it kept.
    pub cookie: &'a str,
    /// The provider's answer.
    pub state: &'a str,
    /// Good for a token, once.
    pub code: Option<&'a str>,
    /// Whose answer it is, if it says so (RFC 9207).
    pub issuer: Option<&'a str>,
}

/// Somebody has logged in.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where.
    pub provider: String,
    /// As policies know them.
    pub name: String,
    /// What the provider told.
    pub groups: Vec<String>,
    /// Where they want to go.
    pub onward: Option<String>,
}

/// Why nobody has.
#[derive(Debug, thiserror::Error)]
pub enum NoLogin {
    /// There is no such provider.
    #[error("there is no such provider of logins")]
    NoProvider,
    /// The page to go to afterwards is somebody else's.
    #[error("callback_ui must be a path of this registry, or of an origin in http.auth.openid.callbackAllowOrigins")]
    Elsewhere,
    /// The answer is not one to this login.
    #[error("the login was not begun here, took too long, or was answered already")]
    Invalid,
    /// The provider has not let them in.
    #[error("the provider refused the login")]
    Refused,
    /// It has, and does not say who they are.
    #[error("the provider does not say who has logged in: no claim {0:?} that could be a name")]
    Nameless(String),
    /// It does not answer.
    #[error(transparent)]
    Down(#[from] ProviderDown),
}

/// What a browser keeps while it is at the provider.
#[derive(Serialize, Deserialize)]
pub(super) struct Flow {
    provider: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) redirect: String,
    onward: Option<String>,
    expires: u64,
}

impl Logins {
    /// Asks nobody yet. `shared` is the key that all replicas share.
    ///
    /// # Errors
    /// Where a provider could never be asked.
    pub fn new(shared: &[u8], all: Vec<LoginSettings>, origins: Vec<String>) -> Result<Self, InvalidProvider> {
        let sealer = Sealer::new(shared, "wharf login 1");
        let sealer = sealer.ok_or_else(|| InvalidProvider("there is no cipher to seal logins with".to_owned()))?;
        let mut providers = BTreeMap::new();
        for settings in all {
            let site = Site::new(&settings.dialect)?;
            providers.insert(settings.key.clone(), Login { settings, site });
        }
        Ok(Self { providers, origins, sealer })
    }

    /// Sends a browser to a provider. `base` is how it sees this registry, `onward` where it wants to go afterwards.
    ///
    /// # Errors
    /// See there.
    pub async fn depart(&self, provider: &str, base: &str, onward: Option<&str>) -> Result<Departure, NoLogin> {
        let (key, login) = self.providers.get_key_value(provider).ok_or(NoLogin::NoProvider)?;
        if onward.is_some_and(|onward| !self.is_ours(onward, base)) {
            return Err(NoLogin::Elsewhere);
        }
        let endpoints = login.site.endpoints().await?;
        let flow = Flow {
            provider: key.clone(),
            state: random(),
            nonce: random(),
            verifier: random(),
            redirect: format!("{base}/zot/auth/callback/{key}"),
            onward: onward.map(str::to_owned),
            expires: secret::now() + PATIENCE.as_secs(),
        };
        let url = login.page(&endpoints, &flow)?;
        let cookie = self.sealer.seal(&flow).ok_or(NoLogin::Elsewhere)?;
        Ok(Departure { url, cookie })
    }

    /// Finds out who came back from a provider.
    ///
    /// # Errors
    /// See there.
    pub async fn arrive(&self, provider: &str, returned: Returned<'_>) -> Result<Arrival, NoLogin> {
        let login = self.providers.get(provider).ok_or(NoLogin::NoProvider)?;
        let flow: Flow = self.sealer.open(returned.cookie).ok_or(NoLogin::Invalid)?;
        let is_same = verify_slices_are_equal(flow.state.as_bytes(), returned.state.as_bytes()).is_ok();
        let is_theirs = returned.issuer.is_none_or(|issuer| issuer == login.site.name());
        if !is_same || !is_theirs || flow.provider != provider || flow.expires <= secret::now() {
            return Err(NoLogin::Invalid);
        }
        let code = returned.code.filter(|code| !code.is_empty() && code.len() <= LONGEST).ok_or(NoLogin::Refused)?;
        let endpoints = login.site.endpoints().await?;
        let tokens = login.exchange(&endpoints, code, &flow).await?;
        let claims = login.site.claims(&login.settings, &tokens, &flow.nonce).await?;
        let names = &login.settings.claims;
        let name = names.name(&claims).ok_or_else(|| NoLogin::Nameless(names.username.clone()))?;
        let groups = names.groups(&claims).unwrap_or_default();
        Ok(Arrival { provider: flow.provider, name, groups, onward: flow.onward })
    }

    /// The page of a provider where a browser logs out there too, as far as that is known.
    pub(crate) fn farewell(&self, provider: &str) -> Option<String> {
        let login = self.providers.get(provider)?;
        login.site.farewell(&login.settings.client_id)
    }

    /// Whether there is such a provider.
    pub(crate) fn knows(&self, provider: &str) -> bool {
        self.providers.contains_key(provider)
    }

    /// Whether a browser may be sent there: to a path of this registry, or to an origin that is named.
    fn is_ours(&self, onward: &str, base: &str) -> bool {
        // Browsers take a backslash for a slash, and leave tabs and line breaks out.
        if onward.len() > LONGEST || onward.chars().any(|c| c.is_control() || c == '\\' || c.is_whitespace()) {
            return false;
        }
        if onward.starts_with('/') {
            return !onward.starts_with("//");
        }
        let origin = |text: &str| text.parse::<Url>().ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
        let Some(wanted) = onward.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "https" | "http")) else {
            return false;
        };
        let known = self.origins.iter().map(String::as_str).chain([base]).filter_map(origin);
        known.into_iter().any(|known| known == wanted.origin())
    }
}

/// 256 bits that nobody can guess.
pub(super) fn random() -> String {
    BASE64.encode(rand::random::<[u8; 32]>())
}
