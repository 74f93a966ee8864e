//! Who somebody is, by the claims about them.

use serde_json::{Map, Value};

/// The longest name, the longest group, and how many groups count.
const LONGEST: usize = 512;
const MOST_GROUPS: usize = 2000;

/// Which claims are the name and the groups (zot: `claimMapping` of a provider).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// Of the name; `email` unless told otherwise.
    pub username: String,
    /// Of the groups.
    pub groups: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { username: "email".to_owned(), groups: "groups".to_owned() }
    }
}

impl ClaimNames {
    /// The name, if there is one that counts. An address that its owner has not proved is anybody's.
    pub(crate) fn name(&self, claims: &Map<String, Value>) -> Option<String> {
        let is_unproved = self.username == "email"
            && claims.get("email_verified").is_some_and(|told| *told == Value::Bool(false) || *told == "false");
        let name = claims.get(&self.username)?.as_str().filter(|_| !is_unproved)?;
        is_name(name).then(|| name.to_owned())
    }

    /// The groups; `None` where nothing is said of them.
    pub(crate) fn groups(&self, claims: &Map<String, Value>) -> Option<Vec<String>> {
        claims.get(&self.groups).map(texts)
    }
}

/// Whether a text can be a user's name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control)
}

/// The texts of a list, or the one text.
fn texts(value: &Value) -> Vec<String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts = items.iter().filter_map(Value::as_str).filter(|text| is_name(text));
    texts.take(MOST_GROUPS).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_name_is_a_text_that_its_owner_has_proved() {
        let names = ClaimNames::default();
        for (claims, name) in [
            (json!({ "email": "a@b.c" }), Some("a@b.c")),
            (json!({ "email": "a@b.c", "email_verified": true }), Some("a@b.c")),
            (json!({ "email": "a@b.c", "email_verified": false }), None),
            (json!({ "email": "a@b.c", "email_verified": "false" }), None),
            (json!({ "email": "" }), None),
            (json!({ "email": "a\nb" }), None),
            (json!({ "email": ["a@b.c"] }), None),
            (json!({ "email": "x".repeat(600) }), None),
            (json!({ "sub": "x" }), None),
        ] {
            assert_eq!(names.name(&map(claims.clone())).as_deref(), name, "{claims}");
        }
        let names = ClaimNames { username: "preferred_username".to_owned(), groups: "roles".to_owned() };
        let claims = map(json!({ "preferred_username": "lena", "email_verified": false, "roles": ["a", 1, "b", ""] }));
        assert_eq!(names.name(&claims).as_deref(), Some("lena"));
        assert_eq!(names.groups(&claims).unwrap(), ["a", "b"]);
        assert_eq!(names.groups(&map(json!({ "roles": "one" }))).unwrap(), ["one"]);
        assert_eq!(names.groups(&map(json!({ "groups": ["a"] }))), None);
    }
}
