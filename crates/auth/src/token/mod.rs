//! Tokens (JWT, RFC 7519): our own, and those of a token service elsewhere. A registry accepts either the one or the other. Those of
//! workloads are in [`crate::openid`].

mod keys;
mod outside;
mod own;

pub use keys::InvalidKey;
pub(crate) use keys::{KeySet, header};
pub use outside::Outside;
pub use own::{Issuer, Token};

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Its time is over: the client gets another one.
    #[error("the token has expired")]
    Expired,
    /// Anything else.
    #[error("the token is not valid")]
    Invalid,
}

impl From<jsonwebtoken::errors::Error> for BadToken {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            jsonwebtoken::errors::ErrorKind::ExpiredSignature => Self::Expired,
            _ => Self::Invalid,
        }
    }
}

/// The longest token that is looked at.
const LONGEST: usize = 16 << 10;
/// By how many seconds clocks may differ.
const LEEWAY: u64 = 30;
