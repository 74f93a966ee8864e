//! Keys of `http`, but those of authentication and access control.

use super::Kind::{Block, Blocks, Duration, Int, List, Networks, Path, Port, Text, Url};
use super::{Key, guard, inner, later, used};

pub(super) const KEYS: &[Key] = &[
    used("http.address", Text),
    used("http.port", Port),
    used("http.externalUrl", Url),
    used("http.readTimeout", Duration),
    used("http.writeTimeout", Duration),
    used("http.drainTimeout", Duration),
    used("http.trustedProxies", Networks),
    used("http.compat", List),
    later("http.allowOrigin", Text, "no header for requests of other origins is sent"),
    later("http.realm", Text, "nobody is asked to log in"),
    guard("http.tls", Block, "encrypted connections (TLS)"),
    inner("http.tls.cert", Path),
    inner("http.tls.key", Path),
    inner("http.tls.cacert", Path),
    later("http.ratelimit", Block, "the number of requests is not limited"),
    inner("http.ratelimit.rate", Int),
    inner("http.ratelimit.methods", Blocks),
    inner("http.ratelimit.methods[].method", Text),
    inner("http.ratelimit.methods[].rate", Int),
];
