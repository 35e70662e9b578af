//! The hint for a scalar where a block of keys is expected: the block to write instead.

use super::{
    outline::{Outline, Written, last_key},
    text_clip::{clip, quoted_list},
    yaml_errors::{BLOCK, expected_words, fault, innermost},
};
use serde_yaml::Error;
use std::ops::Range;

/// Returns the hint for `error` of `yaml`, if it is about a scalar where a block of keys is expected.
///
/// If the scalar is a valid value for a key of that block, the hint shows the key. The key is found by calling `parse`,
/// which parses a whole file, with the scalar replaced by a block of each known key in turn.
pub(super) fn block_hint(
    error: &Error,
    yaml: &str,
    parse: impl Fn(&str) -> Result<(), Error>,
) -> Option<String> {
    let scalar = MisplacedScalar::of(error, yaml)?;
    // For an empty key, the parser reports the known ones.
    let unknown_key = parse(&scalar.replaced(yaml, "{ \"\": 0 }")).err();
    let known_keys = unknown_key.as_ref().map_or(&[][..], |error| match innermost(error) {
        Error::SerdeUnknownField { expected, .. } => expected,
        _ => &[],
    });
    let fits = |key: &&&'static str| {
        let yaml = scalar.replaced(yaml, &scalar.as_block(key));
        match parse(&yaml) {
            Ok(()) => true,
            // An error elsewhere in the file says nothing about this key.
            Err(error) => {
                let fault = fault(&error, &yaml, "");
                let place = fault.place();
                place.line != Some(scalar.line)
                    && place.key.as_ref().is_some_and(|key| !key.starts_with(&scalar.key))
            }
        }
    };
    Some(scalar.hint(known_keys, known_keys.iter().find(fits).copied()))
}

/// A scalar where a block of keys is expected.
struct MisplacedScalar {
    /// The dotted key of the scalar.
    key: String,
    /// The line of the scalar.
    line: u64,
    /// The text of the scalar, as written.
    text: String,
    /// The characters of the file that the scalar occupies.
    chars: Range<usize>,
}

impl MisplacedScalar {
    fn of(error: &Error, yaml: &str) -> Option<Self> {
        let error = innermost(error);
        let expected = match error {
            Error::Unexpected { expected, .. } => expected_words(expected),
            Error::SerdeInvalidType { expected, .. } => expected_words(expected),
            _ => return None,
        };
        let location = error.location().filter(|_| expected == BLOCK)?;
        let outline = Outline::of(yaml);
        let (line, column) = (location.line(), location.column());
        let Written::Scalar(text, chars) = outline.written_at(line, column)? else { return None };
        // A scalar of several lines is not a value whose key was forgotten.
        if chars.is_empty() || text.contains('\n') {
            return None;
        }
        let key = outline.key_at(line, column).filter(|key| !key.is_empty())?.to_owned();
        let text = yaml.chars().skip(chars.start).take(chars.len()).collect();
        Some(Self { key, line, text, chars })
    }

    /// Returns a block in which the scalar is the value of `key`.
    fn as_block(&self, key: &str) -> String {
        format!("{{ {key}: {} }}", self.text)
    }

    /// Returns `yaml` with the scalar replaced by `block`.
    fn replaced(&self, yaml: &str, block: &str) -> String {
        let before = yaml.chars().take(self.chars.start);
        before.chain(block.chars()).chain(yaml.chars().skip(self.chars.end)).collect()
    }

    /// Returns the hint; `fitting` is the known key whose value the scalar can be.
    fn hint(&self, known_keys: &[&str], fitting: Option<&str>) -> String {
        let name = last_key(&self.key);
        let name = if name.ends_with(']') { "-".to_owned() } else { format!("{name}:") };
        match (fitting, known_keys) {
            (Some(key), _) => format!("write `{name} {}`", clip(&self.as_block(key))),
            (None, []) => format!("write `{name} {{ key: value }}`"),
            (None, [first, ..]) => format!(
                "write `{name} {{ {first}: … }}`; known keys here: {}",
                quoted_list(known_keys)
            ),
        }
    }
}
