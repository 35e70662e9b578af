//! JSON values as cells of a table.

use botops_findings::{Fault, Result};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The deepest nesting of lists and objects, the object of the record included.
const DEEPEST: usize = 127;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null`.
    Null,
    /// A string.
    Text,
    /// A number, `true` or `false`.
    Scalar,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Kind {
    /// Returns the kind of `value`.
    #[inline]
    pub(crate) fn of(value: &RawValue) -> Self {
        match value.get().as_bytes() {
            [b'n', ..] => Self::Null,
            [b'"', ..] => Self::Text,
            [b'[', ..] => Self::List,
            [b'{', ..] => Self::Object,
            _ => Self::Scalar,
        }
    }

    /// Refuses a list or an object as the value of `name`, which has to be a string.
    ///
    /// # Errors
    /// `BOT-2107` (exit 3).
    pub(crate) fn check_plain(self, name: &str) -> Result<()> {
        let found = match self {
            Self::List => "a list",
            Self::Object => "an object",
            Self::Null | Self::Text | Self::Scalar => return Ok(()),
        };
        let name = botops_text::display(name, 40);
        Err(Fault::data("BOT-2107", format!("`{name}` is {found}: expected a string"))
            .hint(format!("write it as `\"{name}\": \"…\"`")))
    }
}

/// Appends `value` as a cell to `out`.
///
/// - `null` is empty; a string is its text; a number keeps its digits: `19.90` stays `19.90`
/// - a list or an object is compact JSON with sorted keys
///
/// # Errors
/// An invalid escape, or lists and objects nested deeper than 127.
pub(crate) fn push_cell(value: &RawValue, out: &mut String) -> serde_json::Result<()> {
    let raw = value.get();
    match Kind::of(value) {
        Kind::Null => {}
        Kind::Text if !raw.contains('\\') => out.push_str(&raw[1..raw.len() - 1]),
        Kind::Text => out.push_str(&serde_json::from_str::<Text<'_>>(raw)?.0),
        Kind::Scalar => out.push_str(raw),
        Kind::List | Kind::Object => push_compact(value, 2, out)?,
    }
    Ok(())
}

/// The message of `serde_json` for JSON that is nested too deep.
pub(super) const TOO_DEEP: &str = "recursion limit";

/// Appends `value`, which is at nesting level `depth`, as compact JSON with sorted keys.
fn push_compact(value: &RawValue, depth: usize, out: &mut String) -> serde_json::Result<()> {
    let raw = value.get();
    let separate = |out: &mut String, at: usize| {
        if at > 0 {
            out.push(',');
        }
    };
    match Kind::of(value) {
        Kind::List | Kind::Object if depth > DEEPEST => {
            return Err(serde_json::Error::custom(TOO_DEEP));
        }
        Kind::List => {
            out.push('[');
            for (at, value) in serde_json::from_str::<Vec<&RawValue>>(raw)?.iter().enumerate() {
                separate(out, at);
                push_compact(value, depth + 1, out)?;
            }
            out.push(']');
        }
        Kind::Object => {
            out.push('{');
            let object: BTreeMap<Text<'_>, &RawValue> = serde_json::from_str(raw)?;
            for (at, (key, value)) in object.iter().enumerate() {
                separate(out, at);
                out.push_str(&serde_json::to_string(&key.0)?);
                out.push(':');
                push_compact(value, depth + 1, out)?;
            }
            out.push('}');
        }
        Kind::Text if raw.contains('\\') => {
            out.push_str(&serde_json::to_string(&serde_json::from_str::<Text<'_>>(raw)?.0)?);
        }
        Kind::Null | Kind::Text | Kind::Scalar => out.push_str(raw),
    }
    Ok(())
}

/// A JSON string, borrowed if it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'t>(pub(super) Cow<'t, str>);

impl<'t> Deserialize<'t> for Text<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'t> Visitor<'t> for Borrow {
            type Value = Text<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'t str) -> Result<Text<'t>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'t>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn cell(json: &str) -> serde_json::Result<String> {
        let mut out = String::new();
        push_cell(serde_json::from_str(json)?, &mut out)?;
        Ok(out)
    }

    #[test]
    fn a_number_keeps_its_digits() {
        for (json, expected) in [
            ("123456789012345678901", "123456789012345678901"),
            ("19.90", "19.90"),
            ("-1E5", "-1E5"),
            ("true", "true"),
            ("null", ""),
            ("\"a \\\"b\\\" \\u00e9\"", "a \"b\" é"),
            ("[ 1.50, {\"b\": \"\\u00e9\", \"a\": [ ] } ]", "[1.50,{\"a\":[],\"b\":\"é\"}]"),
        ] {
            assert_eq!(cell(json).unwrap(), expected);
        }
        for json in ["\"\\ud800\"", "[\"\\ud800\"]"] {
            assert!(cell(json).is_err(), "{json}");
        }
    }

    #[test]
    fn nesting_is_limited_as_serde_json_limits_it() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, is_read) in [(1, true), (126, true), (127, false), (100_000, false)] {
            // The object around the list is one more level.
            let object = format!("{{\"a\":{}}}", nested(depth));
            assert_eq!(serde_json::from_str::<Value>(&object).is_ok(), is_read, "{depth}");
            assert_eq!(cell(&nested(depth)).is_ok(), is_read, "{depth}");
        }
    }
}
