//! What stands around every request.

pub(crate) mod access_log;
pub(crate) mod admit;
mod drain;
mod panic;
pub(crate) mod request_id;

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use tracing::Instrument as _;
use wharf_auth::{Access, Caller, Credentials};

use crate::access::{self, Visit};
use crate::app::App;
use crate::body::{Body, RequestBody};
use crate::caller::Peer;
use crate::error::WireError;
use crate::forwarded::Origin;
use crate::headers::{API_VERSION, CLOSE, DOCKER_API_VERSION, REQUEST_ID};
use crate::limits::connections::Busy;
use crate::query::Query;
use crate::request::{Answer, Request as Asked};
use crate::router::{NoRoute, Route};
use crate::routes;
use access_log::Record;

/// Answers a request, whatever happens meanwhile.
pub(crate) async fn answer(app: Arc<App>, peer: Peer, busy: Busy, request: Request<Incoming>) -> Response<Body> {
    let (mut parts, incoming) = request.into_parts();
    let id = request_id::of(&parts.headers);
    let origin = app.proxies.origin(peer.address, &parts.headers);
    parts.extensions.insert(peer);
    let route = app.route(parts.uri.path());
    let mut record = Box::new(Record::begin(&parts, &route, origin.client, id.clone(), busy));
    record.report_to(app.options.metrics.clone());
    let mut body = RequestBody::new(incoming, app.options.stall_timeout, &app.cut, record.busy.progress());
    let base = app.options.external_url.as_deref().or(origin.base.as_deref()).unwrap_or_default();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let mut change = None;
    let mut response = match admit::admit(&app, &parts, origin.client).await {
        Ok(pass) => {
            record.pass = pass;
            change = app.options.audit.as_ref().and_then(|log| log.begin(&parts, origin.client, &id));
            ask(&app, route, &mut parts, &origin, base, &mut body).instrument(span).await
        }
        Err(refusal) => refusal.into_response(),
    };
    finish(&parts, id, &mut response);
    if let Some(change) = change {
        let (status, headers) = (response.status(), response.headers());
        change.answered(parts.extensions.get(), status, headers).await;
    }
    if app.health.is_draining() && parts.version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    record.answered(response.status(), &body, parts.extensions.get());
    drain::behind(body, &parts.headers);
    response.body_mut().attach(record);
    response
}

async fn ask(
    app: &App,
    route: Result<Route, NoRoute>,
    parts: &mut Parts,
    origin: &Origin,
    base: &str,
    body: &mut RequestBody,
) -> Response<Body> {
    let access = app.options.access.current();
    let answer = panic::guard(known(app, &access, route, parts, origin, base, body)).await;
    match answer.unwrap_or_else(|_| Err(WireError::internal())) {
        Ok(response) => response,
        Err(refusal) => {
            refusal.log();
            if refusal.is_about_access() && access::shows_something(parts) {
                tokio::time::sleep(access.fail_delay).await;
            }
            let mut response = refusal.into_response();
            // A browser would ask its user for a password before the page can.
            if parts.headers.contains_key(wharf_auth::CLIENT) {
                response.headers_mut().remove(WWW_AUTHENTICATE);
            }
            response
        }
    }
}

/// Finds out who asks, and then has them answered.
async fn known(
    app: &App,
    access: &Access,
    route: Result<Route, NoRoute>,
    parts: &mut Parts,
    origin: &Origin,
    base: &str,
    body: &mut RequestBody,
) -> Answer {
    let caller = match &route {
        // The token service and logins look for themselves, and probes are for everybody.
        Ok(
            Route::Token
            | Route::Login
            | Route::Callback(_)
            | Route::Logout
            | Route::Live
            | Route::Ready
            | Route::Started,
        ) => Caller::default(),
        route => {
            let credentials = Credentials::read(&parts.headers);
            access::identify(access, &credentials, parts, base, route.as_ref().ok()).await?
        }
    };
    if let Some(named) = access::named(&caller) {
        parts.extensions.insert(named);
    }
    let visit = Visit::new(access, &caller, parts, origin, base);
    let query = Query::new(parts.uri.query());
    let asked = Asked { app, visit, method: &parts.method, headers: &parts.headers, query, base, body };
    routes::dispatch(route, asked).await
}

/// The headers that every answer has, and no body for HEAD.
fn finish(parts: &Parts, id: HeaderValue, response: &mut Response<Body>) {
    let path = parts.uri.path();
    response.headers_mut().insert(REQUEST_ID, id);
    if path.strip_prefix("/v2").is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        response.headers_mut().insert(DOCKER_API_VERSION, API_VERSION);
    }
    if parts.method == Method::HEAD {
        let length = response.body().length();
        if length > 0 {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        response.body_mut().clear();
    }
}
