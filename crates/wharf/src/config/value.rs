//! A configuration file as a tree of plain values, whatever format it was written in.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// One value of the tree. A map keeps the order and the spelling of its keys, and a key that is given twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value {
    /// Nothing, as if the key were not there.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Keys and values.
    Map(Vec<(String, Value)>),
}

/// Parts of a key's name that mark its value as a secret, which is never shown.
const SECRET: &[&str] =
    &["secret", "password", "token", "credentials", "accesskey", "accountkey", "connectionstring", "hashkey"];

/// Longest text of a value in a message.
const MAX_SHOWN: usize = 100;

impl Value {
    /// The value under a key, whatever its case.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// The value at a path of keys joined by dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |value, key| value.get(key))
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Map(entries) => entries.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => false,
        }
    }

    /// Whether it turns a feature off: nothing, `false`, 0, or a block with `enable: false`.
    pub(crate) fn is_off(&self) -> bool {
        match self {
            Self::Bool(on) => !on,
            Self::Int(number) => *number == 0,
            Self::Text(text) => text.is_empty() || text.eq_ignore_ascii_case("false"),
            Self::Map(entries) => {
                self.get("enable").is_some_and(Self::is_off) || entries.iter().all(|(_, value)| value.is_empty())
            }
            _ => self.is_empty(),
        }
    }

    /// Puts a value at a path, over what is there.
    pub(crate) fn set(&mut self, path: &[&str], value: Self) {
        let Some((key, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(entries) = self else { return };
        let place = entries.iter().position(|(name, _)| name.eq_ignore_ascii_case(key)).unwrap_or_else(|| {
            entries.push(((*key).to_owned(), Self::Null));
            entries.len() - 1
        });
        entries[place].1.set(rest, value);
    }

    /// The value as it may stand in a message: on one line, cut when long, secrets left out.
    pub(crate) fn shown(&self, key: &str) -> String {
        let text = match self {
            _ if is_secret(key) && !self.is_empty() => "***".to_owned(),
            _ => self.masked().to_json().to_string(),
        };
        match text.char_indices().nth(MAX_SHOWN) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        }
    }

    /// The same tree with every secret replaced.
    fn masked(&self) -> Self {
        match self {
            Self::Map(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(key, value)| {
                        let hide = is_secret(key) && !value.is_empty();
                        (key.clone(), if hide { Self::Text("***".to_owned()) } else { value.masked() })
                    })
                    .collect(),
            ),
            Self::List(items) => Self::List(items.iter().map(Self::masked).collect()),
            other => other.clone(),
        }
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(on) => (*on).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                serde_json::Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }
}

/// Whether the value under a key of this name is a secret. A path of a file that holds one is none.
pub(crate) fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    !name.ends_with("file") && SECRET.iter().any(|part| name.contains(part))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        #[allow(clippy::cast_precision_loss, reason = "such a number is out of every key's range, and only shown")]
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry::<String, Value>()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).expect("valid JSON")
    }

    #[test]
    fn a_key_given_twice_is_kept_twice() {
        let Value::Map(entries) = json(r#"{"a": 1, "a": 2}"#) else { panic!("a map") };
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn set_goes_to_the_key_of_any_case() {
        let mut value = json(r#"{"Storage": {"GC": true}}"#);
        value.set(&["storage", "gc"], Value::Bool(false));
        value.set(&["storage", "commit"], Value::Bool(true));
        assert_eq!(value, json(r#"{"Storage": {"GC": false, "commit": true}}"#));
    }

    #[test]
    fn secrets_are_not_shown() {
        let value = json(r#"{"credentialsFile": "/c", "inner": [{"secretKey": "s3cr3t"}]}"#);
        assert_eq!(value.shown("x"), r#"{"credentialsFile":"/c","inner":[{"secretKey":"***"}]}"#);
        assert_eq!(Value::Text("s3cr3t".into()).shown("storage.storageDriver.secretkey"), "***");
    }

    #[test]
    fn off_is_told_from_on() {
        for off in [r"{}", r#"{"enable": false, "x": 1}"#, "false", "0", "null", "[]", r#"{"a": {}}"#] {
            assert!(json(off).is_off(), "{off}");
        }
        for on in [r#"{"enable": true}"#, r#"{"x": 1}"#, "true", "3", r#"["a"]"#, r#""x""#] {
            assert!(!json(on).is_off(), "{on}");
        }
    }
}
