//! The results as Markdown, as JSON and as a picture.

use std::fmt::Write;
use std::path::Path;

use crate::compare::{Comparison, Row};
use crate::failure::Outcome;
use crate::growth::Growth;
use crate::limits::Limits;
use crate::measure::{Figures, Ratio};
use crate::plot;

const NOTHING: &str = "–";

/// Writes `report.md`, `results.json` and `ratios.svg`.
pub(crate) fn write(directory: &Path, comparison: &Comparison) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("results.json"), serde_json::to_vec_pretty(comparison)?)?;
    std::fs::write(directory.join("ratios.svg"), plot::ratios(comparison))?;
    std::fs::write(directory.join("report.md"), markdown(comparison))?;
    Ok(())
}

/// Writes `growth.md`, `growth.json` and `growth.svg`.
pub(crate) fn write_growth(directory: &Path, growth: &[Growth]) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("growth.json"), serde_json::to_vec_pretty(growth)?)?;
    std::fs::write(directory.join("growth.svg"), plot::growth(growth))?;
    std::fs::write(directory.join("growth.md"), growth_table(growth))?;
    Ok(())
}

/// One run, for the terminal.
pub(crate) fn line(in_bytes: bool, figures: &Figures) -> String {
    format!(
        "{}, p50 {}, p99 {}, CPU {}, peak {}",
        rate(in_bytes, figures),
        time(figures.p50),
        time(figures.p99),
        cpu(in_bytes, figures),
        figures.peak.map_or(NOTHING.to_owned(), size),
    )
}

/// All of it.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let first = comparison.peers.first().map_or("", String::as_str);
    let mut text = String::from("# Measured\n\n");
    if let Some(limits) = &comparison.limits {
        text.push_str(&machine(limits));
    }
    let _ = writeln!(
        text,
        "Medians of {} runs, in turn. The last columns are {first} divided by the peer: the median of the ratios of runs \
         beside each other, with the lowest and the highest. Rate: above 1, {first} is faster. CPU, p99: below 1, {first} \
         needs less.\n\n![ratios](ratios.svg)",
        comparison.runs
    );
    let mut family = "";
    for row in &comparison.rows {
        if row.family != family {
            family = row.family;
            let _ = write!(text, "\n## {family}\n\n{HEAD}");
        }
        text.push_str(&table_row(row));
    }
    text
}

const HEAD: &str = "\
| workload | peer | rate | p50 | p99 | CPU | peak memory | store calls | to store | from store | of its limit | rate × | CPU × | p99 × |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

fn table_row(row: &Row) -> String {
    let Row { workload, peer, figures, .. } = row;
    if let Some(failure) = &row.failed {
        // One line, and no cell's border.
        let failure = failure.replace(['\n', '|'], " ");
        return format!("| {workload} | {peer} | failed: {failure} | | | | | | | | | | | |\n");
    }
    let cells = [
        workload.clone(),
        peer.clone(),
        rate(row.in_bytes, figures),
        time(figures.p50),
        time(figures.p99),
        cpu(row.in_bytes, figures),
        optional(figures.peak, size),
        optional(figures.store_calls, |calls| format!("{calls:.1}")),
        optional(figures.store_up, size),
        optional(figures.store_down, size),
        optional(row.of_limit, |part| format!("{part:.2}")),
        optional(row.rate, ratio),
        optional(row.cpu, ratio),
        optional(row.p99, ratio),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn machine(limits: &Limits) -> String {
    format!(
        "What this machine can do: SHA-256 {}/s on one core; a file written and made durable {}/s; a small file made \
         durable in {}.\n\n",
        size(limits.hash),
        size(limits.disk),
        time(limits.sync)
    )
}

/// What one operation costs, against what is stored.
pub(crate) fn growth_table(growth: &[Growth]) -> String {
    let mut text = String::from(
        "# Growth\n\nCalls of the store and bytes for one operation, with what is done behind the answer.\n\n\
         ![growth](growth.svg)\n\n| of | operation | stored | calls | to store | from store |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for row in growth {
        let Growth { of, operation, stored, calls, up, down } = row;
        let _ = writeln!(text, "| {of} | {operation} | {stored} | {calls:.1} | {} | {} |", size(*up), size(*down));
    }
    text
}

fn optional<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), show)
}

fn ratio(ratio: Ratio) -> String {
    format!("**{}** ({}–{})", short(ratio.median), short(ratio.low), short(ratio.high))
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn rate(in_bytes: bool, figures: &Figures) -> String {
    if in_bytes { format!("{}/s", size(figures.bytes_rate)) } else { format!("{}/s", short(figures.rate)) }
}

fn cpu(in_bytes: bool, figures: &Figures) -> String {
    match figures.cpu_gib.filter(|_| in_bytes) {
        Some(cpu) => format!("{} s/GiB", short(cpu)),
        None => optional(figures.cpu_operation, time),
    }
}

fn size(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    match bytes {
        bytes if bytes >= KIB * KIB * KIB => format!("{} GiB", short(bytes / KIB / KIB / KIB)),
        bytes if bytes >= KIB * KIB => format!("{} MiB", short(bytes / KIB / KIB)),
        bytes if bytes >= KIB => format!("{} KiB", short(bytes / KIB)),
        bytes => format!("{bytes:.0} B"),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 1.0 => format!("{} s", short(seconds)),
        seconds if seconds >= 1e-3 => format!("{} ms", short(seconds * 1e3)),
        seconds => format!("{} µs", short(seconds * 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        assert_eq!([time(2.5), time(0.0123), time(0.000_08)], ["2.50 s", "12.3 ms", "80.0 µs"]);
        assert_eq!([size(10.0), size(1536.0), size(3.0 * 1024.0 * 1024.0 * 1024.0)], ["10 B", "1.50 KiB", "3.00 GiB"]);
    }
}
