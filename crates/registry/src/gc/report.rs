//! The work list as it is, and a run of which every step is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use wharf_store::ListRequest;

use super::list::{AT_ONCE, PAGE};
use super::plan::{Plan, kind, plan};
use super::{Collector, Done, Outcome, Run, Wait};
use crate::core::Core;
use crate::due::{Due, Place};
use crate::env::Seconds;
use crate::error::Result;
use crate::key::Key;
use crate::record;

/// How many entries are read at once to tell their kind.
const READ_AT_ONCE: usize = 16;
const HOUR: Seconds = 3600;

/// The work list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkList {
    /// How many entries there are.
    pub entries: u64,
    /// How many of them were read, to tell their kind: the rest is of the kind `unread`.
    pub read: u64,
    /// When the oldest entry is due, or was, in seconds since 1970.
    pub oldest: Option<Seconds>,
    /// The entries by kind.
    pub kinds: BTreeMap<String, Ages>,
}

/// Entries by when they are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ages {
    /// Since more than a day.
    pub over_a_day: u64,
    /// Since more than an hour.
    pub over_an_hour: u64,
    /// Since less.
    pub due: u64,
    /// Within the next hour.
    pub within_an_hour: u64,
    /// Later.
    pub later: u64,
}

impl Ages {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.over_a_day + self.over_an_hour + self.due + self.within_an_hour + self.later
    }

    fn enter(&mut self, time: Seconds, now: Seconds) {
        let field = match now.checked_sub(time) {
            Some(age) if age >= 24 * HOUR => &mut self.over_a_day,
            Some(age) if age >= HOUR => &mut self.over_an_hour,
            Some(_) => &mut self.due,
            None if time - now <= HOUR => &mut self.within_an_hour,
            None => &mut self.later,
        };
        *field += 1;
    }
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was found.
    #[serde(flatten)]
    pub plan: Plan,
    /// What was then done: nothing in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
}

impl Collector {
    /// Looks through the work list. Each of the first `most` entries is read too, to tell its kind.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn work_list(&self, most: u64) -> Result<WorkList> {
        let (core, now) = (&self.core, self.core.now());
        let (mut list, mut after) = (WorkList::default(), None);
        loop {
            let (places, next) = page(core, after.as_deref()).await?;
            list.oldest = list.oldest.or_else(|| places.first().map(|place| place.time));
            let count = places.len() as u64;
            let readable = usize::try_from(most.saturating_sub(list.entries)).unwrap_or(usize::MAX).min(places.len());
            list.entries += count;
            list.read += readable as u64;
            let mut kinds = futures::stream::iter(places.iter().take(readable).copied())
                .map(|place| async move { (place, read(core, place).await) })
                .buffer_unordered(READ_AT_ONCE);
            while let Some((place, due)) = kinds.next().await {
                // It may have been worked off since it was listed.
                if let Some(due) = due? {
                    list.kinds.entry(kind(&due).to_owned()).or_default().enter(place.time, now);
                }
            }
            for place in &places[readable..] {
                list.kinds.entry("unread".to_owned()).or_default().enter(place.time, now);
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(list),
            }
        }
    }

    /// Goes through everything that is due now, as [`Collector::run_once`] does, and tells each step. Without `act` nothing is
    /// written. Ends early when `tell` answers false.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub async fn run_told<F, Fut>(&self, act: bool, mut tell: F) -> Result<()>
    where
        F: FnMut(Step) -> Fut,
        Fut: Future<Output = bool>,
    {
        let (core, now) = (&self.core, self.core.now());
        let (clock, before) = (Instant::now(), self.collected());
        let (mut after, mut goes_on) = (None, true);
        while goes_on {
            let (mut places, next) = page(core, after.as_deref()).await?;
            let listed = places.len();
            places.retain(|place| place.time <= now);
            goes_on = places.len() == listed && next.is_some();
            after = next;
            let mut steps = futures::stream::iter(places).map(|place| self.step(place, act)).buffer_unordered(AT_ONCE);
            while let Some(step) = steps.next().await {
                if let Some(step) = step
                    && !tell(step).await
                {
                    return Ok(());
                }
            }
        }
        if act {
            core.account.ran(Run::since(&before, &self.collected(), now, clock.elapsed(), true));
        }
        Ok(())
    }

    /// Decides on an entry, and then acts. `None` where it has been worked off.
    async fn step(&self, place: Place, act: bool) -> Option<Step> {
        let planned = match read(&self.core, place).await {
            Ok(Some(due)) => plan(&self.core, place.time, &due).await,
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        match planned {
            Ok(plan) => {
                let done = if act { Some(words(self.look_at(place).await)) } else { None };
                Some(Step { plan, done })
            }
            Err(error) => {
                tracing::warn!(%error, "an entry of the collector's work list stays for later");
                None
            }
        }
    }
}

/// What became of an entry, for people.
fn words(outcome: Option<Outcome>) -> String {
    match outcome {
        None => "failed: the log names the reason",
        Some(Outcome::Again) => "stays: others changed the same things",
        Some(Outcome::Later(_, Wait::Expired { .. })) => "expired",
        Some(Outcome::Later(..)) => "postponed",
        Some(Outcome::Finished(Done::Needed | Done::Committed)) => "kept",
        Some(Outcome::Finished(Done::Nothing)) => "nothing left",
        Some(Outcome::Finished(Done::Blob { .. } | Done::Upload { .. } | Done::Push | Done::Segments(_))) => "deleted",
    }
    .to_owned()
}

/// A page of the work list, and where the next one begins.
pub(super) async fn page(core: &Core, after: Option<&str>) -> Result<(Vec<Place>, Option<String>)> {
    let request = ListRequest { prefix: Key::DUE, after, fold: false, limit: PAGE };
    let page = core.records.list(request).await?;
    let places = page.entries.iter().filter_map(|entry| match entry.key.parse() {
        Ok(Key::Due(time, id)) => Some(Place { time, id }),
        _ => None,
    });
    Ok((places.collect(), page.next))
}

/// An entry; `None` where it has been worked off.
pub(super) async fn read(core: &Arc<Core>, place: Place) -> Result<Option<Due>> {
    let cell = record::load(core.records.as_ref(), &Key::Due(place.time, place.id)).await?;
    Ok(cell.map(|cell| cell.value))
}
