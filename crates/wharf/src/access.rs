//! Access control as the configuration says, put together at start: its files are read here.

mod openid;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;
use wharf_auth::htpasswd::Htpasswd;
use wharf_auth::ldap::Directory;
use wharf_auth::token::{Issuer, Outside};
use wharf_auth::{Access, Gate, Keys, Password, Ways};
use wharf_http::RegistryKeys;
use wharf_registry::Registry;

use crate::config::{self, Config, secrets};
use crate::reload::{Reload, Switch};
use crate::store::StartError;

/// Follows a configuration that is read again.
pub(crate) struct Following {
    /// What requests are asked by.
    pub(crate) gate: Arc<Gate>,
    /// Where the key of tokens is, and API keys are.
    pub(crate) registry: Registry,
}

impl Reload for Following {
    fn keys(&self) -> &'static [&'static str] {
        &["http.auth", "http.accessControl", "http.realm"]
    }

    fn files(&self, config: &Config) -> Vec<PathBuf> {
        config.access.files()
    }

    fn prepare(&self, config: &Config) -> Result<Switch, String> {
        let built = Handle::current().block_on(build(&config.access, &self.registry));
        let (access, gate) = (built.map_err(|error| error.to_string())?, self.gate.clone());
        Ok(Box::new(move || gate.replace(access)))
    }
}

/// The name of the key in the store under which all replicas sign tokens, where no file has one.
const TOKEN_KEY: &str = "token-key";

/// Reads the files that the configuration names, and asks the store for the key of tokens where it is needed.
///
/// # Errors
/// Where one of them cannot be used.
pub(crate) async fn build(config: &config::Access, registry: &Registry) -> Result<Access, StartError> {
    let htpasswd = match &config.htpasswd {
        Some(path) => {
            let file = Htpasswd::open(path).map_err(|error| wrong("http.auth.htpasswd.path", path, error))?;
            Some(Arc::new(file))
        }
        None => None,
    };
    let outside = match &config.bearer {
        Some(bearer) => Some(outside(bearer)?),
        None => None,
    };
    let api_keys = config.api_keys.then(|| Keys::new(Arc::new(RegistryKeys::api_keys(registry.clone()))));
    let directory = match &config.ldap {
        Some(ldap) => Some(Arc::new(directory(ldap)?)),
        None => None,
    };
    let certificates = config.certificates.clone();
    let challenge = config.challenge;
    let (workloads, told) = (openid::workloads(&config.workloads)?, config.told.clone());
    let (issuer, browsers) = (None, None);
    let mut logins =
        Ways { htpasswd, directory, certificates, api_keys, outside, workloads, browsers, told, challenge, issuer };
    if logins.takes_passwords() && logins.outside.is_none() {
        let key = token_key(config, registry).await?;
        logins.issuer = Some(Issuer::new(&key, config.lifetime));
        logins.browsers = openid::browsers(config, &key, registry)?;
    }
    Ok(Access { policy: config.policy(), logins, realm: config.realm.clone(), fail_delay: config.fail_delay })
}

fn outside(bearer: &config::Bearer) -> Result<Outside, StartError> {
    let wrong = |error: &dyn std::fmt::Display| wrong("http.auth.bearer.cert", &bearer.cert, error);
    let file = std::fs::read(&bearer.cert).map_err(|error| wrong(&error))?;
    Outside::new(&bearer.realm, &bearer.service, &file).map_err(|error| wrong(&error))
}

fn directory(ldap: &config::Ldap) -> Result<Directory, StartError> {
    let mut settings = ldap.settings.clone();
    if let Some(path) = &ldap.cacert {
        let file = std::fs::read(path).map_err(|error| wrong("http.auth.ldap.cacert", path, error))?;
        settings.authorities = Some(file);
    }
    if let Some(path) = &ldap.credentials {
        const KEY: &str = "http.auth.ldap.credentialsFile";
        let [dn, password] = secrets(path, ["bindDN", "bindPassword"]).map_err(|error| wrong(KEY, path, error))?;
        if password.is_empty() {
            return Err(wrong(KEY, path, "must have the key bindPassword, a text"));
        }
        settings.searcher = Some((dn, Password::new(password.as_bytes())));
    }
    let path = ldap.cacert.as_deref().unwrap_or_else(|| Path::new("the system's certificates"));
    Directory::new(settings).map_err(|error| wrong("http.auth.ldap.cacert", path, error))
}

async fn token_key(config: &config::Access, registry: &Registry) -> Result<Vec<u8>, StartError> {
    if let Some(path) = &config.session_keys {
        return session_key(path).map_err(|error| wrong("http.auth.sessionKeysFile", path, error));
    }
    let key = registry.shared_secret(TOKEN_KEY).await.map_err(|error| StartError::TokenKey(Box::new(error)))?;
    Ok(key.to_vec())
}

/// The key of sessions and tokens in zot's file for it, beside one that is not needed here.
fn session_key(path: &Path) -> Result<Vec<u8>, String> {
    /// Less could be guessed.
    const LEAST: usize = 16;
    let [key, _] = secrets(path, ["hashKey", "encryptKey"])?;
    if key.len() < LEAST { Err(format!("hashKey must have at least {LEAST} characters")) } else { Ok(key.into_bytes()) }
}

fn wrong(key: impl Into<String>, path: &Path, error: impl std::fmt::Display) -> StartError {
    StartError::Access { key: key.into(), path: path.display().to_string(), error: error.to_string() }
}
