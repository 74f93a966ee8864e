//! Providers of logins and of workloads, with what stands in files.

use std::path::Path;
use std::sync::Arc;

use wharf_auth::openid::{InvalidProvider, LoginSettings, Logins, SigningKey, WorkloadSettings, Workloads};
use wharf_auth::session::Sessions;
use wharf_auth::{Browsers, Password};
use wharf_http::RegistryKeys;
use wharf_registry::Registry;

use super::wrong;
use crate::config::{self, OpenIdProvider, Workload, secrets};
use crate::store::StartError;

/// Tokens of workloads, if there are any.
pub(super) fn workloads(all: &[Workload]) -> Result<Option<Workloads>, StartError> {
    let settings = all.iter().enumerate().map(|(i, workload)| settings(i, workload));
    let settings: Vec<_> = settings.collect::<Result<_, _>>()?;
    if settings.is_empty() {
        return Ok(None);
    }
    Workloads::new(&settings).map(Some).map_err(|error| invalid("http.auth.bearer.oidc", &error))
}

fn settings(i: usize, workload: &Workload) -> Result<WorkloadSettings, StartError> {
    let inline = workload.certificate_authority.as_ref().map(|pem| pem.clone().into_bytes());
    let key = format!("http.auth.bearer.oidc[{i}].certificateAuthorityFile");
    let authorities = match &workload.authorities {
        Some(path) => Some(std::fs::read(path).map_err(|error| wrong(key, path, error))?),
        None => inline,
    };
    Ok(WorkloadSettings {
        issuer: workload.issuer.clone(),
        audiences: workload.audiences.clone(),
        mapping: workload.claim_mapping.clone(),
        authorities,
        skip_issuer: workload.skip_issuer_verification,
    })
}

/// What there is for browsers, under the key that all replicas share: sessions wherever people log in with a password or at a provider.
pub(super) fn browsers(
    config: &config::Access,
    shared: &[u8],
    registry: &Registry,
) -> Result<Option<Browsers>, StartError> {
    const KEY: &str = "http.auth.openid";
    if config.openid.is_none() && config.htpasswd.is_none() && config.ldap.is_none() {
        return Ok(None);
    }
    let providers = config.openid.as_ref().map(|from| {
        let all = from.providers.iter().map(login).collect::<Result<_, _>>()?;
        Logins::new(shared, all, from.origins.clone()).map_err(|error| invalid(KEY, &error))
    });
    let sessions = Sessions::new(shared, Arc::new(RegistryKeys::sessions(registry.clone())));
    let no_cipher = || invalid("http.auth", &InvalidProvider::new("there is no cipher for sessions"));
    let (providers, sessions) = (providers.transpose()?, sessions.ok_or_else(no_cipher)?);
    Ok(Some(Browsers { providers, sessions, secure: config.secure_session }))
}

fn login(provider: &OpenIdProvider) -> Result<LoginSettings, StartError> {
    let key = |rest: &str| format!("http.auth.openid.providers.{}.{rest}", provider.name);
    let mut client_id = provider.client_id.clone().unwrap_or_default();
    let mut client_secret = provider.client_secret.clone();
    if let Some(path) = &provider.credentials {
        let read = secrets(path, ["clientid", "clientsecret"]);
        let [id, secret] = read.map_err(|error| wrong(key("credentialsFile"), path, error))?;
        client_id = id;
        client_secret = (!secret.is_empty()).then(|| Password::new(secret.as_bytes()));
    }
    let client_key = provider.key.as_deref().map(|path: &Path| {
        let file = std::fs::read(path).map_err(|error| wrong(key("keypath"), path, error))?;
        SigningKey::new(&file).map_err(|error| wrong(key("keypath"), path, error))
    });
    Ok(LoginSettings {
        key: provider.name.clone(),
        dialect: provider.dialect.clone(),
        client_id,
        client_secret,
        client_key: client_key.transpose()?,
        scopes: provider.scopes.clone(),
        claims: provider.claims.clone(),
    })
}

fn invalid(key: &str, error: &InvalidProvider) -> StartError {
    wrong(key, Path::new("the configuration"), error)
}
