//! The edge of the registry: TLS and its files, limits, the audit log, and what tries to get past a proxy or a policy.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wharf_e2e::authority::Authority;
use wharf_e2e::balancer::{Balancer, SEEN};
use wharf_e2e::image::{Image, MANIFEST, small_manifest};
use wharf_e2e::raw::exchange;
use wharf_e2e::{Client, Content, Lab, Replica, Storage, say, tools, wait};

const SOON: Duration = Duration::from_secs(20);

/// Replaces a file as tools do it: a new one, renamed over it.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn local(lab: &Lab, more: Value) -> Replica {
    Replica::configured(lab, "wharf", &Storage::Local(lab.directory("registry")), &more).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls() {
    let lab = Lab::new("edge-tls");
    let (old, new, clients) = (Authority::new(), Authority::new(), Authority::new());
    let (certificate, key) = old.leaf("server");
    let (cert, key) = (lab.file("c.pem", &certificate), lab.file("k.pem", &key));
    let (old_ca, client_ca) = (lab.file("old.pem", &old.pem), lab.file("clients.pem", &clients.pem));
    let tls = json!({"cert": cert, "key": key, "cacert": client_ca});
    // Where clients can show who they are, they have to, unless a policy is for those who do not.
    let anyone = json!({"repositories": {"**": {"anonymousPolicy": ["read", "create", "update", "delete"]}}});
    let mut replica = local(&lab, json!({"http": {"tls": tls, "accessControl": anyone}})).await;
    let base = format!("https://{}", replica.address());

    // Clients that people have.
    let curl =
        |args: &[&str]| tools::attempt(Command::new(tools::find("curl")).args(["-sS", "--noproxy", "*"]).args(args));
    let ca = old_ca.to_str().unwrap();
    let answer = |version: &str| {
        curl(&[
            "--cacert",
            ca,
            version,
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
            &format!("{base}/v2/"),
        ])
    };
    assert_eq!(answer("--http2").1, "2 200");
    assert_eq!(answer("--http1.1").1, "1.1 200");
    assert!(!curl(&["--cacert", ca, "--tls-max", "1.1", &format!("{base}/v2/")]).0, "old versions are refused");
    assert_eq!(
        curl(&[&format!("http://{}/v2/", replica.address())]).1,
        "this port speaks HTTP over TLS: use https://\n"
    );
    let layout = lab.directory("layout");
    Image::new(3, 1 << 20).write_layout(&layout, "v1");
    let name = format!("{}/edge/image:v1", replica.address());
    for client in [vec!["push", layout.to_str().unwrap(), &name], vec!["pull", &name, "/dev/null"]] {
        tools::run(Command::new(tools::find("crane")).env("SSL_CERT_FILE", &old_ca).args(client));
    }

    // A certificate that changes under a running download.
    let content = Content::new(5, 48 << 20);
    let client = old.client();
    let url = format!("{base}/v2/edge/blobs/uploads/?digest={}", content.digest());
    let pushed = client.post(url).body(content.all()).send().await.unwrap();
    assert_eq!(pushed.status(), StatusCode::CREATED);
    let pull = client.get(format!("{base}/v2/edge/blobs/{}", content.digest())).send().await.unwrap();
    let mut pull = pull.bytes_stream();
    let mut hash = Sha256::new();
    hash.update(pull.next().await.unwrap().unwrap());
    let (certificate, fresh_key) = new.leaf("server");
    replace(&key, &fresh_key);
    replace(&cert, &certificate);
    let trusts_new = async || new.client().get(format!("{base}/v2/")).send().await.is_ok();
    let took = wait::until("new connections get the new certificate", SOON, trusts_new).await;
    while let Some(piece) = pull.next().await {
        hash.update(piece.unwrap());
    }
    assert_eq!(format!("sha256:{}", hex::encode(hash.finalize())), content.digest());

    // Files that cannot be used change nothing.
    replace(&cert, "");
    let said = async || replica.log().contains("have changed and cannot be used");
    wait::until("the mistake is in the log", SOON, said).await;
    assert!(trusts_new().await);
    replica.assert_alive();
    say!("curl (HTTP/1.1, HTTP/2) and crane over TLS; new certificate after {} ms, under a download", took.as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_cannot_be_says_why() {
    let lab = Lab::new("edge-start");
    let authority = Authority::new();
    let ((certificate, key), (_, other)) = (authority.leaf("a"), authority.leaf("b"));
    let (cert, key) = (lab.file("c.pem", &certificate), lab.file("k.pem", &key));
    let (other, empty) = (lab.file("o.pem", &other), lab.file("e.pem", ""));
    let missing = lab.path().join("missing.pem");
    for (tls, sentence) in [
        (json!({"cert": missing, "key": key}), "missing.pem cannot be read: No such file"),
        (json!({"cert": cert, "key": other}), "o.pem is not the key of the certificate"),
        (json!({"cert": cert, "key": cert}), "c.pem has no private key in it, but a certificate"),
        (json!({"cert": cert, "key": key, "cacert": empty}), "e.pem has no certificate in it: it is empty"),
    ] {
        let config = json!({"storage": {"rootDirectory": lab.path().join("r")}, "http": {"port": 0, "tls": tls}});
        let config = lab.file("bad.json", &config.to_string());
        let (success, output) = tools::attempt(Command::new(tools::wharf()).arg("serve").arg(config));
        assert!(!success && output.contains(sentence) && output.contains("http.tls."), "{sentence}: {output}");
    }
    say!("four mistakes, each with its sentence");
}

/// A replica that counts clients by their own addresses, behind HAProxy.
async fn behind_haproxy(lab: &Lab, mut more: Value) -> (Replica, Balancer) {
    more["http"]["trustedProxies"] = json!(["127.0.0.1"]);
    let replica = local(lab, more).await;
    let balancer = Balancer::start(lab, &[replica.address()]).await;
    (replica, balancer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits() {
    let lab = Lab::new("edge-limits");
    let limits = json!({"http": {"ratelimit": {"perClient": 2, "methods": [{"method": "DELETE", "rate": 1}]}}});
    let (_replica, balancer) = behind_haproxy(&lab, limits).await;
    let url = format!("http://{}/v2/x/tags/list", balancer.address());
    let from =
        |address: &str| reqwest::Client::builder().no_proxy().local_address(address.parse().ok()).build().unwrap();
    let (busy, other) = (from("127.0.0.7"), from("127.0.0.8"));
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..200 {
        let answer = busy.get(&url).send().await.unwrap();
        match answer.status().as_u16() {
            404 => passed += 1,
            429 => {
                assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
                let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                assert_eq!(body["errors"][0]["code"], "TOOMANYREQUESTS");
                refused += 1;
            }
            status => panic!("{status}"),
        }
    }
    assert!(passed >= 2 && refused > 0, "{passed} passed, {refused} were refused");
    assert_eq!(other.get(&url).send().await.unwrap().status(), StatusCode::NOT_FOUND, "another client is none of it");
    // What a client itself says of its address counts for nothing, whichever of the headers the proxy does not write: it is no other
    // client then, and with the header that this proxy passes on it is the proxy.
    let forged =
        async |name: &str, value: String| busy.get(&url).header(name, value).send().await.unwrap().status().as_u16();
    let mut passed_forged = [0; 2];
    for last in 0..100 {
        passed_forged[0] += u32::from(forged("x-forwarded-for", format!("192.0.2.{last}")).await != 429);
        passed_forged[1] += u32::from(forged("forwarded", format!("for=192.0.2.{last}")).await != 429);
    }
    assert!(
        passed_forged.iter().all(|passed| *passed < 100),
        "a new name each time is no new client: {passed_forged:?}"
    );
    say!("of 200 requests at once {passed} passed and {refused} were refused; another client's passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_and_secrets() {
    let lab = Lab::new("edge-audit");
    let audit = lab.path().join("audit.log");
    let mut replica = local(&lab, json!({"log": {"audit": audit, "level": "trace"}})).await;
    let client = Client::new([replica.address()]);
    let secrets = ["c2VjcmV0OmJhc2lj", "secret-bearer-token", "secret-cookie", "secret-in-query", "secret-in-url"];
    let secretly = |method: Method, path: &str| {
        let request = client.request(method, &format!("{path}?access_token={}", secrets[3]));
        request.header("authorization", format!("Bearer {}", secrets[1])).header("cookie", format!("s={}", secrets[2]))
    };
    client.push_blob("edge", "{}").await;
    let manifest = small_manifest("one");
    let put = secretly(Method::PUT, "/v2/edge/manifests/v1").header("content-type", MANIFEST).body(manifest.clone());
    assert_eq!(put.send().await.unwrap().status(), StatusCode::CREATED);
    let basic = secretly(Method::GET, "/v2/edge/manifests/v1").header("authorization", format!("Basic {}", secrets[0]));
    assert_eq!(basic.send().await.unwrap().status(), StatusCode::OK);
    let in_url = format!("http://user:{}@{}/v2/", secrets[4], replica.address());
    reqwest::get(in_url).await.unwrap();
    assert_eq!(secretly(Method::POST, "/v2/edge/blobs/uploads/").send().await.unwrap().status(), StatusCode::ACCEPTED);
    let rotated = lab.path().join("audit.log.1");
    std::fs::rename(&audit, &rotated).unwrap();
    assert_eq!(secretly(Method::DELETE, "/v2/edge/manifests/v1").send().await.unwrap().status(), StatusCode::ACCEPTED);

    let lines = |path: &Path| -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (before, after) = (lines(&rotated), lines(&audit));
    let named = |line: &Value| format!("{} {} {}", line["action"], line["reference"], line["status"]);
    assert!(before.iter().any(|line| named(line) == "\"PUT\" \"v1\" 201"), "{before:?}");
    assert_eq!(after.iter().map(named).collect::<Vec<_>>(), ["\"DELETE\" \"v1\" 202"], "the file is followed by name");
    assert_eq!(
        before.iter().find(|line| line["reference"] == "v1").unwrap()["digest"],
        wharf_e2e::content::digest(&manifest)
    );
    replica.assert_alive();
    for log in [replica.log(), std::fs::read_to_string(&rotated).unwrap(), std::fs::read_to_string(&audit).unwrap()] {
        assert!(secrets.iter().all(|secret| !log.contains(secret)), "a secret is in a log");
        assert!(!log.contains("dXNlcjpzZWNyZXQtaW4tdXJs"), "a password is in a log");
    }
    say!("{} lines before the rotation, one after; none of {} secrets is in a log", before.len(), secrets.len());
}

/// Requests within requests, for a proxy and a server that may not agree on where one ends.
fn smuggled(inner: &str) -> Vec<(&'static str, String)> {
    let post = "POST /v2/edge/blobs/uploads/ HTTP/1.1\r\nhost: x\r\n";
    let (length, hex) = (inner.len(), format!("{:x}", inner.len()));
    vec![
        (
            "length before chunks",
            format!("{post}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}", length + 5),
        ),
        (
            "chunks before length",
            format!("{post}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n{hex}\r\n{inner}\r\n0\r\n\r\n"),
        ),
        ("two lengths", format!("{post}content-length: 0\r\ncontent-length: {length}\r\n\r\n{inner}")),
        ("a list of lengths", format!("{post}content-length: 0, {length}\r\n\r\n{inner}")),
        ("a signed length", format!("{post}content-length: +{length}\r\n\r\n{inner}")),
        ("an unknown coding", format!("{post}content-length: {length}\r\ntransfer-encoding: xchunked\r\n\r\n{inner}")),
        (
            "a coding behind a tab",
            format!("{post}content-length: {length}\r\ntransfer-encoding:\tchunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "a blank before the colon",
            format!("{post}content-length : {length}\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "a folded header",
            format!("{post}x: y\r\n transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{inner}"),
        ),
        (
            "a bare line feed",
            format!("{post}x: y\ntransfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{inner}"),
        ),
        ("a chunk's size too large", format!("{post}transfer-encoding: chunked\r\n\r\nfffffffffffffffff0\r\n{inner}")),
        (
            "a chunk's extension with a line feed",
            format!("{post}transfer-encoding: chunked\r\n\r\n0;x=\n{hex}\r\n\r\n{inner}"),
        ),
        ("a request line of version 0.9", format!("GET /v2/\r\n\r\n{inner}")),
        ("a carriage return in the path", format!("GET /v2/\r{inner}")),
        (
            "HTTP/2 within HTTP/1.1",
            format!(
                "GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n{inner}"
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_smuggled_through_haproxy() {
    let lab = Lab::new("edge-smuggling");
    let (mut replica, balancer) = behind_haproxy(&lab, json!({"http": {"readTimeout": "3s"}})).await;
    let client = Client::new([balancer.address()]);
    client.push_blob("edge", "{}").await;
    for tag in ["victim", "other"] {
        client.push_manifest("edge", tag, MANIFEST, small_manifest(tag)).await;
    }
    let inner = "DELETE /v2/edge/manifests/victim HTTP/1.1\r\nhost: x\r\nx-request-id: smuggled\r\n\r\n";
    let cases = smuggled(inner);
    for (name, request) in &cases {
        // Where one request lies within another as HTTP has it, it is that one's body and nothing more. Where it comes after, it is one
        // as any other. What matters is that the proxy judged each that the registry serves: it has the proxy's name for it.
        let _ = exchange(&balancer.address(), request.as_bytes()).await;
        let log = replica.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for line in lines.filter(|line| line["message"] == "request") {
            let id = line["request_id"].as_str().unwrap_or_default();
            assert!(id.starts_with(SEEN), "{name}: the registry saw a request that the proxy did not: {line}");
        }
        assert!(client.manifest("edge", "other").await.is_some(), "{name}");
        replica.assert_alive();
    }
    assert!(replica.log().contains(SEEN), "the balancer names requests");
    say!("{} ways to hide a request behind another: the registry never saw one that HAProxy had not seen", cases.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_means_one_thing() {
    let lab = Lab::new("edge-paths");
    let (mut replica, balancer) = behind_haproxy(&lab, json!({})).await;
    let client = Client::new([replica.address()]);
    for name in ["edge/secret", "edge"] {
        client.push_blob(name, "{}").await;
        client.push_manifest(name, "v1", MANIFEST, small_manifest("one")).await;
    }
    let paths = [
        "/v2/edge%2fsecret/manifests/v1",
        "/v2/edge%2Fsecret/manifests/v1",
        "/v2/edge%252fsecret/manifests/v1",
        "/v2/%65dge/secret/manifests/v1",
        "/v2/edge/secret/manifests/%76%31",
        "/v2/edge/secret/%6danifests/v1",
        "/v2/edge/secret/manifests/v1%00",
        "/v2/edge/secret/manifests/v1%20",
        "/v2/edge/secret/manifests/v1/",
        "/v2/edge/secret/manifests//v1",
        "/v2/edge//secret/manifests/v1",
        "/v2//edge/secret/manifests/v1",
        "//v2/edge/secret/manifests/v1",
        "/./v2/edge/secret/manifests/v1",
        "/v2/./edge/secret/manifests/v1",
        "/v2/edge/./secret/manifests/v1",
        "/v2/edge/other/../secret/manifests/v1",
        "/v2/other/..%2fedge/secret/manifests/v1",
        "/v2/edge/secret/tags/../manifests/v1",
        "/v2/edge\\secret/manifests/v1",
        "/v2/edge/secret;x=y/manifests/v1",
        "/v2/edge/secret/manifests/v1;x=y",
        "/v2/EDGE/secret/manifests/v1",
        "/V2/edge/secret/manifests/v1",
        "/v2/edge/secret/Manifests/v1",
        "/v2/edge/secret/manifests/V1",
        "/v2/edge/secret/manifests/v1?/../v2",
        "/v2/edge/sec\u{0280}et/manifests/v1",
        "/v2/edge/secret/manifests/v1\u{ff0f}",
        "/v2%2fedge/secret/manifests/v1",
        "/x/../v2/edge/secret/manifests/v1",
        "/v2/edge/secret/blobs/uploads/../../manifests/v1",
    ];
    // The one way to write it, and the only ones that count besides: a query that means nothing, and the absolute form.
    let plain = "/v2/edge/secret/manifests/v1";
    for address in [replica.address(), balancer.address()] {
        let status = async |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            exchange(&address, request.as_bytes()).await.unwrap().map(|answer| answer.status)
        };
        assert_eq!(status(plain).await, Some(200));
        assert_eq!(status(&format!("http://x{plain}")).await, Some(200));
        for path in paths {
            let found = status(path).await;
            let expected: &[Option<u16>] =
                if path.contains('?') { &[Some(200)] } else { &[Some(400), Some(404), None] };
            assert!(expected.contains(&found), "{path} at {address}: {found:?}");
        }
    }
    replica.assert_alive();
    say!("{} spellings of one path, directly and through HAProxy: none but the plain one is served", paths.len());
}
