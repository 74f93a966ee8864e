//! Everything that was acknowledged is there after the process was killed, and opening takes no time.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::{Data, Family, Part, Records};

const ROOT: &str = "WHARF_TEST_KILL_ROOT";
const ROUND: &str = "WHARF_TEST_KILL_ROUND";
const DURABLE: &str = "WHARF_TEST_KILL_DURABLE";
const WRITERS: u32 = 8;

/// What the child writes: a different size for each.
fn bytes_of(writer: u32, number: u32) -> Bytes {
    let len = 200 + (number as usize * 37) % 3000;
    Bytes::from(format!("{writer}.{number};").repeat(len / 4))
}

fn generation_of(round: u32, writer: u32, number: u32) -> Generation {
    Family::new(u128::from(round) << 64 | u128::from(writer) << 120 | u128::from(number)).first()
}

/// The child that is killed. It is no test of its own.
#[test]
#[ignore = "run by the tests below"]
fn child() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = LocalStore::open(&root.join("store"), std::env::var(DURABLE).unwrap() == "true").unwrap();
    let acks = File::options().append(true).create(true).open(root.join("acks")).unwrap();
    let shared = Arc::new((store, Mutex::new(acks)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let writers: Vec<_> = (0..WRITERS).map(|writer| runtime.spawn(write(shared.clone(), round, writer))).collect();
    runtime.block_on(futures::future::join_all(writers));
}

async fn write(shared: Arc<(LocalStore, Mutex<File>)>, round: u32, writer: u32) {
    let (store, acks) = &*shared;
    for number in 0.. {
        let (bytes, id) = (bytes_of(writer, number), generation_of(round, writer, number));
        let key = format!("round/{round}/{writer}/{number}");
        // Durable with the write after it.
        crate::ahead(Records::put(store, &format!("{key}/early"), bytes.clone())).await.unwrap();
        Records::put(store, &format!("{key}/late"), bytes.clone()).await.unwrap();
        match number % 8 {
            0 => Data::put(store, &id, vec![bytes]).await.unwrap(),
            4 => {
                let upload = store.start(&id).await.unwrap();
                let tag = store.put_part(&id, &upload, 1, 0, vec![bytes.clone()]).await.unwrap();
                store.sync(&id, &upload).await.unwrap();
                let whole = Part { number: 1, size: bytes.len() as u64, tag };
                store.complete(&id, &upload, &[whole]).await.unwrap();
            }
            _ => {}
        }
        acks.lock().unwrap().write_all(format!("{round} {writer} {number}\n").as_bytes()).unwrap();
    }
}

/// Runs the child for a while and kills it.
fn run_and_kill(root: &Path, round: u32, durable: bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local::kill_tests::child", "--ignored"])
        .env(ROOT, root)
        .env(ROUND, round.to_string())
        .env(DURABLE, durable.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let acks = root.join("acks");
    let before = std::fs::metadata(&acks).map_or(0, |m| m.len());
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::fs::metadata(&acks).map_or(0, |m| m.len()) < before + 2000 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(u64::from(round) * 13));
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn check(store: &LocalStore, acks: &str) -> u32 {
    let mut versions = HashMap::new();
    let mut checked = 0;
    for line in acks.lines() {
        let numbers: Vec<u32> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        let [round, writer, number] = numbers[..] else { panic!("{line}") };
        let bytes = bytes_of(writer, number);
        for which in ["early", "late"] {
            let record = store.get(&format!("round/{round}/{writer}/{number}/{which}")).await.unwrap();
            let record = record.unwrap_or_else(|| panic!("{line}, {which}, is lost"));
            assert!(record.value == bytes, "{line}, {which}");
            assert_eq!(versions.insert(record.etag, line), None, "a version was given twice");
        }
        if number % 4 == 0 {
            let size = store.size(&generation_of(round, writer, number)).await.unwrap();
            assert_eq!(size, Some(bytes.len() as u64), "{line}");
        }
        checked += 1;
    }
    checked
}

async fn nothing_is_lost(durable: bool) {
    let root = tempfile::tempdir().unwrap();
    let mut longest = Duration::ZERO;
    let mut checked = 0;
    for round in 0..6 {
        run_and_kill(root.path(), round, durable);
        let begun = Instant::now();
        let store = LocalStore::open(&root.path().join("store"), durable).unwrap();
        longest = longest.max(begun.elapsed());
        checked = check(&store, &std::fs::read_to_string(root.path().join("acks")).unwrap()).await;
    }
    eprintln!("durable {durable}: {checked} writes checked, opened in {longest:?} at most");
    assert!(checked > 600, "{checked}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[tokio::test]
async fn nothing_is_lost_of_a_killed_durable_store() {
    nothing_is_lost(true).await;
}

#[tokio::test]
async fn nothing_is_lost_of_a_killed_store_that_does_not_wait_for_the_disk() {
    nothing_is_lost(false).await;
}
