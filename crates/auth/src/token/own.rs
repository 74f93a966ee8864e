//! The registry's own tokens: whoever has shown a password once shows a token afterwards.
//!
//! A token says who its bearer is and what it was asked for, and nothing of what the policy allows: that is asked on each
//! request, so that a changed policy counts at once. It also names the password (by a mark of its hash) or the API key that it
//! was given for, so that it is worth nothing any more when that is gone. Every replica has the key, and none keeps anything.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BadToken, LEEWAY, LONGEST};
use crate::access::{Unknown, Ways};
use crate::caller::{Caller, Via};
use crate::scope::Scope;
use crate::secret;

/// Who signs, and for whom.
const NAME: &str = "wharf";

/// Makes tokens and looks at them.
pub struct Issuer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    key_id: String,
    lifetime: Duration,
    marks: hmac::Key,
    /// What tokens that were looked at before say: a client shows the same one with every request of a pull. Whether it is over, and
    /// whether what it was given for still stands, is asked each time.
    known: Cache<Box<str>, Arc<Claims>, ByLength>,
}

/// Bounds the memory of known tokens.
#[derive(Clone, Copy)]
struct ByLength;

/// The most memory for that, in bytes, and about how many tokens.
const MEMORY: u64 = 4 << 20;
const TOKENS: usize = 4096;

impl Weighter<Box<str>, Arc<Claims>> for ByLength {
    fn weight(&self, token: &Box<str>, _: &Arc<Claims>) -> u64 {
        // What it says takes about as much again.
        512 + 2 * token.len() as u64
    }
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct Token {
    /// What the client shows.
    pub text: String,
    /// For how many seconds.
    pub lifetime: u64,
    /// When it was made, in seconds since 1970.
    pub issued: u64,
}

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user; empty for nobody.
    pub(crate) sub: String,
    iat: u64,
    exp: u64,
    pub(crate) via: Proof,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<String>,
    pub(crate) access: Vec<Scope>,
    /// Of a workload's token, for conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claims: Option<Arc<Map<String, Value>>>,
}

/// What the bearer had shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proof {
    Nothing,
    /// The mark of the hash.
    Password(String),
    Directory,
    /// The id of the API key, in hexadecimal digits.
    Key(String),
    Certificate,
    /// A workload's token, which ends in seconds since 1970.
    Workload(u64),
}

impl Issuer {
    /// Tokens under a key that all replicas share.
    #[must_use]
    pub fn new(shared: &[u8], lifetime: Duration) -> Self {
        let key = secret::derive(shared, "wharf token signature 1");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY;
        validation.set_audience(&[NAME]);
        validation.set_issuer(&[NAME]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        Self {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            validation,
            key_id: hex::encode(&secret::derive(shared, "wharf token key id 1")[..8]),
            lifetime,
            marks: hmac::Key::new(hmac::HMAC_SHA256, &secret::derive(shared, "wharf token password mark 1")),
            known: Cache::with_weighter(TOKENS, MEMORY, ByLength),
        }
    }

    /// The key under which passwords are named in tokens.
    pub(crate) const fn marks(&self) -> &hmac::Key {
        &self.marks
    }

    /// Makes a token for somebody who has just logged in, or for nobody.
    pub(crate) fn issue(&self, caller: &Caller, access: Vec<Scope>) -> Result<Token, BadToken> {
        let via = match caller.user.as_ref().map(|user| &user.via) {
            None => Proof::Nothing,
            Some(Via::Password(mark)) => Proof::Password(mark.clone()),
            Some(Via::Directory) => Proof::Directory,
            Some(Via::ApiKey(id)) => Proof::Key(format!("{id:032x}")),
            Some(Via::Certificate) => Proof::Certificate,
            Some(Via::Workload { ends }) => Proof::Workload(*ends),
            Some(Via::Outside | Via::Session { .. }) => return Err(BadToken::Invalid),
        };
        let issued = secret::now();
        let lifetime = match via {
            Proof::Workload(ends) => self.lifetime.as_secs().min(ends.saturating_sub(issued)),
            _ => self.lifetime.as_secs(),
        };
        let claims = caller.user.as_ref().filter(|_| matches!(via, Proof::Workload(_)));
        let claims = claims.and_then(|user| user.claims.clone());
        let claims = Claims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: caller.name().unwrap_or_default().to_owned(),
            iat: issued,
            exp: issued + lifetime,
            via,
            groups: caller.user.as_ref().map(|user| user.groups.clone()).unwrap_or_default(),
            access,
            claims,
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::HS256) };
        let text = encode(&header, &claims, &self.encoding).map_err(BadToken::from)?;
        if text.len() > LONGEST {
            return Err(BadToken::Invalid);
        }
        Ok(Token { text, lifetime, issued })
    }

    /// What a token says; `None` where it does not say that it is one of ours. Whether what it was given for still stands is the
    /// caller's to ask.
    pub(crate) fn read(&self, token: &str) -> Option<Result<Arc<Claims>, BadToken>> {
        if let Some(claims) = self.known.get(token) {
            let is_over = claims.exp + LEEWAY < secret::now();
            return Some(if is_over { Err(BadToken::Expired) } else { Ok(claims) });
        }
        let is_ours = |header: Header| header.kid.as_deref() == Some(&self.key_id);
        if token.len() > LONGEST || !decode_header(token).is_ok_and(is_ours) {
            return None;
        }
        let claims = self.verify(token).map(Arc::new);
        if let Ok(claims) = &claims {
            self.known.insert(token.into(), claims.clone());
        }
        Some(claims)
    }

    fn verify(&self, token: &str) -> Result<Claims, BadToken> {
        let claims: Claims = decode(token, &self.decoding, &self.validation)?.claims;
        // Nobody has no name, and somebody has one.
        if claims.sub.is_empty() != (claims.via == Proof::Nothing) {
            return Err(BadToken::Invalid);
        }
        Ok(claims)
    }
}

impl Claims {
    /// The bearer, if what the token was given for still stands.
    pub(crate) async fn lookup(&self, ways: &Ways) -> Result<Caller, Unknown> {
        let Self { sub, via, groups, access, claims, .. } = self;
        let known = |via| Some(Caller::user(sub, groups.clone(), via));
        let caller = match via {
            Proof::Nothing => Some(Caller::default()),
            Proof::Password(mark) if ways.mark(sub).is_some_and(|now| now == *mark) => {
                known(Via::Password(mark.clone()))
            }
            Proof::Password(_) => None,
            Proof::Directory => known(Via::Directory),
            Proof::Certificate => known(Via::Certificate),
            // Where workloads are no way to log in any more, what was given to them is worth nothing either.
            Proof::Workload(ends) if ways.workloads.is_some() => known(Via::Workload { ends: *ends }),
            Proof::Workload(_) => None,
            Proof::Key(id) => match u128::from_str_radix(id, 16) {
                Ok(id) => ways.by_key_id(sub, id).await?,
                Err(_) => None,
            },
        };
        let mut caller = caller.ok_or(Unknown::Invalid)?;
        if let Some(user) = &mut caller.user {
            user.claims.clone_from(claims);
        }
        caller.limit = caller.limit.and_scopes(access.clone());
        Ok(caller)
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use serde_json::{Value, json};

    use super::*;

    const SHARED: &[u8] = b"the key of all replicas";

    fn issuer() -> Issuer {
        Issuer::new(SHARED, Duration::from_secs(300))
    }

    fn eve() -> Caller {
        Caller::user("eve", vec!["ops".to_owned()], Via::Password("mark".to_owned()))
    }

    /// A token with other claims and another header, rightly signed unless told otherwise.
    fn forged(header: &Value, change: impl FnOnce(&mut Value), key: &[u8]) -> String {
        let text = issuer().issue(&eve(), Vec::new()).unwrap().text;
        let mut claims: Value =
            serde_json::from_slice(&BASE64.decode(text.split('.').nth(1).unwrap()).unwrap()).unwrap();
        change(&mut claims);
        let body = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body.as_bytes());
        format!("{body}.{}", BASE64.encode(signature))
    }

    fn key() -> [u8; 32] {
        secret::derive(SHARED, "wharf token signature 1")
    }

    fn header() -> Value {
        json!({ "typ": "JWT", "alg": "HS256", "kid": issuer().key_id })
    }

    #[test]
    fn another_replica_reads_what_one_has_made() {
        let scopes = Scope::parse_all(["repository:a:pull"].into_iter()).unwrap();
        let token = issuer().issue(&eve(), scopes.clone()).unwrap();
        let claims = issuer().read(&token.text).unwrap().unwrap();
        assert_eq!((claims.sub.as_str(), &claims.access), ("eve", &scopes));
        assert_eq!(claims.via, Proof::Password("mark".to_owned()));
        let nobody = issuer().issue(&Caller::default(), scopes).unwrap();
        assert_eq!(issuer().read(&nobody.text).unwrap().unwrap().via, Proof::Nothing);
        assert!(
            matches!(issuer().read(&forged(&header(), |_| (), &key())), Some(Ok(_))),
            "the forger of this test can sign"
        );
    }

    #[test]
    fn a_forged_token_is_refused() {
        let with = |name: &str, value: Value| {
            let mut header = header();
            header[name] = value;
            header
        };
        let set = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value;
        let unsigned = forged(&with("alg", json!("none")), |_| (), &key());
        let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
        for (what, token) in [
            ("alg none, unsigned", unsigned),
            ("alg none", forged(&with("alg", json!("none")), |_| (), &key())),
            ("alg of another family", forged(&with("alg", json!("RS256")), |_| (), &key())),
            ("alg of another length", forged(&with("alg", json!("HS512")), |_| (), &key())),
            ("another key", forged(&header(), |_| (), b"another")),
            ("the empty key", forged(&header(), |_| (), b"")),
            ("a kid that is a path", forged(&with("kid", json!("../../dev/null")), |_| (), &key())),
            ("no kid", forged(&json!({ "alg": "HS256" }), |_| (), &key())),
            ("another audience", forged(&header(), set("aud", json!("another")), &key())),
            ("no audience", forged(&header(), |claims| _ = claims.as_object_mut().unwrap().remove("aud"), &key())),
            ("another issuer", forged(&header(), set("iss", json!("another")), &key())),
            ("no end", forged(&header(), |claims| _ = claims.as_object_mut().unwrap().remove("exp"), &key())),
            ("a name without a proof", forged(&header(), set("via", json!("nothing")), &key())),
            ("a proof without a name", forged(&header(), set("sub", json!("")), &key())),
            ("long", format!("{}.a.b", "x".repeat(LONGEST))),
            ("nonsense", "a.b.c".to_owned()),
            ("nothing", String::new()),
        ] {
            assert!(matches!(issuer().read(&token), None | Some(Err(BadToken::Invalid))), "{what}");
        }
        let over = forged(&header(), set("exp", json!(secret::now() - LEEWAY - 1)), &key());
        assert!(matches!(issuer().read(&over), Some(Err(BadToken::Expired))));
        let stranger = Issuer::new(b"another key", Duration::from_secs(300));
        assert!(stranger.read(&forged(&header(), |_| (), &key())).is_none());
    }

    #[test]
    fn a_token_that_is_known_is_still_looked_at() {
        let issuer = issuer();
        let token = issuer.issue(&eve(), Vec::new()).unwrap().text;
        assert!(matches!(issuer.read(&token), Some(Ok(_))) && matches!(issuer.read(&token), Some(Ok(_))));
        let claims = issuer.known.get(token.as_str()).unwrap();
        assert!(!matches!(issuer.read(&token[..token.len() - 1]), Some(Ok(_))), "but for its last letter");
        let over = Claims { exp: secret::now() - LEEWAY - 1, ..(*claims).clone() };
        issuer.known.insert(token.as_str().into(), Arc::new(over));
        assert!(matches!(issuer.read(&token), Some(Err(BadToken::Expired))), "it is over by now");
        // However long they are, they take no more than so much memory.
        for i in 0..2000 {
            let groups = vec!["x".repeat(4000), i.to_string()];
            let long = issuer.issue(&Caller::user("eve", groups, Via::Directory), Vec::new()).unwrap().text;
            assert!(matches!(issuer.read(&long), Some(Ok(_))));
        }
        assert!(issuer.known.weight() <= MEMORY);
    }
}
