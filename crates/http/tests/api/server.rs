//! A server for one test, and the requests that most tests make.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use wharf_http::{HttpOptions, serve};
use wharf_oci::{Algorithm, Digest, media_type};
use wharf_registry::{Options, Registry};

use crate::access_log;
use crate::store::TestStore;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<TestStore>,
    pub(crate) registry: Registry,
    pub(crate) client: Client,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
    _guard: DropGuard,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(HttpOptions::default()).await
    }

    pub(crate) async fn with(options: HttpOptions) -> Self {
        Self::over(Arc::default(), options).await
    }

    /// One more over the same store.
    pub(crate) async fn over(store: Arc<TestStore>, options: HttpOptions) -> Self {
        access_log::keep();
        let registry = Registry::new(store.clone(), store.clone(), Options::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, registry.clone(), options, shutdown.clone()));
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { address, store, registry, client, shutdown: shutdown.clone(), served, _guard: shutdown.drop_guard() }
    }

    /// A connection without a client around it.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let path = path.strip_prefix(&format!("http://{}", self.address)).unwrap_or(path);
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask("GET", path).send().await.unwrap()
    }

    pub(crate) async fn head(&self, path: &str) -> Response {
        self.ask("HEAD", path).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.ask("DELETE", path).send().await.unwrap()
    }

    /// Uploads a blob whole.
    pub(crate) async fn blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = sha256(content);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let response = self.ask("POST", &path).body(content.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        digest
    }

    /// Begins a session and answers its location.
    pub(crate) async fn session(&self, name: &str) -> String {
        let response = self.ask("POST", &format!("/v2/{name}/blobs/uploads/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        header(&response, "location")
    }

    /// Pushes a document as an OCI manifest.
    pub(crate) async fn put(&self, name: &str, reference: &str, document: &str) -> Response {
        let request = self.ask("PUT", &format!("/v2/{name}/manifests/{reference}"));
        request.header("content-type", media_type::OCI_MANIFEST).body(document.to_owned()).send().await.unwrap()
    }

    /// Pushes an image that differs from others by `salt`, and answers it.
    pub(crate) async fn image(&self, name: &str, tag: &str, salt: &str) -> String {
        let config = self.blob(name, salt.as_bytes()).await;
        let image = image(&config, &json!({}));
        assert_eq!(self.put(name, tag, &image).await.status(), StatusCode::CREATED);
        image
    }
}

/// The status of the answer to a request that no client library would send.
pub(crate) async fn raw(server: &Server, text: &str) -> u16 {
    let mut connection = server.connect().await;
    connection.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// An image manifest with more fields, in the order of their names.
pub(crate) fn image(config: &Digest, more: &Value) -> String {
    let mut image = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.example.config", "digest": config, "size": 1 },
        "layers": [],
    });
    for (key, value) in more.as_object().unwrap() {
        image[key] = value.clone();
    }
    image.to_string()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

pub(crate) async fn body(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// That a request was refused so, with the body that the specification wants.
pub(crate) async fn refused(response: Response, status: u16, code: &str) -> Value {
    let found = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), "application/json");
    let body = body(response).await;
    assert_eq!((found, body["errors"][0]["code"].as_str()), (status, Some(code)), "{body}");
    assert!(body["errors"][0]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    body
}
