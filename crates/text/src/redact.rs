//! Redaction of personal data.

use regex::Regex;
use std::{ops::Range, sync::LazyLock};

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{L}\p{N}._%+\-]{1,64}@(?:[\p{L}\p{N}\-]{1,63}\.)+\p{L}{2,24}")
        .expect("the pattern is constant")
});
/// Two letters, two digits, then 11 to 30 letters and digits, with single spaces or hyphens between.
static IBAN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b[a-z]{2}\d{2}(?:[ \-]?[a-z0-9]){11,30}\b").expect("the pattern is constant")
});
static CARD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b\d(?:[ \-]?\d){12,18}\b").expect("the pattern is constant"));
/// An international number (`+` or `00`), a national one with a leading 0, or an American one (3-3-4 digits).
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:\+|\b00)\d{1,3}(?:[ .\-/]?\(?\d{1,4}\)?){2,6}\b|\b0\d(?:[ .\-]?\d{2}){4}\b|\b0\d{2,4}[ \-]\d{3,4}[ \-]?\d{3,4}\b|\(\d{3}\) ?\d{3}[ .\-]?\d{4}\b|\b\d{3}[ .\-]\d{3}[ .\-]\d{4}\b",
    )
    .expect("the pattern is constant")
});

/// A French social security number: sex, year, month, place, order, with single spaces between, and its key.
static SOCIAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b[12] ?\d{2} ?\d{2} ?\d[\dABab] ?\d{3} ?\d{3} ?\d{2}\b")
        .expect("the pattern is constant")
});

/// An identifier that machines draw at random (UUID, RFC 9562), with its hyphens or without any. Parts of one may look like
/// a telephone number, a card or an IBAN.
static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b[0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24})\b")
        .expect("the pattern is constant")
});

/// The kinds of personal data: the mark of [`redact`], and a description.
const KINDS: [(&str, &str); 5] = [
    ("[email]", "an e-mail address"),
    ("[iban]", "a bank account (IBAN)"),
    ("[social]", "a social security number"),
    ("[card]", "a card number"),
    ("[phone]", "a telephone number"),
];

/// Returns `text` with personal data replaced by marks: `[email]`, `[iban]`, `[social]`, `[card]`, `[phone]`.
///
/// A card number needs 13 to 19 digits and a valid check digit (Luhn), an IBAN a valid check sum (ISO 13616, mod 97),
/// and a French social security number a valid key, so that order numbers stay readable. A phone number has 8 to 15
/// digits (E.164). A UUID is no personal data, but an e-mail address may contain one.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Span { range, mark } in spans(text) {
        out.push_str(&text[at..range.start]);
        out.push_str(mark);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Returns descriptions of the kinds of personal data that [`redact`] finds in `text`, such as `an e-mail address`.
#[must_use]
pub fn personal_data(text: &str) -> Vec<&'static str> {
    let spans = spans(text);
    let has = |mark: &str| spans.iter().any(|span| span.mark == mark);
    KINDS.iter().filter(|(mark, _)| has(mark)).map(|(_, kind)| *kind).collect()
}

/// Returns `edited`, an edited copy of [`redact`]`(original)`, with its marks replaced by the personal data of
/// `original`.
///
/// `None` if `edited` has marks that are not those of `original` in the same order. If `original` has no personal data,
/// or `edited` no marks, `edited` is returned unchanged.
#[must_use]
pub fn unredact(edited: &str, original: &str) -> Option<String> {
    let found = spans(original);
    let present: Vec<(usize, &'static str)> = marks(edited).collect();
    if found.is_empty() || present.is_empty() {
        return Some(edited.to_owned());
    }
    // Each mark of the redacted original, with its replacement. A mark that the original itself contains is kept.
    let mut expected: Vec<(&str, &str)> = Vec::new();
    let mut at = 0;
    for Span { range, mark } in &found {
        expected.extend(marks(&original[at..range.start]).map(|(_, mark)| (mark, mark)));
        expected.push((mark, &original[range.clone()]));
        at = range.end;
    }
    expected.extend(marks(&original[at..]).map(|(_, mark)| (mark, mark)));
    if !present.iter().map(|(_, mark)| mark).eq(expected.iter().map(|(mark, _)| mark)) {
        return None;
    }
    let mut out = String::with_capacity(edited.len().max(original.len()));
    let mut at = 0;
    for ((start, mark), (_, replacement)) in present.into_iter().zip(expected) {
        out.push_str(&edited[at..start]);
        out.push_str(replacement);
        at = start + mark.len();
    }
    out.push_str(&edited[at..]);
    Some(out)
}

/// Iterates over the marks in `text`, with their byte offsets.
fn marks(text: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    text.match_indices('[').filter_map(|(at, _)| {
        let mark = KINDS.iter().map(|(mark, _)| *mark).find(|mark| text[at..].starts_with(mark))?;
        Some((at, mark))
    })
}

/// Personal data in a text: its bytes, and the mark that replaces it.
struct Span {
    range: Range<usize>,
    mark: &'static str,
}

/// Returns whether `text` can contain personal data: it has an `@` or at least 8 digits.
///
/// Most utterances have neither, so no pattern has to run.
fn may_be_personal(text: &str) -> bool {
    // Chunks are short enough to count their digits in a byte, so that many bytes are compared at once.
    let (mut has_at_sign, mut digits) = (false, 0);
    for chunk in text.as_bytes().chunks(128) {
        has_at_sign |= chunk.iter().fold(false, |found, byte| found | (*byte == b'@'));
        let count = chunk.iter().fold(0_u8, |count, byte| count + u8::from(byte.is_ascii_digit()));
        digits += usize::from(count);
    }
    has_at_sign || digits >= 8
}

/// Returns the personal data that [`redact`] replaces, in the order of the text.
fn spans(text: &str) -> Vec<Span> {
    if !may_be_personal(text) {
        return Vec::new();
    }
    let mut search = Search { rest: text.to_owned(), spans: Vec::new() };
    if text.contains('@') {
        search.take(&EMAIL, "[email]", |found| Some(found.len()));
    }
    search.pass_over(&UUID);
    search.take(&IBAN, "[iban]", longest_iban);
    search.take(&SOCIAL, "[social]", |found| social_checks(found).then_some(found.len()));
    search.take(&CARD, "[card]", |found| {
        let digits: Vec<u8> = digits(found).collect();
        luhn(&digits).then_some(found.len())
    });
    search.take(&PHONE, "[phone]", |found| {
        (8..=15).contains(&digits(found).count()).then_some(found.len())
    });
    search.spans.sort_by_key(|span| span.range.start);
    search.spans
}

/// A search in which found data is overwritten with brackets, so that no later pattern finds it again.
struct Search {
    rest: String,
    spans: Vec<Span>,
}

impl Search {
    /// Overwrites the matches of `pattern`, which are no personal data.
    fn pass_over(&mut self, pattern: &Regex) {
        let found: Vec<Range<usize>> =
            pattern.find_iter(&self.rest).map(|found| found.range()).collect();
        for range in found {
            self.rest.replace_range(range.clone(), &"[".repeat(range.len()));
        }
    }

    /// Adds the matches of `pattern` that `length` accepts; `length` returns the number of bytes to replace.
    fn take(
        &mut self,
        pattern: &Regex,
        mark: &'static str,
        length: impl Fn(&str) -> Option<usize>,
    ) {
        let found: Vec<Range<usize>> = pattern
            .find_iter(&self.rest)
            .filter_map(|found| Some(found.start()..found.start() + length(found.as_str())?))
            .collect();
        for range in found {
            self.rest.replace_range(range.clone(), &"[".repeat(range.len()));
            self.spans.push(Span { range, mark });
        }
    }
}

fn digits(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0')
}

/// Returns whether the last digit is a valid check digit (ISO/IEC 7812-1, annex B); a single repeated digit is not.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| {
            let digit = u32::from(digit) * if i % 2 == 1 { 2 } else { 1 };
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10) && digits.windows(2).any(|pair| pair[0] != pair[1])
}

/// Returns the length in bytes of the longest prefix of `found` that is a valid IBAN; the pattern also matches words
/// after it.
fn longest_iban(found: &str) -> Option<usize> {
    let ends: Vec<usize> = found
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphanumeric())
        .map(|(at, _)| at + 1)
        .collect();
    ends.into_iter().enumerate().rev().find_map(|(i, end)| {
        let whole = found[end..].chars().next().is_none_or(|c| !c.is_ascii_alphanumeric());
        (i + 1 >= 15 && whole && iban_checks(&found[..end])).then_some(end)
    })
}

/// Returns whether the check sum is valid: with the first four characters moved to the end and letters read as 10 to 35,
/// the number is 1 modulo 97.
fn iban_checks(text: &str) -> bool {
    let symbols: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let remainder = symbols[4..].iter().chain(&symbols[..4]).fold(0_u32, |remainder, &symbol| {
        match symbol.to_ascii_uppercase() {
            digit @ b'0'..=b'9' => (remainder * 10 + u32::from(digit - b'0')) % 97,
            letter => (remainder * 100 + u32::from(letter - b'A') + 10) % 97,
        }
    });
    remainder == 1
}

/// Returns whether the key of a French social security number, its last two digits, is valid: 97 minus the rest modulo
/// 97, with `2A` and `2B` of Corsica read as 19 and 18.
fn social_checks(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != ' ').collect::<String>().to_ascii_uppercase();
    let plain = plain.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let (number, key) = plain.split_at(plain.len() - 2);
    match (number.parse::<u64>(), key.parse::<u64>()) {
        (Ok(number), Ok(key)) => 97 - number % 97 == key,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn redacted_data_is_restored_around_edits() {
        let original = "mail a@b.fr, [email] or 06 12 34 56 78 06 12 34 56 79";
        assert_eq!(redact(original), "mail [email], [email] or [phone] [phone]");
        let edited = "please mail [email], [email] or [phone] and [phone]!";
        let expected = "please mail a@b.fr, [email] or 06 12 34 56 78 and 06 12 34 56 79!";
        assert_eq!(unredact(edited, original).as_deref(), Some(expected));
        // A removed mark is ambiguous. Without any marks, in either text, the edit stands as it is.
        assert_eq!(unredact("mail [email] or [phone]", original), None);
        assert_eq!(unredact("mail us", original).as_deref(), Some("mail us"));
        assert_eq!(unredact("mail [email]", "mail jane").as_deref(), Some("mail [email]"));
    }

    proptest! {
        #[test]
        fn an_unedited_text_is_restored_exactly(
            parts in prop::collection::vec(prop::sample::select(vec![
                "a@b.fr", "[email]", "[phone]", "06 12 34 56 78", "4111 1111 1111 1111", "[", "]", " ", ", ", "été",
                "de89370400440532013000", "7", "x",
            ]), 0..9),
        ) {
            let original = parts.concat();
            prop_assert_eq!(unredact(&redact(&original), &original), Some(original));
        }
    }

    #[test]
    fn personal_data_is_replaced() {
        // Card: a test number of the payment networks. IBANs: the examples of ISO 13616.
        for (text, expected) in [
            ("write to Jean.Dupont+x@exemple.co.uk!", "write to [email]!"),
            ("ma carte 4111 1111 1111 1111 ok", "ma carte [card] ok"),
            ("4111-1111-1111-1111", "[card]"),
            ("378282246310005", "[card]"),
            ("IBAN FR14 2004 1010 0505 0001 3M02 606 merci", "IBAN [iban] merci"),
            ("de89370400440532013000", "[iban]"),
            ("call +33 6 12 34 56 78 please", "call [phone] please"),
            ("06.12.34.56.78", "[phone]"),
            ("0612345678", "[phone]"),
            ("(415) 555-2671", "[phone]"),
            ("+44 20 7946 0958", "[phone]"),
            ("020 7946 0958", "[phone]"),
            // By hand: 97 minus 2550814168025 modulo 97 is 38.
            ("mon numéro : 2 55 08 14 168 025 38", "mon numéro : [social]"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }

    #[test]
    fn personal_data_is_found_anywhere_in_a_long_text() {
        for before in 0..300 {
            let text = format!("{} 06 12 34 56 78", "a".repeat(before));
            assert_eq!(personal_data(&text), ["a telephone number"], "after {before}");
            assert!(personal_data(&text.replace("06", "o6")).is_empty(), "after {before}");
        }
        // More digits than a byte can count.
        assert!(!may_be_personal(&"1234567 ".replace(' ', &"a".repeat(300))));
        assert!(may_be_personal(&"0".repeat(1_024)));
    }

    #[test]
    fn marks_of_an_earlier_redaction_are_not_personal_data() {
        assert_eq!(
            personal_data("a@b.fr or +33 6 12 34 56 78"),
            ["an e-mail address", "a telephone number"]
        );
        assert!(personal_data("write to [email] @ 12345678").is_empty());
        assert!(personal_data("2 55 08 14 168 025 39").is_empty());
    }

    #[test]
    fn a_uuid_is_no_personal_data() {
        // Groups of digits look like an American telephone number, a national one, a card and an IBAN.
        for text in [
            "12345678-1234-4321-8123-012345678901",
            "ticket 550e8400-e29b-4155-8267-446655440000 is late",
            "{00112233-4455-6677-8899-001122334455}",
            "C0FFEE00-4111-1111-1111-111111111111",
            "de893704-0044-0532-0130-001234567890",
            "00112233445566778899001122334455",
        ] {
            assert_eq!(redact(text), text);
            assert!(personal_data(text).is_empty(), "{text}");
        }
        // Data next to one, and an address that contains one, are still replaced.
        let id = "12345678-1234-4321-8123-012345678901";
        assert_eq!(redact(&format!("{id}, 0612345678")), format!("{id}, [phone]"));
        assert_eq!(redact(&format!("{id}@example.com")), "[email]");
        assert_eq!(redact("4111-1111-1111-1111"), "[card]");
    }

    #[test]
    fn order_numbers_dates_and_amounts_are_kept() {
        for text in [
            "order 4111 1111 1111 1112 is late",
            "order #20451998 since 12/11/2026",
            "GB82 WEST 1234 5698 7654 33",
            "1234567890123 is the tracking number",
            "2026-11-20 10:15:30 paid 1,234.50 €",
            "0000 0000 0000 0000",
            "@home at 8",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
