//! Utterances that are searched for in files of any text format.

use botops_findings::{Fault, Result};

/// The fewest letters and digits of an utterance that can be searched for: a shorter one is a word of others.
const FEWEST: usize = 8;
/// The most bytes of an utterance, so that a window of a file always holds a whole one.
const MOST: usize = 16 << 10;

/// Utterances to search for, whatever their case and white space, and however a format writes their quotes.
#[derive(Clone)]
pub struct Needles(Vec<String>);

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // They are what somebody wants to be forgotten.
        write!(f, "Needles({})", self.0.len())
    }
}

impl Needles {
    /// Reads utterances, one a line; empty lines are skipped.
    ///
    /// # Errors
    /// `BOT-5140` (exit 2) there is none; one has fewer than 8 letters and digits, unless `short`; one has more than 16 KiB.
    /// No message repeats an utterance.
    pub fn of_lines(text: &str, short: bool) -> Result<Self> {
        let mut needles = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let needle = folded(line);
            if needle.is_empty() {
                continue;
            }
            let refused = |problem: &str| {
                Fault::usage("BOT-5140", format!("the utterance in line {number} {problem}"))
            };
            let letters = needle.chars().filter(|c| c.is_alphanumeric()).count();
            if letters == 0 || (letters < FEWEST && !short) {
                return Err(refused("is too short: it would be found inside of many others")
                    .hint("give the whole utterance; `--force` searches for it anyway"));
            }
            if needle.len() > MOST {
                return Err(refused("is longer than 16 KiB").hint("one utterance a line"));
            }
            needles.push(needle);
        }
        if needles.is_empty() {
            return Err(Fault::usage("BOT-5140", "there is no utterance to search for")
                .hint("write them to a file, one a line"));
        }
        needles.sort_unstable();
        needles.dedup();
        Ok(Self(needles))
    }

    /// Returns the utterances in the form in which they are compared, sorted; for an HMAC.
    #[must_use]
    pub fn canonical(&self) -> &[String] {
        &self.0
    }

    /// Returns whether `bytes` hold one of the utterances: as plain text, in JSON, CSV, YAML, XML or HTML.
    #[must_use]
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        if self.holds(&folded(&text)) {
            return true;
        }
        let rewritten = [
            text.contains('\\').then(|| without_escapes(&text)),
            text.contains("\"\"").then(|| text.replace("\"\"", "\"")),
            text.contains('&').then(|| without_entities(&text)),
            text.contains("''").then(|| text.replace("''", "'")),
        ];
        rewritten.into_iter().flatten().any(|text| self.holds(&folded(&text)))
    }

    fn holds(&self, text: &str) -> bool {
        self.0.iter().any(|needle| {
            text.match_indices(needle.as_str()).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let after = text[at + needle.len()..].chars().next();
                let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
                is_edge(before) && is_edge(after)
            })
        })
    }
}

/// Returns `text` in lowercase and composed, with one blank for all white space in a row.
fn folded(text: &str) -> String {
    let lower = botops_text::composed(text).to_lowercase();
    let mut out = String::with_capacity(lower.len());
    for word in lower.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Returns `text` with the escapes of JSON and YAML as the characters that they mean.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut chars = rest.chars();
        let Some(escape) = chars.next() else { return out };
        let plain = chars.as_str();
        rest = match escape {
            'n' | 'r' | 't' => {
                out.push(' ');
                plain
            }
            'u' => {
                let (c, after) = code_point(plain);
                out.push(c);
                after
            }
            other => {
                out.push(other);
                plain
            }
        };
    }
    out.push_str(rest);
    out
}

/// Reads the digits after `\u`, with a second surrogate, and returns the character and the rest.
fn code_point(text: &str) -> (char, &str) {
    let unit = |text: &str| text.get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let Some(first) = unit(text) else { return (char::REPLACEMENT_CHARACTER, text) };
    let rest = &text[4..];
    let second = rest.strip_prefix("\\u").and_then(|rest| Some((unit(rest)?, &rest[4..])));
    let mut units = vec![first];
    if (0xd800..0xdc00).contains(&first)
        && let Some((second, after)) = second
    {
        units.push(second);
        let c = char::decode_utf16(units).next().and_then(std::result::Result::ok);
        return (c.unwrap_or(char::REPLACEMENT_CHARACTER), after);
    }
    let c = char::decode_utf16(units).next().and_then(std::result::Result::ok);
    (c.unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

/// Returns `text` with the entities of HTML and XML that quote characters as these characters.
fn without_entities(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&apos;", "'"),
        ("&#34;", "\""),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(text: &str) -> Needles {
        Needles::of_lines(text, false).unwrap()
    }

    #[test]
    fn an_utterance_is_found_in_every_format() {
        let text = "My \"Große\" IBAN is\tDE89 & it's mine 😀";
        let found = needles(text);
        let json = serde_json::json!([{ "text": text, "n": 1 }]).to_string();
        let ascii: String = json
            .chars()
            .flat_map(|c| {
                let mut units = [0; 2];
                match c.is_ascii() {
                    true => vec![c.to_string()],
                    false => {
                        c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect()
                    }
                }
            })
            .collect();
        let csv = format!("text,intent\n\"{}\",x\n", text.replace('"', "\"\""));
        let html = text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;");
        for held in [
            text.to_owned(),
            text.to_uppercase().replace("GROSSE", "GROßE"),
            json,
            ascii,
            csv,
            html,
        ] {
            assert!(found.are_in(held.as_bytes()), "{held}");
            let padded = [b"\xff\x00".as_slice(), held.as_bytes(), b"\xfe"].concat();
            assert!(found.are_in(&padded), "{held}");
        }
        assert!(needles("cafe\u{301} in the corner").are_in("Café in\nthe corner".as_bytes()));
    }

    #[test]
    fn a_part_of_a_word_is_not_the_utterance() {
        let found = needles("cancel order\n\nwhere is my parcel");
        assert!(found.are_in(b"please cancel  order, now"));
        assert!(!found.are_in(b"cancel orders"));
        assert!(!found.are_in(b"uncancel order"));
        assert!(!found.are_in(b"where is my"));
    }

    #[test]
    fn unfit_utterances_are_refused_without_repeating_them() {
        for (text, short) in [
            ("", false),
            ("\n \n", false),
            ("hello", false),
            ("?!", true),
            (&*"x".repeat(20_000), false),
        ] {
            let fault = Needles::of_lines(text, short).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5140", 2));
            assert!(!fault.message().contains("hello"), "{fault}");
        }
        assert!(Needles::of_lines("hello", true).unwrap().are_in(b"Hello!"));
        assert_eq!(format!("{:?}", needles("my secret is out")), "Needles(1)");
    }

    #[test]
    fn broken_escapes_are_no_panic() {
        let found = needles("where is my parcel");
        for text in ["\\", "\\u", "\\u12", "\\ud800", "\\ud800\\u", "\\ud800\\uzzzz", "\\u00e9é"] {
            assert!(!found.are_in(text.as_bytes()));
        }
    }
}
