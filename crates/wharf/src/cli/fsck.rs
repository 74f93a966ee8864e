//! `wharf fsck`

mod render;
mod resume;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use wharf_registry::fsck::{Event, FsckOptions, Summary};

use super::{Source, output};
use crate::config::Storage;
use crate::control::{self, CommandError, Order};
use crate::fsck::FsckOrder;
use crate::shutdown::{Ended, Signals};
use crate::store::StartError;
use render::Renderer;
use resume::{Resume, ResumeError};

/// Walk the whole registry: find what is lost, in danger, or left behind
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wharf fsck config.json                     look at everything but the bytes of blobs
  wharf fsck config.json --scrub             read and hash these too
  wharf fsck config.json --repair            put what was left behind on the collectors' work list
  wharf fsck config.json --resume fsck.state keep a note of how far it is, and go on from there

Replicas may serve, push, delete and collect meanwhile; a server on the local disk makes the walk itself, asked over its
control socket. Without --repair nothing is written.
Interrupted, it says how to go on. Exit status: 0 nothing found, 1 findings, 2 it could not come to its end.")]
pub(super) struct Fsck {
    #[command(flatten)]
    source: Source,
    /// Repair what can be repaired, by steps of the storage protocol
    #[arg(long)]
    repair: bool,
    /// Read the bytes of all blobs and compare them with their digests
    #[arg(long)]
    scrub: bool,
    /// One JSON object a line, for programs
    #[arg(long)]
    json: bool,
    /// Keep a note of how far the walk is in this file, and go on from there if it exists
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// How many calls of the store there may be at a time
    #[arg(long, value_name = "N", default_value_t = FsckOptions::default().at_once, value_parser = at_least_one)]
    at_once: usize,
    /// How many ids of data are compared with all names in one go, 64 bytes of memory each
    #[arg(long, value_name = "N", default_value_t = FsckOptions::default().batch, value_parser = at_least_one)]
    batch: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a number from 1 on".to_owned())
}

/// What a walk that could not come to its end answers.
const COULD_NOT: u8 = 2;

/// Why a walk could not come to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Takes in what the walk tells.
struct Listener {
    renderer: Renderer,
    resume: Resume,
    /// Its last words.
    summary: Option<Summary>,
    /// The note could not be written.
    failure: Option<ResumeError>,
}

impl Fsck {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(refused) => {
                output::error(refused);
                return ExitCode::from(COULD_NOT);
            }
        };
        match self.walk(&loaded.config.storage) {
            Ok(code) => code,
            Err(failure) => {
                output::error(failure);
                ExitCode::from(COULD_NOT)
            }
        }
    }

    fn walk(&self, storage: &Storage) -> Result<ExitCode, Failure> {
        let resume = Resume::open(self.resume.as_deref(), &storage.place.to_string(), self.scrub)?;
        if let Some(phase) = resume.goes_on_in() {
            output::error(format!("going on where the last walk stopped, in the phase {phase}"));
        }
        let order = Order::Fsck(Box::new(FsckOrder {
            repair: self.repair,
            scrub: resume.scrub(),
            at_once: self.at_once,
            batch: self.batch,
            state: resume.state(),
        }));
        let mut listener = Listener { renderer: Renderer::new(self.json), resume, summary: None, failure: None };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
        let ended = runtime.block_on(until_a_signal(control::perform(storage, order, |line| listener.hear(line))));
        listener.renderer.clear();
        if let Some(failure) = listener.failure.take() {
            return Err(failure.into());
        }
        match (ended, listener.summary.take()) {
            (Ok(Ended::Drained), Some(summary)) => {
                listener.resume.forget()?;
                listener.renderer.finish(&summary);
                Ok(if summary.found() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            (ended, _) => {
                self.say_how_to_go_on(&mut listener.resume)?;
                ended.map(|_| ExitCode::from(COULD_NOT))
            }
        }
    }

    fn say_how_to_go_on(&self, resume: &mut Resume) -> Result<(), ResumeError> {
        if let Some(file) = resume.keep()? {
            let config = self.source.config.as_ref().map(|config| format!("{} ", config.display())).unwrap_or_default();
            let flags = [("--scrub ", resume.scrub()), ("--repair ", self.repair), ("--json ", self.json)];
            let flags: String = flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| *flag).collect();
            output::error(format!("stopped; go on with: wharf fsck {config}{flags}--resume {}", file.display()));
        }
        Ok(())
    }
}

/// A walk may be cut off anywhere.
async fn until_a_signal(walk: impl Future<Output = Result<(), CommandError>>) -> Result<Ended, Failure> {
    let signals = Signals::install().map_err(StartError::Signals)?;
    Ok(signals.run(walk, Duration::ZERO).await?)
}

impl Listener {
    fn hear(&mut self, line: Value) {
        match serde_json::from_value(line) {
            Ok(Event::Checkpoint(state)) => {
                if let Err(failure) = self.resume.note(state) {
                    self.failure.get_or_insert(failure);
                }
            }
            Ok(event) => {
                self.renderer.show(&event);
                if let Event::Done(summary) = event {
                    self.summary = Some(summary);
                }
            }
            Err(error) => output::error(format!("the running server told something unknown: {error}")),
        }
    }
}
