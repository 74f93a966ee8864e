//! The walk over everything: each kind of damage is found, as what it is and as nothing else, and repaired where it can be; a registry
//! that is only busy is not accused.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wharf_store::fault::{Fault, FaultPlan};
use wharf_store::{Data, Family, Generation, Records};

use super::*;
use crate::blob_record::BlobState;
use crate::fsck::{Ended, Event, Finding, FsckOptions, Kind, Phase, Repair, Severity, State, Summary};
use crate::key::{Holder, Id, Key};

/// Small enough that everything takes several pages, batches and rounds of suspects.
const SMALL: FsckOptions = FsckOptions { repair: false, scrub: true, at_once: 4, batch: 3, suspects: 3 };
const REPAIR: FsckOptions = FsckOptions { repair: true, ..SMALL };

/// Pieces so small that a few pushes make and split segments.
const TINY: Shape = Shape { recent_high: 1600, recent_low: 900, leaf: 1500, fanout: 3 };

/// Replicas whose store is some way off, in the runtime's time.
fn slow<const N: usize>(cluster: &Cluster) -> [Registry; N] {
    let chance = cluster.env.clone();
    let plan = FaultPlan { delay: Duration::from_millis(20), ..FaultPlan::default() };
    let fault = Fault::new(plan, move || (chance.random() >> 32) as u64);
    let (records, data) = (fault.records(cluster.store.clone()), fault.data(cluster.store.clone()));
    let options = Options { grace: GRACE, shape: TINY, ..Options::default() };
    std::array::from_fn(|_| Registry::with_env(records.clone(), data.clone(), options.clone(), cluster.env.clone()))
}

/// What a walk said.
#[derive(Debug, Default)]
struct Heard {
    findings: Vec<Finding>,
    skipped: Vec<String>,
    checkpoints: Vec<State>,
    summary: Summary,
}

impl Heard {
    /// How often each kind was found.
    fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for finding in &self.findings {
            *kinds.entry(finding.kind.name()).or_default() += 1;
        }
        kinds
    }

    fn assert_clean(&self) {
        assert!(self.findings.is_empty() && self.skipped.is_empty(), "{self:#?}");
    }
}

async fn walk(registry: &Registry, options: FsckOptions) -> Heard {
    walk_from(registry, options, State::default(), usize::MAX).await
}

/// Walks from a state on, until the end or so many checkpoints.
async fn walk_from(registry: &Registry, options: FsckOptions, state: State, checkpoints: usize) -> Heard {
    let (sender, mut events) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let listen = async {
        let mut heard = Heard::default();
        while let Some(event) = events.recv().await {
            // What a program hears has been through JSON.
            let json = serde_json::to_string(&event).expect("JSON");
            match serde_json::from_str(&json).expect("and back") {
                Event::Finding(finding) => heard.findings.push(finding),
                Event::Skipped { reason } => heard.skipped.push(reason),
                Event::Checkpoint(state) => heard.checkpoints.push(state),
                Event::Done(summary) => heard.summary = summary,
                Event::Progress(_) => {}
            }
            if heard.checkpoints.len() >= checkpoints {
                stop.cancel();
            }
        }
        heard
    };
    let (ended, heard) = tokio::join!(registry.fsck(options, state, sender, stop.clone()), listen);
    match ended.expect("a walk") {
        Ended::Complete(summary) => assert_eq!(summary, heard.summary),
        Ended::Stopped => assert!(stop.is_cancelled()),
    }
    heard
}

async fn put_record(store: &MemoryStore, key: &str, value: Bytes) {
    Records::put(store, key, value).await.map(drop).expect("a write");
}

async fn delete_record(store: &MemoryStore, key: &str) {
    Records::delete(store, key).await.expect("a deletion");
}

async fn put_data(store: &MemoryStore, generation: &Generation, bytes: impl Into<Bytes>) {
    Data::put(store, generation, vec![bytes.into()]).await.expect("a write");
}

/// One image, collected until nothing is left to do.
struct Scene {
    cluster: Cluster,
    manifest: Digest,
    layer: Digest,
}

impl Scene {
    async fn new() -> Self {
        let cluster = Cluster::new(1);
        let manifest = push_image(&cluster.at(0, "team/a"), "x", &["t"]).await;
        cluster.collect_all().await;
        Self { cluster, manifest, layer: sha256(b"layer of x") }
    }

    fn registry(&self) -> &Registry {
        &self.cluster.replicas[0]
    }

    fn store(&self) -> &MemoryStore {
        &self.cluster.store
    }

    async fn put(&self, key: &Key, value: serde_json::Value) {
        put_record(self.store(), &key.to_string(), value.to_string().into()).await;
    }

    async fn json(&self, key: &Key) -> serde_json::Value {
        let record = Records::get(self.store(), &key.to_string()).await.expect("a read").expect("a record");
        serde_json::from_slice(&record.value).expect("JSON")
    }

    async fn remove(&self, key: &Key) {
        delete_record(self.store(), &key.to_string()).await;
    }

    /// Something that was made long ago.
    fn old_id(&self, random: u128) -> Id {
        Id::new(1_700_000_000, random)
    }

    async fn generation_of(&self, blob: &Digest) -> Generation {
        let record = self.json(&Key::Blob(blob.clone())).await;
        record["gen"].as_str().and_then(|text| text.parse().ok()).expect("a generation")
    }

    /// The generation of the manifest's bytes: it alone has no suffix.
    fn generation_of_manifest(&self) -> Generation {
        let all = self.store().generations();
        all.into_iter().find(|generation| !generation.as_str().contains('.')).expect("a manifest's bytes")
    }

    fn hold_of_layer(&self) -> Key {
        let keys = self.cluster.keys("hold/");
        let keys = keys.iter().filter_map(|key| key.parse().ok());
        let mut of_layer = keys.filter(|key| matches!(key, Key::Hold(blob, ..) if *blob == self.layer));
        of_layer.next().expect("a hold")
    }

    /// Exactly this is found, and nothing else.
    async fn assert_found(&self, kind: &str) -> Finding {
        let heard = walk(self.registry(), SMALL).await;
        assert_eq!(heard.kinds(), BTreeMap::from([(kind, 1)]).into_iter().collect(), "{heard:#?}");
        assert_eq!(heard.summary.found(), 1);
        let finding = heard.findings.into_iter().next().expect("a finding");
        assert_eq!(finding.repair, Repair::Open);
        finding
    }

    /// This is found, repaired, and gone once the collector has run; the image is whole.
    async fn assert_repaired(&self, kind: &str, repair: Repair) {
        let finding = self.assert_found(kind).await;
        assert_ne!(finding.severity, Severity::Lost);
        let heard = walk(self.registry(), REPAIR).await;
        assert_eq!(heard.findings.iter().map(|f| f.repair).collect::<Vec<_>>(), [repair], "{heard:#?}");
        self.cluster.collect_all().await;
        walk(self.registry(), SMALL).await.assert_clean();
        assert_eq!(self.cluster.keys("due/"), Vec::<String>::new());
        self.assert_whole().await;
    }

    async fn assert_whole(&self) {
        let at = self.cluster.at(0, "team/a");
        at.manifest_with_bytes(&by_tag("t")).await.expect("the manifest");
        assert_eq!(read_blob(&at, &self.layer).await, b"layer of x");
        assert_eq!(self.store().generations().len(), 3, "a manifest, a config and a layer");
        assert_eq!(self.cluster.keys("hold/").len(), 2);
    }
}

#[tokio::test]
async fn a_sound_registry_has_no_findings() {
    let cluster = Cluster::shaped(2, TINY);
    let mut images = Vec::new();
    for number in 0..40 {
        let at = cluster.at(number, ["a", "b", "c/d"][number % 3]);
        images.push((at.clone(), push_image(&at, &format!("{}", number / 2), &[&format!("t{number}")]).await));
    }
    let (at, child) = &images[0];
    at.push_manifest(manifest(index(std::slice::from_ref(child)), &["index"])).await.expect("an index");
    at.push_manifest(manifest(image_of(&sha256(b"config of 0"), &[], Some(child)), &[])).await.expect("a referrer");
    put_blob(at, b"needed by nobody yet").await;
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    at.append(&upload, Chunk::default(), body(&[5; 300])).await.expect("an append");
    let before = walk(&cluster.replicas[1], SMALL).await;
    before.assert_clean();
    assert!(before.summary.bytes > 0);
    for (at, digest) in images.iter().skip(9).step_by(2) {
        at.delete_manifest(&Reference::Digest(digest.clone())).await.expect("a deletion");
    }
    walk(&cluster.replicas[1], SMALL).await.assert_clean();
    cluster.pass(GRACE * 3);
    walk(&cluster.replicas[1], REPAIR).await.assert_clean();
    cluster.collect_all().await;
    assert!(!cluster.keys("segment/").is_empty());
    walk(&cluster.replicas[0], SMALL).await.assert_clean();
}

#[tokio::test]
async fn a_manifest_without_bytes_is_lost() {
    let scene = Scene::new().await;
    Data::delete(scene.store(), &scene.generation_of_manifest()).await.expect("a deletion");
    let finding = scene.assert_found("manifest-lost").await;
    assert_eq!(finding.severity, Severity::Lost);
    assert!(matches!(finding.kind, Kind::ManifestLost { manifest, .. } if manifest == scene.manifest));
    let heard = walk(scene.registry(), REPAIR).await;
    assert_eq!(heard.findings[0].repair, Repair::Manual);
}

#[tokio::test]
async fn a_manifest_with_other_bytes_is_lost() {
    let scene = Scene::new().await;
    let generation = scene.generation_of_manifest();
    let size = Data::size(scene.store(), &generation).await.expect("a size").expect("data");
    let other = Bytes::from(vec![b'x'; usize::try_from(size).expect("small")]);
    put_data(scene.store(), &generation, other).await;
    scene.assert_found("manifest-lost").await;
}

#[tokio::test]
async fn a_blob_without_a_record_is_lost() {
    let scene = Scene::new().await;
    scene.remove(&Key::Blob(scene.layer.clone())).await;
    // Nothing names its bytes any more; to delete them would be the end of them.
    let heard = walk(scene.registry(), SMALL).await;
    assert_eq!(heard.kinds(), BTreeMap::from([("blob-lost", 1), ("stray-data", 1)]));
    let lost = heard.findings.iter().find(|finding| finding.severity == Severity::Lost).expect("a loss");
    let expected = Kind::BlobLost {
        repository: name("team/a"),
        manifest: scene.manifest.clone(),
        blob: scene.layer.clone(),
        state: "absent".to_owned(),
    };
    assert_eq!(lost.kind, expected);
    let data = scene.store().generations();
    let heard = walk(scene.registry(), REPAIR).await;
    assert!(heard.findings.iter().all(|finding| finding.repair == Repair::Manual), "{heard:#?}");
    assert_eq!(scene.store().generations(), data, "what is left of it is kept");
}

#[tokio::test]
async fn a_needed_blob_that_is_gone_is_lost() {
    let scene = Scene::new().await;
    let key = Key::Blob(scene.layer.clone());
    let mut record = scene.json(&key).await;
    record["state"] = "gone".into();
    scene.put(&key, record).await;
    let heard = walk(scene.registry(), SMALL).await;
    assert_eq!(heard.kinds(), BTreeMap::from([("blob-lost", 1), ("gone-bytes", 1)]));
}

#[tokio::test]
async fn a_blob_without_bytes_is_lost() {
    let scene = Scene::new().await;
    let generation = scene.generation_of(&scene.layer).await;
    Data::delete(scene.store(), &generation).await.expect("a deletion");
    let finding = scene.assert_found("bytes-lost").await;
    let needed_by = Some((name("team/a"), scene.manifest.clone()));
    assert!(matches!(finding.kind, Kind::BytesLost { found: None, needed_by: by, .. } if by == needed_by));
}

#[tokio::test]
async fn a_blob_that_is_too_short_is_lost() {
    let scene = Scene::new().await;
    let generation = scene.generation_of(&scene.layer).await;
    put_data(scene.store(), &generation, "lay").await;
    // The scrub says it too: the bytes that are there have another digest.
    let heard = walk(scene.registry(), FsckOptions { scrub: false, ..SMALL }).await;
    assert_eq!(heard.kinds(), BTreeMap::from([("bytes-lost", 1)]));
}

#[tokio::test]
async fn a_scrub_finds_a_flipped_bit() {
    let scene = Scene::new().await;
    let generation = scene.generation_of(&scene.layer).await;
    put_data(scene.store(), &generation, "layer of y").await;
    let without = walk(scene.registry(), FsckOptions { scrub: false, ..SMALL }).await;
    without.assert_clean();
    let finding = scene.assert_found("bytes-damaged").await;
    let actual_digest = sha256(b"layer of y");
    assert!(matches!(finding.kind, Kind::BytesDamaged { actual, .. } if actual == actual_digest));
}

#[tokio::test]
async fn a_segment_that_is_missing_is_lost_and_nothing_is_concluded_from_it() {
    let cluster = Cluster::shaped(1, TINY);
    for number in 0..12 {
        push_image(&cluster.at(0, "a"), &format!("{number}"), &[&format!("t{number}")]).await;
    }
    cluster.collect_all().await;
    let data = cluster.store.generations();
    // Each in turn: leaves of manifests, leaves of tags, inner ones.
    for key in cluster.keys("segment/") {
        let record = Records::get(&*cluster.store, &key).await.expect("a read").expect("a segment");
        delete_record(&cluster.store, &key).await;
        let heard = walk(&cluster.replicas[0], REPAIR).await;
        let is_lost =
            |finding: &Finding| matches!(&finding.kind, Kind::SegmentLost { problem, .. } if problem.contains(&key));
        assert!(heard.findings.len() == 1 && is_lost(&heard.findings[0]), "{heard:#?}");
        assert_eq!(cluster.store.generations(), data, "nothing is deleted");
        put_record(&cluster.store, &key, record.value).await;
    }
    walk(&cluster.replicas[0], SMALL).await.assert_clean();
}

#[tokio::test]
async fn records_that_cannot_be_understood_are_found() {
    for kind in ["repo/", "blob/", "upload/", "due/"] {
        let scene = Scene::new().await;
        scene.cluster.at(0, "team/a").start_upload(Algorithm::Sha256).await.expect("a session");
        let key = scene.cluster.keys(kind).into_iter().next().expect("a key");
        put_record(scene.store(), &key, "nonsense".into()).await;
        // An old segment of nobody's, so that somebody reads the work list.
        scene.put(&Key::Segment(name("b"), scene.old_id(1)), serde_json::json!({"leaf": []})).await;
        let data = scene.store().generations();
        let heard = walk(scene.registry(), REPAIR).await;
        let is_it = |finding: &&Finding| matches!(&finding.kind, Kind::Unreadable { key: k, .. } if *k == key);
        assert_eq!(heard.findings.iter().filter(is_it).count(), 1, "{kind}: {heard:#?}");
        assert_eq!(scene.store().generations(), data, "{kind}: nothing is deleted");
    }
}

#[tokio::test]
async fn a_missing_hold_is_put_back() {
    let scene = Scene::new().await;
    let hold = scene.hold_of_layer();
    scene.remove(&hold).await;
    // Without the hold nothing shows that the blob is needed.
    let heard = walk(scene.registry(), REPAIR).await;
    assert_eq!(heard.kinds(), BTreeMap::from([("hold-missing", 1)]), "{heard:#?}");
    assert_eq!(heard.findings[0].repair, Repair::Restored);
    assert_eq!(scene.hold_of_layer(), hold);
    scene.cluster.collect_all().await;
    walk(scene.registry(), SMALL).await.assert_clean();
    scene.assert_whole().await;
}

#[tokio::test]
async fn a_hold_of_a_dead_push_is_taken_off() {
    let scene = Scene::new().await;
    let holder = Holder::Push { manifest: sha256(b"never pushed"), push: scene.old_id(1) };
    scene.put(&Key::Hold(scene.layer.clone(), name("team/b"), holder), serde_json::json!(null)).await;
    scene.assert_repaired("stray-hold", Repair::Queued).await;
}

#[tokio::test]
async fn a_lease_without_work_is_taken_off() {
    let scene = Scene::new().await;
    let holder = Holder::Lease { due: 1_700_000_000, id: scene.old_id(1) };
    scene.put(&Key::Hold(scene.layer.clone(), name("team/a"), holder), serde_json::json!(null)).await;
    scene.assert_repaired("stray-lease", Repair::Queued).await;
}

#[tokio::test]
async fn a_blob_that_nothing_holds_is_collected() {
    let scene = Scene::new().await;
    put_blob(&scene.cluster.at(0, "team/a"), b"alone").await;
    for key in scene.cluster.keys("due/") {
        delete_record(scene.store(), &key).await;
    }
    for key in scene.cluster.keys("hold/").into_iter().filter(|key| key.contains("/l/")) {
        delete_record(scene.store(), &key).await;
    }
    for key in scene.cluster.keys("upload/") {
        delete_record(scene.store(), &key).await;
    }
    scene.assert_repaired("unheld-blob", Repair::Queued).await;
}

#[tokio::test]
async fn a_blob_left_condemned_is_taken_back() {
    let scene = Scene::new().await;
    let key = Key::Blob(scene.layer.clone());
    let mut record = scene.json(&key).await;
    record["state"] = serde_json::to_value(BlobState::Condemned).expect("JSON");
    scene.put(&key, record).await;
    scene.assert_repaired("blob-condemned", Repair::Queued).await;
    assert_eq!(scene.json(&key).await["state"], "live");
}

#[tokio::test]
async fn bytes_of_a_gone_blob_are_freed() {
    let scene = Scene::new().await;
    let at = scene.cluster.at(0, "team/a");
    let digest = put_blob(&at, b"to go").await;
    let generation = scene.generation_of(&digest).await;
    scene.cluster.collect_all().await;
    assert_eq!(scene.json(&Key::Blob(digest)).await["state"], "gone");
    put_data(scene.store(), &generation, "to go").await;
    scene.assert_repaired("gone-bytes", Repair::Queued).await;
}

#[tokio::test]
async fn a_segment_of_nobody_is_collected() {
    let scene = Scene::new().await;
    scene.put(&Key::Segment(name("team/a"), scene.old_id(1)), serde_json::json!({"leaf": []})).await;
    scene.assert_repaired("stray-segment", Repair::Queued).await;
}

#[tokio::test]
async fn a_forgotten_session_expires() {
    let scene = Scene::new().await;
    let at = scene.cluster.at(0, "team/a");
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    at.append(&upload, Chunk::default(), body(&[5; 300])).await.expect("an append");
    for key in scene.cluster.keys("due/") {
        delete_record(scene.store(), &key).await;
    }
    walk(scene.registry(), SMALL).await.assert_clean();
    scene.cluster.pass(GRACE * 3);
    scene.assert_repaired("forgotten-session", Repair::Queued).await;
    assert_eq!(scene.store().open_uploads(), 0);
}

#[tokio::test]
async fn data_that_nothing_names_are_removed() {
    let scene = Scene::new().await;
    // Bytes of a manifest, and a piece of the very upload whose other bytes serve as a blob.
    let family = scene.generation_of(&scene.layer).await.family();
    for stray in [Family::new(7).first(), family.other(7)] {
        put_data(scene.store(), &stray, "stray").await;
        let finding = scene.assert_found("stray-data").await;
        assert_eq!(finding.kind, Kind::StrayData { generation: stray, size: 5 });
        scene.assert_repaired("stray-data", Repair::Removed).await;
    }
}

#[tokio::test]
async fn an_unfinished_upload_of_no_session_is_removed() {
    let scene = Scene::new().await;
    Data::start(scene.store(), &Family::new(7).other(7)).await.expect("an upload");
    scene.assert_repaired("stray-upload", Repair::Removed).await;
    assert_eq!(scene.store().open_uploads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_walk_that_was_stopped_goes_on_and_says_everything_once() {
    let scene = Scene::new().await;
    for random in 1..9 {
        let holder = Holder::Push { manifest: sha256(b"never pushed"), push: scene.old_id(random) };
        scene.put(&Key::Hold(scene.layer.clone(), name("team/b"), holder), serde_json::json!(null)).await;
        let stray = Family::new(random << 120).first();
        put_data(scene.store(), &stray, "stray").await;
        push_image(&scene.cluster.at(0, &format!("r{random}")), &format!("{random}"), &["t"]).await;
    }
    let [registry] = slow(&scene.cluster);
    let whole = walk(&registry, SMALL).await;
    assert_eq!(whole.kinds(), BTreeMap::from([("stray-data", 8), ("stray-hold", 8)]));
    let (mut state, mut findings, mut runs) = (State::default(), Vec::new(), 0);
    let summary = loop {
        let heard = walk_from(&registry, SMALL, state, 1).await;
        findings.extend(heard.findings);
        state = heard.checkpoints.last().expect("a checkpoint").clone();
        runs += 1;
        if heard.summary != Summary::default() {
            break heard.summary;
        }
        assert!(runs < 1000, "it never ends");
    };
    assert!(runs > 6, "{runs} runs");
    let texts = |findings: &[Finding]| {
        let mut texts: Vec<String> = findings.iter().map(|f| f.kind.to_string()).collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(&findings), texts(&whole.findings));
    assert_eq!((summary.checked, summary.findings), (whole.summary.checked, whole.summary.findings));
}

/// Clients push, delete, upload and give up, collectors collect, and the grace time passes again and again, while walks go on that
/// would repair whatever they find.
#[tokio::test(start_paused = true)]
async fn a_busy_registry_is_not_accused() {
    let cluster = Cluster::shaped(1, TINY);
    let replicas: [Registry; 3] = slow(&cluster);
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    for (number, registry) in replicas.iter().cloned().enumerate() {
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move { work(&registry, number).await }));
    }
    for registry in &replicas[..2] {
        let (collector, stop) = (registry.collector(), stop.clone());
        tasks.spawn(async move {
            let schedule = Schedule { enabled: true, interval: Duration::from_millis(300) };
            collector.run(tokio::sync::watch::channel(schedule).1, stop).await;
            None
        });
    }
    let env = cluster.env.clone();
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(40)).await;
            env.seconds.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let mut checked = BTreeMap::new();
    for _ in 0..12 {
        let heard = walk(&replicas[2], REPAIR).await;
        heard.assert_clean();
        heard.summary.checked.into_iter().for_each(|(phase, n)| *checked.entry(phase).or_insert(0) += n);
    }
    checked.remove(&Phase::Confirm);
    assert!(checked.len() == 8 && checked.values().all(|n| *n > 0), "{checked:?}");
    stop.cancel();
    while tasks.join_next().await.is_some() {}
}

/// One client's endless work.
async fn work(registry: &Registry, client: usize) -> std::convert::Infallible {
    for round in client.. {
        let at = registry.repository(&name(["a", "b"][round % 2]));
        let content = format!("{}", round * 7 % 40);
        let (config, layer) = (format!("config of {content}"), format!("layer of {content}"));
        let mut blobs = Vec::new();
        for bytes in [&config, &layer] {
            let digest = sha256(bytes.as_bytes());
            let _ = at.upload_blob(&digest, None, body(bytes.as_bytes())).await;
            blobs.push(digest);
        }
        // It is refused where a collector was faster; that is the client's business.
        let pushed = at.push_manifest(manifest(image(&blobs[0], &blobs[1..]), &[&format!("t{}", round % 50)])).await;
        if let (Ok(pushed), true) = (pushed, round % 3 == 0) {
            let _ = at.delete_manifest(&Reference::Digest(pushed.digest)).await;
        }
        if round % 4 == 0
            && let Ok(upload) = at.start_upload(Algorithm::Sha256).await
        {
            let _ = at.append(&upload, Chunk::default(), body(&[5; 200])).await;
        }
    }
    unreachable!("the work has no end")
}
