//! `wharf fsck`

mod render;
mod resume;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use wharf_registry::fsck::{Ended, Event, FsckOptions, State};

use super::{Source, output};
use crate::config::{Config, Place, Storage};
use crate::shutdown::{self, Signals};
use crate::store::{self, StartError};
use render::Renderer;
use resume::{Resume, ResumeError};

/// Walk the whole registry: find what is lost, in danger, or left behind
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wharf fsck config.json                     look at everything but the bytes of blobs
  wharf fsck config.json --scrub             read and hash these too
  wharf fsck config.json --repair            put what was left behind on the collectors' work list
  wharf fsck config.json --resume fsck.state keep a note of how far it is, and go on from there

Replicas may serve, push, delete and collect meanwhile. Without --repair nothing is written but the probe of the store.
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
/// How long a walk may take to end a call after a signal.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many events may wait for the terminal.
const WAITING: usize = 256;

/// Why a walk could not come to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Walk(#[from] wharf_registry::Error),
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
        match self.walk(&loaded.config) {
            Ok(code) => code,
            Err(failure) => {
                output::error(failure);
                ExitCode::from(COULD_NOT)
            }
        }
    }

    fn walk(&self, config: &Config) -> Result<ExitCode, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)?;
        runtime.block_on(async {
            let place = config.storage.place.to_string();
            let mut resume = Resume::open(self.resume.as_deref(), &place, self.scrub)?;
            let options = FsckOptions {
                repair: self.repair,
                scrub: resume.scrub(),
                at_once: self.at_once,
                batch: self.batch,
                ..FsckOptions::default()
            };
            let mut renderer = Renderer::new(self.json);
            self.announce(&config.storage, &resume);
            let (events, heard) = mpsc::channel(WAITING);
            let walk = walk(&config.storage, options, resume.state(), events);
            let (ended, listened) = tokio::join!(walk, listen(heard, &mut renderer, &mut resume));
            listened?;
            match ended {
                Ok(Ended::Complete(summary)) => {
                    resume.forget()?;
                    renderer.finish(&summary);
                    Ok(if summary.found() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
                }
                Ok(Ended::Stopped) => {
                    self.say_how_to_go_on(&mut renderer, &mut resume)?;
                    Ok(ExitCode::from(COULD_NOT))
                }
                Err(failure) => {
                    self.say_how_to_go_on(&mut renderer, &mut resume)?;
                    Err(failure)
                }
            }
        })
    }

    fn announce(&self, storage: &Storage, resume: &Resume) {
        if self.repair && storage.single_replica && matches!(storage.place, Place::Remote(_)) {
            output::error(
                "warning: storage.singleReplica is set and this is another process: no server may run while this one repairs",
            );
        }
        if let Some(phase) = resume.goes_on_in() {
            output::error(format!("going on where the last walk stopped, in the phase {phase:?}"));
        }
    }

    fn say_how_to_go_on(&self, renderer: &mut Renderer, resume: &mut Resume) -> Result<(), ResumeError> {
        renderer.clear();
        if let Some(file) = resume.keep()? {
            let config = self.source.config.as_ref().map(|config| format!("{} ", config.display())).unwrap_or_default();
            let flags = [("--scrub ", resume.scrub()), ("--repair ", self.repair), ("--json ", self.json)];
            let flags: String = flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| *flag).collect();
            output::error(format!("stopped; go on with: wharf fsck {config}{flags}--resume {}", file.display()));
        }
        Ok(())
    }
}

/// Walks until the end or a signal.
async fn walk(
    storage: &Storage,
    options: FsckOptions,
    state: State,
    events: mpsc::Sender<Event>,
) -> Result<Ended, Failure> {
    let signals = Signals::install().map_err(StartError::Signals)?;
    let stop = signals.stop();
    let stores = store::open(storage).await?;
    let registry = store::registry(&stores, storage);
    let mut ended = Ended::Stopped;
    let walk = async {
        ended = registry.fsck(options, state, events, stop).await?;
        Ok::<_, Failure>(())
    };
    match signals.run(walk, PATIENCE).await? {
        shutdown::Ended::Drained => Ok(ended),
        shutdown::Ended::TimedOut | shutdown::Ended::Forced => Ok(Ended::Stopped),
    }
}

async fn listen(
    mut events: mpsc::Receiver<Event>,
    renderer: &mut Renderer,
    resume: &mut Resume,
) -> Result<(), ResumeError> {
    while let Some(event) = events.recv().await {
        match event {
            Event::Checkpoint(state) => resume.note(state)?,
            event => renderer.show(&event),
        }
    }
    Ok(())
}
