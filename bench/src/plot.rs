//! Pictures: SVG, written by hand because three kinds of them are all that there is ([`crate::scaling`] has the third).

use std::fmt::Write;

use crate::compare::{Comparison, Row};
use crate::growth::Growth;
use crate::measure::Ratio;
use crate::report::short;

pub(crate) const COLOURS: [&str; 6] = ["#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97", "#b8860b", "#4f5d75"];
const LABEL: f64 = 430.0;
const WIDTH: f64 = 620.0;
const LINE: f64 = 22.0;
const TOP: f64 = 60.0;

/// A row for each workload and other peer: how much faster the first peer is, on a logarithmic axis, with the spread.
pub(crate) fn ratios(comparison: &Comparison) -> String {
    let rows: Vec<(&Row, Ratio)> = comparison.rows.iter().filter_map(|row| Some((row, row.rate?))).collect();
    let reach = rows.iter().flat_map(|(_, ratio)| [ratio.low, ratio.high]).map(|ratio| ratio.log10().abs());
    // At least from a tenth to ten times.
    let reach = reach.filter(|reach| reach.is_finite()).fold(1.0, f64::max);
    let x = |ratio: f64| LABEL + WIDTH / 2.0 * (1.0 + ratio.max(1e-9).log10() / reach);
    let height = TOP + LINE * rows.len() as f64 + 20.0;
    let first = comparison.peers.first().map_or("", String::as_str);

    let mut svg = begin(LABEL + WIDTH + 120.0, height);
    text(&mut svg, 10.0, 20.0, "start", &format!("Rate of {first} divided by the peer's (right: {first} is faster)"));
    for ratio in ticks(reach) {
        line(&mut svg, (x(ratio), TOP - 8.0), (x(ratio), height - 14.0), if ratio == 1.0 { "#333" } else { "#ddd" });
        text(&mut svg, x(ratio), TOP - 14.0, "middle", &format!("{ratio}×"));
    }
    for (index, (row, ratio)) in rows.iter().enumerate() {
        let y = TOP + LINE * (index as f64 + 0.5);
        let colour = comparison.peers.iter().position(|peer| *peer == row.peer).unwrap_or(0) % COLOURS.len();
        let colour = COLOURS[colour];
        text(&mut svg, LABEL - 10.0, y + 4.0, "end", &format!("{} / {}", row.workload, row.peer));
        let (from, to) = (x(1.0).min(x(ratio.median)), x(1.0).max(x(ratio.median)));
        let _ = writeln!(
            svg,
            r#"<rect x="{from:.1}" y="{:.1}" width="{:.1}" height="12" fill="{colour}" opacity="0.75"/>"#,
            y - 6.0,
            to - from
        );
        line(&mut svg, (x(ratio.low), y), (x(ratio.high), y), "#111");
        text(&mut svg, LABEL + WIDTH + 10.0, y + 4.0, "start", &format!("{}×", short(ratio.median)));
    }
    svg + "</svg>\n"
}

/// The round ratios of the axis.
fn ticks(reach: f64) -> impl Iterator<Item = f64> {
    let all = [0.01, 0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 10.0, 100.0];
    all.into_iter().filter(move |ratio: &f64| ratio.log10().abs() <= reach + 1e-9)
}

/// Calls for an operation against what is stored, on logarithmic axes: a picture for each thing that grows.
pub(crate) fn growth(growth: &[Growth]) -> String {
    let mut subjects: Vec<&str> = growth.iter().map(|row| row.of).collect();
    subjects.dedup();
    let panel = Panel { width: 420.0, height: 250.0 };
    let mut svg = begin(2.0 * (panel.width + 260.0), 60.0 + (panel.height + 70.0) * subjects.len() as f64);
    text(
        &mut svg,
        10.0,
        20.0,
        "start",
        "One operation, against what is stored: calls of the store (left), KiB (right)",
    );
    for (index, subject) in subjects.iter().enumerate() {
        let rows: Vec<&Growth> = growth.iter().filter(|row| row.of == *subject).collect();
        let top = 60.0 + (panel.height + 70.0) * index as f64;
        panel.draw(&mut svg, (50.0, top), &format!("{subject}: calls"), &rows, |row| row.calls);
        let right = panel.width + 310.0;
        panel.draw(&mut svg, (right, top), &format!("{subject}: KiB"), &rows, |row| (row.up + row.down) / 1024.0);
    }
    svg + "</svg>\n"
}

struct Panel {
    width: f64,
    height: f64,
}

impl Panel {
    fn draw(&self, svg: &mut String, at: (f64, f64), title: &str, rows: &[&Growth], value: fn(&Growth) -> f64) {
        let (left, top) = at;
        let largest = rows.iter().map(|row| row.stored as f64).fold(10.0, f64::max).log10();
        let highest = rows.iter().map(|row| value(row)).fold(10.0, f64::max).log10();
        let x = |stored: f64| left + self.width * stored.max(1.0).log10() / largest;
        let y = |value: f64| top + self.height * (1.0 - value.max(1.0).log10() / highest);
        text(svg, left, top - 12.0, "start", title);
        for power in 0..=9 {
            let value = 10_f64.powi(power);
            if value.log10() <= highest {
                line(svg, (left, y(value)), (left + self.width, y(value)), "#ddd");
                text(svg, left - 6.0, y(value) + 4.0, "end", &format!("{value}"));
            }
            if value.log10() <= largest {
                line(svg, (x(value), top), (x(value), top + self.height), "#ddd");
                text(svg, x(value), top + self.height + 16.0, "middle", &format!("{value}"));
            }
        }
        let mut operations: Vec<&str> = rows.iter().map(|row| row.operation).collect();
        operations.sort_unstable();
        operations.dedup();
        for (index, operation) in operations.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let of: Vec<&&Growth> = rows.iter().filter(|row| row.operation == *operation).collect();
            let points: Vec<String> =
                of.iter().map(|row| format!("{:.1},{:.1}", x(row.stored as f64), y(value(row)))).collect();
            let points = points.join(" ");
            let _ = writeln!(svg, r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>"#);
            let key = top + 14.0 + LINE * index as f64;
            line(svg, (left + self.width + 10.0, key - 4.0), (left + self.width + 30.0, key - 4.0), colour);
            text(svg, left + self.width + 36.0, key, "start", operation);
        }
    }
}

pub(crate) fn begin(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    )
}

pub(crate) fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{colour}"/>"#,
        from.0, from.1, to.0, to.1
    );
}

pub(crate) fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
}
