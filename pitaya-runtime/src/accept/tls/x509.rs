//! Fields of a certificate that no library here tells.

use chrono::NaiveDateTime;
use pitaya_core::text::der::{Der, Element, IDENTIFIER, OCTET_STRING, SEQUENCE};

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const EXTENSIONS: u8 = 0xa3;
const BOOLEAN: u8 = 0x01;
/// The extension that tells authorities (RFC 5280, section 4.2.1.9).
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// Fields of RFC 5280, section 4.1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    /// Who signed it, a `Name` in DER.
    pub(super) issuer: &'a [u8],
    /// Whom it names, another.
    pub(super) subject: &'a [u8],
    /// Seconds since 1970.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// Whether it says `CA:TRUE`.
    pub(super) is_authority: bool,
}

impl<'a> Facts<'a> {
    /// `None` for what is not built like a certificate.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut fields = Der(certificate.expect(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.next()?;
        }
        let (_serial, _signature, issuer) = (fields.next()?, fields.next()?, fields.next()?.whole);
        let mut validity = Der(fields.expect(SEQUENCE)?);
        let (not_before, not_after) = (time(&validity.next()?)?, time(&validity.next()?)?);
        let subject = fields.next()?.whole;
        Some(Self { issuer, subject, not_before, not_after, is_authority: is_authority(fields).unwrap_or(false) })
    }

    /// Whether it can have signed the certificate of a client, or be one that signed itself.
    pub(super) fn vouches(&self) -> bool {
        self.is_authority || self.issuer == self.subject
    }
}

/// Looks for `CA:TRUE` in the fields behind the subject.
fn is_authority(mut fields: Der<'_>) -> Option<bool> {
    let extensions = loop {
        let field = fields.next()?;
        if field.tag == EXTENSIONS {
            break field.content;
        }
    };
    let mut extensions = Der(Der(extensions).expect(SEQUENCE)?);
    while let Some(extension) = extensions.expect(SEQUENCE) {
        let mut extension = Der(extension);
        if extension.expect(IDENTIFIER)? != BASIC_CONSTRAINTS {
            continue;
        }
        let mut value = extension.next()?;
        if value.tag == BOOLEAN {
            // It is critical.
            value = extension.next()?;
        }
        let constraints = (value.tag == OCTET_STRING).then_some(value.content)?;
        // False is the default, and not written.
        let is_ca = Der(Der(constraints).expect(SEQUENCE)?).expect(BOOLEAN)?;
        return Some(is_ca.iter().any(|byte| *byte != 0));
    }
    Some(false)
}

/// Both forms are in UTC and end in `Z` (RFC 5280, section 4.1.2.5).
fn time(element: &Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?;
    let text = match element.tag {
        // Two digits of the year: from 50 on the last century's.
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok().map(|time| time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(from: i32, to: i32) -> rcgen::Certificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 2);
        params.not_after = rcgen::date_time_ymd(to, 1, 2);
        params.distinguished_name.push(rcgen::DnType::CommonName, "ann");
        params.self_signed(&key).unwrap()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        // From 2050 on certificates write years with four digits.
        for (from, to, before, after) in
            [(1999, 2049, 915_235_200, 2_493_158_400), (2050, 2060, 2_524_694_400, 2_840_227_200)]
        {
            let certificate = made(from, to);
            let facts = Facts::read(certificate.der()).unwrap();
            assert_eq!((facts.not_before, facts.not_after), (before, after));
            assert_eq!(facts.issuer, facts.subject, "it signed itself");
            assert!(facts.subject.ends_with(b"ann") && facts.subject[0] == SEQUENCE);
        }
    }

    #[test]
    fn authorities_say_so() {
        use rcgen::{BasicConstraints, IsCa};
        for (is_ca, expected) in [
            (IsCa::NoCa, false),
            (IsCa::ExplicitNoCa, false),
            (IsCa::Ca(BasicConstraints::Unconstrained), true),
            (IsCa::Ca(BasicConstraints::Constrained(1)), true),
        ] {
            let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.is_ca = is_ca;
            let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let facts = Facts::read(certificate.der()).unwrap();
            assert!(facts.is_authority == expected && facts.vouches());
        }
    }

    #[test]
    fn what_is_cut_off_or_changed_is_no_certificate_and_no_panic() {
        let certificate = made(2020, 2040);
        let whole: &[u8] = certificate.der();
        for end in 0..200.min(whole.len()) {
            assert_eq!(Facts::read(&whole[..end]), None);
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.to_vec();
                changed[at] = value;
                let _ = Facts::read(&changed);
            }
        }
    }
}
