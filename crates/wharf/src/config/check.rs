//! A walk over a configuration beside the tree of known keys.
//!
//! What comes out is the same tree in canonical form: keys spelled as documented, each value in the one shape of its
//! kind (a duration as nanoseconds, a size as bytes, a list as a list), nothing that is unknown or wrong.

use super::findings::{Findings, WHOLE, Weight};
use super::keys::{self, Child, Class, Kind, Node};
use super::read;
use super::suggest;
use super::value::Value;

/// The state of a walk.
pub(super) struct Checker<'a> {
    /// Where to say it.
    pub(super) findings: &'a mut Findings,
    /// Whether a protection that is not there yet may be left out.
    pub(super) allow_unprotected: bool,
}

impl Checker<'_> {
    /// Checks a whole configuration.
    pub(super) fn check(&mut self, schema: &Node, value: &Value) -> Value {
        match value {
            Value::Map(entries) => self.block(schema, entries, "", false),
            Value::Null => Value::Null,
            other => {
                self.findings.problem(WHOLE, Some(other.shown("")), "must be a set of keys");
                Value::Null
            }
        }
    }

    /// Checks the keys of a block. `told` says that what becomes of the whole block was said already.
    fn block(&mut self, node: &Node, entries: &[(String, Value)], path: &str, told: bool) -> Value {
        let mut checked: Vec<(String, Value)> = Vec::new();
        for (key, value) in entries {
            let (child, name) = match node.child(key) {
                Some(Child::Named(child)) => (Some(child), child.name.to_owned()),
                Some(Child::OfMap(child)) => (Some(child), key.clone()),
                None => (None, key.to_ascii_lowercase()),
            };
            let path = join(path, if child.is_some() { &name } else { key });
            if checked.iter().any(|(other, _)| *other == name) {
                self.findings.problem(&path, None, "is given twice (the case of a key does not matter)");
                continue;
            }
            let value = match child {
                Some(child) => self.value(child, value, &path, told),
                None => self.unknown(node, key, value, &path),
            };
            checked.push((name, value));
        }
        checked.retain(|(_, value)| *value != Value::Null);
        Value::Map(checked)
    }

    /// Checks the value of a known key. [`Value::Null`] for one that is wrong.
    fn value(&mut self, node: &Node, value: &Value, path: &str, told: bool) -> Value {
        if *value == Value::Null {
            return Value::Null;
        }
        let told = self.tell(node, value, path, told);
        match (node.kind, value) {
            (Kind::Block | Kind::Driver, Value::Map(entries)) => self.block(node, entries, path, told),
            (Kind::Blocks, Value::List(items)) => {
                Value::List(items.iter().enumerate().map(|(i, item)| self.item(node, item, path, i, told)).collect())
            }
            (Kind::Blocks, Value::Map(_)) => Value::List(vec![self.item(node, value, path, 0, told)]),
            (Kind::Free, value) => value.clone(),
            (kind, value) => self.scalar(kind, value, path, told),
        }
    }

    /// Checks one block of a list of them.
    fn item(&mut self, node: &Node, value: &Value, path: &str, index: usize, told: bool) -> Value {
        let path = format!("{path}[{index}]");
        match value {
            Value::Map(entries) => self.block(node, entries, &path, told),
            other => {
                self.findings.problem(&path, Some(other.shown(&path)), "must be a block of keys");
                Value::Null
            }
        }
    }

    fn scalar(&mut self, kind: Kind, value: &Value, path: &str, told: bool) -> Value {
        match read::read(kind, value) {
            Ok(read) => {
                if let (Kind::Duration, Value::Int(number), false) = (kind, value, told || value.is_off()) {
                    let meant = super::scalar::show_duration(*number);
                    let text = format!("a bare number is nanoseconds, so that this is {meant}: write it with a unit");
                    self.findings.notice(Weight::Warn, path, text);
                }
                read
            }
            Err(allowed) => {
                self.findings.problem(path, Some(value.shown(path)), allowed);
                Value::Null
            }
        }
    }

    /// Says what becomes of a key that has no effect. True when that was said of it or of a block around it.
    fn tell(&mut self, node: &Node, value: &Value, path: &str, told: bool) -> bool {
        if told {
            return true;
        }
        match node.class {
            Class::Inner | Class::Used => return false,
            Class::Unneeded(why) if !value.is_empty() => {
                self.findings.notice(Weight::Info, path, format!("accepted, and not needed: {why}"));
            }
            Class::Later(what) if !value.is_off() => {
                self.findings.notice(Weight::Warn, path, format!("not in effect yet: {what}"));
            }
            Class::Guard(what) if !value.is_off() => self.guard(what, value, path),
            Class::Unneeded(_) | Class::Later(_) | Class::Guard(_) => {}
        }
        true
    }

    /// Refuses to serve without the protection that a key asks for.
    fn guard(&mut self, what: &str, value: &Value, path: &str) {
        let variable = super::env::ALLOW_UNPROTECTED;
        if self.allow_unprotected {
            let text = format!("not in effect: Wharf has no {what} yet, and serves without it as {variable} says");
            self.findings.notice(Weight::Warn, path, text);
            return;
        }
        let text = format!(
            "asks for {what}, which Wharf cannot give yet, and it does not serve unprotected in its place. Remove the \
             key and protect the port by other means (a loopback address, a firewall, a proxy in front), or set \
             {variable}=true"
        );
        self.findings.problem(path, Some(value.shown(path)), text);
    }

    /// Answers a key that no table knows.
    fn unknown(&mut self, node: &Node, key: &str, value: &Value, path: &str) -> Value {
        let driver = node.kind == Kind::Driver;
        let meant = if driver { suggest::slip(key, node.names()) } else { suggest::nearest(key, node.names()) };
        if let Some(meant) = meant {
            let parent = path.strip_suffix(key).unwrap_or_default();
            self.findings.problem(path, None, format!("no such key; did you mean {parent}{meant}?"));
        } else if driver {
            self.findings.notice(Weight::Warn, path, "not a known key of a storage driver, and without effect");
            return value.clone();
        } else if let Some(elsewhere) = keys::all().find(|known| suggest::same(last(known.path), key)) {
            self.findings.problem(path, None, format!("no such key; did you mean {}?", elsewhere.path));
        } else {
            self.findings.problem(path, None, format!("no such key; {} has {}", place(path), listed(node)));
        }
        Value::Null
    }
}

/// A key below a path.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The last key of a path.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// What holds a key.
fn place(path: &str) -> &str {
    path.rsplit_once('.').map_or("the top level", |(parent, _)| parent)
}

/// The keys of a block, for a message.
fn listed(node: &Node) -> String {
    node.names().collect::<Vec<_>>().join(", ")
}
