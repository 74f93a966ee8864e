//! Tokens of a token service elsewhere (zot: `http.auth.bearer`): what they say one may do is what one may do.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{BadToken, LEEWAY, LONGEST};
use crate::caller::{Caller, Limit, User, Via};
use crate::scope::Scope;

/// The service, and its keys.
pub struct Outside {
    /// Its URL, for the challenge.
    pub realm: String,
    /// What it calls this registry. A token must be meant for it.
    pub service: String,
    keys: Vec<Key>,
}

/// A key, and the algorithms that it can be used with. They come from the key alone, never from a token.
struct Key {
    id: Option<String>,
    key: DecodingKey,
    algorithms: &'static [Algorithm],
}

/// Why a file holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must hold a certificate or a public key (PEM), or a set of keys (JWKS): {0}")]
pub struct InvalidKey(String);

/// What such a token says.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    access: Vec<Scope>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

impl Outside {
    /// The service with the keys of a file.
    ///
    /// # Errors
    /// Where the file holds none that can be used.
    pub fn new(realm: &str, service: &str, file: &[u8]) -> Result<Self, InvalidKey> {
        let keys = match file.trim_ascii_start().first() {
            Some(b'{') => from_jwks(file)?,
            _ => vec![from_pem(file)?],
        };
        if keys.is_empty() {
            return Err(InvalidKey("no key of the set can be used".to_owned()));
        }
        Ok(Self { realm: realm.to_owned(), service: service.to_owned(), keys })
    }

    /// Looks at a token.
    pub(crate) fn verify(&self, token: &str) -> Result<Caller, BadToken> {
        if token.len() > LONGEST {
            return Err(BadToken::Invalid);
        }
        let header = decode_header(token)?;
        // An id chooses among the keys that are here; it is never a place to look for one.
        let candidates = self.keys.iter().filter(|key| match (&header.kid, &key.id) {
            (Some(asked), Some(id)) => asked == id,
            (None, Some(_)) => self.keys.len() == 1,
            (_, None) => true,
        });
        let mut why = BadToken::Invalid;
        for key in candidates.filter(|key| key.algorithms.contains(&header.alg)) {
            let mut validation = Validation::new(header.alg);
            validation.leeway = LEEWAY;
            validation.validate_nbf = true;
            validation.set_audience(&[&self.service]);
            validation.set_required_spec_claims(&["exp", "aud"]);
            match decode::<Claims>(token, &key.key, &validation) {
                Ok(data) => return Ok(caller(data.claims)),
                Err(error) => why = error.into(),
            }
        }
        Err(why)
    }
}

fn caller(claims: Claims) -> Caller {
    let Claims { sub, access, others } = claims;
    let name = if sub.is_empty() { "token" } else { &sub };
    let user = User { name: name.into(), groups: Vec::new(), claims: Some(Arc::new(others)), via: Via::Outside };
    Caller { user: Some(user), limit: Limit::Scopes(access) }
}

fn from_pem(file: &[u8]) -> Result<Key, InvalidKey> {
    let found = DecodingKey::from_rsa_pem(file)
        .map(|key| (key, RSA))
        .or_else(|_| DecodingKey::from_ec_pem(file).map(|key| (key, &[Algorithm::ES256, Algorithm::ES384][..])))
        .or_else(|_| DecodingKey::from_ed_pem(file).map(|key| (key, &[Algorithm::EdDSA][..])));
    let (key, algorithms) = found.map_err(|error| InvalidKey(error.to_string()))?;
    Ok(Key { id: None, key, algorithms })
}

fn from_jwks(file: &[u8]) -> Result<Vec<Key>, InvalidKey> {
    let invalid = |error: &dyn std::fmt::Display| InvalidKey(error.to_string());
    let value: Value = serde_json::from_slice(file).map_err(|error| invalid(&error))?;
    let value = if value.get("keys").is_some() { value } else { serde_json::json!({ "keys": [value] }) };
    let set: JwkSet = serde_json::from_value(value).map_err(|error| invalid(&error))?;
    let usable = set.keys.iter().filter_map(|jwk| {
        let algorithms: &'static [Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA,
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => &[Algorithm::EdDSA],
            // A secret is no public key, and whoever knows it can sign.
            _ => return None,
        };
        Some(DecodingKey::from_jwk(jwk).map(|key| Key { id: jwk.common.key_id.clone(), key, algorithms }))
    });
    usable.collect::<Result<_, _>>().map_err(|error| invalid(&error))
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("realm", &self.realm).field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
