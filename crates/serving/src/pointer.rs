//! Places in a JSON body, as JSON pointers of RFC 6901.

use botops_http::ObjectsOnly;
use serde::Deserialize;
use serde_path_to_error::{Path, Segment, Track};
use std::{borrow::Cow, fmt};

/// The most characters of a name in a pointer: names come from the body.
const MOST_CHARS: usize = 80;

/// The place of a value in the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The whole body.
    Body,
    /// The member with this name.
    Named(&'static str),
    /// The item with this index, in the member with this name.
    Item(&'static str, usize),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Named(name) => write!(f, "/{name}"),
            Self::Item(name, index) => write!(f, "/{name}/{index}"),
        }
    }
}

/// Returns the place at which `json` is not a `T`; `None` if it is one.
///
/// The place is found by reading again, so that a body without a mistake does not pay for it.
pub(crate) fn of_mistake<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(ObjectsOnly(&mut reader), &mut track);
    T::deserialize(tracked).err().map(|_| pointer(&track.path()))
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => Cow::Owned(index.to_string()),
            Segment::Map { key } => Cow::Borrowed(key.as_str()),
            Segment::Enum { variant } => Cow::Borrowed(variant.as_str()),
            Segment::Unknown => break,
        };
        pointer.push('/');
        let name = botops_text::display(&name, MOST_CHARS);
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read for their mistakes")]
    struct Body<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
        #[serde(default)]
        texts: Option<Vec<Part>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read for their mistakes")]
    struct Part {
        n: u64,
    }

    #[test]
    fn a_mistake_has_the_pointer_of_its_value() {
        for (json, pointer) in [
            (r#"{"text": 3}"#, "/text"),
            (r#"{"text": "a", "texts": [{"n": 1}, {"n": "x"}]}"#, "/texts/1/n"),
            (r#"{"text": "a", "texts": [[1]]}"#, "/texts/0"),
            (r#"{"text": "a", "b/~c": 1}"#, "/b~1~0c"),
            // Which of the two is meant is not known.
            (r#"{"text": "a", "text": "b"}"#, ""),
            ("{}", ""),
            ("[]", ""),
        ] {
            assert_eq!(of_mistake::<Body<'_>>(json.as_bytes()).as_deref(), Some(pointer), "{json}");
        }
        assert_eq!(of_mistake::<Body<'_>>(br#"{"text": "a"}"#), None);
        let long = format!(r#"{{"{}": 1}}"#, "k".repeat(10_000));
        assert!(of_mistake::<Body<'_>>(long.as_bytes()).unwrap().len() < 400);
    }

    #[test]
    fn a_field_is_written_as_a_pointer() {
        assert_eq!(Field::Body.to_string(), "");
        assert_eq!(Field::Named("text").to_string(), "/text");
        assert_eq!(Field::Item("texts", 3).to_string(), "/texts/3");
    }
}
