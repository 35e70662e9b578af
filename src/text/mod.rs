//! Text as the rest sees it: normalised forms, words, language, safe display, and counts as people read them.
//!
//! In comes what a person typed; out comes what the other modules compare, count or show.
//! Everything here is pure, and safe on any input.

mod language;
mod near;
mod normal;
mod numbers;
mod redact;
mod safe;

pub use language::detect_language;
pub use near::{NearGroups, NearPair, NearPairs, NearSpec, near_between, near_groups, near_pairs};
pub use normal::{fold, normalise, normalise_into, strip_accents, words};
pub use numbers::{count, counted};
pub use redact::{personal_data, redact, unredact};
pub use safe::{display, for_people, from_people, from_spreadsheet, spreadsheet_safe, utterance};

pub(crate) use language::leaning;
pub(crate) use normal::{composed, decomposed, is_word_char};
pub(crate) use safe::with_line_feeds;
