//! Personal data out of logs.

use regex::Regex;
use std::{ops::Range, sync::LazyLock};

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

/// Returns the kinds of personal data in `text`, in plain words; what counts is what [`redact`] replaces.
#[must_use]
pub fn personal_data(text: &str) -> Vec<&'static str> {
    let spans = spans(text);
    let has = |mark: &str| spans.iter().any(|span| span.mark == mark);
    KINDS.iter().filter(|(mark, _)| has(mark)).map(|(_, kind)| *kind).collect()
}

/// Puts back into `edited`, which somebody made of what [`redact`] returned for `original`, what its marks stand for.
///
/// `None` when that cannot be told: `edited` has marks, and not those of `original` in their order. Where nothing of
/// `original` was replaced, or no mark is left, `edited` is as it is meant.
#[must_use]
pub fn unredact(edited: &str, original: &str) -> Option<String> {
    let found = spans(original);
    let there: Vec<(usize, &'static str)> = marks(edited).collect();
    if found.is_empty() || there.is_empty() {
        return Some(edited.to_owned());
    }
    // A mark that stood in the original stands for itself.
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    let mut at = 0;
    for Span { range, mark } in &found {
        wanted.extend(marks(&original[at..range.start]).map(|(_, mark)| (mark, mark)));
        wanted.push((mark, &original[range.clone()]));
        at = range.end;
    }
    wanted.extend(marks(&original[at..]).map(|(_, mark)| (mark, mark)));
    if !there.iter().map(|(_, mark)| mark).eq(wanted.iter().map(|(mark, _)| mark)) {
        return None;
    }
    let mut out = String::with_capacity(edited.len().max(original.len()));
    let mut at = 0;
    for ((start, mark), (_, meant)) in there.into_iter().zip(wanted) {
        out.push_str(&edited[at..start]);
        out.push_str(meant);
        at = start + mark.len();
    }
    out.push_str(&edited[at..]);
    Some(out)
}

/// Iterates over the marks in `text`, with the bytes where they begin.
fn marks(text: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    text.match_indices('[').filter_map(|(at, _)| {
        let mark = KINDS.iter().map(|(mark, _)| *mark).find(|mark| text[at..].starts_with(mark))?;
        Some((at, mark))
    })
}

/// Personal data in a text: which bytes, and the mark that takes their place.
struct Span {
    range: Range<usize>,
    mark: &'static str,
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

/// Finds what [`redact`] replaces, in the order of the text.
fn spans(text: &str) -> Vec<Span> {
    if !may_be_personal(text) {
        return Vec::new();
    }
    let mut search = Search { rest: text.to_owned(), spans: Vec::new() };
    if text.contains('@') {
        search.take(&EMAIL, "[email]", |found| Some(found.len()));
    }
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

/// A text in which what was found is covered by brackets, so that nothing is found twice.
struct Search {
    rest: String,
    spans: Vec<Span>,
}

impl Search {
    /// Takes what `pattern` finds, as far as `length` says (in bytes), where it says so.
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
    use proptest::prelude::*;

    #[test]
    fn what_was_redacted_comes_back_around_edits() {
        let original = "mail a@b.fr, [email] or 06 12 34 56 78 06 12 34 56 79";
        let shown = redact(original);
        assert_eq!(shown, "mail [email], [email] or [phone] [phone]");
        let edited = "please mail [email], [email] or [phone] and [phone]!";
        let wanted = "please mail a@b.fr, [email] or 06 12 34 56 78 and 06 12 34 56 79!";
        assert_eq!(unredact(edited, original).as_deref(), Some(wanted));
        // One mark less: which one went, nobody can tell. None left, or none there before: as it is written.
        assert_eq!(unredact("mail [email] or [phone]", original), None);
        assert_eq!(unredact("mail us", original).as_deref(), Some("mail us"));
        assert_eq!(unredact("mail [email]", "mail jane").as_deref(), Some("mail [email]"));
    }

    proptest! {
        #[test]
        fn what_was_not_edited_comes_back_whole(
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
