//! Reading the configuration again while the process runs: at SIGHUP, and when its file changes.
//!
//! Every concern that can follow a new configuration is a [`Reload`]. To add one, implement it beside what it changes and put it
//! into the list in `serve.rs`; its keys are then no longer among those that need a restart.
//!
//! A configuration is taken wholly or not at all. It is checked as at the start; then every concern gets ready, which may fail (a
//! certificate that cannot be read) and changes nothing; only then all of them are switched over, which cannot fail. A refusal is
//! logged as an error, shows in the figures, and leaves everything as it was.

mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use self::watch::Watch;
use crate::config::{self, Change, Config, Environment, Loaded, Notice, Value, changes};
use crate::metrics::Reloads;
use crate::service_manager;

/// Switches a concern over to what it got ready.
pub(crate) type Switch = Box<dyn FnOnce() + Send>;

/// A concern that follows the configuration.
pub(crate) trait Reload: Send + Sync {
    /// The keys that it sees to. A block stands for all keys in it.
    fn keys(&self) -> &'static [&'static str];

    /// Files beside the configuration's own that it reads, so that their changes are noticed.
    fn files(&self, _config: &Config) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Gets ready for a configuration, and changes nothing yet. Called at every reload, whether its keys changed or not. It may read
    /// files.
    ///
    /// # Errors
    /// Why the configuration cannot be taken: all of it is refused then.
    fn prepare(&self, config: &Config) -> Result<Switch, String>;
}

/// What became of a configuration that was read again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Keys that are in effect now.
    pub(crate) applied: Vec<String>,
    /// Keys that will be after a restart.
    pub(crate) after_restart: Vec<String>,
}

/// Reads the configuration again.
pub(crate) struct Reloader {
    environment: Environment,
    loaded: Loaded,
    /// What is in effect: without the changes that wait for a restart.
    in_effect: Value,
    concerns: Vec<Arc<dyn Reload>>,
    figures: Reloads,
}

impl Reloader {
    /// A reloader of the configuration that the process was started with.
    pub(crate) fn new(
        loaded: Loaded,
        environment: Environment,
        concerns: Vec<Arc<dyn Reload>>,
        figures: Reloads,
    ) -> Self {
        Self { environment, in_effect: loaded.tree.clone(), loaded, concerns, figures }
    }

    /// Reloads whenever there is a reason to, until `stop`.
    pub(crate) async fn run(mut self, mut hangups: Signal, stop: CancellationToken) {
        let mut watch = Watch::new(self.files());
        loop {
            let why = tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = hangups.recv() => "SIGHUP",
                () = watch.changed() => "a file has changed",
            };
            tracing::info!(config = %self.loaded.origin, "{why}: reading the configuration again");
            // Concerns read files.
            let done = tokio::task::spawn_blocking(move || {
                service_manager::reloading();
                self.reload();
                service_manager::ready();
                self
            });
            match done.await {
                Ok(back) => self = back,
                Err(error) => return tracing::error!(%error, "the configuration is not read again any more"),
            }
            watch.look_at(self.files());
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let own = self.loaded.origin.file().map(PathBuf::from);
        own.into_iter().chain(self.concerns.iter().flat_map(|concern| concern.files(&self.loaded.config))).collect()
    }

    /// Reloads once, and says what became of it.
    fn reload(&mut self) {
        let taken = self.take();
        self.figures.ended(taken.is_ok());
        match taken {
            Err(why) => tracing::error!("the new configuration is refused, and the old one stays in effect: {why}"),
            Ok(Taken { applied, after_restart }) => {
                for key in &after_restart {
                    tracing::warn!(%key, "changed; it takes effect after a restart");
                }
                let count = applied.len();
                tracing::info!(keys = applied.join(", "), "the new configuration is in effect: {count} keys changed");
            }
        }
    }

    fn take(&mut self) -> Result<Taken, String> {
        let loaded =
            config::load(self.loaded.origin.file(), &self.environment).map_err(|refused| refused.to_string())?;
        let switches = self.prepare(&loaded.config)?;
        switches.into_iter().for_each(|switch| switch());
        let mut taken = Taken::default();
        for change in changes(&self.in_effect, &loaded.tree) {
            if self.concerns.iter().any(|concern| change.is_one_of(concern.keys())) {
                taken.applied.push(change.key());
                self.enter(change);
            } else {
                taken.after_restart.push(change.key());
            }
        }
        loaded.notices.iter().filter(|notice| !self.loaded.notices.contains(notice)).for_each(Notice::log);
        self.loaded = loaded;
        Ok(taken)
    }

    fn prepare(&self, config: &Config) -> Result<Vec<Switch>, String> {
        let (mut switches, mut problems) = (Vec::new(), Vec::new());
        for concern in &self.concerns {
            match concern.prepare(config) {
                Ok(switch) => switches.push(switch),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(switches) } else { Err(problems.join("; ")) }
    }

    fn enter(&mut self, change: Change) {
        let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
        self.in_effect.set(&path, change.value);
    }
}

#[cfg(test)]
mod tests;
