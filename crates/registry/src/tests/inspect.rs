//! What the collector tells of itself: plans, explanations and the work list. None of that writes.

use std::sync::Mutex;

use super::*;

async fn told(registry: &Registry, act: bool) -> Vec<Step> {
    let steps = Mutex::new(Vec::new());
    let tell = |step| {
        steps.lock().expect("no panic").push(step);
        async { true }
    };
    registry.collector().run_told(act, tell).await.expect("a run");
    steps.into_inner().expect("no panic")
}

fn about<'a>(steps: &'a [Step], kind: &str, subject: &Digest) -> &'a Step {
    let subject = subject.to_string();
    let found = steps.iter().find(|step| step.plan.kind == kind && step.plan.subject.contains(&subject));
    found.unwrap_or_else(|| panic!("no {kind} {subject} in {steps:#?}"))
}

/// All that is stored.
fn everything(cluster: &Cluster) -> (Vec<String>, usize) {
    (cluster.store.keys(), cluster.store.generations().len())
}

#[tokio::test]
async fn a_dry_run_tells_what_a_run_would_do_and_writes_nothing() {
    let cluster = Cluster::new(2);
    push_image(&cluster.at(0, "kept"), "kept", &["t"]).await;
    let gone = push_image(&cluster.at(0, "gone"), "gone", &["t"]).await;
    cluster.at(1, "gone").delete_manifest(&Reference::Digest(gone)).await.expect("a deletion");
    for replica in &cluster.replicas {
        replica.settle().await;
    }
    assert!(told(&cluster.replicas[0], false).await.is_empty(), "nothing is due yet");
    cluster.pass(GRACE * 2);

    let before = everything(&cluster);
    let dry = told(&cluster.replicas[1], false).await;
    assert_eq!(everything(&cluster), before);
    let (layer, kept) = (sha256(b"layer of gone"), sha256(b"layer of kept"));
    let plan = &about(&dry, "blob", &layer).plan;
    assert_eq!((plan.action, plan.bytes), (Action::Delete, Some(13)));
    let plan = &about(&dry, "lease", &kept).plan;
    assert!(plan.action == Action::Keep && plan.why.contains("of kept needs it"), "{plan:?}");
    assert!(dry.iter().all(|step| step.done.is_none()));

    let wet = told(&cluster.replicas[1], true).await;
    // Whichever of the entries about the layer came first.
    let is_gone =
        |step: &&Step| step.plan.subject.contains(&layer.to_string()) && step.done.as_deref() == Some("deleted");
    assert_eq!(wet.iter().filter(is_gone).count(), 1, "{wet:#?}");
    let collected = cluster.replicas[1].collector().collected();
    assert_eq!((collected.blobs, cluster.replicas[1].collector().runs().len()), (2, 1));
    assert_eq!(cluster.store.generations().len(), 3, "a manifest, a config and a layer");
}

#[tokio::test]
async fn a_digest_is_explained_through_its_life() {
    let cluster = Cluster::new(1);
    let (registry, at) = (&cluster.replicas[0], cluster.at(0, "a"));
    let explain = |digest: Digest| async move { registry.collector().explain(&digest, None).await.expect("facts") };
    let layer = put_blob(&at, b"layer of x").await;
    let facts = explain(layer.clone()).await;
    assert_eq!(facts.holders.iter().map(|held| held.standing).collect::<Vec<_>>(), [Standing::Waiting]);
    assert!(facts.goes.is_some() && facts.entries.is_some_and(|entries| !entries.is_empty()));

    let manifest = push_image(&at, "x", &["t"]).await;
    let facts = explain(layer.clone()).await;
    let needed = facts.holders.iter().find(|held| held.standing == Standing::Needed).expect("a holder");
    assert_eq!((needed.manifest.as_ref(), needed.tags.as_slice()), (Some(&manifest), ["t".to_owned()].as_slice()));
    let blob = facts.blob.expect("a blob");
    assert_eq!((blob.state.as_str(), blob.size, blob.stored), ("live", 10, Some(10)));
    let facts = registry.collector().explain(&manifest, Some(&name("a"))).await.expect("facts");
    assert_eq!(facts.manifest.map(|manifest| manifest.tags), Some(vec!["t".to_owned()]));

    at.delete_manifest(&Reference::Digest(manifest)).await.expect("a deletion");
    cluster.collect_all().await;
    let facts = explain(layer).await;
    assert!(facts.blob.is_some_and(|blob| blob.state == "gone" && blob.stored.is_none()) && facts.holders.is_empty());
    let facts = explain(sha256(b"never there")).await;
    assert!(facts.blob.is_none() && facts.conclusion.contains("no blob"));
}

#[tokio::test]
async fn the_work_list_is_counted_by_kind_and_age() {
    let cluster = Cluster::new(1);
    let registry = &cluster.replicas[0];
    put_blob(&cluster.at(0, "a"), b"bytes").await;
    let list = registry.collector().work_list(u64::MAX).await.expect("a list");
    let due_later = |ages: &Ages| ages.within_an_hour;
    assert!(list.entries > 0 && list.read == list.entries);
    assert_eq!(list.kinds.values().map(due_later).sum::<u64>(), list.entries);
    assert!(list.kinds.contains_key("lease"), "{list:?}");

    cluster.pass(GRACE + Duration::from_secs(2 * 3600));
    let list = registry.collector().work_list(0).await.expect("a list");
    assert_eq!((list.read, list.kinds.keys().map(String::as_str).collect::<Vec<_>>()), (0, vec!["unread"]));
    assert_eq!(list.kinds["unread"].over_an_hour, list.entries);
    registry.collector().run_once().await.expect("a run");
    assert_eq!(registry.collector().oldest_due(), None);
}
