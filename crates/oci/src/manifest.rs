//! What a registry reads in a manifest (image-spec, "Image Manifest" and "Image Index").

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Digest, media_type};

/// The largest manifest that is accepted, in bytes (distribution-spec, "Pushing Manifests": at least 4 MiB).
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// A content descriptor (image-spec, "Descriptors"), as it stands in a list of referrers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Type of the artifact, when the content is a manifest that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations of the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Why a body is not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON, or fields of another type.
    #[error("the manifest is not the JSON that its media type promises: {0}")]
    Json(String),
    /// The request names another type than the document.
    #[error("the Content-Type {request} and the mediaType {document} of the manifest differ")]
    MediaType {
        /// From the request's `Content-Type`.
        request: String,
        /// From the document's `mediaType`.
        document: String,
    },
    /// A type that is not stored.
    #[error("a manifest of the type {0} is not accepted: push an OCI or Docker schema 2 manifest or index")]
    Unsupported(String),
    /// An image manifest with a list of manifests, or an index with layers.
    #[error("the manifest mixes fields of an image manifest with those of an index")]
    Mixed,
    /// A field without which it is no manifest.
    #[error("the manifest has no {0}")]
    Missing(&'static str),
    /// Not schema version 2.
    #[error("schemaVersion must be 2")]
    SchemaVersion,
}

/// What a manifest needs and says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Blobs that must be there before it is: config and layers.
    pub blobs: BTreeSet<Digest>,
    /// Manifests that an index lists.
    pub children: BTreeSet<Digest>,
    /// The manifest that it refers to.
    pub subject: Option<Digest>,
    /// Its artifact type; an image manifest without one has that of its config (distribution-spec, "Listing
    /// Referrers").
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest of the type that the request declared; `None` takes the document's own.
    ///
    /// # Errors
    /// Says what is wrong with the document; the answer is MANIFEST_INVALID.
    pub fn parse(bytes: &[u8], declared: Option<&str>) -> Result<Self, InvalidManifest> {
        let document: Document = serde_json::from_slice(bytes).map_err(|e| InvalidManifest::Json(e.to_string()))?;
        let media_type = document.settle_type(declared)?;
        let is_index = match media_type.as_str() {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => false,
            media_type::OCI_INDEX | media_type::DOCKER_LIST => true,
            _ => return Err(InvalidManifest::Unsupported(media_type)),
        };
        if document.schema_version != Some(2) {
            return Err(InvalidManifest::SchemaVersion);
        }
        if is_index { document.into_index(media_type) } else { document.into_image(media_type) }
    }
}

/// Only the fields that matter; everything else is kept as bytes and never looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Part>,
    layers: Option<Vec<Part>>,
    manifests: Option<Vec<Part>>,
    subject: Option<Part>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    #[allow(dead_code)] // only that it is a size: a negative one, or one beyond 64 bits, refuses the manifest
    size: Option<u64>,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl Document {
    fn settle_type(&self, declared: Option<&str>) -> Result<String, InvalidManifest> {
        let document = self.media_type.as_deref().filter(|t| !t.is_empty());
        match (declared, document) {
            (Some(request), Some(document)) if request != document => {
                Err(InvalidManifest::MediaType { request: request.into(), document: document.into() })
            }
            (Some(one), _) | (None, Some(one)) => Ok(one.into()),
            (None, None) => Err(InvalidManifest::Missing("mediaType, and the request has no Content-Type")),
        }
    }

    fn into_image(self, media_type: String) -> Result<Manifest, InvalidManifest> {
        if self.manifests.is_some() {
            return Err(InvalidManifest::Mixed);
        }
        let config = self.config.ok_or(InvalidManifest::Missing("config"))?;
        let layers = self.layers.unwrap_or_default();
        let artifact_type = self
            .artifact_type
            .filter(|t| !t.is_empty())
            .or_else(|| Some(config.media_type.clone()).filter(|t| !t.is_empty()));
        let mut blobs: BTreeSet<Digest> = layers.iter().filter(|l| !l.is_foreign()).map(|l| l.digest.clone()).collect();
        blobs.insert(config.digest);
        Ok(Manifest {
            media_type,
            blobs,
            children: BTreeSet::new(),
            subject: self.subject.map(|s| s.digest),
            artifact_type,
            annotations: self.annotations.unwrap_or_default(),
        })
    }

    fn into_index(self, media_type: String) -> Result<Manifest, InvalidManifest> {
        if self.layers.is_some() || self.config.is_some() {
            return Err(InvalidManifest::Mixed);
        }
        let manifests = self.manifests.ok_or(InvalidManifest::Missing("manifests"))?;
        Ok(Manifest {
            media_type,
            blobs: BTreeSet::new(),
            children: manifests.into_iter().map(|m| m.digest).collect(),
            subject: self.subject.map(|s| s.digest),
            artifact_type: self.artifact_type.filter(|t| !t.is_empty()),
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}

impl Part {
    /// Content that lives elsewhere (image-spec, "Non-Distributable Layers").
    fn is_foreign(&self) -> bool {
        media_type::NON_DISTRIBUTABLE.contains(&self.media_type.as_str())
            && self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn digest(text: &str) -> Digest {
        Algorithm::Sha256.digest(text.as_bytes())
    }

    #[test]
    fn an_image_needs_its_config_and_its_layers() {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/x","digest":"{}","size":1}},
            "layers":[{{"mediaType":"l","digest":"{}","size":1}},
            {{"mediaType":"{}","digest":"{}","size":1,"urls":["https://elsewhere/"]}}],
            "subject":{{"mediaType":"m","digest":"{}","size":1}},"annotations":{{"a":"b"}}}}"#,
            media_type::OCI_MANIFEST,
            digest("config"),
            digest("layer"),
            media_type::NON_DISTRIBUTABLE[0],
            digest("foreign"),
            digest("subject"),
        );
        let manifest = Manifest::parse(text.as_bytes(), None).expect("a manifest");
        assert_eq!(manifest.blobs, BTreeSet::from([digest("config"), digest("layer")]));
        assert_eq!(manifest.subject, Some(digest("subject")));
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/x"));
        assert!(matches!(
            Manifest::parse(text.as_bytes(), Some(media_type::OCI_INDEX)),
            Err(InvalidManifest::MediaType { .. })
        ));
    }

    #[test]
    fn an_index_lists_its_children() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"m","digest":"{}","size":1}}]}}"#,
            digest("child")
        );
        let index = Manifest::parse(text.as_bytes(), Some(media_type::OCI_INDEX)).expect("an index");
        assert_eq!(index.children, BTreeSet::from([digest("child")]));
        assert_eq!(Manifest::parse(text.as_bytes(), Some(media_type::OCI_MANIFEST)), Err(InvalidManifest::Mixed));
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_reason() {
        let parse = |text: &str| Manifest::parse(text.as_bytes(), Some(media_type::OCI_MANIFEST));
        assert!(matches!(parse("{"), Err(InvalidManifest::Json(_))));
        assert!(matches!(parse("[]"), Err(InvalidManifest::Json(_))));
        for size in ["-1", "1e400", "0.5", "18446744073709551616"] {
            let config = format!(r#"{{"mediaType":"x","digest":"{}","size":{size}}}"#, digest("x"));
            let text = format!(r#"{{"schemaVersion":2,"config":{config}}}"#);
            assert!(matches!(parse(&text), Err(InvalidManifest::Json(_))), "{size}");
        }
        assert_eq!(parse(r#"{"schemaVersion":1}"#), Err(InvalidManifest::SchemaVersion));
        assert_eq!(parse(r#"{"schemaVersion":2}"#), Err(InvalidManifest::Missing("config")));
        assert!(matches!(
            Manifest::parse(br#"{"schemaVersion":1}"#, Some(media_type::DOCKER_SCHEMA1_SIGNED)),
            Err(InvalidManifest::Unsupported(_))
        ));
    }
}
