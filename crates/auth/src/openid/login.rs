//! A login by a browser (OpenID Connect Core 1.0, 3.1, the code flow; PKCE, RFC 7636).
//!
//! What has to be known again when the browser comes back stands sealed in a cookie of the browser, so that it may come back to
//! another replica. The provider's code is good once, for whoever knows the verifier in that cookie; the answer must have the state
//! and its token the nonce of that cookie.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::claims::ClaimNames;
use super::provider::{Known, Provider, Unverified};
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
    /// Its URL.
    pub issuer: String,
    /// What it calls this registry.
    pub client_id: String,
    /// The secret that it knows this registry by, if it does.
    pub client_secret: Option<Password>,
    /// The key that it knows this registry by, in the place of the secret.
    pub client_key: Option<SigningKey>,
    /// What is asked for; `openid` always is.
    pub scopes: Vec<String>,
    /// Where the name and the groups are.
    pub claims: ClaimNames,
}

/// A private key that signs for this registry (RFC 7523).
#[derive(Clone)]
pub struct SigningKey {
    id: Option<String>,
    key: EncodingKey,
    algorithm: Algorithm,
}

/// All of them.
#[derive(Debug)]
pub struct Logins {
    providers: BTreeMap<String, Login>,
    /// Where a browser may be sent after a login, besides this registry itself.
    origins: Vec<String>,
    sealer: Sealer,
}

#[derive(Debug)]
struct Login {
    settings: LoginSettings,
    provider: Arc<Provider>,
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
struct Flow {
    provider: String,
    state: String,
    nonce: String,
    verifier: String,
    redirect: String,
    onward: Option<String>,
    expires: u64,
}

/// The provider's answer to a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: String,
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
            let provider = Provider::new(&settings.issuer, false, None)?;
            providers.insert(settings.key.clone(), Login { settings, provider });
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
        let known = login.provider.known(None).await?;
        let flow = Flow {
            provider: key.clone(),
            state: random(),
            nonce: random(),
            verifier: random(),
            redirect: format!("{base}/zot/auth/callback/{key}"),
            onward: onward.map(str::to_owned),
            expires: secret::now() + PATIENCE.as_secs(),
        };
        let url = login.page(&known, &flow)?;
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
        let is_theirs = returned.issuer.is_none_or(|issuer| issuer == login.provider.issuer());
        if !is_same || !is_theirs || flow.provider != provider || flow.expires <= secret::now() {
            return Err(NoLogin::Invalid);
        }
        let code = returned.code.filter(|code| !code.is_empty() && code.len() <= LONGEST).ok_or(NoLogin::Refused)?;
        let known = login.provider.known(None).await?;
        let tokens = login.exchange(&known, code, &flow).await?;
        let claims = login.claims(&known, &tokens, &flow.nonce).await?;
        let names = &login.settings.claims;
        let name = names.name(&claims).ok_or_else(|| NoLogin::Nameless(names.username.clone()))?;
        let groups = names.groups(&claims).unwrap_or_default();
        Ok(Arrival { provider: flow.provider, name, groups, onward: flow.onward })
    }

    /// The page of a provider where a browser logs out there too, as far as that is known.
    pub(crate) fn farewell(&self, provider: &str) -> Option<String> {
        let login = self.providers.get(provider)?;
        let mut url: Url = login.provider.current()?.about.end_session_endpoint.as_ref()?.parse().ok()?;
        url.query_pairs_mut().append_pair("client_id", &login.settings.client_id);
        Some(url.into())
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

impl Login {
    /// The page of the provider, with what is asked for.
    fn page(&self, known: &Known, flow: &Flow) -> Result<String, NoLogin> {
        let broken = |_| ProviderDown(format!("{} names no page to log in at", self.provider.issuer()));
        let mut url: Url = known.about.authorization_endpoint.parse().map_err(broken)?;
        let mut scopes = vec!["openid"];
        scopes.extend(self.settings.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &flow.redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &flow.state)
            .append_pair("nonce", &flow.nonce)
            .append_pair("code_challenge", &BASE64.encode(digest(&SHA256, flow.verifier.as_bytes())))
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Tokens for a code.
    async fn exchange(&self, known: &Known, code: &str, flow: &Flow) -> Result<Tokens, NoLogin> {
        let settings = &self.settings;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &flow.redirect),
            ("code_verifier", &flow.verifier),
        ];
        let secret = settings.client_secret.as_ref().map(|secret| String::from_utf8_lossy(secret.as_bytes()));
        let assertion = settings.client_key.as_ref().map(|key| key.assert(&settings.client_id, self.provider.issuer()));
        let assertion = assertion.transpose()?;
        let methods = &known.about.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|known| known == method);
        let mut basic = None;
        match (&assertion, &secret) {
            (Some(assertion), _) => form.extend([
                ("client_id", settings.client_id.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ]),
            (None, Some(secret)) if takes("client_secret_post") && !takes("client_secret_basic") => {
                form.extend([("client_id", settings.client_id.as_str()), ("client_secret", secret)]);
            }
            (None, Some(secret)) => basic = Some((settings.client_id.as_str(), &**secret)),
            (None, None) => form.push(("client_id", &settings.client_id)),
        }
        let answer = self.provider.web.post(&known.about.token_endpoint, &form, basic).await?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|error| ProviderDown(format!("its answer to a code cannot be read: {error}")).into()),
            400..500 => {
                tracing::warn!(
                    provider = self.provider.issuer(),
                    status = answer.status,
                    error = refusal(&answer.body),
                    "a provider does not take the code of a login"
                );
                Err(NoLogin::Refused)
            }
            status => Err(ProviderDown(format!("{} answered {status}", known.about.token_endpoint)).into()),
        }
    }

    /// What is said of who has logged in: by the token, and where that says not enough, by the provider.
    async fn claims(&self, known: &Known, tokens: &Tokens, nonce: &str) -> Result<Map<String, Value>, NoLogin> {
        let client = &self.settings.client_id;
        let mut claims = match self.provider.verify(&tokens.id_token, std::slice::from_ref(client)).await {
            Ok(claims) => claims,
            Err(Unverified::Down(why)) => return Err(why.into()),
            Err(Unverified::Bad(why)) => {
                tracing::warn!(provider = self.provider.issuer(), error = %why, "a provider's own token is not valid");
                return Err(NoLogin::Invalid);
            }
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_for_us = text("azp").is_none_or(|party| party == client);
        if !is_for_us || text("nonce") != Some(nonce) {
            return Err(NoLogin::Invalid);
        }
        let names = &self.settings.claims;
        let is_told = names.name(&claims).is_some() && names.groups(&claims).is_some();
        if let (false, Some(url)) = (is_told || tokens.access_token.is_empty(), &known.about.userinfo_endpoint) {
            let body = self.provider.web.get(url, Some(&tokens.access_token)).await?;
            let more: Map<String, Value> =
                serde_json::from_slice(&body).map_err(|error| ProviderDown(format!("{url}: {error}")))?;
            // Core 1.0, 5.3.2: it may be about somebody else.
            if more.get("sub") != claims.get("sub") {
                return Err(NoLogin::Invalid);
            }
            // What the token says, which is signed, stays.
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }
}

impl SigningKey {
    /// A private key: PEM, or zot's JSON document with `keyId` and `key`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn new(file: &[u8]) -> Result<Self, InvalidProvider> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            key_id: Option<String>,
            key: String,
        }
        let invalid =
            || InvalidProvider("it must hold a private key (PEM), or a document with keyId and key".to_owned());
        let (id, pem) = match file.trim_ascii_start().first() {
            Some(b'{') => {
                let document: Document = serde_json::from_slice(file).map_err(|_| invalid())?;
                (document.key_id, document.key.into_bytes())
            }
            _ => (None, file.to_vec()),
        };
        let found = EncodingKey::from_rsa_pem(&pem)
            .map(|key| (key, Algorithm::RS256))
            .or_else(|_| EncodingKey::from_ec_pem(&pem).map(|key| (key, Algorithm::ES256)))
            .or_else(|_| EncodingKey::from_ed_pem(&pem).map(|key| (key, Algorithm::EdDSA)));
        let (key, algorithm) = found.map_err(|_| invalid())?;
        Ok(Self { id, key, algorithm })
    }

    /// A token that says that we are this client, for a minute, and once.
    fn assert(&self, client: &str, audience: &str) -> Result<String, ProviderDown> {
        let now = secret::now();
        let claims = serde_json::json!({
            "iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60, "jti": random(),
        });
        let header = Header { kid: self.id.clone(), ..Header::new(self.algorithm) };
        encode(&header, &claims, &self.key).map_err(|error| ProviderDown(format!("the key of the client: {error}")))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The provider's own word for why it takes no code (RFC 6749, 5.2), which may stand in a log.
fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let word = serde_json::from_slice(body).map(|refusal: Refusal| refusal.error).unwrap_or_default();
    word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

/// 256 bits that nobody can guess.
fn random() -> String {
    BASE64.encode(rand::random::<[u8; 32]>())
}
