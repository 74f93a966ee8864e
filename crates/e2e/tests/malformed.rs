//! Whatever a client sends, the answer is never a 5xx, the process lives on, and an error has the body that the
//! distribution specification wants.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wharf_e2e::content::{digest, mix};
use wharf_e2e::image::{MANIFEST, small_manifest};
use wharf_e2e::raw::{Answer, exchange};
use wharf_e2e::{Client, Lab, Registry, say, scale};

const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// Codes that an answer may carry: the specification's, and the one for a registry that is out of order.
const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table() {
    let lab = Lab::new("malformed-table");
    let mut registry = Registry::local(&lab).await;
    let session = prepare(&registry.client()).await;
    let mut wrong = Vec::new();
    let cases = [well_formed(&session), broken()].concat();
    for case in &cases {
        let answer = exchange(&registry.address(), &case.request).await;
        if let Some(complaint) = case.complaint(answer) {
            wrong.push(format!("{}: {complaint}", case.name));
        }
    }
    registry.replicas()[0].assert_alive();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    say!("{} malformed requests: no 5xx, no crash, each error in the specification's form", cases.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_damage() {
    let lab = Lab::new("malformed-random");
    let mut registry = Registry::local(&lab).await;
    let session = prepare(&registry.client()).await;
    let seed = scale("WHARF_E2E_SEED", 1);
    let count = scale("WHARF_E2E_MALFORMED", 2_000);
    let sound: Vec<Vec<u8>> =
        [well_formed(&session), sound(&session)].concat().into_iter().map(|case| case.request).collect();
    let address = registry.address();

    // Several at once: a damaged request may leave the server waiting for the rest of it.
    let workers: Vec<_> = (0..16)
        .map(|worker| {
            let (sound, address) = (sound.clone(), address.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                for number in (worker..count).step_by(16) {
                    let request = damage(&sound, seed << 32 | number);
                    let answer = exchange(&address, &request).await;
                    let shown = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
                    match answer {
                        Ok(Some(answer)) => {
                            assert!(answer.status < 500, "number {number}: {answer:?} to {shown}");
                            answered += 1;
                        }
                        Ok(None) => {}
                        Err(error) => panic!("number {number}: {error} for {shown}"),
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for worker in workers {
        answered += worker.await.unwrap();
    }
    registry.replicas()[0].assert_alive();
    // And it still serves. Some of the damage is none, so that other tags may be there.
    let tags = registry.client().tags("damage/images").await;
    assert!(tags.iter().any(|tag| tag == "sound"), "{tags:?}");
    say!("{count} damaged requests (seed {seed}), {answered} answered: no 5xx, no crash");
}

/// What the requests aim at: an image, and an open upload session, whose location is the answer.
async fn prepare(client: &Client) -> String {
    client.push_blob("damage/images", "{}").await;
    client.push_manifest("damage/images", "sound", MANIFEST, small_manifest("sound")).await;
    client.start_upload("damage/images").await.location
}

/// A request, and the statuses that may answer it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    request: Vec<u8>,
    statuses: &'static [u16],
    /// Whether it is HTTP, so that the registry itself answers, with a body of the specification's form.
    is_http: bool,
}

impl Case {
    fn complaint(&self, answer: std::io::Result<Option<Answer>>) -> Option<String> {
        match answer {
            Err(error) => Some(error.to_string()),
            // A server may hang up on what is not HTTP.
            Ok(None) => self.is_http.then(|| "no answer".to_owned()),
            Ok(Some(answer)) => {
                let unexpected = !self.statuses.contains(&answer.status);
                let shapeless = self.is_http && answer.status >= 400 && !self.request.starts_with(b"HEAD ");
                let shapeless = shapeless && !is_error_document(&answer.body);
                let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).into_owned();
                let complaint = format!("{}, wanted {:?}, with {body:?}", answer.status, self.statuses);
                (unexpected || shapeless).then_some(complaint)
            }
        }
    }
}

/// `{"errors": [{"code": …, "message": …}]}` with a known code (distribution-spec, "Error Codes").
fn is_error_document(body: &[u8]) -> bool {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    let Some(errors) = document["errors"].as_array() else { return false };
    !errors.is_empty()
        && errors.iter().all(|error| {
            error["code"].as_str().is_some_and(|code| CODES.contains(&code))
                && error["message"].as_str().is_some_and(|message| !message.is_empty())
        })
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: registry\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "PUT" | "POST" | "PATCH") {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

fn case(statuses: &'static [u16], method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Case {
    let body_shown = String::from_utf8_lossy(&body[..body.len().min(100)]);
    let shown: String = format!("{method} {target} {headers:?} {body_shown:?}").chars().take(300).collect();
    Case { name: shown, request: request(method, target, headers, body), statuses, is_http: true }
}

/// Requests that are HTTP and make no sense to a registry.
fn well_formed(session: &str) -> Vec<Case> {
    const BAD: &[u16] = &[400, 404];
    let long = "a".repeat(300);
    let mut cases = Vec::new();

    for name in [
        "UPPER",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "a/./b",
        "a/../b",
        "..",
        "../../etc",
        "a%2f..%2f..%2fetc",
        "%2e%2e",
        "a%00b",
        "a%0d%0ab",
        "a b",
        "%ff%fe",
        "%",
        "%zz",
        "a__",
        "a/_",
        "ä",
        "_uploads",
        &long,
        &format!("{long}/{long}"),
    ] {
        let name = name.replace(' ', "%20").replace('ä', "%C3%A4");
        cases.push(case(BAD, "GET", &format!("/v2/{name}/tags/list"), &[], b""));
        cases.push(case(BAD, "GET", &format!("/v2/{name}/manifests/latest"), &[], b""));
        cases.push(case(BAD, "POST", &format!("/v2/{name}/blobs/uploads/"), &[], b""));
        cases.push(case(BAD, "PUT", &format!("/v2/{name}/manifests/v1"), &[("Content-Type", MANIFEST)], b"{}"));
    }
    for reference in [
        "-bad",
        ".bad",
        "a:b:c",
        "sha256:",
        "sha256:12",
        "sha256:zz",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "%00",
        "..",
        "%2e%2e%2fx",
        "a%2fb",
        &"t".repeat(129),
        &format!("sha256:{}", "A".repeat(64)),
        &format!("sha512:{}", "a".repeat(64)),
    ] {
        for method in ["GET", "HEAD", "DELETE"] {
            cases.push(case(&[400, 404], method, &format!("/v2/damage/images/manifests/{reference}"), &[], b""));
        }
        let headers = [("Content-Type", MANIFEST)];
        cases.push(case(BAD, "PUT", &format!("/v2/damage/images/manifests/{reference}"), &headers, b"{}"));
    }
    for digest in ["sha256:12", "sha256", "latest", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:..%2f..", "%00"] {
        for method in ["GET", "HEAD", "DELETE"] {
            cases.push(case(BAD, method, &format!("/v2/damage/images/blobs/{digest}"), &[], b""));
        }
        cases.push(case(BAD, "GET", &format!("/v2/damage/images/referrers/{digest}"), &[], b""));
        let mount = format!("/v2/damage/images/blobs/uploads/?mount={digest}&from=damage/images");
        cases.push(case(&[400, 404, 202], "POST", &mount, &[], b""));
        let at_once = format!("/v2/damage/images/blobs/uploads/?digest={digest}");
        cases.push(case(BAD, "POST", &at_once, &[("Content-Type", "application/octet-stream")], b"x"));
    }
    for from in ["..", "UPPER", "%00", "nowhere", ""] {
        let mount = format!("/v2/damage/images/blobs/uploads/?mount={EMPTY}&from={from}");
        cases.push(case(&[400, 404, 202, 201], "POST", &mount, &[], b""));
    }
    for query in
        ["n=-1", "n=abc", "n=99999999999999999999999999", "n=1.5", "n=", "last=%00", "last=%ff", "n=%20", "n=1&n=2"]
    {
        cases.push(case(&[200, 400], "GET", &format!("/v2/damage/images/tags/list?{query}"), &[], b""));
        cases.push(case(&[200, 400], "GET", &format!("/v2/_catalog?{query}"), &[], b""));
    }
    cases.extend(manifests());
    cases.extend(uploads(session));
    for range in [
        "bytes=abc",
        "bytes=",
        "bytes=-",
        "bytes=5-1",
        "bytes=9-",
        "bytes=0-0,1-1",
        "chunks=0-1",
        "bytes=-0",
        "bytes=99999999999999999999-",
    ] {
        let target = format!("/v2/damage/images/blobs/{EMPTY}");
        cases.push(case(&[200, 206, 400, 416], "GET", &target, &[("Range", range)], b""));
    }
    for target in ["/v2", "/v2/", "/v2/damage/images", "/v2/damage/images/", "/v2/_catalog", "/v2//", "/v2/x/y/z"] {
        for method in ["BREW", "TRACE", "PUT", "PATCH", "DELETE"] {
            cases.push(case(&[400, 404, 405], method, target, &[], b""));
        }
    }
    for authorization in ["Basic", "Basic !!!", "Basic OnVzZXI=", "Bearer", "Bearer \u{ff}", "Digest x", ""] {
        let headers = [("Authorization", authorization)];
        cases.push(case(&[200, 400, 401], "GET", "/v2/damage/images/tags/list", &headers, b""));
    }
    cases
}

fn manifests() -> Vec<Case> {
    const BAD: &[u16] = &[400];
    let target = "/v2/damage/images/manifests/bad";
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let huge = vec![b' '; 5 << 20];
    let number = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"x","digest":"{EMPTY}","size":1e400}},"layers":[]}}"#
    );
    let negative = number.replace("1e400", "-1");
    let unknown = number.replace("1e400", "2").replace("4413", "4414");
    let path = number.replace("1e400", "2").replace(EMPTY, "sha256:../../../etc/passwd");
    let mut cases = Vec::new();
    for body in [
        b"".as_slice(),
        b"{",
        b"null",
        b"[]",
        b"\"x\"",
        b"1",
        b"\xff\xfe\x00",
        b"{\"schemaVersion\":\"two\"}",
        b"{}{}",
        b"{\"schemaVersion\":2,\"schemaVersion\":2,\"layers\":null}",
        &nested,
        number.as_bytes(),
        negative.as_bytes(),
        path.as_bytes(),
    ] {
        cases.push(case(BAD, "PUT", target, &[("Content-Type", MANIFEST)], body));
    }
    cases.push(case(&[400, 404], "PUT", target, &[("Content-Type", MANIFEST)], unknown.as_bytes()));
    cases.push(case(&[413, 400], "PUT", target, &[("Content-Type", MANIFEST)], &huge));
    let sound = small_manifest("sound");
    for content_type in ["", "/", "text/html", "application/vnd.oci.image.index.v1+json", &"x".repeat(2000)] {
        cases.push(case(&[201, 400, 415], "PUT", target, &[("Content-Type", content_type)], &sound));
    }
    let mismatch = format!("/v2/damage/images/manifests/{EMPTY}");
    cases.push(case(BAD, "PUT", &mismatch, &[("Content-Type", MANIFEST)], &sound));
    let tags = format!("/v2/damage/images/manifests/{}?tag=-bad&tag=%00", digest(&sound));
    cases.push(case(&[201, 400], "PUT", &tags, &[("Content-Type", MANIFEST)], &sound));
    cases
}

fn uploads(session: &str) -> Vec<Case> {
    let octets = ("Content-Type", "application/octet-stream");
    let mut cases = Vec::new();
    for id in
        ["x", "..", "%2e%2e%2f", "%00", &"0".repeat(32), &"f".repeat(5000), "00000000-0000-0000-0000-000000000000"]
    {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let query = if method == "PUT" { format!("?digest={EMPTY}") } else { String::new() };
            let target = format!("/v2/damage/images/blobs/uploads/{id}{query}");
            cases.push(case(&[400, 404, 414], method, &target, &[octets], b""));
        }
    }
    for range in
        ["abc", "5-1", "-1-5", "0-", "-", "1-2-3", "0-99999999999999999999999", "bytes 0-1/2", "99-100", "0-9", ""]
    {
        cases.push(case(&[202, 400, 416], "PATCH", session, &[octets, ("Content-Range", range)], b"x"));
    }
    let joint = if session.contains('?') { '&' } else { '?' };
    for digest in
        ["", "digest=", "digest=x", "digest=sha256:12", "digest=md5:00", "digest=%00", &format!("digest={EMPTY}")]
    {
        // The last is a sound digest of other bytes.
        cases.push(case(&[400], "PUT", &format!("{session}{joint}{digest}"), &[octets], b"other bytes"));
    }
    cases
}

/// Requests that are in order, to be damaged.
fn sound(session: &str) -> Vec<Case> {
    let manifest = small_manifest("sound");
    vec![
        case(&[], "GET", "/v2/damage/images/manifests/sound", &[("Accept", MANIFEST)], b""),
        case(&[], "GET", &format!("/v2/damage/images/blobs/{EMPTY}"), &[("Range", "bytes=0-1")], b""),
        case(&[], "GET", "/v2/damage/images/tags/list?n=10&last=a", &[], b""),
        case(&[], "PUT", "/v2/damage/images/manifests/sound", &[("Content-Type", MANIFEST)], &manifest),
        case(&[], "PATCH", session, &[("Content-Range", "0-3")], b"four"),
        case(&[], "POST", &format!("/v2/damage/images/blobs/uploads/?digest={EMPTY}"), &[], b"{}"),
    ]
}

/// Bytes that are hardly HTTP.
fn broken() -> Vec<Case> {
    const ANY: &[u16] = &[200, 400, 404, 405, 408, 411, 413, 414, 417, 431, 501, 505];
    let head = "Host: registry\r\n";
    let many: String = (0..2000).map(|index| format!("X-{index}: y\r\n")).collect();
    [
        "\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET /v2/\r\n\r\n".to_owned(),
        format!("GET /v2/ HTTP/9.9\r\n{head}\r\n"),
        format!("GET  /v2/  HTTP/1.1\r\n{head}\r\n"),
        format!("GET /v2/ HTTP/1.1\n{head}\n"),
        "GET /v2/ HTTP/1.1\r\n\r\n".to_owned(),
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        format!("GET /v2/ HTTP/1.1\r\n{head}no colon\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{head}Na me: x\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{head}X: a\0b\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{head}X: a\u{7f}b\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{head}Authorization: Bearer \u{1}\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{head}X: {}\r\n\r\n", "y".repeat(1 << 20)),
        format!("GET /v2/ HTTP/1.1\r\n{head}{many}\r\n"),
        format!("GET /v2/{} HTTP/1.1\r\n{head}\r\n", "a".repeat(1 << 20)),
        format!("GET /v2/ HTTP/1.1\r\n{head}Content-Length: -1\r\n\r\n"),
        format!("GET /v2/ HTTP/1.1\r\n{head}Content-Length: 99999999999999999999999\r\n\r\n"),
        format!("PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        format!(
            "PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
        format!("PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
        format!("PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Transfer-Encoding: gzip\r\n\r\nx"),
        format!("PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Expect: miracles\r\nContent-Length: 0\r\n\r\n"),
        format!("PUT /v2/a/manifests/b HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\nshort"),
        format!("OPTIONS * HTTP/1.1\r\n{head}\r\n"),
        format!("CONNECT registry:443 HTTP/1.1\r\n{head}\r\n"),
        format!("GET http://elsewhere/v2/ HTTP/1.1\r\n{head}\r\n"),
        format!("GET v2 HTTP/1.1\r\n{head}\r\n"),
        format!("GET /v2/#x HTTP/1.1\r\n{head}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(),
    ]
    .into_iter()
    .map(|request| Case {
        name: request.chars().take(80).collect::<String>().escape_debug().to_string(),
        request: request.into_bytes(),
        statuses: ANY,
        is_http: false,
    })
    .collect()
}

/// Damages one of the requests in a way that the number alone decides.
fn damage(sound: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut draws = 0;
    let mut draw = |below: usize| {
        draws += 1;
        let word = mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(draws));
        usize::try_from(word % below.max(1) as u64).unwrap_or_default()
    };
    let mut request = sound[draw(sound.len())].clone();
    // The damage is wanted where it is parsed, not somewhere in megabytes of body.
    let window = request.len().min(2000);
    for _ in 0..=draw(4) {
        let at = draw(window.min(request.len()));
        let byte = u8::try_from(draw(256)).unwrap_or_default();
        match draw(6) {
            0 if at < request.len() => request[at] ^= 1 << draw(8),
            1 if at < request.len() => request[at] = byte,
            2 => request.insert(at, byte),
            3 if at < request.len() => drop(request.remove(at)),
            4 => request.truncate(at),
            _ => {
                let end = (at + draw(20)).min(request.len());
                let copy = request[at.min(end)..end].to_vec();
                request.splice(at.min(end)..at.min(end), copy);
            }
        }
    }
    request
}
