//! What providers of logins differ in: where they are asked, and how they say who has logged in.

use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;

use super::code::Tokens;
use super::github::{GitHub, GitHubPages};
use super::login::{LoginSettings, NoLogin};
use super::provider::{Provider, Unverified};
use super::web::Web;
use super::{InvalidProvider, ProviderDown};

/// What a provider speaks, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenID Connect, at the URL that is the provider's name.
    OpenId(String),
    /// OAuth 2.0 and GitHub's own API, at github.com or at pages of another GitHub.
    GitHub(Option<GitHubPages>),
}

/// See the module.
#[derive(Debug)]
pub(super) enum Site {
    OpenId(Arc<Provider>),
    GitHub(Box<GitHub>),
}

/// Where a login goes.
pub(super) struct Endpoints {
    /// With a browser.
    pub(super) page: String,
    /// With the code.
    pub(super) token: String,
    /// Whether the secret goes into the form of the code, and not into a header.
    pub(super) secret_in_form: bool,
}

impl Site {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// Where it could never be asked.
    pub(super) fn new(dialect: &Dialect) -> Result<Self, InvalidProvider> {
        match dialect {
            Dialect::OpenId(issuer) => Provider::new(issuer, false, None).map(Self::OpenId),
            Dialect::GitHub(pages) => GitHub::new(pages.as_ref()).map(Box::new).map(Self::GitHub),
        }
    }

    /// As it calls itself in an answer (RFC 9207).
    pub(super) fn name(&self) -> &str {
        match self {
            Self::OpenId(provider) => provider.issuer(),
            Self::GitHub(github) => github.name(),
        }
    }

    pub(super) fn web(&self) -> &Web {
        match self {
            Self::OpenId(provider) => &provider.web,
            Self::GitHub(github) => github.web(),
        }
    }

    /// What a login asks for, whatever the configuration says.
    pub(super) const fn must_ask_for(&self) -> &'static [&'static str] {
        match self {
            Self::OpenId(_) => &["openid"],
            Self::GitHub(_) => &[],
        }
    }

    pub(super) async fn endpoints(&self) -> Result<Endpoints, ProviderDown> {
        let provider = match self {
            Self::OpenId(provider) => provider,
            Self::GitHub(github) => return Ok(github.endpoints()),
        };
        let known = provider.known(None).await?;
        let methods = &known.about.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.iter().any(|known| known == method);
        Ok(Endpoints {
            page: known.about.authorization_endpoint.clone(),
            token: known.about.token_endpoint.clone(),
            secret_in_form: takes("client_secret_post") && !takes("client_secret_basic"),
        })
    }

    /// What is said of who has logged in.
    pub(super) async fn claims(
        &self,
        settings: &LoginSettings,
        tokens: &Tokens,
        nonce: &str,
    ) -> Result<Map<String, Value>, NoLogin> {
        match self {
            Self::OpenId(provider) => connect(provider, settings, tokens, nonce).await,
            Self::GitHub(github) => github.claims(settings, &tokens.access_token).await,
        }
    }

    /// The page where a browser logs out there too, as far as that is known.
    pub(super) fn farewell(&self, client: &str) -> Option<String> {
        let Self::OpenId(provider) = self else { return None };
        let mut url: Url = provider.current()?.about.end_session_endpoint.as_ref()?.parse().ok()?;
        url.query_pairs_mut().append_pair("client_id", client);
        Some(url.into())
    }
}

/// By the token, and where that says not enough, by the provider (OpenID Connect Core 1.0, 3.1.3.7 and 5.3).
async fn connect(
    provider: &Arc<Provider>,
    settings: &LoginSettings,
    tokens: &Tokens,
    nonce: &str,
) -> Result<Map<String, Value>, NoLogin> {
    let client = &settings.client_id;
    let mut claims = match provider.verify(&tokens.id_token, std::slice::from_ref(client)).await {
        Ok(claims) => claims,
        Err(Unverified::Down(why)) => return Err(why.into()),
        Err(Unverified::Bad(why)) => {
            tracing::warn!(provider = provider.issuer(), error = %why, "a provider's own token is not valid");
            return Err(NoLogin::Invalid);
        }
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_for_us = text("azp").is_none_or(|party| party == client);
    if !is_for_us || text("nonce") != Some(nonce) {
        return Err(NoLogin::Invalid);
    }
    let names = &settings.claims;
    let is_told = names.name(&claims).is_some() && names.groups(&claims).is_some();
    if is_told || tokens.access_token.is_empty() {
        return Ok(claims);
    }
    if let Some(url) = &provider.known(None).await?.about.userinfo_endpoint {
        let body = provider.web.get(url, Some(&tokens.access_token)).await?;
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
