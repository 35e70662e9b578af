//! The spans of records, fields and members in a text, and the replacement of a field or member.

use botops_datasets::{
    Format,
    formats::{
        csv::{Dialect, Fields, Separator},
        json,
    },
};
use serde_json::{Value, value::RawValue};
use std::{fmt, ops::Range};

/// A JSON value as it is written.
enum Written {
    /// The digits of a number.
    Number(String),
    /// Any other value.
    Value(Value),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => f.write_str(digits),
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

/// Returns the dialect of a table, if the user named the delimiter `given`; for other formats, the result has no meaning.
pub(crate) fn dialect(text: &str, format: Format, given: Option<u8>) -> Dialect {
    // A text that was read is not ambiguous.
    Dialect::of(text, true, Separator::of(format, given))
        .unwrap_or(Dialect { delimiter: b',', start: 0 })
}

/// Returns the spans of the records of a text, which was read without a fault.
pub(crate) fn records(text: &str, format: Format, dialect: Dialect) -> Vec<Range<usize>> {
    match format {
        Format::Csv | Format::Tsv => rows(text, dialect),
        Format::Json => json::objects(text),
        _ => lines(text),
    }
}

/// Returns the spans of the rows of a table, without its header, blank lines and line breaks.
fn rows(text: &str, dialect: Dialect) -> Vec<Range<usize>> {
    let mut fields = Fields::new(dialect.delimiter);
    let (mut spans, mut at, mut width) = (Vec::new(), dialect.start, None);
    while let Some(record) = fields.read(text, at) {
        at = record.end;
        match width {
            None if fields.is_blank(text) => {}
            None => width = Some(fields.len()),
            Some(width) if width > 1 && fields.is_blank(text) => {}
            Some(_) => {
                let raw = text[record.start..record.end].trim_end_matches(['\r', '\n']);
                spans.push(record.start..record.start + raw.len());
            }
        }
    }
    spans
}

/// Returns the spans of the lines that are not blank, without the white space around them.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        if !bare.is_empty() {
            let start = at + line.len() - line.trim_start().len();
            spans.push(start..start + bare.len());
        }
        at += line.len();
    }
    spans
}

/// Returns `raw`, a row, with new `cells` in some columns; the other fields keep their bytes.
pub(crate) fn with_fields(raw: &str, delimiter: u8, cells: &[(usize, &str)]) -> String {
    let fields = fields(raw, delimiter);
    let mut out = String::with_capacity(raw.len() + 32);
    let mut at = 0;
    for &(column, cell) in cells {
        let field = &fields[column];
        out.push_str(&raw[at..field.start]);
        let was_quoted = raw[field.clone()].starts_with('"');
        let delimiter = char::from(delimiter);
        let is_quoted =
            was_quoted || cell.contains([delimiter, '"', '\r', '\n']) || fields.len() == 1;
        if is_quoted {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
        at = field.end;
    }
    out.push_str(&raw[at..]);
    out
}

/// Returns the spans of the fields of a row, with their quotes.
fn fields(raw: &str, delimiter: u8) -> Vec<Range<usize>> {
    let mut fields = Fields::new(delimiter);
    fields.read(raw, 0);
    fields.spans().collect()
}

/// Returns `raw`, an object, with new values for some keys; the other members keep their bytes.
pub(crate) fn with_members(raw: &str, cells: &[(&str, &str)]) -> String {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let members = json::members(raw);
    let mut added = String::new();
    for &(name, cell) in cells {
        match members.iter().find(|(key, _)| key == name) {
            Some((_, span)) => {
                edits.push((span.clone(), value(&raw[span.clone()], cell).to_string()))
            }
            None => {
                let comma = if members.is_empty() && added.is_empty() { "" } else { "," };
                added.push_str(&format!("{comma}{}:{}", Value::from(name), Value::from(cell)));
            }
        }
    }
    let end = members.last().map_or(1, |(_, span)| span.end);
    edits.push((end..end, added));
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut out = String::with_capacity(raw.len() + 32);
    let mut at = 0;
    for (span, text) in edits {
        out.push_str(&raw[at..span.start]);
        out.push_str(&text);
        at = span.end;
    }
    out.push_str(&raw[at..]);
    out
}

/// Returns `cell` as a JSON value that replaces `raw`, of the same type if the cell can be read so. A number keeps its digits.
fn value(raw: &str, cell: &str) -> Written {
    let present: Value = serde_json::from_str(raw).unwrap_or_default();
    let new: Option<Value> = serde_json::from_str(cell).ok();
    let is_number = |text: &str| {
        let text = text.trim();
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && serde_json::from_str::<&RawValue>(text).is_ok()
    };
    match (present, new) {
        (Value::Array(_) | Value::Object(_), Some(new @ (Value::Array(_) | Value::Object(_)))) => {
            Written::Value(new)
        }
        (Value::Bool(_), Some(new @ Value::Bool(_))) => Written::Value(new),
        (Value::String(_), _) => Written::Value(Value::from(cell)),
        _ if is_number(raw) && is_number(cell) => Written::Number(cell.trim().to_owned()),
        (_, _) if cell.is_empty() => Written::Value(Value::Null),
        (_, _) => Written::Value(Value::from(cell)),
    }
}

/// Returns `cell` as it is read back after it is written as the member `name` of the object `raw`.
///
/// # Errors
/// A message and a hint, when `cell` replaces a list or an object and is not JSON.
pub(crate) fn member_as_read(
    raw: &str,
    name: &str,
    cell: &str,
) -> Result<String, (String, &'static str)> {
    let members = json::members(raw);
    let Some((_, span)) = members.into_iter().find(|(key, _)| key == name) else {
        return Ok(cell.to_owned());
    };
    let present = &raw[span];
    let is_nested = present.starts_with(['[', '{']);
    let value = match value(present, cell) {
        Written::Number(digits) => return Ok(digits),
        Written::Value(value) => value,
    };
    match value {
        Value::String(text) if is_nested => Err((
            format!(
                "`{}` is not JSON: expected a list or an object",
                botops_text::display(&text, 40)
            ),
            "write it in the form of `before`",
        )),
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        other => Ok(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_in_place() {
        for (raw, delimiter, cells, expected) in [
            ("a,b,c", b',', vec![(1, "x")], "a,x,c"),
            ("a,\"b\",c", b',', vec![(1, "x")], "a,\"x\",c"),
            (
                "\"a \"\"q\"\", b\",,\"c\"",
                b',',
                vec![(1, "x,y"), (2, "")],
                "\"a \"\"q\"\", b\",\"x,y\",\"\"",
            ),
            ("a;b,c", b';', vec![(1, "d,e"), (0, "x")].into_iter().rev().collect(), "x;d,e"),
            ("it\"s,b", b',', vec![(0, "say \"x\"")], "\"say \"\"x\"\"\",b"),
            ("a", b',', vec![(0, "")], "\"\""),
        ] {
            assert_eq!(with_fields(raw, delimiter, &cells), expected, "{raw}");
        }
    }

    #[test]
    fn members_are_replaced_in_place() {
        for (raw, cells, expected) in [
            ("{ \"a\" : \"x\", \"n\": 1.50 }", vec![("a", "y")], "{ \"a\" : \"y\", \"n\": 1.50 }"),
            ("{\"a\":\"x\",\"n\":1}", vec![("n", "2"), ("a", "q\"")], "{\"a\":\"q\\\"\",\"n\":2}"),
            ("{\"n\":1}", vec![("n", "19.90")], "{\"n\":19.90}"),
            ("{\"n\":1}", vec![("n", "two")], "{\"n\":\"two\"}"),
            ("{\"a\":null}", vec![("b", "x"), ("a", "y")], "{\"a\":\"y\",\"b\":\"x\"}"),
            ("{}", vec![("a", "x"), ("b", "y")], "{\"a\":\"x\",\"b\":\"y\"}"),
            (
                "{\"e\": [ ], \"\\u0061\": 2}",
                vec![("e", "[{\"k\":1}]"), ("a", "3")],
                "{\"e\": [{\"k\":1}], \"\\u0061\": 3}",
            ),
        ] {
            assert_eq!(with_members(raw, &cells), expected, "{raw}");
        }
        assert!(member_as_read("{\"e\":[]}", "e", "[").is_err());
    }
}
