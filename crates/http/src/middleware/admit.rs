//! Who is turned away before anybody looks at what it asks for.

use std::net::IpAddr;

use http::request::Parts;

use crate::app::App;
use crate::error::WireError;
use crate::limits::turnstile::Pass;
use crate::router::is_probe;

/// The longest that names and values of a request's headers may be together, in bytes.
pub(crate) const MAX_HEAD: u32 = 64 << 10;

/// Waits until there is room for the request. Probes always pass: an orchestrator that gets no answer kills what is only busy.
pub(crate) async fn admit(app: &App, parts: &Parts, client: IpAddr) -> Result<Option<Pass>, WireError> {
    let head: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head > MAX_HEAD as usize {
        return Err(WireError::head_too_large(MAX_HEAD));
    }
    let path = parts.uri.path();
    if is_probe(path) {
        return Ok(None);
    }
    let limits = &app.options.limits;
    limits.check(client, &parts.method, path).map_err(WireError::too_many_requests)?;
    match limits.enter(client).await {
        Ok(pass) => Ok(Some(pass)),
        Err(_) => {
            tracing::debug!(%client, "a request is turned away: http.maxRequests are running, and as many wait");
            Err(WireError::too_busy())
        }
    }
}
