//! Personal data out of logs.

use regex::{Captures, Regex};
use std::{borrow::Cow, sync::LazyLock};

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{L}\p{N}._%+\-]{1,64}@(?:[\p{L}\p{N}\-]{1,63}\.)+\p{L}{2,24}")
        .expect("the pattern is constant")
});
/// Two letters, two digits, then groups of letters and digits, with single spaces or hyphens between.
static IBAN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b[a-z]{2}\d{2}(?:[ \-]?[a-z0-9]){11,30}\b").expect("the pattern is constant")
});
static CARD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b\d(?:[ \-]?\d){12,18}\b").expect("the pattern is constant"));
/// International (`+` or `00`), national with a leading 0, or the American three-three-four.
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

/// The kinds of personal data that are told apart, as [`redact`] marks them.
const KINDS: [(&str, &str); 5] = [
    ("[email]", "an e-mail address"),
    ("[iban]", "a bank account (IBAN)"),
    ("[social]", "a social security number"),
    ("[card]", "a card number"),
    ("[phone]", "a telephone number"),
];

/// Returns `text` with personal data (e-mail, phone, card, IBAN, social security) replaced by `[email]` and so on, for
/// logs.
///
/// A card number needs 13 to 19 digits and a right check digit (Luhn); an IBAN a right check sum
/// (ISO 13616, mod 97), and a French social security number its key, so that order numbers stay readable. A phone number
/// has 8 to 15 digits (E.164).
#[must_use]
pub fn redact(text: &str) -> String {
    if may_be_personal(text) { marked(text) } else { text.to_owned() }
}

/// Returns the kinds of personal data in `text`, in plain words; what counts is what [`redact`] replaces.
#[must_use]
pub fn personal_data(text: &str) -> Vec<&'static str> {
    if !may_be_personal(text) {
        return Vec::new();
    }
    let marked = marked(text);
    // A text may hold the mark of an earlier redaction: that is not personal any more.
    let is_more = |mark: &str| marked.matches(mark).count() > text.matches(mark).count();
    KINDS.iter().filter(|(mark, _)| is_more(mark)).map(|(_, kind)| *kind).collect()
}

/// Most utterances have none of it: a few bytes decide, and no pattern runs.
fn may_be_personal(text: &str) -> bool {
    // In chunks whose digits a byte can count, so that many bytes are looked at at once.
    let (mut is_signed, mut digits) = (false, 0);
    for chunk in text.as_bytes().chunks(128) {
        is_signed |= chunk.iter().fold(false, |found, byte| found | (*byte == b'@'));
        let count = chunk.iter().fold(0_u8, |count, byte| count + u8::from(byte.is_ascii_digit()));
        digits += usize::from(count);
    }
    is_signed || digits >= 8
}

fn marked(text: &str) -> String {
    let text =
        if text.contains('@') { EMAIL.replace_all(text, "[email]") } else { Cow::Borrowed(text) };
    let text = replace(&IBAN, &text, "[iban]", longest_iban);
    let text =
        replace(&SOCIAL, &text, "[social]", |found| social_checks(found).then_some(found.len()));
    let text = replace(&CARD, &text, "[card]", |found| {
        let digits: Vec<u8> = digits(found).collect();
        luhn(&digits).then_some(found.len())
    });
    let text = replace(&PHONE, &text, "[phone]", |found| {
        (8..=15).contains(&digits(found).count()).then_some(found.len())
    });
    text.into_owned()
}

/// Replaces what `pattern` finds by `mark`, as far as `length` says (in bytes), where it says so.
fn replace<'t>(
    pattern: &Regex,
    text: &'t str,
    mark: &str,
    length: impl Fn(&str) -> Option<usize>,
) -> Cow<'t, str> {
    pattern.replace_all(text, |captures: &Captures<'_>| match length(&captures[0]) {
        Some(n) => format!("{mark}{}", &captures[0][n..]),
        None => captures[0].to_owned(),
    })
}

fn digits(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0')
}

/// Whether the last digit checks the others (ISO/IEC 7812-1, annex B); one digit repeated does not count.
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

/// Returns the bytes of the longest beginning of `found` that is a valid IBAN: words may follow one without a break.
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

/// Whether the number, its first four characters moved to the end and letters read as 10 to 35, is 1 modulo 97.
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

/// Whether the key of a French social security number is 97 less the rest of the number modulo 97; Corsica's `2A` and
/// `2B` count as 19 and 18.
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

    #[test]
    fn personal_data_is_replaced() {
        // Card: the test number of the payment networks. IBANs: the examples of ISO 13616.
        for (text, wanted) in [
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
            // 97 less 2550814168025 modulo 97 is 38, by hand.
            ("mon numéro : 2 55 08 14 168 025 38", "mon numéro : [social]"),
        ] {
            assert_eq!(redact(text), wanted, "{text}");
        }
    }

    #[test]
    fn personal_data_is_found_wherever_it_stands_in_a_long_text() {
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
    fn kinds_are_named_and_marks_of_an_earlier_redaction_are_none() {
        assert_eq!(
            personal_data("a@b.fr or +33 6 12 34 56 78"),
            ["an e-mail address", "a telephone number"]
        );
        assert!(personal_data("write to [email] @ 12345678").is_empty());
        assert!(personal_data("2 55 08 14 168 025 39").is_empty());
    }

    #[test]
    fn numbers_of_orders_dates_and_sums_stay() {
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
