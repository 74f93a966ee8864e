//! Logins against what answers as GitHub does, by its documentation.

use super::*;

const USER: &str = "/api/v3/user";

/// A GitHub of one's own on loopback, with one user.
struct GitHub(Fake);

impl GitHub {
    async fn start() -> Self {
        let github = Self(Fake::start(&[]).await);
        let token = json!({ "access_token": "gho_1", "scope": "user:email,read:org", "token_type": "bearer" });
        github.0.answer("/login/oauth/access_token", 200, &token);
        // The address of the public profile is whatever its owner writes there.
        github.0.answer(USER, 200, &json!({ "id": 7, "login": "lena", "name": "Lena", "email": "boss@example.org" }));
        github.addresses(&json!([
            { "email": "old@example.org", "primary": false, "verified": true, "visibility": null },
            { "email": "lena@example.org", "primary": true, "verified": true, "visibility": "public" },
        ]));
        github.list("/user/orgs", &[json!([{ "id": 1, "login": "acme" }])]);
        github.list(
            "/user/teams",
            &[json!([{ "id": 2, "name": "The Ops", "slug": "ops", "organization": { "login": "acme" } }])],
        );
        github
    }

    fn addresses(&self, list: &Value) {
        self.list("/user/emails", std::slice::from_ref(list));
    }

    fn list(&self, path: &str, pages: &[Value]) {
        for (i, page) in pages.iter().enumerate() {
            let path = at(path, i + 1);
            self.0.answer(&path, 200, page);
            if i + 1 < pages.len() {
                self.0.state.lock().unwrap().go_on.insert(path);
            }
        }
    }

    fn settings(&self) -> LoginSettings {
        let origin = &self.0.issuer;
        let pages = GitHubPages {
            authorize: format!("{origin}/login/oauth/authorize"),
            token: format!("{origin}/login/oauth/access_token"),
        };
        LoginSettings {
            key: "github".to_owned(),
            dialect: Dialect::GitHub(Some(pages)),
            scopes: vec!["user:email".to_owned(), "read:org".to_owned()],
            ..self.0.settings()
        }
    }

    fn named_by(&self, username: &str, scopes: &[&str]) -> Logins {
        let claims = ClaimNames { username: username.to_owned(), ..ClaimNames::default() };
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Logins::new(SHARED, vec![LoginSettings { claims, scopes, ..self.settings() }], Vec::new()).unwrap()
    }

    fn replica(&self) -> Logins {
        Logins::new(SHARED, vec![self.settings()], Vec::new()).unwrap()
    }

    async fn log_in(&self, replica: &Logins) -> Result<Arrival, NoLogin> {
        let departure = self.replica().depart("github", BASE, Some("/explore")).await.unwrap();
        let state = parameters(&departure)["state"].clone();
        let returned = Returned { cookie: &departure.cookie, state: &state, code: Some("code-1"), issuer: None };
        replica.arrive("github", returned).await
    }
}

fn at(path: &str, page: usize) -> String {
    format!("/api/v3{path}?per_page=50&page={page}")
}

#[tokio::test]
async fn a_user_of_github_is_known_by_the_address_that_is_proved() {
    let github = GitHub::start().await;
    let departure = github.replica().depart("github", BASE, Some("/explore")).await.unwrap();
    let page = parameters(&departure);
    assert!(departure.url.starts_with(&format!("{}/login/oauth/authorize?", github.0.issuer)), "{}", departure.url);
    assert_eq!(page["redirect_uri"], format!("{BASE}/zot/auth/callback/github"));
    assert_eq!((page["scope"].as_str(), page["code_challenge_method"].as_str()), ("user:email read:org", "S256"));
    let arrival = github.log_in(&github.replica()).await.unwrap();
    assert_eq!((arrival.name.as_str(), arrival.provider.as_str()), ("lena@example.org", "github"));
    assert_eq!(
        (arrival.groups, arrival.onward.as_deref()),
        (vec!["acme".to_owned(), "acme/ops".to_owned()], Some("/explore"))
    );
    let (authorization, form) = github.0.asked("/login/oauth/access_token").remove(0);
    let form: BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(
        (authorization.as_str(), form["client_id"].as_str(), form["client_secret"].as_str()),
        ("", CLIENT, "s:cret")
    );
    assert!(form["code"] == "code-1" && form.contains_key("code_verifier"));
    assert_eq!(github.0.asked(USER)[0].0, "Bearer gho_1");
    assert!(github.replica().farewell("github").is_none());
}

#[tokio::test]
async fn a_user_of_github_may_have_another_name_and_no_groups() {
    let github = GitHub::start().await;
    for (name, expected) in [("login", "lena"), ("id", "7")] {
        let arrival = github.log_in(&github.named_by(name, &["public"])).await.unwrap();
        assert_eq!((arrival.name.as_str(), arrival.groups.len()), (expected, 0));
    }
    assert!(github.0.asked(&at("/user/emails", 1)).is_empty(), "nobody wants to know");
    assert!(github.0.asked(&at("/user/orgs", 1)).is_empty(), "that is not told with this scope");
    // All pages count, and none is asked for elsewhere; somebody who is in everything ends.
    let organizations =
        |page: usize| json!((0..50).map(|i| json!({ "login": format!("o{page}-{i}") })).collect::<Vec<_>>());
    github.list("/user/orgs", &[organizations(1), json!([{ "login": "last" }])]);
    let arrival = github.log_in(&github.replica()).await.unwrap();
    assert_eq!(arrival.groups.len(), 52);
    assert!(arrival.groups.contains(&"last".to_owned()));
    github.list("/user/orgs", &(1..40).map(organizations).collect::<Vec<_>>());
    assert_eq!(github.log_in(&github.replica()).await.unwrap().groups.len(), 1001);
}

#[tokio::test]
async fn github_lets_nobody_in_whom_it_refuses() {
    let github = GitHub::start().await;
    let replica = github.replica();
    // A wrong code has the status of a right one.
    let wrong = json!({ "error": "bad_verification_code", "error_description": "The code is incorrect or expired." });
    github.0.answer("/login/oauth/access_token", 200, &wrong);
    assert!(matches!(github.log_in(&replica).await, Err(NoLogin::Refused)));
    github.0.answer("/login/oauth/access_token", 200, &json!({ "access_token": "gho_1", "error": "x" }));
    assert!(matches!(github.log_in(&replica).await, Err(NoLogin::Refused)));
    github.0.answer("/login/oauth/access_token", 200, &json!({ "token_type": "bearer" }));
    assert!(matches!(github.log_in(&replica).await, Err(NoLogin::Down(_))), "no token");
    assert!(github.0.asked(USER).is_empty());
    // Another provider's answer, in a browser that was at this one.
    let departure = replica.depart("github", BASE, None).await.unwrap();
    let state = parameters(&departure)["state"].clone();
    let returned =
        Returned { cookie: &departure.cookie, state: &state, code: Some("c"), issuer: Some("https://evil.example") };
    assert!(matches!(replica.arrive("github", returned).await, Err(NoLogin::Invalid)));
    let wrong = Returned { state: "wrong", issuer: None, ..returned };
    assert!(matches!(replica.arrive("github", wrong).await, Err(NoLogin::Invalid)));
    // Addresses that count for nobody.
    let github = GitHub::start().await;
    for addresses in [
        json!([]),
        json!([{ "email": "lena@example.org", "primary": true, "verified": false }]),
        json!([{ "email": "lena@example.org", "primary": false, "verified": true }]),
    ] {
        github.addresses(&addresses);
        let answer = github.log_in(&github.replica()).await;
        assert!(matches!(answer, Err(NoLogin::Nameless(_))), "{addresses}: {answer:?}");
    }
}

#[tokio::test]
async fn github_that_does_not_say_who_it_is_lets_nobody_in() {
    let paths = [USER.to_owned(), at("/user/emails", 1), at("/user/orgs", 1), at("/user/teams", 1)];
    for path in &paths {
        for (status, is_refusal) in [(401, true), (403, true), (404, true), (302, false), (500, false), (503, false)] {
            let github = GitHub::start().await;
            github.0.answer(path, status, &json!({ "message": "no" }));
            let answer = github.log_in(&github.replica()).await;
            let is_right = match answer {
                Err(NoLogin::Refused) => is_refusal,
                Err(NoLogin::Down(_)) => !is_refusal,
                _ => false,
            };
            assert!(is_right, "{path} {status}: {answer:?}");
        }
        for document in [json!("nonsense"), json!("x".repeat(600_000))] {
            let github = GitHub::start().await;
            github.0.answer(path, 200, &document);
            assert!(matches!(github.log_in(&github.replica()).await, Err(NoLogin::Down(_))), "{path}");
        }
    }
    // Never an answer.
    let github = GitHub::start().await;
    github.0.answer(&paths[3], 0, &json!({}));
    assert!(matches!(github.log_in(&github.replica()).await, Err(NoLogin::Down(_))));
}
