//! What is revoked, on every replica; and passwords that are tried.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use wharf_e2e::registry::Cluster;
use wharf_e2e::replica::merge;
use wharf_e2e::{Client, Lab, say, wait};

use super::{FILE, Login, WRONG, access, no_secret_in_logs, users};

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
