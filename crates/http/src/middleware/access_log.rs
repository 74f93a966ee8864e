//! One line of the log a request, written when its answer has ended or the client is gone.

use std::error::Error;
use std::net::IpAddr;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;

use crate::body::RequestBody;

/// What the line says of a request whose client left before there was an answer (nginx uses the same number).
const CLIENT_LEFT: u16 = 499;

/// The line, as far as it is known. Dropping it writes it.
pub(crate) struct Record {
    method: Method,
    uri: Uri,
    request_id: HeaderValue,
    client: IpAddr,
    user_agent: Option<HeaderValue>,
    began: Instant,
    status: u16,
    bytes_in: u64,
    broken: bool,
    /// Bytes of the answer's body so far.
    pub(crate) bytes_out: u64,
    /// Whether that is all of it.
    pub(crate) whole: bool,
}

impl Record {
    /// Begins the record of a request.
    pub(crate) fn begin(parts: &Parts, client: IpAddr, request_id: HeaderValue) -> Self {
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            request_id,
            client,
            user_agent: parts.headers.get(USER_AGENT).cloned(),
            began: Instant::now(),
            status: CLIENT_LEFT,
            bytes_in: 0,
            broken: false,
            bytes_out: 0,
            whole: false,
        }
    }

    /// There is an answer.
    pub(crate) fn answered(&mut self, status: StatusCode, body: &RequestBody) {
        self.status = status.as_u16();
        self.bytes_in = body.received();
        self.broken = body.is_broken();
    }

    /// The answer's body cannot be sent to its end.
    pub(crate) fn broke_off(&self, why: &(dyn Error + Send + Sync + 'static)) {
        tracing::error!(request_id = text(&self.request_id), error = %why, "an answer broke off");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::info!(
            method = self.method.as_str(),
            path = self.uri.path(),
            status = self.status,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_id = text(&self.request_id),
            client = %self.client,
            user_agent = self.user_agent.as_ref().map_or("-", text),
            aborted = self.broken || !self.whole,
            "request"
        );
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}
