//! The environment: overrides of keys, and the few variables that are no key.
//!
//! `WHARF_STORAGE_GCDELAY=2h` sets `storage.gcDelay`. The name is the key's path with `_` for `.`, in any case. What must not
//! stand in the environment, where every child and many a listing shows it, may be a file of that name in the directory
//! that `CREDENTIALS_DIRECTORY` names: systemd's `LoadCredential`, or a mounted secret.

use std::collections::BTreeMap;
use std::path::Path;

use super::findings::Findings;
use super::keys::{Kind, Node};
use super::read::switch_text;
use super::suggest;
use super::value::Value;

/// Serves although the configuration asks for a protection that is not there yet.
pub(crate) const ALLOW_UNPROTECTED: &str = "WHARF_ALLOW_UNPROTECTED";
/// The configuration file, where the command line names none.
pub(crate) const CONFIG: &str = "WHARF_CONFIG";
/// Which log lines are written, in the syntax of `RUST_LOG`; over `log.level`.
pub(crate) const LOG: &str = "WHARF_LOG";

const PREFIX: &str = "WHARF_";
/// Set by systemd for a service with credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const RESERVED: &[&str] = &[ALLOW_UNPROTECTED, CONFIG, LOG];

/// What a process finds around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Variables with their values.
    pub(crate) variables: BTreeMap<String, String>,
    /// Names of credentials that cannot be read, with what the system said.
    pub(crate) unreadable: Vec<(String, String)>,
    /// Whether the process may do everything.
    pub(crate) is_root: bool,
}

/// The value of a key from a variable.
#[derive(Debug, PartialEq)]
pub(super) struct Override {
    /// The variable's name.
    pub(super) variable: String,
    /// The keys from the root, as documented.
    pub(super) path: Vec<&'static str>,
    /// The value.
    pub(super) value: Value,
}

impl Environment {
    /// The environment of this process. What is not UTF-8 is read with replacement characters.
    pub(crate) fn of_process() -> Self {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        let mut environment = Self {
            variables: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            unreadable: Vec::new(),
            is_root: rustix::process::geteuid().is_root(),
        };
        if let Some(directory) = environment.get(CREDENTIALS).map(str::to_owned) {
            environment.add_credentials(Path::new(&directory));
        }
        environment
    }

    /// Adds each file that is named as a variable, below the variables that are set.
    fn add_credentials(&mut self, directory: &Path) {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push((CREDENTIALS.to_owned(), error.to_string())),
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with(PREFIX) || self.get(&name).is_some() {
                continue;
            }
            match std::fs::read_to_string(entry.path()) {
                Ok(value) => drop(self.variables.insert(name, value.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => self.unreadable.push((name, error.to_string())),
            }
        }
    }

    /// The value of a variable; one that is set to nothing counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether [`ALLOW_UNPROTECTED`] is on.
    pub(super) fn allows_unprotected(&self, findings: &mut Findings) -> bool {
        let Some(value) = self.get(ALLOW_UNPROTECTED) else { return false };
        switch_text(value).unwrap_or_else(|allowed| {
            findings.problem(ALLOW_UNPROTECTED, Some(format!("{value:?}")), allowed);
            false
        })
    }

    /// The overrides of keys. A variable that begins with `WHARF_` and means no key is a problem.
    pub(super) fn overrides(&self, schema: &Node, findings: &mut Findings) -> Vec<Override> {
        for (name, error) in &self.unreadable {
            findings.problem(name, None, format!("the credential cannot be read: {error}"));
        }
        let mut overrides: Vec<Override> = Vec::new();
        for (variable, text) in &self.variables {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if text.is_empty() || RESERVED.contains(&variable.as_str()) || is_service_link(name, text) {
                continue;
            }
            let Some((path, kind)) = find(schema, name) else {
                findings.problem(variable, None, unknown(schema, name));
                continue;
            };
            if let Some(other) = overrides.iter().find(|other| other.path == path) {
                findings.problem(variable, None, format!("sets the same key as {}", other.variable));
                continue;
            }
            overrides.push(Override { variable: variable.clone(), path, value: parse(kind, text) });
        }
        // A block before its keys, so that a key over a block wins.
        overrides.sort_by_key(|o| o.path.len());
        overrides
    }
}

/// A block or a list of blocks may be given as JSON; everything else is text, which the key's kind reads.
fn parse(kind: Kind, text: &str) -> Value {
    let json = matches!(kind, Kind::Block | Kind::Blocks | Kind::Driver | Kind::Free);
    match serde_json::from_str(text) {
        Ok(value) if json => value,
        _ => Value::Text(text.to_owned()),
    }
}

/// The key that a name means: the path of its parts and its kind.
fn find(node: &Node, name: &str) -> Option<(Vec<&'static str>, Kind)> {
    for child in node.children.iter().filter(|child| !child.name.starts_with('<')) {
        let Some((head, tail)) = name.split_at_checked(child.name.len()) else { continue };
        if !head.eq_ignore_ascii_case(child.name) {
            continue;
        }
        if tail.is_empty() {
            return Some((vec![child.name], child.kind));
        }
        // The items of a list have no names.
        let Some(tail) = tail.strip_prefix('_').filter(|_| child.kind != Kind::Blocks) else { continue };
        if let Some((path, kind)) = find(child, tail) {
            return Some(([&[child.name], path.as_slice()].concat(), kind));
        }
    }
    None
}

/// Every name that [`find`] knows.
fn names(node: &Node, prefix: &str, into: &mut Vec<String>) {
    for child in node.children.iter().filter(|child| !child.name.starts_with('<')) {
        let name = format!("{prefix}{}", child.name.to_ascii_uppercase());
        if child.kind != Kind::Blocks {
            names(child, &format!("{name}_"), into);
        }
        into.push(name);
    }
}

fn unknown(schema: &Node, name: &str) -> String {
    let mut known = Vec::new();
    names(schema, "", &mut known);
    let known: Vec<&str> =
        known.iter().map(String::as_str).chain(RESERVED.iter().map(|r| &r[PREFIX.len()..])).collect();
    match suggest::nearest(name, known.into_iter()) {
        Some(meant) => format!("no key has this name; did you mean {PREFIX}{meant}?"),
        None => format!(
            "no key has this name; it is the path of a key with _ for each dot, such as {PREFIX}STORAGE_ROOTDIRECTORY"
        ),
    }
}

/// Whether a variable is one of those that Kubernetes sets for each service whose name begins with `wharf`.
fn is_service_link(name: &str, value: &str) -> bool {
    let name = format!("_{name}");
    let (port, protocols) = (name.rsplit_once("_PORT"), ["TCP", "UDP", "SCTP"]);
    let url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let numbered = |rest: &str| {
        let rest = rest.trim_end_matches("_PROTO").trim_end_matches("_PORT").trim_end_matches("_ADDR");
        let (number, protocol) = rest.trim_start_matches('_').split_once('_').unwrap_or((rest, ""));
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && protocols.contains(&protocol)
    };
    let linked = |(_, rest): (&str, &str)| (rest.is_empty() && url) || numbered(rest);
    let first = name.split_once("_PORT_");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || port.is_some_and(linked)
        || first.is_some_and(|(_, rest)| numbered(rest))
}

#[cfg(test)]
mod tests {
    use super::super::keys::schema;
    use super::*;

    fn found(name: &str) -> Option<String> {
        find(&schema(), name).map(|(path, _)| path.join("."))
    }

    #[test]
    fn a_name_is_a_path() {
        assert_eq!(found("STORAGE_ROOTDIRECTORY").as_deref(), Some("storage.rootDirectory"));
        assert_eq!(found("http_Port").as_deref(), Some("http.port"));
        assert_eq!(found("STORAGE_STORAGEDRIVER").as_deref(), Some("storage.storageDriver"));
        assert_eq!(found("STORAGE_STORAGEDRIVER_MAX_RETRIES").as_deref(), Some("storage.storageDriver.max_retries"));
        for none in ["STORAGE_", "STORAGE_ROOT", "HTTPPORT", "STORAGE_SUBPATHS_A_GC", ""] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn a_credential_is_a_variable_that_a_variable_wins_over() {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, value) in [("WHARF_A", "file\n"), ("WHARF_B", "file"), ("other", "file")] {
            std::fs::write(directory.path().join(name), value).expect("written");
        }
        std::fs::create_dir(directory.path().join("WHARF_C")).expect("made");
        let mut environment =
            Environment { variables: [("WHARF_B".into(), "variable".into())].into(), ..Environment::default() };
        environment.add_credentials(directory.path());
        assert_eq!(environment.get("WHARF_A"), Some("file"));
        assert_eq!(environment.get("WHARF_B"), Some("variable"));
        assert_eq!(environment.get("other"), None);
        assert_eq!(environment.unreadable.first().map(|(name, _)| name.as_str()), Some("WHARF_C"));
        let mut findings = Findings::default();
        environment.variables.clear();
        assert!(environment.overrides(&schema(), &mut findings).is_empty());
        assert!(findings.finish("test", &BTreeMap::new()).is_err(), "a secret that cannot be read refuses the start");
    }

    #[test]
    fn every_name_is_found() {
        let (schema, mut all) = (schema(), Vec::new());
        names(&schema, "", &mut all);
        assert!(all.len() > 100);
        for name in all {
            assert!(find(&schema, &name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_kubernetes_sets_is_left_alone() {
        let links = [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "80"),
            ("SERVICE_PORT_HTTP", "80"),
            ("PORT", "tcp://10.0.0.1:80"),
            ("PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("PORT_80_TCP_PROTO", "tcp"),
            ("PORT_80_TCP_PORT", "80"),
            ("PORT_80_TCP_ADDR", "10.0.0.1"),
            ("HEADLESS_SERVICE_HOST", "None"),
            ("HTTP_PORT", "tcp://10.0.0.1:80"),
            ("HTTP_PORT_5000_UDP_ADDR", "10.0.0.1"),
        ];
        for (name, value) in links {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in [("HTTP_PORT", "5000"), ("STORAGE_GC", "true"), ("PORTS", "tcp://x"), ("HTTP_PROT", "1")] {
            assert!(!is_service_link(name, value), "{name}");
        }
    }
}
