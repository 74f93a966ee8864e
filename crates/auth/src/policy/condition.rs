//! Conditions of a rule, in the Common Expression Language over `req`.

use cel::{Context, Program, Value};
use serde::Serialize;

use super::rules::ConditionRule;
use super::{Facts, Question, Subject};

/// A condition that was understood.
#[derive(Debug)]
pub(super) struct Condition {
    program: Program,
    message: String,
}

/// `req`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    time: cel::Timestamp,
    method: &'a str,
    user_agent: &'a str,
    action: &'a str,
    repository: &'a str,
    reference: &'a str,
    reference_type: &'a str,
    tag: &'a str,
    digest: &'a str,
    user: User<'a>,
    auth: Auth,
    client: Client<'a>,
    tls: Tls<'a>,
    claims: &'a serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
    groups: &'a [String],
}

#[derive(Serialize)]
struct Auth {
    anonymous: bool,
    admin: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client<'a> {
    ip: String,
    forwarded_for: &'a str,
}

#[derive(Serialize)]
struct Tls<'a> {
    enabled: bool,
    version: &'a str,
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(rule: &ConditionRule) -> Result<Self, String> {
        let program = Program::compile(&rule.expression).map_err(|error| error.to_string())?;
        if let Some(other) = program.references().variables().into_iter().find(|name| *name != "req") {
            return Err(format!("there is only req, no {other}"));
        }
        let message = match rule.message.trim() {
            "" => "a condition of the policy does not hold".to_owned(),
            message => message.to_owned(),
        };
        Ok(Self { program, message })
    }

    /// Whether it holds; if not, what to tell.
    pub(super) fn check(&self, context: &Context<'_, '_>) -> Result<(), &str> {
        match self.program.execute(context) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Bool(false)) => Err(&self.message),
            other => {
                tracing::warn!(result = ?other, message = self.message, "a condition of the policy has no answer");
                Err(&self.message)
            }
        }
    }
}

/// What conditions see of a question.
pub(super) fn context<'p, 'v>(subject: &Subject<'_>, question: &Question<'_>, is_admin: bool) -> Context<'p, 'v> {
    let Facts { method, user_agent, client, forwarded_for, reference, tls } = question.facts;
    let none = serde_json::Map::new();
    let (tag, digest) = match reference {
        Some(wharf_oci::Reference::Tag(tag)) => (tag.to_string(), String::new()),
        Some(wharf_oci::Reference::Digest(digest)) => (String::new(), digest.to_string()),
        None => Default::default(),
    };
    let request = Request {
        time: cel::Timestamp(now()),
        method,
        user_agent: user_agent.unwrap_or_default(),
        action: question.action.as_str(),
        repository: question.repository.as_str(),
        reference: if tag.is_empty() { &digest } else { &tag },
        reference_type: reference
            .map_or("", |r| if matches!(r, wharf_oci::Reference::Tag(_)) { "tag" } else { "digest" }),
        tag: &tag,
        digest: &digest,
        user: User { username: subject.name.unwrap_or_default(), groups: subject.groups },
        auth: Auth { anonymous: subject.name.is_none(), admin: is_admin },
        client: Client {
            ip: client.map(|ip| ip.to_string()).unwrap_or_default(),
            forwarded_for: forwarded_for.unwrap_or_default(),
        },
        tls: Tls { enabled: tls.is_some(), version: tls.unwrap_or_default() },
        claims: subject.claims.unwrap_or(&none),
    };
    let mut context = Context::default();
    match cel::to_value(&request) {
        Ok(value) => context.add_variable_from_value("req", value),
        // Without it, no condition holds.
        Err(error) => tracing::error!(%error, "a request cannot be shown to conditions"),
    }
    context
}

fn now() -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::from_timestamp(time::OffsetDateTime::now_utc().unix_timestamp(), 0).unwrap_or_default().into()
}
