//! In what two configurations differ.

use super::keys::{self, Child, Class};
use super::value::Value;

/// A key whose value is another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// From the root.
    pub(crate) path: Vec<String>,
    /// The new value; [`Value::Null`] where the key is gone.
    pub(crate) value: Value,
}

impl Change {
    /// The key as it is documented.
    pub(crate) fn key(&self) -> String {
        self.path.join(".")
    }

    /// Whether the key, or a block around it, is one of these.
    pub(crate) fn is_one_of(&self, keys: &[&str]) -> bool {
        let key = self.key();
        keys.iter().any(|of| key.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// The keys that have an effect and differ. A list is one value.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(old, new, &mut Vec::new(), &mut found);
    let schema = keys::schema();
    found.retain(|change| has_effect(&schema, &change.path));
    found
}

fn compare(old: &Value, new: &Value, path: &mut Vec<String>, found: &mut Vec<Change>) {
    const NOTHING: &Value = &Value::Null;
    let (before, after) = match (old, new) {
        (Value::Map(before), Value::Map(after)) => (before.as_slice(), after.as_slice()),
        (Value::Map(before), Value::Null) => (before.as_slice(), &[][..]),
        (Value::Null, Value::Map(after)) => (&[][..], after.as_slice()),
        (old, new) if old == new => return,
        (_, new) => return found.push(Change { path: path.clone(), value: new.clone() }),
    };
    let gone = before.iter().filter(|(key, _)| !after.iter().any(|(other, _)| other == key));
    let pairs = after.iter().map(|(key, value)| {
        let old = before.iter().find(|(other, _)| other == key).map_or(NOTHING, |(_, value)| value);
        (key, old, value)
    });
    for (key, old, new) in pairs.chain(gone.map(|(key, value)| (key, value, NOTHING))) {
        path.push(key.clone());
        compare(old, new, path, found);
        path.pop();
    }
}

/// Whether a key does something: it, or the block that speaks for it, is in use.
fn has_effect(schema: &keys::Node, path: &[String]) -> bool {
    let (mut node, mut class) = (schema, Class::Used);
    for key in path {
        node = match node.child(key) {
            Some(Child::Named(child) | Child::OfMap(child)) => child,
            // Below a key that takes anything.
            None => break,
        };
        if node.class != Class::Inner {
            class = node.class;
        }
    }
    class == Class::Used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn tree(json: &str) -> Value {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        std::fs::write(&file, json).expect("written");
        load(Some(&file), &Environment::default()).expect("accepted").tree
    }

    #[test]
    fn every_key_that_differs_is_named_once() {
        let old = tree(r#"{"storage": {"rootDirectory": "/r", "gcDelay": "1h", "gc": true}, "http": {"port": 1}}"#);
        let new = tree(
            r#"{"storage": {"rootDirectory": "/r", "gcdelay": "60m", "gcInterval": "2h"}, "http": {"port": "2"},
               "log": {"level": "warn"}}"#,
        );
        let mut keys: Vec<_> = changes(&old, &new).iter().map(Change::key).collect();
        keys.sort();
        assert_eq!(keys, ["http.port", "log.level", "storage.gc", "storage.gcInterval"]);
        assert!(changes(&old, &old).is_empty());
    }

    #[test]
    fn keys_without_effect_do_not_count() {
        let old = tree(r#"{"storage": {"rootDirectory": "/r"}}"#);
        let new = tree(r#"{"storage": {"rootDirectory": "/r", "dedupe": false, "cacheDriver": {"name": "redis"}}}"#);
        assert!(changes(&old, &new).is_empty());
    }

    #[test]
    fn a_block_speaks_for_its_keys() {
        let change = Change { path: vec!["storage".into(), "gcDelay".into()], value: Value::Null };
        assert!(change.is_one_of(&["storage.gcDelay"]) && change.is_one_of(&["storage"]));
        assert!(!change.is_one_of(&["storage.gc"]));
    }
}
