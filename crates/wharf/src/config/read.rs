//! A value of a kind, in the one shape that the typed sections read.

use super::keys::Kind;
use super::scalar::{self, Network};
use super::value::Value;

/// Brings a value into the shape of its kind: durations and sizes become [`Value::Int`], switches [`Value::Bool`],
/// lists [`Value::List`] of texts, everything else [`Value::Text`].
///
/// # Errors
/// What is allowed.
pub(super) fn read(kind: Kind, value: &Value) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Secret | Kind::Path => text(value).map(Value::Text),
        Kind::Bool => switch(value),
        Kind::Int => int(value).map(Value::Int).ok_or_else(|| "must be a whole number".to_owned()),
        Kind::Number => number(value),
        Kind::Port => port(value),
        Kind::Duration => duration(value),
        Kind::Bytes => size(value),
        Kind::Window => {
            let text = text(value)?;
            if !text.is_empty() {
                scalar::time_window(&text)?;
            }
            Ok(Value::Text(text))
        }
        Kind::Url => url(value),
        Kind::List => list(value),
        Kind::Networks => networks(value),
        Kind::OneOf(words) => one_of(words, value),
        Kind::Block | Kind::Driver => Err("must be a block of keys".to_owned()),
        Kind::Blocks => Err("must be a list of blocks of keys".to_owned()),
        Kind::Free => Ok(value.clone()),
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Bool(on) => Ok(on.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => Err("must be a text".to_owned()),
    }
}

fn switch(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(on) => Ok(Value::Bool(*on)),
        Value::Int(0) => Ok(Value::Bool(false)),
        Value::Int(1) => Ok(Value::Bool(true)),
        Value::Text(text) => switch_text(text).map(Value::Bool),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Reads a switch that is spelled out.
pub(super) fn switch_text(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        // YAML and JSON may write a whole number as 1e3.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 =>
        {
            #[allow(clippy::cast_possible_truncation, reason = "whole, and far below the limit")]
            Some(*number as i64)
        }
        _ => None,
    }
}

fn number(value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(_) | Value::Float(_) => Ok(value.clone()),
        Value::Text(text) => text.trim().parse().map(Value::Float).map_err(|_| "must be a number".to_owned()),
        _ => Err("must be a number".to_owned()),
    }
}

fn port(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Text(text) if text.trim().is_empty() => Some(0),
        other => int(other),
    };
    match number {
        Some(number) if (0..=65535).contains(&number) => Ok(Value::Int(number)),
        _ => Err("must be a port from 1 to 65535, or 0 for any free one".to_owned()),
    }
}

fn duration(value: &Value) -> Result<Value, String> {
    match value {
        Value::Text(text) => scalar::duration(text.trim()).map(Value::Int),
        other => int(other).map(Value::Int).ok_or_else(|| "must be a duration such as \"90s\" or \"1h30m\"".to_owned()),
    }
}

fn size(value: &Value) -> Result<Value, String> {
    let bytes = match value {
        Value::Text(text) => scalar::bytes(text)?,
        other => {
            int(other).and_then(|n| u64::try_from(n).ok()).ok_or("must be a number of bytes, such as \"64MiB\"")?
        }
    };
    i64::try_from(bytes).map(Value::Int).map_err(|_| "must be less than 8 EiB".to_owned())
}

fn url(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    let allowed = || "must be an absolute URL such as \"https://registry.example.org\"".to_owned();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let url = url::Url::parse(&text).map_err(|_| allowed())?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    if usable { Ok(Value::Text(text)) } else { Err(allowed()) }
}

fn list(value: &Value) -> Result<Value, String> {
    let texts: Result<Vec<String>, String> = match value {
        Value::List(items) => items.iter().map(text).collect(),
        Value::Text(text) => Ok(text.split(',').map(|item| item.trim().to_owned()).collect()),
        Value::Map(_) => Err(String::new()),
        other => text(other).map(|text| vec![text]),
    };
    let texts = texts.map_err(|_| "must be a list of texts".to_owned())?;
    Ok(Value::List(texts.into_iter().filter(|text| !text.is_empty()).map(Value::Text).collect()))
}

fn networks(value: &Value) -> Result<Value, String> {
    let networks = list(value)?;
    if let Value::List(items) = &networks {
        for item in items {
            text(item)?.parse::<Network>()?;
        }
    }
    Ok(networks)
}

fn one_of(words: &[&str], value: &Value) -> Result<Value, String> {
    let text = text(value)?.trim().to_ascii_lowercase();
    if words.contains(&text.as_str()) {
        return Ok(Value::Text(text));
    }
    Err(format!("must be one of {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn numbers_and_switches_may_be_spelled_as_text() {
        assert_eq!(read(Kind::Bool, &t("True")), Ok(Value::Bool(true)));
        assert_eq!(read(Kind::Bool, &Value::Int(0)), Ok(Value::Bool(false)));
        assert_eq!(read(Kind::Int, &t("7")), Ok(Value::Int(7)));
        assert_eq!(read(Kind::Text, &Value::Int(7)), Ok(t("7")));
        assert_eq!(read(Kind::Port, &t("")), Ok(Value::Int(0)));
        assert_eq!(read(Kind::Port, &Value::Int(65535)), Ok(Value::Int(65535)));
        assert!(read(Kind::Port, &Value::Int(65536)).is_err());
        assert!(read(Kind::Bool, &t("yes")).is_err());
    }

    #[test]
    fn one_text_is_a_list() {
        assert_eq!(read(Kind::List, &t("a, b")), Ok(Value::List(vec![t("a"), t("b")])));
        assert!(read(Kind::Networks, &t("10.0.0.0/8,proxy")).is_err());
    }

    #[test]
    fn urls_are_absolute() {
        assert!(read(Kind::Url, &t("https://r.example.org/x")).is_ok());
        for bad in ["r.example.org", "ftp://r.example.org", "/x"] {
            assert!(read(Kind::Url, &t(bad)).is_err(), "{bad}");
        }
    }
}
