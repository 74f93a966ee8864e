//! What commands print for people.

use std::fmt::Display;
use std::io::Write;

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
