//! From a file's text to a tree: JSON, YAML or TOML.

use std::path::Path;

use super::value::Value;

/// A format that a configuration file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
    Toml,
}

/// What zot reads besides, and Wharf does not.
const NOT_READ: &[&str] = &["hcl", "tfvars", "ini", "properties", "props", "prop", "env", "dotenv"];

impl Format {
    const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Toml];

    const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
        }
    }

    fn parse(self, text: &str) -> Result<Value, String> {
        // Only the first line of an error is passed on: the rest may quote lines of the file that hold secrets.
        let first = |error: String| error.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        match self {
            Self::Json => serde_json::from_str(text).map_err(|e| first(e.to_string())),
            Self::Yaml => serde_saphyr::from_str(text).map_err(|e| first(e.to_string())),
            Self::Toml => toml::from_str(text).map_err(|e| match e.span() {
                Some(span) => {
                    let line = text.get(..span.start).unwrap_or(text).matches('\n').count() + 1;
                    format!("line {line}: {}", first(e.message().to_owned()))
                }
                None => first(e.message().to_owned()),
            }),
        }
    }
}

/// Parses a file's text by the suffix of its path; a suffix that names no format: every format in turn.
///
/// # Errors
/// What is wrong, with the line, but without any of the file's text.
pub(super) fn parse(path: &Path, text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}');
    let suffix = path.extension().map(|s| s.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if NOT_READ.contains(&suffix.as_str()) {
        return Err(format!("a .{suffix} file is not read: write it as JSON, YAML or TOML"));
    }
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let format = match suffix.as_str() {
        "json" => Format::Json,
        "yaml" | "yml" => Format::Yaml,
        "toml" => Format::Toml,
        _ => return try_each(text),
    };
    format.parse(text).map_err(|error| format!("not valid {}: {error}", format.name()))
}

/// The first format that makes a map of the text wins. YAML takes nearly any text as one long string.
fn try_each(text: &str) -> Result<Value, String> {
    let mut errors = Vec::new();
    for format in Format::ALL {
        match format.parse(text) {
            Ok(value @ (Value::Map(_) | Value::Null)) => return Ok(value),
            Ok(_) => errors.push(format!("as {} it is no set of keys", format.name())),
            Err(error) => errors.push(format!("as {}: {error}", format.name())),
        }
    }
    Err(format!("neither valid JSON nor YAML nor TOML ({})", errors.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tree_from_three_formats() {
        let json = parse(Path::new("c.json"), r#"{"http": {"compat": ["docker2s2"], "port": "5000"}}"#);
        let yaml = parse(Path::new("c.yml"), "http:\n  compat: [docker2s2]\n  port: '5000'\n");
        let toml = parse(Path::new("c.toml"), "[http]\nport = '5000'\ncompat = ['docker2s2']\n");
        assert_eq!(json, yaml);
        assert_eq!(json, toml);
    }

    #[test]
    fn no_suffix_tries_each() {
        for text in ["{\"log\": {\"level\": \"info\"}}", "log:\n  level: info\n", "[log]\nlevel = 'info'\n"] {
            let value = parse(Path::new("config"), text).expect("parsed");
            assert_eq!(value.at("log.level"), Some(&Value::Text("info".into())), "{text}");
        }
        assert!(parse(Path::new("config"), "just words").is_err());
    }

    #[test]
    fn an_error_has_the_line_and_no_text_of_the_file() {
        let broken = [("c.json", "{\n\"k\": s3cret"), ("c.yaml", "a: s3cret\nb: ["), ("c.toml", "a = 1\nb = s3cret")];
        for (name, text) in broken {
            let error = parse(Path::new(name), text).expect_err("broken");
            assert!(error.contains("line 2") && !error.contains("s3cret"), "{name}: {error}");
        }
    }

    #[test]
    fn an_empty_file_is_nothing() {
        for name in ["a.json", "a.yaml", "a.toml", "a"] {
            assert_eq!(parse(Path::new(name), " \n"), Ok(Value::Null));
        }
        assert_eq!(parse(Path::new("a.yaml"), "# nothing yet\n"), Ok(Value::Null));
    }
}
