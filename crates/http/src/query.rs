//! The parameters behind the question mark.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A query as it came.
///
/// A `+` stays a plus: no parameter of the specification can contain a space, and media types do contain plus signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Takes the query of a URI.
    pub(crate) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// As it came.
    pub(crate) const fn as_str(self) -> &'a str {
        self.0
    }

    /// The first value of a parameter.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// All values of a parameter, in order.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let pairs = self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (!key.is_empty() && percent_decode_str(key).eq(name.bytes())).then_some(value)
        });
        pairs.map(|value| percent_decode_str(value).decode_utf8_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once_and_keep_their_plus() {
        let query = Query::new(Some("a=1&tag=x&artifactType=application/a+json&b=%252f&tag=y&e&=z"));
        assert_eq!(query.get("artifactType").as_deref(), Some("application/a+json"));
        assert_eq!(query.get("b").as_deref(), Some("%2f"));
        assert_eq!(query.get("e").as_deref(), Some(""));
        assert_eq!(query.get("c"), None);
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(Query::new(None).get("a"), None);
    }
}
