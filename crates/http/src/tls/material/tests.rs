use rcgen::{CertificateParams, CertifiedKey, DnType, KeyPair, SanType, date_time_ymd, generate_simple_self_signed};

use super::*;
use crate::caller::ClientCertificate;

struct Pem {
    certificate: String,
    key: String,
}

fn pem() -> Pem {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Pem { certificate: cert.pem(), key: signing_key.serialize_pem() }
}

fn check(certificate: &str, key: &str, client_ca: Option<&str>) -> Result<Vec<TlsWarning>, TlsError> {
    let client_ca = client_ca.map(str::as_bytes);
    config(&TlsMaterial { certificate: certificate.as_bytes(), key: key.as_bytes(), client_ca }).map(|(_, found)| found)
}

#[test]
fn every_mistake_has_its_sentence() {
    let (one, other) = (pem(), pem());
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, authority, part, sentence) in [
        ("", one.key.as_str(), None, TlsPart::Certificate, "has no certificate in it: it is empty"),
        (&one.key, &one.key, None, TlsPart::Certificate, "has no certificate in it, but a private key"),
        (&one.certificate, &one.certificate, None, TlsPart::Key, "has no private key in it, but a certificate"),
        (&one.certificate, "\n", None, TlsPart::Key, "has no private key in it: it is empty"),
        (&one.certificate, &other.key, None, TlsPart::Key, "is not the key of the certificate"),
        (&one.certificate, locked, None, TlsPart::Key, "is encrypted, and Wharf asks nobody for a passphrase"),
        (&one.certificate, &one.key, Some(""), TlsPart::ClientCa, "has no certificate in it: it is empty"),
        (&one.certificate, &one.key, Some("0x"), TlsPart::ClientCa, "it seems to be DER"),
        ("-----BEGIN CERTIFICATE-----\n@", &one.key, None, TlsPart::Certificate, "is no PEM file of certificates"),
    ] {
        let error = check(certificate, key, authority).expect_err(sentence);
        assert_eq!(error.part, part, "{error}");
        assert!(error.to_string().contains(sentence), "{error}");
    }
    assert_eq!(check(&one.certificate, &one.key, Some(&other.certificate)).unwrap(), []);
}

#[test]
fn a_certificate_that_is_not_good_now_is_warned_of() {
    let now = std::time::SystemTime::now();
    let key = KeyPair::generate().unwrap();
    let of = |from: rcgen::CertificateParams| from.self_signed(&key).unwrap().pem();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2001, 1, 1);
    let ended = check(&of(params.clone()), &key.serialize_pem(), None).unwrap();
    assert!(ended[0].message.contains("days ago: clients refuse it"), "{ended:?}");
    params.not_before = date_time_ymd(2999, 1, 1);
    params.not_after = date_time_ymd(2999, 1, 2);
    let early = check(&of(params.clone()), &key.serialize_pem(), None).unwrap();
    assert!(early[0].message.contains("begins in"), "{early:?}");
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = (now + 2 * SOON / 4).into();
    let authority = of(params);
    let soon = check(&authority, &key.serialize_pem(), Some(&authority)).unwrap();
    let parts: Vec<_> = soon.iter().map(|warning| (warning.part, warning.message.as_str())).collect();
    assert_eq!(parts, [(TlsPart::Certificate, "ends in 3 days"), (TlsPart::ClientCa, "ends in 3 days")]);
}

#[test]
fn names_are_read() {
    let mut params = CertificateParams::new(["ci.example.org".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    params.distinguished_name.push(DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]), "u1");
    params.distinguished_name.push(DnType::CommonName, "ci");
    params.subject_alt_names.push(SanType::Rfc822Name("ci@example.org".try_into().unwrap()));
    params.subject_alt_names.push(SanType::URI("spiffe://example.org/ci".try_into().unwrap()));
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let expected = ClientCertificate {
        common_name: Some("ci".to_owned()),
        subject: "CN=ci,O=Example\\, Inc.,C=DE,0.9.2342.19200300.100.1.1=u1".to_owned(),
        dns_names: vec!["ci.example.org".to_owned()],
        emails: vec!["ci@example.org".to_owned()],
        uris: vec!["spiffe://example.org/ci".to_owned()],
    };
    assert_eq!(certificate::names(made.der()).unwrap(), expected);
    assert!(certificate::names(b"nonsense").is_err());
}
