//! Clients that show certificates.

use reqwest::Method;
use serde_json::json;
use wharf_e2e::authority::Authority;
use wharf_e2e::{Client, Lab, Replica, Seaweed, Storage};

use super::matrix::{READER, Row, fill, scopes};
use super::{Login, access, no_secret_in_logs};

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
