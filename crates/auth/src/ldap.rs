//! Users of a directory (LDAP, RFC 4511): one is found by a search, and known by a bind under its own name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions, ldap_escape};
use quick_cache::sync::Cache;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::caller::Password;
use crate::secret;

/// How long one server may take for a login, and how long all of them together.
const PATIENCE: Duration = Duration::from_secs(5);
const ALTOGETHER: Duration = Duration::from_secs(12);
/// How many logins are under way at a time.
const AT_ONCE: usize = 16;
/// How long a login counts without asking again, for clients that show a password with each request, and how many do.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
const REMEMBERED: usize = 4096;
/// The result code of a wrong name or password (RFC 4511, 4.1.9).
const INVALID_CREDENTIALS: u32 = 49;

/// Where the directory is, and how users stand in it.
#[derive(Clone, Default)]
pub struct DirectorySettings {
    /// URLs of servers with the same content, in the order in which they are asked: `ldaps://host:636`.
    pub servers: Vec<String>,
    /// Below this users are looked for.
    pub base: String,
    /// The attribute that is a user's name.
    pub user_attribute: String,
    /// What else holds of a user, as a filter.
    pub user_filter: Option<String>,
    /// The attribute that holds a user's groups.
    pub group_attribute: Option<String>,
    /// Not only directly below the base.
    pub subtree: bool,
    /// Begin to encrypt a plain connection before anything else.
    pub start_tls: bool,
    /// Believe any certificate.
    pub skip_verify: bool,
    /// Certificates (PEM) that are believed in place of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Who searches; nobody in particular otherwise.
    pub searcher: Option<(String, Password)>,
}

/// See the module.
pub struct Directory {
    settings: DirectorySettings,
    tls: Option<Arc<rustls::ClientConfig>>,
    turns: Semaphore,
    /// Logins by a mark of name and password, and users by a mark of the name, under a key of this process alone.
    known: Cache<[u8; 32], (Instant, Arc<Entry>)>,
    key: hmac::Key,
}

/// Somebody in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As the directory spells it.
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// No server answers as it should.
#[derive(Debug, thiserror::Error)]
#[error("the directory does not answer: {0}")]
pub struct DirectoryDown(String);

/// Why a directory cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDirectory(String);

impl Directory {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Where the authorities cannot be read.
    pub fn new(settings: DirectorySettings) -> Result<Self, InvalidDirectory> {
        let tls = settings.authorities.as_deref().map(tls).transpose()?;
        let known = Cache::new(REMEMBERED);
        Ok(Self { settings, tls, turns: Semaphore::new(AT_ONCE), known, key: secret::fresh_key() })
    }

    /// Who has this name and password; `None` where nobody has.
    pub(crate) async fn login(&self, user: &str, password: &Password) -> Result<Option<Arc<Entry>>, DirectoryDown> {
        // A bind without a password succeeds, as nobody.
        if user.is_empty() || password.as_bytes().is_empty() {
            return Ok(None);
        }
        self.remembered(&[user.as_bytes(), password.as_bytes()], user, Some(password)).await
    }

    /// Who has this name, without a password: whether a user is still there, and in which groups.
    pub(crate) async fn look_up(&self, user: &str) -> Result<Option<Arc<Entry>>, DirectoryDown> {
        self.remembered(&[user.as_bytes()], user, None).await
    }

    /// What was found a moment ago under a mark of these parts, or else is now.
    async fn remembered(
        &self,
        parts: &[&[u8]],
        user: &str,
        password: Option<&Password>,
    ) -> Result<Option<Arc<Entry>>, DirectoryDown> {
        let mark = secret::mark(&self.key, parts);
        if let Some((at, entry)) = self.known.get(&mark)
            && at.elapsed() < REMEMBERED_FOR
        {
            return Ok(Some(entry));
        }
        let asked = tokio::time::timeout(ALTOGETHER, self.ask_any(user, password)).await;
        let entry = asked.map_err(|_| DirectoryDown(format!("nothing came within {ALTOGETHER:?}")))??.map(Arc::new);
        match &entry {
            Some(entry) => self.known.insert(mark, (Instant::now(), entry.clone())),
            None => _ = self.known.remove(&mark),
        }
        Ok(entry)
    }

    /// Asks one server after the other, until one answers.
    async fn ask_any(&self, user: &str, password: Option<&Password>) -> Result<Option<Entry>, DirectoryDown> {
        let _turn = self.turns.acquire().await.map_err(|error| DirectoryDown(error.to_string()))?;
        let mut failures = Vec::new();
        for server in &self.settings.servers {
            match tokio::time::timeout(PATIENCE, self.ask(server, user, password)).await {
                Ok(Ok(entry)) => return Ok(entry),
                Ok(Err(error)) => failures.push(format!("{server}: {error}")),
                Err(_) => failures.push(format!("{server}: nothing came within {PATIENCE:?}")),
            }
        }
        Err(DirectoryDown(failures.join("; ")))
    }

    async fn ask(&self, server: &str, user: &str, password: Option<&Password>) -> Result<Option<Entry>, LdapError> {
        let (connection, mut ldap) = LdapConnAsync::with_settings(self.connection(), server).await?;
        let driver = tokio::spawn(connection.drive());
        let found = self.find_and_bind(&mut ldap, user, password).await;
        // The server need not be told that this is the end.
        driver.abort();
        found
    }

    fn connection(&self) -> LdapConnSettings {
        let settings = LdapConnSettings::new().set_conn_timeout(PATIENCE).set_starttls(self.settings.start_tls);
        let settings = settings.set_no_tls_verify(self.settings.skip_verify);
        match &self.tls {
            Some(tls) => settings.set_config(tls.clone()),
            None => settings,
        }
    }

    async fn find_and_bind(
        &self,
        ldap: &mut Ldap,
        user: &str,
        password: Option<&Password>,
    ) -> Result<Option<Entry>, LdapError> {
        if let Some((dn, secret)) = &self.settings.searcher {
            ldap.simple_bind(dn, &String::from_utf8_lossy(secret.as_bytes())).await?.success()?;
        }
        let found = self.find(ldap, user).await?;
        let Some(password) = password else { return Ok(found.map(|entry| self.entry(user, entry))) };
        // Somebody who is not there takes as long as a wrong password.
        let stand_in = || format!("{}={},{}", self.settings.user_attribute, escape_dn(user), self.settings.base);
        let dn = found.as_ref().map_or_else(stand_in, |entry| entry.dn.clone());
        let bound = ldap.simple_bind(&dn, &String::from_utf8_lossy(password.as_bytes())).await?;
        match (bound.rc, found) {
            (0, Some(entry)) => Ok(Some(self.entry(user, entry))),
            (0 | INVALID_CREDENTIALS, _) | (_, None) => Ok(None),
            (_, Some(_)) => bound.success().map(|_| None),
        }
    }

    /// The one entry of this name. Where there are several, nobody knows who is meant.
    async fn find(&self, ldap: &mut Ldap, user: &str) -> Result<Option<SearchEntry>, LdapError> {
        let settings = &self.settings;
        let scope = if settings.subtree { Scope::Subtree } else { Scope::OneLevel };
        let name = format!("({}={})", settings.user_attribute, ldap_escape(user));
        let filter = match settings.user_filter.as_deref().map(str::trim).filter(|filter| !filter.is_empty()) {
            Some(filter) if filter.starts_with('(') => format!("(&{name}{filter})"),
            Some(filter) => format!("(&{name}({filter}))"),
            None => name,
        };
        let mut attributes = vec![settings.user_attribute.as_str()];
        attributes.extend(settings.group_attribute.as_deref());
        let found = ldap
            .with_search_options(SearchOptions::new().sizelimit(2))
            .search(&settings.base, scope, &filter, attributes)
            .await?;
        /// sizeLimitExceeded and noSuchObject.
        const NOT_ONE: [u32; 2] = [4, 32];
        if NOT_ONE.contains(&found.1.rc) {
            return Ok(None);
        }
        let (entries, _) = found.success()?;
        let mut entries = entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        match (entries.next(), entries.next()) {
            (Some(only), None) => Ok(Some(SearchEntry::construct(only))),
            _ => Ok(None),
        }
    }

    fn entry(&self, user: &str, entry: SearchEntry) -> Entry {
        let values = |name: &str| {
            let mut all = entry.attrs.iter();
            all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, values)| values.clone()).unwrap_or_default()
        };
        // A directory does not care about case; policies do.
        let spelled = values(&self.settings.user_attribute).into_iter().find(|name| name.eq_ignore_ascii_case(user));
        let groups = self.settings.group_attribute.as_deref().map(values).unwrap_or_default();
        Entry { name: spelled.unwrap_or_else(|| user.to_owned()), groups }
    }
}

/// A value within a distinguished name (RFC 4514, 2.4).
fn escape_dn(value: &str) -> String {
    value
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("\\{b:02x}") })
        .collect()
}

fn tls(authorities: &[u8]) -> Result<Arc<rustls::ClientConfig>, InvalidDirectory> {
    let invalid = |error: &dyn fmt::Display| InvalidDirectory(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        roots.add(certificate.map_err(|error| invalid(&error))?).map_err(|error| invalid(&error))?;
    }
    if roots.is_empty() {
        return Err(InvalidDirectory("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| invalid(&error))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("servers", &self.settings.servers).finish_non_exhaustive()
    }
}

impl fmt::Debug for DirectorySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectorySettings")
            .field("servers", &self.servers)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_filter_or_a_dn() {
        assert_eq!(ldap_escape("a*)(uid=*"), "a\\2a\\29\\28uid=\\2a");
        assert_eq!(escape_dn("a,ou=x+"), "a\\2cou\\3dx\\2b");
    }

    #[tokio::test]
    async fn an_empty_password_asks_nobody() {
        let directory = Directory::new(DirectorySettings::default()).unwrap();
        assert_eq!(directory.login("eve", &Password::new(b"")).await.unwrap(), None);
        assert!(directory.login("eve", &Password::new(b"x")).await.is_err(), "there is no server to ask");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        for file in [&b""[..], b"nonsense"] {
            let settings = DirectorySettings { authorities: Some(file.to_vec()), ..DirectorySettings::default() };
            assert!(Directory::new(settings).is_err());
        }
    }
}
