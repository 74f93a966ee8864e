//! Sessions of several replicas over one store.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::*;

/// Records in memory, with a count of what is asked.
#[derive(Debug, Default)]
struct Store {
    records: Mutex<BTreeMap<(String, u128), Bytes>>,
    asked: AtomicUsize,
}

impl Store {
    fn records(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u128), Bytes>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.records.lock().unwrap()
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn get(&self, user: &str, id: u128) -> Result<Option<Bytes>, KeyStoreDown> {
        Ok(self.records().get(&(user.to_owned(), id)).cloned())
    }
    async fn create(&self, user: &str, id: u128, value: Bytes) -> Result<bool, KeyStoreDown> {
        Ok(self.records().insert((user.to_owned(), id), value).is_none())
    }
    async fn delete(&self, user: &str, id: u128) -> Result<(), KeyStoreDown> {
        self.records().remove(&(user.to_owned(), id));
        Ok(())
    }
    async fn list(&self, user: &str) -> Result<Vec<(u128, Bytes)>, KeyStoreDown> {
        let records = self.records();
        Ok(records.iter().filter(|((u, _), _)| u == user).map(|((_, id), value)| (*id, value.clone())).collect())
    }
}

fn replica(store: &Arc<Store>) -> Sessions {
    Sessions::new(b"the key of all replicas", store.clone()).unwrap()
}

fn lena() -> Session {
    let groups = (0..500).map(|i| format!("a-group-with-a-long-name-{i}")).collect();
    Session { user: "lena@example.org".to_owned(), by: oidc(), groups }
}

fn oidc() -> Login {
    Login::Provider("oidc".to_owned())
}

#[tokio::test]
async fn a_session_is_good_on_every_replica_until_it_ends_on_one() {
    let store = Arc::default();
    let (one, two, three) = (replica(&store), replica(&store), replica(&store));
    let cookie = one.begin(&lena()).await.unwrap();
    let other = two.begin(&lena()).await.unwrap();
    assert_eq!(two.find(&cookie).await.unwrap(), Some(lena()));
    assert_eq!(three.end(&cookie).await.unwrap(), Some(("lena@example.org".to_owned(), oidc())));
    for replica in [&one, &two, &three] {
        assert!(replica.find(&cookie).await.unwrap().is_none(), "it has ended");
        assert!(replica.find(&other).await.unwrap().is_some(), "another one of the same user has not");
    }
    assert!(one.end(&cookie).await.is_ok(), "again");
}

#[tokio::test]
async fn what_nobody_has_sealed_makes_no_call() {
    let store = Arc::default();
    let cookie = replica(&store).begin(&lena()).await.unwrap();
    let before = store.asked.load(Ordering::Relaxed);
    let stranger = Sessions::new(b"another key", store.clone()).unwrap();
    assert!(stranger.find(&cookie).await.unwrap().is_none());
    for bad in ["", "x", &cookie[2..], &format!("{cookie}AA")] {
        assert!(replica(&store).find(bad).await.unwrap().is_none(), "{bad}");
        assert!(replica(&store).end(bad).await.unwrap().is_none(), "{bad}");
    }
    let content = |expires| Content { user: "x".into(), by: oidc(), id: "7".into(), expires };
    let over = replica(&store).sealer.seal(&content(secret::now())).unwrap();
    assert!(replica(&store).find(&over).await.unwrap().is_none(), "its time is over");
    assert_eq!(store.asked.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn a_user_leaves_no_heap_of_sessions() {
    let store: Arc<Store> = Arc::default();
    let over = serde_json::to_vec(&Record { expires: secret::now() - 1, groups: Vec::new() }).unwrap();
    for (id, value) in [(1, over.clone()), (2, b"nonsense".to_vec()), (3, over)] {
        store.records().insert(("lena@example.org".to_owned(), id), value.into());
    }
    store.records().insert(("other".to_owned(), 1), Bytes::new());
    replica(&store).begin(&lena()).await.unwrap();
    assert_eq!(store.records().len(), 2, "what was over is gone");
    for _ in 0..MOST + 10 {
        replica(&store).begin(&lena()).await.unwrap();
    }
    assert_eq!(store.records().len(), MOST + 1);
}
