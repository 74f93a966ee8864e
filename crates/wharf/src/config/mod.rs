//! Configuration: one file in zot's format, overrides from the environment, and defaults.
//!
//! The way of a configuration: text → tree ([`mod@format`]) → environment over it ([`mod@env`]) → checked beside the tree of known
//! keys ([`check`], [`keys`]) → typed sections ([`storage`], [`http`], [`log`]). Every step adds what it finds to one
//! list, so that a refusal names everything at once.

mod access;
mod changes;
mod check;
mod effective;
mod env;
mod extensions;
mod findings;
mod format;
mod http;
mod keys;
mod limits;
mod log;
mod openid;
mod read;
mod scalar;
mod section;
mod storage;
mod suggest;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use self::check::Checker;
use self::findings::Findings;
use self::section::Source;

pub(crate) use self::access::{Access, Bearer, Ldap};
pub(crate) use self::changes::{Change, changes};
pub(crate) use self::env::{CONFIG as CONFIG_VARIABLE, Environment, LOG as LOG_VARIABLE};
pub(crate) use self::extensions::Extensions;
pub(crate) use self::findings::{Notice, Refused, Weight};
pub(crate) use self::http::{Http, TlsFiles};
pub(crate) use self::log::{Level, Log};
pub(crate) use self::openid::{OpenIdProvider, Workload};
pub(crate) use self::storage::{Driver, Place, Service, Storage};
pub(crate) use self::value::Value;

/// The version of the distribution specification that is implemented.
pub(crate) const SPEC_VERSION: &str = "1.1.1";

/// Everything that can be configured and has an effect.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `storage`.
    pub(crate) storage: Storage,
    /// `http`, but for the next.
    pub(crate) http: Http,
    /// `http.auth` and `http.accessControl`.
    pub(crate) access: Access,
    /// `log`.
    pub(crate) log: Log,
    /// `extensions`.
    pub(crate) extensions: Extensions,
}

/// Where a configuration came from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Defaults, and the environment.
    Defaults,
    /// A file.
    File(PathBuf),
}

/// An accepted configuration.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What is in effect.
    pub(crate) config: Config,
    /// Where it came from.
    pub(crate) origin: Origin,
    /// What its author should know.
    pub(crate) notices: Vec<Notice>,
    /// What was written, checked, with the environment over it.
    pub(crate) tree: Value,
}

impl Origin {
    /// The file, where there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Defaults => None,
            Self::File(path) => Some(path),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Loads and checks a configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, Refused> {
    let origin = file.map_or(Origin::Defaults, |path| Origin::File(path.to_owned()));
    let mut findings = Findings::default();
    let tree = file.map_or_else(Value::default, |path| read_file(path, &mut findings));
    let bare = tree.is_empty();
    let mut variables = BTreeMap::new();
    let tree = checked(tree, environment, &mut findings, &mut variables);
    let mut source = Source { tree: &tree, environment, bare, findings: &mut findings };
    check_spec_version(&mut source);
    let access = Access::read(&mut source);
    let config = Config {
        storage: Storage::read(&mut source),
        http: Http::read(&mut source, access.is_open()),
        access,
        log: Log::read(&source),
        extensions: Extensions::read(&mut source),
    };
    let notices = findings.finish(&origin.to_string(), &variables)?;
    Ok(Loaded { config, origin, notices, tree })
}

/// The two texts of a file of secrets, in any of the formats of a configuration. The second may be missing, or is empty then.
///
/// # Errors
/// What is wrong with the file, without any of its text.
pub(crate) fn secrets(path: &Path, keys: [&str; 2]) -> Result<[String; 2], String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let tree = format::parse(path, &text)?;
    let Value::Map(entries) = &tree else { return Err(format!("must have the key {}", keys[0])) };
    let known = |name: &str| keys.iter().any(|known| known.eq_ignore_ascii_case(name));
    if let Some((other, _)) = entries.iter().find(|(name, _)| !known(name)) {
        return Err(format!("no such key: {other}; there are {} and {}", keys[0], keys[1]));
    }
    let value = |key: &str| match tree.get(key) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let first = value(keys[0]).ok_or_else(|| format!("must have the key {}, a text", keys[0]))?;
    Ok([first, value(keys[1]).unwrap_or_default()])
}

fn read_file(path: &Path, findings: &mut Findings) -> Value {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"));
    text.and_then(|text| format::parse(path, &text)).unwrap_or_else(|error| {
        findings.problem(findings::WHOLE, None, error);
        Value::Null
    })
}

/// Puts the environment over a file's tree and checks both. `variables` gets the variable behind each key.
fn checked(
    mut tree: Value,
    environment: &Environment,
    findings: &mut Findings,
    variables: &mut BTreeMap<String, String>,
) -> Value {
    let schema = keys::schema();
    for over in environment.overrides(&schema, findings) {
        if matches!(tree, Value::Map(_) | Value::Null) {
            tree.set(&over.path, over.value);
        }
        variables.insert(over.path.join("."), over.variable);
    }
    let allow_unprotected = environment.allows_unprotected(findings);
    Checker { findings, allow_unprotected }.check(&schema, &tree)
}

/// Another version than the implemented one is only worth a line, as in zot.
fn check_spec_version(source: &mut Source<'_>) {
    const KEY: &str = "distSpecVersion";
    if let Some(version) = source.text(KEY).filter(|version| *version != SPEC_VERSION) {
        let text =
            format!("the file was written for {version}; {SPEC_VERSION} is implemented, and clients of any 1.x work");
        source.notice(Weight::Info, KEY, text);
    }
}
