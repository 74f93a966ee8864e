//! Who makes a request, and over which connection. Both stand in the extensions of a request.

use std::net::IpAddr;
use std::sync::Arc;

/// The connection that a request came over.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Of the other end: the client, or a proxy in front of it.
    pub address: IpAddr,
    /// What its certificate says, where the connection is encrypted and it showed one that the configured authority vouches for.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
}

/// The names in a client's certificate, which was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The whole subject as RFC 4514 writes it: `CN=ci,O=Example`.
    pub subject: String,
    /// Names of hosts among the alternative names.
    pub dns_names: Vec<String>,
    /// Addresses of mail among them.
    pub emails: Vec<String>,
    /// URIs among them.
    pub uris: Vec<String>,
}

/// Who makes a request, as authentication found out; it puts this into the request's extensions. Without it nobody is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name that policies and the audit log know.
    pub name: Arc<str>,
}
