//! What is in effect, key by key, for people.

use std::time::Duration;

use super::scalar::{show_bytes, show_duration};
use super::storage::Place;
use super::value::is_secret;
use super::{Config, SPEC_VERSION};

impl Config {
    /// Every setting in effect with its key. Secrets are replaced.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let mut settings = self.place();
        let mut add = |key: &str, value: String| settings.push((key.to_owned(), value));
        let storage = &self.storage;
        add("storage.gc", storage.gc.to_string());
        add("storage.gcDelay", duration(storage.gc_delay));
        add("storage.gcInterval", duration(storage.gc_interval));
        add("storage.gcCallsPerSecond", storage.gc_calls_per_second.to_string());
        add("storage.redirectBlobURL", storage.redirect_blob_url.to_string());
        add("storage.singleReplica", storage.single_replica.to_string());
        add("storage.uploadMemory", show_bytes(storage.upload_memory));
        add("storage.cacheMemory", show_bytes(storage.cache_memory));
        let http = &self.http;
        add("http.address", http.address.clone());
        add("http.port", if http.port == 0 { "any free one".to_owned() } else { http.port.to_string() });
        add("http.externalUrl", http.external_url.clone().unwrap_or_else(|| "not set".to_owned()));
        add("http.readTimeout", http.read_timeout.map_or_else(|| "none".to_owned(), duration));
        add("http.writeTimeout", http.write_timeout.map_or_else(|| "none".to_owned(), duration));
        add("http.drainTimeout", duration(http.drain_timeout));
        let proxies: Vec<_> = http.trusted_proxies.iter().map(ToString::to_string).collect();
        add("http.trustedProxies", if proxies.is_empty() { "none".to_owned() } else { proxies.join(", ") });
        let rate = |rate: Option<std::num::NonZeroU32>| rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string());
        add("http.maxConnections", http.limits.connections.to_string());
        add("http.maxRequests", http.limits.requests.to_string());
        add("http.ratelimit.rate", rate(http.limits.rate));
        add("http.ratelimit.perClient", rate(http.limits.client_rate));
        for (method, limit) in &http.limits.method_rates {
            add("http.ratelimit.methods", format!("{method} {limit}"));
        }
        match &http.tls {
            None => add("http.tls", "none".to_owned()),
            Some(tls) => {
                let path = |path: &std::path::Path| path.display().to_string();
                add("http.tls.cert", path(&tls.certificate));
                add("http.tls.key", path(&tls.key));
                let authority = tls.client_ca.as_deref().map_or_else(|| "none".to_owned(), path);
                add("http.tls.cacert", authority);
            }
        }
        let access = &self.access;
        add("http.auth", access.shown());
        let rules = access.rules.as_ref().map(|rules| format!("{} patterns of repositories", rules.repositories.len()));
        add("http.accessControl", rules.unwrap_or_else(|| "none".to_owned()));
        add("log.level", self.log.level.name().to_owned());
        let output = self.log.output.as_ref().map(|path| path.display().to_string());
        add("log.output", output.unwrap_or_else(|| "standard output".to_owned()));
        let audit = self.log.audit.as_ref().map(|path| path.display().to_string());
        add("log.audit", audit.unwrap_or_else(|| "none".to_owned()));
        add("extensions.metrics", self.extensions.metrics_path.clone().unwrap_or_else(|| "not served".to_owned()));
        add("distSpecVersion", SPEC_VERSION.to_owned());
        settings
    }

    fn place(&self) -> Vec<(String, String)> {
        match &self.storage.place {
            Place::Local { root, durable } => vec![
                ("storage.rootDirectory".to_owned(), root.display().to_string()),
                ("storage.commit".to_owned(), durable.to_string()),
            ],
            Place::Remote(driver) => {
                let option = |(key, value): (&String, &serde_json::Value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let hidden = is_secret(key) && !text.is_empty();
                    (format!("storage.storageDriver.{key}"), if hidden { "***".to_owned() } else { text })
                };
                let name = ("storage.storageDriver.name".to_owned(), driver.service.name().to_owned());
                std::iter::once(name).chain(driver.options.iter().map(option)).collect()
            }
        }
    }
}

fn duration(duration: Duration) -> String {
    show_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
