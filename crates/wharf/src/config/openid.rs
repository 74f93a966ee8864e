//! `http.auth.openid` and `http.auth.bearer.oidc`: providers of OpenID Connect, and GitHub, for people; and those for workloads.

use std::path::PathBuf;

use serde::Deserialize;
use wharf_auth::Password;
use wharf_auth::openid::{ClaimMapping, ClaimNames, Dialect, GitHubPages, Workloads};

use super::findings::Weight;
use super::section::Source;
use super::value::Value;

/// What a provider may be called, as in zot. The last one speaks another protocol.
const PROVIDERS: [&str; 4] = ["google", "gitlab", "oidc", GITHUB];
const GITHUB: &str = "github";
/// What may be the name of a user of GitHub. What they write into their profile may not.
const GITHUB_NAMES: [&str; 3] = ["email", "login", "id"];
/// With any of these GitHub tells addresses.
const GITHUB_TELLS_ADDRESSES: [&str; 2] = ["user:email", "user"];

/// Logins of people.
#[derive(Clone, Debug)]
pub(crate) struct OpenId {
    /// Where.
    pub(crate) providers: Vec<OpenIdProvider>,
    /// `callbackAllowOrigins`.
    pub(crate) origins: Vec<String>,
}

/// One provider.
#[derive(Clone, Debug)]
pub(crate) struct OpenIdProvider {
    /// What it is called.
    pub(crate) name: String,
    /// `issuer`; of GitHub, `authurl` and `tokenurl`.
    pub(crate) dialect: Dialect,
    /// `clientid`, unless it stands in a file.
    pub(crate) client_id: Option<String>,
    /// `clientsecret`.
    pub(crate) client_secret: Option<Password>,
    /// `credentialsFile`.
    pub(crate) credentials: Option<PathBuf>,
    /// `keypath`.
    pub(crate) key: Option<PathBuf>,
    /// `scopes`.
    pub(crate) scopes: Vec<String>,
    /// `claimMapping`.
    pub(crate) claims: ClaimNames,
}

/// One provider of tokens of workloads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Workload {
    /// Its URL.
    pub(crate) issuer: String,
    /// For whom tokens must be.
    pub(crate) audiences: Vec<String>,
    /// Whose a token is.
    pub(crate) claim_mapping: ClaimMapping,
    /// A certificate, as it stands in the configuration.
    pub(crate) certificate_authority: Option<String>,
    /// `certificateAuthorityFile`.
    #[serde(rename = "certificateAuthorityFile")]
    pub(crate) authorities: Option<PathBuf>,
    /// `skipIssuerVerification`.
    pub(crate) skip_issuer_verification: bool,
}

impl OpenId {
    /// Reads the block, if something is asked for in it.
    pub(super) fn read(source: &mut Source<'_>) -> Option<Self> {
        const KEY: &str = "http.auth.openid";
        if !source.is_on(KEY) {
            return None;
        }
        let Some(Value::Map(entries)) = source.value("http.auth.openid.providers") else {
            source.missing("http.auth.openid.providers", "the providers of logins");
            return None;
        };
        let providers: Vec<_> =
            entries.iter().filter_map(|(name, _)| OpenIdProvider::read(source, &name.to_ascii_lowercase())).collect();
        if entries.is_empty() {
            source.missing("http.auth.openid.providers", "the providers of logins");
        }
        let origins = source.texts("http.auth.openid.callbackAllowOrigins");
        for origin in &origins {
            let url = origin.parse::<url::Url>().ok();
            if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && matches!(url.path(), "/" | "")) {
                let text = "must be origins, as in https://ui.example.org";
                source.problem("http.auth.openid.callbackAllowOrigins", text);
            }
        }
        Some(Self { providers, origins: origins.into_iter().map(str::to_owned).collect() })
    }
}

impl OpenIdProvider {
    fn read(source: &mut Source<'_>, name: &str) -> Option<Self> {
        let key = |rest: &str| format!("http.auth.openid.providers.{name}.{rest}");
        if !PROVIDERS.contains(&name) {
            let text = format!("there is no such provider: a provider is called {}", PROVIDERS.join(", "));
            source.findings.problem(&format!("http.auth.openid.providers.{name}"), None, text);
            return None;
        }
        let path = |source: &Source<'_>, rest: &str| source.text(&key(rest)).map(PathBuf::from);
        let (credentials, client_key) = (path(source, "credentialsFile"), path(source, "keypath"));
        let dialect = if name == GITHUB { github(source, &key) } else { connect(source, &key) }?;
        let client_id = match credentials {
            Some(_) => source.text(&key("clientid")),
            None => Some(source.required(&key("clientid"), "what the provider calls this registry")?),
        };
        let scopes: Vec<_> = source.texts(&key("scopes")).into_iter().map(str::to_owned).collect();
        if scopes.is_empty() {
            let examples = if name == GITHUB { "user:email and read:org" } else { "openid, email and groups" };
            source.missing(&key("scopes"), format_args!("what is asked of the provider, such as {examples}"));
        }
        let usual = ClaimNames::default();
        let claim = |rest: &str, usual: String| source.text(&key(rest)).map_or(usual, str::to_owned);
        let claims = ClaimNames {
            username: claim("claimMapping.username", usual.username),
            groups: claim("claimMapping.groups", usual.groups),
        };
        if name == GITHUB {
            check_github(source, &key, &claims, &scopes);
        }
        Some(Self {
            name: name.to_owned(),
            dialect,
            client_id: client_id.map(str::to_owned),
            client_secret: source.text(&key("clientsecret")).map(|secret| Password::new(secret.as_bytes())),
            credentials,
            key: client_key.filter(|_| name != GITHUB),
            scopes,
            claims,
        })
    }
}

/// A provider of OpenID Connect.
fn connect(source: &mut Source<'_>, key: &dyn Fn(&str) -> String) -> Option<Dialect> {
    let issuer = source.required(&key("issuer"), "the URL of the provider")?.to_owned();
    warn_of_plain(source, &key("issuer"), &issuer);
    Some(Dialect::OpenId(issuer))
}

/// GitHub, or one of one's own.
fn github(source: &mut Source<'_>, key: &dyn Fn(&str) -> String) -> Option<Dialect> {
    let (authorize, token) = (source.text(&key("authurl")), source.text(&key("tokenurl")));
    if authorize.is_none() && token.is_none() {
        return Some(Dialect::GitHub(None));
    }
    let authorize = source.required(&key("authurl"), "where a browser logs in, beside tokenurl");
    let token = source.required(&key("tokenurl"), "where a code is taken, beside authurl");
    let pages = GitHubPages { authorize: authorize?.to_owned(), token: token?.to_owned() };
    warn_of_plain(source, &key("authurl"), &pages.authorize);
    warn_of_plain(source, &key("tokenurl"), &pages.token);
    Some(Dialect::GitHub(Some(pages)))
}

/// What GitHub knows or does not know.
fn check_github(source: &mut Source<'_>, key: &dyn Fn(&str) -> String, claims: &ClaimNames, scopes: &[String]) {
    if source.text(&key("credentialsFile")).is_none() {
        source.required(&key("clientsecret"), "the secret between GitHub and this registry");
    }
    if source.text(&key("keypath")).is_some() {
        source.notice(Weight::Warn, &key("keypath"), "GitHub takes the secret alone, and no key");
    }
    if !GITHUB_NAMES.contains(&claims.username.as_str()) {
        let text = format!("must be one of {}", GITHUB_NAMES.join(", "));
        source.problem(&key("claimMapping.username"), text);
    }
    let tells = |scope: &String| GITHUB_TELLS_ADDRESSES.contains(&scope.as_str());
    if claims.username == "email" && !scopes.is_empty() && !scopes.iter().any(tells) {
        let text = "GitHub tells no addresses without user:email, so that nobody has a name";
        source.notice(Weight::Warn, &key("scopes"), text);
    }
}

impl Workload {
    /// Reads the list.
    pub(super) fn read(source: &mut Source<'_>) -> Vec<Self> {
        const KEY: &str = "http.auth.bearer.oidc";
        let Some(Value::List(items)) = source.value(KEY) else { return Vec::new() };
        let items = items.iter().enumerate().filter(|(_, item)| **item != Value::Null);
        items.filter_map(|(i, item)| Self::read_one(source, &format!("{KEY}[{i}]"), item)).collect()
    }

    fn read_one(source: &mut Source<'_>, key: &str, item: &Value) -> Option<Self> {
        let workload: Self = match serde_json::from_value(item.to_json()) {
            Ok(workload) => workload,
            Err(error) => {
                source.findings.problem(key, None, format!("cannot be read: {error}"));
                return None;
            }
        };
        if workload.issuer.is_empty() {
            source.missing(&format!("{key}.issuer"), "the URL of the provider");
        }
        if workload.audiences.iter().all(String::is_empty) {
            source.missing(&format!("{key}.audiences"), "for whom a token must be, such as this registry's name");
        }
        let mut problem = |rest: &str, text: &str| source.findings.problem(&format!("{key}.{rest}"), None, text);
        if workload.certificate_authority.is_some() && workload.authorities.is_some() {
            problem("certificateAuthority", "is given beside certificateAuthorityFile: one of them");
        }
        if let Err(why) = Workloads::check(&workload.claim_mapping) {
            // Behind the first line stands a picture of where.
            let text = why.text.lines().next().unwrap_or_default();
            problem(&format!("claimMapping.{}", why.key), &format!("is no expression: {text}"));
        }
        warn_of_plain(source, &format!("{key}.issuer"), &workload.issuer);
        if workload.skip_issuer_verification {
            let text = "tokens are believed whatever they say of their issuer: for tests";
            source.notice(Weight::Warn, &format!("{key}.skipIssuerVerification"), text);
        }
        Some(workload)
    }
}

fn warn_of_plain(source: &mut Source<'_>, key: &str, issuer: &str) {
    if issuer.starts_with("http:") {
        let text = "the provider is asked without encryption: whoever is between can log in as anybody";
        source.notice(Weight::Warn, key, text);
    }
}
