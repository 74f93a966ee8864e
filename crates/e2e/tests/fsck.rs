//! `wharf fsck` beside a registry that is used: it accuses nobody, can be interrupted and goes on, finds what does not belong,
//! takes it away when it is told to, and says what is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use wharf_e2e::content::digest;
use wharf_e2e::image::Image;
use wharf_e2e::process::Process;
use wharf_e2e::registry::Cluster;
use wharf_e2e::{Client, Lab, Registry, say, scale, tools, wait};

/// How often a walk is stopped.
const STOPS: u32 = 5;

/// An id that no upload ever gets.
const STRAY: &str = "00000000000000000000000000000007";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_walked_while_it_serves() {
    let lab = Lab::new("fsck");
    let cluster = Cluster::start(&lab, 2).await;
    let client = cluster.alternating();
    let images = scale("WHARF_E2E_FSCK_IMAGES", 60);
    for number in 0..images {
        Image::new(number, 4 << 10).push(&client, &format!("fsck/r{}", number % 7), &format!("t{number}")).await;
    }
    let config = cluster.replicas[0].config();

    let work = tokio::spawn(work(client.clone(), images));
    let mut walks = 0;
    for flags in [&["--scrub"][..], &["--repair", "--batch", "50"], &["--scrub", "--at-once", "4"]] {
        let (code, events, errors) = fsck(config, flags).await;
        assert_eq!((code, findings(&events)), (Some(0), vec![]), "{errors}");
        walks += 1;
    }
    assert!(interrupted_it_goes_on(&lab, config).await > 0, "it was never stopped");
    assert!(!work.is_finished(), "the work ended before the walks");
    work.abort();
    let _ = work.await;

    assert!(cluster.store.bucket().put_empty(&format!("data/{STRAY}")), "the store takes no object");
    let (code, events, _) = fsck(config, &[]).await;
    assert_eq!((code, findings(&events)), (Some(1), vec!["stray-data open".to_owned()]));
    let (code, events, _) = fsck(config, &["--repair"]).await;
    assert_eq!((code, findings(&events)), (Some(1), vec!["stray-data removed".to_owned()]));
    let (code, events, _) = fsck(config, &["--scrub"]).await;
    assert_eq!((code, findings(&events)), (Some(0), vec![]));
    let last = events.last().unwrap();
    say!("{walks} walks beside pushes and deletions found nothing; the last one: {}", last["checked"]);
}

/// Stopped by a signal as soon as it says something, a few times, and then left to come to its end. (Who stops it each time in the middle
/// of a batch of data keeps it there for ever.)
/// Answers how often it was stopped: a short walk may be faster than the signal.
async fn interrupted_it_goes_on(lab: &Lab, config: &Path) -> u32 {
    let note = lab.path().join("fsck.state");
    let flags = ["--json", "--scrub", "--at-once", "1", "--resume", note.to_str().unwrap()];
    let (mut stops, mut has_gone_on) = (0, false);
    loop {
        let log = lab.log(&format!("fsck-{stops}"));
        let mut process = Process::start("fsck", &command(config, &flags), &log);
        if stops < STOPS {
            wait::until("the walk says something", wait::START, async || {
                process.output().contains(r#""event":"#) || !process.is_alive()
            })
            .await;
            if process.is_alive() {
                process.terminate();
            }
        }
        let status = process.ended(Duration::from_secs(300)).await;
        has_gone_on |= process.output().contains("going on where the last walk stopped");
        match status.code() {
            Some(0) => break,
            Some(2) => assert!(process.output().contains("go on with: wharf fsck"), "{}", process.output()),
            other => panic!("{other:?}: {}", process.output()),
        }
        stops += 1;
        assert!(note.exists(), "after {stops} stops");
    }
    assert_eq!(stops > 0, has_gone_on, "{stops} stops");
    assert!(!note.exists(), "the note of a walk that is over");
    say!("stopped {stops} times, it went on each time and came to its end");
    stops
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_says_what_it_lost() {
    let lab = Lab::new("fsck-local");
    let mut registry = Registry::local(&lab).await;
    let client = registry.client();
    let images: Vec<Image> = (0..5).map(|number| Image::new(number, 4 << 10)).collect();
    for (number, image) in images.iter().enumerate() {
        image.push(&client, "fsck/local", &format!("t{number}")).await;
    }
    let replica = &mut registry.replicas()[0];
    let config = replica.config().to_owned();
    // The server makes the walk, while it goes on serving.
    let work = tokio::spawn(work(client.clone(), 100));
    let (code, events, errors) = fsck(&config, &["--scrub", "--repair"]).await;
    assert_eq!((code, findings(&events)), (Some(0), vec![]), "{errors}");
    interrupted_it_goes_on(&lab, &config).await;
    work.abort();
    let _ = work.await;
    replica.terminate();
    replica.ended(Duration::from_secs(30)).await;
    let (code, events, errors) = fsck(&config, &["--scrub"]).await;
    assert_eq!((code, findings(&events)), (Some(0), vec![]), "{errors}");

    // One flipped byte in one layer.
    let layer = &images[3].layer;
    let path = file_with(&lab.path().join("registry/data"), layer);
    let mut bytes = layer.to_vec();
    bytes[17] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (code, events, _) = fsck(&config, &[]).await;
    assert_eq!((code, findings(&events)), (Some(0), vec![]), "only a scrub reads the bytes of blobs");
    let (code, events, _) = fsck(&config, &["--scrub"]).await;
    assert_eq!((code, findings(&events)), (Some(1), vec!["bytes-damaged open".to_owned()]));
    let finding = events.iter().find(|event| event["event"] == "finding").unwrap();
    assert_eq!(finding["blob"], digest(layer));
    assert_eq!(finding["needed_by"][0], "fsck/local");

    std::fs::remove_file(&path).unwrap();
    let output = run(&mut command(&config, &["--repair"])).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("LOST") && text.contains("bytes-lost") && text.contains("cannot be repaired here"), "{text}");

    std::fs::write(&path, layer).unwrap();
    let (code, _, _) = fsck(&config, &["--scrub"]).await;
    assert_eq!(code, Some(0), "brought back, all is well");
}

/// Pushes and deletes until it is cancelled.
async fn work(client: Client, first: u64) {
    for number in first.. {
        let image = Image::new(number, 4 << 10);
        let repository = format!("fsck/r{}", number % 7);
        image.push(&client, &repository, "moving").await;
        if number % 2 == 0 {
            let path = format!("/v2/{repository}/manifests/{}", image.digest());
            client.request(reqwest::Method::DELETE, &path).send().await.unwrap();
        }
    }
}

fn command(config: &Path, flags: &[&str]) -> Command {
    let mut command = tools::wharf_command(tools::wharf());
    command.arg("fsck").arg(config).args(flags);
    command
}

async fn run(command: &mut Command) -> Output {
    tokio::task::block_in_place(|| command.output().unwrap())
}

/// The exit status, the events, and what it said beside.
async fn fsck(config: &Path, flags: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let output = run(command(config, flags).arg("--json")).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), events, all)
}

/// The kinds that were found, each with what was done about it.
fn findings(events: &[Value]) -> Vec<String> {
    let of = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let found = events.iter().filter(|event| event["event"] == "finding");
    found.map(|event| format!("{} {}", of(event, "kind"), of(event, "repair"))).collect()
}

/// The file that has these bytes.
fn file_with(directory: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let folders = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files.find(|path| std::fs::read(path).unwrap() == bytes).unwrap()
}
