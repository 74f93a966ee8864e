//! One run: replicas that come and go, clients that work, collectors that collect, and a clock that jumps.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use wharf_registry::{Break, Options, Registry, Shape};
use wharf_store::{MemoryStore, PartLimits};

use crate::check;
use crate::duel;
use crate::env::{SimEnv, jump};
use crate::model::Model;
use crate::scheduler::Scheduler;
use crate::script::{REPLICAS, Script};
use crate::store::SimStore;
use crate::turns::Turns;
use crate::work::Client;

/// How long unclaimed things are kept in a run.
pub const GRACE: Duration = Duration::from_secs(100);

/// How a run is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Many clients and collectors at once, with every delay and fault.
    Wide,
    /// As wide, and time jumps so often that a single request may outlive several grace times.
    Wild,
    /// A few operations about one blob, one store call at a time: see [`crate::script`].
    Duel,
}

impl Kind {
    /// Three of four seeds are duels: they are the shorter ones.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        match seed % 8 {
            0 => Self::Wide,
            4 => Self::Wild,
            _ => Self::Duel,
        }
    }
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many replicas there are.
    pub replicas: usize,
    /// How many clients work at once.
    pub clients: u64,
    /// How many things each client does.
    pub operations: u64,
    /// Whether store calls fail.
    pub faults: bool,
    /// Whether replicas are killed.
    pub kills: bool,
    /// A step of the protocol that is done wrong.
    pub broken: Option<Break>,
    /// Whether the run keeps a trace.
    pub traced: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { replicas: 3, clients: 4, operations: 12, faults: true, kills: true, broken: None, traced: false }
    }
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many store calls took effect or failed.
    pub steps: u64,
    /// How many operations clients ended.
    pub operations: u64,
    /// How many of them succeeded.
    pub succeeded: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<String>,
    /// The trace, where the plan asks for one.
    pub trace: Vec<String>,
}

/// A replica as it runs now.
struct Slot {
    registry: Registry,
    alive: Arc<AtomicBool>,
}

/// Everything that one run shares.
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) model: Mutex<Model>,
    slots: Vec<Mutex<Slot>>,
    jumps: Arc<AtomicI64>,
    /// In a wild run safety holds too; bytes that a request writes which outlives several grace times may stay behind.
    pub(crate) kind: Kind,
    /// What the last rest left.
    pub(crate) rest: Mutex<check::Rest>,
    violation: Mutex<Option<String>>,
    pub(crate) operations: AtomicU64,
    pub(crate) succeeded: AtomicU64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Small enough that a handful of pushes makes and settles segments.
const SHAPE: Shape = Shape { recent_high: 1600, recent_low: 900, leaf: 1500, fanout: 3 };

impl World {
    fn new(plan: Plan, seed: u64, kind: Kind) -> Arc<Self> {
        let scheduler = Arc::new(Scheduler::new(seed, plan.faults, plan.traced));
        let limits = PartLimits { min: 50, target: 80, max_count: 10_000, in_place: false };
        let store = Arc::new(MemoryStore::with_limits(limits));
        let jumps = Arc::new(AtomicI64::new(0));
        let slots =
            (0..plan.replicas.max(REPLICAS)).map(|i| Mutex::new(start(plan, &scheduler, &store, &jumps, i))).collect();
        Arc::new(Self {
            plan,
            scheduler,
            store,
            model: Mutex::default(),
            slots,
            jumps,
            kind,
            rest: Mutex::default(),
            violation: Mutex::default(),
            operations: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
        })
    }

    /// Some replica.
    pub(crate) fn replica(&self) -> Registry {
        lock(self.scheduler.pick(&self.slots)).registry.clone()
    }

    /// This replica, as it runs now.
    pub(crate) fn replica_at(&self, i: usize) -> Registry {
        lock(&self.slots[i]).registry.clone()
    }

    /// How long a client waits for an answer.
    pub(crate) const fn patience(&self) -> Duration {
        match self.kind {
            Kind::Duel => Duration::from_secs(15),
            Kind::Wide | Kind::Wild => Duration::from_secs(300),
        }
    }

    /// A replica dies, and starts again with nothing cached.
    pub(crate) fn kill(&self, i: usize) {
        let fresh = start(self.plan, &self.scheduler, &self.store, &self.jumps, i);
        self.scheduler.note(|| format!("replica {i} is killed and started again"));
        let old = std::mem::replace(&mut *lock(&self.slots[i]), fresh);
        old.alive.store(false, Ordering::Relaxed);
        self.scheduler.killed();
    }

    /// The grace time passes.
    pub(crate) fn time_passes(&self) {
        self.scheduler.note(|| "the grace time passes".to_owned());
        jump(&self.jumps, GRACE * 3 / 2);
    }

    /// All grace times pass, so many times over, and collectors finish what is due.
    pub(crate) async fn collect_all(&self, times: u32) {
        self.scheduler.note(|| "time passes, and all that is due is collected".to_owned());
        for _ in 0..times {
            jump(&self.jumps, GRACE * 2);
            let observer = self.observer();
            if let Err(e) = observer.collector().run_once().await {
                self.violated(format!("P5: the collector cannot finish: {e}"));
            }
            observer.settle().await;
        }
    }

    /// The registry as nobody sees it: the store itself, without delays or faults, and nothing cached.
    pub(crate) fn observer(&self) -> Registry {
        let env = SimEnv::new(self.scheduler.clone(), self.jumps.clone(), 0);
        Registry::with_env(self.store.clone(), self.store.clone(), options(self.plan), Arc::new(env))
    }

    /// A promise was broken: the first one counts.
    pub(crate) fn violated(&self, what: String) {
        self.scheduler.note(|| format!("VIOLATION: {what}"));
        lock(&self.violation).get_or_insert(what);
    }

    pub(crate) fn is_over(&self) -> bool {
        lock(&self.violation).is_some()
    }

    async fn kill_now_and_then(&self) {
        while !self.is_over() && !self.scheduler.is_healed() {
            tokio::time::sleep(Duration::from_millis(2000 + self.scheduler.below(25_000))).await;
            #[allow(clippy::cast_possible_truncation)] // below a length
            let i = self.scheduler.below(self.slots.len() as u64) as usize;
            self.kill(i);
        }
    }

    async fn jump_now_and_then(&self) {
        while !self.is_over() && !self.scheduler.is_healed() {
            let pause = if self.kind == Kind::Wild { 1000 } else { 50_000 };
            tokio::time::sleep(Duration::from_millis(pause + self.scheduler.below(30_000))).await;
            if self.scheduler.chance(60) {
                self.time_passes();
            }
        }
    }

    async fn collect_now_and_then(&self, slot: usize) {
        while !self.is_over() && !self.scheduler.is_healed() {
            tokio::time::sleep(Duration::from_millis(200 + self.scheduler.below(12_000))).await;
            let collector = lock(&self.slots[slot]).registry.collector();
            let _ = tokio::time::timeout(Duration::from_secs(200), collector.run_once()).await;
        }
    }

    /// After the last client: no more faults, everything that is under way lands, all grace times pass, and the collectors finish.
    async fn come_to_rest(&self) {
        self.scheduler.heal();
        for slot in &self.slots {
            let registry = lock(slot).registry.clone();
            if !self.plan.kills {
                registry.settle().await;
            }
            lock(slot).alive.store(false, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        self.collect_all(12).await;
    }
}

fn options(plan: Plan) -> Options {
    Options { grace: GRACE, shape: SHAPE, broken: plan.broken, ..Options::default() }
}

fn start(
    plan: Plan,
    scheduler: &Arc<Scheduler>,
    store: &Arc<MemoryStore>,
    jumps: &Arc<AtomicI64>,
    replica: usize,
) -> Slot {
    let alive = Arc::new(AtomicBool::new(true));
    let store = Arc::new(SimStore::new(store.clone(), scheduler.clone(), alive.clone(), replica));
    let skew = *scheduler.pick(&[0, 0, 0, 40, -40]);
    let env = Arc::new(SimEnv::new(scheduler.clone(), jumps.clone(), skew));
    Slot { registry: Registry::with_env(store.clone(), store, options(plan), env), alive }
}

/// Runs one seed.
#[must_use]
pub fn run(plan: Plan, seed: u64) -> Report {
    match Kind::of(seed) {
        Kind::Duel => run_script(plan, seed, &Script::of(seed, !plan.faults || !plan.kills)),
        kind => run_in(plan, seed, kind, async |world| wide(world).await),
    }
}

/// Runs a duel by this script.
pub(crate) fn run_script(plan: Plan, seed: u64, script: &Script) -> Report {
    run_in(plan, seed, Kind::Duel, async |world| duel::fight(world, &Arc::new(Turns::default()), script).await)
}

/// # Panics
/// When the runtime cannot be made.
fn run_in(plan: Plan, seed: u64, kind: Kind, work: impl AsyncFnOnce(&Arc<World>)) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|e| panic!("a runtime: {e}"));
    runtime.block_on(async {
        let world = World::new(plan, seed, kind);
        work(&world).await;
        if !world.is_over() {
            world.come_to_rest().await;
            for check in [check::now(&world).await, check::at_rest(&world).await] {
                check.unwrap_or_else(|violation| world.violated(violation));
            }
        }
        let violation = lock(&world.violation).clone();
        Report {
            seed,
            steps: world.scheduler.steps(),
            operations: world.operations.load(Ordering::Relaxed),
            succeeded: world.succeeded.load(Ordering::Relaxed),
            violation,
            trace: world.scheduler.trace(),
        }
    })
}

async fn wide(world: &Arc<World>) {
    let mut background = JoinSet::new();
    for slot in 0..world.plan.replicas {
        let world = world.clone();
        background.spawn(async move { world.collect_now_and_then(slot).await });
    }
    if world.plan.faults || world.plan.kills {
        let jumping = world.clone();
        background.spawn(async move { jumping.jump_now_and_then().await });
    }
    if world.plan.kills {
        let killing = world.clone();
        background.spawn(async move { killing.kill_now_and_then().await });
    }
    let mut clients = JoinSet::new();
    for id in 0..world.plan.clients {
        let client = Client::new(world.clone(), id);
        clients.spawn(async move { client.work().await });
    }
    while clients.join_next().await.is_some() {}
}
