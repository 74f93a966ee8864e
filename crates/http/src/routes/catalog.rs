//! `/v2/_catalog`: the names of repositories, as Docker's registry lists them.

use serde::Serialize;
use wharf_oci::RepositoryName;

use super::page;
use crate::request::{Answer, Request};

#[derive(Serialize)]
struct Document<'a> {
    repositories: &'a [RepositoryName],
}

/// Lists repositories in order.
pub(crate) async fn get(request: Request<'_>) -> Answer {
    let n = page::size(request.query)?;
    let last = request.query.get("last").filter(|last| !last.is_empty());
    let last = last.map(|last| last.parse::<RepositoryName>()).transpose()?;
    let found = request.registry().catalog_of(last.as_ref(), n, &|name| request.visit.may_see(name)).await?;
    let base = request.base;
    let last = found.items.last().filter(|_| found.more);
    let next = last.map(|last| page::link(format_args!("{base}/v2/_catalog"), n, last.as_str()));
    page::answer(&Document { repositories: &found.items }, next)
}
