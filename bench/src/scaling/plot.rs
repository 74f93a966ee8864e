//! The picture: throughput against the number of replicas.

use std::fmt::Write;

use super::{Row, Scaling};
use crate::plot::{COLOURS, begin, line, text};

const LEFT: f64 = 70.0;
const TOP: f64 = 70.0;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 280.0;

/// Pulls and pushes, with the spread, beside what the replicas' links could carry.
pub(super) fn draw(scaling: &Scaling) -> String {
    let frame = Frame { scaling, most: scaling.rows.len().max(1) as f64 };
    let mut svg = begin(LEFT + WIDTH + 220.0, TOP + HEIGHT + 60.0);
    let title = format!("Replicas behind HAProxy, each with a link of {} Mbit/s", scaling.megabits);
    text(&mut svg, 10.0, 22.0, "start", &title);
    text(&mut svg, 10.0, 44.0, "start", "Mbit/s of all clients together; median, lowest and highest of the rounds");
    frame.axes(&mut svg);
    let three = scaling.rows.iter().find(|row| row.replicas == 3).map(|row| scaling.times(row));
    let key = |name: &str, times: Option<f64>| match times {
        Some(times) => format!("{name}: 3 give {times:.2} times 1"),
        None => name.to_owned(),
    };
    frame.curve(&mut svg, 0, &key("pull", three.map(|(pull, _)| pull)), |row| &row.pull);
    frame.curve(&mut svg, 1, &key("push", three.map(|(_, push)| push)), |row| &row.push);
    svg + "</svg>\n"
}

struct Frame<'a> {
    scaling: &'a Scaling,
    most: f64,
}

impl Frame<'_> {
    fn x(&self, replicas: f64) -> f64 {
        LEFT + WIDTH * replicas / (self.most + 0.3)
    }

    fn y(&self, rate: f64) -> f64 {
        TOP + HEIGHT * (1.0 - rate / (self.scaling.megabits as f64 * self.most * 1.05))
    }

    /// The axes, and the line of what the links carry.
    fn axes(&self, svg: &mut String) {
        for replicas in 0..=self.scaling.rows.len() {
            let carried = (self.scaling.megabits * replicas as u64) as f64;
            let colour = if replicas == 0 { "#333" } else { "#ddd" };
            line(svg, (LEFT, self.y(carried)), (LEFT + WIDTH, self.y(carried)), colour);
            text(svg, LEFT - 8.0, self.y(carried) + 4.0, "end", &format!("{carried}"));
            text(svg, self.x(replicas as f64), TOP + HEIGHT + 20.0, "middle", &format!("{replicas}"));
        }
        text(svg, LEFT + WIDTH / 2.0, TOP + HEIGHT + 44.0, "middle", "replicas");
        let all = self.scaling.megabits as f64 * self.most;
        line(svg, (self.x(0.0), self.y(0.0)), (self.x(self.most), self.y(all)), "#999");
        key(svg, 0, "#999", "what the links carry");
    }

    fn curve(&self, svg: &mut String, index: usize, name: &str, values: impl Fn(&Row) -> &[f64]) {
        let colour = COLOURS[index % COLOURS.len()];
        // Beside each other, since they would lie over each other.
        let aside = if index == 0 { -3.0 } else { 3.0 };
        let mut points = String::new();
        for row in &self.scaling.rows {
            let (at, values) = (self.x(row.replicas as f64) + aside, values(row));
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(0.0, f64::max);
            let median = self.y(Row::median(values));
            line(svg, (at, self.y(low)), (at, self.y(high)), colour);
            let _ = writeln!(svg, r#"<circle cx="{at:.1}" cy="{median:.1}" r="4" fill="{colour}"/>"#);
            let _ = write!(points, "{at:.1},{median:.1} ");
        }
        let points = points.trim_end();
        let _ = writeln!(svg, r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>"#);
        key(svg, index + 1, colour, name);
    }
}

fn key(svg: &mut String, index: usize, colour: &str, name: &str) {
    let (left, y) = (LEFT + WIDTH + 14.0, TOP + 14.0 + 24.0 * index as f64);
    line(svg, (left, y - 4.0), (left + 24.0, y - 4.0), colour);
    text(svg, left + 30.0, y, "start", name);
}
