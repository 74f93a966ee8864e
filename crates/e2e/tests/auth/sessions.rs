//! Sessions of browsers that log in with a password, on replicas that share nothing but the bucket.

use reqwest::Method;
use serde_json::json;
use wharf_e2e::directory::{BASE, Directory, SEARCHER, SEARCHER_PASSWORD};
use wharf_e2e::registry::Cluster;
use wharf_e2e::replica::merge;
use wharf_e2e::{Client, Lab, say, wait};

use super::matrix::fill;
use super::{FILE, Login, access, no_secret_in_logs, users};

const PATH: &str = "/v2/team/app/manifests/v1";

/// Logs in as zot's page does: the cookie of the session.
pub(super) async fn log_in(client: &Client, login: &Login) -> Login {
    let request = login.on(client.request(Method::GET, "/v2/")).header("x-zot-api-client", "zot-ui");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut cookies = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.find_map(|cookie| cookie.strip_prefix("session=")).unwrap();
    Login::Session(session.split(';').next().unwrap().to_owned())
}

async fn everywhere(each: &[Client], login: &Login, status: u16, what: &str) {
    for (replica, client) in each.iter().enumerate() {
        assert_eq!(login.ask(client, Method::GET, PATH).await, status, "{what} on {replica}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_password_is_good_on_all_replicas_until_it_ends_on_one() {
    let lab = Lab::new("auth-sessions");
    let mut cluster = Cluster::configured(&lab, 3, &access(&lab)).await;
    let each: Vec<Client> = (0..3).map(|replica| cluster.client_of(replica)).collect();
    let (admin, reader, writer) = (Login::password("admin"), Login::password("reader"), Login::password("writer"));
    fill(&each[0], &admin).await;
    let (first, second) = (log_in(&each[0], &reader).await, log_in(&each[1], &reader).await);
    let of_writer = log_in(&each[2], &writer).await;
    everywhere(&each, &first, 200, "a session").await;
    assert_eq!(of_writer.push(&each[0], "team/new", "v1", "x").await, 201);
    assert_eq!(first.push(&each[0], "team/new", "v2", "x").await, 403, "no more than its user may");
    // Replicas that die forget none.
    for replica in &mut cluster.replicas {
        replica.kill();
    }
    for replica in &mut cluster.replicas {
        replica.restart().await;
    }
    everywhere(&each, &first, 200, "a session of replicas that died").await;
    assert_eq!(first.ask(&each[2], Method::POST, "/zot/auth/logout").await, 200);
    everywhere(&each, &first, 401, "a session that has ended").await;
    everywhere(&each, &second, 200, "another session of the same user").await;
    // A user leaves.
    users(&lab, &["admin", "writer"]);
    for client in &each {
        wait::until("a removed user is refused", FILE, async || second.ask(client, Method::GET, PATH).await == 401)
            .await;
    }
    everywhere(&each, &of_writer, 200, "another user").await;
    let secrets = [&first, &second, &of_writer].map(|login| match login {
        Login::Session(cookie) => cookie.as_str(),
        _ => panic!("a session"),
    });
    no_secret_in_logs(&cluster.replicas, &secrets);
    say!("sessions of passwords: login, other replicas, logout, removed user");
}

/// Whether a user is still there, and in which groups, the directory is asked for a session too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_user_of_the_directory_follows_the_directory() {
    let lab = Lab::new("auth-sessions-ldap");
    let password = super::PASSWORD;
    let people = |lena: &'static str| [("lena", password, lena), ("lars", password, "ops")];
    let mut directory = Directory::start(&lab, &people("ops")).await;
    let secret = json!({ "bindDN": SEARCHER, "bindPassword": SEARCHER_PASSWORD });
    let mut config = access(&lab);
    merge(
        &mut config,
        &json!({ "http": { "auth": { "ldap": {
            "address": "localhost", "port": directory.port(), "insecure": true, "startTLS": true,
            "cacert": directory.authority, "credentialsFile": lab.file("ldap.json", &secret.to_string()),
            "baseDN": BASE, "subtreeSearch": true, "userAttribute": "uid",
            "userFilter": "(!(departmentNumber=left))", "userGroupAttribute": "departmentNumber",
        } } } }),
    );
    let mut cluster = Cluster::configured(&lab, 3, &config).await;
    let each: Vec<Client> = (0..3).map(|replica| cluster.client_of(replica)).collect();
    fill(&each[0], &Login::password("admin")).await;
    let (lena, lars) =
        (log_in(&each[0], &Login::password("lena")).await, log_in(&each[0], &Login::password("lars")).await);
    everywhere(&each, &lena, 200, "a session").await;
    assert_eq!(lena.push(&each[1], "team/new", "v1", "x").await, 201, "by the group");
    // What replicas remember for half a minute goes with them.
    let restart = async |cluster: &mut Cluster| {
        for replica in &mut cluster.replicas {
            replica.kill();
            replica.restart().await;
        }
    };
    directory.modify(&lab, "lena", "replace: departmentNumber\ndepartmentNumber: sales");
    restart(&mut cluster).await;
    everywhere(&each, &lena, 200, "a session").await;
    assert_eq!(lena.push(&each[1], "team/new", "v2", "x").await, 403, "another group");
    directory.modify(&lab, "lena", "replace: departmentNumber\ndepartmentNumber: left");
    restart(&mut cluster).await;
    everywhere(&each, &lena, 401, "of a user whom the filter leaves out").await;
    everywhere(&each, &lars, 200, "another user").await;
    directory.kill();
    restart(&mut cluster).await;
    everywhere(&each, &lars, 503, "without the directory nobody knows").await;
    no_secret_in_logs(&cluster.replicas, &[]);
}
