//! What commands print for people.

use std::fmt::Display;
use std::io::Write;

use time::OffsetDateTime;

/// Prints a line to the standard output. A reader that went away is no error.
pub(super) fn line(text: impl Display) {
    // Unlike println!, this does not panic when a pipe was closed.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line to the standard error.
pub(super) fn error(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints rows with their columns aligned.
pub(super) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        line(format!("  {}", cells.join("  ")).trim_end());
    }
}

/// A number of bytes.
#[allow(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64 / 1024.0, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span of time in milliseconds, roughly.
pub(super) fn took(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{} s", millis / 1_000),
        60_000..3_600_000 => format!("{} min", millis / 60_000),
        3_600_000..172_800_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} days", millis / 86_400_000),
    }
}

/// A time in seconds since 1970, as seen from now.
pub(super) fn ago(time: u64) -> String {
    seen_from(u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0), time)
}

fn seen_from(now: u64, time: u64) -> String {
    match now.checked_sub(time) {
        Some(0) => "now".to_owned(),
        Some(age) => format!("{} ago", took(age.saturating_mul(1000))),
        None => format!("in {}", took((time - now).saturating_mul(1000))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 1023, 1024, 1_572_864].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
        assert_eq!([5, 61_000, 7_200_000, 864_000_000].map(took), ["5 ms", "1 min", "2 h", "10 days"]);
        assert_eq!(
            (seen_from(100, 40), seen_from(100, 190), seen_from(5, 5)),
            ("1 min ago".into(), "in 1 min".into(), "now".into())
        );
    }
}
