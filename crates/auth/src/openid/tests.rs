//! Logins and workloads against a provider that answers whatever a test wants, right or wrong. A real one is in the end-to-end tests.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::access::Unknown;
use crate::caller::{Caller, Password};
use crate::secret::now;

mod github;

const SHARED: &[u8] = b"the key of all replicas";
const BASE: &str = "https://registry.example";
const CLIENT: &str = "wharf";

/// A provider on loopback.
struct Fake {
    issuer: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// A status and a document for each path.
    answers: BTreeMap<String, (u16, String)>,
    /// Those that say that there is a next page.
    go_on: BTreeSet<String>,
    /// What was asked: path, `authorization`, body.
    asked: Vec<(String, String, String)>,
}

/// A key of a provider.
struct Key {
    key: EncodingKey,
    algorithm: Algorithm,
    id: &'static str,
}

impl Key {
    fn new(id: &'static str, algorithm: Algorithm) -> Self {
        let arguments: &[&str] = match algorithm {
            Algorithm::RS256 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Algorithm::ES256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            other => panic!("{other:?}"),
        };
        let output = Command::new("openssl").arg("genpkey").args(arguments).output().unwrap();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(&output.stdout),
            _ => EncodingKey::from_ec_pem(&output.stdout),
        };
        Self { key: key.unwrap(), algorithm, id }
    }

    fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some(self.id), claims)
    }

    fn sign_as(&self, id: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

impl Fake {
    async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { issuer: issuer.clone(), state: Arc::default() };
        let about = json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"), "token_endpoint": format!("{issuer}/token"),
            "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
            "userinfo_endpoint": format!("{issuer}/me"), "end_session_endpoint": format!("{issuer}/bye"),
        });
        fake.answer("/.well-known/openid-configuration", 200, &about);
        fake.publish(keys);
        let state = fake.state.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, state.clone()));
            }
        });
        fake
    }

    fn answer(&self, path: &str, status: u16, document: &Value) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), (status, document.to_string()));
    }

    fn publish(&self, keys: &[&Key]) {
        self.answer("/jwks", 200, &json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }));
    }

    fn asked(&self, path: &str) -> Vec<(String, String)> {
        let state = self.state.lock().unwrap();
        let asked = state.asked.iter().filter(|(asked, ..)| asked == path);
        asked.map(|(_, authorization, body)| (authorization.clone(), body.clone())).collect()
    }

    fn settings(&self) -> LoginSettings {
        LoginSettings {
            key: "oidc".to_owned(),
            dialect: Dialect::OpenId(self.issuer.clone()),
            client_id: CLIENT.to_owned(),
            client_secret: Some(Password::new(b"s:cret")),
            client_key: None,
            scopes: vec!["openid".to_owned(), "email".to_owned()],
            claims: ClaimNames::default(),
        }
    }

    /// One more replica.
    fn replica(&self) -> Logins {
        Logins::new(SHARED, vec![self.settings()], vec!["https://ui.example".to_owned()]).unwrap()
    }

    /// What the token of a login says.
    fn claims(&self, nonce: &str) -> Value {
        json!({
            "iss": self.issuer, "sub": "1", "aud": CLIENT, "exp": now() + 60, "iat": now(), "nonce": nonce,
            "email": "lena@example.org", "email_verified": true, "groups": ["ops"],
        })
    }
}

async fn serve(mut stream: tokio::net::TcpStream, state: Arc<Mutex<State>>) {
    let mut read = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut read).await.unwrap() == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length: usize = header(head, "content-length").parse().unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), length);
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(&read[read.len() - length..]).into_owned();
    let (status, document, link) = {
        let mut state = state.lock().unwrap();
        state.asked.push((path.clone(), header(&head, "authorization"), body));
        let link = if state.go_on.contains(&path) { "link: <https://evil.example/2>; rel=\"next\"\r\n" } else { "" };
        let (status, document) = state.answers.get(&path).cloned().unwrap_or((404, String::new()));
        (status, document, link)
    };
    if status == 0 {
        // Never.
        std::future::pending::<()>().await;
    }
    let length = document.len();
    let text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{link}content-length: {length}\r\n\r\n{document}");
    let _ = stream.write_all(text.as_bytes()).await;
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).unwrap_or_default()
}

/// The parameters of the page that a browser is sent to.
fn parameters(departure: &Departure) -> BTreeMap<String, String> {
    let url: url::Url = departure.url.parse().unwrap();
    url.query_pairs().into_owned().collect()
}

async fn arrive(replica: &Logins, departure: &Departure, state: &str) -> Result<Arrival, NoLogin> {
    replica.arrive("oidc", Returned { cookie: &departure.cookie, state, code: Some("code-1"), issuer: None }).await
}

#[tokio::test]
async fn who_departs_from_one_replica_arrives_at_another() {
    let key = Key::new("one", Algorithm::RS256);
    let fake = Fake::start(&[&key]).await;
    let departure = fake.replica().depart("oidc", BASE, Some("/explore?x=1")).await.unwrap();
    let page = parameters(&departure);
    assert!(departure.url.starts_with(&format!("{}/authorize?tenant=1&", fake.issuer)), "{}", departure.url);
    assert_eq!(page["redirect_uri"], format!("{BASE}/zot/auth/callback/oidc"));
    assert_eq!((page["scope"].as_str(), page["code_challenge_method"].as_str()), ("openid email", "S256"));
    fake.answer("/token", 200, &json!({ "id_token": key.sign(&fake.claims(&page["nonce"])), "access_token": "a" }));
    let arrival = arrive(&fake.replica(), &departure, &page["state"]).await.unwrap();
    assert_eq!((arrival.name.as_str(), arrival.onward.as_deref()), ("lena@example.org", Some("/explore?x=1")));
    assert_eq!(arrival.groups, ["ops"]);
    let (authorization, form) = fake.asked("/token").remove(0);
    assert_eq!(authorization, "Basic d2hhcmY6cyUzQWNyZXQ=", "encoded before it is joined");
    let form: BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!((form["code"].as_str(), &form["redirect_uri"]), ("code-1", &page["redirect_uri"]));
    use base64::Engine as _;
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(challenge), page["code_challenge"]);
    assert!(fake.asked("/me").is_empty(), "the token says all");
}

#[tokio::test]
async fn an_answer_that_is_not_to_this_login_is_refused() {
    let (key, other) = (Key::new("one", Algorithm::RS256), Key::new("one", Algorithm::RS256));
    let fake = Fake::start(&[&key]).await;
    let replica = fake.replica();
    let departure = replica.depart("oidc", BASE, None).await.unwrap();
    let page = parameters(&departure);
    let another = replica.depart("oidc", BASE, None).await.unwrap();
    let right = fake.claims(&page["nonce"]);
    let give = |token: String| fake.answer("/token", 200, &json!({ "id_token": token, "access_token": "" }));
    give(key.sign(&right));
    // Another state, and the cookie of another login, of another key, or none: the provider is not even asked.
    for (cookie, state) in [
        (departure.cookie.as_str(), "wrong"),
        (&departure.cookie, ""),
        (&another.cookie, &page["state"]),
        (&departure.cookie[1..], &page["state"]),
        ("", &page["state"]),
        ("", ""),
    ] {
        let answer = replica.arrive("oidc", Returned { cookie, state, code: Some("c"), issuer: None }).await;
        assert!(matches!(answer, Err(NoLogin::Invalid)), "{answer:?}");
    }
    let stranger = Logins::new(b"another key", vec![fake.settings()], Vec::new()).unwrap();
    assert!(matches!(arrive(&stranger, &departure, &page["state"]).await, Err(NoLogin::Invalid)));
    let google = LoginSettings { key: "google".to_owned(), ..fake.settings() };
    let both = Logins::new(SHARED, vec![fake.settings(), google], Vec::new()).unwrap();
    let returned = Returned { cookie: &departure.cookie, state: &page["state"], code: Some("c"), issuer: None };
    assert!(matches!(both.arrive("google", returned).await, Err(NoLogin::Invalid)), "another provider");
    assert!(matches!(both.arrive("none", returned).await, Err(NoLogin::NoProvider)));
    let mixed = Returned { issuer: Some("https://evil.example"), ..returned };
    assert!(matches!(replica.arrive("oidc", mixed).await, Err(NoLogin::Invalid)), "another provider's answer");
    let denied = Returned { code: None, ..returned };
    assert!(matches!(replica.arrive("oidc", denied).await, Err(NoLogin::Refused)));
    assert!(fake.asked("/token").is_empty());
    // The provider's token is another's, or says what it must not.
    let set = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    for (what, token) in [
        ("another nonce", set("nonce", json!("wrong"))),
        ("no nonce", set("nonce", Value::Null)),
        ("another audience", set("aud", json!("other"))),
        ("another party", set("azp", json!("other"))),
        ("another issuer", set("iss", json!("https://evil.example"))),
        ("expired", set("exp", json!(now() - 60))),
        ("another key", other.sign(&right)),
        ("nonsense", "a.b.c".to_owned()),
    ] {
        give(token);
        let answer = arrive(&replica, &departure, &page["state"]).await;
        assert!(matches!(answer, Err(NoLogin::Invalid)), "{what}: {answer:?}");
    }
    for (what, token) in
        [("unproved address", set("email_verified", json!(false))), ("no address", set("email", Value::Null))]
    {
        give(token);
        let answer = arrive(&replica, &departure, &page["state"]).await;
        assert!(matches!(answer, Err(NoLogin::Nameless(_))), "{what}: {answer:?}");
    }
    // A code is taken once, which is the provider's to know.
    fake.answer("/token", 400, &json!({ "error": "invalid_grant" }));
    assert!(matches!(arrive(&replica, &departure, &page["state"]).await, Err(NoLogin::Refused)));
    fake.answer("/token", 502, &json!({}));
    assert!(matches!(arrive(&replica, &departure, &page["state"]).await, Err(NoLogin::Down(_))));
    give(key.sign(&right));
    assert!(arrive(&replica, &departure, &page["state"]).await.is_ok(), "the right one still is right");
}

#[tokio::test]
async fn what_the_token_does_not_say_the_provider_is_asked_for() {
    let key = Key::new("one", Algorithm::ES256);
    let fake = Fake::start(&[&key]).await;
    let replica = fake.replica();
    let departure = replica.depart("oidc", BASE, None).await.unwrap();
    let page = parameters(&departure);
    let mut claims = fake.claims(&page["nonce"]);
    for name in ["email", "email_verified", "groups"] {
        claims.as_object_mut().unwrap().remove(name);
    }
    fake.answer("/token", 200, &json!({ "id_token": key.sign(&claims), "access_token": "a" }));
    fake.answer("/me", 200, &json!({ "sub": "1", "email": "lena@example.org", "groups": ["ops"], "iss": "x" }));
    let arrival = arrive(&replica, &departure, &page["state"]).await.unwrap();
    assert_eq!((arrival.name.as_str(), arrival.groups.as_slice()), ("lena@example.org", &["ops".to_owned()][..]));
    assert_eq!(fake.asked("/me")[0].0, "Bearer a");
    fake.answer("/me", 200, &json!({ "sub": "2", "email": "boss@example.org" }));
    let answer = arrive(&replica, &departure, &page["state"]).await;
    assert!(matches!(answer, Err(NoLogin::Invalid)), "somebody else: {answer:?}");
}

#[tokio::test]
async fn a_browser_is_sent_to_pages_that_are_ours() {
    let key = Key::new("one", Algorithm::ES256);
    let fake = Fake::start(&[&key]).await;
    let replica = fake.replica();
    for onward in ["/", "/explore", "https://registry.example/x", "https://ui.example/home?a=b"] {
        assert!(replica.depart("oidc", BASE, Some(onward)).await.is_ok(), "{onward}");
    }
    for onward in [
        "",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/ /evil.example",
        "https://evil.example",
        "http://registry.example",
        "https://registry.example.evil.example",
        "https://registry.example@evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "https://ui.example:8443/",
        &"/".repeat(3000),
    ] {
        let answer = replica.depart("oidc", BASE, Some(onward)).await;
        assert!(matches!(answer, Err(NoLogin::Elsewhere)), "{onward:.40}");
    }
    assert!(matches!(replica.depart("none", BASE, None).await, Err(NoLogin::NoProvider)));
}

#[tokio::test]
async fn a_client_may_sign_in_the_place_of_a_secret() {
    let key = Key::new("one", Algorithm::ES256);
    let fake = Fake::start(&[&key]).await;
    let pem = Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output().unwrap().stdout;
    let document =
        json!({ "type": "application", "keyId": "k7", "key": String::from_utf8_lossy(&pem), "clientId": "x" });
    for (file, id) in [(pem.clone(), None), (document.to_string().into_bytes(), Some("k7"))] {
        let client_key = Some(SigningKey::new(&file).unwrap());
        let settings = LoginSettings { client_secret: None, client_key, ..fake.settings() };
        let replica = Logins::new(SHARED, vec![settings], Vec::new()).unwrap();
        let departure = replica.depart("oidc", BASE, None).await.unwrap();
        let page = parameters(&departure);
        fake.answer("/token", 200, &json!({ "id_token": key.sign(&fake.claims(&page["nonce"])) }));
        arrive(&replica, &departure, &page["state"]).await.unwrap();
        let (authorization, form) = fake.asked("/token").pop().unwrap();
        assert_eq!(authorization, "");
        let form: BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let assertion = &form["client_assertion"];
        assert_eq!(jsonwebtoken::decode_header(assertion).unwrap().kid.as_deref(), id);
        let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(assertion).unwrap();
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!(CLIENT), &json!(fake.issuer)));
    }
    for bad in [&b""[..], b"{}", b"nonsense"] {
        assert!(SigningKey::new(bad).is_err());
    }
}

fn workloads(fake: &Fake) -> Workloads {
    let mapping = json!({
        "variables": [{ "name": "branch", "expression": "claims.ref" }],
        "validations": [{ "expression": "vars.branch == 'main'", "message": "only the main branch" }],
        "username": "claims.repository", "groups": "['ci', claims.owner]",
    });
    let settings = WorkloadSettings {
        issuer: fake.issuer.clone(),
        audiences: vec!["registry.example".to_owned(), "wharf".to_owned()],
        mapping: serde_json::from_value(mapping).unwrap(),
        ..WorkloadSettings::default()
    };
    Workloads::new(&[settings]).unwrap()
}

fn job(fake: &Fake) -> Value {
    json!({
        "iss": fake.issuer, "sub": "job", "aud": ["wharf"], "exp": now() + 60, "iat": now(),
        "repository": "org/app", "owner": "org", "ref": "main",
    })
}

fn kind(answer: &Result<Option<Caller>, Unknown>) -> &'static str {
    match answer {
        Ok(Some(_)) => "known",
        Ok(None) => "another's",
        Err(Unknown::Invalid) => "invalid",
        Err(Unknown::Expired) => "expired",
        Err(Unknown::Refused(_)) => "refused",
        Err(Unknown::Busy(_) | Unknown::Down(_)) => "down",
    }
}

#[tokio::test]
async fn a_workload_is_known_by_the_token_of_its_platform_and_by_no_other() {
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let (key, other) = (Key::new("one", Algorithm::RS256), Key::new("one", Algorithm::RS256));
    let fake = Fake::start(&[&key]).await;
    let workloads = workloads(&fake);
    let right = job(&fake);
    let caller = workloads.verify(&key.sign(&right)).await.unwrap().unwrap();
    let user = caller.user.unwrap();
    assert_eq!((&*user.name, user.groups.as_slice()), ("org/app", &["ci".to_owned(), "org".to_owned()][..]));
    assert_eq!(user.claims.unwrap()["ref"], "main");
    let set = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = right.clone();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&claims)
    };
    let forged = |header: Value, signature: &[u8]| {
        let body = format!("{}.{}", base64(header.to_string().as_bytes()), base64(right.to_string().as_bytes()));
        format!("{body}.{}", base64(signature))
    };
    // HMAC under what everybody may read: the public key, as it is published.
    let public = key.jwk()["n"].as_str().unwrap().to_owned();
    let symmetric = encode(
        &Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) },
        &right,
        &EncodingKey::from_secret(public.as_bytes()),
    )
    .unwrap();
    for (what, token, expected) in [
        ("right", key.sign(&right), "known"),
        ("without a key id, where there is one key", key.sign_as(None, &right), "known"),
        ("another branch", set("ref", json!("evil")), "refused"),
        ("no such claim", without("repository"), "refused"),
        ("expired", set("exp", json!(now() - 60)), "expired"),
        ("no end", without("exp"), "invalid"),
        ("not yet", set("nbf", json!(now() + 600)), "invalid"),
        ("another audience", set("aud", json!("other")), "invalid"),
        ("no audience", without("aud"), "invalid"),
        ("no subject", without("sub"), "invalid"),
        ("another issuer", set("iss", json!("https://evil.example")), "another's"),
        ("no issuer", without("iss"), "invalid"),
        ("alg none", forged(json!({ "alg": "none", "kid": "one" }), b""), "invalid"),
        ("alg none, signed", forged(json!({ "alg": "none", "kid": "one" }), b"x"), "invalid"),
        ("HMAC under the public key", symmetric, "invalid"),
        ("another key under the same id", other.sign(&right), "invalid"),
        ("a key id that is a path", key.sign_as(Some("../../etc/passwd"), &right), "invalid"),
        ("a key id that is a URL", key.sign_as(Some("http://evil.example/jwks"), &right), "invalid"),
        ("its own key", forged(json!({ "alg": "RS256", "jwk": other.jwk() }), b"x"), "invalid"),
        ("nonsense", "a.b.c".to_owned(), "invalid"),
        ("long", format!("{}.a.b", "x".repeat(20_000)), "invalid"),
    ] {
        assert_eq!(kind(&workloads.verify(&token).await), expected, "{what}");
    }
    let asked = fake.asked("/jwks").len();
    assert!(asked <= 2, "unknown keys are no requests to the provider: {asked}");
}

#[tokio::test]
async fn keys_that_a_provider_adds_are_found_and_an_outage_is_outlived() {
    let (key, next) = (Key::new("one", Algorithm::RS256), Key::new("two", Algorithm::ES256));
    let fake = Fake::start(&[&key]).await;
    let workloads = workloads(&fake);
    let mut right = job(&fake);
    right["exp"] = json!(now() + 100_000);
    assert_eq!(kind(&workloads.verify(&key.sign(&right)).await), "known");
    fake.publish(&[&key, &next]);
    assert_eq!(kind(&workloads.verify(&next.sign(&right)).await), "invalid", "it was asked a moment ago");
    workloads.pass(11);
    assert_eq!(kind(&workloads.verify(&next.sign(&right)).await), "known");
    // It answers nothing for hours, and what is known is used; for more hours, and it is not.
    fake.answer("/jwks", 500, &json!({}));
    for (hours, expected) in [(1, "known"), (2, "known"), (2, "down")] {
        workloads.pass(hours * 3600);
        assert_eq!(kind(&workloads.verify(&key.sign(&right)).await), expected, "after {hours} hours more");
    }
    // It answers again, and has withdrawn a key.
    fake.publish(&[&next]);
    workloads.pass(11);
    assert_eq!(kind(&workloads.verify(&next.sign(&right)).await), "known");
    assert_eq!(kind(&workloads.verify(&key.sign(&right)).await), "invalid");
}

#[tokio::test]
async fn a_provider_that_cannot_be_believed_is_none() {
    let key = Key::new("one", Algorithm::ES256);
    for (path, status, document) in [
        ("/.well-known/openid-configuration", 404, json!({})),
        ("/.well-known/openid-configuration", 302, json!({})),
        ("/.well-known/openid-configuration", 200, json!({ "issuer": "https://evil.example", "jwks_uri": "x" })),
        ("/.well-known/openid-configuration", 200, json!([])),
        ("/.well-known/openid-configuration", 200, json!("x".repeat(600_000))),
        ("/jwks", 200, json!({ "keys": [] })),
        ("/jwks", 200, json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] })),
        ("/jwks", 200, json!("nonsense")),
    ] {
        let fake = Fake::start(&[&key]).await;
        fake.answer(path, status, &document);
        assert_eq!(kind(&workloads(&fake).verify(&key.sign(&job(&fake))).await), "down", "{path} {status}");
        assert!(matches!(fake.replica().depart("oidc", BASE, None).await, Err(NoLogin::Down(_))));
    }
    for issuer in ["", "nonsense", "ftp://x.example", "https://x.example?q"] {
        let settings = WorkloadSettings { issuer: issuer.to_owned(), ..WorkloadSettings::default() };
        assert!(Workloads::new(&[settings]).is_err(), "{issuer}");
    }
}
