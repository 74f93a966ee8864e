//! Data: files, and the order in which uploads are written.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::Fault;
use super::files::{self, Files};
use super::slots::Held;
use super::{LocalStore, blocking, reading};
use crate::{
    Claim, Data, DataPage, DataStream, Family, Generation, Part, PartLimits, Presign, StoreError, StoreResult,
    UnfinishedUpload,
};

/// The size of a part, in bytes.
const TARGET: u64 = 1 << 20;
/// The id of every upload: an id of data is used once, so that it needs no other.
const UPLOAD: &str = "file";
/// The tag of every part: what counts is where it lies.
const TAG: &str = "in-place";

impl LocalStore {
    async fn on_files<T: Send + 'static>(
        &self,
        operation: &'static str,
        what: impl ToString,
        f: impl FnOnce(&Files) -> Result<T, Fault> + Send + 'static,
    ) -> StoreResult<T> {
        let files = self.files.clone();
        Ok(blocking(move || f(&files)).await.map_err(|fault| fault.of(operation, what))?)
    }

    /// As [`Self::on_files`], for the only one who writes this upload until `f` has returned.
    async fn on_upload<T: Send + 'static>(
        &self,
        operation: &'static str,
        generation: &Generation,
        f: impl FnOnce(&Files, &mut Held) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let mut held = self.slots.hold(generation).await;
        self.on_files(operation, generation, move |files| Ok(f(files, &mut held))).await?
    }
}

/// The file of an upload, which stays open.
fn upload(files: &Files, held: &mut Held, operation: &'static str) -> StoreResult<Option<Arc<File>>> {
    if let Some(file) = held.file() {
        return Ok(Some(file));
    }
    let opened = files.open_upload(held.generation()).map_err(|e| Fault::from(e).of(operation, held.generation()))?;
    let opened = opened.map(Arc::new);
    held.keep(opened.clone());
    Ok(opened)
}

fn no_upload(generation: &Generation) -> StoreError {
    StoreError::not_found(format!("the upload of {generation}"))
}

/// A sync that failed is final: after it, the system may forget what it could not write, and a second sync would succeed over
/// the loss. Whoever writes the bytes again may sync again.
fn sync_failed(operation: &'static str, generation: &Generation, e: std::io::Error) -> StoreError {
    StoreError::refused(operation, generation, e)
}

/// Makes data of an upload of the size `expected`.
fn complete(files: &Files, held: &mut Held, expected: u64) -> StoreResult<()> {
    let generation = held.generation().clone();
    let fault = |e| StoreError::from(Fault::from(e).of("complete", &generation));
    let Some(file) = upload(files, held, "complete")? else {
        // The answer of an earlier attempt may have been lost.
        if files.size(&generation).map_err(fault)? != Some(expected) {
            return Err(no_upload(&generation));
        }
        return files.sync_entry(&generation).map_err(fault);
    };
    let written = file.metadata().map_err(fault)?.len();
    if written < expected {
        let detail = format!("there are {written} bytes of {expected}");
        return Err(StoreError::refused("complete", &generation, detail));
    }
    if written > expected {
        file.set_len(expected).map_err(fault)?;
    }
    files.sync_file(&file).map_err(|e| sync_failed("complete", &generation, e))?;
    files.publish_upload(&generation).map_err(fault)?;
    held.keep(None);
    Ok(())
}

#[async_trait]
impl Data for LocalStore {
    fn part_limits(&self) -> PartLimits {
        PartLimits { min: 0, target: TARGET, max_count: u32::MAX, in_place: true }
    }

    fn claim(&self, family: &Family) -> StoreResult<Claim> {
        self.slots.claim(family)
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        let id = generation.clone();
        self.on_files("put", generation, move |files| Ok(files.put(&id, &chunks)?)).await
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        self.on_upload("start", generation, |files, held| {
            let started = files.start(held.generation());
            held.keep(Some(Arc::new(started.map_err(|e| Fault::from(e).of("start", held.generation()))?)));
            Ok(UPLOAD.to_owned())
        })
        .await
    }

    async fn put_part(
        &self,
        generation: &Generation,
        _upload: &str,
        _number: u32,
        offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        self.on_upload("put_part", generation, move |files, held| {
            let file = upload(files, held, "put_part")?.ok_or_else(|| no_upload(held.generation()))?;
            let written = files::write_vectored_at(&file, &chunks, offset);
            written.map_err(|e| Fault::from(e).of("put_part", held.generation()))?;
            Ok(TAG.to_owned())
        })
        .await
    }

    async fn sync(&self, generation: &Generation, _upload: &str) -> StoreResult<()> {
        self.on_upload("sync", generation, |files, held| {
            // Of an upload that was completed everything is durable, and of one that was given up nothing is left.
            let Some(file) = upload(files, held, "sync")? else { return Ok(()) };
            files.sync_upload(&file).map_err(|e| sync_failed("sync", held.generation(), e))
        })
        .await
    }

    async fn complete(&self, generation: &Generation, _upload: &str, parts: &[Part]) -> StoreResult<()> {
        if let Some(part) = parts.iter().find(|part| part.tag != TAG) {
            return Err(StoreError::refused("complete", generation, format!("there is no part {part:?}")));
        }
        let expected = parts.iter().map(|part| part.size).sum();
        self.on_upload("complete", generation, move |files, held| complete(files, held, expected)).await
    }

    async fn abort(&self, generation: &Generation, _upload: &str) -> StoreResult<()> {
        self.on_upload("abort", generation, |files, held| {
            held.keep(None);
            Ok(files.remove_upload(held.generation()).map_err(|e| Fault::from(e).of("abort", held.generation()))?)
        })
        .await
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        let id = generation.clone();
        let first = self.on_files("read", generation, move |files| {
            files.open_data(&id)?.map(|file| reading::begin(file, &range)).transpose()
        });
        let first = first.await?.ok_or_else(|| StoreError::not_found(generation))?;
        Ok(first.stream(generation.clone()))
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        let id = generation.clone();
        self.on_files("size", generation, move |files| Ok(files.size(&id)?)).await
    }

    async fn presign(&self, _generation: &Generation, _options: &Presign) -> StoreResult<Option<String>> {
        Ok(None)
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        let id = generation.clone();
        self.on_files("delete", generation, move |files| Ok(files.remove_data(&id)?)).await
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        let (begins, behind, limit) = (prefix.to_owned(), after.cloned(), limit.max(1));
        let mut data = self
            .on_files("list", prefix, move |files| Ok(files.list(&begins, behind.as_ref(), limit.saturating_add(1))?))
            .await?;
        let is_more = data.len() > limit;
        data.truncate(limit);
        let next = data.last().filter(|_| is_more).map(|last| last.generation.clone());
        Ok(DataPage { data, next })
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        let begins = prefix.to_owned();
        let uploads = self.on_files("unfinished", prefix, move |files| Ok(files.uploads(&begins)?)).await?;
        Ok(uploads.into_iter().map(|generation| UnfinishedUpload { generation, upload: UPLOAD.to_owned() }).collect())
    }
}
