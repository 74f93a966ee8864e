//! What a handler gets, and what it answers with.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use wharf_oci::{Digest, RepositoryName};
use wharf_registry::{Registry, Repository};

use crate::access::Visit;
use crate::app::App;
use crate::body::{Body, RequestBody};
use crate::error::WireError;
use crate::headers::value;
use crate::query::Query;

/// A request on its way to the handler of its resource.
pub(crate) struct Request<'a> {
    /// What serves it.
    pub(crate) app: &'a App,
    /// Who makes it, and what they may do.
    pub(crate) visit: Visit<'a>,
    /// GET, HEAD or another that the resource allows.
    pub(crate) method: &'a Method,
    /// The headers as they came.
    pub(crate) headers: &'a HeaderMap,
    /// Behind the question mark.
    pub(crate) query: Query<'a>,
    /// Where the client sees the root of the registry; empty makes references that begin with the path.
    pub(crate) base: &'a str,
    /// The body, still to come.
    pub(crate) body: &'a mut RequestBody,
}

/// What a handler returns.
pub(crate) type Answer = Result<Response<Body>, WireError>;

impl<'a> Request<'a> {
    /// The registry.
    pub(crate) const fn registry(&self) -> &'a Registry {
        &self.app.registry
    }

    /// One repository of it.
    pub(crate) fn repository(&self, name: &RepositoryName) -> Repository {
        self.app.registry.repository(name)
    }

    /// Whether only the headers are asked for.
    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

/// Where a blob is.
pub(crate) fn blob_location(base: &str, name: &RepositoryName, digest: &Digest) -> HeaderValue {
    value(format_args!("{base}/v2/{name}/blobs/{digest}"))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}
