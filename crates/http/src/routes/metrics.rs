//! The page of figures, for Prometheus and its like.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::app::App;
use crate::body::Body;
use crate::request::empty;

/// All figures as they are now.
pub(crate) fn get(app: &App) -> Response<Body> {
    let Some(metrics) = &app.options.metrics else { return empty(StatusCode::NOT_FOUND) };
    let mut response = Response::new(Body::full(metrics.page()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics.content_type()));
    response.headers_mut().insert(CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
    response
}
