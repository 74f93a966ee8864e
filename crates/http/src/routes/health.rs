//! Probes: whether the process lives, has started, and can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::body::Body;
use crate::headers::TEXT;

/// How long the store may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long its answer counts, so that probes of many do not become load.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of readiness.
#[derive(Default)]
pub(crate) struct Health {
    is_draining: AtomicBool,
    /// When the store was asked last, and whether it answered.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    /// From now on, not ready.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Whether the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }
}

/// `/livez` and `/startupz`: a process that can answer is alive, and one that listens has started.
pub(crate) fn alive() -> Response<Body> {
    answer(StatusCode::OK, "ok")
}

/// `/readyz`: the store answers, and the process is not about to end.
pub(crate) async fn ready(app: &App) -> Response<Body> {
    if app.health.is_draining() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    match store_answers(app).await {
        true => answer(StatusCode::OK, "ok"),
        false => answer(StatusCode::SERVICE_UNAVAILABLE, "the storage does not answer"),
    }
}

/// One question at a time; who comes meanwhile shares its answer.
async fn store_answers(app: &App) -> bool {
    let mut asked = app.health.asked.lock().await;
    if let Some((at, answered)) = *asked
        && at.elapsed() < FRESH
    {
        return answered;
    }
    let answered = match tokio::time::timeout(DEADLINE, app.registry.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            false
        }
        Err(_) => {
            tracing::warn!("not ready: the storage did not answer within {DEADLINE:?}");
            false
        }
    };
    *asked = Some((Instant::now(), answered));
    answered
}

fn answer(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(CACHE_CONTROL, const { HeaderValue::from_static("no-store") });
    response
}
