//! Who may do what, on three replicas that share nothing but a bucket and a file of users: each kind of login, through
//! replicas in turn; what is revoked; and the clients that people have.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod clients;
mod matrix;
mod outside;
mod revoked;
mod sessions;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use wharf_e2e::image::{MANIFEST, small_manifest};
use wharf_e2e::{Client, Lab, Replica, content, directory};

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
