//! What only S3 has: other processes, messages, the probe's duration.

use std::process::Command;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use serde_json::{Map, Value};
use wharf_store::{
    Check, Data, Family, Generation, ListRequest, ObjectStore, Outcome, Part, Presign, Records, S3Settings, StoreError,
    StoreResult, connect_s3, probe,
};

use super::{endpoint, s3, s3_options};

/// Set for a process that writes one part: the rest of the environment says which.
const WORKER: &str = "WHARF_TEST_WORKER";

fn connect(options: &Map<String, Value>) -> ObjectStore {
    connect_s3(&S3Settings::new(options).unwrap()).unwrap()
}

fn with(options: &Map<String, Value>, key: &str, value: &str) -> Map<String, Value> {
    let mut options = options.clone();
    options.insert(key.to_owned(), value.into());
    options
}

#[tokio::test]
async fn s3_is_probed_quickly() {
    let Some(store) = s3() else { return };
    for round in 0..3 {
        let probe = probe(&store, &store, rand::random()).await;
        println!("probe {round}: {:?}\n{probe}", probe.took);
        probe.verdict(false).unwrap();
        assert!(probe.findings.iter().all(|finding| finding.outcome == Outcome::Passed), "{probe}");
        // A writer of SeaweedFS that meets another waits a second before it tries again, and the first write of all waits
        // until there is room.
        let is_race = |check| matches!(check, Check::PutIfAbsentRace | Check::PutIfMatchRace);
        let others = probe.findings.iter().filter(|finding| round > 0 && !is_race(finding.check));
        for finding in others {
            assert!(finding.took < Duration::from_secs(1), "{finding:?}");
        }
    }
    assert_eq!(Data::list(&store, "", None, 10).await.unwrap().data, []);
    let request = ListRequest { prefix: "", after: None, fold: false, limit: 10 };
    assert_eq!(Records::list(&store, request).await.unwrap().entries, []);
    assert_eq!(store.unfinished("").await.unwrap(), []);
}

/// One process begins, three write a part each, and another completes.
#[tokio::test]
async fn s3_uploads_go_on_in_other_processes() {
    let Some(options) = s3_options() else { return };
    let store = connect(&options);
    let generation = Family::new(rand::random()).first();
    let upload = store.start(&generation).await.unwrap();
    let mut parts = Vec::new();
    for number in 1..=3 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["s3::a_worker_writes_one_part", "--exact", "--nocapture"])
            .env(WORKER, serde_json::to_string(&(&options, &generation, &upload, number)).unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.split_once("PART ")).unwrap_or_else(|| panic!("{output:?}"));
        parts.push(serde_json::from_str::<Part>(line.1).unwrap());
    }
    let store = connect(&options);
    store.complete(&generation, &upload, &parts).await.unwrap();
    let all: BytesMut = (1..=3).flat_map(part_of).collect();
    let read = store.read(&generation, 0..all.len() as u64).await.unwrap();
    let read = read.try_fold(BytesMut::new(), |mut sum, chunk| async move {
        sum.extend_from_slice(&chunk);
        Ok(sum)
    });
    assert!(read.await.unwrap() == all, "what three processes wrote");
    Data::delete(&store, &generation).await.unwrap();
}

fn part_of(number: u32) -> Bytes {
    let len = if number == 3 { 17 } else { 5 << 20 };
    Bytes::from(vec![u8::try_from(number).unwrap(); len])
}

/// Does nothing but as a process of [`s3_uploads_go_on_in_other_processes`].
#[tokio::test]
async fn a_worker_writes_one_part() {
    let Ok(work) = std::env::var(WORKER) else { return };
    let (options, generation, upload, number): (Map<String, Value>, Generation, String, u32) =
        serde_json::from_str(&work).unwrap();
    let value = part_of(number);
    let size = value.len() as u64;
    let tag = connect(&options).put_part(&generation, &upload, number, 0, vec![value]).await.unwrap();
    println!("\nPART {}", serde_json::to_string(&Part { number, size, tag }).unwrap());
}

#[tokio::test]
async fn s3_presigned_urls_answer_the_type_that_was_asked_for() {
    let Some(store) = s3() else { return };
    let generation = Family::new(rand::random()).first();
    Data::put(&store, &generation, vec![Bytes::from_static(b"bytes")]).await.unwrap();
    let content_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let options = Presign { lifetime: Duration::from_secs(60), content_type: content_type.to_owned() };
    let url = store.presign(&generation, &options).await.unwrap().unwrap();
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.headers()["content-type"], content_type);
    Data::delete(&store, &generation).await.unwrap();
}

/// Every call says the same of a fault, and nothing of it is a secret.
async fn messages(options: &Map<String, Value>) -> Vec<StoreError> {
    fn error<T>(operation: &str, result: StoreResult<T>) -> StoreError {
        match result {
            Ok(_) => panic!("{operation} succeeded"),
            Err(e) => e,
        }
    }
    let store = connect(options);
    let generation = Family::new(1).first();
    let request = ListRequest { prefix: "a/", after: None, fold: false, limit: 10 };
    let part = Part { number: 1, size: 1, tag: "\"0\"".to_owned() };
    let all = vec![
        error("get", store.get("a/b").await),
        error("put", Records::put(&store, "a/b", Bytes::new()).await),
        error("put_if_absent", store.put_if_absent("a/b", Bytes::new()).await),
        error("list", Records::list(&store, request).await),
        error("list data", Data::list(&store, "", None, 10).await),
        error("put data", Data::put(&store, &generation, vec![]).await),
        error("start", store.start(&generation).await),
        error("put_part", store.put_part(&generation, "upload", 1, 0, vec![]).await),
        error("complete", store.complete(&generation, "upload", &[part]).await),
        error("unfinished", store.unfinished("").await),
        error("read", store.read(&generation, 0..1).await.map(drop)),
    ];
    for error in &all {
        let text = format!("{error} {error:?} {store:?}");
        println!("{error}");
        assert!(
            !text.contains("wharfsecret") && !text.contains("not the secret") && !text.contains("Signature="),
            "a secret in {text}"
        );
    }
    all
}

fn refused_with(error: &StoreError, words: &[&str]) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(words.iter().all(|word| text.contains(word)), "not all of {words:?} in: {text}");
}

#[tokio::test]
async fn s3_says_what_is_wrong_with_credentials() {
    let Some(options) = s3_options() else { return };
    let place = endpoint("WHARF_TEST_S3_ENDPOINT").unwrap();
    for (key, value) in [("accesskey", "nobody"), ("secretkey", "not the secret")] {
        for error in messages(&with(&options, key, value)).await {
            refused_with(&error, &["403", "accesskey and secretkey", &place, "\"wharf\""]);
        }
    }
}

/// SeaweedFS makes a bucket when something is put into it, so that only what reads is asked for.
#[tokio::test]
async fn s3_says_that_there_is_no_such_bucket() {
    let Some(options) = s3_options() else { return };
    let store = connect(&with(&options, "bucket", "elsewhere"));
    let request = ListRequest { prefix: "a/", after: None, fold: false, limit: 10 };
    let generation = Family::new(1).first();
    for error in [
        store.get("a/b").await.unwrap_err(),
        Records::list(&store, request).await.unwrap_err(),
        Data::list(&store, "", None, 10).await.unwrap_err(),
        store.read(&generation, 0..1).await.map(drop).unwrap_err(),
        store.unfinished("").await.unwrap_err(),
    ] {
        println!("{error}");
        refused_with(&error, &["NoSuchBucket", "\"elsewhere\"", "create it"]);
    }
}

#[tokio::test]
async fn s3_says_that_nobody_listens() {
    let options = serde_json::json!({
        "regionendpoint": "http://127.0.0.1:1", "bucket": "wharf", "accesskey": "a", "secretkey": "b"
    });
    let Value::Object(options) = options else { panic!() };
    let start = Instant::now();
    for error in messages(&options).await {
        let text = error.to_string();
        assert!(error.is_transient(), "{error:?}");
        assert!(text.contains("http://127.0.0.1:1") && text.contains("refused"), "{text}");
    }
    assert!(start.elapsed() < Duration::from_secs(3), "nobody retries here");
}

/// A service that answers every request with the same.
async fn answering(answer: &'static str) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 65536];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn s3_that_is_overloaded_is_unavailable() {
    let answers = [
        ("503 ", "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        ("500 ", "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        ("429 ", "HTTP/1.1 429 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        ("", ""),
    ];
    for (status, answer) in answers {
        let address = answering(answer).await.to_string();
        let options = serde_json::json!({ "regionendpoint": address, "secure": false, "bucket": "wharf", "accesskey": "a", "secretkey": "b" });
        let Value::Object(options) = options else { panic!() };
        for error in messages(&options).await {
            assert!(error.is_transient(), "{answer:?}: {error:?}");
            assert!(format!("{error} ").contains(status), "{error}");
        }
    }
}

/// The source of the credentials, and not the bucket, has nothing: an absent object would be another matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_without_credentials_is_no_empty_store() {
    let Some(options) = s3_options() else { return };
    let nobody = answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    for (source, kind, words) in [
        (nobody.to_string(), "Refused", "127.0.0.1 answered 404"),
        ("127.0.0.1:1".to_owned(), "Unavailable", "refused"),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["s3::a_worker_has_no_credentials", "--exact", "--nocapture"])
            .env(WORKER, serde_json::to_string(&options).unwrap())
            .env("AWS_METADATA_ENDPOINT", format!("http://{source}"))
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(text.contains(kind) && text.contains(words), "{text}");
        assert!(text.contains("there are no credentials: 127.0.0.1") && text.contains("set accesskey and"), "{text}");
    }
}

/// Does nothing but as the process of [`s3_without_credentials_is_no_empty_store`], which has an environment of its own.
#[tokio::test]
async fn a_worker_has_no_credentials() {
    let Some(mut options) =
        std::env::var(WORKER).ok().and_then(|o| serde_json::from_str::<Map<String, Value>>(&o).ok())
    else {
        return;
    };
    options.retain(|key, _| !["accesskey", "secretkey"].contains(&key.as_str()));
    println!("{:?}", connect(&options).get("a/b").await);
}
