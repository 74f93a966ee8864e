//! What a busy collector does to pushes: manifests are pushed while the collector has nothing to do and while it has, turn by turn in
//! one run, and the slowest of a hundred are compared. Not part of every run, since it says something only on a machine that does
//! nothing else: `just push-latency`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::task::JoinSet;
use wharf_e2e::image::{Image, MANIFEST};
use wharf_e2e::{Bucket, Client, Lab, Replica, Seaweed, Storage, say, scale, wait};

const PUSHERS: u64 = 4;
/// How long after its deletion an image is collected, in seconds.
const DELAY: u64 = 30;
/// How long pushes are measured at a time.
const WINDOW: Duration = Duration::from_secs(6);
const GARBAGE: u64 = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures times, on a machine that does nothing else: just push-latency"]
async fn of_a_busy_collector_and_an_idle_one() {
    let lab = Lab::new("push-latency");
    let store = Seaweed::start(&lab).await;
    let settings = json!({"storage": {"gcDelay": format!("{DELAY}s"), "gcInterval": "1s"}});
    let replica = Replica::configured(&lab, "wharf", &Storage::S3(store.bucket()), &settings).await;
    let client = Client::new([replica.address()]);
    let bucket = store.bucket();
    for pusher in 0..PUSHERS {
        base().push(&client, &repository(pusher), "base").await;
    }
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    for round in 0..scale("WHARF_E2E_ROUNDS", 6) {
        wait::until("the collector has nothing to do", Duration::from_secs(300), async || {
            tokio::time::sleep(Duration::from_millis(500)).await;
            bucket.list("due/").is_empty()
        })
        .await;
        make_garbage(&client, round).await;
        let pushes = measure(&client, round, "idle", || true).await;
        if overdue(&bucket) == 0 {
            idle.extend(pushes);
        } else {
            say!("round {round}: the garbage was due before the idle pushes ended: they do not count");
        }
        wait::until("garbage is due", Duration::from_secs(2 * DELAY), async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            overdue(&bucket) > GARBAGE as usize
        })
        .await;
        busy.extend(measure(&client, round, "busy", || overdue(&bucket) > 0).await);
    }
    idle.sort_unstable();
    busy.sort_unstable();
    assert!(idle.len() > 200 && busy.len() > 200, "too few pushes: {} and {}", idle.len(), busy.len());
    let ratio = quantile(&busy, 99).as_secs_f64() / quantile(&idle, 99).as_secs_f64();
    for (name, times) in [("idle", &idle), ("busy", &busy)] {
        say!(
            "{} manifest pushes with the collector {name}: half within {:.1} ms, 99 of 100 within {:.1} ms",
            times.len(),
            quantile(times, 50).as_secs_f64() * 1000.0,
            quantile(times, 99).as_secs_f64() * 1000.0,
        );
    }
    say!("ratio of the latter: {ratio:.2}, at most 1.5 is wanted");
}

fn repository(pusher: u64) -> String {
    format!("latency/r{pusher}")
}

fn base() -> Image {
    Image::new(1, 10_000)
}

/// Pushes images into the measured repositories and deletes them.
async fn make_garbage(client: &Client, round: u64) {
    let mut makers = JoinSet::new();
    for maker in 0..PUSHERS {
        let client = client.clone();
        makers.spawn(async move {
            for number in 0..GARBAGE / PUSHERS {
                let image = Image::new(round << 32 | maker << 16 | number | 1 << 48, 2_000);
                let repository = repository(maker);
                image.push(&client, &repository, "garbage").await;
                let path = format!("/v2/{repository}/manifests/{}", image.digest());
                let answer = client.request(reqwest::Method::DELETE, &path).send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 202);
            }
        });
    }
    while let Some(maker) = makers.join_next().await {
        maker.unwrap();
    }
}

/// Pushes manifests for the time of a window, at most as long as `goes_on` says so; how long each took.
async fn measure(client: &Client, round: u64, phase: &'static str, goes_on: impl Fn() -> bool) -> Vec<Duration> {
    let until = Arc::new(std::sync::Mutex::new(Instant::now() + WINDOW));
    let mut pushers = JoinSet::new();
    for pusher in 0..PUSHERS {
        let (client, until) = (client.clone(), until.clone());
        pushers.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < *until.lock().unwrap() {
                let manifest = named(&format!("{round}-{phase}-{}", took.len()));
                let begin = Instant::now();
                client.push_manifest(&repository(pusher), "measured", MANIFEST, manifest).await;
                took.push(begin.elapsed());
            }
            took
        });
    }
    let begin = Instant::now();
    while begin.elapsed() < WINDOW {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !goes_on() {
            *until.lock().unwrap() = Instant::now();
            break;
        }
    }
    let mut all = Vec::new();
    while let Some(took) = pushers.join_next().await {
        all.extend(took.unwrap());
    }
    all
}

/// The base image's manifest under another name.
fn named(name: &str) -> String {
    let mut manifest: serde_json::Value = serde_json::from_slice(&base_manifest()).unwrap();
    manifest["annotations"] = json!({"test.name": name});
    manifest.to_string()
}

fn base_manifest() -> bytes::Bytes {
    static MADE: std::sync::OnceLock<bytes::Bytes> = std::sync::OnceLock::new();
    MADE.get_or_init(|| base().manifest).clone()
}

/// How many entries of the collector's list are due.
fn overdue(bucket: &Bucket) -> usize {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let is_due = |key: &String| key.split('/').nth(1).and_then(|time| time.parse::<u64>().ok()) <= Some(now);
    bucket.list("due/").keys().filter(|key| is_due(key)).count()
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}
