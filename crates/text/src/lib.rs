//! Text: normalization, words, near duplicates, language, redaction, safe display, and number formatting.
//!
//! In: text that a person typed. Out: the forms that other crates compare, count or show. Everything here is pure, and
//! safe on any input.

mod display_safe;
mod language;
mod near;
mod normal;
mod numbers;
mod redact;
mod shell_words;
mod urls;

pub use display_safe::{
    display, for_people, from_people, from_spreadsheet, spreadsheet_safe, utterance,
    with_line_feeds,
};
pub use language::{GuessedLanguage, Language, LanguageGuesser, base_language, can_be_guessed};
pub use near::{NearGroups, NearPair, NearPairs, NearSpec, near_between, near_groups, near_pairs};
pub use normal::{
    LARGEST_GROWTH, composed, decomposed, fold, is_word_char, length_within, normalise,
    normalise_into, strip_accents, words, words_of,
};
pub use numbers::{count, counted, interval, p_value, percent, signed_interval};
pub use redact::{personal_data, redact, unredact};
pub use shell_words::{shell_line, shell_word};
pub use urls::{url_scheme, without_credentials};
