//! From the claims of a token to a name and groups, by expressions (CEL) over `claims` and, once they are known, `vars`.

use std::collections::HashMap;

use cel::{Context, Program, Value};
use serde::Deserialize;
use serde_json::Map;

use super::claims::is_name;

/// The name where nothing else is said: no two providers can give the same, as in zot.
const USERNAME: &str = "claims.iss + '/' + claims.sub";

/// zot's `claimMapping` of `bearer.oidc`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    /// Found one after the other; each may use those before it, as `vars.<name>`.
    pub variables: Vec<Named>,
    /// All must hold.
    pub validations: Vec<Validation>,
    /// The name; a text.
    pub username: Option<String>,
    /// The groups; a list of texts.
    pub groups: Option<String>,
}

/// A variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// What it is.
    pub expression: String,
}

/// What must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// What.
    pub expression: String,
    /// What the client is told where it does not.
    pub message: String,
}

/// Why expressions are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {text}")]
pub struct InvalidMapping {
    /// Which.
    pub key: String,
    /// What is wrong with it.
    pub text: String,
}

/// A mapping that was understood.
#[derive(Debug)]
pub(crate) struct Mapping {
    variables: Vec<(String, Program)>,
    validations: Vec<(Program, String)>,
    username: Program,
    groups: Option<Program>,
}

/// Nobody is known by these claims; what the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unmapped(String);

impl Mapping {
    /// Compiles all expressions.
    ///
    /// # Errors
    /// What is wrong with one.
    pub(crate) fn new(mapping: &ClaimMapping) -> Result<Self, InvalidMapping> {
        let mut variables: Vec<(String, Program)> = Vec::new();
        for (i, variable) in mapping.variables.iter().enumerate() {
            let key = format!("variables[{i}]");
            let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if variable.name.is_empty() || !variable.name.chars().all(is_letter) {
                let text = "the name of a variable has letters, digits and _".to_owned();
                return Err(InvalidMapping { key: format!("{key}.name"), text });
            }
            variables.push((variable.name.clone(), compile(&format!("{key}.expression"), &variable.expression)?));
        }
        let validations = mapping.validations.iter().enumerate().map(|(i, validation)| {
            let program = compile(&format!("validations[{i}].expression"), &validation.expression)?;
            let message = match validation.message.trim() {
                "" => "the token is not one of those that are accepted".to_owned(),
                message => message.to_owned(),
            };
            Ok((program, message))
        });
        Ok(Self {
            variables,
            validations: validations.collect::<Result<_, _>>()?,
            username: compile("username", mapping.username.as_deref().unwrap_or(USERNAME))?,
            groups: mapping.groups.as_deref().map(|groups| compile("groups", groups)).transpose()?,
        })
    }

    /// The name and the groups of who has these claims.
    pub(crate) fn apply(&self, claims: &Map<String, serde_json::Value>) -> Result<(String, Vec<String>), Unmapped> {
        let mut context = Context::default();
        let mut vars: HashMap<String, Value> = HashMap::new();
        context.add_variable_from_value("claims", object(claims));
        context.add_variable_from_value("vars", vars.clone());
        for (name, program) in &self.variables {
            let value = program.execute(&context).map_err(|error| unmapped(&format!("vars.{name}"), &error))?;
            vars.insert(name.clone(), value);
            context.add_variable_from_value("vars", vars.clone());
        }
        for (program, message) in &self.validations {
            match program.execute(&context) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Err(Unmapped(message.clone())),
                other => return Err(unmapped(message, &other)),
            }
        }
        let name = match self.username.execute(&context) {
            Ok(Value::String(name)) if is_name(&name) => name.to_string(),
            other => return Err(unmapped("username", &other)),
        };
        let groups = match self.groups.as_ref().map(|groups| groups.execute(&context)) {
            None => Vec::new(),
            Some(Ok(Value::List(groups))) => groups.iter().filter_map(text).collect(),
            Some(Ok(Value::String(group))) => vec![group.to_string()],
            Some(other) => return Err(unmapped("groups", &other)),
        };
        Ok((name, groups))
    }
}

/// What an expression made of a token, for the log alone: it may say something of the token.
fn unmapped(what: &str, result: &dyn std::fmt::Debug) -> Unmapped {
    tracing::warn!(what, ?result, "an expression over the claims of a token has no answer");
    Unmapped("the claims of the token are not those that are expected".to_owned())
}

fn text(value: &Value) -> Option<String> {
    if let Value::String(text) = value { Some(text.to_string()) } else { None }
}

fn compile(key: &str, expression: &str) -> Result<Program, InvalidMapping> {
    let invalid = |text: String| InvalidMapping { key: key.to_owned(), text };
    let program = Program::compile(expression).map_err(|error| invalid(error.to_string()))?;
    if let Some(other) = program.references().variables().into_iter().find(|name| !["claims", "vars"].contains(name)) {
        return Err(invalid(format!("there are only claims and vars, no {other}")));
    }
    Ok(program)
}

/// As CEL has it: whole numbers are of one type, so that they can be compared with those of an expression.
fn object(map: &Map<String, serde_json::Value>) -> Value {
    map.iter().map(|(key, value)| (key.clone(), json(value))).collect::<HashMap<_, _>>().into()
}

fn json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(on) => Value::Bool(*on),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => items.iter().map(json).collect::<Vec<_>>().into(),
        serde_json::Value::Object(map) => object(map),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(value: serde_json::Value) -> Result<Mapping, InvalidMapping> {
        Mapping::new(&serde_json::from_value(value).unwrap())
    }

    fn apply(value: serde_json::Value, claims: serde_json::Value) -> Result<(String, Vec<String>), String> {
        mapping(value).unwrap().apply(claims.as_object().unwrap()).map_err(|why| why.to_string())
    }

    #[test]
    fn claims_become_a_name_and_groups() {
        let claims = json!({ "iss": "https://i", "sub": "s", "repository": "org/app", "owner": "org", "n": 3,
            "roles": ["a", "b"], "kubernetes.io/ns": "prod" });
        assert_eq!(apply(json!({}), claims.clone()), Ok(("https://i/s".to_owned(), vec![])));
        let whole = json!({
            "variables": [
                { "name": "repo", "expression": "claims.repository" },
                { "name": "path", "expression": "vars.repo + '@' + claims['kubernetes.io/ns']" },
            ],
            "validations": [
                { "expression": "claims.owner in ['org', 'other']", "message": "only our own" },
                { "expression": "claims.n == 3 && vars.repo.startsWith('org/')" },
            ],
            "username": "vars.path",
            "groups": "claims.roles + ['ci']",
        });
        let groups = ["a", "b", "ci"].map(str::to_owned).to_vec();
        assert_eq!(apply(whole.clone(), claims.clone()), Ok(("org/app@prod".to_owned(), groups)));
        let mut other = claims;
        other["owner"] = json!("evil");
        assert_eq!(apply(whole.clone(), other.clone()), Err("only our own".to_owned()));
        other["owner"] = json!(7);
        assert_eq!(apply(whole.clone(), other.clone()), Err("only our own".to_owned()), "another type");
        // What is not there holds nowhere, and is told to nobody.
        other.as_object_mut().unwrap().remove("owner");
        let why = apply(whole, other).unwrap_err();
        assert!(!why.contains("owner"), "{why}");
    }

    #[test]
    fn nobody_has_no_name() {
        let claims = json!({ "sub": "", "n": 1, "long": "x".repeat(600) });
        for username in ["claims.sub", "claims.n", "claims.none", "claims.long", "''", "'a\\nb'"] {
            assert!(apply(json!({ "username": username }), claims.clone()).is_err(), "{username}");
        }
        assert!(apply(json!({ "username": "'a'", "groups": "claims.n" }), claims).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused_at_once() {
        for (bad, key) in [
            (json!({ "username": "claims." }), "username"),
            (json!({ "username": "request.path" }), "username"),
            (json!({ "groups": "'a" }), "groups"),
            (json!({ "validations": [{ "expression": "" }] }), "validations[0].expression"),
            (json!({ "variables": [{ "name": "a b", "expression": "1" }] }), "variables[0].name"),
            (json!({ "variables": [{ "name": "a", "expression": "(" }] }), "variables[0].expression"),
        ] {
            assert_eq!(mapping(bad.clone()).err().map(|why| why.key).as_deref(), Some(key), "{bad}");
        }
    }
}
