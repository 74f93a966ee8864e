//! A small registry client that checks every digest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LINK, LOCATION, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::authority::Authority;
use crate::content::{self, Content};

/// How long a request may take: the largest blobs of the full-size tests pass a slow disk.
const LIMIT: Duration = Duration::from_secs(1800);

/// Speaks the distribution protocol with one or more addresses of a registry, each request to the next address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    scheme: &'static str,
    addresses: Arc<[String]>,
    next: Arc<AtomicUsize>,
    /// Shown with each request.
    token: Option<Arc<str>>,
}

/// An upload session, as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Path and query of the session.
    pub location: String,
}

impl Client {
    /// A client of these `host:port`s.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = String>) -> Self {
        let http = reqwest::Client::builder()
            .timeout(LIMIT)
            // A server whose memory is bounded lets uploads wait: a client must not take that for a dead connection.
            .tcp_user_timeout(None)
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::limited(3))
            .build()
            .unwrap_or_else(|error| panic!("HTTP client: {error}"));
        Self { http, scheme: "http", addresses: addresses.into_iter().collect(), next: Arc::default(), token: None }
    }

    /// A client of these by TLS, which trusts one authority and may show a certificate (with its key behind it, PEM).
    #[must_use]
    pub fn by_tls(addresses: impl IntoIterator<Item = String>, trusts: &Authority, shows: Option<&str>) -> Self {
        let mut builder = trusts.builder().timeout(LIMIT);
        if let Some(pem) = shows {
            let identity = reqwest::Identity::from_pem(pem.as_bytes());
            builder = builder.identity(identity.unwrap_or_else(|error| panic!("a certificate: {error}")));
        }
        let http = builder.build().unwrap_or_else(|error| panic!("HTTP client: {error}"));
        Self { http, scheme: "https", addresses: addresses.into_iter().collect(), next: Arc::default(), token: None }
    }

    /// A request to the next address. `path` begins with `/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len();
        let request = self.http.request(method, format!("{}://{}{path}", self.scheme, self.addresses[index]));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The same client, with a token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Begins an upload session.
    pub async fn start_upload(&self, repository: &str) -> Upload {
        let request = self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/"));
        let answer = expect(request, StatusCode::ACCEPTED).await;
        Upload { location: location(&answer) }
    }

    /// A chunk from `start` to `end` whose body comes from `body`.
    pub fn chunk(&self, upload: &Upload, start: u64, end: u64, body: reqwest::Body) -> RequestBuilder {
        self.request(Method::PATCH, &upload.location)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, end - start)
            .header(CONTENT_RANGE, format!("{start}-{}", end - 1))
            .body(body)
    }

    /// Sends the bytes from `start` to `end` of `content` as one chunk.
    pub async fn append(&self, upload: &mut Upload, content: Content, start: u64, end: u64) {
        let answer = expect(self.chunk(upload, start, end, content.body(start, end)), StatusCode::ACCEPTED).await;
        upload.location = location(&answer);
    }

    /// How many bytes the session has, from its status; 0 also where the server answers `0-0` for an empty one.
    pub async fn upload_offset(&self, upload: &mut Upload) -> u64 {
        let answer = expect(self.request(Method::GET, &upload.location), StatusCode::NO_CONTENT).await;
        upload.location = location(&answer);
        let range = header(&answer, RANGE.as_str()).unwrap_or_else(|| panic!("no Range in the status of an upload"));
        let last = range.strip_prefix("0-").and_then(|last| last.parse::<u64>().ok());
        match last {
            Some(0) => 0,
            Some(last) => last + 1,
            None => panic!("Range: {range}"),
        }
    }

    /// Closes a session.
    pub async fn finish_upload(&self, upload: &Upload, digest: &str) {
        let joint = if upload.location.contains('?') { '&' } else { '?' };
        let path = format!("{}{joint}digest={digest}", upload.location);
        expect(self.request(Method::PUT, &path).header(CONTENT_LENGTH, 0), StatusCode::CREATED).await;
    }

    /// Pushes a blob in one piece, streaming; answers its digest.
    pub async fn push_content(&self, repository: &str, content: Content) -> String {
        let digest = content.digest();
        let upload = self.start_upload(repository).await;
        let joint = if upload.location.contains('?') { '&' } else { '?' };
        let path = format!("{}{joint}digest={digest}", upload.location);
        let request = self
            .request(Method::PUT, &path)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, content.size())
            .body(content.body(0, content.size()));
        expect(request, StatusCode::CREATED).await;
        digest
    }

    /// Pushes a small blob; answers its digest.
    pub async fn push_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> String {
        self.try_push_blob(repository, bytes).await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Pushes a small blob; answers its digest, or what went wrong.
    pub async fn try_push_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Result<String, String> {
        let bytes = bytes.into();
        let digest = content::digest(&bytes);
        let start = self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/")).send().await;
        let start = verify(start, StatusCode::ACCEPTED).await?;
        let location = location(&start);
        let joint = if location.contains('?') { '&' } else { '?' };
        let put = self.request(Method::PUT, &format!("{location}{joint}digest={digest}")).body(bytes).send().await;
        verify(put, StatusCode::CREATED).await?;
        Ok(digest)
    }

    /// Pulls a blob and compares it with its digest; answers its size.
    pub async fn pull_blob(&self, repository: &str, digest: &str) -> u64 {
        self.try_pull_blob(repository, digest).await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Pulls a blob and compares it with its digest; answers its size, or what went wrong.
    pub async fn try_pull_blob(&self, repository: &str, digest: &str) -> Result<u64, String> {
        let answer = self.request(Method::GET, &format!("/v2/{repository}/blobs/{digest}")).send().await;
        let answer = verify(answer, StatusCode::OK).await?;
        let mut stream = answer.bytes_stream();
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| format!("{digest} broke off after {size} bytes: {error}"))?;
            hash.update(&piece);
            size += piece.len() as u64;
        }
        let actual = format!("sha256:{}", hex::encode(hash.finalize()));
        if actual == digest { Ok(size) } else { Err(format!("{digest} came as {actual}")) }
    }

    /// Pushes a manifest under a tag or its digest; panics unless it is answered 201.
    pub async fn push_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: impl Into<Bytes>) {
        self.try_push_manifest(repository, reference, media_type, bytes)
            .await
            .unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Pushes a manifest under a tag or its digest.
    pub async fn try_push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<(), String> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let request = self.request(Method::PUT, &path).header(CONTENT_TYPE, media_type).body(bytes.into());
        verify(request.send().await, StatusCode::CREATED).await.map(drop)
    }

    /// Pulls a manifest; the bytes, or `None` where there is none.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Option<Bytes> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let accept = [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ]
        .join(", ");
        let answer = self.request(Method::GET, &path).header("accept", accept).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("GET {path}: {error}"));
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        let bytes = check(Ok(answer), StatusCode::OK).await.bytes().await;
        Some(bytes.unwrap_or_else(|error| panic!("GET {path}: {error}")))
    }

    /// The digest that a tag stands for, of the bytes that came; `None` where there is no such tag.
    pub async fn resolve(&self, repository: &str, tag: &str) -> Option<String> {
        self.manifest(repository, tag).await.map(|bytes| content::digest(&bytes))
    }

    /// All tags, page by page.
    pub async fn tags(&self, repository: &str) -> Vec<String> {
        let mut path = format!("/v2/{repository}/tags/list");
        let mut tags = Vec::new();
        loop {
            let answer = expect(self.request(Method::GET, &path), StatusCode::OK).await;
            let next = header(&answer, LINK.as_str()).and_then(|link| {
                let target = link.split_once('<')?.1.split_once('>')?.0;
                Some(path_of(target).to_owned())
            });
            let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("GET {path}: {error}"));
            let page: serde_json::Value =
                serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("GET {path}: {error}: {bytes:?}"));
            let list = page["tags"].as_array().unwrap_or_else(|| panic!("GET {path}: {page}"));
            tags.extend(list.iter().filter_map(|tag| tag.as_str().map(str::to_owned)));
            match next {
                Some(next) => path = next,
                None => return tags,
            }
        }
    }
}

/// Sends a request and panics, with the answer, unless it has this status.
pub async fn expect(request: RequestBuilder, status: StatusCode) -> Response {
    check(request.send().await, status).await
}

async fn check(answer: Result<Response, reqwest::Error>, status: StatusCode) -> Response {
    verify(answer, status).await.unwrap_or_else(|failure| panic!("{failure}"))
}

async fn verify(answer: Result<Response, reqwest::Error>, status: StatusCode) -> Result<Response, String> {
    let answer = answer.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))?;
    if answer.status() == status {
        return Ok(answer);
    }
    let (url, actual) = (answer.url().clone(), answer.status());
    let body = answer.text().await.unwrap_or_default();
    Err(format!("{url}: {actual}, not {status}: {body}"))
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Path and query of the answer's `Location`, so that the next request may go to another address.
fn location(answer: &Response) -> String {
    let location = header(answer, LOCATION.as_str()).unwrap_or_else(|| panic!("{} has no Location", answer.url()));
    path_of(&location).to_owned()
}

fn path_of(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    }
}
