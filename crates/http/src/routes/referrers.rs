//! `/v2/<name>/referrers/<digest>` (distribution-spec, "Listing Referrers").

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde::Serialize;
use wharf_oci::{Descriptor, Digest, RepositoryName, media_type};

use crate::body::Body;
use crate::error::WireError;
use crate::headers::OCI_FILTERS_APPLIED;
use crate::request::{Answer, Request};

/// An image index (image-spec, "Image Index").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

/// Lists what refers to a manifest, which need not exist.
pub(crate) async fn get(request: Request<'_>, name: &RepositoryName, subject: &Digest) -> Answer {
    let types = request.query.all("artifactType").filter(|t| !t.is_empty()).map(|t| t.into_owned());
    let types: Vec<String> = types.collect();
    let manifests = request.repository(name).referrers(subject, &types).await?;
    let index = Index { schema_version: 2, media_type: media_type::OCI_INDEX, manifests: &manifests };
    let body = serde_json::to_vec(&index).map_err(|_| WireError::internal())?;
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(CONTENT_TYPE, const { HeaderValue::from_static(media_type::OCI_INDEX) });
    if !types.is_empty() {
        response.headers_mut().insert(OCI_FILTERS_APPLIED, const { HeaderValue::from_static("artifactType") });
    }
    Ok(response)
}
