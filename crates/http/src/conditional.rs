//! Conditional requests (RFC 9110, 13): an entity tag is the digest in quotes.

use http::header::{IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderValue};
use wharf_oci::Digest;

use crate::headers::value;

/// The entity tag of what a digest names.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    value(format_args!("\"{digest}\""))
}

/// Whether the client has it already: the answer is 304.
pub(crate) fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}

/// Whether a `Range` counts: there is no `If-Range`, or it names this very content. A date never does.
pub(crate) fn range_counts(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get(IF_RANGE).is_none_or(|condition| condition == etag)
}

#[cfg(test)]
mod tests {
    use wharf_oci::Algorithm;

    use super::*;

    #[test]
    fn a_list_of_entity_tags_is_searched() {
        let tag = etag(&Algorithm::Sha256.digest(b"x"));
        let text = tag.to_str().expect("ascii").to_owned();
        for (header, known) in [
            (text.clone(), true),
            (format!("W/{text}"), true),
            (format!("\"other\", {text}"), true),
            ("*".to_owned(), true),
            ("\"other\"".to_owned(), false),
            (text.trim_matches('"').to_owned(), false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value(&header))]);
            assert_eq!(is_known(&headers, &tag), known, "{header}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
        assert!(range_counts(&HeaderMap::new(), &tag));
        assert!(range_counts(&HeaderMap::from_iter([(IF_RANGE, tag.clone())]), &tag));
        assert!(!range_counts(&HeaderMap::from_iter([(IF_RANGE, value("\"other\""))]), &tag));
    }
}
