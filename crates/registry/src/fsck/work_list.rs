//! Reading the collectors' whole work list while collectors work on it.

use std::collections::BTreeSet;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use wharf_store::{ListRequest, StoreError};

use crate::core::Core;
use crate::due::Due;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::record;

/// How many entries are listed at once.
const PAGE: usize = 500;
/// How often one page is listed again because entries of it were moved meanwhile.
const LAPS: usize = 50;

/// What a reading of the list missed.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Entries that cannot be understood, by key, and why.
    pub(super) entries: Vec<(String, String)>,
}

/// Shows every entry of the list to `visit`: all that were there from the beginning of this call to its end, even where collectors
/// moved them.
///
/// A collector moves an entry to a later time, and puts the new one before it takes the old one off. So whoever reads in the order of
/// time meets the old one or, further on, the new one; unless the new place lies within the page that is being read. A page of which
/// an entry has vanished is therefore listed again.
pub(super) async fn read(core: &Core, at_once: usize, mut visit: impl FnMut(&Due) + Send) -> Result<Unread> {
    let mut unread = Unread::default();
    let mut after: Option<String> = None;
    loop {
        let mut seen = BTreeSet::new();
        let mut lap = 0;
        let next = loop {
            let request = ListRequest { prefix: Key::DUE, after: after.as_deref(), fold: false, limit: PAGE };
            let page = core.records.list(request).await?;
            let fresh: Vec<String> = page.entries.into_iter().map(|e| e.key).filter(|k| !seen.contains(k)).collect();
            let vanished = show(core, at_once, &fresh, &mut visit, &mut unread).await?;
            seen.extend(fresh);
            lap += 1;
            match vanished {
                false => break page.next,
                true if lap >= LAPS => return Err(Error::Contended("the work list".to_owned())),
                true => {}
            }
        };
        match next {
            Some(next) => after = Some(next),
            None => return Ok(unread),
        }
    }
}

/// An entry, or what cannot be understood and why; `None` where it has vanished.
async fn load(core: &Core, text: String) -> Result<Option<std::result::Result<Due, (String, String)>>> {
    let Ok(key @ Key::Due(..)) = text.parse() else { return Ok(Some(Err((text, "its key".to_owned())))) };
    match record::load::<Due>(core.records.as_ref(), &key).await {
        Ok(cell) => Ok(cell.map(|cell| Ok(cell.value))),
        Err(StoreError::Corrupt { detail, .. }) => Ok(Some(Err((text, detail)))),
        Err(e) => Err(e.into()),
    }
}

/// Shows these entries. Answers whether one of them has vanished.
async fn show(
    core: &Core,
    at_once: usize,
    keys: &[String],
    visit: &mut (impl FnMut(&Due) + Send),
    unread: &mut Unread,
) -> Result<bool> {
    let mut vanished = false;
    let loads: Vec<_> = keys.iter().map(|text| load(core, text.clone()).boxed()).collect();
    let mut loads = futures::stream::iter(loads).buffer_unordered(at_once);
    while let Some(loaded) = loads.try_next().await? {
        match loaded {
            Some(Ok(due)) => visit(&due),
            Some(Err(entry)) => unread.entries.push(entry),
            None => vanished = true,
        }
    }
    Ok(vanished)
}
