//! `/token`, and `/zot/auth/token` as in zot: the token service (Docker's token protocol, by GET with a password in the header, or by POST as OAuth 2 has it).

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wharf_auth::{Caller, Credentials, Password, Scope};

use super::small_body;
use crate::access;
use crate::body::Body;
use crate::error::WireError;
use crate::headers::JSON;
use crate::request::{Answer, Request};

/// The largest form.
const MAX_FORM: usize = 64 << 10;

/// Both names of the token are in use among clients.
#[derive(Serialize)]
struct Document<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
    issued_at: String,
}

/// Gives a token to who shows a password, or to nobody in particular where nobody may do something.
pub(crate) async fn answer(request: Request<'_>) -> Answer {
    let access = request.visit.access;
    if access.logins.issuer.is_none() {
        return Err(WireError::no_such_path());
    }
    let by_form = request.method == Method::POST;
    let text: Cow<'_, str> = match by_form {
        true => String::from_utf8_lossy(&small_body::read(request.body, MAX_FORM).await?).into_owned().into(),
        false => request.query.as_str().into(),
    };
    let parameters: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
    let shown = Credentials::read(request.headers);
    let credentials = match (by_form, shown) {
        (true, Credentials::None) => from_form(&parameters)?,
        (_, shown) => shown,
    };
    let caller = match credentials {
        // A token that could be had for a token would never end.
        Credentials::Bearer(_) | Credentials::Session(_) => return Err(wrong(&request)),
        credentials => identify(&request, &credentials).await?,
    };
    if caller.user.is_none() && !access.policy.knows_anonymous() {
        return Err(wrong(&request));
    }
    let asked = parameters.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| &**scope);
    let scopes = Scope::parse_all(asked).map_err(WireError::scopes_invalid)?;
    let token = access.issue(&caller, scopes).ok_or_else(WireError::no_such_path)?;
    let token = token.map_err(|_| WireError::internal())?;
    let issued = i64::try_from(token.issued).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let document = Document {
        token: &token.text,
        access_token: &token.text,
        expires_in: token.lifetime,
        issued_at: issued.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default(),
    };
    let body = serde_json::to_vec(&document).map_err(|_| WireError::internal())?;
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
    Ok(response)
}

async fn identify(request: &Request<'_>, credentials: &Credentials) -> Result<Caller, WireError> {
    use wharf_auth::Unknown;
    request.visit.access.identify(credentials, request.visit.certificate).await.map_err(|why| match why {
        Unknown::Invalid | Unknown::Expired => wrong(request),
        Unknown::Refused(why) => WireError::unauthorized(why, access::basic_challenge(request.visit.access)),
        Unknown::Busy(_) => WireError::too_many_logins(),
        Unknown::Down(why) => {
            tracing::error!(error = %why, "a login cannot be checked");
            WireError::login_unavailable()
        }
    })
}

/// A name and a password of the form (RFC 6749, 4.3). No refresh tokens are given, so that none are taken.
fn from_form(parameters: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<Credentials, WireError> {
    let get = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
    match get("grant_type") {
        Some("password") => {}
        None | Some("") if get("username").is_none() => return Ok(Credentials::None),
        _ => return Err(WireError::grant_unsupported()),
    }
    let user = get("username").unwrap_or_default().to_owned();
    Ok(Credentials::Basic { user, password: Password::new(get("password").unwrap_or_default().as_bytes()) })
}

fn wrong(request: &Request<'_>) -> WireError {
    let challenge = access::basic_challenge(request.visit.access);
    WireError::unauthorized("the credentials are not valid".to_owned(), challenge)
}
