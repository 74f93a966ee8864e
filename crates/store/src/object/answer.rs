//! Makes a refusal of the service a typed error.
//!
//! The client keeps the status of an answer that it has no variant for in a private type, and the service's own code
//! ("NoSuchBucket") only in a text. This wrapper around its connection turns every answer from 400 up into an error that
//! carries both, which [`super::error`] finds again in the chain of causes.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt as _;
use http::{StatusCode, Uri};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};

use super::error::deepest;

/// How long a source of credentials may take.
const CREDENTIALS: Duration = Duration::from_secs(5);
/// How much of an error's body is read.
const MAX_BODY: usize = 16 << 10;

/// An answer that is no success.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The service's code, such as `NoSuchBucket`; empty where it sent none, as to a HEAD.
    pub(super) code: String,
    /// The service's sentence, or empty.
    pub(super) message: String,
    /// Who answered, where it was not the service: a source of credentials, whose 404 says nothing of an object.
    pub(super) stranger: Option<String>,
}

/// A source of credentials does not answer.
#[derive(Debug, thiserror::Error)]
#[error("there are no credentials: {host}: {reason}")]
pub(super) struct NoCredentials {
    host: String,
    reason: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status.as_str())?;
        for text in [&self.code, &self.message] {
            if !text.is_empty() {
                write!(f, " {text}")?;
            }
        }
        Ok(())
    }
}

impl Answer {
    /// Reads the XML that S3, GCS and Azure answer errors with.
    pub(super) fn new(status: StatusCode, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        Self { status, code: element(&body, "Code"), message: element(&body, "Message"), stranger: None }
    }
}

/// The text of the first element of a name, on one line.
fn element(xml: &str, name: &str) -> String {
    let text = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    let Some((text, _)) = text else { return String::new() };
    let text = quick_xml::escape::unescape(text).unwrap_or(text.into());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Connects as the client would by itself, and wraps the connection.
#[derive(Debug)]
pub(super) struct Connector {
    inner: ReqwestConnector,
    place: Place,
}

/// Host and port of the service. In front of the host there may be a bucket.
#[derive(Clone, Debug)]
struct Place {
    host: String,
    port: Option<u16>,
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    place: Place,
}

impl Connector {
    /// Takes what is not at `endpoint` for a source of credentials.
    pub(super) fn new(endpoint: &str) -> Self {
        let uri = endpoint.parse::<Uri>().unwrap_or_default();
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        Self { inner: ReqwestConnector::default(), place: Place { host, port: port(&uri) } }
    }
}

impl Place {
    /// Who answers to a URI, if not the service.
    fn stranger(&self, uri: &Uri) -> Option<String> {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let front = host.strip_suffix(&self.host);
        let is_own = front.is_some_and(|front| front.is_empty() || front.ends_with('.')) && port(uri) == self.port;
        (!is_own).then_some(host)
    }
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service { inner: self.inner.connect(options)?, place: self.place.clone() }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let stranger = self.place.stranger(request.uri());
        let response = match &stranger {
            None => self.inner.execute(request).await?,
            Some(host) => credentials(host, self.inner.execute(request)).await?,
        };
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(response);
        }
        let body = head(response.into_body()).await;
        let answer = Answer { stranger, ..Answer::new(status, &body) };
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}

/// Asks a source of credentials, which answers at once or not at all.
async fn credentials(
    host: &str,
    request: impl Future<Output = Result<HttpResponse, HttpError>>,
) -> Result<HttpResponse, HttpError> {
    let (kind, reason) = match tokio::time::timeout(CREDENTIALS, request).await {
        Ok(Ok(response)) => return Ok(response),
        Ok(Err(e)) => (e.kind(), deepest(&e).to_string()),
        Err(_) => (HttpErrorKind::Timeout, format!("no answer within {CREDENTIALS:?}")),
    };
    Err(HttpError::new(kind, NoCredentials { host: host.to_owned(), reason }))
}

/// The beginning of a body. One that breaks off has said enough.
async fn head(body: HttpResponseBody) -> BytesMut {
    let (mut stream, mut head) = (body.bytes_stream(), BytesMut::new());
    while head.len() < MAX_BODY {
        match stream.next().await {
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(_)) | None => break,
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_the_service_said() {
        let body =
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>It\n  isn&apos;t there</Message></Error>";
        let answer = Answer::new(StatusCode::NOT_FOUND, body);
        assert_eq!(answer.code, "NoSuchBucket");
        assert_eq!(answer.to_string(), "404 NoSuchBucket It isn't there");
        assert_eq!(Answer::new(StatusCode::BAD_GATEWAY, b"<html>\xff").to_string(), "502");
    }

    #[test]
    fn who_is_not_the_service_gives_credentials() {
        let stranger = |endpoint: &str, uri: &str| Connector::new(endpoint).place.stranger(&uri.parse().unwrap());
        let aws = "https://s3.eu-central-1.amazonaws.com";
        for own in ["https://s3.eu-central-1.amazonaws.com/b/k", "https://b.s3.eu-central-1.amazonaws.com:443/k"] {
            assert_eq!(stranger(aws, own), None);
        }
        assert_eq!(stranger("http://[::1]:9000", "http://[::1]:9000/b"), None);
        assert_eq!(stranger("http://store/devaccount", "http://STORE:80/devaccount/b"), None);
        for other in ["http://169.254.169.254/latest", "https://sts.eu-central-1.amazonaws.com/"] {
            assert!(stranger(aws, other).is_some());
        }
        assert!(stranger("http://127.0.0.1:9000", "http://127.0.0.1:9001/").is_some());
        assert!(stranger("http://store", "http://anotherstore/").is_some());
    }
}
