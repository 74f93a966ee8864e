//! What a repository claims of the store: for whoever checks that nothing else is left.

use wharf_oci::Reference;
use wharf_store::Generation;

use crate::error::Result;
use crate::hold;
use crate::key::Key;
use crate::pull;
use crate::registry::Repository;

/// What one manifest claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Where its own bytes are.
    pub generation: Generation,
    /// The keys of its holds, one for each blob that it needs.
    pub holds: Vec<String>,
}

impl Repository {
    /// What a manifest claims; `None` where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claims(&self, reference: &Reference) -> Result<Option<Claims>> {
        let Some(view) = self.view().await? else { return Ok(None) };
        let Some((digest, entry)) = view.resolve(reference).await? else { return Ok(None) };
        let bytes = pull::read_manifest(&self.core, &digest, &entry).await?;
        let manifest = pull::parse_stored(&digest, &bytes, &entry)?;
        let key = |blob| hold::push_key(blob, &self.name, &digest, entry.push).to_string();
        Ok(Some(Claims { holds: manifest.blobs.iter().map(key).collect(), generation: entry.generation }))
    }

    /// The keys of all segments of the current version.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn segments(&self) -> Result<Vec<String>> {
        let Some(view) = self.view().await? else { return Ok(Vec::new()) };
        let named = view.named_segments().await?;
        Ok(named.into_iter().map(|id| Key::Segment(self.name.clone(), id).to_string()).collect())
    }
}
