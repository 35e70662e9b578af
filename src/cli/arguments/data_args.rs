//! The flags of the verbs that read a data file.

use botops_datasets::{Encoding, Format, Limits, Presence, ReadOptions, formats::csv::word};
use botops_expectations::Expectations;
use botops_spec::nearest;
use botops_text::{shell_line, shell_word};

/// The columns of a data file, its format, and the limit for unpacking.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DataArgs {
    /// Column with the text; default: text, utterance or message
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,
    /// Column with the intent; default: intent, label or category
    #[arg(long, value_name = "NAME")]
    pub(crate) intent_column: Option<String>,
    /// Column with the language; default: lang, language or locale
    #[arg(long, value_name = "NAME")]
    pub(crate) lang_column: Option<String>,
    /// Format of the data; default: detected from the name, else from the content
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(crate) input_format: Option<Format>,
    /// Separator of the fields of a CSV file, such as ';' or tab; default: detected
    #[arg(long, value_name = "CHARACTER", value_parser = botops_datasets::formats::csv::delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// Encoding of text files: utf-8 or windows-1252; default: utf-8
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub(crate) encoding: Option<Encoding>,
    /// Largest unpacked size of a gzip or zstd file, such as 64GiB, with any ratio; default: 16GiB, and 200 times the
    /// packed size
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_unpacked: Option<u64>,
}

/// Parses the name of a format.
pub(crate) fn format(word: &str) -> Result<Format, String> {
    let word = word.to_lowercase();
    let known = Format::ALL.iter().find(|(name, _)| *name == word);
    known.map(|(_, format)| *format).ok_or_else(|| {
        let names = Format::ALL.map(|(name, _)| name).join(", ");
        match nearest(&word, Format::ALL.iter().map(|(name, _)| *name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the formats are {names}"),
        }
    })
}

/// Parses the name of an encoding.
fn encoding(word: &str) -> Result<Encoding, String> {
    Encoding::of_name(word).ok_or_else(|| {
        let names = Encoding::ALL.map(|(name, _)| name).join(" and ");
        format!("the encodings are {names}; convert another one with `iconv`")
    })
}

/// Parses a size: `512MiB`, `64GiB`, or a number of bytes.
fn size(word: &str) -> Result<u64, String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let shift = match word[digits.len()..].trim().to_lowercase().as_str() {
        "" | "b" => Some(0),
        "kib" | "k" => Some(10),
        "mib" | "m" => Some(20),
        "gib" | "g" => Some(30),
        "tib" | "t" => Some(40),
        _ => None,
    };
    let bytes = digits.parse::<u64>().ok().zip(shift);
    bytes
        .and_then(|(n, shift)| n.checked_mul(1 << shift))
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "write a size such as `512MiB` or `64GiB`".to_owned())
}

/// Writes a size so that [`size`] can parse it.
fn size_text(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

impl DataArgs {
    /// Returns the options to read a file with these columns.
    pub(crate) fn options(&self, intent: Presence) -> ReadOptions {
        ReadOptions {
            text_column: self.text_column.clone(),
            intent_column: self.intent_column.clone(),
            lang_column: self.lang_column.clone(),
            intent,
            format: self.input_format,
            delimiter: self.delimiter,
            encoding: self.encoding.unwrap_or_default(),
            limits: self.max_unpacked.map_or_else(Limits::default, Limits::up_to),
            ..ReadOptions::default()
        }
    }

    /// Returns the flags to read a table that botops wrote from this data: it is UTF-8, and otherwise like the data.
    pub(crate) fn of_written(&self) -> Self {
        Self { encoding: None, ..self.clone() }
    }

    /// Returns a command line of `words`, followed by these flags, so that it reads the file in the same way.
    pub(crate) fn line<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let format = self.input_format.map(|format| format.name().to_owned());
        let delimiter = self.delimiter.map(word);
        let unpacked = self.max_unpacked.map(size_text);
        let given = [
            ("--text-column", self.text_column.as_deref()),
            ("--intent-column", self.intent_column.as_deref()),
            ("--lang-column", self.lang_column.as_deref()),
            ("--input-format", format.as_deref()),
            ("--delimiter", delimiter.as_deref()),
            ("--encoding", self.encoding.map(Encoding::name)),
            ("--max-unpacked", unpacked.as_deref()),
        ];
        let mut line = shell_line(words);
        for (flag, value) in given.into_iter().filter_map(|(flag, value)| Some((flag, value?))) {
            // A value that begins with a dash would be parsed as a flag.
            line.push_str(&match value.starts_with('-') {
                true => format!(" {}", shell_word(&format!("{flag}={value}"))),
                false => format!(" {flag} {}", shell_word(value)),
            });
        }
        line
    }

    /// Returns the options to read a file with these columns; columns not set here are those of `expectations`.
    pub(crate) fn options_with(&self, expectations: &Expectations) -> ReadOptions {
        let declared = expectations.read_options();
        let flags = self.options(Presence::Required);
        ReadOptions {
            text_column: flags.text_column.or(declared.text_column),
            intent_column: flags.intent_column.or(declared.intent_column),
            lang_column: flags.lang_column.or(declared.lang_column),
            text: declared.text,
            ..flags
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_formats_are_parsed_in_any_case() {
        for (word, bytes) in [("64GiB", 64 << 30), ("512 mib", 512 << 20), ("7", 7), ("2k", 2_048)]
        {
            assert_eq!(size(word), Ok(bytes), "{word}");
        }
        for word in ["", "GiB", "-1", "1.5GiB", "0", "9999999999TiB", "7 parsecs"] {
            assert!(size(word).is_err(), "{word}");
        }
        assert_eq!(format("JSONL"), Ok(Format::Jsonl));
        assert_eq!(format("parket"), Err("did you mean `parquet`?".to_owned()));
        for bytes in [1, 1_000, 3 << 10, 512 << 20, 64 << 30, u64::MAX] {
            assert_eq!(size(&size_text(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn a_command_line_repeats_the_flags() {
        let args = DataArgs {
            text_column: Some("what was said".to_owned()),
            intent_column: Some("-label".to_owned()),
            lang_column: Some("l".to_owned()),
            input_format: Some(Format::Jsonl),
            delimiter: Some(b'\t'),
            encoding: Some(Encoding::Windows1252),
            max_unpacked: Some(64 << 30),
        };
        assert_eq!(
            args.line(["botops", "validate", "my log"]),
            "botops validate 'my log' --text-column 'what was said' --intent-column=-label --lang-column l \
             --input-format jsonl --delimiter tab --encoding windows-1252 --max-unpacked 64GiB"
        );
        assert_eq!(DataArgs::default().line(["botops", "validate"]), "botops validate");
    }
}
