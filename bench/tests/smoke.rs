//! Each workload runs once, very small, so that it works when it is needed. Nothing here asserts how fast anything is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wharf_bench::{Options, Scale, compare};

#[tokio::test]
async fn every_workload_works() {
    let options = Options {
        peers: vec!["wharf".to_owned()],
        only: Vec::new(),
        runs: 1,
        scale: Scale::smoke(),
        limits: false,
        out: None,
    };
    let comparison = compare(&options).await.unwrap();
    let failed: Vec<String> =
        comparison.rows.iter().filter_map(|row| Some(format!("{}: {}", row.workload, row.failed.as_ref()?))).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for family in ["manifest", "blob", "push", "tags", "history", "image", "list", "mixed", "zb"] {
        assert!(comparison.rows.iter().any(|row| row.family == family && row.figures.operations >= 1.0), "{family}");
    }
}
