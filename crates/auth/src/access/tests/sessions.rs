//! What a session was given for, and what ends it.

use super::*;
use crate::openid::{self, ClaimNames, Dialect, LoginSettings};

async fn session(access: &Access, credentials: &Credentials) -> Option<Credentials> {
    let caller = access.identify(credentials, None).await.unwrap();
    Some(Credentials::Session(access.begin_session_of(&caller).await?.unwrap()))
}

#[tokio::test]
async fn a_session_that_a_password_began_is_good_on_all_until_it_ends_on_one() {
    let lab = Lab::new();
    let (one, two, three) = (lab.replica(), lab.replica(), lab.replica());
    let alice = session(&one, &basic("alice", "a")).await.unwrap();
    let again = session(&one, &basic("alice", "a")).await.unwrap();
    let bob = session(&two, &basic("bob", "b")).await.unwrap();
    for replica in [&one, &two, &three] {
        assert_eq!(name(replica, &alice).await.as_deref(), Some("alice"));
        assert_eq!(name(replica, &bob).await.as_deref(), Some("bob"));
    }
    let Credentials::Session(cookie) = &alice else { unreachable!() };
    assert_eq!(three.end_session(cookie).await.unwrap().unwrap(), Some(("alice".to_owned(), None)));
    for replica in [&one, &two, &three] {
        assert_eq!(name(replica, &alice).await, None);
        assert_eq!(name(replica, &again).await.as_deref(), Some("alice"), "another session");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_user_and_with_the_password() {
    let lab = Lab::new();
    let access = lab.replica();
    let (alice, bob) =
        (session(&access, &basic("alice", "a")).await.unwrap(), session(&access, &basic("bob", "b")).await.unwrap());
    let caller = access.identify(&alice, None).await.unwrap();
    let key = access.create_key(&caller, ApiKeyWish::default()).await.unwrap().unwrap();
    assert!(name(&access, &basic("alice", &key.secret)).await.is_some());
    lab.users(&[("bob", "changed"), ("carol", "c")]);
    access.logins.htpasswd.as_ref().unwrap().refresh().await;
    assert_eq!(name(&access, &alice).await, None, "the user is gone");
    assert_eq!(name(&access, &bob).await, None, "the password is another one");
    assert_eq!(name(&access, &basic("alice", &key.secret)).await, None, "so is a key that the session made");
    // Where passwords are no way to log in any more, what they began is nothing.
    let without = Access { logins: Ways { htpasswd: None, ..lab.replica().logins }, ..lab.replica() };
    let carol = session(&access, &basic("carol", "c")).await.unwrap();
    assert!(name(&access, &carol).await.is_some() && name(&without, &carol).await.is_none());
}

#[tokio::test]
async fn only_a_password_begins_a_session() {
    let lab = Lab::new();
    let access = lab.replica();
    let caller = access.identify(&basic("alice", "a"), None).await.unwrap();
    let key = access.create_key(&caller, ApiKeyWish::default()).await.unwrap().unwrap();
    let by_session = session(&access, &basic("alice", "a")).await.unwrap();
    for (what, credentials) in [
        ("nothing", Credentials::None),
        ("a key", basic("alice", &key.secret)),
        ("a token", token(&access, &basic("alice", "a"), "").await),
        ("the token of a key", token(&access, &basic("alice", &key.secret), "").await),
        ("a session", by_session.clone()),
    ] {
        assert!(session(&access, &credentials).await.is_none(), "{what}");
    }
    let caller = access.identify(&by_session, None).await.unwrap();
    assert!(access.issue(&caller, Vec::new()).unwrap().is_err(), "a token for a session would outlive it");
}

#[tokio::test]
async fn a_session_ends_with_the_provider_that_it_came_from() {
    let lab = Lab::new();
    let with = |key: &str| {
        let settings = LoginSettings {
            key: key.to_owned(),
            dialect: Dialect::GitHub(None),
            client_id: "wharf".to_owned(),
            client_secret: None,
            client_key: None,
            scopes: Vec::new(),
            claims: ClaimNames::default(),
        };
        let mut access = lab.replica();
        let browsers = access.logins.browsers.as_mut().unwrap();
        browsers.providers = Some(openid::Logins::new(b"shared", vec![settings], Vec::new()).unwrap());
        access
    };
    let arrival = Arrival {
        provider: "github".to_owned(),
        name: "lena@example.org".to_owned(),
        groups: vec!["acme".to_owned()],
        onward: None,
    };
    let session = Credentials::Session(with("github").begin_session(&arrival).await.unwrap().unwrap());
    let caller = with("github").identify(&session, None).await.unwrap();
    assert_eq!(caller.user.unwrap().groups, ["acme"]);
    assert!(name(&with("other"), &session).await.is_none() && name(&lab.replica(), &session).await.is_none());
}
