//! Images of layers that many share.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::json;

use crate::content::{self, Content, mix};
use crate::image::MANIFEST;

/// How many layers there are to choose from.
pub const LAYERS: u64 = 32;
/// The most layers of an image, its configuration not counted.
const MOST: u64 = 4;

/// A blob of the pool.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its bytes.
    pub content: Content,
    /// Their digest.
    pub digest: String,
}

/// An image: a manifest that nobody else pushes, of blobs that many do.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The manifest.
    pub manifest: Bytes,
    /// Its digest.
    pub digest: String,
    /// What it needs, its configuration first.
    pub blobs: Vec<Layer>,
}

/// The layer of this number.
#[must_use]
pub(super) fn layer(number: u64) -> &'static Layer {
    static POOL: OnceLock<Vec<Layer>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        (0..LAYERS)
            .map(|number| {
                // Mostly small, so that many are pushed; one goes to the store in parts.
                let size = if number == 0 { (14 << 20) + 5 } else { 200 + mix(number) % (1 << (8 + number % 12)) };
                let content = Content::new(1_000_000 + number, size);
                Layer { content, digest: content.digest() }
            })
            .collect()
    });
    &pool[usize::try_from(number % LAYERS).unwrap_or(0)]
}

impl Picture {
    /// An image of this name, whose blobs are chosen by `random`.
    #[must_use]
    pub fn new(name: &str, random: u64) -> Self {
        let count = 2 + random % MOST;
        let mut numbers: Vec<u64> = (0..count).map(|index| mix(random.wrapping_add(index)) % LAYERS).collect();
        numbers.sort_unstable();
        numbers.dedup();
        // The large one seldom.
        if !mix(random).is_multiple_of(8) && numbers.len() > 1 {
            numbers.retain(|number| *number != 0);
        }
        let blobs: Vec<Layer> = numbers.into_iter().map(|number| layer(number).clone()).collect();
        let descriptor = |layer: &Layer| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": layer.content.size()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(&blobs[0]),
            "layers": blobs[1..].iter().map(descriptor).collect::<Vec<_>>(),
            "annotations": {"test.name": name},
        });
        let manifest = Bytes::from(manifest.to_string());
        Self { digest: content::digest(&manifest), manifest, blobs }
    }
}
