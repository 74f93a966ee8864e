//! Who is asking, and what they may do: without HTTP, and without the registry.
//!
//! [`Credentials`] are what a client shows. [`Access`] finds the [`Caller`] for them: by a password ([`htpasswd`], [`ldap`]), an
//! API key ([`apikey`]), a token ([`token`]), a certificate ([`certificate`]), or by a provider of OpenID Connect ([`openid`]) and then
//! a session ([`session`]). What the caller may do, [`policy`] decides, from values alone.

mod access;
pub mod apikey;
mod caller;
pub mod certificate;
mod credentials;
mod hasher;
pub mod htpasswd;
pub mod ldap;
pub mod openid;
pub mod policy;
mod scope;
mod sealed;
mod secret;
pub mod session;
pub mod token;

pub use access::{Access, Browsers, ChallengeKind, Gate, Keys, Unknown, Verdict, Ways};
pub use caller::{Caller, Limit, Password, User, Via};
pub use credentials::{CLIENT, Credentials, SESSION, cookie, is_page};
pub use scope::{Scope, TooManyScopes};
