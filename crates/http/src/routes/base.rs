//! `/v2/`: whether there is a registry (distribution-spec, "Determining Support").

use http::Response;
use http::header::CONTENT_TYPE;

use crate::body::Body;
use crate::headers::JSON;
use crate::request::Request;

/// There is.
pub(crate) fn get(request: &Request<'_>) -> Response<Body> {
    let mut response = Response::new(Body::full(&b"{}"[..]));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    request.visit.invite(response.headers_mut());
    response
}
