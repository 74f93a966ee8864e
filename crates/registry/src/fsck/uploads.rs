//! Every upload session: it was touched not long ago, or a collector will look at it.

use wharf_store::StoreError;

use super::event::Kind;
use super::suspect::Suspect;
use super::{Looked, PAGE, Step, Walk, keys};
use crate::error::Result;
use crate::key::Key;
use crate::record;
use crate::upload::Session;

impl Walk {
    pub(super) async fn uploads(&self, after: Option<&str>) -> Result<Step> {
        let page = self.list(Key::UPLOADS, after, PAGE).await?;
        let mut looked = Looked { checked: page.entries.len() as u64, ..Looked::default() };
        self.each(keys(&page.entries).collect(), &mut looked, |key| self.session(key)).await?;
        Ok(Step { looked, to: page.next.into(), share: None })
    }

    async fn session(&self, key: Key) -> Result<Looked> {
        let cell = match record::load::<Session>(self.core.records.as_ref(), &key).await {
            Ok(cell) => cell,
            Err(StoreError::Corrupt { what, detail }) => {
                return Ok(Looked::finding(Kind::Unreadable { key: what, problem: detail }));
            }
            Err(e) => return Err(e.into()),
        };
        let (Some(cell), Key::Upload(repository, upload)) = (cell, key) else { return Ok(Looked::default()) };
        // Its entry may stand a grace time behind the last touch, and another one once it has expired.
        let is_overdue = self.is_old(cell.value.touched + self.core.grace().as_secs());
        Ok(match is_overdue {
            true => Looked::suspect(Suspect::Session { repository, upload, etag: cell.etag }),
            false => Looked::default(),
        })
    }
}
