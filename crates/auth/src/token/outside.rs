//! Tokens of a token service elsewhere (zot: `http.auth.bearer`): what they say one may do is what one may do.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::BadToken;
use super::keys::{InvalidKey, KeySet};
use crate::caller::{Caller, Limit, User, Via};
use crate::scope::Scope;

/// The service, and its keys.
pub struct Outside {
    /// Its URL, for the challenge.
    pub realm: String,
    /// What it calls this registry. A token must be meant for it.
    pub service: String,
    keys: KeySet,
}

/// What such a token says.
#[derive(Clone, Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    access: Vec<Scope>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Outside {
    /// The service with the keys of a file.
    ///
    /// # Errors
    /// Where the file holds none that can be used.
    pub fn new(realm: &str, service: &str, file: &[u8]) -> Result<Self, InvalidKey> {
        Ok(Self { realm: realm.to_owned(), service: service.to_owned(), keys: KeySet::of_file(file)? })
    }

    /// Looks at a token.
    pub(crate) fn verify(&self, token: &str) -> Result<Caller, BadToken> {
        let claims = self.keys.verify(token, |validation| {
            validation.set_audience(&[&self.service]);
            validation.set_required_spec_claims(&["exp", "aud"]);
        });
        claims.map(caller)
    }
}

fn caller(claims: Claims) -> Caller {
    let Claims { sub, access, others } = claims;
    let name = if sub.is_empty() { "token" } else { &sub };
    let user = User { name: name.into(), groups: Vec::new(), claims: Some(Arc::new(others)), via: Via::Outside };
    Caller { user: Some(user), limit: Limit::Scopes(access) }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("realm", &self.realm).field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
