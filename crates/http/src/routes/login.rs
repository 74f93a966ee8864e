//! `/zot/auth/login`, `/zot/auth/callback/<provider>` and `/zot/auth/logout`: logins of browsers, in zot's form. With a password they
//! log in at `/v2/` ([`super::base`]).

use std::borrow::Cow;
use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use wharf_auth::openid::{Arrival, NoLogin, PATIENCE, Returned};
use wharf_auth::{SESSION, cookie, session};

use crate::access::Visit;
use crate::body::Body;
use crate::error::WireError;
use crate::headers::{JSON, value};
use crate::request::{Answer, Request, empty};

/// What a browser keeps while it is at the provider, and only there.
const FLOW: &str = "wharf-login";
const CALLBACK: &str = "/zot/auth/callback";
/// The name of who has logged in, for the page to read; nothing believes it. As in zot.
const USER: &str = "user";

/// Where a browser logs out of the provider too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Left {
    #[serde(skip_serializing_if = "Option::is_none")]
    end_session_url: Option<String>,
}

/// Sends the browser to a provider.
pub(crate) async fn depart(request: Request<'_>) -> Answer {
    let provider = parameter(&request, "provider").unwrap_or_default();
    let onward = parameter(&request, "callback_ui");
    let base = base(&request)?;
    let departure = request.visit.access.depart(&provider, &base, onward.as_deref()).await;
    let departure = departure.ok_or_else(WireError::no_such_path)?.map_err(refused)?;
    let mut response = redirect(&departure.url)?;
    set(&mut response, kept(&request, FLOW, departure.cookie, CALLBACK, PATIENCE));
    Ok(response)
}

/// Takes the browser back, and begins its session.
pub(crate) async fn arrive(request: Request<'_>, provider: &str) -> Answer {
    let (flow, state) = (cookie(request.headers, FLOW), parameter(&request, "state"));
    let (code, issuer) = (parameter(&request, "code"), parameter(&request, "iss"));
    let returned = Returned {
        cookie: flow.as_deref().unwrap_or_default(),
        state: state.as_deref().unwrap_or_default(),
        code: code.as_deref(),
        issuer: issuer.as_deref(),
    };
    let arrival = request.visit.access.arrive(provider, returned).await;
    let arrival = arrival.ok_or_else(WireError::no_such_path)?.map_err(refused)?;
    let session = request.visit.access.begin_session(&arrival).await.ok_or_else(WireError::no_such_path)?;
    let session = session.map_err(|why| down(&why))?;
    tracing::info!(user = arrival.name, provider, "logged in");
    let Arrival { name, onward, .. } = arrival;
    let mut response = match onward {
        Some(onward) => redirect(&onward)?,
        None => empty(StatusCode::CREATED),
    };
    keep(&request, &mut response, session, &name);
    set(&mut response, gone(FLOW, CALLBACK));
    Ok(response)
}

/// Begins a session of who has shown a password with this very request.
pub(super) async fn begin(request: &Request<'_>, response: &mut Response<Body>) -> Result<(), WireError> {
    let Visit { access, caller, .. } = request.visit;
    if let (Some(session), Some(name)) = (access.begin_session_of(caller).await, caller.name()) {
        let session = session.map_err(|why| down(&why))?;
        tracing::info!(user = name, "logged in");
        keep(request, response, session, name);
    }
    Ok(())
}

/// Has the browser keep its session, and the name.
fn keep(request: &Request<'_>, response: &mut Response<Body>, session: String, name: &str) {
    set(response, kept(request, SESSION, session, "/", session::LIFETIME));
    let mut user = kept(request, USER, percent(name), "/", session::LIFETIME);
    user.set_http_only(false);
    set(response, user);
}

/// Ends the session of the browser, here and everywhere. Nothing is asked of who has none.
pub(crate) async fn leave(request: Request<'_>) -> Answer {
    let cookie = cookie(request.headers, SESSION).unwrap_or_default();
    let ended = request.visit.access.end_session(&cookie).await.ok_or_else(WireError::no_such_path)?;
    let ended = ended.map_err(|why| down(&why))?;
    if let Some((user, _)) = &ended {
        tracing::info!(user, "logged out");
    }
    let left = Left { end_session_url: ended.and_then(|(_, page)| page) };
    let mut response = Response::new(Body::full(serde_json::to_vec(&left).map_err(|_| WireError::internal())?));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    set(&mut response, gone(SESSION, "/"));
    set(&mut response, gone(USER, "/"));
    Ok(response)
}

/// A parameter of a query that a browser or a provider has written: there a plus is a space.
fn parameter(request: &Request<'_>, name: &str) -> Option<String> {
    let mut all = form_urlencoded::parse(request.query.as_str().as_bytes());
    all.find(|(key, _)| key == name).map(|(_, value): (_, Cow<'_, str>)| value.into_owned())
}

/// Where the browser sees the root of this registry.
fn base(request: &Request<'_>) -> Result<String, WireError> {
    let base = request.visit.origin();
    base.ok_or_else(|| WireError::login_invalid("the request does not say by which host it came".to_owned()))
}

/// A cookie that scripts cannot read and that pages of others cannot make the browser send along, but for going here.
fn kept(
    request: &Request<'_>,
    name: &'static str,
    value: String,
    path: &'static str,
    age: Duration,
) -> Cookie<'static> {
    let by_tls = request.visit.is_encrypted() || request.base.starts_with("https://");
    let secure = request.visit.access.logins.browsers.as_ref().and_then(|browsers| browsers.secure);
    let age = i64::try_from(age.as_secs()).unwrap_or(0);
    Cookie::build((name, value))
        .path(path)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure.unwrap_or(by_tls))
        .max_age(time::Duration::seconds(age))
        .build()
}

fn gone(name: &'static str, path: &'static str) -> Cookie<'static> {
    Cookie::build((name, "")).path(path).max_age(time::Duration::ZERO).build()
}

fn set(response: &mut Response<Body>, cookie: Cookie<'static>) {
    response.headers_mut().append(SET_COOKIE, value(cookie));
    response.headers_mut().insert(CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
}

fn redirect(url: &str) -> Answer {
    let mut response = empty(StatusCode::FOUND);
    let location = HeaderValue::try_from(url).map_err(|_| WireError::internal())?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A name as it can stand in a cookie.
fn percent(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn refused(why: NoLogin) -> WireError {
    match why {
        NoLogin::NoProvider | NoLogin::Elsewhere => WireError::login_invalid(why.to_string()),
        NoLogin::Invalid | NoLogin::Refused | NoLogin::Nameless(_) => WireError::login_refused(why.to_string()),
        NoLogin::Down(_) => down(&why),
    }
}

fn down(why: &dyn std::error::Error) -> WireError {
    tracing::error!(error = %why, "a login cannot be checked");
    WireError::login_unavailable()
}
