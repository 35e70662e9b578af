//! The dialect of a table: its delimiter, and the line `sep=;` with which a spreadsheet names it.
//!
//! The delimiter is detected over the header and the records at the beginning of the file, as each candidate divides them.
//! If two candidates divide a file equally well, it is the one that names a column of the text and one of the intent. A file
//! without such a difference is refused.

use super::fields::Fields;
use crate::{column_roles::has_text_and_intent, opening::Format};
use botops_findings::{Fault, Place};

/// The bytes at the beginning of a text in which the delimiter is detected.
pub(crate) const SAMPLE_BYTES: usize = 64 << 10;

/// The delimiters that are detected. If none of them divides the header, it is the first.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The delimiter as far as it is known before the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// It is detected.
    Detected,
    /// That of the format, unless the file names another one in a line `sep=`.
    Usual(u8),
    /// The user named it.
    Given(u8),
}

impl Separator {
    /// Returns what is known of the delimiter of a file of `format`, if the user named the delimiter `given`.
    #[must_use]
    pub fn of(format: Format, given: Option<u8>) -> Self {
        match (given, format) {
            (Some(delimiter), _) => Self::Given(delimiter),
            (None, Format::Tsv) => Self::Usual(b'\t'),
            (None, _) => Self::Detected,
        }
    }
}

/// The delimiter of a table, and where its header begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The delimiter.
    pub delimiter: u8,
    /// The offset of the header in the text, after a byte-order mark and a line `sep=`.
    pub start: usize,
}

/// Two delimiters divide the header and all records at the beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous {
    /// The two delimiters.
    candidates: [u8; 2],
}

impl Dialect {
    /// Returns the dialect of `text`, the beginning of a file with at least 64 KiB, or the whole file if it `is_whole`.
    /// The result does not depend on the text after the first 64 KiB.
    ///
    /// # Errors
    /// Two delimiters divide the header and every record at the beginning.
    pub fn of(text: &str, is_whole: bool, separator: Separator) -> Result<Self, Ambiguous> {
        let mark = text.len() - text.trim_start_matches('\u{feff}').len();
        let (named, line) = named_separator(&text[mark..]).unzip();
        let start = mark + line.unwrap_or(0);
        let delimiter = match (separator, named) {
            (Separator::Given(delimiter), _) | (_, Some(delimiter)) => delimiter,
            (Separator::Usual(delimiter), None) => delimiter,
            (Separator::Detected, None) => {
                let is_whole = is_whole && text.len() <= SAMPLE_BYTES;
                detect(beginning(text, SAMPLE_BYTES).get(start..).unwrap_or_default(), is_whole)?
            }
        };
        Ok(Self { delimiter, start })
    }
}

impl Ambiguous {
    /// Returns the fault of the file at `place`.
    pub(crate) fn fault(self, place: Place) -> Fault {
        let [first, second] = self.candidates;
        let (a, b) = (shown(first), shown(second));
        let message = format!(
            "the delimiter may be {a} or {b}: each of them divides the header and every record into equally many fields"
        );
        Fault::data("BOT-2231", message)
            .at(place)
            .hint(format!("name it: `{}` or `{}`", flag(first), flag(second)))
            .hint("or quote the names and the texts that hold the other one: `\"like, this\"`")
    }
}

/// Parses a delimiter: one character, or its name.
///
/// # Errors
/// A message, for anything else, and for a letter, a digit, a quote or a line break.
pub fn delimiter(word: &str) -> Result<u8, String> {
    let byte = match word.to_lowercase().as_str() {
        "comma" => b',',
        "semicolon" => b';',
        "tab" | "\\t" => b'\t',
        "pipe" => b'|',
        "space" => b' ',
        _ => match word.as_bytes() {
            [byte] => *byte,
            _ => return Err("write one character, such as `;`, or `tab`".to_owned()),
        },
    };
    if byte == b'\t' || byte == b' ' || byte.is_ascii_punctuation() && byte != b'"' {
        return Ok(byte);
    }
    Err("a delimiter is `tab`, `space` or a sign such as `;`, and no letter, digit or quote"
        .to_owned())
}

/// Returns `delimiter` as [`delimiter`](delimiter()) parses it.
#[must_use]
pub fn word(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        b' ' => "space".to_owned(),
        other => char::from(other).to_string(),
    }
}

/// Returns `delimiter` in a message.
pub(super) fn shown(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "a tab".to_owned(),
        b' ' => "a space".to_owned(),
        other => format!("`{}`", char::from(other)),
    }
}

/// Returns the remedy if `delimiter` is the true one.
pub(super) fn hint(delimiter: u8) -> String {
    format!("if {} separates the fields: `{}`", shown(delimiter), flag(delimiter))
}

fn flag(delimiter: u8) -> String {
    format!("--delimiter '{}'", word(delimiter))
}

/// Returns a delimiter other than `used` that one of `names` contains.
pub(super) fn other_in(names: &[String], used: u8) -> Option<u8> {
    let has = |sign: &u8| names.iter().any(|name| name.as_bytes().contains(sign));
    [b';', b'\t', b'|', b',', b'^', b'~'].into_iter().filter(|&sign| sign != used).find(has)
}

/// Returns the delimiter that the line `sep=;` at the beginning of `text` names, and the length of that line.
fn named_separator(text: &str) -> Option<(u8, usize)> {
    let end = text.find(['\r', '\n'])?;
    let line = text[..end].trim_matches('"');
    let named = line.get(..4).filter(|key| key.eq_ignore_ascii_case("sep="))?;
    let delimiter = match &line.as_bytes()[named.len()..] {
        // A line of nothing else is not the header, because no column has such a name.
        [sign] if *sign == b'\t' || sign.is_ascii_punctuation() => *sign,
        b"\\t" => b'\t',
        _ => return None,
    };
    let is_pair = text[end..].starts_with("\r\n");
    Some((delimiter, end + 1 + usize::from(is_pair)))
}

/// Returns the first `most` bytes of `text`, or fewer, so that no character is cut.
fn beginning(text: &str, most: usize) -> &str {
    let cut = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..cut.unwrap_or(0)]
}

/// How well a delimiter divides a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fit {
    delimiter: u8,
    /// The share of the records that have as many fields as the header.
    share: f64,
    n_records: u64,
    /// The number of fields in which a quote stands where the delimiter leaves it no meaning.
    n_stray: u64,
    /// Whether the header names a column of the text and one of the intent.
    is_named: bool,
}

impl Fit {
    /// Returns whether it is better than `other`.
    fn is_better(&self, other: &Self) -> bool {
        (self.share, other.n_stray, self.is_named) > (other.share, self.n_stray, other.is_named)
    }
}

/// Detects the delimiter of `sample`, which is the whole text if it `is_whole`.
fn detect(sample: &str, is_whole: bool) -> Result<u8, Ambiguous> {
    let fits = CANDIDATES.into_iter().filter_map(|delimiter| fit(sample, is_whole, delimiter));
    let mut best: Option<Fit> = None;
    let mut rival: Option<Fit> = None;
    for fit in fits {
        let Some(found) = best else {
            best = Some(fit);
            continue;
        };
        if fit.is_better(&found) {
            (best, rival) = (Some(fit), None);
        } else if !found.is_better(&fit) {
            rival = rival.or(Some(fit));
        }
    }
    match (best, rival) {
        (Some(best), Some(rival)) if best.share >= 1.0 && best.n_records > 0 => {
            Err(Ambiguous { candidates: [best.delimiter, rival.delimiter] })
        }
        (Some(best), _) => Ok(best.delimiter),
        (None, _) => Ok(CANDIDATES[0]),
    }
}

/// Returns how `delimiter` divides `sample`; `None` if the header has one field.
fn fit(sample: &str, is_whole: bool, delimiter: u8) -> Option<Fit> {
    let mut fields = Fields::new(delimiter);
    let (mut at, mut width) = (0, None);
    let (mut n_records, mut n_fitting, mut n_stray) = (0_u64, 0_u64, 0_u64);
    let mut is_named = false;
    while let Some(extent) = fields.read(sample, at) {
        at = extent.end;
        // The record at the end of the sample may go on after it.
        if fields.is_blank(sample) || at == sample.len() && !is_whole {
            continue;
        }
        if !extent.is_plain {
            n_stray += fields.spans().filter(|span| is_stray(&sample[span.clone()])).count() as u64;
        }
        match width {
            None if fields.len() == 1 => return None,
            None => {
                width = Some(fields.len());
                let names: Vec<&str> = fields.words(sample).map(str::trim).collect();
                is_named = has_text_and_intent(&names);
            }
            Some(width) => {
                n_records += 1;
                n_fitting += u64::from(fields.len() == width);
            }
        }
    }
    width?;
    let share = if n_records == 0 { 1.0 } else { n_fitting as f64 / n_records as f64 };
    Some(Fit { delimiter, share, n_records, n_stray, is_named })
}

/// Returns whether `field`, with its quotes, has a quote that neither encloses it nor is doubled within it.
fn is_stray(field: &str) -> bool {
    match field
        .trim_start_matches([' ', '\t'])
        .strip_prefix('"')
        .map(|rest| rest.trim_end_matches([' ', '\t']))
    {
        Some(rest) => {
            rest.strip_suffix('"').is_none_or(|inner| inner.replace("\"\"", "").contains('"'))
        }
        None => field.contains('"'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(char, usize), [u8; 2]> {
        Dialect::of(text, true, Separator::Detected)
            .map(|dialect| (char::from(dialect.delimiter), dialect.start))
            .map_err(|ambiguous| ambiguous.candidates)
    }

    #[test]
    fn the_delimiter_is_detected_over_quoted_fields_and_several_records() {
        for (text, expected) in [
            ("text,intent\na,b\n", ','),
            ("text;intent\na, b;c\n", ';'),
            ("text\tintent\na, b; c\td\n", '\t'),
            ("text|intent\na|b\n", '|'),
            ("text;intent;\"note, free\"\na;b;c\n", ';'),
            ("text;intent;\"note, free\"\n", ';'),
            ("\"text, as typed\";intent\n\"hello, there\";greet\n", ';'),
            ("text, as typed;intent\nhello, there;greet\nbye;leave\n", ';'),
            ("text,intent,\"a;b\"\nx;y,z,1\np;q,r,2\n", ','),
            ("text;a,b;intent\nx;y;z\n", ';'),
            ("text,intent,words (a;b)\nx,y,c;d\np,q,e;f\n", ','),
            ("Label;Text;a,b\ny;x;1,2\nq;p;3,4\n", ';'),
            // A record that does not fit is reported; it does not decide.
            ("text,intent\na,b\nhello, you,c\nd,e\n", ','),
            ("text\nhello, there\n", ','),
            ("\n \ntext;intent\n\na;b", ';'),
            // A quoted text may hold line breaks and delimiters.
            ("text;intent\n\"a,b\nc,d\";x\n\"e \"\"f\"\", g\";y\n", ';'),
        ] {
            assert_eq!(of(text).map(|(delimiter, _)| delimiter), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn two_delimiters_that_divide_a_file_equally_well_are_ambiguous() {
        let text = "text, as typed;intent\nhello, there;greet\nbye, now;leave\n";
        assert_eq!(of(text), Err([b',', b';']));
        for given in [b',', b';', b'^'] {
            let dialect = Dialect::of(text, true, Separator::Given(given)).unwrap();
            assert_eq!(dialect, Dialect { delimiter: given, start: 0 });
        }
    }

    #[test]
    fn the_line_of_a_spreadsheet_names_the_delimiter() {
        for (text, expected) in [
            ("sep=;\ntext;intent\n", (';', 6)),
            ("SEP=;\r\ntext, a;intent\r\n", (';', 7)),
            ("\u{feff}sep=|\rtext|intent\r", ('|', 9)),
            ("\"sep=,\"\ntext,intent\n", (',', 8)),
            ("sep=\t\ntext\tintent\n", ('\t', 6)),
            ("sep=\\t\ntext\tintent\n", ('\t', 7)),
            // Columns of other names.
            ("sep=,x\na,b\n", (',', 0)),
            ("sep=;;\n", (';', 0)),
            ("sep=x\na\n", (',', 0)),
        ] {
            assert_eq!(of(text), Ok(expected), "{text:?}");
        }
        let usual = Dialect::of("sep=;\na;b\n", true, Separator::Usual(b'\t')).unwrap();
        assert_eq!(usual, Dialect { delimiter: b';', start: 6 });
        let given = Dialect::of("sep=;\na|b\n", true, Separator::Given(b'|')).unwrap();
        assert_eq!(given, Dialect { delimiter: b'|', start: 6 });
    }

    #[test]
    fn a_delimiter_is_a_sign_or_its_name() {
        for (text, byte) in
            [(";", b';'), ("TAB", b'\t'), ("\\t", b'\t'), ("\t", b'\t'), ("^", b'^')]
        {
            assert_eq!(delimiter(text), Ok(byte), "{text}");
        }
        for text in ["", ";;", "a", "1", "\"", "\n", "é", "tabs"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
        for byte in [b',', b'\t', b' ', b'|'] {
            assert_eq!(delimiter(&word(byte)), Ok(byte));
        }
    }
}
