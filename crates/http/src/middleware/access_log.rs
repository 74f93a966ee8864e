//! One line of the log a request, written when its answer has ended or the client is gone: a warning if the storage did not answer,
//! an error if the registry made a mistake. Probes and scrapes, which come every few seconds, are seen only by who asks for them.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;

use crate::body::RequestBody;
use crate::caller::Caller;
use crate::limits::connections::Busy;
use crate::limits::turnstile::Pass;
use crate::metrics::{self, Ended, Metrics};
use crate::router::{NoRoute, Route};

/// What the line says of a request whose client left before there was an answer (nginx uses the same number).
const CLIENT_LEFT: u16 = 499;

/// The line, as far as it is known. Dropping it writes it, and tells whoever keeps figures.
pub(crate) struct Record {
    metrics: Option<Arc<dyn Metrics>>,
    method: Method,
    route: &'static str,
    is_watch: bool,
    uri: Uri,
    request_id: HeaderValue,
    client: IpAddr,
    caller: Option<Caller>,
    user_agent: Option<HeaderValue>,
    began: Instant,
    /// Until the answer has ended, the request counts for its connection and for what is served at once.
    pub(crate) busy: Busy,
    pub(crate) pass: Option<Pass>,
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
    pub(crate) fn begin(
        parts: &Parts,
        route: &Result<Route, NoRoute>,
        client: IpAddr,
        request_id: HeaderValue,
        busy: Busy,
    ) -> Self {
        Self {
            metrics: None,
            method: parts.method.clone(),
            route: route.as_ref().map_or("none", Route::kind),
            is_watch: route.as_ref().is_ok_and(Route::is_watch),
            uri: parts.uri.clone(),
            request_id,
            client,
            caller: None,
            user_agent: parts.headers.get(USER_AGENT).cloned(),
            began: Instant::now(),
            busy,
            pass: None,
            status: CLIENT_LEFT,
            bytes_in: 0,
            broken: false,
            bytes_out: 0,
            whole: false,
        }
    }

    /// Names who keeps figures.
    pub(crate) fn report_to(&mut self, metrics: Option<Arc<dyn Metrics>>) {
        if let Some(metrics) = &metrics {
            metrics.began();
        }
        self.metrics = metrics;
    }

    fn report(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.ended(&Ended {
                method: metrics::method(&self.method),
                route: self.route,
                status: self.status,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                duration: self.began.elapsed(),
            });
        }
    }

    /// There is an answer.
    pub(crate) fn answered(&mut self, status: StatusCode, body: &RequestBody, caller: Option<&Caller>) {
        self.busy.progress().made();
        self.caller = caller.cloned();
        self.status = status.as_u16();
        self.bytes_in = body.received();
        self.broken = body.is_broken();
    }

    /// The answer's body cannot be sent to its end.
    pub(crate) fn broke_off(&self, why: &(dyn Error + Send + Sync + 'static)) {
        tracing::error!(request_id = text(&self.request_id), error = %why, "an answer broke off");
    }
}

/// The level of an event has to be known when the program is built.
macro_rules! line {
    ($level:ident, $record:expr) => {{
        let record: &Record = $record;
        tracing::event!(
            tracing::Level::$level,
            method = record.method.as_str(),
            path = record.uri.path(),
            status = record.status,
            bytes_in = record.bytes_in,
            bytes_out = record.bytes_out,
            duration_ms = u64::try_from(record.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_id = text(&record.request_id),
            client = %record.client,
            caller = record.caller.as_ref().map_or("-", |caller| &caller.name),
            user_agent = record.user_agent.as_ref().map_or("-", text),
            aborted = record.broken || !record.whole,
            "request"
        );
    }};
}

impl Drop for Record {
    fn drop(&mut self) {
        self.report();
        match self.status {
            _ if self.is_watch => line!(DEBUG, self),
            503 => line!(WARN, self),
            500.. => line!(ERROR, self),
            _ => line!(INFO, self),
        }
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}
