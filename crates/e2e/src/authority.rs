//! Certificates of the tests' own.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use reqwest::Certificate;

/// An authority, whose certificates are for loopback.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = key();
        let pem = params.self_signed(&key).unwrap_or_else(|error| panic!("a certificate: {error}")).pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    #[must_use]
    pub fn leaf(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into())];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer);
        (certificate.unwrap_or_else(|error| panic!("a certificate: {error}")).pem(), key.serialize_pem())
    }

    /// A client that trusts nobody else.
    #[must_use]
    pub fn client(&self) -> reqwest::Client {
        self.builder().build().unwrap_or_else(|error| panic!("HTTP client: {error}"))
    }

    /// See there.
    pub fn builder(&self) -> reqwest::ClientBuilder {
        let root = Certificate::from_pem(self.pem.as_bytes()).unwrap_or_else(|error| panic!("a certificate: {error}"));
        reqwest::Client::builder().no_proxy().tls_certs_only([root])
    }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap_or_else(|error| panic!("a key: {error}"))
}
