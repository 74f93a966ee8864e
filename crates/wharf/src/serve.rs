//! The life of a serving process: start, serve, drain, stop.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wharf_auth::Gate;
use wharf_http::{HttpOptions, Limiter, Limits};

use crate::access::{self, Following};
use crate::config::{Config, Environment, Loaded, Notice};
use crate::control::{self, Context};
use crate::gc::{Busy, Collecting};
use crate::metrics::{Figures, Reloads, Shared, UnderWay, Watched};
use crate::reload::{Reload, Reloader};
use crate::service_manager;
use crate::shutdown::{Ended, Signals};
use crate::store::{self, StartError};
use crate::telemetry::LogLevel;
use crate::tls;
use crate::{audit, descriptors};

/// How long the URL of a redirected pull works.
const REDIRECT_LIFETIME: Duration = Duration::from_secs(20 * 60);

/// Serves until a signal.
///
/// # Errors
/// Where the process cannot start.
pub(crate) fn run(loaded: Loaded, level: LogLevel) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
    let ended = runtime.block_on(start(loaded, level));
    // Whatever still runs was given its time.
    runtime.shutdown_background();
    match ended? {
        Ended::Drained => tracing::info!("stopped"),
        Ended::TimedOut => tracing::warn!("stopped: http.drainTimeout is over, and requests were still running"),
        Ended::Forced => {
            tracing::warn!("stopped at once by a second signal");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(loaded: Loaded, level: LogLevel) -> Result<Ended, StartError> {
    let config = loaded.config.clone();
    let signals = Signals::install().map_err(StartError::Signals)?;
    let audit = config.log.audit.as_deref().map(audit::start).transpose()?;
    let tls = config.http.tls.as_ref().map(tls::load).transpose()?;
    let hangups = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let stores = store::open(&config.storage).await?;
    let registry = store::registry(&stores, &config.storage);
    let under_way = UnderWay::default();
    let busy = Busy { store: stores.counts.clone(), registry: registry.clone(), requests: under_way.clone() };
    let collecting = Collecting::new(&registry, &config.storage, busy);
    collecting.start(signals.stop());
    let reloads = Reloads::new();
    let watched =
        Watched { registry: registry.clone(), collector: collecting.collector().clone(), store: stores.counts.clone() };
    let figures: Shared = Arc::new(Figures::new(watched, &reloads, under_way));
    let gate = Arc::new(Gate::new(access::build(&config.access, &registry).await?));
    let watch = (gate.clone(), signals.stop());
    tokio::spawn(async move { watch.0.keep_fresh(watch.1).await });
    let listener = listen(&config.http.address, config.http.port).await?;
    announce(&loaded, listener.local_addr().ok());
    let context = Context {
        registry: registry.clone(),
        collecting: collecting.clone(),
        stores,
        storage: config.storage.clone(),
        serves: true,
    };
    control::serve(context, signals.stop());
    service_manager::ready();
    tokio::spawn(service_manager::watchdog(signals.stop()));
    if let (Some(files), Some(tls)) = (&config.http.tls, &tls) {
        tokio::spawn(tls::watch(files.clone(), tls.clone(), signals.stop()));
    }
    // What follows a configuration that is read again.
    let concerns: Vec<Arc<dyn Reload>> = vec![
        Arc::new(level),
        Arc::new(collecting),
        Arc::new(Following { gate: gate.clone(), registry: registry.clone() }),
    ];
    let reloader = Reloader::new(loaded, Environment::of_process(), concerns, reloads);
    tokio::spawn(reloader.run(hangups, signals.stop()));
    let (options, stop) = (HttpOptions { tls, audit, access: gate, ..options(&config, figures) }, signals.stop());
    let server = async {
        wharf_http::serve(listener, registry.clone(), options, stop).await.map_err(StartError::Serve)?;
        registry.settle().await;
        Ok(())
    };
    signals.run(server, config.http.drain_timeout).await
}

fn options(config: &Config, figures: Shared) -> HttpOptions {
    let http = &config.http;
    HttpOptions {
        external_url: http.external_url.clone(),
        redirect_blobs: config.storage.redirect_blob_url.then_some(REDIRECT_LIFETIME),
        trusted_proxies: http.trusted_proxies.iter().map(|network| (network.address, network.prefix)).collect(),
        limits: Limiter::new(limits(config)),
        stall_timeout: http.read_timeout,
        write_timeout: http.write_timeout,
        drain_limit: http.drain_timeout,
        metrics: Some(figures),
        metrics_path: config.extensions.metrics_path.clone(),
        ..HttpOptions::default()
    }
}

fn limits(config: &Config) -> Limits {
    let limits = &config.http.limits;
    Limits {
        rate: limits.rate,
        method_rates: limits.method_rates.clone(),
        client_rate: limits.client_rate,
        requests: limits.requests,
        connections: descriptors::connections(limits.connections),
    }
}

async fn listen(address: &str, port: u16) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind((address, port)).await;
    listener.map_err(|source| StartError::Listen { address: format!("{address} port {port}"), source })
}

/// The first lines of the log: where the data are, the address, what to type next, and the notices.
fn announce(loaded: &Loaded, address: Option<SocketAddr>) {
    let data = &loaded.config.storage.place;
    let address = address.map_or_else(|| loaded.config.http.address.clone(), |address| address.to_string());
    let name = push_name(&loaded.config, &address);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %loaded.origin,
        %data,
        %address,
        "serving {data} on {address}; try: docker push {name}/hello:1"
    );
    loaded.notices.iter().for_each(Notice::log);
}

/// The registry's name in front of an image's.
fn push_name(config: &Config, address: &str) -> String {
    let external = config.http.external_url.as_ref().and_then(|url| url::Url::parse(url).ok());
    if let Some(host) = external.as_ref().and_then(url::Url::host_str) {
        let port = external.as_ref().and_then(url::Url::port).map(|port| format!(":{port}"));
        return format!("{host}{}", port.unwrap_or_default());
    }
    match address.parse::<SocketAddr>() {
        // Any address of the machine: the loopback one needs no TLS and no further setting of the client.
        Ok(socket) if socket.ip().is_unspecified() => format!("127.0.0.1:{}", socket.port()),
        Ok(socket) if matches!(socket.ip(), IpAddr::V6(ip) if ip.is_loopback()) => {
            format!("localhost:{}", socket.port())
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn the_name_to_push_to_is_one_that_works_here() {
        let mut config = load(None, &Environment { is_root: true, ..Environment::default() }).expect("defaults").config;
        assert_eq!(push_name(&config, "127.0.0.1:5000"), "127.0.0.1:5000");
        assert_eq!(push_name(&config, "0.0.0.0:5000"), "127.0.0.1:5000");
        assert_eq!(push_name(&config, "[::1]:5000"), "localhost:5000");
        config.http.external_url = Some("https://registry.example.org/".to_owned());
        assert_eq!(push_name(&config, "0.0.0.0:5000"), "registry.example.org");
    }
}
