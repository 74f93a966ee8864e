//! Records: one object each.

use async_trait::async_trait;
use bytes::Bytes;
use object_store::list::PaginatedListOptions;
use object_store::{
    GetOptions, GetResult, ObjectMeta, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use super::data::FOLDER;
use super::error::Cause;
use super::{ObjectStore, Service};
use crate::{Changed, ETag, Entry, ListPage, ListRequest, Put, Record, Records, StoreError, StoreResult};

/// The most names that S3 answers at once.
const PAGE: usize = 1000;
/// Comes after every character of a key, so that a listing after `<folder>/~` leaves the folder out.
const AFTER_ALL: char = '~';

/// A tag as the service names it. GCS compares generation numbers when it writes, and tags when it reads; there a tag is both,
/// with a space between, and in a listing, which has no numbers, only the latter.
fn tag(e_tag: Option<String>, version: Option<&str>, service: Service) -> Option<ETag> {
    let e_tag = e_tag?;
    Some(match (service, version) {
        (Service::Gcs, Some(version)) => ETag::new(format!("{e_tag} {version}")),
        // Azure leaves out the quotes in a listing.
        (Service::Azure, _) if !e_tag.contains('"') => ETag::new(format!("\"{e_tag}\"")),
        _ => ETag::new(e_tag),
    })
}

/// The service's own tag, and the generation number where there is one.
fn untag(etag: &ETag, service: Service) -> (&str, Option<&str>) {
    match etag.as_str().rsplit_once(' ') {
        Some((e_tag, version)) if service == Service::Gcs => (e_tag, Some(version)),
        _ => (etag.as_str(), None),
    }
}

impl ObjectStore {
    fn etag_of(&self, key: &str, meta: &ObjectMeta) -> StoreResult<ETag> {
        tag(meta.e_tag.clone(), meta.version.as_deref(), self.service).ok_or_else(|| self.no_etag("get", key))
    }

    fn no_etag(&self, operation: &'static str, key: &str) -> StoreError {
        StoreError::refused(operation, key, format!("{} answered without an ETag", self.place))
    }

    async fn record(&self, key: &str, result: GetResult) -> StoreResult<Record> {
        let etag = self.etag_of(key, &result.meta)?;
        let value = result.bytes().await.map_err(|e| self.failure("get", key, &e))?;
        Ok(Record { value, etag })
    }

    async fn put_with(&self, operation: &'static str, key: &str, value: Bytes, mode: PutMode) -> StoreResult<Put> {
        let path = self.path(operation, key)?;
        let is_conditional = !matches!(mode, PutMode::Overwrite);
        let result = object_store::ObjectStore::put_opts(
            self.client.as_ref(),
            &path,
            PutPayload::from_bytes(value),
            PutOptions::from(mode),
        );
        match result.await {
            Ok(done) => {
                let etag = tag(done.e_tag, done.version.as_deref(), self.service);
                Ok(Put::Done(etag.ok_or_else(|| self.no_etag(operation, key))?))
            }
            Err(e) => match Cause::of(&e) {
                // S3 answers 404 to If-Match on what is not there.
                Cause::Lost | Cause::Missing | Cause::Unchanged if is_conditional => Ok(Put::Lost),
                // A bucket cannot be distinguished from an object by the status alone.
                Cause::Missing => {
                    Err(self.failure_of(operation, key, Cause::Refused("404 (NoSuchBucket, probably)".to_owned())))
                }
                cause => Err(self.failure_of(operation, key, cause)),
            },
        }
    }

    /// The version that `known` names, as the service wants it in a condition; `None` when it is no longer there.
    async fn version(&self, key: &str, known: &ETag) -> StoreResult<Option<UpdateVersion>> {
        let (e_tag, version) = untag(known, self.service);
        let update = |version: Option<String>| UpdateVersion { e_tag: Some(e_tag.to_owned()), version };
        if self.service != Service::Gcs || version.is_some() {
            return Ok(Some(update(version.map(str::to_owned))));
        }
        let path = self.path("put_if_match", key)?;
        match self.client.head(&path).await {
            Ok(meta) if meta.e_tag.as_deref() == Some(e_tag) => Ok(Some(update(meta.version))),
            Ok(_) => Ok(None),
            Err(e) => match Cause::of(&e) {
                Cause::Missing => Ok(None),
                cause => Err(self.failure_of("put_if_match", key, cause)),
            },
        }
    }
}

/// Names of keys and folders as a tree orders them: what is within a folder comes right behind it.
fn as_tree(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|b| if b == b'/' { 0 } else { b })
}

/// Whether a name comes after another to the store. The services order whole names by bytes (`a-b/` before `a/`); of what speaks
/// as S3 does, SeaweedFS orders them as a tree (`a/` before `a-b/`), so that there only a name that comes first in neither
/// order was not asked for.
fn is_after(service: Service, name: &str, after: &str) -> bool {
    name > after || (service == Service::S3 && as_tree(name).gt(as_tree(after)))
}

/// From where a listing with folding goes on. A key within a folder stands for the folder, which is passed over whole. For
/// SeaweedFS the folder `a/` does not come after `a`, so that the listing begins a little before; `is_after` leaves out what is
/// too much.
fn start_folded(prefix: &str, after: &str) -> String {
    let Some(rest) = after.strip_prefix(prefix) else { return after.to_owned() };
    if let Some(at) = rest.find('/') {
        return format!("{prefix}{}{AFTER_ALL}", &rest[..=at]);
    }
    let mut bytes = rest.as_bytes().to_vec();
    let Some(last) = bytes.last_mut() else { return after.to_owned() };
    // The one before 0 is the slash.
    *last = if *last == b'0' { b'.' } else { last.saturating_sub(1) };
    match String::from_utf8(bytes) {
        Ok(before) => format!("{prefix}{before}{AFTER_ALL}"),
        Err(_) => after.to_owned(),
    }
}

/// The last name of a page, in the store's order. Of a key and a folder side by side it cannot always be told which came last;
/// then it is the key, after which the folder may come once more.
fn last_of(service: Service, page: &ListPage) -> Option<String> {
    let (entry, folder) = (page.entries.last().map(|entry| &entry.key), page.folders.last());
    let last = match (entry, folder) {
        (Some(entry), Some(folder)) if is_after(service, folder, entry) && !is_after(service, entry, folder) => {
            Some(folder)
        }
        (entry, folder) => entry.or(folder),
    };
    last.cloned()
}

#[async_trait]
impl Records for ObjectStore {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        let path = self.path("get", key)?;
        match self.client.get(&path).await {
            Ok(result) => self.record(key, result).await.map(Some),
            Err(e) => match Cause::of(&e) {
                Cause::Missing => Ok(None),
                cause => Err(self.failure_of("get", key, cause)),
            },
        }
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        let path = self.path("get", key)?;
        let (e_tag, _) = untag(known, self.service);
        let options = GetOptions { if_none_match: Some(e_tag.to_owned()), ..GetOptions::default() };
        match self.client.get_opts(&path, options).await {
            Ok(result) => {
                let record = self.record(key, result).await?;
                Ok(if record.etag == *known { Changed::Same } else { Changed::Now(Some(record)) })
            }
            Err(e) => match Cause::of(&e) {
                Cause::Missing => Ok(Changed::Now(None)),
                Cause::Unchanged => Ok(Changed::Same),
                cause => Err(self.failure_of("get", key, cause)),
            },
        }
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        match self.put_with("put", key, value, PutMode::Overwrite).await? {
            Put::Done(etag) => Ok(etag),
            Put::Lost => Err(StoreError::unavailable("put", key, "a conflict with another write")),
        }
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        self.put_with("put_if_absent", key, value, PutMode::Create).await
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        match self.version(key, known).await? {
            Some(version) => self.put_with("put_if_match", key, value, PutMode::Update(version)).await,
            None => Ok(Put::Lost),
        }
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        let path = self.path("delete", key)?;
        self.remove(&path, key).await
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        let mut options = PaginatedListOptions {
            offset: request.after.map(|after| {
                self.name(&if request.fold { start_folded(request.prefix, after) } else { after.to_owned() })
            }),
            delimiter: request.fold.then_some("/".into()),
            max_keys: Some(request.limit.clamp(1, PAGE)),
            ..PaginatedListOptions::default()
        };
        loop {
            let (page, token) = self.list_page(&request, options.clone()).await?;
            let last = last_of(self.service, &page);
            match (token, last) {
                (None, _) => return Ok(page),
                (Some(_), Some(last)) => return Ok(ListPage { next: Some(last), ..page }),
                // All of the page was left out.
                (token, None) => options.page_token = token,
            }
        }
    }
}

impl ObjectStore {
    /// One page as the service answers it, and its token of the next.
    async fn list_page(
        &self,
        request: &ListRequest<'_>,
        options: PaginatedListOptions,
    ) -> StoreResult<(ListPage, Option<String>)> {
        let prefix = self.name(request.prefix);
        let answer = self.client.list_paginated(Some(&prefix), options).await;
        let answer = answer.map_err(|e| self.listing_failure(request.prefix, &e))?;
        let is_wanted = |name: &str| {
            request.after.is_none_or(|after| is_after(self.service, name, after))
                && !(request.prefix.is_empty() && name.starts_with(FOLDER))
        };
        let mut page = ListPage::default();
        for meta in answer.result.objects {
            let Some(key) = self.key(&meta.location).filter(|key| is_wanted(key)) else { continue };
            let etag = self.etag_of(key, &meta)?;
            page.entries.push(Entry { key: key.to_owned(), etag, size: meta.size });
        }
        for folder in answer.result.common_prefixes {
            let folder = self.key(&folder).map(|folder| format!("{folder}/"));
            page.folders.extend(folder.filter(|folder| is_wanted(folder)));
        }
        Ok((page, answer.page_token))
    }

    /// A listing of what is not there is empty, so that 404 speaks of the bucket.
    pub(super) fn listing_failure(&self, prefix: &str, error: &object_store::Error) -> StoreError {
        let what = format!("{prefix}*");
        match Cause::of(error) {
            Cause::Missing => self.failure_of("list", &what, Cause::Refused("404 (NoSuchBucket, probably)".to_owned())),
            cause => self.failure_of("list", &what, cause),
        }
    }

    /// Removes an object; one that is not there is removed already.
    pub(super) async fn remove(&self, path: &object_store::path::Path, what: &str) -> StoreResult<()> {
        match self.client.delete(path).await {
            Ok(()) => Ok(()),
            Err(e) => match Cause::of(&e) {
                Cause::Missing => Ok(()),
                cause => Err(self.failure_of("delete", what, cause)),
            },
        }
    }
}
