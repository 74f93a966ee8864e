//! What holds for every path, query and header that a client may send. Checked by tests and by the fuzzer, which cannot reach
//! the parsers themselves.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use http::header::{FORWARDED, HOST, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use wharf_oci::Algorithm;

use crate::conditional;
use crate::forwarded::Proxies;
use crate::headers::REQUEST_ID;
use crate::middleware::request_id;
use crate::query::Query;
use crate::router::Route;

/// A path that names something is the only way to write it, but for the colon of a digest and the slash at the end.
///
/// # Panics
/// When that does not hold.
pub fn path(text: &str) {
    let Ok(route) = Route::parse(text) else { return };
    let written = write(&route);
    assert_eq!(Route::parse(&written).as_ref(), Ok(&route), "{written}");
    // The one path that is another's second name.
    let text = if text == "/zot/auth/token" { "/token" } else { text };
    let given = text.replacen("%3A", ":", 1).replacen("%3a", ":", 1);
    let ends_with_slash = matches!(route, Route::Base | Route::Uploads(_)) && !given.ends_with('/');
    assert_eq!(given + if ends_with_slash { "/" } else { "" }, written);
}

fn write(route: &Route) -> String {
    match route {
        Route::Base => "/v2/".to_owned(),
        Route::Catalog => "/v2/_catalog".to_owned(),
        Route::Manifest(name, reference) => format!("/v2/{name}/manifests/{reference}"),
        Route::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
        Route::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
        Route::Upload(name, id) => format!("/v2/{name}/blobs/uploads/{id}"),
        Route::Tags(name) => format!("/v2/{name}/tags/list"),
        Route::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
        Route::Token => "/token".to_owned(),
        Route::Login => "/zot/auth/login".to_owned(),
        Route::Callback(provider) => format!("/zot/auth/callback/{provider}"),
        Route::Logout => "/zot/auth/logout".to_owned(),
        Route::ApiKeys => "/zot/auth/apikey".to_owned(),
        Route::Live => "/livez".to_owned(),
        Route::Ready => "/readyz".to_owned(),
        Route::Started => "/startupz".to_owned(),
        Route::Metrics => unreachable!("no path is read as one"),
    }
}

/// Every value of every parameter is found under its name, in order, and any text survives being a value.
///
/// # Panics
/// When that does not hold.
pub fn query(text: &str) {
    let query = Query::new(Some(text));
    for name in ["digest", "mount", "from", "n", "last", "tag", "artifactType", "digest-algorithm"] {
        assert_eq!(query.get(name), query.all(name).next());
        let mut more = text.to_owned();
        let _ = write!(more, "&{name}={}&other", utf8_percent_encode(text, NON_ALPHANUMERIC));
        let values: Vec<_> = Query::new(Some(&more)).all(name).collect();
        let (last, others) = values.split_last().expect("the value that was added");
        assert_eq!(last, text);
        assert_eq!(others, query.all(name).collect::<Vec<_>>());
    }
}

/// Headers of a proxy never make a reference that no header can carry, and those of a client never forge an id.
///
/// # Panics
/// When that does not hold.
pub fn headers(text: &str) {
    let Ok(value) = HeaderValue::from_str(text) else { return };
    let peer = IpAddr::from(Ipv4Addr::LOCALHOST);
    let trusting = Proxies::new(vec![(peer, 8)]);
    let with = |name: HeaderName, more: &'static [(&'static str, &'static str)]| {
        let more = more.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        more.chain([(name, value.clone())]).collect::<HeaderMap>()
    };
    let for_ = HeaderName::from_static("x-forwarded-for");
    let proto = HeaderName::from_static("x-forwarded-proto");
    let host = HeaderName::from_static("x-forwarded-host");
    let https = &[("x-forwarded-proto", "https")];
    for headers in [
        with(FORWARDED, &[("host", "r.example")]),
        with(for_, &[]),
        with(proto, &[("host", "r.example")]),
        with(host, https),
        with(HOST, https),
    ] {
        assert_eq!(Proxies::default().origin(peer, &headers).base, None);
        let Some(base) = trusting.origin(peer, &headers).base else { continue };
        let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")).expect("a scheme");
        assert!(!host.is_empty() && !host.contains(['/', '?', '#', '@', '"', ' ']), "{base}");
        assert!(HeaderValue::from_str(&format!("{base}/v2/")).is_ok(), "{base}");
    }
    let tag = conditional::etag(&Algorithm::Sha256.digest(b"x"));
    let known = conditional::is_known(&with(IF_NONE_MATCH, &[]), &tag);
    assert!(!known || text.contains('*') || text.as_bytes().windows(tag.len()).any(|part| part == tag.as_bytes()));
    assert_eq!(conditional::range_counts(&with(IF_RANGE, &[]), &tag), value == tag);
    let id = request_id::of(&with(REQUEST_ID, &[]));
    assert!(id.to_str().is_ok_and(|id| !id.is_empty() && !id.contains([' ', '"', '\\', ',', ';'])), "{id:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn queries(text in "[a-z=&%+0-9F]{0,20}|\\PC{0,20}|((tag|n|last|from)=\\PC{0,4}&?){0,4}") {
            super::query(&text);
        }

        #[test]
        fn headers(text in "[ -~]{0,30}|((for|proto|host)=[\"a-z0-9.:\\[\\]/]{0,12}[;,]?){0,4}") {
            super::headers(&text);
        }
    }
}
