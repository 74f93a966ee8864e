//! What all requests share.

use tokio_util::sync::CancellationToken;
use wharf_registry::Registry;

use crate::forwarded::Proxies;
use crate::router::{NoRoute, Route};
use crate::routes::health::Health;
use crate::server::HttpOptions;

/// The registry, and how to serve it.
pub(crate) struct App {
    /// The domain.
    pub(crate) registry: Registry,
    /// As configured; `external_url` has no slash at its end.
    pub(crate) options: HttpOptions,
    /// Whose word on the client counts.
    pub(crate) proxies: Proxies,
    /// What probes are told.
    pub(crate) health: Health,
    /// Cancelled shortly before the process ends: uploads that are still under way are cut short.
    pub(crate) cut: CancellationToken,
}

impl App {
    /// Nothing is read or asked.
    pub(crate) fn new(registry: Registry, mut options: HttpOptions) -> Self {
        if let Some(url) = &mut options.external_url {
            url.truncate(url.trim_end_matches('/').len());
        }
        let proxies = Proxies::new(std::mem::take(&mut options.trusted_proxies));
        Self { registry, options, proxies, health: Health::default(), cut: CancellationToken::new() }
    }

    /// What a path names. One path is the configuration's choice.
    pub(crate) fn route(&self, path: &str) -> Result<Route, NoRoute> {
        if self.options.metrics_path.as_deref() == Some(path) {
            return Ok(Route::Metrics);
        }
        Route::parse(path)
    }
}
