//! `/zot/auth/apikey`: a user's own API keys, in zot's form.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wharf_auth::apikey::{ApiKey, ApiKeyWish, KeyStoreDown, NoApiKey};

use super::small_body;
use crate::body::Body;
use crate::error::WireError;
use crate::headers::JSON;
use crate::request::{Answer, Request, empty};

/// The largest wish, as in zot.
const MAX_WISH: usize = 8 << 10;
/// How zot writes "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What a client wants of a new key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Wish {
    label: String,
    scopes: Vec<String>,
    expiration_date: Option<String>,
}

/// A key as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    created_at: String,
    expiration_date: String,
    is_expired: bool,
    creator_ua: &'a str,
    generated_by: &'static str,
    last_used: &'static str,
    label: &'a str,
    scopes: &'a [String],
    uuid: String,
    /// Told once, to who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_keys: Vec<Shown<'a>>,
}

/// Makes, lists or deletes.
pub(crate) async fn answer(request: Request<'_>) -> Answer {
    if request.visit.access.logins.api_keys.is_none() {
        return Err(WireError::no_such_path());
    }
    let Some(user) = request.visit.caller.name() else {
        return Err(request.visit.refusal(wharf_auth::Verdict::Denied(None), &[]));
    };
    match *request.method {
        Method::POST => create(request).await,
        Method::DELETE => delete(request, user).await,
        _ => list(request, user).await,
    }
}

async fn create(request: Request<'_>) -> Answer {
    let body = small_body::read(request.body, MAX_WISH).await?;
    let wish: Wish = serde_json::from_slice(&body).map_err(|why| WireError::api_key_invalid(why.to_string()))?;
    let expires = wish.expiration_date.as_deref().filter(|date| !date.is_empty() && *date != NEVER).map(seconds);
    let agent = request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let wish = ApiKeyWish {
        label: wish.label,
        scopes: wish.scopes,
        expires: expires.transpose()?,
        user_agent: agent.unwrap_or_default().to_owned(),
    };
    let visit = request.visit;
    let new = visit.access.create_key(visit.caller, wish).await.ok_or_else(WireError::no_such_path)?;
    let new = new.map_err(|why| match why {
        NoApiKey::Invalid(why) => WireError::api_key_invalid(why),
        NoApiKey::ByKey | NoApiKey::Anonymous => WireError::denied(why.to_string(), None),
        NoApiKey::Down(why) => down(&why),
    })?;
    let mut response = json(&shown(new.id, &new.key, Some(&new.secret)))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

async fn list(request: Request<'_>, user: &str) -> Answer {
    let keys = request.visit.access.keys_of(user).await.ok_or_else(WireError::no_such_path)?;
    let keys = keys.map_err(|why| down(&why))?;
    json(&List { api_keys: keys.iter().map(|(id, key)| shown(*id, key, None)).collect() })
}

async fn delete(request: Request<'_>, user: &str) -> Answer {
    let id = request.query.get("id").unwrap_or_default().replace('-', "");
    let id = u128::from_str_radix(&id, 16).ok().filter(|_| id.len() == 32);
    let id = id.ok_or_else(|| WireError::api_key_invalid("the request needs the parameter id, a UUID".to_owned()))?;
    let deleted = request.visit.access.delete_key(user, id).await.ok_or_else(WireError::no_such_path)?;
    deleted.map_err(|why| down(&why))?;
    Ok(empty(StatusCode::OK))
}

fn down(why: &KeyStoreDown) -> WireError {
    tracing::error!(error = %why, "a request failed");
    WireError::login_unavailable()
}

fn shown<'a>(id: u128, key: &'a ApiKey, secret: Option<&'a str>) -> Shown<'a> {
    let hex = format!("{id:032x}");
    Shown {
        created_at: date(key.created),
        expiration_date: key.expires.map_or_else(|| NEVER.to_owned(), date),
        is_expired: key.is_expired(),
        creator_ua: &key.user_agent,
        generated_by: "manual",
        last_used: NEVER,
        label: &key.label,
        scopes: &key.scopes,
        uuid: [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"),
        api_key: secret,
    }
}

fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| NEVER.to_owned())
}

fn seconds(date: &str) -> Result<u64, WireError> {
    let at = OffsetDateTime::parse(date, &Rfc3339).ok().and_then(|at| u64::try_from(at.unix_timestamp()).ok());
    at.ok_or_else(|| WireError::api_key_invalid("the expiration date must be as in 2027-01-31T12:00:00Z".to_owned()))
}

fn json(document: &impl Serialize) -> Answer {
    let mut response = Response::new(Body::full(serde_json::to_vec(document).map_err(|_| WireError::internal())?));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
    Ok(response)
}
