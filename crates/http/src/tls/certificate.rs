//! What stands in a certificate (RFC 5280, 4.1) that is of interest here: its names, and its time.

use std::fmt::Write as _;
use std::time::SystemTime;

use yasna::models::TaggedDerValue;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag, parse_der};

use crate::caller::ClientCertificate;

/// Identifiers of the attributes of a subject below 2.5.4, in the order in which Go's libraries write them; zot takes the whole
/// subject for a name as Go writes it.
const ATTRIBUTES: [(u64, &str); 9] = [
    (5, "SERIALNUMBER"),
    (3, "CN"),
    (17, "POSTALCODE"),
    (9, "STREET"),
    (8, "ST"),
    (7, "L"),
    (11, "OU"),
    (10, "O"),
    (6, "C"),
];
const ATTRIBUTE_TYPES: [u64; 3] = [2, 5, 4];
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
const ALTERNATIVE_NAMES: [u64; 4] = [2, 5, 29, 17];

const BMP_STRING: u64 = 30;
const UTC_TIME: u64 = 23;

/// From when until when it is good.
type Validity = (SystemTime, SystemTime);

/// One attribute of a subject.
struct Attribute {
    kind: Vec<u64>,
    value: TaggedDerValue,
}

/// The parts in question.
struct Parts {
    validity: Validity,
    subject: Vec<Attribute>,
    /// The alternative names, in DER.
    alternatives: Option<Vec<u8>>,
}

/// The names of whom it was made out to.
pub(super) fn names(der: &[u8]) -> ASN1Result<ClientCertificate> {
    let parts = parts(der)?;
    let common_name = parts.subject.iter().rev().find(|attribute| attribute.kind == COMMON_NAME);
    let mut names = ClientCertificate {
        common_name: common_name.map(Attribute::text),
        subject: subject(&parts.subject),
        ..ClientCertificate::default()
    };
    if let Some(alternatives) = parts.alternatives {
        for name in parse_der(&alternatives, |reader| reader.collect_sequence_of(|reader| reader.read_tagged_der()))? {
            let text = || String::from_utf8_lossy(name.value()).into_owned();
            match name.tag() {
                tag if tag == Tag::context(1) => names.emails.push(text()),
                tag if tag == Tag::context(2) => names.dns_names.push(text()),
                tag if tag == Tag::context(6) => names.uris.push(text()),
                _ => {}
            }
        }
    }
    Ok(names)
}

/// From when until when it is good.
pub(super) fn validity(der: &[u8]) -> ASN1Result<Validity> {
    parts(der).map(|parts| parts.validity)
}

fn parts(der: &[u8]) -> ASN1Result<Parts> {
    parse_der(der, |reader| {
        reader.read_sequence(|certificate| {
            let parts = certificate.next().read_sequence(to_be_signed)?;
            let (_algorithm, _signature) = (certificate.next().read_der()?, certificate.next().read_der()?);
            Ok(parts)
        })
    })
}

fn to_be_signed(fields: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Parts> {
    let _version = fields.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
    for _serial_algorithm_issuer in 0..3 {
        fields.next().read_der()?;
    }
    let validity = fields.next().read_sequence(|times| Ok((time(times.next())?, time(times.next())?)))?;
    let subject = fields.next().collect_sequence_of(|reader| reader.collect_set_of(attribute))?;
    let _public_key = fields.next().read_der()?;
    for unique in [1, 2] {
        fields.read_optional(|reader| {
            reader.read_tagged_implicit(Tag::context(unique), |reader| reader.read_bitvec_bytes())
        })?;
    }
    let extensions = fields
        .read_optional(|reader| reader.read_tagged(Tag::context(3), |reader| reader.collect_sequence_of(extension)))?;
    let alternatives = extensions.into_iter().flatten().find(|(kind, _)| *kind == ALTERNATIVE_NAMES);
    let subject = subject.into_iter().flatten().collect();
    Ok(Parts { validity, subject, alternatives: alternatives.map(|(_, value)| value) })
}

fn time(reader: BERReader<'_, '_>) -> ASN1Result<SystemTime> {
    Ok(if reader.lookahead_tag()?.tag_number == UTC_TIME {
        (*reader.read_utctime()?.datetime()).into()
    } else {
        (*reader.read_generalized_time()?.datetime()).into()
    })
}

fn attribute(reader: BERReader<'_, '_>) -> ASN1Result<Attribute> {
    reader.read_sequence(|attribute| {
        let kind = attribute.next().read_oid()?.into_components();
        Ok(Attribute { kind, value: attribute.next().read_tagged_der()? })
    })
}

fn extension(reader: BERReader<'_, '_>) -> ASN1Result<(Vec<u64>, Vec<u8>)> {
    reader.read_sequence(|extension| {
        let kind = extension.next().read_oid()?.into_components();
        let _is_critical = extension.read_default(false, |reader| reader.read_bool())?;
        Ok((kind, extension.next().read_bytes()?))
    })
}

impl Attribute {
    fn text(&self) -> String {
        let bytes = self.value.value();
        if self.value.tag().tag_number == BMP_STRING {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            return String::from_utf16_lossy(&units);
        }
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Its number below 2.5.4, if Go has a word for it.
    fn number(&self) -> Option<u64> {
        let (last, before) = self.kind.split_last()?;
        let is_known = before == ATTRIBUTE_TYPES && ATTRIBUTES.iter().any(|(number, _)| number == last);
        is_known.then_some(*last)
    }
}

/// The whole subject. Values of one kind are joined by a plus; kinds without a word come last, the last one first.
fn subject(attributes: &[Attribute]) -> String {
    let mut parts = Vec::new();
    for (number, word) in ATTRIBUTES {
        let values = attributes.iter().filter(|attribute| attribute.number() == Some(number));
        let mut values: Vec<_> = values.map(|attribute| format!("{word}={}", escaped(&attribute.text()))).collect();
        if matches!(word, "CN" | "SERIALNUMBER") {
            values.drain(..values.len().saturating_sub(1));
        }
        parts.extend((!values.is_empty()).then(|| values.join("+")));
    }
    for attribute in attributes.iter().rev().filter(|attribute| attribute.number().is_none()) {
        let kind = attribute.kind.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
        parts.push(format!("{kind}={}", escaped(&attribute.text())));
    }
    parts.join(",")
}

/// RFC 4514, 2.4.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.char_indices().last().map_or(0, |(at, _)| at);
    for (at, c) in text.char_indices() {
        let is_special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        match c {
            '\0' => out.push_str("\\00"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{:02x}", u32::from(c));
            }
            c if is_special || (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ') => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
