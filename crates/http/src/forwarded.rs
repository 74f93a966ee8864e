//! What a proxy in front of the registry says of the client (RFC 7239 and the older `X-Forwarded-*`).

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{FORWARDED, HOST};

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The peers whose word counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<(IpAddr, u8)>);

/// Whom a request comes from, and what the client calls the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address.
    pub(crate) client: IpAddr,
    /// `scheme://host`, where a trusted proxy tells it.
    pub(crate) base: Option<String>,
}

impl Proxies {
    /// Networks, each an address and the number of its leading bits that count.
    pub(crate) fn new(networks: Vec<(IpAddr, u8)>) -> Self {
        Self(networks)
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|(network, prefix)| contains(network.to_canonical(), *prefix, peer))
    }

    /// Reads what the headers say, if the peer is trusted.
    pub(crate) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> Origin {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Origin { client: peer, base: None };
        }
        // A proxy that writes one kind of header may pass the other on as the client wrote it. Where both are there and do not say the
        // same, nobody knows which is the proxy's word.
        let standard = headers.contains_key(FORWARDED).then(|| self.client(peer, forwarded(headers)));
        let older = headers.contains_key(X_FORWARDED_FOR).then(|| self.client(peer, x_forwarded_for(headers)));
        Origin { client: agreed(standard, older).unwrap_or(peer), base: base(headers) }
    }

    /// From the nearest hop outwards: the first one that is no proxy of ours is the client. Where a hop is hidden, what stands before it
    /// is anybody's word, and the nearest one that is known has to do.
    fn client(&self, peer: IpAddr, hops: Vec<Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        client
    }
}

/// What one of two says, or both.
fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let differs = |bits: u32, a: u128, b: u128| {
        let shift = bits.saturating_sub(u32::from(prefix));
        a.checked_shr(shift).unwrap_or(0) != b.checked_shr(shift).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => !differs(32, u32::from(a).into(), u32::from(b).into()),
        (IpAddr::V6(a), IpAddr::V6(b)) => !differs(128, a.into(), b.into()),
        _ => false,
    }
}

/// The items of a header that is a list, over all its lines.
fn items<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    items(headers, X_FORWARDED_FOR).map(address).collect()
}

/// Each hop; `None` for one whose address is hidden (RFC 7239, 6.2 and 6.3) or unreadable.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    items(headers, "forwarded").map(|item| parameter(item, "for").and_then(address)).collect()
}

/// A parameter of one element of `Forwarded`.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.into_iter().find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then_some(value))?;
    Some(value.trim().trim_matches('"'))
}

/// An address, which may have a port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.split_once(']')).map(|(address, _port)| address);
    let parsed = bare.unwrap_or(text).parse().or_else(|_| text.parse().map(|socket: std::net::SocketAddr| socket.ip()));
    parsed.ok().map(|ip: IpAddr| ip.to_canonical())
}

/// `scheme://host` as the client wrote it, if a proxy tells the scheme.
fn base(headers: &HeaderMap) -> Option<String> {
    let nearest = items(headers, "forwarded").last();
    let told = |name: &str, x_name: &'static str| {
        let standard = nearest.and_then(|element| parameter(element, name)).map(str::to_ascii_lowercase);
        let older = items(headers, x_name).last().map(str::to_ascii_lowercase);
        match (standard, older) {
            (None, None) => Ok(None),
            (standard, older) => agreed(standard, older).map(Some).ok_or(()),
        }
    };
    let scheme = told("proto", "x-forwarded-proto").ok()??;
    let host = match told("host", "x-forwarded-host").ok()? {
        Some(host) => host,
        None => headers.get(HOST)?.to_str().ok()?.to_owned(),
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    let usable = matches!(scheme.as_str(), "http" | "https") && !host.is_empty() && host.bytes().all(is_host);
    usable.then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn proxies() -> Proxies {
        let network = |text: &str, prefix| (text.parse().expect("an address"), prefix);
        Proxies::new(vec![network("10.0.0.0", 8), network("fd00::", 8), network("192.0.2.7", 32)])
    }

    fn origin(peer: &str, headers: &[(&'static str, &'static str)]) -> (String, Option<String>) {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let origin = proxies().origin(peer.parse().expect("an address"), &headers.collect());
        (origin.client.to_string(), origin.base)
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let headers = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https"), ("host", "r.example")];
        assert_eq!(origin("192.0.2.8", &headers), ("192.0.2.8".into(), None));
        assert_eq!(origin("::ffff:192.0.2.8", &headers), ("192.0.2.8".into(), None));
        let believed = ("198.51.100.1".to_owned(), Some("https://r.example".to_owned()));
        for peer in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "192.0.2.7"] {
            assert_eq!(origin(peer, &headers), believed, "{peer}");
        }
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy() {
        let headers = [("x-forwarded-for", "1.1.1.1, 198.51.100.1, 10.0.0.9")];
        assert_eq!(origin("10.1.2.3", &headers), ("198.51.100.1".into(), None));
        let headers = [("forwarded", "for=1.1.1.1, for=\"[2001:db8::1]:4711\";proto=HTTPS;host=\"r.example:8443\"")];
        assert_eq!(origin("10.1.2.3", &headers), ("2001:db8::1".into(), Some("https://r.example:8443".into())));
        assert_eq!(origin("10.1.2.3", &[]), ("10.1.2.3".into(), None));
        let headers = [("x-forwarded-for", "10.0.0.8:123, 10.0.0.9")];
        assert_eq!(origin("10.1.2.3", &headers).0, "10.0.0.8");
        for hidden in ["1.1.1.1, unknown, 10.0.0.9", "1.1.1.1,, 10.0.0.9"] {
            assert_eq!(origin("10.1.2.3", &[("x-forwarded-for", hidden)]).0, "10.0.0.9", "{hidden}");
        }
        assert_eq!(origin("10.1.2.3", &[("forwarded", "for=1.1.1.1, for=_hidden")]).0, "10.1.2.3");
    }

    #[test]
    fn nonsense_is_no_base() {
        for headers in [
            [("x-forwarded-proto", "gopher"), ("host", "r.example")],
            [("x-forwarded-proto", "https"), ("x-forwarded-host", "a/b")],
            [("x-forwarded-host", "a"), ("host", "r.example")],
        ] {
            assert_eq!(origin("10.1.2.3", &headers).1, None, "{headers:?}");
        }
    }

    #[test]
    fn a_client_cannot_add_the_kind_of_header_that_its_proxy_does_not_write() {
        let written = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https"), ("host", "r.example")];
        for forged in
            ["for=1.1.1.1;proto=http", "for=1.1.1.1, for=2.2.2.2;proto=http", "for=10.0.0.1;proto=http", ";proto=http"]
        {
            let headers = [written.as_slice(), &[("forwarded", forged)]].concat();
            assert_eq!(origin("10.1.2.3", &headers), ("10.1.2.3".into(), None), "{forged}");
        }
        let same = [written.as_slice(), &[("forwarded", "for=198.51.100.1;proto=https")]].concat();
        assert_eq!(origin("10.1.2.3", &same), ("198.51.100.1".into(), Some("https://r.example".into())));
    }
}
