//! Encrypted connections. The certificate can be replaced while the server runs: connections that are open keep the one they began
//! with.

mod certificate;
mod material;
mod other;
mod stream;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::caller::ClientCertificate;

pub use material::{TlsError, TlsMaterial, TlsPart, TlsWarning};
pub(crate) use other::{begins, refuse_plain, refuse_tls};
pub(crate) use stream::Stream;

/// How connections are encrypted. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// # Errors
    /// What is wrong with the certificate, the key or the authority.
    pub fn new(material: &TlsMaterial<'_>) -> Result<(Self, Vec<TlsWarning>), TlsError> {
        let (config, warnings) = material::config(material)?;
        Ok((Self(Arc::new(RwLock::new(Arc::new(config)))), warnings))
    }

    /// What connections that begin from now on get.
    ///
    /// # Errors
    /// As [`Tls::new`]; then everything stays as it was.
    pub fn replace(&self, material: &TlsMaterial<'_>) -> Result<Vec<TlsWarning>, TlsError> {
        let (config, warnings) = material::config(material)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(warnings)
    }

    /// Shakes hands. There is no deadline in here.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// The names of the client, if it showed a certificate; the handshake has verified it.
pub(crate) fn client(stream: &TlsStream<TcpStream>) -> Option<Arc<ClientCertificate>> {
    let first = stream.get_ref().1.peer_certificates()?.first()?;
    match certificate::names(first) {
        Ok(names) => Some(Arc::new(names)),
        Err(error) => {
            tracing::warn!(%error, "a client's certificate is good, but its names cannot be read: it counts for nobody");
            None
        }
    }
}
