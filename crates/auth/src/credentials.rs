//! What a client shows of itself in the `Authorization` header (RFC 7617, RFC 6750).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::caller::Password;

/// The longest name and the longest password.
const LONGEST: usize = 4096;

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
    /// Something that is neither, or two things at once.
    Malformed,
}

impl Credentials {
    /// Reads the header. Two of them are none that could be trusted: a proxy might have looked at the other one.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let Some(line) = lines.next() else { return Self::None };
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
    fn a_password_is_not_printed() {
        assert!(!format!("{:?}", password("eve", "s3cr3t")).contains("s3cr3t"));
    }
}
