//! Names out of a client's certificate, which the connection has verified.

use std::str::FromStr;

use regex::Regex;

/// What a certificate says of its owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The subject's common name.
    pub common_name: Option<&'a str>,
    /// The whole subject.
    pub subject: &'a str,
    /// Alternative names of three kinds.
    pub dns: &'a [String],
    /// Addresses of mail.
    pub emails: &'a [String],
    /// URIs.
    pub uris: &'a [String],
}

/// A place in a certificate that may hold the name of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The common name.
    CommonName,
    /// The whole subject.
    Subject,
    /// An address of mail among the alternative names.
    Email,
    /// A URI among them.
    Uri,
    /// A host among them.
    Dns,
}

/// A word that is no attribute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no identity attribute {0:?}; there are CommonName, Subject, Email, URI and DNSName")]
pub struct UnknownAttribute(pub String);

impl FromStr for Attribute {
    type Err = UnknownAttribute;

    fn from_str(text: &str) -> Result<Self, UnknownAttribute> {
        match text.to_ascii_lowercase().as_str() {
            "commonname" | "cn" => Ok(Self::CommonName),
            "subject" | "dn" => Ok(Self::Subject),
            "email" | "rfc822name" => Ok(Self::Email),
            "uri" | "url" => Ok(Self::Uri),
            "dnsname" | "dns" => Ok(Self::Dns),
            _ => Err(UnknownAttribute(text.to_owned())),
        }
    }
}

/// Where the name of a certificate's owner stands (zot: `http.auth.mtls`).
#[derive(Clone, Debug)]
pub struct Identity {
    /// Tried in turn.
    pub attributes: Vec<Attribute>,
    /// The first group of this is the name in a URI.
    pub uri_pattern: Option<Regex>,
    /// Which URI, host and address of mail, where there are several.
    pub uri_index: usize,
    /// See there.
    pub dns_index: usize,
    /// See there.
    pub email_index: usize,
}

impl Default for Identity {
    fn default() -> Self {
        let attributes = vec![Attribute::CommonName];
        Self { attributes, uri_pattern: None, uri_index: 0, dns_index: 0, email_index: 0 }
    }
}

impl Identity {
    /// The name of the owner; `None` where the certificate has none at the places that count.
    #[must_use]
    pub fn of<'a>(&self, names: &Names<'a>) -> Option<&'a str> {
        let found = self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::CommonName => names.common_name.filter(|name| !name.is_empty()),
            Attribute::Subject => Some(names.subject).filter(|name| !name.is_empty()),
            Attribute::Email => names.emails.get(self.email_index).map(String::as_str),
            Attribute::Dns => names.dns.get(self.dns_index).map(String::as_str),
            Attribute::Uri => self.in_uri(names.uris.get(self.uri_index)?),
        });
        found.filter(|name| !name.is_empty())
    }

    fn in_uri<'a>(&self, uri: &'a str) -> Option<&'a str> {
        match &self.uri_pattern {
            None => Some(uri),
            Some(pattern) => pattern.captures(uri)?.get(1).map(|group| group.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_a_name_counts() {
        let (emails, uris) = (["eve@example.org".to_owned()], ["spiffe://example.org/ns/ci/sa/builder".to_owned()]);
        let names = Names { common_name: None, subject: "O=Example", dns: &[], emails: &emails, uris: &uris };
        let of = |attributes: &str, pattern: Option<&str>| {
            let attributes = attributes.split(' ').map(|word| word.parse().unwrap()).collect();
            let uri_pattern = pattern.map(|pattern| Regex::new(pattern).unwrap());
            Identity { attributes, uri_pattern, ..Identity::default() }.of(&names)
        };
        assert_eq!(of("CN email", None), Some("eve@example.org"));
        assert_eq!(of("CN DNSName", None), None);
        assert_eq!(of("subject", None), Some("O=Example"));
        assert_eq!(of("URI", Some("/sa/([^/]+)$")), Some("builder"));
        assert_eq!(of("URL rfc822name", Some("^https://(.*)")), Some("eve@example.org"));
        assert!("serial".parse::<Attribute>().is_err());
        assert_eq!(Identity::default().of(&Names { common_name: Some(""), ..names }), None);
    }
}
