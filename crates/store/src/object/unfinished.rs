//! `ListMultipartUploads` of S3, which the client does not have: its signer makes the URL, and the answer is read here.
//!
//! MinIO lists an upload only under a prefix that is the whole name of its object. Where the store behind an endpoint does so,
//! [`crate::Data::unfinished`] finds the uploads of a family's first generation and no others; a rule
//! `AbortIncompleteMultipartUpload` on the bucket frees the rest.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use object_store::path::Path;
use object_store::signer::SignedUrlOptions;
use serde::Deserialize;

use super::ObjectStore;
use super::answer::Answer;
use super::data::FOLDER;
use super::error::{Cause, deepest};
use crate::{StoreError, StoreResult, UnfinishedUpload};

const OPERATION: &str = "unfinished";
/// How long the URL of a request is good for.
const LIFETIME: Duration = Duration::from_secs(60);

/// The answer: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
    #[serde(default, rename = "Upload")]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
}

impl ObjectStore {
    /// See [`crate::Data::unfinished`].
    pub(super) async fn unfinished_uploads(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        let folder = self.name(FOLDER);
        let mut query = vec![("uploads".to_owned(), String::new()), ("prefix".to_owned(), format!("{folder}{prefix}"))];
        let mut found = Vec::new();
        loop {
            let listing = self.listing(&format!("{prefix}*"), &query).await?;
            let own = listing.uploads.into_iter().filter_map(|upload| {
                let generation = upload.key.strip_prefix(&folder)?.parse().ok()?;
                Some(UnfinishedUpload { generation, upload: upload.upload_id })
            });
            found.extend(own);
            // A store that repeats a marker would be asked for ever.
            let next = vec![
                ("key-marker".to_owned(), listing.next_key_marker),
                ("upload-id-marker".to_owned(), listing.next_upload_id_marker),
            ];
            if !listing.is_truncated || next[0].1.is_empty() || query.ends_with(&next) {
                return Ok(found);
            }
            query.truncate(2);
            query.extend(next);
        }
    }

    async fn listing(&self, what: &str, query: &[(String, String)]) -> StoreResult<Listing> {
        let options = SignedUrlOptions::new().with_query(query.iter().cloned());
        let url = self.client.signed_url_opts(Method::GET, &Path::default(), LIFETIME, &options).await;
        let url = url.map_err(|e| self.failure(OPERATION, what, &e))?;
        let body = self.fetch(what, url).await?;
        quick_xml::de::from_reader(body.as_ref()).map_err(|e| {
            let text = format!("{} answered a listing of uploads that is not understood: {e}", self.place);
            StoreError::refused(OPERATION, what, text)
        })
    }

    async fn fetch(&self, what: &str, url: url::Url) -> StoreResult<Bytes> {
        // The URL carries a signature.
        let failed = |e: reqwest::Error| {
            let e = e.without_url();
            StoreError::unavailable(OPERATION, what, format!("{}: {}", self.place, deepest(&e)))
        };
        let response = self.http.get(url).send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        if status.is_success() {
            return Ok(body);
        }
        let answer = Answer::new(status, &body);
        let cause = match Cause::of_answer(&answer) {
            Cause::Missing | Cause::Lost | Cause::Unchanged => Cause::Refused(answer.to_string()),
            cause => cause,
        };
        Err(self.failure_of(OPERATION, what, cause))
    }
}
