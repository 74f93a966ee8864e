//! Every unfinished upload in parts: it belongs to a session.
//!
//! A session's record is there before its first upload in parts begins, and goes after the last one was given up. So an upload that is
//! listed, whose session is then not there, and that is listed again after that, is nobody's: whoever might still complete it swaps
//! the session first. First the uploads, then the sessions, then the uploads again.

use std::collections::BTreeSet;

use wharf_store::{Family, UnfinishedUpload};

use super::event::Kind;
use super::{Looked, Step, To, Walk, foreign, keys};
use crate::error::Result;
use crate::key::Key;

/// How many unfinished uploads are compared with the sessions in one go, at least.
const MANY: usize = 10_000;
/// Uploads are listed by the first byte of their id.
const PREFIXES: u16 = 256;

impl Walk {
    /// `after` is the last first byte that was looked at.
    pub(super) async fn unfinished(&self, after: Option<&str>) -> Result<Step> {
        let mut first = after.and_then(|after| u16::from_str_radix(after, 16).ok()).map_or(0, |last| last + 1);
        let mut uploads = Vec::new();
        while first < PREFIXES && uploads.len() < MANY {
            let prefix = format!("{first:02x}");
            let listed = self.core.data.unfinished(&prefix).await?;
            // A store may take the prefix for a hint.
            uploads.extend(listed.into_iter().filter(|upload| upload.generation.as_str().starts_with(&prefix)));
            first += 1;
        }
        let mut looked = Looked { checked: uploads.len() as u64, ..Looked::default() };
        if !uploads.is_empty() {
            let mut families: BTreeSet<Family> = uploads.iter().map(|upload| upload.generation.family()).collect();
            let strange = self.sessions(|family| {
                families.remove(family);
            });
            if let Some(key) = strange.await? {
                looked.skipped.push(format!("whose the unfinished uploads are: {key} is no key of this version"));
                uploads.clear();
            }
            uploads.retain(|upload| families.contains(&upload.generation.family()));
            self.each(uploads, &mut looked, |upload| self.still_unfinished(upload)).await?;
        }
        let to = if first < PREFIXES { To::Next(Some(format!("{:02x}", first - 1))) } else { To::End };
        Ok(Step { looked, to, share: Some(f64::from(first) / f64::from(PREFIXES)) })
    }

    async fn still_unfinished(&self, upload: UnfinishedUpload) -> Result<Looked> {
        let now = self.core.data.unfinished(upload.generation.as_str()).await?;
        Ok(match now.contains(&upload) {
            true => Looked::finding(Kind::StrayUpload { generation: upload.generation, upload: upload.upload }),
            false => Looked::default(),
        })
    }

    /// Shows the family of every session. Answers a key that may be one and cannot be understood.
    pub(super) async fn sessions(&self, mut visit: impl FnMut(&Family) + Send) -> Result<Option<String>> {
        let (mut after, mut strange) = (None::<String>, None);
        loop {
            let page = self.list(Key::UPLOADS, after.as_deref(), 1000).await?;
            strange = strange.or(foreign(&page.entries));
            for key in keys(&page.entries) {
                if let Key::Upload(_, family) = key {
                    visit(&family);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(strange),
            }
        }
    }
}
