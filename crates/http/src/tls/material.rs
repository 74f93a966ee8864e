//! From PEM to what a server needs, and what to say when that cannot be.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use super::certificate;

/// Certificates that end sooner are warned of.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);
const DAY: u64 = 24 * 3600;

/// PEM documents.
#[derive(Clone, Copy)]
pub struct TlsMaterial<'a> {
    /// The server's certificate, then those of the authorities between it and one that clients know.
    pub certificate: &'a [u8],
    /// The private key of the first one.
    pub key: &'a [u8],
    /// Authorities that vouch for clients. With them, a client may show a certificate; a bad one ends the handshake.
    pub client_ca: Option<&'a [u8]>,
}

impl fmt::Debug for TlsMaterial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsMaterial")
    }
}

/// Which of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// [`TlsMaterial::certificate`]
    Certificate,
    /// [`TlsMaterial::key`]
    Key,
    /// [`TlsMaterial::client_ca`]
    ClientCa,
}

/// Why there can be no encrypted connections. The sentence goes on after the name of the file in question.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TlsError {
    /// The document that has to be looked at.
    pub part: TlsPart,
    message: String,
}

/// What an operator should know of a certificate that works, or worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsWarning {
    /// The document.
    pub part: TlsPart,
    /// Goes on after the name of the file.
    pub message: String,
}

fn wrong(part: TlsPart, message: impl Into<String>) -> TlsError {
    TlsError { part, message: message.into() }
}

/// TLS 1.2 and 1.3; HTTP/2 where the client knows it.
pub(super) fn config(material: &TlsMaterial<'_>) -> Result<(ServerConfig, Vec<TlsWarning>), TlsError> {
    let chain = certificates(TlsPart::Certificate, material.certificate)?;
    let key = key(material.key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let authorities = material.client_ca.map(|pem| certificates(TlsPart::ClientCa, pem)).transpose()?;
    let mut warnings = expiry(TlsPart::Certificate, chain.first());
    warnings.extend(authorities.iter().flatten().flat_map(|authority| expiry(TlsPart::ClientCa, Some(authority))));
    let clients = clients(authorities, provider.clone())?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| wrong(TlsPart::Certificate, error.to_string()))?;
    let config = builder.with_client_cert_verifier(clients).with_single_cert(chain, key);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let message =
                "is not the key of the certificate in http.tls.cert: its first certificate must be the server's own";
            wrong(TlsPart::Key, message)
        }
        error => wrong(TlsPart::Key, format!("cannot be used: {error}")),
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, warnings))
}

/// A certificate is not asked of clients unless somebody vouches for theirs; whoever shows none goes on without a name.
fn clients(
    authorities: Option<Vec<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(authorities) = authorities else { return Ok(Arc::new(NoClientAuth)) };
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        let added = roots.add(authority);
        added
            .map_err(|error| wrong(TlsPart::ClientCa, format!("has a certificate that is no authority's: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    verifier.build().map_err(|error| wrong(TlsPart::ClientCa, error.to_string()))
}

fn certificates(part: TlsPart, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| wrong(part, format!("is no PEM file of certificates: {error}")))?;
    if found.is_empty() {
        return Err(wrong(part, format!("has no certificate in it{}", instead(pem))));
    }
    Ok(found)
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        _ if has(pem, b"ENCRYPTED") => {
            let message = "is encrypted, and Wharf asks nobody for a passphrase: store the key without one \
                           (openssl pkey -in KEY -out NEW), readable by Wharf's user alone";
            wrong(TlsPart::Key, message)
        }
        pem::Error::NoItemsFound => wrong(TlsPart::Key, format!("has no private key in it{}", instead(pem))),
        error => wrong(TlsPart::Key, format!("is no PEM file of a private key: {error}")),
    })
}

/// What a document without the right thing seems to be.
fn instead(pem: &[u8]) -> &'static str {
    match () {
        () if pem.iter().all(u8::is_ascii_whitespace) => ": it is empty",
        () if has(pem, b"PRIVATE KEY-----") => ", but a private key",
        () if has(pem, b"-----BEGIN CERTIFICATE") => ", but a certificate",
        () if pem.starts_with(&[0x30]) => ": it seems to be DER; it has to be PEM (openssl x509 -inform der)",
        () => "",
    }
}

fn has(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

fn expiry(part: TlsPart, certificate: Option<&CertificateDer<'_>>) -> Vec<TlsWarning> {
    let validity = certificate.and_then(|certificate| certificate::validity(certificate).ok());
    let Some((from, until)) = validity else { return Vec::new() };
    let now = SystemTime::now();
    let days = |from: SystemTime, to: SystemTime| to.duration_since(from).map_or(0, |span| span.as_secs() / DAY);
    let message = if until <= now {
        format!("ended {} days ago: clients refuse it", days(until, now))
    } else if from > now {
        format!("begins in {} days, by this machine's clock: clients refuse it until then", days(now, from))
    } else if until <= now + SOON {
        format!("ends in {} days", days(now, until))
    } else {
        return Vec::new();
    };
    vec![TlsWarning { part, message }]
}

#[cfg(test)]
mod tests;
