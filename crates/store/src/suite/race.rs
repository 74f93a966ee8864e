//! Records that many write at once.

use std::sync::Arc;

use futures::future::join_all;

use super::records::{delete, get, put};
use super::{RACERS, done};
use crate::{ETag, Put, Records};

/// Lets everybody write at the same moment; answers what each was told.
async fn race(store: &Arc<dyn Records>, key: &str, known: Option<&ETag>) -> Vec<Put> {
    let gate = Arc::new(tokio::sync::Barrier::new(RACERS));
    let racers = (0..RACERS).map(|racer| {
        let (store, gate, key, known) = (Arc::clone(store), Arc::clone(&gate), key.to_owned(), known.cloned());
        tokio::spawn(async move {
            gate.wait().await;
            let value = format!("racer {racer}").into();
            match known {
                Some(known) => store.put_if_match(&key, value, &known).await,
                None => store.put_if_absent(&key, value).await,
            }
        })
    });
    join_all(racers).await.into_iter().map(|put| done(done(put, "a racer"), "a conditional write")).collect()
}

/// Exactly one was done, and the record is that one's.
async fn one_won(store: &dyn Records, key: &str, puts: &[Put]) {
    let winners: Vec<_> = puts.iter().zip(0..).filter(|(put, _)| **put != Put::Lost).collect();
    let [(Put::Done(etag), racer)] = winners[..] else {
        panic!("{} of {RACERS} racing writes were done, not 1", winners.len());
    };
    let Some(record) = get(store, key).await else { panic!("the winner's record is not there") };
    assert_eq!(record.value, format!("racer {racer}"), "the record is the winner's");
    assert_eq!(record.etag, *etag, "under the tag that the winner was told");
}

pub(super) async fn creations(store: &Arc<dyn Records>, key: &str) {
    for _ in 0..3 {
        let puts = race(store, key, None).await;
        one_won(&**store, key, &puts).await;
        delete(&**store, key).await;
    }
}

pub(super) async fn replacements(store: &Arc<dyn Records>, key: &str) {
    let mut known = put(&**store, key, "start").await;
    for _ in 0..3 {
        let puts = race(store, key, Some(&known)).await;
        one_won(&**store, key, &puts).await;
        known = put(&**store, key, "start again").await;
    }
    delete(&**store, key).await;
}

/// A counter that several raise loses nothing.
pub(super) async fn increments(store: &Arc<dyn Records>, key: &str) {
    const WRITERS: u64 = 4;
    const EACH: u64 = 5;
    put(&**store, key, "0 start").await;
    let writers = (0..WRITERS).map(|writer| {
        let (store, key) = (Arc::clone(store), key.to_owned());
        tokio::spawn(async move {
            for round in 0..EACH {
                while !raise(&*store, &key, &format!("{writer}.{round}")).await {}
            }
        })
    });
    for writer in join_all(writers).await {
        done(writer, "a writer");
    }
    assert_eq!(count(&get(&**store, key).await.map(|r| r.value).unwrap_or_default()), WRITERS * EACH);
    delete(&**store, key).await;
}

fn count(value: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(value);
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("the counter is {text:?}"))
}

/// Raises the counter once, or is too late.
async fn raise(store: &dyn Records, key: &str, nonce: &str) -> bool {
    let Some(record) = get(store, key).await else { panic!("the counter is gone") };
    let value = format!("{} {nonce}", count(&record.value) + 1);
    done(store.put_if_match(key, value.into(), &record.etag).await, "put_if_match") != Put::Lost
}
