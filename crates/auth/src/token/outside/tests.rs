//! Tokens as a token service signs them, and as a forger would.

use std::process::Command;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::policy::{Action, Facts, Question};
use crate::secret::now;

/// A pair of keys, as openssl makes them.
struct Pair {
    private: Vec<u8>,
    public: Vec<u8>,
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn pair(arguments: &[&str]) -> Pair {
    let private = openssl(&[&["genpkey"], arguments].concat(), b"");
    let public = openssl(&["pkey", "-pubout"], &private);
    Pair { private, public }
}

fn rsa() -> Pair {
    pair(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
}

fn claims() -> Value {
    json!({
        "iss": "elsewhere", "sub": "ci", "aud": "registry.example", "exp": now() + 60, "branch": "main",
        "access": [{ "type": "repository", "name": "team/web", "actions": ["pull"] }],
    })
}

fn sign(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    encode(&Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }, claims, key).unwrap()
}

fn may(caller: &Caller, repository: &str, action: Action) -> bool {
    let repository = repository.parse().unwrap();
    caller.limit.allows(&Question { action, repository: &repository, facts: Facts::default() })
}

fn outside(file: &[u8]) -> Outside {
    Outside::new("https://auth.example/token", "registry.example", file).unwrap()
}

#[test]
fn every_kind_of_key_verifies_its_own_tokens() {
    let (rsa, ec) = (rsa(), pair(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]));
    let ed = pair(&["-algorithm", "ED25519"]);
    let signed = [
        (&rsa, Algorithm::RS256, EncodingKey::from_rsa_pem(&rsa.private)),
        (&rsa, Algorithm::PS512, EncodingKey::from_rsa_pem(&rsa.private)),
        (&ec, Algorithm::ES256, EncodingKey::from_ec_pem(&ec.private)),
        (&ed, Algorithm::EdDSA, EncodingKey::from_ed_pem(&ed.private)),
    ];
    for (pair, algorithm, key) in signed {
        let token = sign(algorithm, &key.unwrap(), Some("any"), &claims());
        let caller = outside(&pair.public).verify(&token).unwrap();
        assert_eq!(caller.name(), Some("ci"), "{algorithm:?}");
        assert!(may(&caller, "team/web", Action::Read) && !may(&caller, "team/web", Action::Create));
        assert!(!may(&caller, "team/web2", Action::Read));
        assert_eq!(caller.subject().claims.unwrap()["branch"], "main");
    }
}

#[test]
fn a_certificate_is_a_key() {
    let rsa = rsa();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    std::fs::write(&file, &rsa.private).unwrap();
    let file = file.to_str().unwrap();
    let certificate = openssl(&["req", "-x509", "-key", file, "-subj", "/CN=auth", "-days", "1"], b"");
    let token = sign(Algorithm::RS256, &EncodingKey::from_rsa_pem(&rsa.private).unwrap(), None, &claims());
    assert!(outside(&certificate).verify(&token).is_ok());
}

#[test]
fn what_was_not_signed_for_this_registry_is_refused() {
    let rsa = rsa();
    let service = outside(&rsa.public);
    let key = EncodingKey::from_rsa_pem(&rsa.private).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        sign(Algorithm::RS256, &key, None, &claims)
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        sign(Algorithm::RS256, &key, None, &claims)
    };
    let good = sign(Algorithm::RS256, &key, None, &claims());
    let other = EncodingKey::from_rsa_pem(&self::rsa().private).unwrap();
    // The public key as the secret of a symmetric signature: whoever takes the algorithm from the token accepts it.
    let confused = sign(Algorithm::HS256, &EncodingKey::from_secret(&rsa.public), None, &claims());
    let none = {
        use base64::Engine as _;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        format!("{header}.{}.", good.split('.').nth(1).unwrap())
    };
    assert!(service.verify(&good).is_ok());
    for (what, token) in [
        ("another key", sign(Algorithm::RS256, &other, None, &claims())),
        ("a symmetric signature by the public key", confused),
        ("no signature", none),
        ("another audience", with("aud", json!("other.example"))),
        ("no audience", without("aud")),
        ("no end", without("exp")),
        ("not yet", with("nbf", json!(now() + 600))),
        ("cut", good[..good.len() - 2].to_owned()),
    ] {
        assert_eq!(service.verify(&token).err(), Some(BadToken::Invalid), "{what}");
    }
    assert_eq!(service.verify(&with("exp", json!(now() - 600))).err(), Some(BadToken::Expired));
    assert!(service.verify(&with("aud", json!(["x", "registry.example"]))).is_ok());
}

#[test]
fn a_key_id_chooses_among_the_keys_of_the_file_and_nowhere_else() {
    use base64::Engine as _;
    let pairs = [
        aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap(),
        aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap(),
    ];
    let jwk = |pair: &aws_lc_rs::signature::Ed25519KeyPair, id: &str| {
        use aws_lc_rs::signature::KeyPair as _;
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id })
    };
    let set = json!({ "keys": [jwk(&pairs[0], "one"), jwk(&pairs[1], "two"), { "kty": "oct", "k": "c2VjcmV0", "kid": "oct" }] });
    let service = outside(set.to_string().as_bytes());
    let key = |i: usize| {
        let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pairs[i]).unwrap();
        EncodingKey::from_ed_der(der.as_ref())
    };
    let verify = |i, kid| service.verify(&sign(Algorithm::EdDSA, &key(i), kid, &claims())).is_ok();
    assert!(verify(0, Some("one")) && verify(1, Some("two")));
    for kid in [Some("two"), Some("../one"), Some("/dev/null"), Some("https://evil.example/jwks"), None] {
        assert!(!verify(0, kid), "{kid:?}");
    }
    let symmetric = sign(Algorithm::HS256, &EncodingKey::from_secret(b"secret"), Some("oct"), &claims());
    assert!(service.verify(&symmetric).is_err());
    // Only one key needs no id.
    let single = outside(jwk(&pairs[0], "one").to_string().as_bytes());
    assert!(single.verify(&sign(Algorithm::EdDSA, &key(0), None, &claims())).is_ok());
}

#[test]
fn a_file_without_a_key_is_refused() {
    for file in [&b""[..], b"nonsense", b"{}", br#"{"keys": []}"#, br#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#] {
        assert!(Outside::new("r", "s", file).is_err(), "{}", String::from_utf8_lossy(file));
    }
}
