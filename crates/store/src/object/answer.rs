//! Makes a refusal of the service a typed error.
//!
//! The client keeps the status of an answer that it has no variant for in a private type, and the service's own code
//! ("NoSuchBucket") only in a text. This wrapper around its connection turns every answer from 400 up into an error that
//! carries both, which [`super::error`] finds again in the chain of causes.

use std::fmt;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt as _;
use http::StatusCode;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};

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
        Self { status, code: element(&body, "Code"), message: element(&body, "Message") }
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
#[derive(Debug, Default)]
pub(super) struct Connector(ReqwestConnector);

#[derive(Debug)]
struct Service(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.connect(options)?)))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(response);
        }
        let body = head(response.into_body()).await;
        Err(HttpError::new(HttpErrorKind::Unknown, Answer::new(status, &body)))
    }
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
}
