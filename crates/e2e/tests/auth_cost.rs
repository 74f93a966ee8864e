//! What a token costs a pull: the same things are pulled by nobody and with a token, turn by turn in one run from one process on the
//! local disk, where there is least else to wait for. Not part of every run, since it says something only on a machine that does
//! nothing else: `just auth-cost`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharf_e2e::image::Image;
use wharf_e2e::{Client, Lab, Replica, Storage, say, scale};

const PULLERS: usize = 4;
/// Pulls of one turn.
const PULLS: usize = 2000;
const PASSWORD: &str = "correct-horse-42";
/// Its hash by bcrypt at cost 6.
const HASH: &str = "$2b$06$abcdefghijklmnopqrstuuB6JdqMl/K7z/8X6IID0fFtO6imfeZ6C";
const NAME: &str = "public/app";

/// What a turn took: of the day, and of the server's processors.
#[derive(Clone, Copy)]
struct Took {
    time: Duration,
    processors: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures times, on a machine that does nothing else: just auth-cost"]
async fn of_a_token() {
    let lab = Lab::new("auth-cost-of-a-token");
    let anyone = json!({ "anonymousPolicy": ["read"], "defaultPolicy": ["read", "create"] });
    let config = json!({ "http": {
        "auth": { "htpasswd": { "path": lab.file("htpasswd", &format!("admin:{HASH}\n")) }, "apikey": true },
        "accessControl": { "repositories": { "public/**": anyone } },
    } });
    let replica = Replica::configured(&lab, "wharf", &Storage::Local(lab.directory("registry")), &config).await;
    let client = Client::new([replica.address()]);
    let token = token(&client).await;
    let image = Image::new(9, 256 << 10);
    let by_token = client.clone().with_token(&token);
    image.push(&by_token, NAME, "v1").await;
    let layer = wharf_e2e::content::digest(&image.layer);
    for (what, path) in
        [("manifest", format!("/v2/{NAME}/manifests/v1")), ("blob of 256 KiB", format!("/v2/{NAME}/blobs/{layer}"))]
    {
        // Both are warm.
        for client in [&client, &by_token] {
            turn(&replica, client, &path).await;
        }
        let (mut times, mut processors, mut each) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..scale("WHARF_E2E_ROUNDS", 15) {
            // Whatever gets slower or faster meanwhile does so for both.
            let (nobody, token) = if round % 2 == 0 {
                let nobody = turn(&replica, &client, &path).await;
                (nobody, turn(&replica, &by_token, &path).await)
            } else {
                let token = turn(&replica, &by_token, &path).await;
                (turn(&replica, &client, &path).await, token)
            };
            times.push(token.time.as_secs_f64() / nobody.time.as_secs_f64());
            processors.push(token.processors.as_secs_f64() / nobody.processors.as_secs_f64());
            each.push(nobody.time.as_secs_f64() * 1e6 / PULLS as f64);
        }
        say!(
            "{what}: with a token {:.3} times the time ({:.3} to {:.3}) and {:.3} times the processor time of nobody's, {:.0} µs",
            median(&mut times),
            times[0],
            times[times.len() - 1],
            median(&mut processors),
            median(&mut each),
        );
    }
    say!("at most 1.1 is wanted");
}

async fn token(client: &Client) -> String {
    let path = format!("/token?service=wharf&scope=repository:{NAME}:pull,push");
    let answer = client.request(Method::GET, &path).basic_auth("admin", Some(PASSWORD)).send().await.unwrap();
    let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    document["token"].as_str().unwrap().to_owned()
}

/// Pulls one thing again and again, on several connections.
async fn turn(replica: &Replica, client: &Client, path: &str) -> Took {
    let (begin, before) = (Instant::now(), replica.processor_time());
    let mut pullers = JoinSet::new();
    for _ in 0..PULLERS {
        let (client, path) = (client.clone(), path.to_owned());
        pullers.spawn(async move {
            for _ in 0..PULLS / PULLERS {
                let answer = client.request(Method::GET, &path).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
            }
        });
    }
    while let Some(puller) = pullers.join_next().await {
        puller.unwrap();
    }
    Took { time: begin.elapsed(), processors: replica.processor_time() - before }
}

/// The one in the middle; the list is sorted afterwards.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
