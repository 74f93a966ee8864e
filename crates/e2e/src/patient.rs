//! A client that asks again as real clients do, and looks at every answer on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};

use crate::balancer::SERVED_BY;
use crate::client::Client;

/// What every answer has to keep, and how long the client asks.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A request is answered within this time, whatever the answer.
    pub answered_within: Duration,
    /// What fails for so long, asked again and again, will not recover by itself.
    pub patience: Duration,
    /// Whether a balancer may answer in the place of a replica.
    pub is_balanced: bool,
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    slowest: AtomicU64,
}

/// What clients saw so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Requests that were sent.
    pub requests: u64,
    /// Of them, those that a replica or the balancer answered 5xx.
    pub refused: u64,
    /// Of them, those whose connection broke, before the answer or within it.
    pub broken: u64,
    /// The longest that a request took, to the end of its answer.
    pub slowest: Duration,
}

impl Tally {
    /// The counts.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            requests: now(&self.requests),
            refused: now(&self.refused),
            broken: now(&self.broken),
            slowest: Duration::from_millis(now(&self.slowest)),
        }
    }

    /// Forgets the slowest, to begin anew.
    pub fn begin(&self) {
        self.slowest.store(0, Ordering::Relaxed);
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status, never 5xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How often the request was sent before, without an answer or with 5xx: it may have taken effect then.
    pub sent_before: u32,
}

impl Answer {
    /// A header as text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Panics unless it has one of these statuses.
    pub fn expect(&self, what: &str, statuses: &[u16]) {
        let text = String::from_utf8_lossy(&self.body);
        assert!(statuses.contains(&self.status.as_u16()), "{what}: {}, not {statuses:?}: {text}", self.status);
    }
}

/// Sends requests until they are answered.
#[derive(Clone, Debug)]
pub struct Patient {
    client: Client,
    rules: Rules,
    tally: Arc<Tally>,
}

/// Why a request has to be sent again.
enum Failure {
    Refused { retry_after: Option<Duration>, text: String },
    Broken(String),
}

impl Patient {
    /// A client that keeps to these rules.
    #[must_use]
    pub fn new(client: Client, rules: Rules) -> Self {
        Self { client, rules, tally: Arc::default() }
    }

    /// What this client, and its clones, saw.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sends what `request` makes, again and again while it is not answered or answered 5xx.
    ///
    /// # Panics
    /// When an answer breaks the rules, or there is none for too long.
    pub async fn send(&self, what: &str, request: impl Fn(&Client) -> RequestBuilder) -> Answer {
        let begin = Instant::now();
        let (mut pause, mut sent_before) = (Duration::from_millis(50), 0);
        loop {
            let sent = Instant::now();
            let outcome = self.attempt(what, request(&self.client)).await;
            let took = sent.elapsed();
            self.tally.slowest.fetch_max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            assert!(took <= self.rules.answered_within, "{what}: took {took:?}");
            let (wait, why) = match outcome {
                Ok(answer) => return Answer { sent_before, ..answer },
                Err(Failure::Refused { retry_after, text }) => {
                    self.tally.refused.fetch_add(1, Ordering::Relaxed);
                    (retry_after.unwrap_or(pause), text)
                }
                Err(Failure::Broken(text)) => {
                    self.tally.broken.fetch_add(1, Ordering::Relaxed);
                    (pause, text)
                }
            };
            let patience = self.rules.patience;
            assert!(begin.elapsed() < patience, "{what}: not answered for {patience:?}, at last: {why}");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            sent_before += 1;
        }
    }

    async fn attempt(&self, what: &str, request: RequestBuilder) -> Result<Answer, Failure> {
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
        // Longer than the rules allow: that it was not answered in time shall be seen, and not cut off.
        let request = request.timeout(self.rules.answered_within + Duration::from_secs(30));
        let broken =
            |error: reqwest::Error| Failure::Broken(format!("{error}: {:?}", std::error::Error::source(&error)));
        let answer = request.send().await.map_err(broken)?;
        if answer.status().is_server_error() {
            return Err(self.refused(what, answer).await);
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = BytesMut::new();
        let mut stream = answer.bytes_stream();
        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece.map_err(broken)?);
        }
        Ok(Answer { status, headers, body: body.freeze(), sent_before: 0 })
    }

    /// A replica that cannot serve says 503, says when to come again, and says so in the form of the specification.
    async fn refused(&self, what: &str, answer: Response) -> Failure {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap_or_default();
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if !self.rules.is_balanced || headers.contains_key(SERVED_BY) {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{what}: {text}");
            assert!(retry_after.is_some(), "{what}: 503 without Retry-After: {text}");
            assert!(
                text.is_empty() || text.contains("\"errors\""),
                "{what}: 503 without the form of the specification: {text}"
            );
        }
        Failure::Refused { retry_after: retry_after.map(Duration::from_secs), text: format!("{status}: {text}") }
    }
}
