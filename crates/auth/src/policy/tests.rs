//! The decision as a table.

use serde_json::json;

use super::*;

fn policy(rules: &serde_json::Value) -> Policy {
    let rules: Rules = serde_json::from_value(rules.clone()).unwrap();
    Policy::new(&rules, Logins { any: true, tell_groups: true }).unwrap()
}

fn decide(policy: &Policy, user: &str, groups: &[&str], repository: &str, action: &str) -> Decision {
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let name = (!user.is_empty()).then_some(user);
    let subject = Subject { name, groups: &groups, claims: None };
    let repository = repository.parse().unwrap();
    let question = Question { action: action.parse().unwrap(), repository: &repository, facts: Facts::default() };
    policy.decide(&subject, &question)
}

fn everything() -> Policy {
    policy(&json!({
        "repositories": {
            "**": { "anonymousPolicy": ["read"], "defaultPolicy": ["read", "create"] },
            "Infra/**": {
                "policies": [
                    { "users": ["alice", "bob"], "actions": ["create", "read", "update", "delete"] },
                    { "users": ["carol"], "actions": ["create", "read"] },
                    { "groups": ["Ops"], "actions": ["detectManifestCollision", "delete"] },
                    { "groups": ["from-login"], "actions": ["read"] },
                ],
                "defaultPolicy": ["read"],
            },
            "infra/secret": { "policies": [{ "users": ["alice"], "actions": ["read"] }] },
            "closed/**": {},
        },
        "groups": { "ops": { "users": ["dave"] } },
        "adminPolicy": { "users": ["root"], "groups": ["admins"], "actions": ["read", "delete"] },
        "metrics": { "users": ["prometheus"] },
    }))
}

#[test]
fn the_table() {
    let policy = everything();
    for (user, groups, repository, actions) in [
        // The longest pattern alone counts, whatever shorter ones would add.
        ("", &[][..], "any", "read"),
        ("", &[], "infra/web", ""),
        ("", &[], "closed/x", ""),
        ("eve", &[], "any", "read create"),
        ("eve", &[], "infra/web", "read"),
        ("eve", &[], "infra", "read"),
        ("eve", &[], "closed", ""),
        ("eve", &[], "infra/secret", ""),
        ("alice", &[], "infra/web", "read create update delete"),
        ("alice", &[], "infra/secret", "read"),
        ("bob", &[], "infra/secret", ""),
        ("carol", &[], "infra/a/b", "read create"),
        // Policies and the default add up. A group of the file is found whatever its case.
        ("dave", &[], "infra/web", "read delete detectManifestCollision"),
        ("eve", &["from-login"], "infra/web", "read"),
        ("eve", &["ops"], "infra/web", "read"),
        ("eve", &["Ops"], "infra/web", "read delete detectManifestCollision"),
        // The names of users are exact.
        ("Alice", &[], "infra/web", "read"),
        ("root", &[], "closed/x", "read delete"),
        ("root", &[], "any", "read create delete"),
        ("eve", &["admins"], "infra/secret", "read delete"),
        // Nobody becomes somebody by a group.
        ("", &["admins"], "closed/x", ""),
    ] {
        for action in Action::ALL.map(Action::as_str) {
            let decision = decide(&policy, user, groups, repository, action);
            let expected = actions.split(' ').any(|allowed| allowed == action);
            assert_eq!(decision.is_allowed(), expected, "{user:?} {groups:?} {repository} {action}: {decision:?}");
        }
    }
}

#[test]
fn the_rule_that_decides_is_named() {
    let policy = everything();
    let because = |user, repository, action| match decide(&policy, user, &[], repository, action) {
        Decision::Allowed(because) => because.to_string(),
        Decision::Denied { glob, .. } => format!("denied by {}", glob.unwrap_or_default()),
    };
    assert_eq!(because("carol", "infra/x", "create"), "repositories.infra/**.policies[1]");
    assert_eq!(because("eve", "infra/x", "read"), "repositories.infra/**.defaultPolicy");
    assert_eq!(because("", "x", "read"), "repositories.**.anonymousPolicy");
    assert_eq!(because("root", "closed/x", "delete"), "adminPolicy");
    assert_eq!(because("", "closed/x", "read"), "denied by closed/**");
}

#[test]
fn without_rules_a_login_is_all_it_takes() {
    let open = Policy::without_rules(Logins::default());
    let closed = Policy::without_rules(Logins { any: true, tell_groups: false });
    assert!(decide(&open, "", &[], "a", "delete").is_allowed() && open.knows_anonymous());
    assert!(decide(&closed, "eve", &[], "a", "delete").is_allowed());
    assert!(!decide(&closed, "", &[], "a", "read").is_allowed() && !closed.knows_anonymous());
}

#[test]
fn metrics_are_for_those_who_are_named() {
    let may = |policy: &Policy, name| policy.may_read_metrics(&Subject { name, ..Subject::default() });
    let policy = everything();
    assert!(may(&policy, Some("prometheus")));
    assert!(!may(&policy, Some("root")) && !may(&policy, None));
    assert!(may(&self::policy(&json!({ "metrics": { "anonymousPolicy": ["read"] } })), None));
}

#[test]
fn a_condition_stands_between_a_rule_and_its_effect() {
    let policy = policy(&json!({ "repositories": { "**": { "policies": [{
        "users": ["ci"],
        "actions": ["create", "update"],
        "conditions": [
            { "expression": "req.client.ip.startsWith('10.')", "message": "only from the build network" },
            { "expression": "req.referenceType != 'tag' || req.tag.matches('^v[0-9]+$')", "message": "only version tags" },
            { "expression": "req.action != 'update' || req.time > timestamp('2020-01-01T00:00:00Z')" },
        ],
    }] } } }));
    let repository = "a".parse().unwrap();
    let ask = |ip: &str, reference: &str, action| {
        let reference = reference.parse().unwrap();
        let facts =
            Facts { method: "PUT", client: Some(ip.parse().unwrap()), reference: Some(&reference), ..Facts::default() };
        let subject = Subject { name: Some("ci"), ..Subject::default() };
        match policy.decide(&subject, &Question { action, repository: &repository, facts }) {
            Decision::Allowed(_) => "yes".to_owned(),
            Decision::Denied { reason, .. } => reason.unwrap_or_default(),
        }
    };
    assert_eq!(ask("10.1.2.3", "v7", Action::Create), "yes");
    assert_eq!(ask("10.1.2.3", "v7", Action::Update), "yes");
    assert_eq!(ask("192.0.2.1", "v7", Action::Create), "only from the build network");
    assert_eq!(ask("10.1.2.3", "latest", Action::Create), "only version tags");
    // What the rule would not allow anyway has no reason.
    assert_eq!(ask("10.1.2.3", "v7", Action::Delete), "");
}

#[test]
fn a_condition_without_an_answer_does_not_hold() {
    let policy = policy(&json!({ "adminPolicy": { "users": ["a"], "actions": ["read"], "conditions": [
        { "expression": "req.claims.branch == 'main'", "message": "only the main branch" },
    ] } }));
    let denied = Decision::Denied { glob: None, reason: Some("only the main branch".to_owned()) };
    assert_eq!(decide(&policy, "a", &[], "r", "read"), denied);
    let claims = json!({ "branch": "main" });
    let repository = "r".parse().unwrap();
    let subject = Subject { name: Some("a"), claims: claims.as_object(), ..Subject::default() };
    let question = Question { action: Action::Read, repository: &repository, facts: Facts::default() };
    assert_eq!(policy.decide(&subject, &question), Decision::Allowed(Because::Admin));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let problems = |rules: serde_json::Value, logins| {
        let rules: Rules = serde_json::from_value(rules).unwrap();
        let problems = Policy::new(&rules, logins).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let logins = Logins { any: true, tell_groups: false };
    let one = |rules: serde_json::Value, logins, starts: &str| {
        let found = problems(rules, logins);
        assert!(found.len() == 1 && found[0].starts_with(starts), "{starts}: {found:?}");
    };
    let policies = |rule: serde_json::Value| json!({ "repositories": { "**": { "policies": [rule] } } });
    one(
        json!({ "repositories": { "**": { "defaultPolicy": ["raed"] } } }),
        logins,
        "repositories.**.defaultPolicy: there is no action \"raed\"",
    );
    one(
        policies(json!({ "users": ["a"], "actions": ["Read"] })),
        logins,
        "repositories.**.policies[0].actions: there is no action",
    );
    one(
        policies(json!({ "groups": ["opps"], "actions": [] })),
        logins,
        "repositories.**.policies[0].groups: there is no group \"opps\"",
    );
    one(json!({ "adminPolicy": { "groups": ["x"] } }), logins, "adminPolicy.groups: there is no group");
    one(json!({ "repositories": { "[": {} } }), logins, "repositories.[: is no pattern");
    one(json!({ "metrics": { "anonymousPolicy": ["write"] } }), logins, "metrics.anonymousPolicy");
    for expression in ["req.", "request.method == 'GET'"] {
        let rule = json!({ "users": ["a"], "actions": ["read"], "conditions": [{ "expression": expression }] });
        one(policies(rule), logins, "repositories.**.policies[0].conditions[0].expression: cannot be read");
    }
    one(
        policies(json!({ "users": ["a"], "actions": ["read"] })),
        Logins::default(),
        "repositories.**.policies[0]: is for users",
    );
    one(
        json!({ "repositories": { "**": { "defaultPolicy": ["read"] } } }),
        Logins::default(),
        "repositories.**.defaultPolicy: is for users",
    );
    one(json!({ "adminPolicy": { "users": ["a"] } }), Logins::default(), "adminPolicy: is for users");
    assert!(problems(policies(json!({ "groups": ["any"] })), Logins { any: true, tell_groups: true }).is_empty());
    assert!(
        problems(json!({ "repositories": { "**": { "anonymousPolicy": ["read"] } } }), Logins::default()).is_empty()
    );
}
