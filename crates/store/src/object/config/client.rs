//! How the client connects: the same for every service.

use std::time::Duration;

use http::HeaderValue;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::SettingsError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest silence. The last resort behind the deadlines of a wrapper, longer than the largest `CompleteMultipartUpload`.
const SILENCE: Duration = Duration::from_secs(300);
/// S3 closes what is idle after some 20 seconds; a connection that the other side has just closed costs a failed request.
const IDLE: Duration = Duration::from_secs(15);
/// How many idle connections are kept.
const POOL: usize = 128;
/// Who asks, unless `useragent` says something else.
const AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

/// What differs from one store to another.
#[derive(Clone, Copy)]
pub(super) struct Connection<'a> {
    pub(super) allow_http: bool,
    pub(super) skip_verify: bool,
    pub(super) user_agent: Option<&'a str>,
}

impl Connection<'_> {
    fn agent(self) -> Result<HeaderValue, SettingsError> {
        let agent = self.user_agent.unwrap_or(AGENT);
        agent.parse().map_err(|_| SettingsError::new("useragent", agent, "must be visible ASCII on one line"))
    }

    /// The options of the service's client.
    pub(super) fn options(self) -> Result<ClientOptions, SettingsError> {
        Ok(ClientOptions::new()
            .with_http1_only()
            .with_allow_http(self.allow_http)
            .with_allow_invalid_certificates(self.skip_verify)
            .with_user_agent(self.agent()?)
            .with_connect_timeout(CONNECT)
            .with_timeout_disabled()
            .with_read_timeout(SILENCE)
            .with_pool_idle_timeout(IDLE)
            .with_pool_max_idle_per_host(POOL))
    }

    /// A client for requests with a signed URL.
    pub(super) fn plain(self) -> Result<reqwest::Client, SettingsError> {
        let client = reqwest::Client::builder()
            .http1_only()
            .user_agent(self.agent()?)
            .tls_danger_accept_invalid_certs(self.skip_verify)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_idle_timeout(IDLE)
            .build();
        client.map_err(|e| SettingsError::missing("name", format!("the client cannot be made: {e}")))
    }
}

/// No retries: a wrapper does them, which knows which call may be made again.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::ZERO }
}

/// What the client's builder refuses, of which only wrong credentials are left when the settings were read.
pub(super) fn refused(key: &'static str, value: Option<&str>, error: &object_store::Error) -> SettingsError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    SettingsError { key, value: value.map(|value| format!("{value:?}")), fix: text }
}
