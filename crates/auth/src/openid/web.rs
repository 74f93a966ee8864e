//! Requests to a provider: with a deadline, of a bounded answer, and nowhere else than asked.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LINK};
use reqwest::{Certificate, Client, RequestBuilder, redirect};

use super::{InvalidProvider, ProviderDown};

/// How long a provider may take for an answer, all of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LONGEST: usize = 512 << 10;
const AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

/// A client of one provider.
#[derive(Clone, Debug)]
pub(crate) struct Web(Client);

/// A status and a body.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether it says that it goes on elsewhere (RFC 8288).
    pub(crate) has_next: bool,
}

impl Web {
    /// Connects to nothing yet. With authorities (PEM) only those are believed, else the system's.
    ///
    /// # Errors
    /// Where there is no certificate in them.
    pub(crate) fn new(authorities: Option<&[u8]>) -> Result<Self, InvalidProvider> {
        let invalid = |error: reqwest::Error| InvalidProvider(format!("its authorities cannot be used: {error}"));
        // To be sent elsewhere is not what a provider's endpoints do, and a secret might be sent along.
        let mut builder = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).user_agent(AGENT);
        if let Some(pem) = authorities {
            let certificates = Certificate::from_pem_bundle(pem).map_err(invalid)?;
            if certificates.is_empty() {
                return Err(InvalidProvider("its authorities have no certificate".to_owned()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map(Self).map_err(invalid)
    }

    /// The document at a URL.
    pub(crate) async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Vec<u8>, ProviderDown> {
        match self.ask(url, bearer).await? {
            Answered { status: 200, body, .. } => Ok(body),
            Answered { status, .. } => Err(ProviderDown(format!("{url} answered {status}"))),
        }
    }

    /// The answer to a request for a document, whatever it is.
    pub(crate) async fn ask(&self, url: &str, bearer: Option<&str>) -> Result<Answered, ProviderDown> {
        let request = self.0.get(url).header(ACCEPT, "application/json");
        let request = match bearer {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        send(request, url).await
    }

    /// The answer to a form, which may come with a name and a password.
    pub(crate) async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        basic: Option<(&str, &str)>,
    ) -> Result<Answered, ProviderDown> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.0.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let request = request.header(ACCEPT, "application/json");
        let request = match basic {
            // RFC 6749, 2.3.1: both are encoded as in a form before they become one text.
            Some((name, password)) => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let both = BASE64.encode(format!("{}:{}", encode(name), encode(password)));
                request.header(AUTHORIZATION, format!("Basic {both}"))
            }
            None => request,
        };
        send(request, url).await
    }
}

async fn send(request: RequestBuilder, url: &str) -> Result<Answered, ProviderDown> {
    // The library's own words may hold the whole URL; what is asked of ours is known.
    let down = |error: reqwest::Error| ProviderDown(format!("{url}: {}", innermost(&error.without_url())));
    let mut response = request.send().await.map_err(down)?;
    let (status, mut body) = (response.status().as_u16(), Vec::new());
    let mut links = response.headers().get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    let has_next = links.any(|link| link.contains("rel=\"next\""));
    while let Some(piece) = response.chunk().await.map_err(down)? {
        if body.len() + piece.len() > LONGEST {
            return Err(ProviderDown(format!("{url} answered with more than {LONGEST} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answered { status, body, has_next })
}

/// The reason behind all that says no more than that there is one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
