//! Keys at the top level, and those of `log`, `cluster` and `scheduler`.

use super::Kind::{Block, Int, List, OneOf, Path, Text};
use super::{Key, inner, unneeded, used};

const BUILD: &str = "it states a fact of the binary's build, which Wharf takes from its own";

/// The words that zot has for a level. `fatal` and `panic` are for lines that Wharf never writes, and log errors.
pub(crate) const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"];

pub(super) const KEYS: &[Key] = &[
    used("distSpecVersion", Text),
    unneeded("goVersion", Text, BUILD),
    unneeded("commit", Text, BUILD),
    unneeded("releaseTag", Text, BUILD),
    unneeded("binaryType", Text, BUILD),
    used("log.level", OneOf(LEVELS)),
    used("log.output", Path),
    used("log.audit", Path),
    unneeded(
        "cluster",
        Block,
        "replicas need not know each other: any number of them serve one bucket behind a plain load balancer",
    ),
    inner("cluster.members", List),
    inner("cluster.hashKey", Text),
    inner("cluster.tls.cacert", Path),
    inner("cluster.tls.cert", Path),
    inner("cluster.tls.key", Path),
    unneeded("scheduler", Block, "background work has no pool of workers to size"),
    inner("scheduler.numWorkers", Int),
];
