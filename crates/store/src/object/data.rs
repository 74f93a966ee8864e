//! Data: one object each, large ones by multipart upload.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use object_store::list::PaginatedListOptions;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::signer::SignedUrlOptions;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
};

use super::error::Cause;
use super::{ObjectStore, Service};
use crate::{
    Claim, Data, DataPage, DataStream, Family, Generation, Part, PartLimits, Presign, StoreError, StoreResult,
    StoredData, UnfinishedUpload,
};

/// Where data are, under the root.
pub(super) const FOLDER: &str = "data/";
/// The most names that S3 answers at once.
const PAGE: usize = 1000;

impl ObjectStore {
    fn data_path(&self, operation: &'static str, generation: &Generation) -> StoreResult<Path> {
        self.path(operation, &format!("{FOLDER}{generation}"))
    }

    /// The storage class, where the service takes one with each object.
    fn attributes(&self) -> Attributes {
        let class = self.storage_class.clone().filter(|_| self.service == Service::S3);
        class.map(|class| (Attribute::StorageClass, class)).into_iter().collect()
    }

    /// Whether a service would answer so to the completion of an upload that was completed before: S3 and GCS forget the upload,
    /// Azure the blocks.
    fn is_finished(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Missing => true,
            Cause::Refused(text) => self.service == Service::Azure && text.contains("InvalidBlockList"),
            _ => false,
        }
    }

    /// Whether data of this very size are there, as the service says after an upload was completed.
    async fn arrived(&self, generation: &Generation, expected: u64) -> StoreResult<()> {
        match self.size(generation).await? {
            Some(size) if size == expected => Ok(()),
            Some(size) => Err(StoreError::corrupt(
                generation,
                format!("{size} bytes after an upload of {expected} was completed"),
            )),
            None => Err(StoreError::not_found(generation)),
        }
    }
}

#[async_trait]
impl Data for ObjectStore {
    fn part_limits(&self) -> PartLimits {
        self.limits
    }

    fn claim(&self, _family: &Family) -> StoreResult<Claim> {
        Ok(Box::new(()))
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        let path = self.data_path("put", generation)?;
        let options = PutOptions { attributes: self.attributes(), ..PutOptions::default() };
        let put = self.client.put_opts(&path, PutPayload::from_iter(chunks), options).await;
        put.map(drop).map_err(|e| self.failure("put", generation.as_str(), &e))
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        let path = self.data_path("start", generation)?;
        let options = PutMultipartOptions { attributes: self.attributes(), ..PutMultipartOptions::default() };
        let upload = self.client.create_multipart_opts(&path, options).await;
        upload.map_err(|e| self.failure("start", generation.as_str(), &e))
    }

    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        _offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        const OPERATION: &str = "put_part";
        let path = self.data_path(OPERATION, generation)?;
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let index = index.ok_or_else(|| StoreError::refused(OPERATION, generation, "parts are numbered from 1"))?;
        let part = self.client.put_part(&path, &upload.to_owned(), index, PutPayload::from_iter(chunks)).await;
        let part = part.map_err(|e| self.failure(OPERATION, &format!("the upload {upload} of {generation}"), &e))?;
        Ok(part.content_id)
    }

    async fn sync(&self, _generation: &Generation, _upload: &str) -> StoreResult<()> {
        Ok(())
    }

    /// The service may answer that all went well when it repeats an earlier answer, and that there is no such upload when
    /// the earlier answer was lost; the size tells.
    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()> {
        let what = || format!("the upload {upload} of {generation}");
        if let Some((part, _)) = parts.iter().zip(1..).find(|(part, number)| part.number != *number) {
            return Err(StoreError::refused("complete", generation, format!("{part:?} is out of order")));
        }
        let path = self.data_path("complete", generation)?;
        let ids = parts.iter().map(|part| PartId { content_id: part.tag.clone() }).collect();
        let expected = parts.iter().map(|part| part.size).sum();
        match self.client.complete_multipart(&path, &upload.to_owned(), ids).await {
            Ok(_) => self.arrived(generation, expected).await,
            Err(e) => {
                let cause = Cause::of(&e);
                if self.is_finished(&cause) && self.size(generation).await? == Some(expected) {
                    return Ok(());
                }
                Err(self.failure_of("complete", &what(), cause))
            }
        }
    }

    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        let path = self.data_path("abort", generation)?;
        match self.client.abort_multipart(&path, &upload.to_owned()).await {
            Ok(()) => Ok(()),
            Err(e) => match Cause::of(&e) {
                Cause::Missing => Ok(()),
                cause => Err(self.failure_of("abort", generation.as_str(), cause)),
            },
        }
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        if range.is_empty() {
            // No service has a range of no bytes.
            let size = self.size(generation).await?;
            return size.map(|_| stream::empty().boxed()).ok_or_else(|| StoreError::not_found(generation));
        }
        let path = self.data_path("read", generation)?;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let result = self.client.get_opts(&path, options).await;
        let result = result.map_err(|e| self.failure("read", generation.as_str(), &e))?;
        let (store, generation) = (self.clone(), generation.clone());
        Ok(result.into_stream().map_err(move |e| store.failure("read", generation.as_str(), &e)).boxed())
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        let path = self.data_path("size", generation)?;
        match self.client.head(&path).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(e) => match Cause::of(&e) {
                Cause::Missing => Ok(None),
                cause => Err(self.failure_of("size", generation.as_str(), cause)),
            },
        }
    }

    async fn presign(&self, generation: &Generation, options: &Presign) -> StoreResult<Option<String>> {
        if !self.presigns {
            return Ok(None);
        }
        let path = self.data_path("presign", generation)?;
        let query = match self.service {
            Service::Azure => None,
            Service::S3 | Service::Gcs => Some(("response-content-type", options.content_type.as_str())),
        };
        let signed = SignedUrlOptions::new().with_query(query);
        let url = self.client.signed_url_opts(Method::GET, &path, options.lifetime, &signed).await;
        url.map(|url| Some(url.into())).map_err(|e| self.failure("presign", generation.as_str(), &e))
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        let path = self.data_path("delete", generation)?;
        self.remove(&path, generation.as_str()).await
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        let folder = self.name(FOLDER);
        // The client leaves out a blob of Azure whose whole name is the prefix, which a family may be.
        let is_cut = self.service == Service::Azure && prefix.parse::<Family>().is_ok();
        let asked = format!("{folder}{}", if is_cut { &prefix[..prefix.len() - 1] } else { prefix });
        let mut options = PaginatedListOptions {
            offset: after.map(|after| format!("{folder}{after}")),
            max_keys: Some(limit.clamp(1, PAGE)),
            ..PaginatedListOptions::default()
        };
        loop {
            let answer = self.client.list_paginated(Some(&asked), options.clone()).await;
            let answer = answer.map_err(|e| self.listing_failure(prefix, &e))?;
            // What has another name was not written by Wharf.
            let own = answer.result.objects.into_iter().filter_map(|meta| {
                let generation = meta.location.as_ref().strip_prefix(&folder)?.parse().ok()?;
                Some(StoredData { generation, size: meta.size })
            });
            // Azurite begins every listing at the beginning.
            let own = own.filter(|data| after.is_none_or(|after| data.generation > *after));
            let own = own.filter(|data| data.generation.as_str().starts_with(prefix));
            let mut data: Vec<_> = own.collect();
            data.sort_unstable_by(|a, b| a.generation.cmp(&b.generation));
            let last = data.last().map(|last| last.generation.clone());
            match answer.page_token {
                Some(token) if data.is_empty() => options.page_token = Some(token),
                token => return Ok(DataPage { data, next: last.filter(|_| token.is_some()) }),
            }
        }
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        match self.service {
            Service::S3 => self.unfinished_uploads(prefix).await,
            Service::Gcs | Service::Azure => Ok(Vec::new()),
        }
    }
}
