//! Text as the rest sees it: normalised forms, words, language, safe display, and counts as people read them.
//!
//! In comes what a person typed; out comes what the other modules compare, count or show.
//! Everything here is pure, and safe on any input.

pub(crate) mod display_safe;

mod language;
mod near;
mod normal;
mod numbers;
mod redact;
mod shell_words;

pub use display_safe::{
    display, for_people, from_people, from_spreadsheet, spreadsheet_safe, utterance,
};
pub use language::detect_language;
pub use near::{NearGroups, NearPair, NearPairs, NearSpec, near_between, near_groups, near_pairs};
pub use normal::{fold, normalise, normalise_into, strip_accents, words};
pub use numbers::{count, counted, interval, p_value, percent, signed_interval};
pub use redact::{personal_data, redact, unredact};
pub use shell_words::{shell_line, shell_word};

pub use display_safe::with_line_feeds;
pub use language::leaning;
pub use normal::{composed, decomposed, is_word_char};
