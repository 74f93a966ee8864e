//! Working off the list of due entries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wharf_store::wrap::tally;
use wharf_store::{ListRequest, StoreResult};

use super::account::{Collected, Run};
use super::pace::Pace;
use super::{Done, Outcome, work};
use crate::core::Core;
use crate::due::{self, Due, Place};
use crate::env::Seconds;
use crate::error::Result;
use crate::key::Key;
use crate::record;
use crate::registry::Registry;

/// How many entries one page of the list has.
pub(super) const PAGE: usize = 500;
/// How many entries are worked on at once.
pub(super) const AT_ONCE: usize = 4;

/// Works off what is due.
#[derive(Clone, Debug)]
pub struct Collector {
    pub(super) core: Arc<Core>,
    pace: Option<Arc<Pace>>,
}

impl Registry {
    /// The collector of this registry.
    #[must_use]
    pub fn collector(&self) -> Collector {
        Collector { core: self.core.clone(), pace: None }
    }
}

/// When a collector runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Whether it runs at all.
    pub enabled: bool,
    /// The pause between two runs, on average.
    pub interval: Duration,
}

impl Collector {
    /// The same collector, at this pace.
    #[must_use]
    pub fn paced(self, pace: Arc<Pace>) -> Self {
        Self { pace: Some(pace), ..self }
    }

    /// Collects by a schedule, which may change at any time, until `stop`. A run that is under way when collecting is switched off
    /// ends at once.
    pub async fn run(&self, mut schedule: watch::Receiver<Schedule>, stop: CancellationToken) {
        loop {
            let Schedule { enabled, interval } = *schedule.borrow_and_update();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = changed(&mut schedule) => continue,
                () = tokio::time::sleep(self.pause(interval)), if enabled => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = switched_off(&mut schedule) => {}
                result = self.run_once() => if let Err(e) = result {
                    tracing::warn!(error = %e, "the collector could not read its work list; it tries again later");
                }
            }
        }
    }

    /// Replicas that were started together do not stay in step.
    fn pause(&self, interval: Duration) -> Duration {
        let part = u32::from(self.core.env.random() as u8) + 128;
        interval.saturating_mul(part) / 256
    }

    /// Works once on everything that is due now. Answers how many entries it looked at.
    ///
    /// # Errors
    /// When the list cannot be read. An entry that fails is counted and stays.
    pub async fn run_once(&self) -> Result<u64> {
        let account = &self.core.account;
        let (began, clock, before) = (self.core.now(), Instant::now(), account.collected());
        let stayed = Mutex::new(None);
        let result = self.work_off(began, &stayed).await;
        account.ran(Run::since(&before, &account.collected(), began, clock.elapsed(), result.is_ok()));
        if result.is_ok() {
            account.saw_oldest(*stayed.lock().unwrap_or_else(PoisonError::into_inner));
        }
        result
    }

    /// `stayed` becomes the time of the oldest entry that stays at its place.
    async fn work_off(&self, now: Seconds, stayed: &Mutex<Option<Seconds>>) -> Result<u64> {
        let core = &self.core;
        let (mut after, mut seen) = (None::<String>, 0);
        loop {
            let request = ListRequest { prefix: Key::DUE, after: after.as_deref(), fold: false, limit: PAGE };
            let page = core.records.list(request).await?;
            let mut places: Vec<Place> = page
                .entries
                .iter()
                .filter_map(|entry| match entry.key.parse() {
                    Ok(Key::Due(time, id)) => Some(Place { time, id }),
                    _ => None,
                })
                .take_while(|place| place.time <= now)
                .collect();
            if after.is_none() {
                core.account.saw_oldest(places.first().map(|place| place.time));
            }
            let is_last = places.len() < page.entries.len();
            seen += places.len() as u64;
            shuffle(core, &mut places);
            let looks = futures::stream::iter(places).for_each_concurrent(AT_ONCE, |place| async move {
                if matches!(self.look_at(place).await, None | Some(Outcome::Again)) {
                    let mut stayed = stayed.lock().unwrap_or_else(PoisonError::into_inner);
                    *stayed = Some(stayed.map_or(place.time, |oldest| oldest.min(place.time)));
                }
            });
            looks.await;
            match page.next {
                Some(next) if !is_last => after = Some(next),
                _ => return Ok(seen),
            }
        }
    }

    /// What was collected since the process started.
    #[must_use]
    pub fn collected(&self) -> Collected {
        self.core.account.collected()
    }

    /// The last runs of this process, the latest last.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        self.core.account.runs()
    }

    /// For how long the oldest entry of the work list has been due, as it was seen by the last run: `None` where nothing was left
    /// that is due.
    #[must_use]
    pub fn oldest_due(&self) -> Option<Duration> {
        let now = self.core.now();
        self.core.account.oldest().map(|time| Duration::from_secs(now.saturating_sub(time)))
    }

    /// Works on an entry when its turn has come. Answers what became of it; `None` where the store failed.
    pub(super) async fn look_at(&self, place: Place) -> Option<Outcome> {
        if let Some(pace) = &self.pace {
            pace.turn(Duration::from_secs(self.core.now().saturating_sub(place.time))).await;
        }
        let (worked, calls) = tally(self.work_on(place)).await;
        if let Some(pace) = &self.pace {
            pace.spent(calls);
        }
        let outcome = match worked {
            Ok(outcome) => Some(outcome),
            Err(e) => {
                tracing::warn!(error = %e, "an entry of the collector's work list stays for later");
                None
            }
        };
        self.core.account.enter(outcome, calls);
        outcome
    }

    async fn work_on(&self, place: Place) -> Result<Outcome> {
        let core = &self.core;
        let key = Key::Due(place.time, place.id);
        // Another replica may have finished it since it was listed.
        let Some(cell) = record::load::<Due>(core.records.as_ref(), &key).await? else {
            return Ok(Outcome::Finished(Done::Nothing));
        };
        let outcome = work(core, &cell.value).await?;
        match outcome {
            Outcome::Finished(_) => due::remove(core, place).await?,
            Outcome::Later(time, _) => move_to(core, place, time, &cell.value).await?,
            Outcome::Again => {}
        }
        Ok(outcome)
    }
}

/// Nobody can change the schedule any more once its sender is gone.
async fn changed(schedule: &mut watch::Receiver<Schedule>) {
    if schedule.changed().await.is_err() {
        std::future::pending().await
    }
}

async fn switched_off(schedule: &mut watch::Receiver<Schedule>) {
    if schedule.wait_for(|schedule| !schedule.enabled).await.is_err() {
        std::future::pending().await
    }
}

/// Moves an entry: first the new one, then the old one goes.
async fn move_to(core: &Core, old: Place, time: Seconds, due: &Due) -> StoreResult<()> {
    due::put_at(core, Place { time, id: core.id() }, due).await?;
    due::remove(core, old).await
}

/// A random order, so that replicas seldom meet on one entry.
fn shuffle(core: &Core, places: &mut [Place]) {
    for i in (1..places.len()).rev() {
        let j = (core.env.random() % (i as u128 + 1)) as usize;
        places.swap(i, j);
    }
}
