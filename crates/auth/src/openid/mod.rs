//! OpenID Connect, and what GitHub has in its place: people who log in with a browser ([`login`]), and jobs that show the token of
//! their platform ([`workload`]).

mod claims;
mod code;
mod github;
mod login;
mod mapping;
mod provider;
mod signing;
mod site;
mod web;
mod workload;

pub use claims::ClaimNames;
pub use github::GitHubPages;
pub use login::{Arrival, Departure, LoginSettings, Logins, NoLogin, PATIENCE, Returned};
pub use mapping::{ClaimMapping, InvalidMapping, Named, Validation};
pub use signing::SigningKey;
pub use site::Dialect;
pub use workload::{WorkloadSettings, Workloads};

/// A provider does not answer as it should.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the provider does not answer: {0}")]
pub struct ProviderDown(pub(crate) String);

/// Why a provider cannot be asked at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProvider(pub(crate) String);

impl InvalidProvider {
    /// For this reason.
    #[must_use]
    pub fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

#[cfg(test)]
mod tests;
