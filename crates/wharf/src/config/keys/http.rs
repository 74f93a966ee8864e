//! Keys of `http`, but those of authentication and access control.

use super::Kind::{Blocks, Duration, Int, List, Networks, Path, Port, Text, Url};
use super::{Key, inner, later, used};

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
    used("http.realm", Text),
    used("http.tls.cert", Path),
    used("http.tls.key", Path),
    used("http.tls.cacert", Path),
    used("http.maxRequests", Int),
    used("http.maxConnections", Int),
    used("http.ratelimit.rate", Int),
    used("http.ratelimit.perClient", Int),
    used("http.ratelimit.methods", Blocks),
    inner("http.ratelimit.methods[].method", Text),
    inner("http.ratelimit.methods[].rate", Int),
];
