//! `/v2/<name>/tags/list` (distribution-spec, "Listing Tags").

use serde::Serialize;
use wharf_oci::{RepositoryName, Tag};

use super::page;
use crate::request::{Answer, Request};

#[derive(Serialize)]
struct Document<'a> {
    name: &'a RepositoryName,
    tags: &'a [Tag],
}

/// Lists tags in order.
pub(crate) async fn get(request: Request<'_>, name: &RepositoryName) -> Answer {
    let n = page::size(request.query)?;
    let last = request.query.get("last").filter(|last| !last.is_empty());
    let found = request.repository(name).tags(last.as_deref(), n).await?;
    let base = request.base;
    let last = found.items.last().filter(|_| found.more);
    let next = last.map(|last| page::link(format_args!("{base}/v2/{name}/tags/list"), n, last.as_str()));
    page::answer(&Document { name, tags: &found.items }, next)
}
