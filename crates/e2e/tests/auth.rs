//! Who may do what, on three replicas that share nothing but a bucket and a file of users: each kind of login, through
//! replicas in turn; what is revoked; and the clients that people have.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use wharf_e2e::authority::Authority;
use wharf_e2e::directory::{self, Directory};
use wharf_e2e::engines::Docker;
use wharf_e2e::image::{Image, MANIFEST, small_manifest};
use wharf_e2e::provider::{self, AUDIENCE, CLIENT, CLIENT_SECRET, Provider};
use wharf_e2e::registry::Cluster;
use wharf_e2e::replica::merge;
use wharf_e2e::{Client, Lab, Replica, Seaweed, Storage, content, raw, say, tools, wait};

/// How browsers and the provider see the registry.
const SITE: &str = "https://registry.example";
/// Of every user, here and in the directory. No log may ever show it.
const PASSWORD: &str = "correct-horse-42";
/// Its hash by bcrypt at cost 6.
const HASH: &str = "$2b$06$abcdefghijklmnopqrstuuB6JdqMl/K7z/8X6IID0fFtO6imfeZ6C";
const WRONG: &str = "wr0ng-battery-17";
/// A change of the file of users counts within this time: the replicas look at it each second.
const FILE: Duration = Duration::from_secs(5);

fn users(lab: &Lab, names: &[&str]) -> PathBuf {
    let next = lab.file("htpasswd.next", &names.iter().map(|name| format!("{name}:{HASH}\n")).collect::<String>());
    let path = lab.path().join("htpasswd");
    std::fs::rename(next, &path).unwrap();
    path
}

fn access(lab: &Lab) -> Value {
    json!({ "http": {
        "realm": "tests",
        "auth": {
            "htpasswd": { "path": users(lab, &["admin", "writer", "reader"]) },
            "apikey": true,
            "token": { "challenge": "token" },
        },
        "accessControl": {
            "groups": { "ops": { "users": ["nobody-here"] } },
            "repositories": {
                "team/**": {
                    "policies": [
                        { "users": ["admin"], "actions": ["read", "create", "update", "delete"] },
                        { "users": ["writer"], "actions": ["read", "create"] },
                        { "groups": ["ops"], "actions": ["read", "create", "delete"] },
                    ],
                    "defaultPolicy": ["read"],
                },
                "secret/**": { "policies": [{ "users": ["admin"], "actions": ["read", "create", "update", "delete"] }] },
                "public/**": {
                    "anonymousPolicy": ["read"],
                    "defaultPolicy": ["read"],
                    "policies": [{ "users": ["admin"], "actions": ["read", "create", "update", "delete"] }],
                },
            },
        },
    } })
}

/// What a client shows with each request.
#[derive(Clone, Debug)]
enum Login {
    Nothing,
    Password(String, String),
    Token(String),
    /// The cookie of a browser.
    Session(String),
}

impl Login {
    fn password(user: &str) -> Self {
        Self::Password(user.to_owned(), PASSWORD.to_owned())
    }

    fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Password(user, password) => request.basic_auth(user, Some(password)),
            Self::Token(token) => request.bearer_auth(token),
            Self::Session(cookie) => {
                request.header("x-zot-api-client", "zot-ui").header("cookie", format!("session={cookie}"))
            }
        }
    }

    async fn ask(&self, client: &Client, method: Method, path: &str) -> StatusCode {
        self.on(client.request(method, path)).send().await.unwrap().status()
    }

    /// A token for what is shown.
    async fn token(&self, client: &Client, scopes: &[&str]) -> Self {
        let scopes: String = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
        let request = self.on(client.request(Method::GET, &format!("/token?service=wharf{scopes}")));
        let answer: Value = json_of(request).await;
        Self::Token(answer["token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
    }

    async fn api_key(&self, client: &Client, wish: &Value) -> (Self, String) {
        let Self::Password(user, _) = self else { panic!("a password makes keys") };
        let made = json_of(self.on(client.request(Method::POST, "/zot/auth/apikey")).body(wish.to_string())).await;
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        (Self::Password(user.clone(), text("apiKey")), text("uuid"))
    }

    /// Pushes a small image under a tag, as far as it is let: the status of the first answer that is a refusal.
    async fn push(&self, client: &Client, name: &str, tag: &str, mark: &str) -> StatusCode {
        let config = content::digest(b"{}");
        let path = format!("/v2/{name}/blobs/uploads/?digest={config}");
        let status = self.on(client.request(Method::POST, &path)).body("{}").send().await.unwrap().status();
        if !status.is_success() {
            return status;
        }
        let put = client.request(Method::PUT, &format!("/v2/{name}/manifests/{tag}"));
        self.on(put).header("content-type", MANIFEST).body(small_manifest(mark)).send().await.unwrap().status()
    }
}

async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Panics if a secret of this test is in a log of a replica.
fn no_secret_in_logs(replicas: &[Replica], secrets: &[&str]) {
    for replica in replicas {
        let log = replica.log();
        for secret in [PASSWORD, WRONG, HASH, directory::SEARCHER_PASSWORD].iter().chain(secrets) {
            assert!(!log.contains(secret), "a secret is in a log");
        }
    }
}

/// One login, and what it is good for.
struct Row {
    who: &'static str,
    login: Login,
    /// Whether it may read `team/app`, `secret/app` and `public/app`.
    reads: [bool; 3],
    /// Whether it may push a new tag into `team/**`.
    pushes: bool,
    /// Whether it may delete there.
    deletes: bool,
}

const READER: [bool; 3] = [true, false, true];
const NAMES: [&str; 3] = ["team/app", "secret/app", "public/app"];

impl Row {
    fn new(who: &'static str, login: Login, reads: [bool; 3], [pushes, deletes]: [bool; 2]) -> Self {
        Self { who, login, reads, pushes, deletes }
    }

    /// What a refusal is: somebody is known, or nobody.
    fn no(&self) -> u16 {
        if self.who.starts_with("nobody") { 401 } else { 403 }
    }

    /// Asks for everything, three times, so that each replica is asked for each thing.
    async fn check(&self, client: &Client) {
        let who = self.who;
        for turn in 0..3 {
            for (name, may) in NAMES.into_iter().zip(self.reads) {
                self.pulls(client, name, if may { 200 } else { self.no() }).await;
            }
            let catalog = json_of(self.login.on(client.request(Method::GET, "/v2/_catalog"))).await;
            let seen: Vec<_> = catalog["repositories"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for (name, may) in NAMES.into_iter().zip(self.reads) {
                assert_eq!(seen.contains(&name), may, "{who} sees {seen:?}");
            }
            let mark = format!("{}-{turn}", who.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
            assert_eq!(self.login.push(client, "secret/app", "v2", &mark).await, self.no(), "{who} pushes");
            match self.pushes {
                true => self.pushes(client, &mark).await,
                false => self.pushes_nothing(client, &mark).await,
            }
        }
        say!("{who}: as it should be");
    }

    async fn pulls(&self, client: &Client, name: &str, expected: u16) {
        let (blob, subject) = (content::digest(b"{}"), content::digest(&small_manifest("team/app")));
        for path in [
            format!("/v2/{name}/manifests/v1"),
            format!("/v2/{name}/blobs/{blob}"),
            format!("/v2/{name}/tags/list"),
            format!("/v2/{name}/referrers/{subject}"),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let status = self.login.ask(client, method.clone(), &path).await;
                assert_eq!(status, expected, "{} {method} {path}", self.who);
            }
        }
    }

    async fn pushes(&self, client: &Client, mark: &str) {
        let (who, login, blob) = (self.who, &self.login, content::digest(b"{}"));
        assert_eq!(login.push(client, "team/new", mark, mark).await, 201, "{who} pushes");
        // What is there does not move.
        assert_eq!(login.push(client, "team/app", "v1", mark).await, 403, "{who} moves a tag");
        let mount = |from: &str| format!("/v2/team/new/blobs/uploads/?mount={blob}&from={from}");
        let hidden = login.ask(client, Method::POST, &mount("secret/app")).await;
        let none = login.ask(client, Method::POST, &mount("secret/none")).await;
        assert_eq!((hidden, none), (StatusCode::ACCEPTED, StatusCode::ACCEPTED), "{who} mounts");
        assert_eq!(login.ask(client, Method::POST, &mount("team/app")).await, 201, "{who} mounts");
        let expected = if self.deletes { 202 } else { self.no() };
        let path = format!("/v2/team/new/manifests/{mark}");
        assert_eq!(login.ask(client, Method::DELETE, &path).await, expected, "{who} deletes");
    }

    async fn pushes_nothing(&self, client: &Client, mark: &str) {
        let (who, login, no, blob) = (self.who, &self.login, self.no(), content::digest(b"{}"));
        assert_eq!(login.push(client, "team/new", mark, mark).await, no, "{who} pushes");
        let path = format!("/v2/team/new/blobs/uploads/?mount={blob}&from=public/app");
        assert_eq!(login.ask(client, Method::POST, &path).await, no, "{who} mounts");
        for path in ["/v2/team/app/manifests/v1", &format!("/v2/team/app/blobs/{blob}")] {
            assert_eq!(login.ask(client, Method::DELETE, path).await, no, "{who} deletes {path}");
        }
    }
}

/// Puts an image where each row looks.
async fn fill(client: &Client, admin: &Login) {
    for name in NAMES {
        assert_eq!(admin.push(client, name, "v1", name).await, 201, "{name}");
    }
}

/// Of everything that a row asks for.
fn scopes() -> Vec<String> {
    let names = ["team/app", "team/new", "secret/app", "public/app"];
    let mut all: Vec<_> = names.iter().map(|name| format!("repository:{name}:pull,push,delete")).collect();
    all.push("registry:catalog:*".to_owned());
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_matrix() {
    let lab = Lab::new("auth-matrix");
    let people = [("lena", PASSWORD, "ops"), ("lars", PASSWORD, "sales"), ("gone", PASSWORD, "left")];
    let mut directory = Directory::start(&lab, &people).await;
    let provider =
        Provider::start(&lab, &format!("{SITE}/zot/auth/callback/oidc"), &[("olga", "ops"), ("olaf", "sales")]).await;
    let mut config = access(&lab);
    merge(&mut config, &elsewhere(&lab, &directory, &provider));
    let cluster = Cluster::configured(&lab, 3, &config).await;
    let client = cluster.alternating();
    fill(&client, &Login::password("admin")).await;
    let scopes = scopes();
    let all: Vec<&str> = scopes.iter().map(String::as_str).collect();

    let (reader_key, _) = Login::password("reader").api_key(&client, &json!({ "label": "all" })).await;
    let team = json!({ "label": "team", "scopes": ["team/**"] });
    let (team_key, _) = Login::password("reader").api_key(&client, &team).await;
    let (lena_key, _) = Login::password("lena").api_key(&client, &json!({ "label": "of the directory" })).await;
    let session = async |user: &str| {
        let at = |replica: usize| format!("http://{}", cluster.replicas[replica].address());
        let browser = provider::log_in(&provider, SITE, &at(0), &at(1), user).await;
        Login::Session(browser.cookie(SITE, "session").unwrap().to_owned())
    };
    let job = provider.job_token(AUDIENCE).await;
    let job_password = Login::Password("any".to_owned(), job.clone());
    let (only_public, only_team) = ([false, false, true], [true, false, false]);
    let password = Login::password;
    let (writer, lena) = (password("writer"), password("lena"));
    let rows = [
        Row::new("nobody", Login::Nothing, only_public, [false, false]),
        Row::new("nobody's token", Login::Nothing.token(&client, &all).await, only_public, [false, false]),
        Row::new("htpasswd reader", password("reader"), READER, [false, false]),
        Row::new("htpasswd writer", writer.clone(), READER, [true, false]),
        Row::new("LDAP ops", lena.clone(), READER, [true, true]),
        Row::new("LDAP sales", password("lars"), READER, [false, false]),
        Row::new("API key", reader_key.clone(), READER, [false, false]),
        Row::new("API key of team/**", team_key, only_team, [false, false]),
        Row::new("API key of a user of the directory", lena_key.clone(), READER, [true, true]),
        Row::new("token of htpasswd writer", writer.token(&client, &all).await, READER, [true, false]),
        Row::new("token of LDAP ops", lena.token(&client, &all).await, READER, [true, true]),
        Row::new("token of an API key", lena_key.token(&client, &all).await, READER, [true, true]),
        Row::new("session ops", session("olga").await, READER, [true, true]),
        Row::new("session sales", session("olaf").await, READER, [false, false]),
        Row::new("workload", Login::Token(job.clone()), READER, [true, true]),
        Row::new("workload as a password", job_password.clone(), READER, [true, true]),
        Row::new("token of a workload", job_password.token(&client, &all).await, READER, [true, true]),
    ];
    for row in &rows {
        row.check(&client).await;
    }
    for (user, password) in [
        ("reader", WRONG),
        ("nobody", WRONG),
        ("lena", WRONG),
        ("lena", ""),
        ("gone", PASSWORD),
        ("*", PASSWORD),
        ("lena)(uid=*", PASSWORD),
        ("", PASSWORD),
    ] {
        let login = Login::Password(user.to_owned(), password.to_owned());
        assert_eq!(login.ask(&client, Method::GET, "/v2/public/app/tags/list").await, 401, "{user}:{password}");
        assert_eq!(login.ask(&client, Method::GET, "/token").await, 401, "{user}:{password}");
    }
    smuggling(&cluster).await;
    // Without the directory its users are told so, and nobody is let in; the others do not notice.
    directory.kill();
    let stranger = Login::Password("lars2".to_owned(), PASSWORD.to_owned());
    assert_eq!(stranger.ask(&client, Method::GET, "/v2/public/app/tags/list").await, 503);
    assert_eq!(Login::password("reader").ask(&client, Method::GET, "/v2/team/app/tags/list").await, 200);
    let Login::Password(_, key) = &reader_key else { panic!("a key") };
    no_secret_in_logs(&cluster.replicas, &[key, &job, CLIENT_SECRET]);
}

/// Logins that somebody else knows: a directory, and a provider for people and for jobs.
fn elsewhere(lab: &Lab, directory: &Directory, provider: &Provider) -> Value {
    let secret = json!({ "bindDN": directory::SEARCHER, "bindPassword": directory::SEARCHER_PASSWORD });
    let issuer = provider.issuer();
    json!({ "http": { "externalUrl": SITE, "auth": {
        "ldap": {
            // Nothing listens at the first address.
            "address": "127.0.0.2,localhost", "port": directory.port(), "insecure": true, "startTLS": true,
            "cacert": directory.authority, "credentialsFile": lab.file("ldap.json", &secret.to_string()),
            "baseDN": directory::BASE, "subtreeSearch": true, "userAttribute": "uid",
            "userFilter": "(!(departmentNumber=left))", "userGroupAttribute": "departmentNumber",
        },
        "openid": { "providers": { "oidc": {
            "issuer": issuer, "clientid": CLIENT, "clientsecret": CLIENT_SECRET, "scopes": ["email", "groups"],
        } } },
        "bearer": { "oidc": [{
            "issuer": issuer, "audiences": [AUDIENCE],
            "claimMapping": { "username": "claims.repository", "groups": "['ops']" },
        }] },
    } } })
}

/// Certificates of clients are shown by TLS, which each replica speaks itself here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_matrix_by_certificates() {
    let lab = Lab::new("auth-certificates");
    let (servers, people, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (certificate, key) = servers.leaf("server");
    let mut config = access(&lab);
    config["http"]["tls"] = json!({
        "cert": lab.file("server.pem", &certificate), "key": lab.file("server.key", &key),
        "cacert": lab.file("people.pem", &people.pem),
    });
    let store = Seaweed::start(&lab).await;
    let storage = Storage::S3(store.bucket_at(&store.address()));
    let mut replicas = Vec::new();
    for index in 0..3 {
        replicas.push(Replica::configured(&lab, &format!("wharf-{index}"), &storage, &config).await);
    }
    let addresses: Vec<String> = replicas.iter().map(Replica::address).collect();
    let client = |authority: &Authority, name: Option<&str>| {
        let identity = name.map(|name| {
            let (certificate, key) = authority.leaf(name);
            certificate + &key
        });
        Client::by_tls(addresses.iter().cloned(), &servers, identity.as_deref())
    };
    let bare = client(&people, None);
    let (admin, writer) = (client(&people, Some("admin")), client(&people, Some("writer")));
    fill(&admin, &Login::Nothing).await;
    let scopes = scopes();
    let all: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let token = Login::Nothing.token(&writer, &all).await;
    let only_public = [false, false, true];
    for (client, row) in [
        (&bare, Row::new("nobody", Login::Nothing, only_public, [false, false])),
        (&writer, Row::new("certificate of a writer", Login::Nothing, READER, [true, false])),
        (
            &client(&people, Some("unlisted")),
            Row::new("certificate of a reader", Login::Nothing, READER, [false, false]),
        ),
        (&bare, Row::new("token of a certificate", token, READER, [true, false])),
        (&writer, Row::new("password beside a certificate", Login::password("reader"), READER, [false, false])),
    ] {
        row.check(client).await;
    }
    // What another authority vouches for ends the handshake.
    let stranger = client(&strangers, Some("admin")).request(Method::GET, "/v2/secret/app/tags/list").send().await;
    assert!(stranger.is_err(), "{stranger:?}");
    no_secret_in_logs(&replicas, &[]);
}

/// Tokens of a token service elsewhere, which are then the only login.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_matrix_by_tokens_from_elsewhere() {
    let lab = Lab::new("auth-elsewhere");
    let (private, public) = (lab.path().join("service.key"), lab.path().join("service.pem"));
    let openssl = |arguments: &[&str]| tools::run(Command::new(tools::find("openssl")).args(arguments));
    openssl(&["genpkey", "-algorithm", "RSA", "-out", private.to_str().unwrap()]);
    openssl(&["pkey", "-in", private.to_str().unwrap(), "-pubout", "-out", public.to_str().unwrap()]);
    let mut config = access(&lab);
    config["http"]["auth"] =
        json!({ "bearer": { "realm": "https://auth.example/token", "service": "registry.example", "cert": public } });
    let cluster = Cluster::configured(&lab, 3, &config).await;
    let client = cluster.alternating();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = |user: &str, audience: &str, ends: u64, access: &[(&str, &str, &[&str])]| {
        let access: Vec<_> = access
            .iter()
            .map(|(kind, name, actions)| json!({ "type": kind, "name": name, "actions": actions }))
            .collect();
        let claims = json!({ "iss": "auth", "sub": user, "aud": audience, "exp": ends, "access": access });
        Login::Token(signed(&lab, &private, &claims))
    };
    let every = ["pull", "push", "delete"];
    let mut all: Vec<(&str, &str, &[&str])> =
        ["team/app", "team/new", "secret/app", "public/app"].map(|name| ("repository", name, &every[..])).to_vec();
    all.push(("registry", "catalog", &["*"]));
    let good = |user: &str| token(user, "registry.example", now + 600, &all);
    fill(&client, &good("admin")).await;
    Row::new("token of a writer", good("writer"), READER, [true, false]).check(&client).await;
    Row::new("token of a reader", good("reader"), READER, [false, false]).check(&client).await;
    let path = "/v2/team/app/tags/list";
    // What it was not asked for, it is not good for, whatever the policy says.
    let narrow = token("admin", "registry.example", now + 600, &[("repository", "team/app", &["pull"])]);
    assert_eq!(narrow.ask(&client, Method::GET, path).await, 200);
    for (method, path) in [
        (Method::GET, "/v2/secret/app/tags/list"),
        (Method::GET, "/v2/_catalog"),
        (Method::POST, "/v2/team/app/blobs/uploads/"),
        (Method::DELETE, "/v2/team/app/manifests/v1"),
    ] {
        assert_eq!(narrow.ask(&client, method.clone(), path).await, 401, "{method} {path}");
    }
    for (what, login) in [
        ("another audience", token("admin", "elsewhere", now + 600, &all)),
        ("over", token("admin", "registry.example", now - 60, &all)),
        ("a password", Login::password("admin")),
    ] {
        for _ in 0..3 {
            assert_eq!(login.ask(&client, Method::GET, path).await, 401, "{what}");
        }
    }
    // Who shows nothing is nobody, and told where to get a token.
    assert_eq!(Login::Nothing.ask(&client, Method::GET, "/v2/public/app/tags/list").await, 200);
    let refused = client.request(Method::GET, path).send().await.unwrap();
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.starts_with("Bearer realm=\"https://auth.example/token\""), "{challenge}");
    no_secret_in_logs(&cluster.replicas, &[]);
}

/// A token (RS256) as a token service signs it.
fn signed(lab: &Lab, key: &Path, claims: &Value) -> String {
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let body = format!("{}.{}", base64(br#"{"alg":"RS256","typ":"JWT"}"#), base64(claims.to_string().as_bytes()));
    let (text, signature) = (lab.file("token.txt", &body), lab.path().join("token.sig"));
    let mut command = Command::new(tools::find("openssl"));
    command.args(["dgst", "-sha256", "-sign"]).arg(key).arg("-out").arg(&signature).arg(text);
    tools::run(&mut command);
    format!("{body}.{}", base64(&std::fs::read(signature).unwrap()))
}

/// What a proxy may read otherwise than the registry behind it.
async fn smuggling(cluster: &Cluster) {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let (admin, nobody) = (encode(&format!("admin:{PASSWORD}")), encode(&format!("admin:{WRONG}")));
    for (headers, allowed) in [
        (format!("authorization: Basic {admin}\r\n"), &[200][..]),
        (format!("authorization: Basic {nobody}\r\nauthorization: Basic {admin}\r\n"), &[400, 401]),
        (format!("authorization: Basic {admin}\r\nauthorization: Basic {nobody}\r\n"), &[400, 401]),
        (format!("authorization : Basic {admin}\r\n"), &[400, 401]),
        (format!("authorization_: Basic {admin}\r\n"), &[400, 401]),
        (format!("x: y\r\n authorization: Basic {admin}\r\n"), &[400, 401]),
        ("x-forwarded-user: admin\r\nremote-user: admin\r\n".to_owned(), &[401]),
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n".to_owned(), &[400, 401]),
        (format!("authorization: Basic {}\r\n", "x".repeat(60_000)), &[400, 401, 431]),
    ] {
        let request = format!("GET /v2/secret/app/tags/list HTTP/1.1\r\nhost: r\r\nconnection: close\r\n{headers}\r\n");
        for address in [cluster.balancer.address(), cluster.replicas[0].address()] {
            let answer = raw::exchange(&address, request.as_bytes()).await.unwrap();
            let status = answer.map_or(400, |answer| answer.status);
            assert!(allowed.contains(&status), "{status}: {headers:.80}");
        }
    }
    for path in [
        "/v2/secret%2fapp/tags/list",
        "/v2/public/../secret/app/tags/list",
        "/v2//secret/app/tags/list",
        "/v2/public/%2e%2e/secret/app/tags/list",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n");
        for address in [cluster.balancer.address(), cluster.replicas[0].address()] {
            let status = raw::exchange(&address, request.as_bytes()).await.unwrap().map_or(400, |answer| answer.status);
            assert!(matches!(status, 400 | 401 | 404), "{path}: {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_is_refused_everywhere() {
    let lab = Lab::new("auth-revoked");
    let mut cluster = Cluster::configured(&lab, 3, &access(&lab)).await;
    let each: Vec<Client> = (0..3).map(|replica| cluster.client_of(replica)).collect();
    let (admin, reader) = (Login::password("admin"), Login::password("reader"));
    assert_eq!(admin.push(&each[0], "team/app", "v1", "x").await, 201);
    let path = "/v2/team/app/manifests/v1";
    let scope = ["repository:team/app:pull"];
    let everywhere = async |login: &Login, status: u16, what: &str| {
        for (replica, client) in each.iter().enumerate() {
            assert_eq!(login.ask(client, Method::GET, path).await, status, "{what} on {replica}");
        }
    };
    // An API key, and a token that was given for it: made by one replica, deleted through another.
    let (key, id) = reader.api_key(&each[0], &json!({ "label": "ci" })).await;
    let key_token = key.token(&each[1], &scope).await;
    everywhere(&key, 200, "a key").await;
    everywhere(&key_token, 200, "a key's token").await;
    assert_eq!(reader.ask(&each[1], Method::DELETE, &format!("/zot/auth/apikey?id={id}")).await, 200);
    everywhere(&key, 401, "a deleted key").await;
    everywhere(&key_token, 401, "a deleted key's token").await;
    // All replicas die. What they gave is still good.
    let (key, _) = reader.api_key(&each[0], &json!({ "label": "later" })).await;
    let token = reader.token(&each[0], &scope).await;
    for replica in &mut cluster.replicas {
        replica.kill();
    }
    for replica in &mut cluster.replicas {
        replica.restart().await;
    }
    everywhere(&token, 200, "a token of replicas that died").await;
    everywhere(&key, 200, "a key of replicas that died").await;
    // A policy changes: a token that is out is asked by the new one. What is misspelt changes nothing.
    let rules = |actions: Value| json!({ "http": { "accessControl": { "repositories": { "team/**": { "defaultPolicy": actions } } } } });
    let set = |cluster: &Cluster, actions: &Value| {
        for replica in &cluster.replicas {
            let mut config: Value = serde_json::from_str(&std::fs::read_to_string(replica.config()).unwrap()).unwrap();
            merge(&mut config, &rules(actions.clone()));
            std::fs::write(replica.config(), config.to_string()).unwrap();
            replica.hang_up();
        }
    };
    for (actions, status) in [(json!([]), 403), (json!(["read"]), 200)] {
        set(&cluster, &actions);
        for client in &each {
            wait::until("a policy counts", FILE, async || token.ask(client, Method::GET, path).await == status).await;
        }
    }
    set(&cluster, &json!(["raed"]));
    for replica in &cluster.replicas {
        wait::until("a bad policy is refused", FILE, async || replica.log().contains("there is no action")).await;
    }
    everywhere(&token, 200, "a token while a policy is misspelt").await;
    set(&cluster, &json!(["read"]));
    // A user leaves: the password, its token and its key are worth nothing any more.
    everywhere(&reader, 200, "a user").await;
    users(&lab, &["admin", "writer"]);
    for client in &each {
        wait::until("a removed user is refused", FILE, async || reader.ask(client, Method::GET, path).await == 401)
            .await;
    }
    everywhere(&token, 401, "the token of a removed user").await;
    everywhere(&key, 401, "the key of a removed user").await;
    everywhere(&admin, 200, "another user").await;
    let Login::Password(_, secret) = &key else { panic!("a key") };
    no_secret_in_logs(&cluster.replicas, &[secret]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_are_tried_do_not_hold_up_pulls() {
    let lab = Lab::new("auth-cost");
    let cluster = Cluster::configured(&lab, 1, &access(&lab)).await;
    let client = cluster.client_of(0);
    assert_eq!(Login::password("admin").push(&client, "public/app", "v1", "x").await, 201);
    let token = Login::password("reader").token(&client, &["repository:public/app:pull"]).await;
    let pulls = async |login: &Login, n: u32| {
        let begin = Instant::now();
        for _ in 0..n {
            assert_eq!(login.ask(&client, Method::GET, "/v2/public/app/manifests/v1").await, 200);
        }
        begin.elapsed() / n
    };
    for (who, login) in [("nobody", &Login::Nothing), ("a token", &token), ("a password", &Login::password("reader"))] {
        pulls(login, 50).await;
        say!("a pull of a manifest by {who}: {:?}", pulls(login, 300).await);
    }
    let flood: Vec<_> = (0..64)
        .map(|i| {
            let (client, login) = (client.clone(), Login::Password(format!("nobody{i}"), WRONG.to_owned()));
            tokio::spawn(async move {
                for _ in 0..4 {
                    let status = login.ask(&client, Method::GET, "/v2/").await;
                    assert!(matches!(status.as_u16(), 401 | 429), "{status}");
                }
            })
        })
        .collect();
    say!("the same while 64 clients try passwords: {:?} with a token", pulls(&token, 50).await);
    for client in flood {
        client.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_log_in() {
    let lab = Lab::new("auth-clients");
    let cluster = Cluster::configured(&lab, 3, &access(&lab)).await;
    let address = cluster.balancer.address();
    docker(&lab, &address).await;
    podman(&lab, &address);
    skopeo(&lab, &address);
    no_secret_in_logs(&cluster.replicas, &[]);
}

async fn docker(lab: &Lab, address: &str) {
    let docker = Docker::start(lab).await;
    let archive = lab.path().join("docker.tar");
    std::fs::write(&archive, &Image::new(1, 1 << 20).layer).unwrap();
    let image = |name: &str| format!("{address}/{name}");
    for name in ["public/docker:v1", "team/docker:v1", "secret/docker:v1"] {
        tools::run(docker.command().arg("import").arg(&archive).arg(image(name)));
    }
    let attempt = |arguments: &[&str]| tools::attempt(docker.command().args(arguments));
    assert!(!attempt(&["push", &image("public/docker:v1")]).0, "nobody may not push");
    assert!(!attempt(&["login", "-u", "admin", "-p", WRONG, address]).0, "a wrong password");
    tools::run(docker.command().args(["login", "-u", "admin", "-p", PASSWORD, address]));
    for name in ["public/docker:v1", "team/docker:v1", "secret/docker:v1"] {
        tools::run(docker.command().args(["push", &image(name)]));
    }
    tools::run(docker.command().args(["logout", address]));
    let forget = |name: &str| tools::run(docker.command().args(["image", "rm", "--force", &image(name)]));
    for name in ["public/docker:v1", "team/docker:v1", "secret/docker:v1"] {
        forget(name);
    }
    tools::run(docker.command().args(["pull", &image("public/docker:v1")]));
    assert!(!attempt(&["pull", &image("team/docker:v1")]).0, "nobody may not pull this");
    tools::run(docker.command().args(["login", "-u", "reader", "-p", PASSWORD, address]));
    tools::run(docker.command().args(["pull", &image("team/docker:v1")]));
    let (pulled, output) = attempt(&["pull", &image("secret/docker:v1")]);
    assert!(!pulled && output.contains("denied"), "{output}");
    say!("docker: anonymous pull, login, push, pull, denial");
}

fn podman(lab: &Lab, address: &str) {
    let layout = layout(lab, "podman");
    let file = lab.path().join("podman.auth.json");
    let podman = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("podman"));
        let storage = lab.path().join("podman-storage");
        command.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments);
        tools::attempt(&mut command)
    };
    let file = format!("--authfile={}", file.display());
    let (done, id) = podman(&["pull", "--quiet", &format!("oci:{layout}:v1")]);
    assert!(done, "{id}");
    let id = id.trim();
    let target = format!("{address}/team/podman:v1");
    let login = |user: &str, password: &str| {
        podman(&["login", &file, "--tls-verify=false", "-u", user, "-p", password, address])
    };
    assert!(!login("writer", WRONG).0);
    assert!(login("writer", PASSWORD).0);
    let (done, output) = podman(&["push", &file, "--tls-verify=false", id, &target]);
    assert!(done, "{output}");
    assert!(!podman(&["push", &file, "--tls-verify=false", id, &format!("{address}/secret/podman:v1")]).0);
    let (done, output) = podman(&["pull", &file, "--quiet", "--tls-verify=false", &target]);
    assert!(done, "{output}");
    say!("podman: login, push, pull, denial");
}

fn skopeo(lab: &Lab, address: &str) {
    let layout = layout(lab, "skopeo");
    let (source, target) = (format!("oci:{layout}:v1"), format!("docker://{address}/team/skopeo:v1"));
    let skopeo = |arguments: &[&str]| tools::attempt(Command::new(tools::find("skopeo")).args(arguments));
    let credentials = |user: &str, password: &str| format!("--dest-creds={user}:{password}");
    let copy = ["copy", "--dest-tls-verify=false"];
    assert!(!skopeo(&[&copy[..], &["--dest-no-creds", &source, &target]].concat()).0);
    assert!(!skopeo(&[&copy[..], &[&credentials("writer", WRONG), &source, &target]].concat()).0);
    let (done, output) = skopeo(&[&copy[..], &[&credentials("writer", PASSWORD), &source, &target]].concat());
    assert!(done, "{output}");
    let inspect = ["inspect", "--tls-verify=false"];
    assert!(!skopeo(&[&inspect[..], &["--no-creds", &target]].concat()).0);
    let (done, output) = skopeo(&[&inspect[..], &[&format!("--creds=reader:{PASSWORD}"), &target]].concat());
    assert!(done, "{output}");
    let delete = ["delete", "--tls-verify=false"];
    assert!(!skopeo(&[&delete[..], &[&format!("--creds=writer:{PASSWORD}"), &target]].concat()).0);
    let (done, output) = skopeo(&[&delete[..], &[&format!("--creds=admin:{PASSWORD}"), &target]].concat());
    assert!(done, "{output}");
    say!("skopeo: copy, inspect, delete, denial");
}

/// Clients that take long to build: `tools/setup-more`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tools/setup-more"]
async fn more_clients_log_in() {
    let lab = Lab::new("auth-clients-more");
    let cluster = Cluster::configured(&lab, 3, &access(&lab)).await;
    let address = cluster.balancer.address();
    helm(&lab, &address);
    oras(&lab, &address);
    no_secret_in_logs(&cluster.replicas, &[]);
}

fn helm(lab: &Lab, address: &str) {
    let directory = lab.directory("helm");
    let helm = |arguments: &[&str]| {
        let mut command = Command::new(tools::find("helm"));
        tools::attempt(command.current_dir(&directory).env("HOME", &directory).args(arguments))
    };
    let must = |arguments: &[&str]| {
        let (done, output) = helm(arguments);
        assert!(done, "helm {arguments:?}: {output}");
    };
    let login = |user: &str, password: &str| {
        helm(&["registry", "login", "--plain-http", "-u", user, "-p", password, address]).0
    };
    let (team, secret) = (format!("oci://{address}/team/charts"), format!("oci://{address}/secret/charts"));
    must(&["create", "demo"]);
    must(&["package", "demo"]);
    assert!(!helm(&["push", "--plain-http", "demo-0.1.0.tgz", &team]).0, "nobody may not push");
    assert!(!login("writer", WRONG), "a wrong password");
    assert!(login("writer", PASSWORD));
    must(&["push", "--plain-http", "demo-0.1.0.tgz", &team]);
    assert!(!helm(&["push", "--plain-http", "demo-0.1.0.tgz", &secret]).0, "a writer may not push there");
    must(&["registry", "logout", address]);
    let pull = ["pull", "--plain-http", &format!("{team}/demo"), "--version", "0.1.0", "--destination", "back"];
    assert!(!helm(&pull).0, "nobody may not pull this");
    assert!(login("reader", PASSWORD));
    std::fs::create_dir(directory.join("back")).unwrap();
    must(&pull);
    let (pushed, pulled) = (directory.join("demo-0.1.0.tgz"), directory.join("back/demo-0.1.0.tgz"));
    assert_eq!(std::fs::read(pushed).unwrap(), std::fs::read(pulled).unwrap());
    say!("helm: login, push, pull, denial");
}

fn oras(lab: &Lab, address: &str) {
    let directory = lab.directory("oras");
    std::fs::write(directory.join("model.bin"), b"weights").unwrap();
    std::fs::write(directory.join("sbom.json"), b"{}").unwrap();
    let oras = |verb: &[&str], arguments: &[&str]| {
        let mut command = Command::new(tools::find("oras"));
        command.current_dir(&directory).env("HOME", &directory).args(verb);
        tools::attempt(command.args(["--plain-http", "--registry-config", "auth.json"]).args(arguments))
    };
    let must = |verb: &str, arguments: &[&str]| {
        let (done, output) = oras(&[verb], arguments);
        assert!(done, "oras {verb} {arguments:?}: {output}");
        output
    };
    let login = |user: &str, password: &str| oras(&["login"], &["-u", user, "-p", password, address]).0;
    let (team, secret) = (format!("{address}/team/oras:v1"), format!("{address}/secret/oras:v1"));
    assert!(!oras(&["push"], &[&team, "model.bin"]).0, "nobody may not push");
    assert!(!login("writer", WRONG), "a wrong password");
    assert!(login("writer", PASSWORD));
    must("push", &[&team, "model.bin:application/x.weights"]);
    must("attach", &[&team, "--artifact-type", "application/x.sbom", "sbom.json:application/json"]);
    assert!(!oras(&["push"], &[&secret, "model.bin"]).0, "a writer may not push there");
    assert!(login("reader", PASSWORD));
    let found = must("discover", &["--format", "json", &team]);
    assert!(found.contains("application/x.sbom"), "{found}");
    must("pull", &["--output", "back", &team]);
    assert_eq!(std::fs::read(directory.join("back/model.bin")).unwrap(), b"weights");
    assert!(!oras(&["manifest", "delete"], &["--force", &team]).0, "a reader may not delete");
    assert!(login("admin", PASSWORD));
    must("resolve", &[&team]);
    assert!(oras(&["manifest", "delete"], &["--force", &team]).0);
    say!("oras: login, push, attach, discover, pull, delete, denial");
}

fn layout(lab: &Lab, name: &str) -> String {
    let directory = lab.directory(&format!("{name}-layout"));
    Image::new(7, 1 << 20).write_layout(Path::new(&directory), "v1");
    directory.display().to_string()
}
