//! The distribution specification's own conformance suite, in its stable and its development version, passes in full,
//! and nothing in it is skipped because the registry "does not support" it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use wharf_e2e::{Lab, Registry, say, tools};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_disk() {
    let lab = Lab::new("conformance-local");
    let registry = Registry::local(&lab).await;
    conforms(&lab, &registry);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas() {
    let lab = Lab::new("conformance-cluster");
    let registry = Registry::cluster(&lab, 3).await;
    conforms(&lab, &registry);
}

fn conforms(lab: &Lab, registry: &Registry) {
    let wrong: Vec<String> = ["1.1", "dev"].into_iter().flat_map(|version| run(lab, registry, version)).collect();
    assert!(wrong.is_empty(), "{} tests did not pass:\n{}", wrong.len(), wrong[..wrong.len().min(50)].join("\n"));
}

/// Runs one version of the suite; answers what did not pass.
fn run(lab: &Lab, registry: &Registry, version: &str) -> Vec<String> {
    let results = lab.directory(&format!("conformance-{version}"));
    let mut command = Command::new(tools::find("conformance"));
    command
        .current_dir(&results)
        .env("OCI_REGISTRY", registry.address())
        .env("OCI_TLS", "disabled")
        .env("OCI_VERSION", version)
        .env("OCI_REPO1", format!("conformance/one-{version}"))
        .env("OCI_REPO2", format!("conformance/two-{version}"))
        .env("OCI_RESULTS_DIR", &results);
    let (success, output) = tools::attempt(&mut command);
    let report = Report::parse(&output);
    let counts: Vec<String> = report.counts.iter().map(|(status, count)| format!("{status} {count}")).collect();
    say!("OCI {version} on {}: {}", registry.shape(), counts.join(", "));

    assert!(report.counts.get("Pass").is_some_and(|passed| *passed > 100), "the suite did not run:\n{output}");
    let mut wrong = report.wrong(version);
    if !success && wrong.is_empty() {
        wrong.push(format!("OCI {version}: the suite failed:\n{output}"));
    }
    wrong
}

/// What the suite printed: a line for each test, the errors of each below it, and at the end how many had which status.
#[derive(Debug, Default)]
struct Report {
    tests: Vec<(String, String, Vec<String>)>,
    counts: BTreeMap<String, u64>,
}

const ROOT: &str = "OCI Conformance Test";
const STATUSES: [&str; 5] = ["Pass", "FAIL", "Skip", "Disabled", "Error"];

impl Report {
    fn parse(output: &str) -> Self {
        let mut report = Self::default();
        let mut in_counts = false;
        for line in output.lines().map(str::trim) {
            in_counts |= line.starts_with("OCI Conformance Result:");
            if in_counts
                && let Some((status, count)) = line.split_once(": ")
                && let Some(status) = STATUSES.iter().find(|known| status.trim_end_matches('.') == **known)
                && let Ok(count) = count.trim().parse()
            {
                report.counts.insert((*status).to_owned(), count);
            } else if line.starts_with(ROOT)
                && let Some((name, status)) = line.rsplit_once(": ")
            {
                report.tests.push((name.to_owned(), status.to_owned(), Vec::new()));
            } else if let Some(error) = line.strip_prefix("- ")
                && let Some((_, _, errors)) = report.tests.last_mut()
            {
                errors.push(error.to_owned());
            }
        }
        report
    }

    /// Everything that neither passed nor is, in this version of the specification, switched off by the suite itself.
    fn wrong(&self, version: &str) -> Vec<String> {
        let children = |name: &str| self.tests.iter().any(|(other, _, _)| other.starts_with(&format!("{name}/")));
        let mut wrong: Vec<String> = self
            .tests
            .iter()
            .filter(|(name, status, _)| status != "Pass" && status != "Disabled" && !children(name))
            .map(|(name, status, errors)| format!("OCI {version}: {status}: {name}: {}", errors.join("; ")))
            .collect();
        // A step that passes in one part and is skipped in another is listed as passed above, and counted here.
        for status in ["FAIL", "Skip", "Error"] {
            let count = self.counts.get(status).copied().unwrap_or_default();
            if count > 0 && wrong.is_empty() {
                wrong.push(format!("OCI {version}: {count} steps ended with {status}"));
            }
        }
        wrong
    }
}
