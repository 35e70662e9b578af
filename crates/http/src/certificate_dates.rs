//! The dates of an X.509 certificate, read from its DER.
//!
//! rustls checks signatures and names, and does not show when the certificate of a server ends. That needs five fields of the
//! certificate, so it is read here: version, serial number, algorithm, issuer, validity (RFC 5280, 4.1).

use chrono::{DateTime, NaiveDateTime, Utc};

/// The time in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The begin.
    pub not_before: DateTime<Utc>,
    /// The end.
    pub not_after: DateTime<Utc>,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The tag of the version, which certificates of version 1 lack.
const VERSION: u8 = 0xa0;

/// Returns the validity of a certificate; `None` if it is not one.
#[must_use]
pub fn certificate_validity(certificate: &[u8]) -> Option<Validity> {
    let (content, _) = element(certificate, SEQUENCE)?;
    let (content, _) = element(content, SEQUENCE)?;
    let rest = element(content, VERSION).map_or(content, |(_, rest)| rest);
    let (_, rest) = element(rest, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (dates, _) = element(rest, SEQUENCE)?;
    let (not_before, rest) = time(dates)?;
    let (not_after, _) = time(rest)?;
    Some(Validity { not_before, not_after })
}

/// Returns the content of the first element of `bytes` if it has `tag`, and the bytes after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            // The number of the bytes that hold the length: at most 4, because no certificate is larger than 4 GiB.
            let n = usize::from(long & 0x7f);
            let (digits, rest) = rest.split_at_checked(n).filter(|_| (1..=4).contains(&n))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (*first == tag).then_some((content, rest))
}

/// Returns the time at the front of `bytes`, and the bytes after it.
fn time(bytes: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (text, rest) = match element(bytes, GENERALIZED_TIME) {
        Some((content, rest)) => (std::str::from_utf8(content).ok()?.to_owned(), rest),
        None => {
            let (content, rest) = element(bytes, UTC_TIME)?;
            let text = std::str::from_utf8(content).ok()?;
            // Two digits of the year: 50 is 1950, and 49 is 2049.
            let century = if text < "50" { "20" } else { "19" };
            (format!("{century}{text}"), rest)
        }
    };
    let at = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some((at.and_utc(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an element with a short or a long length.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = match content.len() {
            short @ 0..0x80 => vec![short as u8],
            long => vec![0x82, (long >> 8) as u8, long as u8],
        };
        [&[tag], length.as_slice(), content].concat()
    }

    fn certificate(version: &[u8], dates: &[u8]) -> Vec<u8> {
        let (serial, name) = (der(INTEGER, &[1]), der(SEQUENCE, &[7; 300]));
        let fields = [version, &serial, &der(SEQUENCE, &[6]), &name, &der(SEQUENCE, dates), &name];
        der(SEQUENCE, &der(SEQUENCE, &fields.concat()))
    }

    #[test]
    fn both_forms_of_a_time_and_both_forms_of_a_certificate_are_read() {
        let dates =
            [der(UTC_TIME, b"500102030405Z"), der(GENERALIZED_TIME, b"20500102030405Z")].concat();
        for version in [der(VERSION, &[2, 1, 2]), Vec::new()] {
            let found = certificate_validity(&certificate(&version, &dates)).unwrap();
            assert_eq!(found.not_before.to_rfc3339(), "1950-01-02T03:04:05+00:00");
            assert_eq!(found.not_after.to_rfc3339(), "2050-01-02T03:04:05+00:00");
        }
        let dates = [der(UTC_TIME, b"491231235959Z"), der(UTC_TIME, b"000101000000Z")].concat();
        let found = certificate_validity(&certificate(&[], &dates)).unwrap();
        assert_eq!(found.not_before.to_rfc3339(), "2049-12-31T23:59:59+00:00");
        assert_eq!(found.not_after.to_rfc3339(), "2000-01-01T00:00:00+00:00");
    }

    #[test]
    fn anything_else_has_no_dates() {
        let dates = [der(UTC_TIME, b"500102030405Z"), der(UTC_TIME, b"500102030405Z")].concat();
        let whole = certificate(&[], &dates);
        assert!(certificate_validity(&whole).is_some());
        for n in 0..whole.len() {
            assert_eq!(certificate_validity(&whole[..n]), None, "the first {n} bytes");
        }
        for bad in [b"500102030405".as_slice(), b"", b"50010203040\xc3\xbcZ", b"509902030405Z"] {
            let dates = [der(UTC_TIME, bad), der(UTC_TIME, bad)].concat();
            assert_eq!(certificate_validity(&certificate(&[], &dates)), None, "{bad:?}");
        }
        assert_eq!(
            certificate_validity(&[SEQUENCE, 0x85, 0, 0, 0, 0, 1, 0]),
            None,
            "a length of 5 bytes"
        );
        assert_eq!(certificate_validity(&[SEQUENCE, 0x80, 0, 0]), None, "no length");
    }
}
