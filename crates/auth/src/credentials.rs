//! What a client shows of itself in the `Authorization` header (RFC 7617, RFC 6750), or in a cookie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};

use crate::caller::Password;

/// The longest name and the longest password.
const LONGEST: usize = 4096;

/// What the page of the registry says of itself, as zot's does.
pub const CLIENT: HeaderName = HeaderName::from_static("x-zot-api-client");
const PAGE: &str = "zot-ui";
/// The cookie of a session, as in zot.
pub const SESSION: &str = "session";

/// What a client shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// A name and a password, or an API key in its place.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Password,
    },
    /// A token.
    Bearer(String),
    /// The session of a browser, by its cookie.
    Session(String),
    /// Something that is neither, or two things at once.
    Malformed,
}

impl Credentials {
    /// Reads the header. Two of them are none that could be trusted: a proxy might have looked at the other one.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let Some(line) = lines.next() else { return session(headers).map_or(Self::None, Self::Session) };
        if lines.next().is_some() {
            return Self::Malformed;
        }
        let Some((scheme, rest)) = line.to_str().ok().and_then(|line| line.trim().split_once(' ')) else {
            return Self::Malformed;
        };
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => basic(rest.trim()).unwrap_or(Self::Malformed),
            "bearer" => Self::Bearer(rest.trim().to_owned()),
            _ => Self::Malformed,
        }
    }
}

/// The session of a request that the page of the registry makes. A page of somebody else can make a browser send the cookie, but not
/// this header.
fn session(headers: &HeaderMap) -> Option<String> {
    cookie(headers, SESSION).filter(|_| is_page(headers))
}

/// Whether the page of the registry makes a request, by its own words, which a page of somebody else cannot make a browser say.
#[must_use]
pub fn is_page(headers: &HeaderMap) -> bool {
    headers.get(CLIENT).is_some_and(|client| client == PAGE)
}

/// The value of a cookie (RFC 6265, 5.4), if it is there once.
#[must_use]
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let all = lines.flat_map(|line| cookie::Cookie::split_parse(line.to_owned())).filter_map(Result::ok);
    let mut values = all.filter(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned());
    match (values.next(), values.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn basic(text: &str) -> Option<Credentials> {
    let decoded = STANDARD.decode(text).ok()?;
    let colon = decoded.iter().position(|b| *b == b':')?;
    let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
    if user.len() > LONGEST || password.len() > LONGEST {
        return None;
    }
    let user = std::str::from_utf8(user).ok()?.to_owned();
    // An empty name with an empty password is what a client sends that has none.
    if user.is_empty() && password.is_empty() {
        return Some(Credentials::None);
    }
    Some(Credentials::Basic { user, password: Password::new(password) })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&str]) -> Credentials {
        let lines = lines.iter().map(|line| (AUTHORIZATION, HeaderValue::from_str(line).unwrap()));
        Credentials::read(&lines.collect())
    }

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.to_owned(), password: Password::new(password.as_bytes()) }
    }

    #[test]
    fn the_header_is_read_once_or_not_at_all() {
        let eve = format!("Basic {}", STANDARD.encode("eve:a:b"));
        assert_eq!(read(&[]), Credentials::None);
        assert_eq!(read(&["Basic Og=="]), Credentials::None);
        assert_eq!(read(&[&eve]), password("eve", "a:b"));
        assert_eq!(read(&[&eve.replace("Basic", "bAsIc  ")]), password("eve", "a:b"));
        assert_eq!(read(&["Bearer abc"]), Credentials::Bearer("abc".to_owned()));
        let long = format!("Basic {}", STANDARD.encode(format!("eve:{}", "x".repeat(LONGEST + 1))));
        for bad in
            [&["Basic"][..], &["Basic !"], &["Basic ZXZl"], &["Digest x"], &[&eve, &eve], &[&eve, "Bearer a"], &[&long]]
        {
            assert_eq!(read(bad), Credentials::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn a_session_counts_only_from_the_page_of_the_registry() {
        let read = |lines: &[(HeaderName, &str)]| {
            let lines = lines.iter().map(|(name, line)| (name.clone(), HeaderValue::from_str(line).unwrap()));
            Credentials::read(&lines.collect())
        };
        let (page, session) = ((CLIENT, PAGE), (COOKIE, "user=lena; session=abc"));
        assert_eq!(read(&[page.clone(), session.clone()]), Credentials::Session("abc".to_owned()));
        assert_eq!(read(std::slice::from_ref(&session)), Credentials::None);
        assert_eq!(read(&[(CLIENT, "other"), session.clone()]), Credentials::None);
        assert_eq!(read(&[page.clone(), (COOKIE, "session=a"), (COOKIE, "session=b")]), Credentials::None);
        assert_eq!(read(&[page, session, (AUTHORIZATION, "Bearer x")]), Credentials::Bearer("x".to_owned()));
    }

    #[test]
    fn a_password_is_not_printed() {
        assert!(!format!("{:?}", password("eve", "s3cr3t")).contains("s3cr3t"));
    }
}
