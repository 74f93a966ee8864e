//! A cluster whose parts are on hosts of their own: what clients behind HAProxy notice when a link is cut, a replica dies or
//! vanishes, or the bucket is away or slow. Whatever happens, nothing that was acknowledged is lost, and tags say what was
//! acknowledged last. Each test prints its row of the table in docs/CLUSTERING.md.
//!
//! Hosts are network namespaces, so that this needs root: `tools/hosts`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wharf_e2e::balancer::SERVED_BY;
use wharf_e2e::load::{Done, Load};
use wharf_e2e::netns::{Cluster, Hosts, Options, inside};
use wharf_e2e::patient::{Patient, Rules};
use wharf_e2e::place::Clock;
use wharf_e2e::toxiproxy::Toxic;
use wharf_e2e::workload::{Plan, Worker, check};
use wharf_e2e::{Client, Content, Lab, say, wait};

const REPLICAS: usize = 3;
const WORKERS: u64 = 2;
const REPOSITORIES: [&str; 2] = ["hosts/a", "hosts/b"];
/// How long a fault lasts.
const FAULT: Duration = Duration::from_secs(20);
/// How soon all is well after it.
const RECOVERY: Duration = Duration::from_secs(60);
/// A client asks for as long as a fault can last.
const RULES: Rules =
    Rules { answered_within: Duration::from_secs(150), patience: Duration::from_secs(200), is_balanced: true };

/// Whether the clients' own retries have to be enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// No operation of a client that retries fails.
    NoneFails,
    /// Some do, while the fault lasts.
    NothingIsLost,
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn a_replica_loses_the_bucket() {
    on_hosts("hosts-bucket", &Ask::default(), async |scene| {
        scene
            .suffer("one replica cut off from the bucket", Promise::NoneFails, async |scene| {
                let (replica, bucket) = (&scene.hosts.replicas[0], &scene.hosts.bucket);
                scene.hosts.network.cut(replica, bucket);
                let begin = Instant::now();
                let turned = scene.turns(0, 503).await;
                rest(begin).await;
                assert_eq!(scene.cluster.replicas[0].readiness().await, Some(503));
                assert_eq!(scene.cluster.replicas[0].liveness().await, Some(200), "it is alive all the time");
                scene.hosts.network.join(replica, bucket);
                let back = scene.turns(0, 200).await;
                format!("not ready after {}, live all the time, ready again after {}", short(turned), short(back))
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn a_replica_loses_the_balancer() {
    on_hosts("hosts-balancer", &Ask::default(), async |scene| {
        scene
            .suffer("one replica cut off from the balancer", Promise::NoneFails, async |scene| {
                let (replica, balancer) = (&scene.hosts.replicas[0], &scene.hosts.balancer);
                scene.hosts.network.cut(replica, balancer);
                let begin = Instant::now();
                rest(begin).await;
                assert_eq!(scene.cluster.replicas[0].readiness().await, Some(200), "it has its bucket");
                scene.hosts.network.join(replica, balancer);
                format!("serves again after {}", short(scene.serves("r1").await))
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn the_bucket_is_away() {
    on_hosts("hosts-away", &Ask::default(), async |scene| {
        scene
            .suffer("the bucket away for 20 s", Promise::NothingIsLost, async |scene| {
                scene.hosts.bucket.unplug();
                let begin = Instant::now();
                let turned = join_all((0..REPLICAS).map(|number| scene.turns(number, 503))).await;
                rest(begin).await;
                for replica in &scene.cluster.replicas {
                    assert_eq!(replica.liveness().await, Some(200));
                }
                scene.hosts.bucket.plug();
                let back = Instant::now();
                join_all((0..REPLICAS).map(|number| scene.turns(number, 200))).await;
                format!(
                    "all not ready after {}, live all the time; all ready again {} after the bucket",
                    short(turned.into_iter().max().unwrap()),
                    short(back.elapsed())
                )
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn the_bucket_is_slow() {
    on_hosts("hosts-slow", &Ask { may_be_slow: true, ..Ask::default() }, async |scene| {
        scene
            .suffer("a slow bucket: 300 ms a call", Promise::NoneFails, async |scene| {
                let slow = scene.cluster.slow.as_ref().unwrap();
                slow.add(&[Toxic::latency(300, 0)]).await;
                let begin = Instant::now();
                while begin.elapsed() < FAULT {
                    for replica in &scene.cluster.replicas {
                        assert_eq!(replica.readiness().await, Some(200), "a slow bucket is a bucket");
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                slow.heal().await;
                "all ready all the time".to_owned()
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn a_replica_is_killed() {
    on_hosts("hosts-killed", &Ask::default(), async |scene| {
        scene
            .suffer("a replica killed (SIGKILL), started after 10 s", Promise::NoneFails, async |scene| {
                scene.cluster.replicas[1].kill();
                tokio::time::sleep(Duration::from_secs(10)).await;
                let started = scene.cluster.replicas[1].restart().await;
                let served = scene.serves("r2").await;
                format!("ready {} after its start, serves {} later", short(started), short(served))
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn a_host_vanishes() {
    on_hosts("hosts-vanished", &Ask::default(), async |scene| {
        let uploads = begin_uploads(&scene.client.clone()).await;
        scene
            .suffer("a replica's host gone: cable out, connections open", Promise::NoneFails, async move |scene| {
                let host = &scene.hosts.replicas[1];
                host.unplug();
                let begin = Instant::now();
                let ends = join_all(uploads.into_iter().map(OpenUpload::go_on)).await;
                let cut_off = ends.iter().filter(|end| end.was_cut_off).count();
                let slowest = ends.iter().map(|end| end.took).max().unwrap();
                rest(begin).await;
                host.plug();
                let served = scene.serves("r2").await;
                format!(
                    "of {} uploads under way {cut_off} broke off, the last client knew after {}; each went on at another replica. \
                     Serves again {} after its return",
                    ends.len(),
                    short(slowest),
                    short(served)
                )
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn a_clock_goes_wrong() {
    on_hosts("hosts-clock", &Ask { has_clocks: true, ..Ask::default() }, async |scene| {
        scene
            .suffer("a replica's clock goes wrong by 5 hours", Promise::NoneFails, async |scene| {
                scene.clocks[0].set("+5h");
                let begin = Instant::now();
                let turned = scene.turns(0, 503).await;
                rest(begin).await;
                assert_eq!(scene.cluster.replicas[0].liveness().await, Some(200));
                scene.clocks[0].set("+0h");
                let back = scene.turns(0, 200).await;
                format!(
                    "the bucket refuses its requests (RequestTimeTooSkewed): not ready after {}, live; ready {} after its clock is \
                     right",
                    short(turned),
                    short(back)
                )
            })
            .await;
    });
}

#[test]
#[ignore = "hosts need root: tools/hosts"]
fn clocks_are_wrong_and_the_bucket_does_not_mind() {
    // The collectors look every second at what the clock that is ahead calls five hours old.
    let settings = json!({"storage": {"gcInterval": "1s"}});
    on_hosts("hosts-clocks", &Ask { has_clocks: true, is_open: true, settings, ..Ask::default() }, async |scene| {
        scene
            .suffer("two replicas' clocks wrong by 5 hours, one each way", Promise::NothingIsLost, async |scene| {
                scene.clocks[0].set("+5h");
                scene.clocks[1].set("-5h");
                rest(Instant::now()).await;
                for replica in &scene.cluster.replicas {
                    assert_eq!(replica.readiness().await, Some(200));
                }
                "all ready all the time".to_owned()
            })
            .await;
    });
}

/// A cluster on hosts, and clients of it.
struct Scene<'a> {
    lab: &'a Lab,
    hosts: &'a Hosts,
    cluster: Cluster,
    client: Client,
    /// Of the replicas, where they were asked for.
    clocks: Vec<Clock>,
}

/// What is special about a scene.
#[derive(Clone, Debug, Default)]
struct Ask {
    settings: serde_json::Value,
    may_be_slow: bool,
    is_open: bool,
    has_clocks: bool,
}

/// Runs a test on the clients' host.
fn on_hosts(name: &str, ask: &Ask, test: impl AsyncFnOnce(&mut Scene<'_>) + Send) {
    let lab = Lab::new(name);
    let hosts = Hosts::new(&lab, REPLICAS);
    let clocks: Vec<Clock> = match ask.has_clocks {
        true => hosts.replicas.iter().map(|host| Clock::new(&lab, host.name(), "+0h")).collect(),
        false => Vec::new(),
    };
    let options = Options {
        settings: ask.settings.clone(),
        clocks: clocks.iter().cloned().enumerate().collect(),
        may_be_slow: ask.may_be_slow,
        is_open: ask.is_open,
    };
    hosts.network.count("between_replicas", &hosts.replicas, &hosts.replicas);
    hosts.network.count("to_bucket", &hosts.replicas, std::slice::from_ref(&hosts.bucket));
    inside(&hosts.clients, async || {
        let cluster = Cluster::start(&lab, &hosts, &options).await;
        let client = Client::new([cluster.balancer.address()]);
        test(&mut Scene { lab: &lab, hosts: &hosts, cluster, client, clocks }).await;
    });
    assert!(hosts.network.packets("to_bucket") > 0, "packets are counted");
    assert_eq!(hosts.network.packets("between_replicas"), 0, "replicas have nothing to tell each other");
}

impl Scene<'_> {
    /// Lets clients work while `fault` happens, and sees that all is well in the end.
    async fn suffer(&mut self, name: &str, promise: Promise, fault: impl AsyncFnOnce(&mut Self) -> String) {
        let patient = Patient::new(self.client.clone(), RULES);
        let plan = Arc::new(Plan::new(&REPOSITORIES, Instant::now() + FAULT + Duration::from_secs(5)));
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            workers.spawn(Worker::new(number, patient.clone(), plan.clone()).run());
        }
        let load = Load::start(self.lab, &self.cluster.balancer.address());
        load.goes_on(4).await;
        let begin = Instant::now();
        let seen = fault(self).await;
        let took = begin.elapsed();
        // Then clients go on as if nothing had been.
        load.goes_on(4).await;
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
        let done = load.stop().await;
        self.is_well(&patient, &plan, &done).await;
        report(name, took, &done, &seen);
        if promise == Promise::NoneFails {
            assert!(done.crane.failures.is_empty(), "{name}: {}", done.crane.failures.join("\n"));
        }
    }

    /// All that was acknowledged is there and whole, and every replica lives.
    async fn is_well(&mut self, patient: &Patient, plan: &Plan, done: &Done) {
        for held in plan.ledger.all() {
            check(patient, &held).await;
        }
        for pushed in &done.crane.pushed {
            pushed.check(&self.client).await;
        }
        for replica in &mut self.cluster.replicas {
            replica.assert_alive();
        }
        say!(
            "{} images of the workload and {} of crane whole; {} operations of the workload",
            plan.ledger.all().len(),
            done.crane.pushed.len(),
            plan.operations()
        );
        assert!(plan.operations() > 0 && !done.crane.pushed.is_empty());
    }

    /// Waits until a replica's `/readyz` has this status, and answers how long that took.
    async fn turns(&self, replica: usize, status: u16) -> Duration {
        let replica = &self.cluster.replicas[replica];
        wait::until(&format!("/readyz is {status}"), RECOVERY, async || replica.readiness().await == Some(status)).await
    }

    /// Waits until HAProxy has a request answered by this replica, and answers how long that took.
    async fn serves(&self, replica: &str) -> Duration {
        wait::until(&format!("{replica} serves"), RECOVERY, async || {
            let answer = self.client.request(Method::GET, "/v2/").send().await;
            answer.is_ok_and(|answer| answer.headers().get(SERVED_BY).is_some_and(|name| name == replica))
        })
        .await
    }
}

/// Waits until a fault that began then has lasted long enough.
async fn rest(begin: Instant) {
    tokio::time::sleep(FAULT.saturating_sub(begin.elapsed())).await;
}

fn short(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A row for docs/CLUSTERING.md.
fn report(name: &str, took: Duration, done: &Done, seen: &str) {
    let (crane, raw) = (&done.crane, &done.raw);
    say!(
        "| {name} | {} pushes and pulls, {} failed, longest {} | {} pushes and reads, {} failed, longest {} | {seen} |  ({} in all)",
        crane.operations,
        crane.failures.len(),
        short(crane.longest),
        raw.operations,
        raw.failed,
        short(raw.longest),
        short(took)
    );
    for failure in &crane.failures {
        say!("failed: {}", failure.trim());
    }
}

/// An upload of two chunks, stopped in the middle of the first.
struct OpenUpload {
    client: Client,
    content: Content,
    location: String,
    resume: oneshot::Sender<()>,
    chunk: tokio::task::JoinHandle<Result<reqwest::Response, reqwest::Error>>,
}

/// How it ended.
struct Ended {
    /// Until the client knew how its chunk had ended.
    took: Duration,
    was_cut_off: bool,
}

const UPLOAD: u64 = 4 << 20;

/// Uploads under way, enough for each replica to have some.
async fn begin_uploads(client: &Client) -> Vec<OpenUpload> {
    let mut uploads = Vec::new();
    for number in 0..6 {
        let content = Content::new(5_000 + number, UPLOAD);
        let upload = client.start_upload("hosts/open").await;
        let (reached, at_pause) = oneshot::channel();
        let (resume, resumed) = oneshot::channel();
        let body = content.pausing_body(0, UPLOAD / 4, UPLOAD / 2, reached, resumed);
        let chunk = tokio::spawn(client.chunk(&upload, 0, UPLOAD / 2, body).send());
        at_pause.await.unwrap();
        uploads.push(OpenUpload { client: client.clone(), content, location: upload.location, resume, chunk });
    }
    uploads
}

impl OpenUpload {
    /// Sends the rest of the chunk; then, from where the session is, the rest of the blob, through whichever replica answers.
    async fn go_on(self) -> Ended {
        let begin = Instant::now();
        self.resume.send(()).unwrap();
        let answer = self.chunk.await.unwrap();
        let took = begin.elapsed();
        let was_cut_off = !answer.is_ok_and(|answer| answer.status().is_success());
        let patient = Patient::new(self.client, RULES);
        let status = patient.send("the session", |client| client.request(Method::GET, &self.location)).await;
        status.expect("the session", &[204]);
        let last = status.header("range").strip_prefix("0-").and_then(|last| last.parse::<u64>().ok()).unwrap();
        let offset = if last == 0 { 0 } else { last + 1 };
        assert!(offset == UPLOAD / 2 || was_cut_off, "an acknowledged chunk is there: {offset}");
        let location = status.header("location").to_owned();
        let digest = self.content.digest();
        let joint = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{joint}digest={digest}");
        let end = patient
            .send("the rest", |client| {
                client
                    .request(Method::PUT, &path)
                    .header("content-length", UPLOAD - offset)
                    .body(self.content.body(offset, UPLOAD))
            })
            .await;
        end.expect("the rest", &[201]);
        Ended { took, was_cut_off }
    }
}
