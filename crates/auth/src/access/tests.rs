//! Who is known by what, and until when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::policy::{Action, Facts, Logins, Rules};

mod sessions;

/// Keys and sessions in memory, shared by several replicas, with a count of what is asked.
#[derive(Debug, Default)]
struct Store {
    keys: Mutex<BTreeMap<(String, u128), Bytes>>,
    asked: AtomicUsize,
}

impl Store {
    fn keys(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u128), Bytes>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.keys.lock().unwrap()
    }
}

#[async_trait]
impl apikey::KeyStore for Store {
    async fn get(&self, user: &str, id: u128) -> Result<Option<Bytes>, KeyStoreDown> {
        Ok(self.keys().get(&(user.to_owned(), id)).cloned())
    }
    async fn create(&self, user: &str, id: u128, value: Bytes) -> Result<bool, KeyStoreDown> {
        Ok(self.keys().insert((user.to_owned(), id), value).is_none())
    }
    async fn delete(&self, user: &str, id: u128) -> Result<(), KeyStoreDown> {
        self.keys().remove(&(user.to_owned(), id));
        Ok(())
    }
    async fn list(&self, user: &str) -> Result<Vec<(u128, Bytes)>, KeyStoreDown> {
        Ok(self.keys().iter().filter(|((u, _), _)| u == user).map(|((_, id), value)| (*id, value.clone())).collect())
    }
}

struct Lab {
    store: Arc<Store>,
    sessions: Arc<Store>,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("htpasswd");
        let lab = Self { store: Arc::default(), sessions: Arc::default(), file, _directory: directory };
        lab.users(&[("alice", "a"), ("bob", "b")]);
        lab
    }

    fn users(&self, users: &[(&str, &str)]) {
        let line = |(user, password): &(&str, &str)| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap());
        let next = self.file.with_extension("next");
        std::fs::write(&next, users.iter().map(line).collect::<String>()).unwrap();
        std::fs::rename(next, &self.file).unwrap();
    }

    fn replica(&self) -> Access {
        let logins = Ways {
            htpasswd: Some(Arc::new(Htpasswd::open(&self.file).unwrap())),
            api_keys: Some(Keys::new(self.store.clone())),
            issuer: Some(Issuer::new(b"shared", Duration::from_secs(300))),
            browsers: Some(Browsers {
                providers: None,
                sessions: Sessions::new(b"shared", self.sessions.clone()).unwrap(),
                secure: None,
            }),
            ..Ways::default()
        };
        let policy = Policy::without_rules(Logins { any: true, tell_groups: false });
        Access { policy, logins, ..Access::open() }
    }
}

fn basic(user: &str, password: &str) -> Credentials {
    Credentials::Basic { user: user.to_owned(), password: Password::new(password.as_bytes()) }
}

async fn name(access: &Access, credentials: &Credentials) -> Option<String> {
    access.identify(credentials, None).await.ok()?.name().map(str::to_owned)
}

fn scopes(text: &str) -> Vec<Scope> {
    Scope::parse_all(std::iter::once(text)).unwrap()
}

fn verdict(access: &Access, caller: &Caller, repository: &str, action: Action) -> Verdict {
    let repository = repository.parse().unwrap();
    access.decide(caller, &Question { action, repository: &repository, facts: Facts::default() })
}

async fn token(access: &Access, credentials: &Credentials, scope: &str) -> Credentials {
    let caller = access.identify(credentials, None).await.unwrap();
    Credentials::Bearer(access.issue(&caller, scopes(scope)).unwrap().unwrap().text)
}

#[tokio::test]
async fn a_token_of_one_replica_is_good_on_another_and_asks_no_store() {
    let lab = Lab::new();
    let (one, two) = (lab.replica(), lab.replica());
    let alice = token(&one, &basic("alice", "a"), "repository:x:pull").await;
    let caller = two.identify(&alice, None).await.unwrap();
    assert_eq!(caller.name(), Some("alice"));
    assert_eq!(verdict(&two, &caller, "x", Action::Read), Verdict::Allowed);
    assert_eq!(verdict(&two, &caller, "x", Action::Create), Verdict::OutOfScope);
    assert_eq!(verdict(&two, &caller, "y", Action::Read), Verdict::OutOfScope);
    let nobody = token(&one, &Credentials::None, "repository:x:pull").await;
    let caller = two.identify(&nobody, None).await.unwrap();
    assert_eq!((caller.name(), verdict(&two, &caller, "x", Action::Read)), (None, Verdict::Denied(None)));
    assert_eq!(lab.store.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_token_ends_with_its_user_and_with_the_password() {
    let lab = Lab::new();
    let access = lab.replica();
    let (alice, bob) = (token(&access, &basic("alice", "a"), "").await, token(&access, &basic("bob", "b"), "").await);
    assert!(name(&access, &alice).await.is_some() && name(&access, &bob).await.is_some());
    lab.users(&[("bob", "changed"), ("carol", "c")]);
    access.logins.htpasswd.as_ref().unwrap().refresh().await;
    assert_eq!(name(&access, &alice).await, None);
    assert_eq!(name(&access, &bob).await, None);
    assert_eq!(name(&access, &basic("carol", "c")).await.as_deref(), Some("carol"));
}

#[tokio::test]
async fn a_deleted_api_key_is_refused_by_all_and_so_is_its_token() {
    let lab = Lab::new();
    let (one, two) = (lab.replica(), lab.replica());
    let alice = one.identify(&basic("alice", "a"), None).await.unwrap();
    let wish = ApiKeyWish { label: "ci".to_owned(), scopes: vec!["team/**".to_owned()], ..ApiKeyWish::default() };
    let new = one.create_key(&alice, wish).await.unwrap().unwrap();
    let key = basic("alice", &new.secret);
    let by_token = token(&one, &key, "repository:team/web:pull repository:other:pull").await;
    for credentials in [&key, &by_token] {
        let caller = two.identify(credentials, None).await.unwrap();
        assert_eq!(caller.name(), Some("alice"));
        assert_eq!(verdict(&two, &caller, "team/web", Action::Read), Verdict::Allowed);
        assert_eq!(verdict(&two, &caller, "other", Action::Read), Verdict::OutOfScope);
        assert!(!caller.limit.shows(&"other".parse().unwrap()));
        let more = two.create_key(&caller, ApiKeyWish::default()).await.unwrap();
        assert!(matches!(more, Err(NoApiKey::ByKey)));
    }
    assert_eq!(name(&two, &basic("bob", &new.secret)).await, None, "a key is its user's");
    assert!(!String::from_utf8_lossy(&lab.store.keys().values().next().unwrap().clone()).contains(&new.secret));
    two.delete_key("alice", new.id).await.unwrap().unwrap();
    assert_eq!((name(&one, &key).await, name(&one, &by_token).await), (None, None));
    assert_eq!((name(&two, &key).await, name(&two, &by_token).await), (None, None));
}

#[tokio::test]
async fn an_api_key_ends_with_its_user_and_in_time() {
    let lab = Lab::new();
    let access = lab.replica();
    let alice = access.identify(&basic("alice", "a"), None).await.unwrap();
    let wish = |expires| ApiKeyWish { expires, ..ApiKeyWish::default() };
    let key = access.create_key(&alice, wish(None)).await.unwrap().unwrap();
    let over = access.create_key(&alice, wish(Some(crate::secret::now() - 1))).await.unwrap();
    assert!(matches!(over, Err(NoApiKey::Invalid(_))));
    let short = access.create_key(&alice, wish(Some(crate::secret::now() + 600))).await.unwrap().unwrap();
    assert!(name(&access, &basic("alice", &short.secret)).await.is_some());
    {
        let mut keys = lab.store.keys();
        let value = keys.get_mut(&("alice".to_owned(), short.id)).unwrap();
        let mut known: serde_json::Value = serde_json::from_slice(value).unwrap();
        known["expires"] = (crate::secret::now() - 1).into();
        *value = known.to_string().into();
    }
    assert_eq!(name(&access, &basic("alice", &short.secret)).await, None);
    lab.users(&[("bob", "b")]);
    access.logins.htpasswd.as_ref().unwrap().refresh().await;
    assert_eq!(name(&access, &basic("alice", &key.secret)).await, None);
}

#[tokio::test]
async fn a_changed_policy_counts_for_tokens_that_are_out() {
    let lab = Lab::new();
    let gate = Gate::new(lab.replica());
    let alice = token(&gate.current(), &basic("alice", "a"), "repository:x:pull,push").await;
    let rules: Rules = serde_json::from_value(serde_json::json!({
        "repositories": { "**": { "policies": [{ "users": ["alice"], "actions": ["read"] }] } }
    }))
    .unwrap();
    let policy = Policy::new(&rules, Logins { any: true, tell_groups: false }).unwrap();
    gate.replace(Access { policy, ..lab.replica() });
    let (access, caller) = (gate.current(), gate.current().identify(&alice, None).await.unwrap());
    assert_eq!(verdict(&access, &caller, "x", Action::Read), Verdict::Allowed);
    assert_eq!(verdict(&access, &caller, "x", Action::Create), Verdict::Denied(None));
}

#[tokio::test]
async fn where_nobody_can_log_in_credentials_do_not_matter() {
    let open = Access::open();
    for credentials in [basic("eve", "x"), Credentials::Bearer("x".to_owned()), Credentials::Malformed] {
        assert!(open.identify(&credentials, None).await.unwrap().user.is_none());
    }
    let access = Lab::new().replica();
    for credentials in
        [basic("eve", "x"), basic("alice", ""), Credentials::Bearer("x".to_owned()), Credentials::Malformed]
    {
        assert!(matches!(access.identify(&credentials, None).await, Err(Unknown::Invalid)), "{credentials:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_a_login_for_who_shows_nothing_else() {
    let certificates = Some(Identity::default());
    let access = Access { logins: Ways { certificates, ..Lab::new().replica().logins }, ..Lab::new().replica() };
    let caller = access.identify(&Credentials::None, Some("builder")).await.unwrap();
    assert_eq!((caller.name(), access.has_logins()), (Some("builder"), true));
    assert_eq!(
        access.identify(&basic("alice", "wrong"), Some("builder")).await.err().map(|e| e.to_string()).as_deref(),
        Some("the credentials are not valid")
    );
}
