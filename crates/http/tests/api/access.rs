//! Who may do what: every resource is asked about before it is touched, and what may not be seen leaves no trace in an answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use wharf_auth::htpasswd::Htpasswd;
use wharf_auth::policy::{Logins, Policy, Rules};
use wharf_auth::session::Sessions;
use wharf_auth::token::Issuer;
use wharf_auth::{Access, Browsers, ChallengeKind, Gate, Keys, Ways};
use wharf_http::{HttpOptions, RegistryKeys};
use wharf_oci::media_type;

use crate::server::{Server, body, header, image, refused, sha256};
use crate::{access_log, server};

/// The password of every user of these tests, which no log may ever show.
const PASSWORD: &str = "pa55word-of-the-tests";
const LOGINS: Logins = Logins { any: true, tell_groups: false };

/// A server with users, and the file that they are in.
struct Guarded {
    server: Server,
    gate: Arc<Gate>,
    _directory: tempfile::TempDir,
    users: std::path::PathBuf,
}

/// Everybody who has logged in, and a policy for each.
fn rules() -> Value {
    json!({
        "repositories": {
            "team/**": {
                "policies": [
                    { "users": ["writer"], "actions": ["read", "create", "update", "delete"] },
                    { "users": ["creator"], "actions": ["read", "create"] },
                    { "users": ["updater"], "actions": ["read", "update"] },
                    { "users": ["careful"], "actions": ["read", "delete", "detectManifestCollision"] },
                    { "users": ["nightly"], "actions": ["read"],
                      "conditions": [{ "expression": "req.userAgent == 'cron'", "message": "only the cron job" }] },
                ],
                "defaultPolicy": ["read"],
            },
            "public/**": { "anonymousPolicy": ["read"], "defaultPolicy": ["read"] },
        },
        "adminPolicy": { "users": ["admin"], "actions": ["read", "create", "update", "delete"] },
    })
}

const USERS: [&str; 7] = ["admin", "writer", "creator", "updater", "careful", "nightly", "reader"];

impl Guarded {
    async fn start() -> Self {
        Self::with(&rules(), ChallengeKind::Auto, HttpOptions::default()).await
    }

    async fn with(rules: &Value, challenge: ChallengeKind, options: HttpOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let users = directory.path().join("htpasswd");
        let hash = bcrypt::hash(PASSWORD, 4).unwrap();
        std::fs::write(&users, USERS.map(|user| format!("{user}:{hash}\n")).concat()).unwrap();
        let gate = Arc::new(Gate::default());
        let server = Server::with(HttpOptions { access: gate.clone(), ..options }).await;
        let logins = Ways {
            htpasswd: Some(Arc::new(Htpasswd::open(&users).unwrap())),
            api_keys: Some(Keys::new(Arc::new(RegistryKeys::api_keys(server.registry.clone())))),
            issuer: Some(Issuer::new(b"shared", Duration::from_secs(300))),
            browsers: Some(Browsers {
                providers: None,
                sessions: Sessions::new(b"shared", Arc::new(RegistryKeys::sessions(server.registry.clone()))).unwrap(),
                secure: None,
            }),
            challenge,
            ..Ways::default()
        };
        let rules: Rules = serde_json::from_value(rules.clone()).unwrap();
        let policy = Policy::new(&rules, LOGINS).unwrap();
        gate.replace(Access { policy, logins, realm: "here".to_owned(), fail_delay: Duration::ZERO });
        Self { server, gate, _directory: directory, users }
    }

    fn ask(&self, user: &str, method: &str, path: &str) -> RequestBuilder {
        let request = self.server.ask(method, path);
        if user.is_empty() { request } else { request.basic_auth(user, Some(PASSWORD)) }
    }

    async fn get(&self, user: &str, path: &str) -> Response {
        self.ask(user, "GET", path).send().await.unwrap()
    }

    async fn status(&self, user: &str, method: &str, path: &str) -> u16 {
        self.ask(user, method, path).send().await.unwrap().status().as_u16()
    }

    async fn blob(&self, name: &str, content: &str) -> wharf_oci::Digest {
        let digest = sha256(content.as_bytes());
        let request = self.ask("admin", "POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"));
        assert_eq!(request.body(content.to_owned()).send().await.unwrap().status(), 201);
        digest
    }

    async fn push(&self, user: &str, name: &str, tag: &str, document: &str) -> Response {
        let request = self.ask(user, "PUT", &format!("/v2/{name}/manifests/{tag}"));
        request.header("content-type", media_type::OCI_MANIFEST).body(document.to_owned()).send().await.unwrap()
    }

    /// An image that the administrator pushes.
    async fn image(&self, name: &str, tag: &str, salt: &str) -> String {
        let document = image(&self.blob(name, salt).await, &json!({}));
        assert_eq!(self.push("admin", name, tag, &document).await.status(), 201);
        document
    }

    async fn token(&self, user: &str, query: &str) -> String {
        let response = self.get(user, &format!("/token?{query}")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "cache-control"), "no-store");
        body(response).await["token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_matrix() {
    let guarded = Guarded::start().await;
    let document = guarded.image("team/app", "v1", "one").await;
    guarded.image("public/app", "v1", "two").await;
    guarded.image("secret/app", "v1", "three").await;
    let digest = sha256(document.as_bytes());
    let blob = sha256(b"one");
    let reads = |name: &str| {
        [
            ("GET", format!("/v2/{name}/manifests/v1"), 200),
            ("HEAD", format!("/v2/{name}/manifests/v1"), 200),
            ("GET", format!("/v2/{name}/tags/list"), 200),
            ("GET", format!("/v2/{name}/referrers/{digest}"), 200),
        ]
    };
    for (user, name, refused) in [
        ("admin", "secret/app", None),
        ("reader", "team/app", None),
        ("reader", "public/app", None),
        ("", "public/app", None),
        ("reader", "secret/app", Some(403)),
        ("", "team/app", Some(401)),
        ("", "secret/app", Some(401)),
        ("nightly", "secret/app", Some(403)),
    ] {
        for (method, path, allowed) in reads(name) {
            assert_eq!(guarded.status(user, method, &path).await, refused.unwrap_or(allowed), "{user} {method} {path}");
        }
    }
    for (user, method, path, status) in [
        ("reader", "GET", format!("/v2/team/app/blobs/{blob}"), 200),
        ("", "GET", format!("/v2/team/app/blobs/{blob}"), 401),
        ("", "HEAD", format!("/v2/team/app/blobs/{blob}"), 401),
        ("reader", "POST", "/v2/team/app/blobs/uploads/".to_owned(), 403),
        ("creator", "POST", "/v2/team/app/blobs/uploads/".to_owned(), 202),
        ("updater", "POST", "/v2/team/app/blobs/uploads/".to_owned(), 202),
        ("creator", "POST", "/v2/secret/app/blobs/uploads/".to_owned(), 403),
        ("", "POST", "/v2/public/app/blobs/uploads/".to_owned(), 401),
        ("reader", "PATCH", format!("/v2/team/app/blobs/uploads/{}", "0".repeat(32)), 403),
        ("reader", "PUT", format!("/v2/team/app/blobs/uploads/{}", "0".repeat(32)), 403),
        ("reader", "GET", format!("/v2/team/app/blobs/uploads/{}", "0".repeat(32)), 403),
        ("reader", "DELETE", format!("/v2/team/app/blobs/uploads/{}", "0".repeat(32)), 403),
        ("reader", "DELETE", "/v2/team/app/manifests/v1".to_owned(), 403),
        ("creator", "DELETE", format!("/v2/team/app/blobs/{blob}"), 403),
        ("", "DELETE", "/v2/public/app/manifests/v1".to_owned(), 401),
        ("reader", "PUT", "/v2/team/app/manifests/v1".to_owned(), 403),
        ("", "PUT", "/v2/public/app/manifests/v2".to_owned(), 401),
        ("careful", "DELETE", "/v2/team/app/manifests/v1".to_owned(), 202),
    ] {
        assert_eq!(guarded.status(user, method, &path).await, status, "{user} {method} {path}");
    }
    let denied = refused(guarded.get("reader", "/v2/secret/app/tags/list").await, 403, "DENIED").await;
    assert_eq!(denied["errors"][0]["detail"], Value::Null);
    let reasoned = refused(guarded.get("nightly", "/v2/secret/app/tags/list").await, 403, "DENIED").await;
    assert_eq!(reasoned["errors"][0]["detail"], Value::Null, "the condition is of another pattern");
}

#[tokio::test]
async fn a_condition_tells_its_reason() {
    let rules = json!({ "repositories": { "**": { "policies": [{ "users": ["nightly"], "actions": ["read"],
        "conditions": [{ "expression": "req.userAgent == 'cron'", "message": "only the cron job" }] }] } } });
    let guarded = Guarded::with(&rules, ChallengeKind::Auto, HttpOptions::default()).await;
    let denied = refused(guarded.get("nightly", "/v2/a/tags/list").await, 403, "DENIED").await;
    assert_eq!(denied["errors"][0]["detail"]["reason"], "only the cron job");
    let cron = guarded.ask("nightly", "GET", "/v2/a/tags/list").header("user-agent", "cron").send().await.unwrap();
    refused(cron, 404, "NAME_UNKNOWN").await;
}

#[tokio::test]
async fn nobody_and_a_wrong_password_are_challenged() {
    let guarded = Guarded::start().await;
    let basic = "Basic realm=\"here\"";
    let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for credentials in [
        encoded("reader:wrong"),
        encoded("nobody:wrong"),
        encoded("reader:"),
        encoded("reader"),
        "Basic !".to_owned(),
        "Digest x".to_owned(),
    ] {
        for path in ["/v2/", "/v2/public/app/tags/list", "/v2/_catalog"] {
            let response = guarded.server.ask("GET", path).header("authorization", &credentials).send().await.unwrap();
            assert_eq!(header(&response, "www-authenticate"), basic, "{credentials} {path}");
            refused(response, 401, "UNAUTHORIZED").await;
        }
    }
    let twice = guarded.server.ask("GET", "/v2/public/app/tags/list");
    let twice =
        twice.header("authorization", encoded(&format!("reader:{PASSWORD}"))).header("authorization", "Basic Og==");
    refused(twice.send().await.unwrap(), 401, "UNAUTHORIZED").await;
    // Nothing at all, spelled out.
    let empty = guarded.server.ask("GET", "/v2/public/app/tags/list").header("authorization", "Basic Og==");
    refused(empty.send().await.unwrap(), 404, "NAME_UNKNOWN").await;
    // Docker's client logs in at the front door or never.
    let docker = guarded.server.ask("GET", "/v2/").header("user-agent", "docker/29.0 go/1.26").send().await.unwrap();
    refused(docker, 401, "UNAUTHORIZED").await;
    let other = guarded.get("", "/v2/").await;
    assert_eq!((other.status().as_u16(), header(&other, "www-authenticate").as_str()), (200, basic));
    let known = guarded.get("reader", "/v2/").await;
    assert_eq!((known.status().as_u16(), header(&known, "www-authenticate").as_str()), (200, ""));
    for probe in ["/livez", "/readyz", "/startupz"] {
        let response = guarded.server.ask("GET", probe).header("authorization", "Basic !").send().await.unwrap();
        assert_eq!(response.status(), 200, "{probe}");
    }
}

#[tokio::test]
async fn a_token_is_good_for_what_it_was_asked_for() {
    let external = Some("https://r.example/".to_owned());
    let options = HttpOptions { external_url: external, ..HttpOptions::default() };
    let guarded = Guarded::with(&rules(), ChallengeKind::Auto, options).await;
    guarded.image("team/app", "v1", "one").await;
    let challenge = |scope: &str, error: &str| {
        let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
        let error = if error.is_empty() { String::new() } else { format!(",error=\"{error}\"") };
        format!("Bearer realm=\"https://r.example/token\",service=\"wharf\"{scope}{error}")
    };
    let with = |token: &str, method: &str, path: &str| guarded.server.ask(method, path).bearer_auth(token).send();
    let response = guarded.get("", "/v2/").await;
    assert_eq!(header(&response, "www-authenticate"), challenge("", ""));
    refused(response, 401, "UNAUTHORIZED").await;
    let response = guarded.get("", "/v2/team/app/manifests/v1").await;
    assert_eq!(header(&response, "www-authenticate"), challenge("repository:team/app:pull", ""));

    let token = guarded.token("reader", "service=wharf&scope=repository:team/app:pull").await;
    assert_eq!(with(&token, "GET", "/v2/team/app/manifests/v1").await.unwrap().status(), 200);
    assert_eq!(with(&token, "GET", "/v2/").await.unwrap().status(), 200);
    let push = with(&token, "POST", "/v2/team/app/blobs/uploads/").await.unwrap();
    let wanted = challenge("repository:team/app:pull,push", "insufficient_scope");
    assert_eq!(header(&push, "www-authenticate"), wanted);
    refused(push, 401, "UNAUTHORIZED").await;
    let delete = with(&token, "DELETE", "/v2/team/app/manifests/v1").await.unwrap();
    assert_eq!(header(&delete, "www-authenticate"), challenge("repository:team/app:delete", "insufficient_scope"));
    let catalog = with(&token, "GET", "/v2/_catalog").await.unwrap();
    assert_eq!(header(&catalog, "www-authenticate"), challenge("registry:catalog:*", "insufficient_scope"));
    // A scope is no right.
    let token =
        guarded.token("reader", "scope=repository:team/app:pull,push,delete&scope=repository:secret/app:*").await;
    refused(with(&token, "POST", "/v2/team/app/blobs/uploads/").await.unwrap(), 403, "DENIED").await;
    refused(with(&token, "GET", "/v2/secret/app/tags/list").await.unwrap(), 403, "DENIED").await;
    let token = guarded.token("admin", "scope=registry:catalog:*").await;
    assert_eq!(body(with(&token, "GET", "/v2/_catalog").await.unwrap()).await["repositories"], json!(["team/app"]));
    // Nobody's token is good for what nobody may do.
    guarded.image("public/app", "v1", "two").await;
    let token = guarded.token("", "scope=repository:public/app:pull+repository:team/app:pull").await;
    assert_eq!(with(&token, "GET", "/v2/").await.unwrap().status(), 200);
    assert_eq!(with(&token, "GET", "/v2/public/app/manifests/v1").await.unwrap().status(), 200);
    refused(with(&token, "GET", "/v2/team/app/manifests/v1").await.unwrap(), 401, "UNAUTHORIZED").await;
    // Garbage is challenged, so that a client gets another token.
    let garbage = with("a.b.c", "GET", "/v2/team/app/manifests/v1").await.unwrap();
    assert_eq!(header(&garbage, "www-authenticate"), challenge("repository:team/app:pull", "invalid_token"));
}

#[tokio::test]
async fn the_token_service_speaks_both_dialects() {
    let guarded = Guarded::start().await;
    let post = |form: &[(&str, &str)]| {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = guarded.server.ask("POST", "/token");
        request.header("content-type", "application/x-www-form-urlencoded").body(form).send()
    };
    let login = [("grant_type", "password"), ("username", "reader"), ("password", PASSWORD)];
    let answer =
        post(&[&login[..], &[("service", "wharf"), ("scope", "repository:team/app:pull repository:b:pull")]].concat());
    let answer = body(answer.await.unwrap()).await;
    assert_eq!((&answer["token"], &answer["expires_in"]), (&answer["access_token"], &json!(300)));
    assert!(answer["issued_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{answer}");
    let token = answer["token"].as_str().unwrap().to_owned();
    let ask = |path: &str| guarded.server.ask("GET", path).bearer_auth(&token).send();
    refused(ask("/v2/team/app/tags/list").await.unwrap(), 404, "NAME_UNKNOWN").await;
    for form in [
        &[("grant_type", "password"), ("username", "reader"), ("password", "wrong")][..],
        &[("grant_type", "password"), ("username", "nobody"), ("password", "wrong")],
    ] {
        let response = post(form).await.unwrap();
        assert_eq!(header(&response, "www-authenticate"), "Basic realm=\"here\"");
        refused(response, 401, "UNAUTHORIZED").await;
    }
    refused(post(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).await.unwrap(), 400, "UNSUPPORTED").await;
    // A token for a token would never end.
    refused(guarded.server.ask("GET", "/token").bearer_auth(&token).send().await.unwrap(), 401, "UNAUTHORIZED").await;
    let long = guarded.server.ask("POST", "/token").body("x".repeat(70_000)).send().await.unwrap();
    refused(long, 413, "SIZE_INVALID").await;
    let many = format!("/token?{}", "scope=repository:a:pull&".repeat(65));
    refused(guarded.get("reader", &many).await, 400, "UNSUPPORTED").await;
    // Where nobody can log in there is no such thing.
    refused(Server::start().await.get("/token").await, 404, "UNSUPPORTED").await;
}

#[tokio::test]
async fn a_token_costs_no_call_of_the_store() {
    let guarded = Guarded::start().await;
    guarded.image("public/app", "v1", "one").await;
    let token = guarded.token("reader", "scope=repository:public/app:pull").await;
    let blob = sha256(b"one");
    let count = async |request: RequestBuilder| {
        let before = guarded.server.store.calls.load(Ordering::SeqCst);
        request.send().await.unwrap().bytes().await.unwrap();
        guarded.server.store.calls.load(Ordering::SeqCst) - before
    };
    for path in ["/v2/public/app/manifests/v1".to_owned(), format!("/v2/public/app/blobs/{blob}")] {
        let plain = || guarded.server.ask("GET", &path);
        count(plain()).await;
        let anonymous = count(plain()).await;
        assert_eq!(count(plain().bearer_auth(&token)).await, anonymous, "{path}");
        assert_eq!(count(plain().basic_auth("reader", Some(PASSWORD))).await, anonymous, "{path}");
        assert_eq!(
            count(guarded.server.ask("GET", &path.replace("public", "secret"))).await,
            0,
            "refused before it is looked for"
        );
    }
}

#[tokio::test]
async fn tags_that_one_may_create_and_not_update_do_not_move() {
    let guarded = Guarded::start().await;
    let (one, two) = (guarded.image("team/app", "v1", "one").await, guarded.image("team/app", "other", "two").await);
    let denied = refused(guarded.push("creator", "team/app", "v1", &two).await, 403, "DENIED").await;
    assert_eq!(denied["errors"][0]["detail"]["tag"], "v1");
    assert_eq!(guarded.push("creator", "team/app", "v1", &one).await.status(), 201, "the same again");
    assert_eq!(guarded.push("creator", "team/app", "v2", &two).await.status(), 201);
    let several = format!("{}?tag=v3&tag=v1", sha256(two.as_bytes()));
    refused(guarded.push("creator", "team/app", &several, &two).await, 403, "DENIED").await;
    assert_eq!(guarded.status("reader", "GET", "/v2/team/app/manifests/v3").await, 404, "all or nothing");
    // zot lets this one move.
    for document in [&one, &two] {
        assert_eq!(guarded.push("creator", "team/app", "latest", document).await.status(), 201);
    }
    refused(guarded.push("updater", "team/app", "v9", &two).await, 403, "DENIED").await;
    assert_eq!(guarded.push("updater", "team/app", "v1", &two).await.status(), 201);
    assert_eq!(guarded.push("writer", "team/app", "v1", &one).await.status(), 201);
}

#[tokio::test]
async fn a_manifest_of_several_tags_is_guarded_for_who_asked_for_it() {
    let guarded = Guarded::start().await;
    let document = guarded.image("team/app", "v1", "one").await;
    assert_eq!(guarded.push("admin", "team/app", "v2", &document).await.status(), 201);
    let path = format!("/v2/team/app/manifests/{}", sha256(document.as_bytes()));
    let response = guarded.ask("careful", "DELETE", &path).send().await.unwrap();
    refused(response, 409, "MANIFEST_INVALID").await;
    assert_eq!(guarded.status("writer", "DELETE", &path).await, 202);
}

#[tokio::test]
async fn the_catalog_shows_what_one_may_read_in_full_pages() {
    let guarded = Guarded::start().await;
    for name in ["a", "public/a", "public/b", "secret/a", "team/a", "team/b", "z"] {
        guarded.image(name, "v1", "one").await;
    }
    for (user, expected) in [
        ("admin", json!(["a", "public/a", "public/b", "secret/a", "team/a", "team/b", "z"])),
        ("reader", json!(["public/a", "public/b", "team/a", "team/b"])),
        ("", json!(["public/a", "public/b"])),
    ] {
        let expected: Vec<_> =
            expected.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        let (mut path, mut seen) = ("/v2/_catalog?n=2".to_owned(), Vec::new());
        while !path.is_empty() {
            let response = guarded.get(user, &path).await;
            let link = header(&response, "link");
            let page: Vec<String> = serde_json::from_value(body(response).await["repositories"].clone()).unwrap();
            assert!(page.len() == 2 || link.is_empty(), "a page is full or the last: {page:?}");
            seen.extend(page);
            path = link.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        }
        assert_eq!(seen, expected, "{user}");
    }
}

#[tokio::test]
async fn a_mount_takes_nothing_from_where_one_may_not_read() {
    let guarded = Guarded::start().await;
    guarded.image("secret/app", "v1", "hidden").await;
    guarded.image("public/app", "v1", "shown").await;
    let (hidden, shown) = (sha256(b"hidden"), sha256(b"shown"));
    let mount =
        async |query: String| guarded.status("writer", "POST", &format!("/v2/team/new/blobs/uploads/?{query}")).await;
    assert_eq!(mount(format!("mount={hidden}&from=secret/app")).await, 202);
    assert_eq!(mount(format!("mount={hidden}")).await, 202);
    assert_eq!(mount(format!("mount={hidden}&from=secret/none")).await, 202);
    assert_eq!(guarded.status("writer", "HEAD", &format!("/v2/team/new/blobs/{hidden}")).await, 404);
    assert_eq!(mount(format!("mount={shown}&from=public/app")).await, 201);
    guarded.ask("writer", "DELETE", &format!("/v2/team/new/blobs/{shown}")).send().await.unwrap();
    assert_eq!(mount(format!("mount={shown}")).await, 201);
    // A token that was not asked for the source gives nothing from there either.
    let token = guarded.token("writer", "scope=repository:team/other:pull,push").await;
    let path = format!("/v2/team/other/blobs/uploads/?mount={shown}&from=public/app");
    assert_eq!(guarded.server.ask("POST", &path).bearer_auth(token).send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn what_may_not_be_seen_looks_like_what_is_not_there() {
    let guarded = Guarded::start().await;
    guarded.image("secret/app", "v1", "hidden").await;
    let hidden = sha256(b"hidden");
    for user in ["", "reader"] {
        for (method, rest) in [
            ("GET", "manifests/v1".to_owned()),
            ("HEAD", "manifests/v1".to_owned()),
            ("HEAD", format!("blobs/{hidden}")),
            ("GET", "tags/list".to_owned()),
            ("DELETE", "manifests/v1".to_owned()),
        ] {
            let answer = async |name: &str| {
                let before = guarded.server.store.calls.load(Ordering::SeqCst);
                let response = guarded.ask(user, method, &format!("/v2/{name}/{rest}")).send().await.unwrap();
                let calls = guarded.server.store.calls.load(Ordering::SeqCst) - before;
                let challenge = header(&response, "www-authenticate");
                let length = header(&response, "content-length");
                (response.status(), challenge, length, response.text().await.unwrap(), calls)
            };
            let there = answer("secret/app").await;
            assert_eq!(there, answer("secret/none").await, "{user} {method} {rest}");
            assert_eq!(there.4, 0);
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_passes_a_policy() {
    let guarded = Guarded::start().await;
    guarded.image("secret/app", "v1", "hidden").await;
    for path in [
        "/v2/secret%2Fapp/manifests/v1",
        "/v2/public/..%2Fsecret/app/manifests/v1",
        "/v2/public/%2e%2e/secret/app/manifests/v1",
        "/v2/public//secret/app/manifests/v1",
        "/v2//secret/app/manifests/v1",
        "/v2/Secret/app/manifests/v1",
        "/v2/secret/app/manifests/v1/",
        "/v2/secret/app/manifests/v1%00",
        "/v2/secret/app/manifests/v1;x",
        "/V2/secret/app/manifests/v1",
        "//v2/secret/app/manifests/v1",
        "/v2/secret/app/manifests//v1",
        "/v2/secret\\app/manifests/v1",
        "/v2/./secret/app/manifests/v1",
    ] {
        let text = format!("GET {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n");
        let status = server::raw(&guarded.server, &text).await;
        assert!(matches!(status, 400 | 401 | 403 | 404), "{path}: {status}");
    }
    // A name with words of the API in it is judged as what it is.
    guarded.image("secret/manifests/v1", "v1", "hidden").await;
    assert_eq!(guarded.status("", "GET", "/v2/secret/manifests/v1/manifests/v1").await, 401);
    assert_eq!(guarded.status("", "GET", "/v2/public/app/manifests/v1").await, 404);
}

#[tokio::test]
async fn api_keys_are_made_shown_and_deleted() {
    let guarded = Guarded::start().await;
    guarded.image("team/app", "v1", "one").await;
    guarded.image("public/app", "v1", "one").await;
    let make = |user: &str, wish: &Value| guarded.ask(user, "POST", "/zot/auth/apikey").body(wish.to_string()).send();
    let wish = json!({ "label": "ci", "scopes": ["team/**"], "expirationDate": "2099-01-02T03:04:05Z" });
    let response = make("reader", &wish).await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "cache-control").as_str()), (201, "no-store"));
    let made = body(response).await;
    let (secret, id) = (made["apiKey"].as_str().unwrap().to_owned(), made["uuid"].as_str().unwrap().to_owned());
    assert!(secret.len() == 36 && secret.starts_with("zak_"), "{secret}");
    assert_eq!((&made["label"], &made["expirationDate"]), (&json!("ci"), &json!("2099-01-02T03:04:05Z")));
    let list = body(guarded.get("reader", "/zot/auth/apikey").await).await;
    assert_eq!((&list["apiKeys"][0]["uuid"], &list["apiKeys"][0]["apiKey"]), (&json!(id), &Value::Null));
    assert_eq!(body(guarded.get("writer", "/zot/auth/apikey").await).await["apiKeys"], json!([]));
    let by_key = async |method: &str, path: &str| {
        guarded.server.ask(method, path).basic_auth("reader", Some(&secret)).send().await.unwrap()
    };
    assert_eq!(by_key("GET", "/v2/team/app/manifests/v1").await.status(), 200);
    refused(by_key("GET", "/v2/public/app/manifests/v1").await, 403, "DENIED").await;
    assert_eq!(body(by_key("GET", "/v2/_catalog").await).await["repositories"], json!(["team/app"]));
    refused(by_key("POST", "/zot/auth/apikey").await, 400, "UNSUPPORTED").await;
    let more = guarded.server.ask("POST", "/zot/auth/apikey").basic_auth("reader", Some(&secret)).body("{}");
    refused(more.send().await.unwrap(), 403, "DENIED").await;
    for bad in [
        json!({ "expirationDate": "2001-01-01T00:00:00Z" }),
        json!({ "expirationDate": "soon" }),
        json!({ "scopes": ["["] }),
        json!("x"),
    ] {
        refused(make("reader", &bad).await.unwrap(), 400, "UNSUPPORTED").await;
    }
    refused(make("reader", &json!({ "label": "x".repeat(9000) })).await.unwrap(), 413, "SIZE_INVALID").await;
    refused(make("", &json!({})).await.unwrap(), 401, "UNAUTHORIZED").await;
    refused(guarded.ask("reader", "DELETE", "/zot/auth/apikey").send().await.unwrap(), 400, "UNSUPPORTED").await;
    // Another user's request deletes nothing.
    assert_eq!(guarded.status("writer", "DELETE", &format!("/zot/auth/apikey?id={id}")).await, 200);
    assert_eq!(by_key("GET", "/v2/team/app/manifests/v1").await.status(), 200);
    assert_eq!(guarded.status("reader", "DELETE", &format!("/zot/auth/apikey?id={id}")).await, 200);
    refused(by_key("GET", "/v2/team/app/manifests/v1").await, 401, "UNAUTHORIZED").await;
    guarded.server.store.broken.store(true, Ordering::SeqCst);
    refused(by_key("GET", "/v2/team/app/manifests/v1").await, 503, "UNAVAILABLE").await;
}

#[tokio::test]
async fn a_refusal_waits_as_it_is_told() {
    let guarded = Guarded::start().await;
    let slow = Duration::from_millis(700);
    let rules: Rules = serde_json::from_value(rules()).unwrap();
    let logins = Ways {
        htpasswd: Some(Arc::new(Htpasswd::open(&guarded.users).unwrap())),
        issuer: Some(Issuer::new(b"shared", Duration::from_secs(300))),
        ..Ways::default()
    };
    let policy = Policy::new(&rules, LOGINS).unwrap();
    guarded.gate.replace(Access { policy, logins, realm: "here".to_owned(), fail_delay: slow });
    let took = async |request: RequestBuilder| {
        let begin = std::time::Instant::now();
        request.send().await.unwrap();
        begin.elapsed()
    };
    assert!(took(guarded.server.ask("GET", "/v2/").basic_auth("reader", Some("wrong"))).await >= slow);
    assert!(took(guarded.ask("reader", "GET", "/v2/secret/app/tags/list")).await >= slow);
    let form = "grant_type=password&username=reader&password=wrong";
    assert!(took(guarded.server.ask("POST", "/token").body(form)).await >= slow);
}

#[tokio::test]
async fn the_log_names_the_caller_and_no_secret() {
    let guarded = Guarded::start().await;
    let token = guarded.token("reader", "scope=repository:public/app:pull").await;
    let key = body(guarded.ask("reader", "POST", "/zot/auth/apikey").body("{}").send().await.unwrap()).await;
    let key = key["apiKey"].as_str().unwrap().to_owned();
    let asked = guarded.ask("reader", "GET", "/v2/public/app/tags/list").header("x-request-id", "access-named");
    asked.send().await.unwrap();
    guarded.server.ask("GET", "/v2/public/app/tags/list").bearer_auth(&token).send().await.unwrap();
    guarded.server.ask("GET", "/v2/").bearer_auth(format!("{token}x")).send().await.unwrap();
    guarded.server.ask("GET", "/v2/").basic_auth("reader", Some(&key)).send().await.unwrap();
    guarded.server.ask("GET", "/v2/").basic_auth("reader", Some("wr0ng-pa55word")).send().await.unwrap();
    let line = access_log::line("access-named").await;
    assert_eq!(line["caller"], "reader");
    let log = access_log::everything();
    let signature = token.rsplit('.').next().unwrap();
    for secret in [PASSWORD, "wr0ng-pa55word", &key, signature, &STANDARD.encode(format!("reader:{PASSWORD}"))] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

/// The page of the registry, as zot's web page asks.
const PAGE: (&str, &str) = ("x-zot-api-client", "zot-ui");

fn cookies(response: &Response) -> Vec<&str> {
    response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect()
}

fn value<'a>(cookies: &[&'a str], name: &str) -> &'a str {
    let of = |cookie: &&'a str| cookie.strip_prefix(name)?.strip_prefix('=')?.split(';').next();
    cookies.iter().find_map(of).unwrap()
}

#[tokio::test]
async fn the_page_logs_in_with_a_password_and_goes_on_with_a_cookie() {
    let guarded = Guarded::start().await;
    guarded.image("team/app", "v1", "one").await;
    let with_page = |request: RequestBuilder| request.header(PAGE.0, PAGE.1);
    let answer = with_page(guarded.ask("writer", "GET", "/v2/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "cache-control")), (200, "no-store".to_owned()));
    let set = cookies(&answer);
    assert_eq!((set.len(), value(&set, "user")), (2, "writer"));
    for cookie in &set {
        let is_hidden = cookie.contains("HttpOnly");
        assert_eq!(is_hidden, cookie.starts_with("session="), "{cookie}");
        assert!(
            cookie.contains("SameSite=Lax") && cookie.contains("Max-Age=7200") && cookie.contains("Path=/"),
            "{cookie}"
        );
    }
    let session = format!("session={}", value(&set, "session"));
    let bare = |method: &str, path: &str| guarded.server.ask(method, path).header("cookie", &session);
    let asked = |method: &str, path: &str| with_page(bare(method, path));
    let tags = "/v2/team/app/tags/list";
    let answer = asked("GET", tags).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), cookies(&answer).len()), (200, 0));
    let answer = asked("GET", "/v2/").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), cookies(&answer).len()), (200, 0), "a session makes no session");
    assert_eq!(asked("GET", "/v2/secret/app/tags/list").send().await.unwrap().status(), 403);
    // What the page of another site makes a browser send has the cookie and nothing else.
    for (method, path) in [("GET", tags), ("DELETE", "/v2/team/app/manifests/v1"), ("POST", "/zot/auth/apikey")] {
        assert_eq!(bare(method, path).send().await.unwrap().status(), 401, "{method} {path}");
        let other = bare(method, path).header(PAGE.0, "other");
        assert_eq!(other.send().await.unwrap().status(), 401, "{method} {path}");
    }
    assert_eq!(asked("GET", "/token?scope=repository:team/app:pull").send().await.unwrap().status(), 401);
    // A session that has ended is refused; the browser is told to forget it, and asks nobody for a password.
    let left = bare("POST", "/zot/auth/logout").send().await.unwrap();
    assert_eq!(left.status(), 200);
    assert_eq!((value(&cookies(&left), "session"), value(&cookies(&left), "user")), ("", ""));
    assert_eq!(body(left).await, json!({}));
    let answer = asked("GET", tags).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("www-authenticate")), (401, false));
}

#[tokio::test]
async fn only_the_page_gets_a_session_and_only_for_a_password() {
    let guarded = Guarded::start().await;
    let none = async |request: RequestBuilder, status: u16, what: &str| {
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), cookies(&answer).len()), (status, 0), "{what}");
        answer
    };
    let page = |user: &str, path: &str| guarded.ask(user, "GET", path).header(PAGE.0, PAGE.1);
    none(guarded.ask("writer", "GET", "/v2/"), 200, "docker").await;
    none(guarded.ask("writer", "GET", "/v2/").header(PAGE.0, "other"), 200, "another client").await;
    none(page("writer", "/v2/_catalog"), 200, "what is no login").await;
    let token = guarded.token("writer", "").await;
    none(guarded.server.ask("GET", "/v2/").bearer_auth(token).header(PAGE.0, PAGE.1), 200, "a token").await;
    let wrong = guarded.server.ask("GET", "/v2/").basic_auth("writer", Some("wrong")).header(PAGE.0, PAGE.1);
    let answer = none(wrong, 401, "a wrong password").await;
    assert!(!answer.headers().contains_key("www-authenticate"), "a browser would ask before the page can");
    none(page("", "/v2/").header("cookie", "session=forged"), 401, "a forged session").await;
}
