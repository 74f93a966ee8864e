//! Data in parts.

use bytes::{Bytes, BytesMut};

use super::data::{absent_is, delete, holds};
use super::{bytes, chunks, done, family};
use crate::{Data, Generation, Part, StoreError};

/// An upload under way.
struct Upload<'a> {
    store: &'a dyn Data,
    generation: Generation,
    id: String,
    _claim: crate::Claim,
}

/// A little more than the smallest part.
fn part_len(store: &dyn Data) -> usize {
    usize::try_from(store.part_limits().min).unwrap_or(usize::MAX).max(1000) + 7
}

impl<'a> Upload<'a> {
    async fn start(store: &'a dyn Data) -> Self {
        let family = family();
        let claim = done(store.claim(&family), "claim");
        let generation = family.first();
        let id = done(store.start(&generation).await, "start");
        Self { store, generation, id, _claim: claim }
    }

    /// Writes a part that lies where parts of equal length would put it.
    async fn part(&self, number: u32, value: &Bytes) -> Part {
        let offset = u64::from(number - 1) * part_len(self.store) as u64;
        let part = self.store.put_part(&self.generation, &self.id, number, offset, chunks(value)).await;
        Part { number, size: value.len() as u64, tag: done(part, "put_part") }
    }

    async fn complete(&self, parts: &[Part]) -> crate::StoreResult<()> {
        done(self.store.sync(&self.generation, &self.id).await, "sync");
        self.store.complete(&self.generation, &self.id, parts).await
    }

    async fn abort(&self) {
        done(self.store.abort(&self.generation, &self.id).await, "abort");
    }

    async fn holds(&self, parts: &[&Bytes]) {
        let mut whole = BytesMut::new();
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        holds(self.store, &self.generation, &whole.freeze()).await;
    }

    async fn is_listed(&self, prefix: &str) -> bool {
        let all = done(self.store.unfinished(prefix).await, "unfinished");
        all.iter().any(|upload| upload.generation == self.generation && upload.upload == self.id)
    }
}

pub(super) async fn parts(store: &dyn Data) {
    let upload = Upload::start(store).await;
    absent_is(store, &upload.generation).await;
    let len = part_len(store);
    let values = [bytes(len, 1), bytes(len, 2), bytes(11, 3)];
    // In any order.
    let third = upload.part(3, &values[2]).await;
    let first = upload.part(1, &values[0]).await;
    let second = upload.part(2, &values[1]).await;
    absent_is(store, &upload.generation).await;
    done(upload.complete(&[first, second, third]).await, "complete");
    upload.holds(&values.each_ref()).await;
    delete(store, &upload.generation).await;
    absent_is(store, &upload.generation).await;
}

pub(super) async fn one_small_part(store: &dyn Data) {
    let (upload, value) = (Upload::start(store).await, bytes(3, 1));
    let part = upload.part(1, &value).await;
    done(upload.complete(&[part]).await, "complete");
    upload.holds(&[&value]).await;
    delete(store, &upload.generation).await;
}

pub(super) async fn wrong_tag(store: &dyn Data) {
    let (upload, value) = (Upload::start(store).await, bytes(100, 1));
    let part = upload.part(1, &value).await;
    let wrong = Part { tag: flipped(&part.tag), ..part.clone() };
    let completed = upload.complete(&[wrong]).await;
    assert!(matches!(completed, Err(StoreError::Refused { .. })), "complete with a wrong tag: {completed:?}");
    absent_is(store, &upload.generation).await;
    done(upload.complete(&[part]).await, "complete with the right tag after a wrong one");
    upload.holds(&[&value]).await;
    delete(store, &upload.generation).await;
}

/// Another tag of the same form.
fn flipped(tag: &str) -> String {
    let at = tag.rfind(|c: char| c.is_ascii_alphanumeric());
    let at = at.unwrap_or_else(|| panic!("the tag {tag:?} has no letter"));
    let other = if tag[at..].starts_with('0') { "1" } else { "0" };
    format!("{}{other}{}", &tag[..at], &tag[at + 1..])
}

pub(super) async fn twice(store: &dyn Data) {
    let (upload, value) = (Upload::start(store).await, bytes(1000, 1));
    let part = upload.part(1, &value).await;
    let parts = [part];
    done(upload.complete(&parts).await, "complete");
    done(upload.complete(&parts).await, "complete once more");
    upload.holds(&[&value]).await;
    let longer = [Part { size: 1001, ..parts[0].clone() }];
    let completed = upload.complete(&longer).await;
    assert!(completed.is_err(), "completed with parts of another size than what is there");
    upload.holds(&[&value]).await;
    upload.abort().await;
    upload.holds(&[&value]).await;
    delete(store, &upload.generation).await;
}

/// Two replicas write the same number. Whichever tag is named: the bytes of that tag, or a refusal.
pub(super) async fn two_writers(store: &dyn Data) {
    if store.part_limits().in_place {
        // Nobody but the holder of the claim writes.
        return;
    }
    for is_first in [true, false] {
        let upload = Upload::start(store).await;
        let values = [bytes(1000, 1), bytes(1000, 2)];
        let first = upload.part(1, &values[0]).await;
        let second = upload.part(1, &values[1]).await;
        assert_ne!(first.tag, second.tag, "other bytes have another tag");
        let (part, value) = if is_first { (first, &values[0]) } else { (second, &values[1]) };
        match upload.complete(&[part]).await {
            Ok(()) => upload.holds(&[value]).await,
            Err(e) => {
                assert!(is_first, "the part that was written last is refused: {e}");
                assert!(matches!(e, StoreError::Refused { .. }), "complete with a part that was written over: {e}");
                upload.abort().await;
            }
        }
        delete(store, &upload.generation).await;
    }
}

pub(super) async fn given_up(store: &dyn Data) {
    let (upload, value) = (Upload::start(store).await, bytes(100, 1));
    let part = upload.part(1, &value).await;
    upload.abort().await;
    upload.abort().await;
    absent_is(store, &upload.generation).await;
    // Azure cannot free what was sent, and takes it yet.
    let completed = upload.complete(&[part]).await;
    if !upload.id.is_empty() {
        assert!(matches!(completed, Err(StoreError::NotFound { .. })), "complete after abort: {completed:?}");
        absent_is(store, &upload.generation).await;
    }
    delete(store, &upload.generation).await;
}

pub(super) async fn unfinished(store: &dyn Data) {
    let upload = Upload::start(store).await;
    upload.part(1, &bytes(100, 1)).await;
    let family = upload.generation.family();
    let stranger = super::family();
    if !upload.is_listed(family.as_str()).await {
        // A backend that cannot list them says so in its documentation, and lists none at all.
        assert!(done(store.unfinished("").await, "unfinished").is_empty(), "an upload is missing from the listing");
        upload.abort().await;
        return;
    }
    assert!(upload.is_listed("").await, "an upload is listed among all");
    assert!(!upload.is_listed(stranger.as_str()).await, "an upload is listed in its family only");
    upload.abort().await;
    assert!(!upload.is_listed(family.as_str()).await, "an upload that was given up is not listed");
    let upload = Upload::start(store).await;
    let part = upload.part(1, &bytes(100, 1)).await;
    done(upload.complete(&[part]).await, "complete");
    assert!(!upload.is_listed(upload.generation.family().as_str()).await, "one that was completed is not listed");
    delete(store, &upload.generation).await;
}
