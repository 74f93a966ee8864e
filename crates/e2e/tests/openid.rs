//! OpenID Connect against a real provider: people who log in with a browser, whose every step goes to another replica, and jobs that
//! show the token of their platform.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use wharf_e2e::image::{MANIFEST, small_manifest};
use wharf_e2e::provider::{AUDIENCE, Browser, CLIENT, CLIENT_SECRET, JOB_SECRET, Provider, location};
use wharf_e2e::registry::Cluster;
use wharf_e2e::replica::merge;
use wharf_e2e::{Client, Lab, content, say};

/// How the provider and browsers see the registry.
const SITE: &str = "https://registry.example";
const CALLBACK: &str = "/zot/auth/callback/oidc";
/// What may not be a foreign page.
const ONWARD: &str = "/explore";

struct World {
    provider: Provider,
    cluster: Cluster,
    each: Vec<Client>,
}

impl World {
    async fn start(lab: &Lab) -> Self {
        let provider = Provider::start(lab, &format!("{SITE}{CALLBACK}"), &[("lena", "ops"), ("lars", "sales")]).await;
        let cluster = Cluster::configured(lab, 3, &config(&provider.issuer())).await;
        let each = (0..3).map(|replica| cluster.client_of(replica)).collect();
        Self { provider, cluster, each }
    }

    /// The address of a path on one replica, which a browser takes for the site.
    fn at(&self, replica: usize, path: &str) -> String {
        format!("http://{}{path}", self.cluster.replicas[replica].address())
    }

    /// A browser begins on one replica, goes through the provider, and has an address to come back to.
    async fn depart(&self, browser: &mut Browser, replica: usize, user: &str) -> String {
        let begin = self.at(replica, &format!("/zot/auth/login?provider=oidc&callback_ui={ONWARD}"));
        let answer = browser.ask(Method::GET, SITE, &begin, None).await;
        assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
        let page = location(&answer).unwrap();
        let back = browser.log_in(&self.provider, &page, user).await;
        back.strip_prefix(SITE).unwrap_or_else(|| panic!("{back}")).to_owned()
    }

    async fn log_in(&self, user: &str) -> Browser {
        let mut browser = Browser::default();
        let back = self.depart(&mut browser, 0, user).await;
        let answer = browser.ask(Method::GET, SITE, &self.at(1, &back), None).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_deref()), (302, Some(ONWARD)));
        browser
    }

    /// What a browser's page gets of a path on one replica.
    async fn page(&self, browser: &Browser, replica: usize, path: &str) -> StatusCode {
        let request = self.each[replica].request(Method::GET, path).header("x-zot-api-client", "zot-ui");
        browser.with_cookies(SITE, request).send().await.unwrap().status()
    }

    fn no_secret_in_logs(&self, secrets: &[&str]) {
        for replica in &self.cluster.replicas {
            let log = replica.log();
            for secret in [CLIENT_SECRET, JOB_SECRET].iter().chain(secrets) {
                assert!(!secret.is_empty() && !log.contains(secret), "a secret is in a log");
            }
        }
    }
}

fn config(issuer: &str) -> Value {
    json!({ "http": {
        "externalUrl": SITE,
        "auth": {
            "token": { "challenge": "password" },
            "openid": { "providers": { "oidc": {
                "issuer": issuer, "clientid": CLIENT, "clientsecret": CLIENT_SECRET, "scopes": ["openid", "email", "groups"],
            } } },
            "bearer": { "oidc": [{
                "issuer": issuer, "audiences": [AUDIENCE],
                "claimMapping": {
                    "variables": [{ "name": "repository", "expression": "claims.repository" }],
                    "validations": [{ "expression": "claims.ref.startsWith('refs/heads/')", "message": "only branches" }],
                    "username": "vars.repository", "groups": "['ci']",
                },
            }] },
        },
        "accessControl": { "repositories": { "team/**": { "policies": [
            { "groups": ["ops"], "actions": ["read", "create"] },
            { "groups": ["ci"], "actions": ["read", "create"],
              "conditions": [{ "expression": "req.claims.ref == 'refs/heads/main'", "message": "only the main branch" }] },
            { "users": ["lars@example.org"], "actions": ["read"] },
        ] } } },
    } })
}

async fn push(client: &Client, tag: &str, login: impl Fn(RequestBuilder) -> RequestBuilder) -> StatusCode {
    let path = format!("/v2/team/app/blobs/uploads/?digest={}", content::digest(b"{}"));
    let status = login(client.request(Method::POST, &path)).body("{}").send().await.unwrap().status();
    if !status.is_success() {
        return status;
    }
    let put = login(client.request(Method::PUT, &format!("/v2/team/app/manifests/{tag}")));
    put.header("content-type", MANIFEST).body(small_manifest(tag)).send().await.unwrap().status()
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn document(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_log_in_with_a_browser() {
    let lab = Lab::new("openid-people");
    let mut world = World::start(&lab).await;
    let each = world.each.clone();
    let (tags, catalog) = ("/v2/team/app/tags/list", "/v2/_catalog");
    assert_eq!(status(each[0].request(Method::GET, tags)).await, 401, "nobody");
    let lena = world.log_in("lena").await;
    let lars = world.log_in("lars").await;
    let session = lena.cookie(SITE, "session").unwrap().to_owned();
    for (replica, client) in each.iter().enumerate() {
        assert_eq!(world.page(&lena, replica, catalog).await, 200, "a session on {replica}");
        let bare = lena.with_cookies(SITE, client.request(Method::GET, catalog));
        assert_eq!(status(bare).await, 401, "a cookie that the page of another site sent along");
    }
    // Who has a session gets a key for clients that know of no browsers.
    let make = each[2].request(Method::POST, "/zot/auth/apikey").header("x-zot-api-client", "zot-ui");
    let made = document(lena.with_cookies(SITE, make).body(r#"{"label":"docker"}"#)).await;
    let key = made["apiKey"].as_str().unwrap().to_owned();
    for (replica, client) in each.iter().enumerate() {
        let with_key = |request: RequestBuilder| request.basic_auth("lena@example.org", Some(&key));
        assert_eq!(push(client, &format!("v{replica}"), with_key).await, 201, "by the group that the provider told of");
        assert_eq!(status(with_key(client.request(Method::GET, tags))).await, 200);
        let other = client.request(Method::GET, tags).basic_auth("lars@example.org", Some(&key));
        assert_eq!(status(other).await, 401, "another user's key");
        assert_eq!(world.page(&lars, replica, tags).await, 200, "by the name");
    }
    let start = each[0].request(Method::POST, "/v2/team/app/blobs/uploads/").header("x-zot-api-client", "zot-ui");
    assert_eq!(status(lars.with_cookies(SITE, start)).await, 403);
    // Logged out on one replica is logged out on all with the next request, though the browser has kept the cookie.
    let leave = lena.with_cookies(SITE, each[1].request(Method::POST, "/zot/auth/logout"));
    let left = document(leave).await;
    assert!(left["endSessionUrl"].as_str().is_some_and(|url| url.starts_with(&world.provider.issuer())), "{left}");
    for replica in 0..3 {
        assert_eq!(world.page(&lena, replica, catalog).await, 401, "a session that has ended, on {replica}");
        assert_eq!(world.page(&lars, replica, catalog).await, 200, "another's");
    }
    // Replicas that die forget no session.
    for replica in &mut world.cluster.replicas {
        replica.kill();
    }
    for replica in &mut world.cluster.replicas {
        replica.restart().await;
    }
    assert_eq!(world.page(&lars, 0, catalog).await, 200);
    // Without the provider nobody logs in; those who have do not notice, and a replica starts.
    world.provider.kill();
    world.cluster.replicas[0].kill();
    world.cluster.replicas[0].restart().await;
    assert_eq!(status(each[0].request(Method::GET, "/zot/auth/login?provider=oidc")).await, 503);
    assert_eq!(world.page(&lars, 0, catalog).await, 200);
    world.no_secret_in_logs(&[&key, &session]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_must_be_who_went() {
    let lab = Lab::new("openid-forged");
    let world = World::start(&lab).await;
    let mut browser = Browser::default();
    let back = world.depart(&mut browser, 0, "lena").await;
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    // Another browser has not asked for this (whoever sends somebody such a link would log them in as themselves).
    let mut stranger = Browser::default();
    let answer = stranger.ask(Method::GET, SITE, &world.at(1, &back), None).await;
    assert_eq!(answer.status(), 401, "without the cookie");
    world.depart(&mut stranger, 1, "lars").await;
    let answer = stranger.ask(Method::GET, SITE, &world.at(1, &back), None).await;
    assert_eq!(answer.status(), 401, "with the cookie of another login");
    assert!(stranger.cookie(SITE, "session").is_none());
    for wrong in [
        format!("{CALLBACK}?code={code}&state=wrong"),
        format!("{CALLBACK}?code={code}"),
        format!("{CALLBACK}?state={state}&error=access_denied"),
        format!("{CALLBACK}?code={code}&state={state}&iss=https://evil.example"),
        format!("/zot/auth/callback/google?code={code}&state={state}"),
    ] {
        let status = browser.ask(Method::GET, SITE, &world.at(2, &wrong), None).await.status();
        assert!(matches!(status.as_u16(), 400 | 401), "{status}: {wrong}");
    }
    for elsewhere in ["https://evil.example", "//evil.example", "/%5Cevil.example", "https:%09//evil.example"] {
        let path = format!("/zot/auth/login?provider=oidc&callback_ui={elsewhere}");
        assert_eq!(status(world.each[0].request(Method::GET, &path)).await, 400, "{elsewhere}");
    }
    assert_eq!(status(world.each[0].request(Method::GET, "/zot/auth/login?provider=none")).await, 400);
    // The right one is right once: the provider takes no code twice.
    let replay = browser.clone();
    assert_eq!(browser.ask(Method::GET, SITE, &world.at(2, &back), None).await.status(), 302);
    for mut again in [replay, browser.clone()] {
        let answer = again.ask(Method::GET, SITE, &world.at(1, &back), None).await;
        assert_eq!(answer.status(), 401, "again");
    }
    // A session that was changed in one place is none.
    let session = browser.cookie(SITE, "session").unwrap().to_owned();
    for forged in [session[1..].to_owned(), format!("{session}AAAA"), format!("A{}", &session[1..])] {
        let request = world.each[0].request(Method::GET, "/v2/_catalog").header("x-zot-api-client", "zot-ui");
        let request = request.header("cookie", format!("session={forged}"));
        let answer = request.send().await.unwrap();
        assert!(forged == session || answer.status() == 401, "{}", answer.status());
        assert!(!answer.headers().contains_key("www-authenticate"), "a browser would ask for a password");
    }
    world.no_secret_in_logs(&[&code, &state, &session]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_show_the_token_of_their_platform() {
    let lab = Lab::new("openid-jobs");
    let mut world = World::start(&lab).await;
    let each = world.each.clone();
    let token = world.provider.job_token(AUDIENCE).await;
    let path = "/v2/team/app/tags/list";
    for (replica, client) in each.iter().enumerate() {
        let bearer = |request: RequestBuilder| request.bearer_auth(&token);
        assert_eq!(push(client, &format!("v{replica}"), bearer).await, 201, "its own token");
        let password = client.request(Method::GET, path).basic_auth("any", Some(&token));
        assert_eq!(status(password).await, 200, "in the place of a password");
        assert_eq!(status(bearer(client.request(Method::DELETE, "/v2/team/app/manifests/v0"))).await, 403);
        // As Docker does it: for a token that is good for what it was asked for, on every replica.
        for service in ["/token", "/zot/auth/token"] {
            let ask = client.request(Method::GET, &format!("{service}?scope=repository:team/app:pull"));
            let answer = document(ask.basic_auth("any", Some(&token))).await;
            let scoped = answer["token"].as_str().unwrap();
            assert!(answer["expires_in"].as_u64().unwrap() <= 120, "no longer than what it was given for: {answer}");
            for client in &each {
                assert_eq!(status(client.request(Method::GET, path).bearer_auth(scoped)).await, 200);
                let start = client.request(Method::POST, "/v2/team/app/blobs/uploads/");
                assert_eq!(status(start.bearer_auth(scoped)).await, 401, "it was asked for less");
            }
            let for_a_token = client.request(Method::GET, service).bearer_auth(scoped);
            assert_eq!(status(for_a_token).await, 401, "no token for a token");
        }
    }
    let elsewhere = world.provider.job_token("urn:elsewhere").await;
    let parts: Vec<_> = token.split('.').collect();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let mixed = format!("{}.{}.{}", parts[0], elsewhere.split('.').nth(1).unwrap(), parts[2]);
    for (what, wrong) in [("another audience", &elsewhere), ("alg none", &unsigned), ("another's signature", &mixed)] {
        for client in &each {
            assert_eq!(status(client.request(Method::GET, path).bearer_auth(wrong)).await, 401, "{what}");
            assert_eq!(status(client.request(Method::GET, path).basic_auth("a", Some(wrong))).await, 401, "{what}");
            assert_eq!(status(client.request(Method::GET, "/token").basic_auth("a", Some(wrong))).await, 401, "{what}");
        }
    }
    // Without the provider, what is known of its keys does, but for a replica that has not asked yet.
    world.provider.kill();
    assert_eq!(status(each[0].request(Method::GET, path).bearer_auth(&token)).await, 200);
    world.cluster.replicas[1].kill();
    world.cluster.replicas[1].restart().await;
    assert_eq!(status(each[1].request(Method::GET, path).bearer_auth(&token)).await, 503);
    world.no_secret_in_logs(&[&token]);
    // Where the rules no longer let jobs in, a token that was given to one is worth nothing.
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(world.cluster.replicas[0].config()).unwrap()).unwrap();
    let ask = each[0].request(Method::GET, "/token?scope=repository:team/app:pull").basic_auth("a", Some(&token));
    let scoped = document(ask).await["token"].as_str().unwrap().to_owned();
    merge(&mut config, &json!({ "http": { "auth": { "bearer": { "oidc": [] } } } }));
    std::fs::write(world.cluster.replicas[0].config(), config.to_string()).unwrap();
    world.cluster.replicas[0].hang_up();
    wharf_e2e::wait::until("jobs are not let in", std::time::Duration::from_secs(20), async || {
        status(each[0].request(Method::GET, path).bearer_auth(&scoped)).await == 401
    })
    .await;
    say!("jobs: bearer, password, exchange, refusal");
}
