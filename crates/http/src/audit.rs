//! The audit log: one line for each change that somebody asks for, and what came of it. An answer waits until its line is written.
//!
//! The fields `clientIP`, `subject`, `action`, `object` and `status` are zot's. Never what could be a secret: no header but the
//! name of the client program, no query, no body.

use std::net::IpAddr;
use std::time::Duration;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{mpsc, oneshot};

use crate::caller::Caller;
use crate::headers::{DOCKER_CONTENT_DIGEST, OCI_TAG};
use crate::router::Route;

/// Lines that wait to be written; beyond, requests wait.
const QUEUE: usize = 1024;
/// The longest that an answer waits for its line.
const PATIENCE: Duration = Duration::from_secs(2);
/// The status in the line of a request whose client left before there was an answer, as in the access log.
const CLIENT_LEFT: u16 = 499;

/// Where lines go. Clones share it.
#[derive(Clone, Debug)]
pub struct AuditLog(mpsc::Sender<AuditLine>);

/// A line on its way.
#[derive(Debug)]
pub struct AuditLine {
    /// With its line break.
    pub text: Vec<u8>,
    /// To be told when it is written, or cannot be.
    pub written: oneshot::Sender<()>,
}

/// What is known of a change so far. Dropped without an answer, it writes that nobody knows what came of it.
pub(crate) struct Change {
    log: AuditLog,
    line: Line,
    is_over: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    time: String,
    #[serde(rename = "clientIP")]
    client_ip: IpAddr,
    /// The caller's name; empty for nobody, as in zot.
    subject: String,
    action: String,
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The tag or the digest in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// Of what was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Tags that were set beside the one in the path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    status: u16,
    outcome: &'static str,
    request_id: String,
    user_agent: String,
    message: &'static str,
}

impl AuditLog {
    /// A log, and the lines that somebody has to write.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<AuditLine>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Begins the line of a request, if it asks for a change.
    pub(crate) fn begin(&self, parts: &Parts, client: IpAddr, request_id: &HeaderValue) -> Option<Change> {
        let is_change = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
        is_change.then(|| Change { log: self.clone(), line: Line::begin(parts, client, request_id), is_over: false })
    }
}

impl Line {
    fn begin(parts: &Parts, client: IpAddr, request_id: &HeaderValue) -> Self {
        let path = parts.uri.path();
        let (repository, reference) = named(path);
        Self {
            time: String::new(),
            client_ip: client,
            subject: String::new(),
            action: parts.method.to_string(),
            object: path.to_owned(),
            repository,
            reference,
            digest: None,
            tags: Vec::new(),
            status: CLIENT_LEFT,
            outcome: "unknown",
            request_id: text(request_id),
            user_agent: parts.headers.get(USER_AGENT).map(text).unwrap_or_default(),
            message: "HTTP API Audit",
        }
    }

    fn write(&mut self) -> Vec<u8> {
        self.time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

impl Change {
    /// Writes what came of it. A request that was turned away before anybody looked at what it asks for is no change: who sends it
    /// could fill the disk.
    pub(crate) async fn answered(mut self, caller: Option<&Caller>, status: StatusCode, headers: &HeaderMap) {
        self.is_over = true;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) {
            return;
        }
        self.line.subject = caller.map(|caller| caller.name.to_string()).unwrap_or_default();
        self.line.status = status.as_u16();
        self.line.outcome = outcome(status);
        if status.is_success() {
            self.line.digest = headers.get(DOCKER_CONTENT_DIGEST).map(text);
            self.line.tags = tags(headers);
        }
        let (written, waits) = oneshot::channel();
        let line = AuditLine { text: self.line.write(), written };
        let sent = tokio::time::timeout(PATIENCE, async {
            // Whoever writes has ended, or says itself what is wrong.
            if self.log.0.send(line).await.is_ok() {
                let _ = waits.await;
            }
        });
        if sent.await.is_err() {
            tracing::error!(
                request_id = self.line.request_id,
                "the audit log takes no lines: a change is not in it yet"
            );
        }
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.is_over {
            let (written, _) = oneshot::channel();
            if self.log.0.try_send(AuditLine { text: self.line.write(), written }).is_err() {
                tracing::error!(request_id = self.line.request_id, "the audit log takes no lines: one is lost");
            }
        }
    }
}

fn outcome(status: StatusCode) -> &'static str {
    match status {
        status if status.is_success() => "done",
        status if status.is_client_error() => "refused",
        _ => "failed",
    }
}

fn tags(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(OCI_TAG).iter().map(text).collect()
}

/// The repository, and the tag or digest or session in it.
fn named(path: &str) -> (Option<String>, Option<String>) {
    match Route::parse(path) {
        Ok(Route::Manifest(name, reference)) => (Some(name.to_string()), Some(reference.to_string())),
        Ok(Route::Blob(name, digest)) => (Some(name.to_string()), Some(digest.to_string())),
        Ok(Route::Uploads(name)) => (Some(name.to_string()), None),
        Ok(Route::Upload(name, upload)) => (Some(name.to_string()), Some(upload.to_string())),
        _ => (None, None),
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
