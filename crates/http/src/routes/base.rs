//! `/v2/`: whether there is a registry (distribution-spec, "Determining Support"). Where the page of the registry asks with a password,
//! it is a login as in zot, which begins a session.

use http::Response;
use http::header::CONTENT_TYPE;
use wharf_auth::is_page;

use super::login;
use crate::body::Body;
use crate::headers::JSON;
use crate::request::{Answer, Request};

/// There is.
pub(crate) async fn get(request: Request<'_>) -> Answer {
    let mut response = Response::new(Body::full(&b"{}"[..]));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    request.visit.invite(response.headers_mut());
    if is_page(request.headers) {
        login::begin(&request, &mut response).await?;
    }
    Ok(response)
}
