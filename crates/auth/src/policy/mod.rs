//! The decision: may this caller do this with that repository? A pure function of the rules and the question.
//!
//! As in zot: of all patterns that match a repository only the longest counts. Under it each policy adds to what its users and
//! groups may do, `defaultPolicy` to what everybody may do who is logged in, and `anonymousPolicy` to what those may do who are
//! not, and only those. `adminPolicy` adds to the result everywhere. Nothing takes away.

mod action;
mod condition;
mod glob;
mod rules;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use wharf_oci::{Reference, RepositoryName};

use self::action::Actions;
pub use self::action::{Action, UnknownAction};
use self::condition::Condition;
pub use self::glob::Glob;
pub use self::rules::{ConditionRule, Group, MetricsRules, RepositoryRules, Rule, Rules};

/// Rules that were understood.
#[derive(Debug)]
pub struct Policy(Kind);

#[derive(Debug)]
enum Kind {
    /// There are no rules, and nobody can log in.
    Everybody,
    /// There are no rules.
    LoggedIn,
    Rules {
        scopes: Vec<Scope>,
        admin: Box<Grant>,
        metrics: Metrics,
    },
}

/// What holds under one pattern.
#[derive(Debug)]
struct Scope {
    glob: Glob,
    grants: Vec<Grant>,
    default: Actions,
    anonymous: Actions,
}

/// A rule. Its groups of the file are among its users.
#[derive(Debug)]
struct Grant {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    actions: Actions,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
struct Metrics {
    users: BTreeSet<String>,
    anonymous: bool,
}

/// Who asks, as far as rules care.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// `None`: nobody logged in.
    pub name: Option<&'a str>,
    /// What the login told of; groups of the rules are found by the name.
    pub groups: &'a [String],
    /// Of a token.
    pub claims: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// To do what.
    pub action: Action,
    /// Where.
    pub repository: &'a RepositoryName,
    /// What conditions may look at.
    pub facts: Facts<'a>,
}

/// What else is known of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// GET and so on.
    pub method: &'a str,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
    /// Where it comes from.
    pub client: Option<IpAddr>,
    /// What proxies say of that.
    pub forwarded_for: Option<&'a str>,
    /// Which manifest.
    pub reference: Option<&'a Reference>,
    /// The version of TLS.
    pub tls: Option<&'a str>,
}

/// The answer, and the rule that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed(Because),
    /// No; a condition's message where only that stood in the way.
    Denied {
        /// The pattern that counts.
        glob: Option<String>,
        /// What the client may be told.
        reason: Option<String>,
    },
}

/// Which rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// There are no rules, and nobody can log in.
    Open,
    /// There are no rules for those who are logged in.
    LoggedIn,
    /// A policy of a pattern, by its place.
    Policy(String, usize),
    /// `defaultPolicy` of a pattern.
    Default(String),
    /// `anonymousPolicy` of a pattern.
    Anonymous(String),
    /// `adminPolicy`.
    Admin,
}

/// Why rules are not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRule {
    /// The key, below `http.accessControl`.
    pub key: String,
    /// What is wrong.
    pub text: String,
}

/// What logins there are, which decides what rules can mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logins {
    /// Somebody can log in.
    pub any: bool,
    /// Logins tell of groups that are not in the file.
    pub tell_groups: bool,
}

impl Decision {
    /// Whether it is a yes.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl Policy {
    /// Without rules: whoever is logged in may do all, and so may everybody where nobody can log in.
    #[must_use]
    pub const fn without_rules(logins: Logins) -> Self {
        Self(if logins.any { Kind::LoggedIn } else { Kind::Everybody })
    }

    /// Reads rules.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(rules: &Rules, logins: Logins) -> Result<Self, Vec<InvalidRule>> {
        let mut reader = Reader { rules, logins, problems: Vec::new() };
        let scopes = rules.repositories.iter().filter_map(|(glob, rules)| reader.scope(glob, rules)).collect();
        let admin = Box::new(reader.grant("adminPolicy", &rules.admin_policy));
        let metrics = reader.metrics(&rules.metrics);
        match reader.problems.is_empty() {
            true => Ok(Self(Kind::Rules { scopes, admin, metrics })),
            false => Err(reader.problems),
        }
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>, question: &Question<'_>) -> Decision {
        let (scopes, admin) = match &self.0 {
            Kind::Everybody => return Decision::Allowed(Because::Open),
            Kind::LoggedIn if subject.name.is_some() => return Decision::Allowed(Because::LoggedIn),
            Kind::LoggedIn => return Decision::Denied { glob: None, reason: None },
            Kind::Rules { scopes, admin, .. } => (scopes, admin),
        };
        let is_admin = admin.names(subject);
        let mut reason = None;
        let mut holds = |grant: &Grant| grant.holds(subject, question, is_admin, &mut reason);
        let scope = longest(scopes, question.repository);
        if let Some(scope) = scope {
            let glob = || scope.glob.as_str().to_owned();
            if let Some(place) = scope.grants.iter().position(&mut holds) {
                return Decision::Allowed(Because::Policy(glob(), place));
            }
            match subject.name {
                Some(_) if scope.default.has(question.action) => return Decision::Allowed(Because::Default(glob())),
                None if scope.anonymous.has(question.action) => return Decision::Allowed(Because::Anonymous(glob())),
                _ => {}
            }
        }
        if holds(admin) {
            return Decision::Allowed(Because::Admin);
        }
        Decision::Denied { glob: scope.map(|scope| scope.glob.as_str().to_owned()), reason }
    }

    /// Whether there are rules at all.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        matches!(self.0, Kind::Rules { .. })
    }

    /// Whether somebody without a login may do something somewhere.
    #[must_use]
    pub fn knows_anonymous(&self) -> bool {
        match &self.0 {
            Kind::Everybody => true,
            Kind::LoggedIn => false,
            Kind::Rules { scopes, .. } => scopes.iter().any(|scope| scope.anonymous != Actions::default()),
        }
    }

    /// Whether the metrics may be read.
    #[must_use]
    pub fn may_read_metrics(&self, subject: &Subject<'_>) -> bool {
        match (&self.0, subject.name) {
            (Kind::Everybody, _) | (Kind::LoggedIn, Some(_)) => true,
            (Kind::LoggedIn, None) => false,
            (Kind::Rules { metrics, .. }, Some(name)) => metrics.users.contains(name),
            (Kind::Rules { metrics, .. }, None) => metrics.anonymous,
        }
    }

    /// Whether `adminPolicy` names them.
    #[must_use]
    pub fn is_admin(&self, subject: &Subject<'_>) -> bool {
        matches!(&self.0, Kind::Rules { admin, .. } if admin.names(subject))
    }
}

/// Of equally long patterns, the first in order.
fn longest<'a>(scopes: &'a [Scope], name: &RepositoryName) -> Option<&'a Scope> {
    let matching = scopes.iter().filter(|scope| scope.glob.matches(name));
    matching.rev().max_by_key(|scope| scope.glob.as_str().len())
}

impl Grant {
    fn names(&self, subject: &Subject<'_>) -> bool {
        let Some(name) = subject.name else { return false };
        self.users.contains(name) || subject.groups.iter().any(|group| self.groups.contains(group))
    }

    /// Whether it allows; `reason` gets the message of a condition that does not hold.
    fn holds(
        &self,
        subject: &Subject<'_>,
        question: &Question<'_>,
        is_admin: bool,
        reason: &mut Option<String>,
    ) -> bool {
        if !self.actions.has(question.action) || !self.names(subject) {
            return false;
        }
        if self.conditions.is_empty() {
            return true;
        }
        let context = condition::context(subject, question, is_admin);
        match self.conditions.iter().try_for_each(|condition| condition.check(&context)) {
            Ok(()) => true,
            Err(message) => {
                reason.get_or_insert_with(|| message.to_owned());
                false
            }
        }
    }
}

/// Reads rules, and collects what is wrong with them.
struct Reader<'a> {
    rules: &'a Rules,
    logins: Logins,
    problems: Vec<InvalidRule>,
}

impl Reader<'_> {
    fn problem(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.problems.push(InvalidRule { key: key.into(), text: text.into() });
    }

    fn scope(&mut self, glob: &str, rules: &RepositoryRules) -> Option<Scope> {
        let key = format!("repositories.{glob}");
        let grants = rules.policies.iter().enumerate();
        let grants = grants.map(|(i, rule)| self.grant(&format!("{key}.policies[{i}]"), rule)).collect();
        let default = self.actions(&format!("{key}.defaultPolicy"), &rules.default_policy);
        if !rules.default_policy.is_empty() {
            self.needs_login(&format!("{key}.defaultPolicy"));
        }
        let anonymous = self.actions(&format!("{key}.anonymousPolicy"), &rules.anonymous_policy);
        match Glob::new(glob) {
            Ok(glob) => Some(Scope { glob, grants, default, anonymous }),
            Err(why) => {
                self.problem(key, format!("is no pattern of repositories: {why}"));
                None
            }
        }
    }

    fn grant(&mut self, key: &str, rule: &Rule) -> Grant {
        let mut users: BTreeSet<String> = rule.users.iter().cloned().collect();
        let mut groups = BTreeSet::new();
        for name in &rule.groups {
            // The case of a group's name in the file does not count: zot reads keys without it.
            let local = self.rules.groups.iter().filter(|(group, _)| group.eq_ignore_ascii_case(name));
            let mut known = false;
            for (_, group) in local {
                known = true;
                users.extend(group.users.iter().cloned());
            }
            if !known && !self.logins.tell_groups {
                self.problem(format!("{key}.groups"), unknown_group(name, self.rules.groups.keys()));
            }
            groups.insert(name.clone());
        }
        if !rule.users.is_empty() || !rule.groups.is_empty() {
            self.needs_login(key);
        }
        let actions = self.actions(&format!("{key}.actions"), &rule.actions);
        let mut conditions = Vec::new();
        for (i, condition) in rule.conditions.iter().enumerate() {
            match Condition::new(condition) {
                Ok(condition) => conditions.push(condition),
                Err(why) => self.problem(format!("{key}.conditions[{i}].expression"), format!("cannot be read: {why}")),
            }
        }
        Grant { users, groups, actions, conditions }
    }

    fn actions(&mut self, key: &str, words: &[String]) -> Actions {
        let mut actions = Vec::new();
        for word in words {
            match word.parse() {
                Ok(action) => actions.push(action),
                Err(unknown) => self.problem(key, UnknownAction::to_string(&unknown)),
            }
        }
        actions.into_iter().collect()
    }

    fn metrics(&mut self, rules: &MetricsRules) -> Metrics {
        if let Some(other) = rules.anonymous_policy.iter().find(|word| *word != "read") {
            self.problem("metrics.anonymousPolicy", format!("metrics can only be read: {other:?}"));
        }
        let users = rules.users.iter().cloned().collect();
        Metrics { users, anonymous: !rules.anonymous_policy.is_empty() }
    }

    /// Rules for users make no sense where nobody can log in, and would leave their author with a false belief.
    fn needs_login(&mut self, key: &str) {
        if !self.logins.any {
            self.problem(key, "is for users who are logged in, and http.auth has no way to log in");
        }
    }
}

fn unknown_group<'a>(name: &str, groups: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<_> = groups.map(String::as_str).collect();
    let known = if known.is_empty() { "no groups".to_owned() } else { known.join(", ") };
    format!("there is no group {name:?}; http.accessControl.groups has {known}")
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("there is no access control and nobody can log in"),
            Self::LoggedIn => f.write_str("there is no access control for users who are logged in"),
            Self::Policy(glob, place) => write!(f, "repositories.{glob}.policies[{place}]"),
            Self::Default(glob) => write!(f, "repositories.{glob}.defaultPolicy"),
            Self::Anonymous(glob) => write!(f, "repositories.{glob}.anonymousPolicy"),
            Self::Admin => f.write_str("adminPolicy"),
        }
    }
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}
