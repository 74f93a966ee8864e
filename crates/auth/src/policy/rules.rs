//! Access control as it is written down: zot's `http.accessControl`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole block.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Rules {
    /// What holds in repositories, by a pattern of their names.
    pub repositories: BTreeMap<String, RepositoryRules>,
    /// What some may do everywhere, on top.
    pub admin_policy: Rule,
    /// Groups of this file.
    pub groups: BTreeMap<String, Group>,
    /// Who may read the metrics.
    pub metrics: MetricsRules,
}

/// What holds in the repositories of one pattern.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RepositoryRules {
    /// Each adds to what its users and groups may do.
    pub policies: Vec<Rule>,
    /// What everybody who is logged in may do.
    pub default_policy: Vec<String>,
    /// What those may do who are not.
    pub anonymous_policy: Vec<String>,
}

/// Some users and groups, and what they may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Names.
    pub users: Vec<String>,
    /// Groups of this file, or those that a login tells of.
    pub groups: Vec<String>,
    /// Words of [`super::Action`].
    pub actions: Vec<String>,
    /// All of these must hold.
    pub conditions: Vec<ConditionRule>,
}

/// One condition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditionRule {
    /// In the Common Expression Language, over `req`.
    pub expression: String,
    /// What the client is told where it does not hold.
    pub message: String,
}

/// A group of this file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Names.
    pub users: Vec<String>,
}

/// Who may read the metrics.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MetricsRules {
    /// Names.
    pub users: Vec<String>,
    /// `read`, or nothing.
    pub anonymous_policy: Vec<String>,
}
