//! Where records, fields and members stand in a text, and how one of them is written in the place of another.

use botops_datasets::{
    Format,
    formats::{
        csv::{Fields, guess},
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

/// Returns the sign between the fields of a table; of another format it does not matter.
pub(crate) fn delimiter(text: &str, format: Format) -> u8 {
    match format {
        Format::Tsv => b'\t',
        // A last line without an end is a line as well.
        _ => guess(&[text.as_bytes(), b"\n"].concat()).unwrap_or(b','),
    }
}

/// Returns where the records of a text stand that was read without a fault.
pub(crate) fn records(text: &str, format: Format, delimiter: u8) -> Vec<Range<usize>> {
    match format {
        Format::Csv | Format::Tsv => rows(text, delimiter),
        Format::Json => json::objects(text),
        _ => lines(text),
    }
}

/// The rows of a table but for its header and blank lines, without their line breaks.
fn rows(text: &str, delimiter: u8) -> Vec<Range<usize>> {
    let mut fields = Fields::new(delimiter);
    let (mut spans, mut at, mut width) = (Vec::new(), 0, None);
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

/// The lines that are not blank, without what is blank around them.
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

/// Returns `raw`, a row, with other cells in some columns; the other fields stay as they are written.
pub(crate) fn with_fields(raw: &str, delimiter: u8, cells: &[(usize, &str)]) -> String {
    let fields = fields(raw, delimiter);
    let mut out = String::with_capacity(raw.len() + 32);
    let mut at = 0;
    for &(column, cell) in cells {
        let field = &fields[column];
        out.push_str(&raw[at..field.start]);
        let was_quoted = raw[field.clone()].starts_with('"');
        let sign = char::from(delimiter);
        let is_quoted = was_quoted || cell.contains([sign, '"', '\r', '\n']) || fields.len() == 1;
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

/// Returns where the fields of a row stand, with their quotes.
fn fields(raw: &str, delimiter: u8) -> Vec<Range<usize>> {
    let mut fields = Fields::new(delimiter);
    fields.read(raw, 0);
    fields.spans().collect()
}

/// Returns `raw`, an object, with other values of some keys; the other members stay as they are written.
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

/// Returns `cell` as a JSON value in the place of `raw`: of the same kind, if the cell can be read as that kind. A number
/// keeps its digits.
fn value(raw: &str, cell: &str) -> Written {
    let there: Value = serde_json::from_str(raw).unwrap_or_default();
    let meant: Option<Value> = serde_json::from_str(cell).ok();
    let is_number = |text: &str| {
        let text = text.trim();
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && serde_json::from_str::<&RawValue>(text).is_ok()
    };
    match (there, meant) {
        (
            Value::Array(_) | Value::Object(_),
            Some(meant @ (Value::Array(_) | Value::Object(_))),
        ) => Written::Value(meant),
        (Value::Bool(_), Some(meant @ Value::Bool(_))) => Written::Value(meant),
        (Value::String(_), _) => Written::Value(Value::from(cell)),
        _ if is_number(raw) && is_number(cell) => Written::Number(cell.trim().to_owned()),
        (_, _) if cell.is_empty() => Written::Value(Value::Null),
        (_, _) => Written::Value(Value::from(cell)),
    }
}

/// Returns how `cell` is read where it is written as the member `name` of the object `raw`.
///
/// # Errors
/// What is wrong with it, and a hint: in the place of a list is a list.
pub(crate) fn member_as_read(
    raw: &str,
    name: &str,
    cell: &str,
) -> Result<String, (String, &'static str)> {
    let members = json::members(raw);
    let Some((_, span)) = members.into_iter().find(|(key, _)| key == name) else {
        return Ok(cell.to_owned());
    };
    let there = &raw[span];
    let is_nested = there.starts_with(['[', '{']);
    let value = match value(there, cell) {
        Written::Number(digits) => return Ok(digits),
        Written::Value(value) => value,
    };
    match value {
        Value::String(text) if is_nested => Err((
            format!(
                "`{}` is no JSON, and a list or an object is wanted",
                botops_text::display(&text, 40)
            ),
            "write it as it stands in `before`, corrected",
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
    fn fields_are_replaced_where_they_stand() {
        for (raw, delimiter, cells, wanted) in [
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
            assert_eq!(with_fields(raw, delimiter, &cells), wanted, "{raw}");
        }
    }

    #[test]
    fn members_are_replaced_where_they_stand() {
        for (raw, cells, wanted) in [
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
            assert_eq!(with_members(raw, &cells), wanted, "{raw}");
        }
        assert!(member_as_read("{\"e\":[]}", "e", "[").is_err());
    }
}
