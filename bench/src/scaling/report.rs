//! The results as Markdown, as JSON and as a picture.

use std::fmt::Write;
use std::path::Path;

use super::{Row, Scaling, plot};
use crate::failure::Outcome;

/// Writes `scaling.md`, `scaling.json` and `scaling.svg`.
pub(crate) fn write(directory: &Path, scaling: &Scaling) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("scaling.json"), serde_json::to_vec_pretty(scaling)?)?;
    std::fs::write(directory.join("scaling.svg"), plot::draw(scaling))?;
    std::fs::write(directory.join("scaling.md"), markdown(scaling))?;
    Ok(())
}

/// A table, and what the switch saw.
pub(crate) fn markdown(scaling: &Scaling) -> String {
    let Scaling { megabits, blobs, clients, rows, packets } = scaling;
    let rounds = rows.first().map_or(0, |row| row.pull.len());
    let mut text = format!(
        "Each replica's link: {megabits} Mbit/s in each direction. {clients} clients for each replica, blobs of {} to {} MiB, medians \
         of {rounds} rounds in turn (lowest–highest).\n\n| replicas | pull, Mbit/s | times one | push, Mbit/s | times one |\n\
         | --- | --- | --- | --- | --- |\n",
        blobs.iter().min().unwrap_or(&0),
        blobs.iter().max().unwrap_or(&0),
    );
    for row in rows {
        let (pull, push) = scaling.times(row);
        let _ =
            writeln!(text, "| {} | {} | {pull:.2} | {} | {push:.2} |", row.replicas, rate(&row.pull), rate(&row.push));
    }
    let _ = writeln!(
        text,
        "\nPackets that replicas sent: {} to each other, {} to the bucket, {} to the balancer.",
        packets.to_replicas, packets.to_bucket, packets.to_balancer
    );
    text
}

fn rate(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    format!("{:.0} ({low:.0}–{high:.0})", Row::median(values))
}
