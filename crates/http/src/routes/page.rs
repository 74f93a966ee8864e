//! Lists in pages (distribution-spec, "Listing Tags").

use std::fmt::Write as _;

use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::body::Body;
use crate::error::WireError;
use crate::headers::{JSON, value};
use crate::query::Query;
use crate::request::Answer;

/// The most items of one page. A client that asked for more, or for all, finds the rest behind `Link`.
pub(crate) const MAX_PAGE: usize = 10_000;

/// What need not be escaped in the value of a parameter.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// How many items are asked for.
pub(crate) fn size(query: Query<'_>) -> Result<usize, WireError> {
    let Some(n) = query.get("n") else { return Ok(MAX_PAGE) };
    if n.is_empty() || !n.bytes().all(|b| b.is_ascii_digit()) {
        return Err(WireError::page_size_invalid());
    }
    // More digits than a number holds still mean "all".
    Ok(n.parse().unwrap_or(MAX_PAGE).min(MAX_PAGE))
}

/// A page as JSON, with a link to the next one where there is one: `next` is the last item of this page.
pub(crate) fn answer(page: &impl Serialize, next: Option<HeaderValue>) -> Answer {
    let mut response = Response::new(Body::full(serde_json::to_vec(page).map_err(|_| WireError::internal())?));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Some(next) = next {
        response.headers_mut().insert(LINK, next);
    }
    Ok(response)
}

/// The value of `Link` (RFC 8288).
pub(crate) fn link(path: std::fmt::Arguments<'_>, n: usize, last: &str) -> HeaderValue {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = write!(text, "<{path}?n={n}&last={}>; rel=\"next\"", utf8_percent_encode(last, ESCAPED));
    value(text)
}
