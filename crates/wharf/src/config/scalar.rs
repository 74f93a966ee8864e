//! Texts and numbers that mean something: durations, sizes, time windows and networks.

use std::net::IpAddr;
use std::str::FromStr;

/// Nanoseconds of each of Go's units, longest name first.
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Bytes of each unit of a size.
const SIZES: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

/// Reads a duration as Go's `time.ParseDuration` does, in nanoseconds.
///
/// # Errors
/// What is allowed.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    const ALLOWED: &str = "must be a duration such as \"90s\", \"15m\" or \"1h30m\"";
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(ALLOWED.to_owned());
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(wrong_unit(number, unit, ALLOWED));
        };
        let part = scaled(number, *nanos).ok_or_else(|| ALLOWED.to_owned())?;
        total = total.checked_add(part).ok_or("must be shorter than 292 years")?;
        rest = tail;
    }
    Ok(if negative { -total } else { total })
}

/// Says what to write in place of a unit that does not exist.
fn wrong_unit(number: &str, unit: &str, allowed: &str) -> String {
    let hours = |days: i64| number.parse::<i64>().ok().and_then(|n| n.checked_mul(24 * days));
    match (unit, hours(1), hours(7)) {
        ("", Some(_), _) => format!("{allowed}; it has no unit: write \"{number}s\" for seconds"),
        ("d", Some(hours), _) | ("w", _, Some(hours)) => {
            format!("{allowed}; there is no unit \"{unit}\": write \"{hours}h\"")
        }
        _ => allowed.to_owned(),
    }
}

/// A decimal number of units in nanoseconds, a fraction of a nanosecond cut off.
fn scaled(number: &str, nanos: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let mut total = whole.checked_mul(nanos)?;
    let mut step = nanos;
    for digit in fraction.bytes() {
        step /= 10;
        total = total.checked_add(i64::from(digit - b'0').checked_mul(step)?)?;
    }
    Some(total)
}

/// Writes nanoseconds as Go does, without the units that are 0: `1h30m`.
pub(crate) fn show_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = if nanos < 0 { "-".to_owned() } else { String::new() };
    let mut rest = nanos.unsigned_abs();
    for (unit, size) in [("h", 3_600_000_000_000_u64), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if rest > 0 {
        text.push_str(&format!("{rest}ns"));
    }
    text
}

/// Reads a number of bytes: digits, alone or with a unit (`64MiB`, `10 GB`).
///
/// # Errors
/// What is allowed.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    const ALLOWED: &str = "must be a number of bytes, alone or with a unit: 67108864, \"64MiB\", \"1GiB\"";
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = (&lower[..digits], lower[digits..].trim());
    let number: u64 = number.parse().map_err(|_| ALLOWED.to_owned())?;
    if unit.is_empty() {
        return Ok(number);
    }
    let size = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size).ok_or(ALLOWED)?;
    number.checked_mul(size).ok_or_else(|| ALLOWED.to_owned())
}

/// Writes a number of bytes with the largest unit that divides it.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let unit = SIZES[..4].iter().rev().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    match unit {
        Some((name, size)) => format!("{}{}iB", bytes / size, name[..1].to_ascii_uppercase()),
        None => format!("{bytes}B"),
    }
}

/// Checks a window of the day, `HH:MM-HH:MM`, which may wrap midnight.
///
/// # Errors
/// What is allowed.
pub(crate) fn time_window(text: &str) -> Result<(), String> {
    let allowed = || "must be two different times of day, \"HH:MM-HH:MM\"".to_owned();
    let time = |text: &str| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let hours: u16 = hours.parse().ok().filter(|h| *h < 24)?;
        let minutes: u16 = minutes.parse().ok().filter(|m| *m < 60)?;
        Some(hours * 60 + minutes)
    };
    let (from, to) = text.split_once('-').ok_or_else(allowed)?;
    let (from, to) = (time(from).ok_or_else(allowed)?, time(to).ok_or_else(allowed)?);
    if from == to { Err(allowed()) } else { Ok(()) }
}

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// An address of it.
    pub(crate) address: IpAddr,
    /// How many leading bits every address of it shares.
    pub(crate) prefix: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = || "must be addresses or networks such as \"127.0.0.1\" or \"10.0.0.0/8\"".to_owned();
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| allowed())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|p| *p <= bits).ok_or_else(allowed)?,
            None => bits,
        };
        Ok(Self { address, prefix })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_strings() {
        let good = [
            ("90m", 90 * 60),
            ("1h30m", 5400),
            ("24h", 86400),
            ("0", 0),
            ("-1h", -3600),
            ("+5s", 5),
            ("1.5h", 5400),
            (".5m", 30),
        ];
        for (text, seconds) in good {
            assert_eq!(duration(text), Ok(seconds * 1_000_000_000), "{text}");
        }
        assert_eq!(duration("1us2ns"), Ok(1002));
        assert_eq!(duration("1µs"), Ok(1000));
        for text in ["", "-", "h", "1", "1x", "1.2.3s", ".s", "5 m", "9999999999h", "7d", "60"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_is_answered_with_the_right_one() {
        assert!(duration("7d").expect_err("no days").ends_with("write \"168h\""));
        assert!(duration("2w").expect_err("no weeks").ends_with("write \"336h\""));
        assert!(duration("60").expect_err("no unit").ends_with("write \"60s\" for seconds"));
    }

    #[test]
    fn a_shown_duration_reads_back() {
        for text in ["1h30m", "25s", "1ms", "0s", "100h1ns"] {
            assert_eq!(show_duration(duration(text).expect("valid")), text);
        }
    }

    #[test]
    fn sizes_have_units() {
        let good = [("64MiB", 64 << 20), ("1 gib", 1 << 30), ("10kB", 10_000), ("7", 7), ("7b", 7)];
        for (text, size) in good {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "64M", "99999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(show_bytes(192 << 20), "192MiB");
        assert_eq!(show_bytes(1500), "1500B");
    }

    #[test]
    fn windows_and_networks() {
        for good in ["22:00-06:00", "00:00-23:59"] {
            assert_eq!(time_window(good), Ok(()), "{good}");
        }
        for bad in ["", "22:00", "22:00-22:00", "24:00-01:00", "1-2", "10:60-11:00"] {
            assert!(time_window(bad).is_err(), "{bad}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().map(|n| n.to_string()), Ok("10.0.0.0/8".to_owned()));
        assert_eq!("::1".parse::<Network>().map(|n| n.prefix), Ok(128));
        for bad in ["", "10.0.0.0/33", "proxy", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
