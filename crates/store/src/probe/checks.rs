//! The checks. Each removes what it wrote, whatever came of it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use futures::future::try_join_all;

use super::{Checked, Fault, RACERS, expect};
use crate::{Changed, Data, Generation, ListRequest, Part, Presign, Put, Record, Records, StoreError, StoreResult};

/// What is written where any bytes will do.
const TEXT: &[u8] = b"written by Wharf to try out this store";

/// Removes a record after its check. That the check failed says more than that the removal did.
async fn cleaned(records: &dyn Records, key: &str, checked: Checked) -> Checked {
    let removed = records.delete(key).await;
    checked?;
    Ok(removed?)
}

/// As [`cleaned`], of data.
async fn freed(data: &dyn Data, generation: &Generation, checked: Checked) -> Checked {
    let removed = data.delete(generation).await;
    checked?;
    Ok(removed?)
}

pub(super) async fn read_after_write(records: &dyn Records, key: String) -> Checked {
    let check = async {
        expect(records.get(&key).await?.is_none(), || "a record is there that nobody wrote".to_owned())?;
        let first = records.put(&key, Bytes::from_static(b"1")).await?;
        let read = records.get(&key).await?;
        let written = Record { value: Bytes::from_static(b"1"), etag: first.clone() };
        expect(read.as_ref() == Some(&written), || format!("wrote {written:?} and read {read:?}"))?;
        let same = records.get_if_changed(&key, &first).await?;
        expect(same == Changed::Same, || "a version that is current is read as changed".to_owned())?;
        records.put(&key, Bytes::from_static(b"2")).await?;
        match records.get_if_changed(&key, &first).await? {
            Changed::Now(Some(record)) if &*record.value == b"2" => {}
            now => return Err(Fault::Wrong(format!("wrote 2 over 1 and read {now:?}"))),
        }
        records.delete(&key).await?;
        expect(records.get(&key).await?.is_none(), || "a record was removed and is read".to_owned())
    };
    let checked = check.await;
    cleaned(records, &key, checked).await
}

pub(super) async fn list_after_write(records: &dyn Records, folder: String) -> Checked {
    let (prefix, key) = (format!("{folder}/"), format!("{folder}/record"));
    let check = async {
        records.put(&key, Bytes::from_static(TEXT)).await?;
        let request = ListRequest { prefix: &prefix, after: None, fold: false, limit: 10 };
        let page = records.list(request.clone()).await?;
        let names: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
        expect(names == [key.as_str()], || format!("wrote {key} and listed {names:?}"))?;
        records.delete(&key).await?;
        let page = records.list(request).await?;
        expect(page.entries.is_empty(), || "a record was removed and is listed".to_owned())
    };
    let checked = check.await;
    cleaned(records, &key, checked).await
}

pub(super) async fn put_if_absent(records: &dyn Records, key: String) -> Checked {
    let check = async {
        let put = records.put_if_absent(&key, Bytes::from_static(b"1")).await?;
        let done = is_done(records, &key, &put, b"1").await?;
        expect(done, || "refused where there is no record".to_owned())?;
        let put = records.put_if_absent(&key, Bytes::from_static(b"2")).await?;
        expect(put == Put::Lost, || "done over a record: the store ignores If-None-Match".to_owned())?;
        holds(records, &key, b"1").await
    };
    let checked = check.await;
    cleaned(records, &key, checked).await
}

pub(super) async fn put_if_match(records: &dyn Records, key: String) -> Checked {
    let check = async {
        let old = records.put(&key, Bytes::from_static(b"1")).await?;
        let put = records.put_if_match(&key, Bytes::from_static(b"2"), &old).await?;
        let done = is_done(records, &key, &put, b"2").await?;
        expect(done, || "refused over the current version".to_owned())?;
        let put = records.put_if_match(&key, Bytes::from_static(b"3"), &old).await?;
        expect(put == Put::Lost, || "done over an old version: the store ignores If-Match".to_owned())?;
        holds(records, &key, b"2").await?;
        records.delete(&key).await?;
        let put = records.put_if_match(&key, Bytes::from_static(b"4"), &old).await?;
        expect(put == Put::Lost, || "done where there is no record: the store ignores If-Match".to_owned())
    };
    let checked = check.await;
    cleaned(records, &key, checked).await
}

/// Whether a conditional write took effect. One that lost may have lost to itself: the store may be behind retries, and the
/// answer to the first attempt may not have come.
async fn is_done(records: &dyn Records, key: &str, put: &Put, value: &[u8]) -> StoreResult<bool> {
    Ok(*put != Put::Lost || records.get(key).await?.is_some_and(|record| *record.value == *value))
}

async fn holds(records: &dyn Records, key: &str, value: &'static [u8]) -> Checked {
    let read = records.get(key).await?;
    let is_held = read.as_ref().is_some_and(|record| *record.value == *value);
    expect(is_held, || format!("a write that was refused changed the record: {read:?}"))
}

pub(super) async fn put_if_absent_race(records: &dyn Records, key: String) -> Checked {
    let check = async {
        let puts = (0..RACERS).map(|racer| records.put_if_absent(&key, racer.to_string().into()));
        one_won(records, &key, try_join_all(puts).await?).await
    };
    let checked = check.await;
    cleaned(records, &key, checked).await
}

pub(super) async fn put_if_match_race(records: &dyn Records, key: String) -> Checked {
    let check = async {
        let known = records.put(&key, Bytes::from_static(b"start")).await?;
        let puts = (0..RACERS).map(|racer| records.put_if_match(&key, racer.to_string().into(), &known));
        one_won(records, &key, try_join_all(puts).await?).await
    };
    let checked = check.await;
    cleaned(records, &key, checked).await
}

/// Exactly one racer won, and its value is there. The winner may have been told that it lost; see [`is_done`].
async fn one_won(records: &dyn Records, key: &str, puts: Vec<Put>) -> Checked {
    let told: Vec<_> = (0..RACERS).zip(&puts).filter(|(_, put)| **put != Put::Lost).map(|(racer, _)| racer).collect();
    let read = records.get(key).await?;
    let wrote = (0..RACERS).find(|racer| read.as_ref().is_some_and(|record| record.value == racer.to_string()));
    match (&told[..], wrote) {
        ([], Some(_)) => Ok(()),
        ([winner], wrote) => expect(wrote == Some(*winner), || format!("{winner} won the race, and {read:?} is read")),
        (winners, _) => Err(Fault::Wrong(format!("{} of {RACERS} that raced were done, and not 1", winners.len()))),
    }
}

/// A small part is enough: only the last has no smallest size, and it is the last.
pub(super) async fn multipart(data: &dyn Data, generation: Generation) -> Checked {
    let _claim = data.claim(&generation.family())?;
    let upload = data.start(&generation).await?;
    let check = async {
        let tag = data.put_part(&generation, &upload, 1, 0, vec![Bytes::from_static(TEXT)]).await?;
        data.sync(&generation, &upload).await?;
        let part = Part { number: 1, size: TEXT.len() as u64, tag };
        let wrong = Part { tag: other(&part.tag), ..part.clone() };
        match data.complete(&generation, &upload, &[wrong]).await {
            Err(StoreError::Refused { .. }) => {}
            Err(e) => return Err(e.into()),
            Ok(()) => return Err(Fault::Wrong("completed with a part that was never sent".to_owned())),
        }
        data.complete(&generation, &upload, &[part]).await?;
        let read = collect(data, &generation, 0..TEXT.len() as u64).await?;
        expect(read == TEXT, || "other bytes are read than were sent".to_owned())
    };
    let checked = check.await;
    // Nothing is left of it when it was completed.
    let aborted = data.abort(&generation, &upload).await;
    freed(data, &generation, checked.and_then(|()| Ok(aborted?))).await
}

/// Another tag of the same form.
fn other(tag: &str) -> String {
    let Some(at) = tag.rfind(|c: char| c.is_ascii_alphanumeric()) else { return "none".to_owned() };
    let digit = if tag[at..].starts_with('0') { '1' } else { '0' };
    format!("{}{digit}{}", &tag[..at], &tag[at + 1..])
}

pub(super) async fn ranged_read(data: &dyn Data, generation: Generation) -> Checked {
    let check = async {
        data.put(&generation, vec![Bytes::from_static(TEXT)]).await?;
        let read = collect(data, &generation, 11..16).await?;
        expect(read == &TEXT[11..16], || format!("asked for 5 bytes and read {} that differ", read.len()))
    };
    let checked = check.await;
    freed(data, &generation, checked).await
}

async fn collect(data: &dyn Data, generation: &Generation, range: std::ops::Range<u64>) -> StoreResult<Bytes> {
    let mut stream = data.read(generation, range).await?;
    let mut all = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

pub(super) async fn presigned_url(data: &dyn Data, generation: Generation) -> Checked {
    let options = Presign { lifetime: Duration::from_secs(60), content_type: "text/plain".to_owned() };
    let check = async {
        let Some(url) = data.presign(&generation, &options).await? else { return Err(Fault::NotOffered) };
        data.put(&generation, vec![Bytes::from_static(TEXT)]).await?;
        let fetched = fetch(&url).await;
        // The URL carries a signature.
        let (status, body) = fetched.map_err(|e| Fault::Wrong(format!("not answered: {}", e.without_url())))?;
        expect(status.is_success(), || format!("answered {status}"))?;
        expect(body == TEXT, || "other bytes are answered than were stored".to_owned())
    };
    let checked = check.await;
    freed(data, &generation, checked).await
}

async fn fetch(url: &str) -> reqwest::Result<(reqwest::StatusCode, Bytes)> {
    let response = reqwest::get(url).await?;
    Ok((response.status(), response.bytes().await?))
}
