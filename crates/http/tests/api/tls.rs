//! Encrypted connections.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use reqwest::{Certificate, Client, Identity, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use wharf_http::{HttpOptions, Tls, TlsMaterial};

use crate::access_log;
use crate::server::{Server, sha256};

const SOON: Duration = Duration::from_secs(5);

/// An authority for one test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as PEM.
struct Leaf {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn server(&self) -> Leaf {
        self.leaf(vec![SanType::IpAddress("127.0.0.1".parse().unwrap())], "server", false)
    }

    fn client(&self, name: &str) -> Leaf {
        self.leaf(Vec::new(), name, false)
    }

    fn leaf(&self, names: Vec<SanType>, common_name: &str, is_over: bool) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if is_over {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }
}

impl Leaf {
    fn material<'a>(&'a self, client_ca: Option<&'a Authority>) -> TlsMaterial<'a> {
        TlsMaterial {
            certificate: self.certificate.as_bytes(),
            key: self.key.as_bytes(),
            client_ca: client_ca.map(|authority| authority.pem.as_bytes()),
        }
    }

    fn identity(&self) -> Identity {
        Identity::from_pem([self.key.as_str(), &self.certificate].concat().as_bytes()).unwrap()
    }
}

async fn serve(leaf: &Leaf, client_ca: Option<&Authority>) -> (Server, Tls) {
    let (tls, warnings) = Tls::new(&leaf.material(client_ca)).unwrap();
    assert_eq!(warnings, []);
    (Server::with(HttpOptions { tls: Some(tls.clone()), ..HttpOptions::default() }).await, tls)
}

fn client(authority: &Authority) -> reqwest::ClientBuilder {
    Client::builder().no_proxy().tls_certs_only([Certificate::from_pem(authority.pem.as_bytes()).unwrap()])
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let authority = Authority::new();
    let (server, _) = serve(&authority.server(), None).await;
    let content = vec![7; 3 << 20];
    let digest = sha256(&content);
    for (client, version) in
        [(client(&authority), Version::HTTP_2), (client(&authority).http1_only(), Version::HTTP_11)]
    {
        let client = client.build().unwrap();
        let url = format!("https://{}/v2/a/blobs/uploads/?digest={digest}", server.address);
        let pushed = client.post(url).body(content.clone()).send().await.unwrap();
        assert_eq!((pushed.status().as_u16(), pushed.version()), (201, version));
        let pulled = client.get(format!("https://{}/v2/a/blobs/{digest}", server.address)).send().await.unwrap();
        assert_eq!((pulled.version(), pulled.bytes().await.unwrap() == content), (version, true));
    }
}

#[tokio::test]
async fn a_client_that_speaks_plain_http_is_told() {
    let (server, _) = serve(&Authority::new().server(), None).await;
    let answer = server.get("/v2/").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.text().await.unwrap(), "this port speaks HTTP over TLS: use https://\n");
}

#[tokio::test]
async fn a_replaced_certificate_is_for_new_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let (server, tls) = serve(&old.server(), None).await;
    let url = format!("https://{}/v2/", server.address);
    let (early, strict) = (client(&old).build().unwrap(), client(&new).build().unwrap());
    assert_eq!(early.get(&url).send().await.unwrap().status(), 200);
    assert!(strict.get(&url).send().await.is_err());

    assert!(tls.replace(&TlsMaterial { key: b"", ..new.server().material(None) }).is_err());
    assert!(strict.get(&url).send().await.is_err(), "what cannot be used changes nothing");
    tls.replace(&new.server().material(None)).unwrap();
    assert_eq!(strict.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(early.get(&url).send().await.unwrap().status(), 200, "its connection goes on");
    assert!(client(&old).build().unwrap().get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_client_may_show_a_certificate_and_not_a_bad_one() {
    let (ours, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (server, tls) = serve(&ours.server(), Some(&clients)).await;
    let url = format!("https://{}/v2/", server.address);
    let ask = async |leaf: Option<&Leaf>| {
        let mut client = client(&ours);
        if let Some(leaf) = leaf {
            client = client.identity(leaf.identity());
        }
        client.build().unwrap().get(&url).send().await.map(|answer| answer.status().as_u16())
    };
    let ci = clients.client("ci");
    assert_eq!(ask(None).await.unwrap(), 200);
    assert_eq!(ask(Some(&ci)).await.unwrap(), 200);
    assert!(ask(Some(&strangers.client("ci"))).await.is_err());
    assert!(ask(Some(&clients.leaf(Vec::new(), "ci", true))).await.is_err(), "its time is over");
    tls.replace(&ours.server().material(Some(&strangers))).unwrap();
    assert!(ask(Some(&ci)).await.is_err(), "its authority is no longer one");
    assert_eq!(ask(Some(&strangers.client("ci"))).await.unwrap(), 200);
}

#[tokio::test]
async fn a_handshake_holds_up_nobody() {
    let authority = Authority::new();
    let (tls, _) = Tls::new(&authority.server().material(None)).unwrap();
    let header_timeout = Duration::from_millis(500);
    let server = Server::with(HttpOptions { tls: Some(tls), header_timeout, ..HttpOptions::default() }).await;
    let mut stuck = Vec::new();
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = server.connect().await;
        stream.write_all(begun).await.unwrap();
        stuck.push(stream);
    }
    let url = format!("https://{}/v2/", server.address);
    assert_eq!(
        timeout(SOON, client(&authority).build().unwrap().get(&url).send()).await.unwrap().unwrap().status(),
        200
    );
    for mut stream in stuck {
        let mut rest = Vec::new();
        timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is given up").unwrap();
    }
}

#[tokio::test]
async fn the_end_of_a_server_waits_for_an_encrypted_answer() {
    access_log::keep();
    let authority = Authority::new();
    let (tls, _) = Tls::new(&authority.server().material(None)).unwrap();
    let drain_lag = Duration::ZERO;
    let mut server = Server::with(HttpOptions { tls: Some(tls), drain_lag, ..HttpOptions::default() }).await;
    let client = client(&authority).build().unwrap();
    let content = vec![7; 8 << 20];
    let url = format!("https://{}/v2/a/blobs/uploads/?digest={}", server.address, sha256(&content));
    client.post(url).body(content.clone()).send().await.unwrap();
    let url = format!("https://{}/v2/a/blobs/{}", server.address, sha256(&content));
    let pull = client.get(url).send().await.unwrap();
    server.shutdown.cancel();
    assert_eq!(pull.bytes().await.unwrap(), content);
    drop(client);
    timeout(SOON, &mut server.served).await.unwrap().unwrap().unwrap();
}
