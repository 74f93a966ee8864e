//! How much is served: connections, requests at once, and requests a second.

pub(crate) mod connections;
pub(crate) mod rate;
pub(crate) mod turnstile;

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Method;

use connections::Connections;
use rate::Buckets;
use turnstile::{Full, Pass, Turnstile};

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second of one client to one path; as many at once.
    pub rate: Option<NonZeroU32>,
    /// The same for one method, such as `PUT`.
    pub method_rates: Vec<(String, NonZeroU32)>,
    /// Requests a second of one client, whatever they ask for; as many at once.
    pub client_rate: Option<NonZeroU32>,
    /// Requests that are served at once; as many more wait.
    pub requests: usize,
    /// Connections that are open at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: None, method_rates: Vec::new(), client_rate: None, requests: 2048, connections: 8192 }
    }
}

/// The limits of a server. They can be replaced while it runs; clones share them.
#[derive(Clone, Debug)]
pub struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: RwLock<Arc<Limits>>,
    buckets: Buckets,
    turnstile: Arc<Turnstile>,
    connections: Arc<Connections>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Limiter {
    /// With these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (turnstile, connections) = (Turnstile::new(limits.requests), Connections::new(limits.connections));
        let limits = RwLock::new(Arc::new(limits));
        Self(Arc::new(Inner {
            limits,
            buckets: Buckets::default(),
            turnstile: Arc::new(turnstile),
            connections: Arc::new(connections),
        }))
    }

    /// From now on. What is open and running stays.
    pub fn replace(&self, limits: Limits) {
        self.0.turnstile.allow(limits.requests);
        self.0.connections.allow(limits.connections);
        *self.0.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// Whether this client may ask once more this second; else, when it may.
    pub(crate) fn check(&self, client: IpAddr, method: &Method, path: &str) -> Result<(), Duration> {
        let limits = self.0.limits.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (client, buckets) = (network(client), &self.0.buckets);
        if let Some(rate) = limits.client_rate {
            buckets.take((client, "", ""), rate)?;
        }
        if let Some(rate) = limits.rate {
            buckets.take((client, "", path), rate)?;
        }
        for (limited, rate) in limits.method_rates.iter().filter(|(limited, _)| limited == method.as_str()) {
            buckets.take((client, limited.as_str(), path), *rate)?;
        }
        Ok(())
    }

    /// Waits until there is room for one more request.
    pub(crate) async fn enter(&self, client: IpAddr) -> Result<Pass, Full> {
        self.0.turnstile.enter(network(client)).await
    }

    /// The connections that are open.
    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.0.connections
    }
}

/// What counts as one client: an address, of IPv6 the network of which a client has all.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_limited_by_itself() {
        let one = NonZeroU32::MIN;
        let limiter = Limiter::new(Limits { method_rates: vec![("PUT".to_owned(), one)], ..Limits::default() });
        let ask = |client: &str, method, path| limiter.check(client.parse().unwrap(), &method, path).is_ok();
        assert!(ask("192.0.2.1", Method::PUT, "/a") && !ask("192.0.2.1", Method::PUT, "/a"));
        assert!(ask("192.0.2.1", Method::PUT, "/b"), "another path");
        assert!(ask("192.0.2.1", Method::GET, "/a") && ask("192.0.2.1", Method::GET, "/a"), "another method");
        assert!(ask("192.0.2.2", Method::PUT, "/a"), "another client");
        assert!(ask("2001:db8::1", Method::PUT, "/a") && !ask("2001:db8::2", Method::PUT, "/a"), "one network");

        limiter.replace(Limits { client_rate: Some(one), ..Limits::default() });
        assert!(ask("192.0.2.3", Method::GET, "/a") && !ask("192.0.2.3", Method::PUT, "/b"));
        limiter.replace(Limits { rate: Some(one), ..Limits::default() });
        assert!(ask("192.0.2.3", Method::GET, "/c") && !ask("192.0.2.3", Method::PUT, "/c"));
        limiter.replace(Limits::default());
        assert!(ask("192.0.2.3", Method::PUT, "/c"));
    }
}
