//! Who makes a request, and whether they may: what `wharf-auth` decides, as HTTP asks and answers it.
//!
//! A client that shows nothing, or something wrong, gets 401 with the challenge that tells it where to log in; one that is known
//! and may not gets 403. Both come before anything is asked of the store, so that neither the answer nor its time says whether
//! what was asked for is there.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use wharf_auth::apikey::{KeyStore, KeyStoreDown};
use wharf_auth::certificate::Names;
use wharf_auth::policy::{Action, Facts, Question};
use wharf_auth::{Access, CLIENT, Caller, ChallengeKind, Credentials, Scope, Unknown, Verdict};
use wharf_oci::{Reference, RepositoryName, Tag};
use wharf_registry::{Kept, KeptId, Owner, Registry, TagLimit};

use crate::caller::Peer;
use crate::error::WireError;
use crate::forwarded::Origin;
use crate::headers::value;
use crate::router::Route;

/// What tokens of our own are for.
const SERVICE: &str = "wharf";
/// The one tag that whoever may create may also move: zot has it so, since nobody means it to stand still.
const MOVING: &str = "latest";

/// A request as access control sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    /// What is in effect.
    pub(crate) access: &'a Access,
    /// Who.
    pub(crate) caller: &'a Caller,
    /// What conditions may look at.
    /// The name in the client's certificate.
    pub(crate) certificate: Option<&'a str>,
    facts: Facts<'a>,
    door: Door<'a>,
}

/// Where clients see this registry, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Door<'a> {
    /// From the configuration, or from a trusted proxy; else empty.
    base: &'a str,
    /// From the request.
    host: Option<&'a str>,
    is_encrypted: bool,
}

impl<'a> Door<'a> {
    fn new(parts: &'a Parts, base: &'a str) -> Self {
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let is_encrypted = parts.extensions.get::<Peer>().is_some_and(|peer| peer.is_encrypted);
        Self { base, host, is_encrypted }
    }

    /// Where our token service is. A client sends its password there, so that this is no guess: behind a proxy that speaks TLS
    /// and is not trusted to say so, `http://` would be wrong.
    fn token_service(&self, kind: ChallengeKind) -> Option<String> {
        let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']');
        let host = self.host.filter(|host| !host.is_empty() && host.bytes().all(is_host));
        match (self.base, host, kind) {
            (_, _, ChallengeKind::Password) => None,
            ("", Some(host), _) if self.is_encrypted => Some(format!("https://{host}/token")),
            ("", Some(host), ChallengeKind::Token) => Some(format!("http://{host}/token")),
            ("", _, _) => None,
            (base, _, _) => Some(format!("{base}/token")),
        }
    }

    /// Where a browser sees the root of this registry: `scheme://host`. A provider sends it back there only if it was told so before.
    fn origin(&self) -> Option<String> {
        let service = self.token_service(ChallengeKind::Token)?;
        service.strip_suffix("/token").map(str::to_owned)
    }
}

/// Who makes a request.
///
/// # Errors
/// Where what it shows is wrong.
pub(crate) async fn identify(
    access: &Access,
    credentials: &Credentials,
    parts: &Parts,
    base: &str,
    route: Option<&Route>,
) -> Result<Caller, WireError> {
    let why = match access.identify(credentials, certificate(access, parts)).await {
        Ok(caller) => return Ok(caller),
        Err(why) => why,
    };
    let error = match why {
        Unknown::Expired => Some("invalid_token"),
        Unknown::Invalid | Unknown::Refused(_) => {
            matches!(credentials, Credentials::Bearer(_)).then_some("invalid_token")
        }
        Unknown::Busy(_) => return Err(WireError::too_many_logins()),
        Unknown::Down(why) => {
            tracing::error!(error = %why, "a login cannot be checked");
            return Err(WireError::login_unavailable());
        }
    };
    let scopes = route.map(|route| scopes(route, &parts.method)).unwrap_or_default();
    let challenge = challenge(access, &Door::new(parts, base), &scopes, error);
    Err(WireError::unauthorized(why.to_string(), challenge))
}

/// Whether a request tries a login: in a header, in a form of the token service, or as one who comes back from a provider.
pub(crate) fn shows_something(parts: &Parts) -> bool {
    let tries = |route| matches!(route, Route::Token | Route::Callback(_));
    let shows = [AUTHORIZATION, CLIENT].iter().any(|name| parts.headers.contains_key(name));
    shows || Route::parse(parts.uri.path()).is_ok_and(tries)
}

/// The name in the certificate that the client showed.
pub(crate) fn certificate<'a>(access: &Access, parts: &'a Parts) -> Option<&'a str> {
    let certificate = parts.extensions.get::<Peer>()?.certificate.as_deref()?;
    access.logins.certificates.as_ref()?.of(&Names {
        common_name: certificate.common_name.as_deref(),
        subject: &certificate.subject,
        dns: &certificate.dns_names,
        emails: &certificate.emails,
        uris: &certificate.uris,
    })
}

/// What a token for this has to be asked for.
fn scopes(route: &Route, method: &Method) -> Vec<Scope> {
    let Some(name) = route.repository() else {
        return if *route == Route::Catalog { vec![Scope::catalog()] } else { Vec::new() };
    };
    let actions: &[&str] = match *method {
        Method::GET | Method::HEAD if !matches!(route, Route::Upload(..)) => &["pull"],
        Method::DELETE if !matches!(route, Route::Upload(..)) => &["delete"],
        _ => &["pull", "push"],
    };
    vec![Scope::repository(name, actions)]
}

/// Where to log in, and for what (RFC 7617; RFC 6750 with the parameters of Docker's token protocol).
fn challenge(access: &Access, door: &Door<'_>, scopes: &[Scope], error: Option<&str>) -> HeaderValue {
    let ours = || access.logins.issuer.as_ref().and_then(|_| door.token_service(access.logins.challenge));
    let (realm, service) = match (&access.logins.outside, &access.logins.told) {
        (Some(outside), _) => (outside.realm.clone(), outside.service.as_str()),
        (None, Some((realm, service))) => (realm.clone(), service.as_str()),
        (None, None) => match ours() {
            Some(realm) => (realm, SERVICE),
            None => return basic_challenge(access),
        },
    };
    let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    let mut text = format!("Bearer realm={},service={}", quoted(&realm), quoted(service));
    if !scopes.is_empty() {
        text.push_str(&format!(",scope={}", quoted(&scopes.join(" "))));
    }
    if let Some(error) = error {
        text.push_str(&format!(",error={}", quoted(error)));
    }
    value(text)
}

/// A password is asked for.
pub(crate) fn basic_challenge(access: &Access) -> HeaderValue {
    value(format_args!("Basic realm={}", quoted(&access.realm)))
}

fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

impl<'a> Visit<'a> {
    /// A request of somebody who is known by now.
    pub(crate) fn new(
        access: &'a Access,
        caller: &'a Caller,
        parts: &'a Parts,
        origin: &'a Origin,
        base: &'a str,
    ) -> Self {
        let text = |name: http::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let door = Door::new(parts, base);
        let facts = Facts {
            method: parts.method.as_str(),
            user_agent: text(USER_AGENT),
            client: Some(origin.client),
            forwarded_for: text(http::HeaderName::from_static("x-forwarded-for")),
            reference: None,
            // Its version is not known here.
            tls: door.is_encrypted.then_some(""),
        };
        Self { access, caller, certificate: certificate(access, parts), facts, door }
    }

    /// Where a browser sees the root of this registry.
    pub(crate) fn origin(&self) -> Option<String> {
        self.door.origin()
    }

    /// Whether the connection is encrypted, as far as this process is its end.
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.door.is_encrypted
    }

    /// Whether somebody may make this request at all.
    ///
    /// # Errors
    /// With the answer, where not.
    pub(crate) fn admit(&self, route: &Route, method: &Method) -> Result<(), WireError> {
        let writes = [Action::Create, Action::Update];
        let (name, actions, reference): (_, &[Action], _) = match route {
            Route::Base => return self.admit_to_base(),
            Route::Catalog => return self.admit_to_catalog(),
            Route::Metrics if self.access.policy.may_read_metrics(&self.caller.subject()) => return Ok(()),
            Route::Metrics => return Err(self.refusal(Verdict::Denied(None), &[])),
            Route::Manifest(name, reference) => match *method {
                Method::PUT => (name, &writes, Some(reference)),
                Method::DELETE => (name, &[Action::Delete], Some(reference)),
                _ => (name, &[Action::Read], Some(reference)),
            },
            Route::Blob(name, _) if *method == Method::DELETE => (name, &[Action::Delete], None),
            Route::Blob(name, _) | Route::Tags(name) | Route::Referrers(name, _) => (name, &[Action::Read], None),
            Route::Uploads(name) | Route::Upload(name, _) => (name, &writes, None),
            _ => return Ok(()),
        };
        let verdicts = actions.iter().map(|action| self.decide(name, *action, reference));
        let verdicts: Vec<_> = verdicts.collect();
        if verdicts.contains(&Verdict::Allowed) {
            return Ok(());
        }
        let first = verdicts.into_iter().next().unwrap_or(Verdict::Denied(None));
        Err(self.refusal(first, &scopes(route, method)))
    }

    /// Asks the decision.
    fn decide(&self, repository: &RepositoryName, action: Action, reference: Option<&Reference>) -> Verdict {
        let facts = Facts { reference, ..self.facts };
        self.access.decide(self.caller, &Question { action, repository, facts })
    }

    /// Whether the caller may pull from a repository, in this very request.
    pub(crate) fn may_read(&self, repository: &RepositoryName) -> bool {
        self.decide(repository, Action::Read, None) == Verdict::Allowed
    }

    /// Whether the caller may see a repository in the catalog.
    pub(crate) fn may_see(&self, repository: &RepositoryName) -> bool {
        let question = Question { action: Action::Read, repository, facts: self.facts };
        self.caller.limit.shows(repository) && self.access.policy.decide(&self.caller.subject(), &question).is_allowed()
    }

    /// Whether a manifest that several tags name is guarded from deletion by its digest.
    pub(crate) fn guards_shared(&self, repository: &RepositoryName) -> bool {
        self.access.has_rules() && self.decide(repository, Action::DetectManifestCollision, None) == Verdict::Allowed
    }

    /// What the caller may not do with a tag; nothing where there are no bounds.
    ///
    /// # Errors
    /// Where they may do nothing with it.
    pub(crate) fn tag_limit(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<TagLimit>, WireError> {
        let reference = Reference::Tag(tag.clone());
        let create = self.decide(repository, Action::Create, Some(&reference));
        let update = self.decide(repository, Action::Update, Some(&reference)) == Verdict::Allowed;
        match (create == Verdict::Allowed, update || tag.as_str() == MOVING) {
            (true, true) => Ok(None),
            (true, false) => Ok(Some(TagLimit::OnlyNew)),
            (false, _) if update => Ok(Some(TagLimit::OnlyExisting)),
            (false, _) => Err(self.refusal(create, &[Scope::repository(repository, &["pull", "push"])])),
        }
    }

    /// Somebody who may log in is asked to at the front door, since that is where clients learn how: Docker's never log in
    /// later. One that is sent to a password alone must be able to go on without.
    fn admit_to_base(&self) -> Result<(), WireError> {
        if !self.access.has_logins() || self.caller.user.is_some() {
            return Ok(());
        }
        let knows_anonymous = self.access.policy.knows_anonymous();
        let challenge = challenge(self.access, &self.door, &[], None);
        let is_docker = self.facts.user_agent.is_some_and(|agent| agent.to_ascii_lowercase().starts_with("docker/"));
        let has_token = self.caller.limit.is_token();
        if knows_anonymous && (has_token || (challenge.as_bytes().starts_with(b"Basic") && !is_docker)) {
            return Ok(());
        }
        Err(WireError::unauthorized("log in first".to_owned(), challenge))
    }

    /// What an answer of the front door tells those who may go on without a login.
    pub(crate) fn invite(&self, headers: &mut HeaderMap) {
        if self.access.has_logins() && self.caller.user.is_none() {
            headers.insert(WWW_AUTHENTICATE, challenge(self.access, &self.door, &[], None));
        }
    }

    fn admit_to_catalog(&self) -> Result<(), WireError> {
        if !self.caller.limit.allows_catalog() {
            return Err(self.refusal(Verdict::OutOfScope, &[Scope::catalog()]));
        }
        match self.caller.user.is_some() || self.access.policy.knows_anonymous() {
            true => Ok(()),
            false => Err(self.refusal(Verdict::Denied(None), &[Scope::catalog()])),
        }
    }

    /// The answer to who may not.
    pub(crate) fn refusal(&self, verdict: Verdict, scopes: &[Scope]) -> WireError {
        let challenge = |error| challenge(self.access, &self.door, scopes, error);
        match (verdict, self.caller.name()) {
            (Verdict::OutOfScope, _) if self.caller.limit.is_token() => {
                let message = "the token was not asked for this".to_owned();
                WireError::unauthorized(message, challenge(Some("insufficient_scope")))
            }
            (Verdict::OutOfScope, _) => WireError::denied("the API key is not good for this repository", None),
            (Verdict::Denied(reason), Some(_)) => WireError::denied("access to the resource is denied", reason),
            (_, None) => WireError::unauthorized("log in first".to_owned(), challenge(None)),
            (Verdict::Allowed, Some(_)) => WireError::internal(),
        }
    }
}

/// API keys, or sessions, as the registry keeps them.
#[derive(Clone, Debug)]
pub struct RegistryKeys {
    registry: Registry,
    kind: Kept,
}

impl RegistryKeys {
    /// API keys.
    #[must_use]
    pub const fn api_keys(registry: Registry) -> Self {
        Self { registry, kind: Kept::ApiKey }
    }

    /// Sessions.
    #[must_use]
    pub const fn sessions(registry: Registry) -> Self {
        Self { registry, kind: Kept::Session }
    }
}

fn down(error: wharf_registry::Error) -> KeyStoreDown {
    KeyStoreDown(error.into())
}

#[async_trait]
impl KeyStore for RegistryKeys {
    async fn get(&self, user: &str, id: u128) -> Result<Option<Bytes>, KeyStoreDown> {
        self.registry.kept(self.kind, &Owner::new(user), KeptId::new(id)).await.map_err(down)
    }

    async fn create(&self, user: &str, id: u128, value: Bytes) -> Result<bool, KeyStoreDown> {
        self.registry.keep(self.kind, &Owner::new(user), KeptId::new(id), value).await.map_err(down)
    }

    async fn delete(&self, user: &str, id: u128) -> Result<(), KeyStoreDown> {
        self.registry.forget(self.kind, &Owner::new(user), KeptId::new(id)).await.map_err(down)
    }

    async fn list(&self, user: &str) -> Result<Vec<(u128, Bytes)>, KeyStoreDown> {
        let all = self.registry.kept_of(self.kind, &Owner::new(user)).await.map_err(down)?;
        Ok(all.into_iter().map(|(id, value)| (id.number(), value)).collect())
    }
}

/// The name of a caller for logs.
pub(crate) fn named(caller: &Caller) -> Option<crate::caller::Caller> {
    let user = caller.user.as_ref()?;
    Some(crate::caller::Caller { name: Arc::clone(&user.name) })
}
