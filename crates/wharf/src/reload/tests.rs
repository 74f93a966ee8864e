use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::config::load;

/// Follows `storage.gcDelay`, and takes none of more than a day.
#[derive(Default)]
struct Delay(Arc<AtomicU64>);

impl Reload for Delay {
    fn keys(&self) -> &'static [&'static str] {
        &["storage.gcDelay"]
    }

    fn prepare(&self, config: &Config) -> Result<Switch, String> {
        let (delay, of) = (config.storage.gc_delay, self.0.clone());
        if delay > Duration::from_secs(86_400) {
            return Err("storage.gcDelay: too long".to_owned());
        }
        Ok(Box::new(move || of.store(delay.as_secs(), Ordering::Relaxed)))
    }
}

struct Test {
    folder: tempfile::TempDir,
    delay: Arc<AtomicU64>,
    reloader: Reloader,
}

impl Test {
    fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).expect("written");
        let loaded = load(Some(&file), &Environment::default()).expect("accepted");
        let concern = Delay::default();
        let delay = concern.0.clone();
        let reloader = Reloader::new(loaded, Environment::default(), vec![Arc::new(concern)], Reloads::new());
        Self { folder, delay, reloader }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.json")
    }

    fn write(&mut self, text: &str) -> Result<Taken, String> {
        std::fs::write(self.file(), text).expect("written");
        self.reloader.take()
    }

    fn delay(&self) -> u64 {
        self.delay.load(Ordering::Relaxed)
    }
}

fn taken(applied: &[&str], after_restart: &[&str]) -> Result<Taken, String> {
    let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    Ok(Taken { applied: own(applied), after_restart: own(after_restart) })
}

#[test]
fn what_can_follow_does_and_the_rest_is_named() {
    let mut test = Test::start(r#"{"storage": {"rootDirectory": "/r"}, "http": {"port": 1}}"#);
    let text = r#"{"storage": {"rootDirectory": "/r", "gcDelay": "2h"}, "http": {"port": 2}}"#;
    assert_eq!(test.write(text), taken(&["storage.gcDelay"], &["http.port"]));
    assert_eq!(test.delay(), 7200);
    // It still waits for a restart, and does not any more once it is taken back.
    assert_eq!(test.write(text), taken(&[], &["http.port"]));
    let back = text.replace("\"port\": 2", "\"port\": 1");
    assert_eq!(test.write(&back), taken(&[], &[]));
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let mut test = Test::start(r#"{"storage": {"rootDirectory": "/r", "gcDelay": "2h"}}"#);
    assert!(test.write("{").is_err());
    let refusal = test.write(r#"{"storage": {"rootDirectory": "/r", "gcDelay": "3h"}, "log": {"level": "loud"}}"#);
    assert!(refusal.is_err_and(|why| why.contains("log.level")));
    let refusal = test.write(r#"{"storage": {"rootDirectory": "/r", "gcDelay": "48h"}}"#);
    assert_eq!(refusal, Err("storage.gcDelay: too long".to_owned()));
    assert_eq!(test.delay(), 0, "nothing was switched over");
    assert_eq!(
        test.write(r#"{"storage": {"rootDirectory": "/r", "gcDelay": "3h"}}"#),
        taken(&["storage.gcDelay"], &[])
    );
    assert_eq!(test.delay(), 10_800);
}
