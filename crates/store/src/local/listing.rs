//! Listing the records, with or without folders.

use std::ops::Bound;

use redb::ReadOnlyTable;

use super::error::Fault;
use super::value;
use crate::{Entry, ListPage, ListRequest};

/// Where the scan stands: the next key is not before this one.
type Start = Bound<String>;

/// A page of the keys. A folder costs one seek, however much is in it.
pub(super) fn list(
    records: &ReadOnlyTable<&'static str, &'static [u8]>,
    request: &ListRequest<'_>,
) -> Result<ListPage, Fault> {
    let mut page = ListPage::default();
    let mut last: Option<String> = None;
    let mut start = Some(first(request));
    while let Some(from) = start.take() {
        let from = (from.as_ref().map(String::as_str), Bound::Unbounded);
        for found in records.range::<&str>(from).map_err(Fault::records)? {
            let (key, stored) = found.map_err(Fault::records)?;
            let key = key.value();
            let Some(rest) = key.strip_prefix(request.prefix) else { return Ok(page) };
            let folder = rest.find('/').filter(|_| request.fold).map(|at| &key[..=request.prefix.len() + at]);
            if request.after.is_none_or(|after| folder.unwrap_or(key) > after) {
                if page.entries.len() + page.folders.len() >= request.limit.max(1) {
                    page.next = last;
                    return Ok(page);
                }
                last = Some(folder.unwrap_or(key).to_owned());
                match folder {
                    Some(folder) => page.folders.push(folder.to_owned()),
                    None => page.entries.push(entry(key, stored.value())),
                }
            }
            if let Some(folder) = folder {
                start = Some(behind(folder));
                break;
            }
        }
    }
    Ok(page)
}

fn first(request: &ListRequest<'_>) -> Start {
    match request.after {
        Some(after) if request.fold && after.ends_with('/') && after > request.prefix => behind(after),
        Some(after) if after >= request.prefix => Bound::Excluded(after.to_owned()),
        _ => Bound::Included(request.prefix.to_owned()),
    }
}

/// Behind everything in a folder: `0` follows `/`.
fn behind(folder: &str) -> Start {
    Bound::Included(format!("{}0", folder.strip_suffix('/').unwrap_or(folder)))
}

fn entry(key: &str, stored: &[u8]) -> Entry {
    let (version, value) = value::split(stored).unwrap_or_default();
    Entry { key: key.to_owned(), etag: value::etag(version), size: value.len() as u64 }
}
