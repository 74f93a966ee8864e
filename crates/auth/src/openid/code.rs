//! The code flow (RFC 6749, 4.1) as every provider speaks it: the page where a browser logs in, and tokens for the code that it
//! brings back.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use url::Url;

use super::ProviderDown;
use super::login::{Flow, Login, NoLogin};
use super::site::Endpoints;

/// A provider's answer to a code.
#[derive(Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    pub(super) id_token: String,
    #[serde(default)]
    pub(super) access_token: String,
    /// GitHub refuses a code with 200 and this.
    error: Option<String>,
}

impl Login {
    /// The page of the provider, with what is asked for.
    pub(super) fn page(&self, endpoints: &Endpoints, flow: &Flow) -> Result<String, NoLogin> {
        let broken = |_| ProviderDown(format!("{} names no page to log in at", self.site.name()));
        let mut url: Url = endpoints.page.parse().map_err(broken)?;
        let must = self.site.must_ask_for();
        let scopes = self.settings.scopes.iter().map(String::as_str).filter(|scope| !must.contains(scope));
        let scopes: Vec<_> = must.iter().copied().chain(scopes).collect();
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
    pub(super) async fn exchange(&self, endpoints: &Endpoints, code: &str, flow: &Flow) -> Result<Tokens, NoLogin> {
        let settings = &self.settings;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &flow.redirect),
            ("code_verifier", &flow.verifier),
        ];
        let secret = settings.client_secret.as_ref().map(|secret| String::from_utf8_lossy(secret.as_bytes()));
        let assertion = settings.client_key.as_ref().map(|key| key.assert(&settings.client_id, self.site.name()));
        let assertion = assertion.transpose()?;
        let mut basic = None;
        match (&assertion, &secret) {
            (Some(assertion), _) => form.extend([
                ("client_id", settings.client_id.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ]),
            (None, Some(secret)) if endpoints.secret_in_form => {
                form.extend([("client_id", settings.client_id.as_str()), ("client_secret", secret)]);
            }
            (None, Some(secret)) => basic = Some((settings.client_id.as_str(), &**secret)),
            (None, None) => form.push(("client_id", &settings.client_id)),
        }
        let answer = self.site.web().post(&endpoints.token, &form, basic).await?;
        match answer.status {
            200 => {
                let tokens: Tokens = serde_json::from_slice(&answer.body)
                    .map_err(|error| ProviderDown(format!("its answer to a code cannot be read: {error}")))?;
                match &tokens.error {
                    Some(error) => Err(self.refused(answer.status, error)),
                    None => Ok(tokens),
                }
            }
            400..500 => {
                let tokens: Option<Tokens> = serde_json::from_slice(&answer.body).ok();
                let error = tokens.and_then(|tokens| tokens.error).unwrap_or_default();
                Err(self.refused(answer.status, &error))
            }
            status => Err(ProviderDown(format!("{} answered {status}", endpoints.token)).into()),
        }
    }

    /// The provider takes no code; its own word for why (RFC 6749, 5.2) stands in the log.
    fn refused(&self, status: u16, error: &str) -> NoLogin {
        let word: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        let provider = self.site.name();
        tracing::warn!(provider, status, error = word, "a provider does not take the code of a login");
        NoLogin::Refused
    }
}
