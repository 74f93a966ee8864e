//! `http.auth` and `http.accessControl`: how callers are known, and what they may do.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use wharf_auth::ChallengeKind;
use wharf_auth::certificate::Identity;
use wharf_auth::ldap::DirectorySettings;
use wharf_auth::openid::Dialect;
use wharf_auth::policy::{Logins, Policy, Rules};

use super::findings::Weight;
use super::openid::{OpenId, Workload};
use super::section::Source;

/// What a challenge calls the registry, as in zot.
const REALM: &str = "Authorization Required";
/// How long a token of our own is good for: below it clients would ask for new ones in the middle of a pull.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
const LIFETIMES: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3600);

/// Both sections.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// `http.realm`.
    pub(crate) realm: String,
    /// `failDelay`.
    pub(crate) fail_delay: Duration,
    /// `htpasswd.path`.
    pub(crate) htpasswd: Option<PathBuf>,
    /// `ldap`.
    pub(crate) ldap: Option<Ldap>,
    /// `mtls`, or its defaults where clients may show certificates.
    pub(crate) certificates: Option<Identity>,
    /// `bearer`.
    pub(crate) bearer: Option<Bearer>,
    /// `bearer.oidc`.
    pub(crate) workloads: Vec<Workload>,
    /// `bearer.realm` and `bearer.service` beside it, without a key of a token service.
    pub(crate) told: Option<(String, String)>,
    /// `openid`.
    pub(crate) openid: Option<OpenId>,
    /// `secureSession`.
    pub(crate) secure_session: Option<bool>,
    /// `apikey`, which comes with `openid`.
    pub(crate) api_keys: bool,
    /// `token.challenge`.
    pub(crate) challenge: ChallengeKind,
    /// `token.lifetime`.
    pub(crate) lifetime: Duration,
    /// `sessionKeysFile`.
    pub(crate) session_keys: Option<PathBuf>,
    /// `accessControl`, which was tried.
    pub(crate) rules: Option<Rules>,
    /// What logins there are.
    pub(crate) logins: Logins,
}

/// A token service elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    /// Its URL.
    pub(crate) realm: String,
    /// Its name for this registry.
    pub(crate) service: String,
    /// The file of its keys.
    pub(crate) cert: PathBuf,
}

/// A directory.
#[derive(Clone, Debug)]
pub(crate) struct Ldap {
    /// All but what stands in files.
    pub(crate) settings: DirectorySettings,
    /// `credentialsFile`.
    pub(crate) credentials: Option<PathBuf>,
    /// `cacert`.
    pub(crate) cacert: Option<PathBuf>,
}

impl Access {
    /// Reads the sections.
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let path = |source: &Source<'_>, key| source.text(key).map(PathBuf::from);
        let fail_delay = source.int("http.auth.failDelay").unwrap_or(0);
        if !(0..=60).contains(&fail_delay) {
            source.problem("http.auth.failDelay", "must be a number of seconds from 0 to 60");
        }
        let htpasswd = match source.is_on("http.auth.htpasswd") {
            true => source.required("http.auth.htpasswd.path", "the file of users").map(PathBuf::from),
            false => path(source, "http.auth.htpasswd.path"),
        };
        let bearer = Bearer::read(source);
        let ldap = Ldap::read(source);
        let certificates = certificates(source);
        let workloads = Workload::read(source);
        let openid = OpenId::read(source);
        let api_keys = source.switch("http.auth.apikey").unwrap_or(false) || openid.is_some();
        let elsewhere = ["ldap", "openid", "bearer.oidc", "bearer.awsSecretsManager"];
        let elsewhere = elsewhere.iter().any(|way| source.is_on(&format!("http.auth.{way}")));
        let logins = Logins {
            any: htpasswd.is_some() || bearer.is_some() || api_keys || certificates.is_some() || elsewhere,
            tell_groups: ["ldap.userGroupAttribute", "openid", "bearer.oidc"]
                .iter()
                .any(|way| source.is_on(&format!("http.auth.{way}"))),
        };
        let rules = rules(source, logins);
        Self {
            realm: source.text("http.realm").unwrap_or(REALM).to_owned(),
            fail_delay: Duration::from_secs(u64::try_from(fail_delay).unwrap_or(0)),
            htpasswd,
            ldap,
            certificates,
            told: told(source, bearer.is_none() && !workloads.is_empty()),
            bearer,
            workloads,
            openid,
            secure_session: source.switch("http.auth.secureSession"),
            api_keys,
            challenge: match source.text("http.auth.token.challenge") {
                Some("token") => ChallengeKind::Token,
                Some("password") => ChallengeKind::Password,
                _ => ChallengeKind::Auto,
            },
            lifetime: lifetime(source),
            session_keys: path(source, "http.auth.sessionKeysFile"),
            rules,
            logins,
        }
    }

    /// The decision, as configured.
    pub(crate) fn policy(&self) -> Policy {
        let rules = self.rules.as_ref();
        let policy = rules.map(|rules| Policy::new(rules, self.logins));
        // Rules that are wrong refuse the configuration before anybody asks.
        policy.and_then(Result::ok).unwrap_or_else(|| Policy::without_rules(self.logins))
    }

    /// Files whose change is a change of the configuration. The htpasswd file is looked at by itself.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let bearer = self.bearer.as_ref().map(|bearer| bearer.cert.clone());
        let ldap = self.ldap.iter().flat_map(|ldap| ldap.credentials.iter().chain(&ldap.cacert)).cloned();
        let workloads = self.workloads.iter().flat_map(|workload| workload.authorities.clone());
        let providers = self.openid.iter().flat_map(|openid| &openid.providers);
        let providers = providers.flat_map(|provider| provider.credentials.iter().chain(&provider.key)).cloned();
        let others = workloads.chain(providers).chain(self.session_keys.clone());
        bearer.into_iter().chain(ldap).chain(others).collect()
    }

    /// Whether anybody who reaches the port may do everything.
    pub(super) const fn is_open(&self) -> bool {
        !self.logins.any && self.rules.is_none()
    }

    fn has_provider(&self, is_it: fn(&Dialect) -> bool) -> bool {
        self.openid.iter().flat_map(|openid| &openid.providers).any(|provider| is_it(&provider.dialect))
    }

    /// The ways to log in, for people.
    pub(super) fn shown(&self) -> String {
        let ways = [
            self.bearer.is_some().then_some("tokens from elsewhere"),
            self.htpasswd.is_some().then_some("htpasswd"),
            self.ldap.is_some().then_some("LDAP"),
            self.certificates.is_some().then_some("certificates"),
            (!self.workloads.is_empty()).then_some("workload identity"),
            self.has_provider(|dialect| matches!(dialect, Dialect::OpenId(_))).then_some("OpenID Connect"),
            self.has_provider(|dialect| matches!(dialect, Dialect::GitHub(_))).then_some("GitHub"),
            self.api_keys.then_some("API keys"),
        ];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        if ways.is_empty() { "nobody is asked to log in".to_owned() } else { ways.join(", ") }
    }
}

impl Bearer {
    fn read(source: &mut Source<'_>) -> Option<Self> {
        if !source.is_on("http.auth.bearer") {
            return None;
        }
        let others = ["http.auth.bearer.oidc", "http.auth.bearer.awsSecretsManager"];
        if source.text("http.auth.bearer.cert").is_none() && others.iter().any(|key| source.is_on(key)) {
            return None;
        }
        let realm = source.required("http.auth.bearer.realm", "the URL of the token service");
        let service = source.required("http.auth.bearer.service", "what the token service calls this registry");
        let cert = source.required("http.auth.bearer.cert", "the file with the keys of the token service");
        Some(Self { realm: realm?.to_owned(), service: service?.to_owned(), cert: cert?.into() })
    }
}

/// The token service that clients are told of, where there are only tokens of workloads.
fn told(source: &Source<'_>, is_wanted: bool) -> Option<(String, String)> {
    let realm = source.text("http.auth.bearer.realm").filter(|_| is_wanted)?;
    Some((realm.to_owned(), source.text("http.auth.bearer.service").unwrap_or_default().to_owned()))
}

impl Ldap {
    fn read(source: &mut Source<'_>) -> Option<Self> {
        if !source.is_on("http.auth.ldap") {
            return None;
        }
        let address = source.required("http.auth.ldap.address", "the host of the directory, or several between commas");
        let base = source.required("http.auth.ldap.baseDN", "where users are looked for");
        let user_attribute =
            source.required("http.auth.ldap.userAttribute", "the attribute that is a user's name, such as uid");
        let path = |key| source.text(key).map(PathBuf::from);
        let (credentials, cacert) = (path("http.auth.ldap.credentialsFile"), path("http.auth.ldap.cacert"));
        let on = |key: &str| source.switch(key).unwrap_or(false);
        let plain = on("http.auth.ldap.insecure");
        let (scheme, usual) = if plain { ("ldap", 389) } else { ("ldaps", 636) };
        let port = source.int("http.auth.ldap.port").filter(|port| *port != 0).unwrap_or(usual);
        let servers = address?
            .split([',', ' '])
            .filter(|host| !host.is_empty())
            .map(|host| format!("{scheme}://{host}:{port}"))
            .collect();
        let settings = DirectorySettings {
            servers,
            base: base?.to_owned(),
            user_attribute: user_attribute?.to_owned(),
            user_filter: source.text("http.auth.ldap.userFilter").map(str::to_owned),
            group_attribute: source.text("http.auth.ldap.userGroupAttribute").map(str::to_owned),
            subtree: on("http.auth.ldap.subtreeSearch"),
            start_tls: plain && on("http.auth.ldap.startTLS"),
            skip_verify: on("http.auth.ldap.skipVerify"),
            ..DirectorySettings::default()
        };
        if plain && !settings.start_tls {
            let text = "passwords pass to the directory unencrypted: set startTLS too, or leave insecure out";
            source.notice(Weight::Warn, "http.auth.ldap.insecure", text);
        }
        Some(Self { settings, credentials, cacert })
    }
}

/// Where certificates have a name, if clients may show any.
fn certificates(source: &mut Source<'_>) -> Option<Identity> {
    const KEY: &str = "http.auth.mtls";
    let asked = source.is_on(KEY);
    if source.text("http.tls.cacert").is_none() {
        if asked {
            source.problem(KEY, "needs http.tls.cacert, which vouches for the certificates of clients");
        }
        return None;
    }
    let mut identity = Identity::default();
    let words = source.texts("http.auth.mtls.identityAttributes");
    if !words.is_empty() {
        let attributes: Result<Vec<_>, _> = words.iter().map(|word| word.parse()).collect();
        match attributes {
            Ok(attributes) => identity.attributes = attributes,
            Err(unknown) => source.problem("http.auth.mtls.identityAttributes", unknown.to_string()),
        }
    }
    if let Some(pattern) = source.text("http.auth.mtls.uriSanPattern") {
        match Regex::new(pattern) {
            Ok(pattern) => identity.uri_pattern = Some(pattern),
            Err(error) => source.problem("http.auth.mtls.uriSanPattern", format!("is no pattern: {error}")),
        }
    }
    let index = |key| usize::try_from(source.int(key).unwrap_or(0)).unwrap_or(usize::MAX);
    identity.uri_index = index("http.auth.mtls.uriSanIndex");
    identity.dns_index = index("http.auth.mtls.dnsSanIndex");
    identity.email_index = index("http.auth.mtls.emailSanIndex");
    Some(identity)
}

fn lifetime(source: &mut Source<'_>) -> Duration {
    const KEY: &str = "http.auth.token.lifetime";
    let lifetime = source.duration(KEY).unwrap_or(LIFETIME);
    if !LIFETIMES.contains(&lifetime) {
        source.problem(KEY, "must be from 1m to 1h");
    }
    lifetime
}

/// The rules, unless there are none; what is wrong with them is said.
fn rules(source: &mut Source<'_>, logins: Logins) -> Option<Rules> {
    const KEY: &str = "http.accessControl";
    // Nothing in it is as if it were not there, as in zot.
    let tree = source.value(KEY).filter(|tree| !tree.is_empty())?;
    let rules: Rules = match serde_json::from_value(tree.to_json()) {
        Ok(rules) => rules,
        Err(error) => {
            source.problem(KEY, format!("cannot be read: {error}"));
            return None;
        }
    };
    for problem in Policy::new(&rules, logins).err().unwrap_or_default() {
        source.findings.problem(&format!("{KEY}.{}", problem.key), None, problem.text);
    }
    Some(rules)
}
