//! Each kind of login, through replicas in turn, asks for everything.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_e2e::directory::Directory;
use wharf_e2e::image::small_manifest;
use wharf_e2e::provider::{AUDIENCE, CLIENT, CLIENT_SECRET, Provider};
use wharf_e2e::registry::Cluster;
use wharf_e2e::replica::merge;
use wharf_e2e::{Client, Lab, content, directory, provider, raw, say};

use super::sessions::log_in;
use super::{Login, PASSWORD, SITE, WRONG, access, json_of, no_secret_in_logs};

/// One login, and what it is good for.
pub(super) struct Row {
    who: &'static str,
    login: Login,
    /// Whether it may read `team/app`, `secret/app` and `public/app`.
    reads: [bool; 3],
    /// Whether it may push a new tag into `team/**`.
    pushes: bool,
    /// Whether it may delete there.
    deletes: bool,
}

pub(super) const READER: [bool; 3] = [true, false, true];
const NAMES: [&str; 3] = ["team/app", "secret/app", "public/app"];

impl Row {
    pub(super) fn new(who: &'static str, login: Login, reads: [bool; 3], [pushes, deletes]: [bool; 2]) -> Self {
        Self { who, login, reads, pushes, deletes }
    }

    /// What a refusal is: somebody is known, or nobody.
    fn no(&self) -> u16 {
        if self.who.starts_with("nobody") { 401 } else { 403 }
    }

    /// Asks for everything, three times, so that each replica is asked for each thing.
    pub(super) async fn check(&self, client: &Client) {
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
pub(super) async fn fill(client: &Client, admin: &Login) {
    for name in NAMES {
        assert_eq!(admin.push(client, name, "v1", name).await, 201, "{name}");
    }
}

/// Of everything that a row asks for.
pub(super) fn scopes() -> Vec<String> {
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
        Row::new("session of htpasswd writer", log_in(&client, &writer).await, READER, [true, false]),
        Row::new("session of LDAP ops", log_in(&client, &lena).await, READER, [true, true]),
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
