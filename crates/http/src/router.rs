//! From a path to what it names. Pure: no request, no registry.
//!
//! Names contain slashes and may have components such as `blobs` or `tags`, so that a path is read from its end.
//!
//! Paths are read as they came. No character of a name, a tag or an id needs percent-encoding, and whatever stands before the
//! registry judges the encoded path: `%2F` and its like would let the two see different repositories. They break the grammars. The
//! colon of a digest alone may be encoded, as many libraries do.

use std::borrow::Cow;

use http::Method;
use wharf_oci::{Digest, InvalidDigest, InvalidName, InvalidReference, Reference, RepositoryName};
use wharf_registry::UploadId;

const LIVE: &str = "/livez";
const READY: &str = "/readyz";
const STARTED: &str = "/startupz";

/// Whether a path is that of a probe.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, LIVE | READY | STARTED)
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, UploadId),
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/token`, and `/zot/auth/token`
    Token,
    /// `/zot/auth/login`
    Login,
    /// `/zot/auth/callback/<provider>`
    Callback(String),
    /// `/zot/auth/logout`
    Logout,
    /// `/zot/auth/apikey`
    ApiKeys,
    /// `/livez`
    Live,
    /// `/readyz`
    Ready,
    /// `/startupz`
    Started,
    /// Wherever the configuration puts it.
    Metrics,
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// No path of this API.
    Path,
    /// The repository's name breaks the grammar.
    Name(InvalidName),
    /// The digest breaks the grammar.
    Digest(InvalidDigest),
    /// The tag breaks the grammar.
    Tag(InvalidReference),
    /// No id that an upload session could have.
    UploadId,
}

impl Route {
    /// Reads a path as it came.
    pub(crate) fn parse(path: &str) -> Result<Self, NoRoute> {
        match path {
            "/v2/" | "/v2" => Ok(Self::Base),
            "/v2/_catalog" => Ok(Self::Catalog),
            "/token" | "/zot/auth/token" => Ok(Self::Token),
            "/zot/auth/login" => Ok(Self::Login),
            "/zot/auth/logout" => Ok(Self::Logout),
            "/zot/auth/apikey" => Ok(Self::ApiKeys),
            LIVE => Ok(Self::Live),
            READY => Ok(Self::Ready),
            STARTED => Ok(Self::Started),
            path => match path.strip_prefix("/zot/auth/callback/") {
                Some(provider) => Self::parse_callback(provider),
                None => Self::parse_in_repository(path.strip_prefix("/v2/").ok_or(NoRoute::Path)?),
            },
        }
    }

    fn parse_callback(provider: &str) -> Result<Self, NoRoute> {
        let is_plain = (1..=64).contains(&provider.len()) && provider.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_plain { Ok(Self::Callback(provider.to_owned())) } else { Err(NoRoute::Path) }
    }

    fn parse_in_repository(path: &str) -> Result<Self, NoRoute> {
        if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
            return Ok(Self::Uploads(repository(name)?));
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Ok(Self::Tags(repository(name)?));
        }
        let (path, last) = path.rsplit_once('/').ok_or(NoRoute::Path)?;
        if let Some(name) = path.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(repository(name)?, last.parse().map_err(|_| NoRoute::UploadId)?));
        }
        let (name, resource) = path.rsplit_once('/').ok_or(NoRoute::Path)?;
        match resource {
            "manifests" => Ok(Self::Manifest(repository(name)?, reference(last)?)),
            "blobs" => Ok(Self::Blob(repository(name)?, digest(last)?)),
            "referrers" => Ok(Self::Referrers(repository(name)?, digest(last)?)),
            _ => Err(NoRoute::Path),
        }
    }

    /// The kind of resource, for figures.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Manifest(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Uploads(_) | Self::Upload(..) => "upload",
            Self::Tags(_) => "tags",
            Self::Referrers(..) => "referrers",
            Self::Live | Self::Ready | Self::Started => "probe",
            Self::Token => "token",
            Self::Login | Self::Callback(_) | Self::Logout => "login",
            Self::ApiKeys => "apikey",
            Self::Metrics => "metrics",
        }
    }

    /// Whether it is asked for every few seconds by machines that watch the process.
    pub(crate) const fn is_watch(&self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Started | Self::Metrics)
    }

    /// The methods that it knows, as `Allow` lists them.
    pub(crate) const fn methods(&self) -> &'static str {
        match self {
            Self::Manifest(..) => "GET, HEAD, PUT, DELETE",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Upload(..) => "GET, PATCH, PUT, DELETE",
            Self::Token => "GET, HEAD, POST",
            Self::Login | Self::Callback(_) => "GET",
            Self::Logout => "POST",
            Self::ApiKeys => "GET, HEAD, POST, DELETE",
            _ => "GET, HEAD",
        }
    }

    /// The repository that it is about.
    pub(crate) const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _) => Some(name),
            _ => None,
        }
    }

    /// Whether it knows a method.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|known| known == method.as_str())
    }
}

fn repository(name: &str) -> Result<RepositoryName, NoRoute> {
    name.parse().map_err(NoRoute::Name)
}

fn digest(text: &str) -> Result<Digest, NoRoute> {
    with_colon(text).parse().map_err(NoRoute::Digest)
}

fn reference(text: &str) -> Result<Reference, NoRoute> {
    with_colon(text).parse().map_err(|e| match e {
        InvalidReference::Digest(e) => NoRoute::Digest(e),
        InvalidReference::Tag => NoRoute::Tag(e),
    })
}

/// A digest whose colon may be encoded.
fn with_colon(text: &str) -> Cow<'_, str> {
    match text.split_once("%3A").or_else(|| text.split_once("%3a")) {
        Some((algorithm, hex)) => format!("{algorithm}:{hex}").into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests;
