//! What whoever keeps figures hears of requests, and how they are shown. The figures themselves are kept elsewhere.

use std::fmt;
use std::time::Duration;

use http::Method;

/// Keeps figures of requests, and shows all that it has. It is called for every request and must not wait.
pub trait Metrics: fmt::Debug + Send + Sync {
    /// The head of a request came.
    fn began(&self);

    /// A request is over: the last byte of its answer is gone, or its client.
    fn ended(&self, request: &Ended);

    /// The page, as it is served at [`crate::HttpOptions::metrics_path`].
    fn page(&self) -> String;

    /// Its `Content-Type`.
    fn content_type(&self) -> &'static str;
}

/// A request that is over. None of its words are the client's own, so that they may be labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `GET`, …, or `other`.
    pub method: &'static str,
    /// The kind of resource: `manifest`, `blob`, …, or `none`.
    pub route: &'static str,
    /// The status of the answer; 499 where the client left before there was one.
    pub status: u16,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the head of the request to the last byte of the answer.
    pub duration: Duration,
}

/// The name of a method, if it is one that this API has.
pub(crate) const fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
