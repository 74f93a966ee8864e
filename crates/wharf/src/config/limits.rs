//! `http.ratelimit`, `http.maxRequests` and `http.maxConnections`: how much is served.

use std::num::NonZeroU32;

use super::section::Source;
use super::value::Value;

/// Requests at once; a request takes some hundred kilobytes, unless it is an upload, whose memory has a bound of its own.
const REQUESTS: usize = 2048;
const CONNECTIONS: usize = 8192;
/// The methods that the registry knows.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `ratelimit.rate`: requests a second of one client to one path.
    pub(crate) rate: Option<NonZeroU32>,
    /// `ratelimit.methods`: the same for one method.
    pub(crate) method_rates: Vec<(String, NonZeroU32)>,
    /// `ratelimit.perClient`: requests a second of one client.
    pub(crate) client_rate: Option<NonZeroU32>,
    /// `maxRequests`: requests that are served at once; as many more wait.
    pub(crate) requests: usize,
    /// `maxConnections`: connections that are open at once.
    pub(crate) connections: usize,
}

impl Limits {
    /// Reads the keys.
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            rate: rate(source, "http.ratelimit.rate"),
            method_rates: method_rates(source),
            client_rate: rate(source, "http.ratelimit.perClient"),
            requests: number(source, "http.maxRequests").unwrap_or(REQUESTS),
            connections: number(source, "http.maxConnections").unwrap_or(CONNECTIONS),
        }
    }
}

fn rate(source: &mut Source<'_>, key: &str) -> Option<NonZeroU32> {
    let number = source.int(key)?;
    let rate = as_rate(number);
    if rate.is_none() {
        source.problem(key, RATE);
    }
    rate
}

const RATE: &str = "must be a number of requests a second, 1 or more; leave the key out for no limit";

fn as_rate(number: i64) -> Option<NonZeroU32> {
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

fn number(source: &mut Source<'_>, key: &str) -> Option<usize> {
    let number = source.int(key)?;
    let read = usize::try_from(number).ok().filter(|number| *number > 0);
    if read.is_none() {
        source.problem(key, "must be 1 or more");
    }
    read
}

fn method_rates(source: &mut Source<'_>) -> Vec<(String, NonZeroU32)> {
    const KEY: &str = "http.ratelimit.methods";
    let Some(Value::List(blocks)) = source.value(KEY) else { return Vec::new() };
    let mut rates = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let method = match block.get("method") {
            Some(Value::Text(method)) => method.to_ascii_uppercase(),
            _ => String::new(),
        };
        if !METHODS.contains(&method.as_str()) {
            let shown = block.get("method").map(|method| method.shown(KEY));
            let text = format!("must be one of {}", METHODS.join(", "));
            source.findings.problem(&format!("{KEY}[{index}].method"), shown, text);
        }
        match block.get("rate") {
            Some(Value::Int(number)) if as_rate(*number).is_some() => {
                rates.extend(as_rate(*number).map(|r| (method, r)))
            }
            rate => {
                let shown = rate.map(|rate| rate.shown(KEY));
                source.findings.problem(&format!("{KEY}[{index}].rate"), shown, RATE);
            }
        }
    }
    rates
}
