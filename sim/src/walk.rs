//! `wharf fsck` in the simulation: it accuses nobody who is only busy, its repairs break nothing, and after the last one nothing is left.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wharf_registry::Registry;
use wharf_registry::fsck::{Event, Finding, FsckOptions, Severity, State};

use crate::check;
use crate::world::World;

/// Small, so that everything takes several rounds.
const OPTIONS: FsckOptions = FsckOptions { repair: true, scrub: true, at_once: 3, batch: 10, suspects: 4 };
/// How long a walk may take, in the time of the simulation. One whose replica was killed never ends.
const PATIENCE: Duration = Duration::from_secs(2000);

/// Walks everything and repairs it.
///
/// # Errors
/// Where the store failed on the way, or the walk did not end.
async fn walk(registry: &Registry) -> Result<Vec<Finding>, String> {
    let (sender, mut events) = mpsc::channel(16);
    let listen = async {
        let mut findings = Vec::new();
        while let Some(event) = events.recv().await {
            if let Event::Finding(finding) = event {
                findings.push(finding);
            }
        }
        findings
    };
    let walk = registry.fsck(OPTIONS, State::default(), sender, CancellationToken::new());
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(walk, listen) }).await;
    let (ended, findings) = both.map_err(|_| "it did not end".to_owned())?;
    ended.map_err(|e| e.to_string())?;
    Ok(findings)
}

/// A registry whose protocol holds has lost nothing and nothing is in danger, whatever happens to it. Without faults nothing is left
/// behind either.
fn judge(world: &World, findings: &[Finding]) -> Result<(), String> {
    let may_leave = world.scheduler.late() + world.scheduler.kills() > 0 || world.wild;
    let wrong = findings.iter().find(|finding| finding.severity != Severity::Leftover || !may_leave);
    wrong.map_or(Ok(()), |finding| Err(format!("fsck: {} {}: {}", finding.severity, finding.kind.name(), finding.kind)))
}

/// Walks through a replica now and then, while everything goes on.
pub(crate) async fn now_and_then(world: &World) {
    while !world.is_over() && !world.scheduler.is_healed() {
        tokio::time::sleep(Duration::from_millis(200 + world.scheduler.below(20_000))).await;
        // What a walk found before it failed was judged like everything else.
        if let Ok(findings) = walk(&world.replica()).await
            && let Err(violation) = judge(world, &findings)
        {
            world.violated(violation);
        }
    }
}

/// After everything has come to rest: a walk that repairs, and collectors that do what it queued, leave nothing at all.
///
/// # Errors
/// What is wrong, or left.
pub(crate) async fn at_rest(world: &World) -> Result<(), String> {
    let findings = walk(&world.observer()).await.map_err(|e| format!("fsck: {e}"))?;
    judge(world, &findings)?;
    world.collect_everything().await;
    check::now(world).await?;
    check::nothing_is_left(world).await?;
    match walk(&world.observer()).await?.first() {
        Some(finding) => Err(format!("fsck: a second walk finds {}: {}", finding.kind.name(), finding.kind)),
        None => Ok(()),
    }
}
