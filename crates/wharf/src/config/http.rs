//! `http`: where to listen, how long to wait, and whom to believe.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::findings::Weight;
use super::limits::Limits;
use super::scalar::Network;
use super::section::Source;
use super::value::Value;

/// The port without a file.
const BARE_PORT: u16 = 5000;
/// zot's port, where a file names none.
const FILE_PORT: u16 = 8080;
const TRANSFER: Duration = Duration::from_secs(60);
/// Below the 30 seconds that Kubernetes waits before it kills.
const DRAIN: Duration = Duration::from_secs(25);

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// `address`: an address or a name of this machine.
    pub(crate) address: String,
    /// `port`; 0 lets the kernel pick.
    pub(crate) port: u16,
    /// `externalUrl`: how clients reach the registry, where that is not address and port.
    pub(crate) external_url: Option<String>,
    /// `readTimeout`: longest time in which a request brings nothing; `None` waits for ever.
    pub(crate) read_timeout: Option<Duration>,
    /// `writeTimeout`: longest time in which a client takes nothing of an answer; `None` waits for ever.
    pub(crate) write_timeout: Option<Duration>,
    /// `drainTimeout`: how long running requests may go on after a signal to stop.
    pub(crate) drain_timeout: Duration,
    /// `trustedProxies`: peers whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// `ratelimit` and its like.
    pub(crate) limits: Limits,
    /// `tls`: with it, connections have to be encrypted.
    pub(crate) tls: Option<TlsFiles>,
}

/// `tls`: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// `tls.cert`: the server's certificate, and those between it and a known authority.
    pub(crate) certificate: PathBuf,
    /// `tls.key`: its private key.
    pub(crate) key: PathBuf,
    /// `tls.cacert`: authorities that vouch for clients.
    pub(crate) client_ca: Option<PathBuf>,
}

impl Http {
    /// Reads the section.
    pub(super) fn read(source: &mut Source<'_>, is_open: bool) -> Self {
        let port = source.int("http.port").and_then(|port| u16::try_from(port).ok());
        let networks = source.texts("http.trustedProxies");
        let http = Self {
            address: address(source),
            port: port.unwrap_or(if source.bare { BARE_PORT } else { FILE_PORT }),
            external_url: source.text("http.externalUrl").map(str::to_owned),
            read_timeout: timeout(source, "http.readTimeout"),
            write_timeout: timeout(source, "http.writeTimeout"),
            drain_timeout: source.duration("http.drainTimeout").unwrap_or(DRAIN),
            trusted_proxies: networks.iter().filter_map(|text| text.parse().ok()).collect(),
            limits: Limits::read(source),
            tls: TlsFiles::read(source),
        };
        if is_open && !http.is_loopback() {
            let text = format!(
                "{} can be reached from other machines, and whoever reaches it may pull, push and delete",
                http.address
            );
            source.notice(Weight::Warn, "http.address", text);
        }
        http
    }

    /// Whether only this machine can reach the address.
    fn is_loopback(&self) -> bool {
        let ip: Option<IpAddr> = self.address.parse().ok();
        ip.map_or(self.address.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }
}

impl TlsFiles {
    /// Reads the block. zot serves without TLS when one of the two files is not named; nobody means that.
    fn read(source: &mut Source<'_>) -> Option<Self> {
        const CERT: &str = "http.tls.cert";
        const KEY: &str = "http.tls.key";
        let path = |source: &Source<'_>, key| source.text(key).map(PathBuf::from);
        let (certificate, key) = (path(source, CERT), path(source, KEY));
        let client_ca = path(source, "http.tls.cacert");
        match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Self { certificate, key, client_ca }),
            (None, None) if client_ca.is_none() => None,
            (certificate, key) => {
                if certificate.is_none() {
                    source.missing(CERT, "TLS needs the server's certificate, a PEM file");
                }
                if key.is_none() {
                    source.missing(KEY, "TLS needs the private key of the certificate, a PEM file");
                }
                None
            }
        }
    }
}

/// The address to listen on. Nothing, spelled out, is every address, as in zot.
fn address(source: &mut Source<'_>) -> String {
    const KEY: &str = "http.address";
    let text = match source.value(KEY) {
        Some(Value::Text(text)) => text.trim().trim_start_matches('[').trim_end_matches(']'),
        _ => "127.0.0.1",
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    match text {
        "" => "0.0.0.0".to_owned(),
        text if text.parse::<IpAddr>().is_ok() || text.chars().all(name) => text.to_owned(),
        text => {
            source.problem(
                KEY,
                "must be an address such as \"127.0.0.1\" or \"0.0.0.0\", or a host name, without a port",
            );
            text.to_owned()
        }
    }
}

/// A timeout; zero and less is none, as in zot.
fn timeout(source: &Source<'_>, key: &str) -> Option<Duration> {
    match source.int(key) {
        Some(nanos) => u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos),
        None => Some(TRANSFER),
    }
}
