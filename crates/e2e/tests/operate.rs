//! What an operator does with a running replica: figures, the collector's commands, and a configuration that is read again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_e2e::client::expect;
use wharf_e2e::content::digest;
use wharf_e2e::image::Image;
use wharf_e2e::{Client, Lab, Replica, Seaweed, Storage, say, tools, wait};

const REPOSITORY: &str = "operate/image";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_disk() {
    let lab = Lab::new("operate-local");
    let directory = lab.directory("registry");
    let replica = start(&lab, &Storage::Local(directory.clone())).await;
    let mode = std::fs::metadata(directory.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the control socket is its owner's alone");
    collects(&replica, true).await;
    reloads(&lab, &replica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket() {
    let lab = Lab::new("operate-bucket");
    let store = Seaweed::start(&lab).await;
    let replica = start(&lab, &Storage::S3(store.bucket())).await;
    collects(&replica, false).await;
}

/// Keeps things for a second, and collects only when it is told to.
async fn start(lab: &Lab, storage: &Storage) -> Replica {
    let more = json!({
        "storage": {"gcDelay": "1s", "gcInterval": "12h"},
        "extensions": {"metrics": {"enable": true}},
    });
    Replica::configured(lab, "wharf", storage, &more).await
}

async fn collects(replica: &Replica, asks_the_server: bool) {
    let client = Client::new([replica.address()]);
    let image = Image::new(1, 100_000);
    image.push(&client, REPOSITORY, "one").await;
    let page = figures(&client).await;
    assert!(page.contains("wharf_http_requests_total{method=\"PUT\",route=\"manifest\",status=\"201\"} 1"), "{page}");
    assert!(!page.contains("operate"), "figures name no repository");

    let layer = digest(&image.layer);
    let facts = &gc(replica, &["explain"], &[&layer])[0];
    assert_eq!(facts["holders"][0]["repository"], REPOSITORY);
    assert!(facts["holders"].as_array().unwrap().iter().any(|holder| holder["standing"] == "needed"), "{facts}");
    let status = &gc(replica, &["status"], &[])[0];
    assert!(status["work_list"]["entries"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(status["process"].is_object(), asks_the_server, "{status}");

    let path = format!("/v2/{REPOSITORY}/manifests/{}", image.digest());
    expect(client.request(Method::DELETE, &path), StatusCode::ACCEPTED).await;
    let would_go = |steps: &[Value]| {
        let of_layer = |step: &&Value| {
            step["step"]["action"] == "delete" && step["step"]["subject"].as_str().unwrap().contains(&layer)
        };
        steps.iter().filter(of_layer).count()
    };
    wait::until("the layer is due", PATIENCE, async || would_go(&gc(replica, &["run", "--dry-run"], &[])) > 0).await;
    let facts = &gc(replica, &["explain"], &[&layer])[0];
    assert_eq!(facts["blob"]["stored"], image.layer.len(), "a dry run deletes nothing: {facts}");

    let steps = gc(replica, &["run"], &[]);
    let summary = &steps.last().unwrap()["summary"];
    assert!(summary["deleted"].as_u64().unwrap() > 0, "{summary}");
    let facts = &gc(replica, &["explain"], &[&layer])[0];
    assert_eq!((&facts["blob"]["state"], &facts["blob"]["stored"]), (&json!("gone"), &Value::Null), "{facts}");
    if asks_the_server {
        let page = figures(&client).await;
        let freed = page.lines().find_map(|line| line.strip_prefix("wharf_gc_freed_bytes_total ")).unwrap();
        assert!(freed.parse::<f64>().unwrap() >= image.layer.len() as f64, "{freed}");
    }
    let text = wharf(replica.config(), &["status"], &[]);
    assert!(text.starts_with("Work list: "), "{text}");
    say!("gc status, run and explain: {} steps, {} bytes went", steps.len() - 1, summary["bytes"]);
}

async fn reloads(lab: &Lab, replica: &Replica) {
    let client = Client::new([replica.address()]);
    let mut config: Value = serde_json::from_slice(&std::fs::read(replica.config()).unwrap()).unwrap();
    // The command reads a configuration too: one that stays as it is.
    let own = lab.file("operator.json", &config.to_string());
    let delay = || told(&wharf(&own, &["status", "--json"], &[]))[0]["delay"].as_u64();
    config["storage"]["gcDelay"] = json!("2h");
    config["storage"]["cacheMemory"] = json!("32MiB");
    assert_eq!(delay(), Some(1));
    let name = replica.config().file_name().unwrap().to_str().unwrap().to_owned();
    let _ = lab.file(&name, &config.to_string());
    replica.hang_up();
    wait::until("the delay is in effect", PATIENCE, async || delay() == Some(7200)).await;
    let log = replica.log();
    assert!(log.contains("storage.cacheMemory") && log.contains("after a restart"), "{log}");

    config["storage"]["gcDelay"] = json!("two hours");
    let _ = lab.file(&name, &config.to_string());
    replica.hang_up();
    wait::until("the bad file is refused", PATIENCE, async || {
        figures(&client).await.contains("wharf_config_last_reload_accepted 0")
    })
    .await;
    assert_eq!(delay(), Some(7200), "the old one stays in effect");
    assert!(replica.log().contains("storage.gcDelay = "), "the log says what is wrong");

    // Nobody has to say that the file is another one.
    config["storage"]["gcDelay"] = json!("3h");
    let _ = lab.file(&name, &config.to_string());
    wait::until("the change is noticed", PATIENCE, async || delay() == Some(10_800)).await;
    say!("reloads: by SIGHUP, refused, and by a change of the file");
}

async fn figures(client: &Client) -> String {
    expect(client.request(Method::GET, "/metrics"), StatusCode::OK).await.text().await.unwrap()
}

/// What a command of `wharf gc` tells, line by line.
fn gc(replica: &Replica, command: &[&str], arguments: &[&str]) -> Vec<Value> {
    told(&wharf(replica.config(), &[command, &["--json"]].concat(), arguments))
}

fn told(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wharf(config: &Path, command: &[&str], arguments: &[&str]) -> String {
    let mut process = tools::wharf_command(tools::wharf());
    tools::run(process.arg("gc").args(command).arg(config).args(arguments))
}
