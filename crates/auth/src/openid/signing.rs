//! A key that a provider knows this registry by, in the place of a secret.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Deserialize;

use super::login::random;
use super::{InvalidProvider, ProviderDown};
use crate::secret;

/// A private key that signs for this registry (RFC 7523).
#[derive(Clone)]
pub struct SigningKey {
    id: Option<String>,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl SigningKey {
    /// A private key: PEM, or zot's JSON document with `keyId` and `key`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn new(file: &[u8]) -> Result<Self, InvalidProvider> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            key_id: Option<String>,
            key: String,
        }
        let invalid =
            || InvalidProvider("it must hold a private key (PEM), or a document with keyId and key".to_owned());
        let (id, pem) = match file.trim_ascii_start().first() {
            Some(b'{') => {
                let document: Document = serde_json::from_slice(file).map_err(|_| invalid())?;
                (document.key_id, document.key.into_bytes())
            }
            _ => (None, file.to_vec()),
        };
        let found = EncodingKey::from_rsa_pem(&pem)
            .map(|key| (key, Algorithm::RS256))
            .or_else(|_| EncodingKey::from_ec_pem(&pem).map(|key| (key, Algorithm::ES256)))
            .or_else(|_| EncodingKey::from_ed_pem(&pem).map(|key| (key, Algorithm::EdDSA)));
        let (key, algorithm) = found.map_err(|_| invalid())?;
        Ok(Self { id, key, algorithm })
    }

    /// A token that says that we are this client, for a minute, and once.
    pub(super) fn assert(&self, client: &str, audience: &str) -> Result<String, ProviderDown> {
        let now = secret::now();
        let claims = serde_json::json!({
            "iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60, "jti": random(),
        });
        let header = Header { kid: self.id.clone(), ..Header::new(self.algorithm) };
        encode(&header, &claims, &self.key).map_err(|error| ProviderDown(format!("the key of the client: {error}")))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}
