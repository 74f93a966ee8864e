//! Runs a [`Script`]: round after round, one store call at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::check;
use crate::scheduler::Fault;
use crate::script::{Before, Event, Op, Round, Script};
use crate::turns::Turns;
use crate::work::{Client, content, image};
use crate::world::World;

/// Between two calls everything that can run runs: virtual time stands still until then.
const STEP: Duration = Duration::from_millis(1);

/// Runs all rounds, and checks the world after each.
pub(crate) async fn fight(world: &Arc<World>, turns: &Arc<Turns>, script: &Script) {
    for round in &script.rounds {
        match round.before {
            Before::Nothing => {}
            Before::TimePasses => world.time_passes(),
            Before::Collected => world.collect_all(2).await,
            Before::Rest => {
                world.collect_all(6).await;
                if let Err(violation) = check::at_rest(world).await {
                    world.violated(violation);
                }
            }
        }
        fight_round(world, turns, round).await;
        if let Err(violation) = check::now(world).await {
            world.violated(violation);
        }
        if world.is_over() {
            return;
        }
    }
}

async fn fight_round(world: &Arc<World>, turns: &Arc<Turns>, round: &Round) {
    world.scheduler.note(|| format!("a round: {:?}; {:?}", round.actors, round.changes));
    world.scheduler.take_turns(Some(turns.clone()));
    let conductor = {
        let (world, turns, round) = (world.clone(), turns.clone(), round.clone());
        tokio::spawn(async move { conduct(&world, &turns, &round).await })
    };
    let mut actors = JoinSet::new();
    for (id, (replica, ops)) in round.actors.iter().cloned().enumerate() {
        let client = Client::at_replica(world.clone(), id as u64, replica);
        let turns = turns.clone();
        actors.spawn(async move {
            for op in &ops {
                // What it does begins with its turn, not with the round: a collector asks what time it is then.
                let rank = 1 + client.world.scheduler.below(1000);
                turns.wait(replica, false, "begin", rank).await;
                let succeeded = act(&client, op).await;
                client.world.operations.fetch_add(1, Ordering::Relaxed);
                client.world.succeeded.fetch_add(u64::from(succeeded), Ordering::Relaxed);
            }
        });
    }
    while actors.join_next().await.is_some() {}
    // What goes on behind the answers ends within the round.
    loop {
        tokio::time::sleep(STEP * 3).await;
        if turns.is_idle() {
            break;
        }
    }
    conductor.abort();
    world.scheduler.take_turns(None);
}

async fn act(client: &Client, op: &Op) -> bool {
    let blob = |i: usize| content(image(i).0[0]);
    match *op {
        Op::Upload(at, i) => client.upload(at, &blob(i)).await,
        Op::FinishTwice(at, i) => client.finish_twice(at, &blob(i)).await,
        Op::RaceChunks(at) => client.race_chunks(at).await,
        Op::Mount(at, i) => client.mount(at, &blob(i)).await,
        Op::Head(at, i) => client.head(at, &blob(i)).await,
        Op::Push(at, i, tag) => client.push(at, image(i).1, tag.as_slice()).await,
        Op::PushImage(at, i, tag) => {
            (client.head(at, &blob(i)).await || client.upload(at, &blob(i)).await)
                && client.push(at, image(i).1, tag.as_slice()).await
        }
        Op::Delete(at, i) => client.delete_digest(at, &crate::work::sha256(&image(i).1)).await,
        Op::DeleteTag(at, tag) => client.delete_tag(at, tag).await,
        Op::DeleteBlob(at, i) => client.delete_blob(at, &crate::work::sha256(&blob(i))).await,
        Op::Pull(at, tag) => client.pull(at, tag).await,
        Op::PullThrough(replica, at, tag) => client.through(replica).pull(at, tag).await,
        Op::Collect => client.collect().await,
    }
}

/// Lets one call after the other go on: that of the task with the highest rank, which falls behind at each change.
async fn conduct(world: &World, turns: &Turns, round: &Round) {
    let mut changes = round.changes.iter().peekable();
    let mut step = 0;
    loop {
        turns.some().await;
        tokio::time::sleep(STEP).await;
        #[allow(clippy::cast_possible_truncation)] // a small number
        let chance = world.scheduler.below(1 << 16) as usize;
        let Some(call) = turns.take(round.deep, chance) else { continue };
        let counts = call.counts(round.counted);
        let event = changes.next_if(|change| counts && change.step <= step).map(|change| change.event);
        step += u64::from(counts);
        match event {
            None => call.go(Fault::None),
            Some(Event::Turn) => {
                world.scheduler.note(|| format!("{} falls behind", call.replica));
                turns.fall_behind(call);
            }
            Some(Event::TimePasses) => {
                world.time_passes();
                turns.fall_behind(call);
            }
            Some(Event::Kill) => {
                world.kill(call.replica);
                call.go(Fault::None);
            }
            Some(Event::LoseReply) => {
                world.scheduler.lost();
                call.go(Fault::LostReply);
            }
            Some(Event::Late) if call.is_write => {
                world.scheduler.is_late();
                call.go(Fault::Late(Duration::ZERO));
            }
            Some(Event::Late) => call.go(Fault::LostRequest),
        }
    }
}
