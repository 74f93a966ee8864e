//! Tokens of a token service elsewhere.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use wharf_e2e::registry::Cluster;
use wharf_e2e::{Lab, tools};

use super::matrix::{READER, Row, fill};
use super::{Login, access, no_secret_in_logs};

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
