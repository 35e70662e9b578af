//! Faults for YAML that does not have the expected form.

use super::{
    nearest_name::nearest,
    outline::{Outline, Written, join, last_key},
    syntax_errors::{UNKNOWN_ANCHOR, UNKNOWN_ANCHOR_HINT, malformed},
    text_clip::{clip, quoted_list},
};
use botops_findings::{Fault, Place};
use serde_yaml::Error;

const LIST: &str = "a list";
pub(super) const BLOCK: &str = "a block of keys";

/// Returns the fault for `error` of `yaml`, with its place in `file`.
pub(super) fn fault(error: &Error, yaml: &str, file: &str) -> Fault {
    let outline = Outline::of(yaml);
    if let Some(scan) = outline.error() {
        return malformed(scan, yaml, file);
    }
    let error = innermost(error);
    let mut site = Site::of(error, yaml, &outline);
    let fault = match error {
        Error::SerdeUnknownField { field, expected, .. } => site.unknown_key(field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            site.unknown_value(variant, expected)
        }
        Error::SerdeMissingField { field, .. } => site.missing_key(field),
        Error::DuplicateMappingKey { .. } => site.duplicate_key(),
        Error::InvalidScalar { ty, .. } => site.wrong_type(&site.found(), &expected_words(ty)),
        Error::InvalidBooleanStrict { .. } => site.wrong_type(&site.found(), "`true` or `false`"),
        Error::Unexpected { expected, .. } => {
            let fault = site.wrong_type(&site.found(), &expected_words(expected));
            match site.as_list(expected) {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        }
        Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | Error::ExpectedStringKeyForExternallyTaggedEnum { .. } => {
            site.wrong_type(&site.found(), "a name")
        }
        Error::NullIntoString { .. } | Error::InvalidCharNull { .. } => site
            .wrong_type("has no value", "a string")
            .hint("write the value after the colon, or remove the key"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            let found = format!("is {}", unexpected_words(unexpected));
            site.wrong_type(&found, &expected_words(expected))
        }
        Error::SerdeInvalidLength { len, expected, .. } => {
            site.wrong_type(&format!("has {len} items"), &expected_words(expected))
        }
        Error::Eof { .. } => {
            site.key = None;
            let is_blank = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
            let is_empty = yaml.lines().all(is_blank);
            syntax(if is_empty { "the file is empty" } else { "the file ends unexpectedly" })
        }
        Error::MultipleDocuments { .. } => syntax("the file contains more than one document")
            .hint("remove the line `---` and everything after it"),
        Error::UnknownAnchor { .. } => syntax(UNKNOWN_ANCHOR).hint(UNKNOWN_ANCHOR_HINT),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            syntax("the file is too large or nested too deeply for a configuration file")
        }
        // The message of a type that checks its own values.
        Error::Message { msg, .. } => {
            let message = match &site.key {
                Some(key) => format!("`{key}`: {}", clip(msg)),
                None => clip(msg),
            };
            Fault::usage("BOT-1012", message)
        }
        _ => syntax(format!("{} cannot be read", site.name())),
    };
    fault.at(site.place(file))
}

/// Returns the error without the wrappers that add snippets and alias positions.
pub(super) fn innermost(error: &Error) -> &Error {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => innermost(error),
        other => other,
    }
}

fn syntax(message: impl Into<String>) -> Fault {
    Fault::usage("BOT-1010", message)
}

/// The place of an error in a YAML text.
struct Site<'a> {
    yaml: &'a str,
    outline: &'a Outline,
    line: Option<u64>,
    column: Option<u64>,
    /// The dotted key at the place; `None` for the whole file.
    key: Option<String>,
    /// The dotted key of the block or list that starts at the place; empty for the whole file.
    container: String,
}

impl<'a> Site<'a> {
    fn of(error: &Error, yaml: &'a str, outline: &'a Outline) -> Self {
        let location = error.location().map(|location| (location.line(), location.column()));
        let key = location
            .and_then(|(line, column)| outline.key_at(line, column))
            .filter(|key| !key.is_empty());
        let container = location.and_then(|(line, column)| outline.container_at(line, column));
        let (line, column) = location.unzip();
        Self {
            yaml,
            outline,
            line,
            column,
            key: key.map(str::to_owned),
            container: container.unwrap_or_default().to_owned(),
        }
    }

    fn place(self, file: &str) -> Place {
        let Self { line, column, key, .. } = self;
        Place { file: Some(file.to_owned()), line, column, key, ..Place::default() }
    }

    /// Returns the key in backticks, or `the file`.
    fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("`{key}`"),
            None => "the file".to_owned(),
        }
    }

    fn unknown_key(&mut self, field: &str, known: &[&str]) -> Fault {
        // For a tagged enum, the parser reports the place of the block instead of the key.
        if let Some((path, line, column)) = self.outline.find_under(&self.container, field)
            && self.key.as_deref().is_none_or(|key| last_key(key) != field)
        {
            (self.line, self.column) = (Some(line), Some(column));
            self.key = Some(path.to_owned());
        }
        let fault = Fault::usage("BOT-1011", format!("unknown key `{field}`"));
        suggest(fault, field, known, "known keys here")
    }

    fn unknown_value(&self, value: &str, known: &[&str]) -> Fault {
        let key = self.key.as_deref().map(|key| format!(" for `{key}`")).unwrap_or_default();
        let message = format!("`{}` is not a known value{key}", clip(value));
        suggest(Fault::usage("BOT-1012", message), value, known, "known values")
    }

    fn missing_key(&mut self, field: &str) -> Fault {
        let parent = match self.container.as_str() {
            "" => String::new(),
            parent => format!(" in `{parent}`"),
        };
        self.key = Some(join(&self.container, field));
        Fault::usage("BOT-1013", format!("`{field}` is missing{parent}"))
            .hint(format!("add `{field}:`"))
    }

    fn duplicate_key(&self) -> Fault {
        let first = self.key.as_deref().and_then(|key| self.outline.line(key));
        let first = first.map(|line| format!(": first on line {line}")).unwrap_or_default();
        Fault::usage("BOT-1014", format!("{} occurs twice{first}", self.name()))
            .hint("remove one of them")
    }

    /// Returns the fault for a value that `found` describes as a predicate, such as ``is `ten` ``.
    fn wrong_type(&self, found: &str, expected: &str) -> Fault {
        Fault::usage("BOT-1012", format!("{} {found}: expected {expected}", self.name()))
    }

    fn written(&self) -> Option<Written<'_>> {
        self.outline.written_at(self.line?, self.column?)
    }

    /// Describes the value at the place as a predicate.
    fn found(&self) -> String {
        let scalar = match self.written() {
            Some(Written::Sequence) => return format!("is {LIST}"),
            Some(Written::Mapping) => return format!("is {BLOCK}"),
            Some(Written::Scalar(_, chars)) if chars.is_empty() => None,
            Some(Written::Scalar(text, _)) => Some(text),
            None => self.rest_of_line(),
        };
        match scalar {
            Some(text) => format!("is `{}`", clip(text)),
            None => "has no value".to_owned(),
        }
    }

    /// Returns the text from the place to the end of the line or to a comment; `None` if there is none.
    fn rest_of_line(&self) -> Option<&str> {
        let index = |n: Option<u64>| usize::try_from(n?).ok()?.checked_sub(1);
        let line = self.yaml.lines().nth(index(self.line)?)?;
        let start = line.char_indices().nth(index(self.column)?)?.0;
        let rest = line[start..].split(" #").next().unwrap_or_default().trim();
        (!rest.is_empty() && rest != ":").then(|| rest.trim_matches(['"', '\'']))
    }

    /// Returns the hint to write the single value at the place as a list, if a list is expected.
    fn as_list(&self, expected: &str) -> Option<String> {
        let Written::Scalar(text, chars) = self.written()? else { return None };
        let name = last_key(self.key.as_deref()?);
        let fits = expected_words(expected) == LIST && !chars.is_empty() && !name.ends_with(']');
        fits.then(|| format!("write `{name}: [{}]`", clip(text)))
    }
}

/// Adds the nearest of `known` as a hint, or all of them under the heading `list` if none is near.
fn suggest(fault: Fault, word: &str, known: &[&str], list: &str) -> Fault {
    if let Some(near) = nearest(word, known.iter().copied()) {
        return fault.hint(format!("did you mean `{near}`?"));
    }
    if known.is_empty() {
        return fault.hint("no keys are allowed here");
    }
    fault.hint(format!("{list}: {}", quoted_list(known)))
}

/// Returns the words for a type, which the parser and serde name in their own terms.
pub(super) fn expected_words(ty: &str) -> String {
    match ty {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" | "floating point" | "float" => "a number",
        "bool" | "boolean" | "a boolean" => "`true` or `false`",
        "string" | "a string" | "string scalar" | "a borrowed string" => "a string",
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
        other => other,
    }
    .to_owned()
}

/// Returns the words for a value that serde describes in its own terms, such as ``string `x` ``.
fn unexpected_words(unexpected: &str) -> String {
    match unexpected.split_once(' ') {
        Some(("string", value)) => {
            format!("the string `{}`", clip(value.trim_matches(['"', '`'])))
        }
        Some(("integer" | "floating", value)) => {
            format!("the number {}", value.trim_start_matches("point ").replace('`', ""))
        }
        Some(("boolean", value)) => value.to_owned(),
        _ => match unexpected {
            "map" => BLOCK.to_owned(),
            "sequence" => LIST.to_owned(),
            "unit value" | "Option value" => "empty".to_owned(),
            other => clip(other),
        },
    }
}
