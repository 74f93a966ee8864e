//! `/v2/`

mod base;
mod blobs;
mod catalog;
mod manifests;
mod referrers;
mod tags;
mod unavailable;
mod uploads;
