//! `extensions`: what stands beside the registry.

use super::section::Source;
use super::value::Value;

const ENABLE: &str = "extensions.metrics.enable";
const PATH: &str = "extensions.metrics.prometheus.path";
/// zot's path.
const METRICS: &str = "/metrics";
/// Paths of the registry itself.
const TAKEN: [&str; 3] = ["/livez", "/readyz", "/startupz"];

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Extensions {
    /// `metrics.prometheus.path`, where `metrics` is enabled.
    pub(crate) metrics_path: Option<String>,
}

impl Extensions {
    /// Reads the section.
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let path = source.text(PATH).unwrap_or(METRICS).to_owned();
        if !is_free(&path) {
            source.problem(
                PATH,
                "must be a path of its own that begins with / and has nothing to clean, such as \"/metrics\"",
            );
        }
        // As in zot the block alone switches them on. Without a file only this machine can ask.
        let enabled = source
            .switch(ENABLE)
            .unwrap_or(matches!(source.value("extensions.metrics"), Some(Value::Map(_))) || source.bare);
        Self { metrics_path: enabled.then_some(path) }
    }
}

fn is_free(path: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        !matches!(part, "" | "." | "..") && part.bytes().all(is_plain)
    };
    let parts = path.strip_prefix('/').unwrap_or_default();
    parts.split('/').all(is_part) && path != "/v2" && !path.starts_with("/v2/") && !TAKEN.contains(&path)
}
