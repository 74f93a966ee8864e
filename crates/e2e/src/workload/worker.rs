//! One client of many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use reqwest::Method;

use super::ledger::{Held, Ledger};
use super::picture::{Picture, layer};
use super::push::{Way, append, path_of, push, put_manifest};
use crate::content::{digest, mix};
use crate::patient::Patient;

/// Tags of one worker in one repository.
const TAGS: u64 = 3;
/// Images of one worker: above that, it deletes.
const MOST: usize = 6;

/// What all workers share.
#[derive(Debug)]
pub struct Plan {
    /// The repositories.
    pub repositories: Vec<String>,
    /// When to stop.
    pub until: Instant,
    /// What was acknowledged.
    pub ledger: Ledger,
    /// Operations that came to their end.
    pub operations: AtomicU64,
    /// Pushes that had to begin anew because blobs of theirs were collected before the manifest came.
    pub begun_anew: AtomicU64,
    /// Images that were pulled whole.
    pub pulled: AtomicU64,
}

impl Plan {
    /// A plan of these repositories.
    #[must_use]
    pub fn new(repositories: &[&str], until: Instant) -> Self {
        Self {
            repositories: repositories.iter().map(|name| (*name).to_owned()).collect(),
            until,
            ledger: Ledger::default(),
            operations: AtomicU64::new(0),
            begun_anew: AtomicU64::new(0),
            pulled: AtomicU64::new(0),
        }
    }

    /// How many operations came to their end.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }
}

/// A client with its own images and tags.
#[derive(Debug)]
pub struct Worker {
    number: u64,
    random: u64,
    made: u64,
    client: Patient,
    plan: Arc<Plan>,
    images: Vec<Arc<Held>>,
    /// What each of its tags stands for.
    tags: BTreeMap<(String, String), String>,
}

impl Worker {
    /// The worker of this number.
    #[must_use]
    pub fn new(number: u64, client: Patient, plan: Arc<Plan>) -> Self {
        let random = mix(number + 77);
        Self { number, random, made: 0, client, plan, images: Vec::new(), tags: BTreeMap::new() }
    }

    /// Works until the plan's end.
    pub async fn run(mut self) {
        while Instant::now() < self.plan.until {
            self.step().await;
            self.plan.operations.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn step(&mut self) {
        if self.images.len() > MOST {
            return self.delete().await;
        }
        match self.draw(20) {
            0..=6 => self.push().await,
            7..=9 => self.retag().await,
            10..=11 => self.mount().await,
            12..=14 => self.delete().await,
            15 => self.untag().await,
            16 => self.abandon().await,
            _ => self.pull().await,
        }
    }

    async fn push(&mut self) {
        self.made += 1;
        let picture = Picture::new(&format!("{}-{}", self.number, self.made), self.draw(u64::MAX));
        let (repository, tag) = (self.any_repository(), self.any_tag());
        let way = if self.draw(3) == 0 { Way::Chunks } else { Way::Whole };
        self.push_as(&repository, &tag, picture, None, way).await;
    }

    /// Copies an image of its own into another repository.
    async fn mount(&mut self) {
        let Some(held) = self.any_image() else { return };
        let (repository, tag) = (self.any_repository(), self.any_tag());
        let has = |one: &Arc<Held>| one.repository == repository && one.picture.digest == held.picture.digest;
        if !self.images.iter().any(has) {
            self.push_as(&repository, &tag, held.picture.clone(), Some(&held.repository), Way::Whole).await;
        }
    }

    async fn push_as(&mut self, repository: &str, tag: &str, picture: Picture, from: Option<&str>, way: Way) {
        let anew = push(&self.client, repository, tag, &picture, from, way).await;
        self.plan.begun_anew.fetch_add(u64::from(anew), Ordering::Relaxed);
        self.tags.insert((repository.to_owned(), tag.to_owned()), picture.digest.clone());
        self.images.push(self.plan.ledger.add(repository, picture));
        self.check_tag(repository, tag).await;
    }

    async fn retag(&mut self) {
        let Some(held) = self.any_image() else { return };
        let tag = self.any_tag();
        let answer = put_manifest(&self.client, &held.repository, &tag, &held.picture).await;
        answer.expect("a tag for an image that is there", &[201]);
        self.tags.insert((held.repository.clone(), tag.clone()), held.picture.digest.clone());
        self.check_tag(&held.repository, &tag).await;
    }

    async fn delete(&mut self) {
        let Some(held) = self.any_image() else { return };
        self.plan.ledger.leave(&held);
        self.images.retain(|one| !Arc::ptr_eq(one, &held));
        self.tags.retain(|(repository, _), digest| *repository != held.repository || *digest != held.picture.digest);
        let path = format!("/v2/{}/manifests/{}", held.repository, held.picture.digest);
        self.remove(&path).await;
    }

    async fn untag(&mut self) {
        let index = usize::try_from(self.draw(1 << 20)).unwrap_or(0);
        let Some(key) = self.tags.keys().nth(index % self.tags.len().max(1)).cloned() else { return };
        self.tags.remove(&key);
        self.remove(&format!("/v2/{}/manifests/{}", key.0, key.1)).await;
    }

    /// Deletes, and sees that it is gone.
    async fn remove(&self, path: &str) {
        let answer = self.client.send(&format!("DELETE {path}"), |client| client.request(Method::DELETE, path)).await;
        answer.expect(path, if answer.sent_before > 0 { &[202, 404] } else { &[202] });
        let answer = self.client.send(&format!("GET {path}"), |client| client.request(Method::GET, path)).await;
        answer.expect(&format!("{path} after its deletion"), &[404]);
    }

    /// Begins an upload and never comes back.
    async fn abandon(&mut self) {
        let (repository, blob) = (self.any_repository(), layer(self.draw(u64::MAX)));
        let path = format!("/v2/{repository}/blobs/uploads/");
        let answer = self.client.send(&format!("POST {path}"), |client| client.request(Method::POST, &path)).await;
        answer.expect(&path, &[202]);
        append(&self.client, &path_of(answer.header("location")), blob, blob.content.size() / 2 + 1).await;
    }

    async fn pull(&mut self) {
        let random = self.draw(u64::MAX);
        if let Some(held) = self.plan.ledger.any(random) {
            check(&self.client, &held).await;
            self.plan.pulled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A tag says at once what was acknowledged last, through whichever replica.
    async fn check_tag(&self, repository: &str, tag: &str) {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let answer = self.client.send(&format!("GET {path}"), |client| client.request(Method::GET, &path)).await;
        answer.expect(&format!("{path} after its push"), &[200]);
        let expected = self.tags.get(&(repository.to_owned(), tag.to_owned()));
        assert_eq!(Some(&digest(&answer.body)), expected, "{path} after its push");
    }

    fn any_image(&mut self) -> Option<Arc<Held>> {
        let count = u64::try_from(self.images.len()).ok().filter(|count| *count > 0)?;
        let index = self.draw(count);
        self.images.get(usize::try_from(index).unwrap_or(0)).cloned()
    }

    fn any_repository(&mut self) -> String {
        let index = self.draw(self.plan.repositories.len() as u64);
        self.plan.repositories[usize::try_from(index).unwrap_or(0)].clone()
    }

    fn any_tag(&mut self) -> String {
        let tag = self.draw(TAGS);
        format!("w{}-{tag}", self.number)
    }

    /// A number below `below`.
    fn draw(&mut self, below: u64) -> u64 {
        self.random = mix(self.random.wrapping_add(0x9e37_79b9_7f4a_7c15));
        self.random % below
    }
}

/// Pulls an image whole, comparing every byte with its digest.
///
/// # Panics
/// When any of it is not there, or not what it was, and nobody has begun to delete it.
pub async fn check(client: &Patient, held: &Held) {
    let (repository, manifest) = (&held.repository, &held.picture.digest);
    let of = format!("the image {manifest} of {repository}, which was acknowledged");
    let paths = std::iter::once((format!("/v2/{repository}/manifests/{manifest}"), manifest))
        .chain(held.picture.blobs.iter().map(|blob| (format!("/v2/{repository}/blobs/{}", blob.digest), &blob.digest)));
    for (path, expected) in paths {
        let answer = client.send(&format!("GET {path}"), |client| client.request(Method::GET, &path)).await;
        if held.is_leaving() {
            return;
        }
        answer.expect(&format!("{path} of {of}"), &[200]);
        assert_eq!(digest(&answer.body), *expected, "{path} of {of}");
    }
}
