//! A name for each request, the client's own if it is sane.

use http::{HeaderMap, HeaderValue};

use crate::headers::{REQUEST_ID, value};

const MAX_LENGTH: usize = 128;

/// The id of a request.
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|id| is_sane(id.as_bytes()));
    given.cloned().unwrap_or_else(|| value(format_args!("{:032x}", rand::random::<u128>())))
}

/// Nothing that could forge a line of a log.
fn is_sane(id: &[u8]) -> bool {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b);
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept() {
        let with = |id: &str| of(&HeaderMap::from_iter([(REQUEST_ID, value(id))]));
        assert_eq!(with("a-1/b"), "a-1/b");
        for bad in ["", "a b", "\"", &"a".repeat(129)] {
            assert_eq!(with(bad).len(), 32, "{bad}");
        }
        assert_ne!(of(&HeaderMap::new()), of(&HeaderMap::new()));
    }
}
