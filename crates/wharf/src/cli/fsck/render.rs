//! What a walk says, for people or for programs.

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use wharf_registry::fsck::{Event, Finding, Kind, Phase, Progress, Repair, Severity, Summary};

use crate::cli::output;

/// The length of the bar: shares are told in thousandths.
const LENGTH: u64 = 1000;

/// Prints events. The bar goes to the standard error, and only to a terminal; findings go to the standard output.
pub(super) struct Renderer {
    json: bool,
    bar: ProgressBar,
    phase: Option<Phase>,
    /// How many findings a collector will deal with.
    queued: u64,
}

impl Renderer {
    pub(super) fn new(json: bool) -> Self {
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(LENGTH) };
        let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {msg}  {elapsed_precise}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        Self { json, bar, phase: None, queued: 0 }
    }

    pub(super) fn show(&mut self, event: &Event) {
        if self.json {
            // Everything in an event can be told in JSON.
            if let Ok(line) = serde_json::to_string(event) {
                output::line(line);
            }
            return;
        }
        match event {
            Event::Progress(progress) => self.move_to(progress),
            Event::Finding(finding) => {
                self.queued += u64::from(finding.repair == Repair::Queued);
                self.bar.suspend(|| output::line(sentence(finding)));
            }
            Event::Skipped { reason } => self.bar.suspend(|| output::line(format!("not judged  {reason}"))),
            Event::Checkpoint(_) | Event::Done(_) => {}
        }
    }

    fn move_to(&mut self, progress: &Progress) {
        if self.phase != Some(progress.phase) {
            self.phase = Some(progress.phase);
            self.bar.set_prefix(progress.phase.to_string());
            self.bar.set_position(0);
        }
        if let Some(share) = progress.share {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share is from 0 to 1
            self.bar.set_position((share.clamp(0.0, 1.0) * LENGTH as f64) as u64);
        }
        let bytes = if progress.bytes > 0 { format!(", {} read", HumanBytes(progress.bytes)) } else { String::new() };
        self.bar.set_message(format!("{} checked{bytes}", HumanCount(progress.checked)));
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        self.bar.finish_and_clear();
    }

    /// The last words of a walk that came to its end.
    pub(super) fn finish(&mut self, summary: &Summary) {
        self.clear();
        if self.json {
            return;
        }
        let checked: Vec<String> = summary
            .checked
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(phase, count)| format!("{} {}", HumanCount(*count), thing(*phase)))
            .collect();
        output::line(format!("Checked: {}; {} read.", checked.join(", "), HumanBytes(summary.bytes)));
        if summary.skipped > 0 {
            output::line(format!("Not judged: {}. They depend on something that could not be read.", summary.skipped));
        }
        if summary.findings.is_empty() {
            output::line("Nothing found.");
            return;
        }
        let lost = if summary.lost > 0 { format!(", {} of them LOSSES", summary.lost) } else { String::new() };
        output::line(format!("Findings: {}{lost}", summary.found()));
        let rows: Vec<_> =
            summary.findings.iter().map(|(kind, count)| vec![kind.clone(), HumanCount(*count).to_string()]).collect();
        output::table(&rows);
        if self.queued > 0 {
            output::line(
                "What is queued is done by the collectors of running servers (storage.gc), within storage.gcInterval.",
            );
        }
    }
}

/// What a phase counts.
const fn thing(phase: Phase) -> &'static str {
    match phase {
        Phase::Repositories => "manifests",
        Phase::Segments => "segments",
        Phase::Blobs => "blobs",
        Phase::Holds => "holds",
        Phase::Uploads => "upload sessions",
        Phase::Unfinished => "unfinished uploads",
        Phase::Data => "data",
        Phase::Scrub => "scrubbed blobs",
        Phase::Confirm | Phase::Done => "suspects",
    }
}

fn sentence(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Lost => "LOST      ",
        Severity::Danger => "danger    ",
        Severity::Leftover => "leftover  ",
    };
    let repair = match finding.repair {
        Repair::Open => String::new(),
        Repair::Queued => " [queued for the collectors]".to_owned(),
        Repair::Restored => " [restored]".to_owned(),
        Repair::Removed => " [removed]".to_owned(),
        Repair::Moot => " [has changed meanwhile]".to_owned(),
        Repair::Manual => " [cannot be repaired here]".to_owned(),
    };
    let is_stray = matches!(finding.kind, Kind::StrayData { .. });
    let advice = finding.kind.advice().filter(|_| !is_stray || finding.repair == Repair::Manual);
    let advice = advice.map(|advice| format!("\n            {advice}")).unwrap_or_default();
    format!("{severity}  {}: {}{repair}{advice}", finding.kind.name(), finding.kind)
}
