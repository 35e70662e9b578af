//! What a YAML error means, in plain words.

use super::{Outline, nearest, outline::Written};
use botops_findings::{Fault, Place};
use serde_yaml::{
    Error,
    granit_parser::{ErrorKind, ScanError},
};
use std::ops::Range;

const LIST: &str = "a list";
const BLOCK: &str = "a block of keys";

/// Says `error` of `yaml` as a fault with its place.
pub(super) fn fault(error: &Error, yaml: &str, file: &str) -> Fault {
    let outline = Outline::of(yaml);
    if let Some(scan) = outline.error() {
        return malformed(scan, yaml, file);
    }
    let error = innermost(error);
    let (mut line, mut column) = error
        .location()
        .map_or((None, None), |location| (Some(location.line()), Some(location.column())));
    let mut key = line
        .zip(column)
        .and_then(|(line, column)| outline.key_at(line, column))
        .filter(|key| !key.is_empty())
        .map(str::to_owned);
    let container = line
        .zip(column)
        .and_then(|(line, column)| outline.container_at(line, column))
        .unwrap_or_default()
        .to_owned();
    let named = |key: &Option<String>| match key {
        Some(key) => format!("`{key}`"),
        None => "the file".to_owned(),
    };

    let wrong = |code, message: String, hint: String| {
        let mut fault = Fault::usage(code, message);
        if !hint.is_empty() {
            fault = fault.hint(hint);
        }
        fault
    };
    let fault = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            // A tagged enum reports its own place, not that of the key.
            if let Some((path, l, c)) = outline.find_under(&container, field)
                && key.as_deref().is_none_or(|key| last(key) != field)
            {
                (line, column) = (Some(l), Some(c));
                key = Some(path.to_owned());
            }
            let fault = wrong("BOT-1011", format!("unknown key `{field}`"), String::new());
            suggest(fault, field, expected, "known keys here")
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let key = key.as_deref().map(|key| format!(" for `{key}`")).unwrap_or_default();
            let fault = wrong(
                "BOT-1012",
                format!("`{}` is not a known value{key}", clip(variant)),
                String::new(),
            );
            suggest(fault, variant, expected, "known values")
        }
        Error::SerdeMissingField { field, .. } => {
            let inside = match container.as_str() {
                "" => String::new(),
                parent => format!(" in `{parent}`"),
            };
            key = Some(super::outline::join(&container, field));
            wrong("BOT-1013", format!("`{field}` is missing{inside}"), format!("add `{field}:`"))
        }
        Error::DuplicateMappingKey { .. } => {
            let first = key.as_deref().and_then(|key| outline.line(key));
            let first = first.map(|line| format!(": first on line {line}")).unwrap_or_default();
            wrong(
                "BOT-1014",
                format!("{} is written twice{first}", named(&key)),
                "keep one of them".to_owned(),
            )
        }
        Error::InvalidScalar { ty, .. } => {
            let wanted = wanted(ty);
            let found = found(&outline, yaml, line, column);
            wrong(
                "BOT-1012",
                format!("{} {found}, and {wanted} is wanted", named(&key)),
                String::new(),
            )
        }
        Error::InvalidBooleanStrict { .. } => {
            let found = found(&outline, yaml, line, column);
            wrong(
                "BOT-1012",
                format!("{} {found}, and `true` or `false` is wanted", named(&key)),
                String::new(),
            )
        }
        Error::Unexpected { expected, .. } => wrong(
            "BOT-1012",
            format!(
                "{} {}, and {} is wanted",
                named(&key),
                found(&outline, yaml, line, column),
                wanted(expected)
            ),
            list_of(&outline, key.as_deref(), line, column, expected),
        ),
        Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | Error::ExpectedStringKeyForExternallyTaggedEnum { .. } => wrong(
            "BOT-1012",
            format!(
                "{} {}, and a name is wanted",
                named(&key),
                found(&outline, yaml, line, column)
            ),
            String::new(),
        ),
        Error::NullIntoString { .. } | Error::InvalidCharNull { .. } => wrong(
            "BOT-1012",
            format!("{} has no value, and a text is wanted", named(&key)),
            "write the value after the colon, or remove the key".to_owned(),
        ),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => wrong(
            "BOT-1012",
            format!(
                "{} is {}, and {} is wanted",
                named(&key),
                unexpected_words(unexpected),
                wanted(expected)
            ),
            String::new(),
        ),
        Error::SerdeInvalidLength { len, expected, .. } => wrong(
            "BOT-1012",
            format!("{} has {len} items, and {} is wanted", named(&key), wanted(expected)),
            String::new(),
        ),
        Error::Eof { .. } => {
            key = None;
            let message = if yaml.lines().all(|l| l.trim().is_empty() || l.trim().starts_with('#'))
            {
                "the file is empty"
            } else {
                "the file ends in the middle"
            };
            wrong("BOT-1010", message.to_owned(), String::new())
        }
        Error::MultipleDocuments { .. } => wrong(
            "BOT-1010",
            "the file holds more than one document".to_owned(),
            "remove the line `---` and what follows it".to_owned(),
        ),
        Error::UnknownAnchor { .. } => wrong(
            "BOT-1010",
            "an alias (`*name`) refers to an anchor that is not there".to_owned(),
            "define it with `&name`, or quote a text that starts with `*`".to_owned(),
        ),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => wrong(
            "BOT-1010",
            "the file is larger or deeper than a configuration can be".to_owned(),
            String::new(),
        ),
        // What a type of ours says about a value it checked itself.
        Error::Message { msg, .. } => wrong(
            "BOT-1012",
            match &key {
                Some(key) => format!("`{key}`: {}", clip(msg)),
                None => clip(msg),
            },
            String::new(),
        ),
        _ => wrong("BOT-1010", format!("{} is not understood", named(&key)), String::new()),
    };
    fault.at(Place { file: Some(file.to_owned()), line, column, key, ..Place::default() })
}

/// A text that stands where a block of keys is wanted.
pub(super) struct NoBlock {
    /// Its dotted key.
    pub(super) key: String,
    /// Its line.
    pub(super) line: u64,
    /// It, as it is written.
    text: String,
    chars: Range<usize>,
}

impl NoBlock {
    /// Returns what `error` of `yaml` is about, if it is such a text.
    pub(super) fn of(error: &Error, yaml: &str) -> Option<Self> {
        let error = innermost(error);
        let expected = match error {
            Error::Unexpected { expected, .. } => (*expected).to_owned(),
            Error::SerdeInvalidType { expected, .. } => expected.clone(),
            _ => return None,
        };
        let location = error.location().filter(|_| wanted(&expected) == BLOCK)?;
        let outline = Outline::of(yaml);
        let (line, column) = (location.line(), location.column());
        let Written::Scalar(text, chars) = outline.written_at(line, column)? else { return None };
        // A text of several lines is no value of a key that was forgotten.
        if chars.is_empty() || text.contains('\n') {
            return None;
        }
        let key = outline.key_at(line, column).filter(|key| !key.is_empty())?.to_owned();
        let text = yaml.chars().skip(chars.start).take(chars.len()).collect();
        Some(Self { key, line, text, chars })
    }

    /// Returns it as the value of `key`, in a block.
    pub(super) fn as_block(&self, key: &str) -> String {
        format!("{{ {key}: {} }}", self.text)
    }

    /// Returns `yaml` with `block` in its place.
    pub(super) fn replaced(&self, yaml: &str, block: &str) -> String {
        let before = yaml.chars().take(self.chars.start);
        before.chain(block.chars()).chain(yaml.chars().skip(self.chars.end)).collect()
    }

    /// Says what to write, of which `known` are the keys, and `meant` the one whose value it can be.
    pub(super) fn hint(&self, known: &[&str], meant: Option<&str>) -> String {
        let name = last(&self.key);
        let name = if name.ends_with(']') { "-".to_owned() } else { format!("{name}:") };
        match (meant, known) {
            (Some(key), _) => format!("write `{name} {}`", clip(&self.as_block(key))),
            (None, []) => format!("write `{name} {{ key: value }}`"),
            (None, known) => {
                let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
                format!(
                    "write `{name} {{ {}: … }}`; known keys here: {}",
                    known[0].trim_matches('`'),
                    known.join(", ")
                )
            }
        }
    }
}

/// Returns the keys that are known where `error` found one that is not.
pub(super) fn known_keys(error: &Error) -> &[&'static str] {
    match innermost(error) {
        Error::SerdeUnknownField { expected, .. } => expected,
        _ => &[],
    }
}

/// Says how the one value at the place is written as a list, where that is what is wanted.
fn list_of(
    outline: &Outline,
    key: Option<&str>,
    line: Option<u64>,
    column: Option<u64>,
    expected: &str,
) -> String {
    let written = line.zip(column).and_then(|(line, column)| outline.written_at(line, column));
    match (written, key.map(last)) {
        (Some(Written::Scalar(text, chars)), Some(name))
            if wanted(expected) == LIST && !chars.is_empty() && !name.ends_with(']') =>
        {
            format!("write `{name}: [{}]`", clip(text))
        }
        _ => String::new(),
    }
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => innermost(error),
        other => other,
    }
}

/// Adds the nearest of `known`, or all of them when none is near.
fn suggest(fault: Fault, word: &str, known: &[&str], what: &str) -> Fault {
    if let Some(near) = nearest(word, known.iter().copied()) {
        return fault.hint(format!("did you mean `{near}`?"));
    }
    if known.is_empty() {
        return fault.hint("nothing can be set here");
    }
    let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
    fault.hint(format!("{what}: {}", known.join(", ")))
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Says what a parser or serde calls a type.
fn wanted(ty: &str) -> String {
    match ty {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" | "floating point" | "float" => "a number",
        "bool" | "boolean" | "a boolean" => "`true` or `false`",
        "string" | "a string" | "string scalar" | "a borrowed string" => "a text",
        "sequence start" | "a sequence" | "sequence" => LIST,
        "mapping start" | "a map" | "mapping" => BLOCK,
        "variant identifier" | "field identifier" => "a known name",
        "char" | "a character" => "one character",
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum ") => {
            BLOCK
        }
        other if other.starts_with("enum ") || other.starts_with("adjacently tagged enum ") => {
            "a known name"
        }
        other => return other.to_owned(),
    }
    .to_owned()
}

/// Says what serde found: ``string `x` `` and the like.
fn unexpected_words(unexpected: &str) -> String {
    match unexpected.split_once(' ') {
        Some(("string", value)) => {
            format!("the text `{}`", clip(value.trim_matches(['"', '`'])))
        }
        Some(("integer" | "floating", value)) => {
            format!("the number {}", value.trim_start_matches("point ").replace('`', ""))
        }
        Some(("boolean", value)) => value.to_owned(),
        _ => match unexpected {
            "map" => "a block of keys".to_owned(),
            "sequence" => "a list".to_owned(),
            "unit value" | "Option value" => "empty".to_owned(),
            other => clip(other),
        },
    }
}

/// Says what stands at the place.
fn found(outline: &Outline, yaml: &str, line: Option<u64>, column: Option<u64>) -> String {
    let written = line.zip(column).and_then(|(line, column)| outline.written_at(line, column));
    match written {
        Some(Written::Scalar(_, chars)) if chars.is_empty() => "has no value".to_owned(),
        Some(Written::Scalar(text, _)) => format!("is `{}`", clip(text)),
        Some(Written::Sequence) => "is a list".to_owned(),
        Some(Written::Mapping) => "is a block of keys".to_owned(),
        None => scalar(yaml, line, column),
    }
}

/// Returns what stands at the place, up to the end of the line or a comment.
fn scalar(yaml: &str, line: Option<u64>, column: Option<u64>) -> String {
    let value = line.zip(column).and_then(|(line, column)| {
        let line = yaml.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let skipped = usize::try_from(column).ok()?.checked_sub(1)?;
        let start = line.char_indices().nth(skipped)?.0;
        let rest = &line[start..];
        let rest = rest.split(" #").next().unwrap_or(rest).trim();
        (!rest.is_empty() && rest != ":").then(|| rest.trim_matches(['"', '\'']).to_owned())
    });
    match value {
        Some(value) => format!("is `{}`", clip(&value)),
        None => "has no value".to_owned(),
    }
}

/// Cuts what a file says to what fits a message, on one line.
fn clip(text: &str) -> String {
    botops_text::display(text, 80)
}

pub(super) fn malformed(scan: &ScanError, yaml: &str, file: &str) -> Fault {
    let mut line = scan.marker().line() as u64;
    let mut column = scan.marker().col() as u64 + 1;
    let (message, hint): (String, &str) = match scan.kind() {
        ErrorKind::UnclosedFlowCollection { open } => {
            (format!("`{open}` is never closed"), "close it, or quote a text that starts with it")
        }
        ErrorKind::UnexpectedEofFlowSequence => {
            ("`[` is never closed".to_owned(), "close it with `]`")
        }
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("`{` is never closed".to_owned(), "close it with `}`")
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            (format!("`{open}` is closed by `{close}`"), "")
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket is closed that was not opened".to_owned(), "quote a text that holds it")
        }
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => {
            ("a quote is never closed".to_owned(), "close it on the line where it opens")
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            // The scanner names the start of what the tab interrupts, often a line above it.
            let from = scan.marker().line().saturating_sub(1);
            let tab = (from..).zip(yaml.lines().skip(from)).find_map(|(above, text)| {
                let indent = text.len() - text.trim_start().len();
                Some((above, text[..indent].find('\t')?))
            });
            if let Some((above, before)) = tab {
                (line, column) = (above as u64 + 1, before as u64 + 1);
            }
            ("a tab is used to indent".to_owned(), "indent with spaces")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            "a colon stands where no key can be".to_owned(),
            "quote a text that holds `: `, and check the indentation",
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a value cannot start with `{}`", clip(&character.to_string())), "quote it")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a key lacks its colon".to_owned(), "write `key: value`, with a space after the colon")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed => (
            "the indentation does not fit the lines above".to_owned(),
            "indent every key of one block by the same number of spaces",
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "a backslash in double quotes starts no known escape".to_owned(),
            "use single quotes, or write `\\\\`",
        ),
        ErrorKind::UnknownAnchor => (
            "an alias (`*name`) refers to an anchor that is not there".to_owned(),
            "define it with `&name`, or quote a text that starts with `*`",
        ),
        ErrorKind::RecursionLimitExceeded => {
            ("the file is deeper than a configuration can be".to_owned(), "")
        }
        other => (format!("malformed YAML: {}", clip(&other.to_string())), ""),
    };
    let fault = Fault::usage("BOT-1010", message).at(Place {
        file: Some(file.to_owned()),
        line: Some(line),
        column: Some(column),
        ..Place::default()
    });
    if hint.is_empty() { fault } else { fault.hint(hint) }
}
