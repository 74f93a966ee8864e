//! Images made on the spot: no test pulls anything from elsewhere.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::json;

use crate::client::Client;
use crate::content::{self, Content};

/// Media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An OCI image of one layer, with a few files in it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest.
    pub manifest: Bytes,
    /// The configuration.
    pub config: Bytes,
    /// The layer, a tar archive.
    pub layer: Bytes,
}

impl Image {
    /// An image whose layer holds `size` random bytes.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        let layer =
            tar(&[("etc/motd", format!("image {seed}\n").as_bytes()), ("random", &Content::new(seed, size).all())]);
        let config = Bytes::from(
            json!({
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/random"]},
                "rootfs": {"type": "layers", "diff_ids": [content::digest(&layer)]},
                "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}],
            })
            .to_string(),
        );
        let manifest = Bytes::from(
            json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(CONFIG, &config),
                "layers": [descriptor(LAYER, &layer)],
            })
            .to_string(),
        );
        Self { manifest, config, layer }
    }

    /// The digest of its manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        content::digest(&self.manifest)
    }

    /// Writes it as an OCI image layout, under the tag.
    pub fn write_layout(&self, directory: &Path, tag: &str) {
        let blobs = directory.join("blobs/sha256");
        let write = |path: &Path, bytes: &[u8]| {
            fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        };
        fs::create_dir_all(&blobs).unwrap_or_else(|error| panic!("{}: {error}", blobs.display()));
        for blob in [&self.manifest, &self.config, &self.layer] {
            write(&blobs.join(content::digest(blob).trim_start_matches("sha256:")), blob);
        }
        let mut entry = descriptor(MANIFEST, &self.manifest);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        entry["platform"] = json!({"architecture": "amd64", "os": "linux"});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        write(&directory.join("index.json"), index.to_string().as_bytes());
        write(&directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
    }

    /// Pushes it under a tag.
    pub async fn push(&self, client: &Client, repository: &str, tag: &str) {
        self.try_push(client, repository, tag).await.unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Pushes it under a tag, or tells what went wrong.
    pub async fn try_push(&self, client: &Client, repository: &str, tag: &str) -> Result<(), String> {
        client.try_push_blob(repository, self.config.clone()).await?;
        client.try_push_blob(repository, self.layer.clone()).await?;
        client.try_push_manifest(repository, tag, MANIFEST, self.manifest.clone()).await
    }
}

/// A manifest that needs only `{}` as its configuration and no layer, different for each `name`.
#[must_use]
pub fn small_manifest(name: &str) -> Bytes {
    Bytes::from(
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [],
            "annotations": {"test.name": name},
        })
        .to_string(),
    )
}

/// An index that lists nothing, different for each `name`: the manifest that takes the least to push.
#[must_use]
pub fn empty_index(name: &str) -> Bytes {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"test.name": name}});
    Bytes::from(index.to_string())
}

/// A descriptor of some bytes.
#[must_use]
pub fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": content::digest(bytes), "size": bytes.len()})
}

/// A tar archive (ustar) of these files.
#[must_use]
pub fn tar(files: &[(&str, &[u8])]) -> Bytes {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        let mut header = [0_u8; 512];
        let mut field = |at: usize, value: &[u8]| header[at..at + value.len()].copy_from_slice(value);
        field(0, name.as_bytes());
        field(100, b"0000644\0");
        field(108, b"0000000\0");
        field(116, b"0000000\0");
        field(124, format!("{:011o}\0", bytes.len()).as_bytes());
        field(136, b"00000000000\0");
        field(148, b"        ");
        field(156, b"0");
        field(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    Bytes::from(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tar_reads_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tar");
        fs::write(&path, tar(&[("a/b", b"one"), ("c", &[7; 513])])).unwrap();
        let output = std::process::Command::new("tar").arg("-tvf").arg(&path).output().unwrap();
        let listing = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(listing.contains(" 3 ") && listing.contains(" 513 ") && listing.contains("a/b"), "{listing}");
    }
}
