//! Keys that verify the tokens of others. What a key is good for comes from the key alone, never from a token.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{BadToken, LEEWAY, LONGEST};

/// Some keys.
pub(crate) struct KeySet(Vec<Key>);

/// A key, and the algorithms that it can be used with.
struct Key {
    id: Option<String>,
    key: DecodingKey,
    algorithms: &'static [Algorithm],
}

/// Why a file holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must hold a certificate or a public key (PEM), or a set of keys (JWKS): {0}")]
pub struct InvalidKey(String);

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

impl KeySet {
    /// The keys of a file, each of which must be one that can be used, or at least be one of a kind that is not known.
    ///
    /// # Errors
    /// Where it holds none.
    pub(crate) fn of_file(file: &[u8]) -> Result<Self, InvalidKey> {
        let keys = match file.trim_ascii_start().first() {
            Some(b'{') => from_jwks(file)?.into_iter().collect::<Result<_, _>>()?,
            _ => vec![from_pem(file)?],
        };
        Self::unless_empty(keys)
    }

    /// The keys of a provider's document. It may have others for other purposes.
    ///
    /// # Errors
    /// Where none can be used.
    pub(crate) fn of_document(document: &[u8]) -> Result<Self, InvalidKey> {
        Self::unless_empty(from_jwks(document)?.into_iter().filter_map(Result::ok).collect())
    }

    fn unless_empty(keys: Vec<Key>) -> Result<Self, InvalidKey> {
        if keys.is_empty() {
            return Err(InvalidKey("no key of the set can be used".to_owned()));
        }
        Ok(Self(keys))
    }

    /// Whether a token that names this key could be looked at.
    pub(crate) fn has(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.0.iter().any(|key| key.id.as_deref().is_none_or(|known| known == id)))
    }

    /// What a token says, if one of the keys has signed it. `adjust` says what else must hold.
    pub(crate) fn verify<T: DeserializeOwned + Clone>(
        &self,
        token: &str,
        adjust: impl Fn(&mut Validation),
    ) -> Result<T, BadToken> {
        let header = header(token)?;
        // An id chooses among the keys that are here; it is never a place to look for one.
        let candidates = self.0.iter().filter(|key| match (&header.kid, &key.id) {
            (Some(asked), Some(id)) => asked == id,
            (None, Some(_)) => self.0.len() == 1,
            (_, None) => true,
        });
        let mut why = BadToken::Invalid;
        for key in candidates.filter(|key| key.algorithms.contains(&header.alg)) {
            let mut validation = Validation::new(header.alg);
            validation.leeway = LEEWAY;
            validation.validate_nbf = true;
            adjust(&mut validation);
            match decode::<T>(token, &key.key, &validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => why = error.into(),
            }
        }
        Err(why)
    }
}

/// The header of a token that is not too long to be looked at.
pub(crate) fn header(token: &str) -> Result<Header, BadToken> {
    if token.len() > LONGEST {
        return Err(BadToken::Invalid);
    }
    Ok(decode_header(token)?)
}

fn from_pem(file: &[u8]) -> Result<Key, InvalidKey> {
    let found = DecodingKey::from_rsa_pem(file)
        .map(|key| (key, RSA))
        .or_else(|_| DecodingKey::from_ec_pem(file).map(|key| (key, &[Algorithm::ES256, Algorithm::ES384][..])))
        .or_else(|_| DecodingKey::from_ed_pem(file).map(|key| (key, &[Algorithm::EdDSA][..])));
    let (key, algorithms) = found.map_err(|error| InvalidKey(error.to_string()))?;
    Ok(Key { id: None, key, algorithms })
}

fn from_jwks(file: &[u8]) -> Result<Vec<Result<Key, InvalidKey>>, InvalidKey> {
    let invalid = |error: &dyn std::fmt::Display| InvalidKey(error.to_string());
    let value: Value = serde_json::from_slice(file).map_err(|error| invalid(&error))?;
    let value = if value.get("keys").is_some() { value } else { serde_json::json!({ "keys": [value] }) };
    let set: JwkSet = serde_json::from_value(value).map_err(|error| invalid(&error))?;
    Ok(set.keys.iter().filter_map(from_jwk).collect())
}

/// `None` for a key that signs no tokens.
fn from_jwk(jwk: &Jwk) -> Option<Result<Key, InvalidKey>> {
    if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
        return None;
    }
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
    let key = DecodingKey::from_jwk(jwk).map_err(|error| InvalidKey(error.to_string()));
    Some(key.map(|key| Key { id: jwk.common.key_id.clone(), key, algorithms }))
}
