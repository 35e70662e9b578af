//! Violations of cell tests, and their messages.

use crate::{
    record_position::Message,
    words::{WordSet, excerpt},
};
use botops_datasets::ValueType;
use botops_spec::nearest;
use botops_text::GuessedLanguage;

/// A violation of a cell test.
#[derive(Debug)]
pub(super) enum Violation<'a> {
    /// The value is not of this type.
    WrongType(ValueType),
    /// The value is less than this bound.
    Below(&'a str),
    /// The value is more than this bound.
    Above(&'a str),
    /// The value is none of these.
    NotAllowed(&'a WordSet),
    Forbidden,
    /// The value has fewer characters than `min`.
    TooShort {
        chars: usize,
        min: usize,
    },
    /// The value has more characters than `max`.
    TooLong {
        chars: usize,
        max: usize,
    },
    /// The value matches a regular expression that it must not match, or does not match one that it must.
    Pattern {
        regex: &'a str,
        matches: bool,
    },
    /// The value contains these kinds of personal data.
    PersonalData(Vec<&'static str>),
    /// The value is another language than the text looks like.
    Language {
        text: &'a str,
        guess: GuessedLanguage,
    },
    /// The value is not in this column of another file.
    NotReferenced(&'a str),
}

impl Violation<'_> {
    /// Returns the message about `cell` in the column `name`.
    pub(super) fn message(&self, name: &str, cell: &str) -> Message {
        let (name, value) = (excerpt(name), excerpt(cell));
        let (message, help) = match self {
            Self::WrongType(kind) => (
                format!("`{name}` is `{value}`: expected {}", kind.name()),
                "correct the value, or change `type` in the rule",
            ),
            Self::Below(bound) => (
                format!("`{name}` is `{value}`: expected at least `{}`", excerpt(bound)),
                "correct the value, or change the bound in the rule",
            ),
            Self::Above(bound) => (
                format!("`{name}` is `{value}`: expected at most `{}`", excerpt(bound)),
                "correct the value, or change the bound in the rule",
            ),
            Self::NotAllowed(values) => {
                let mut allowed: Vec<&str> = values.iter().map(String::as_str).collect();
                allowed.sort_unstable();
                let help = match nearest(cell, allowed) {
                    Some(near) => format!("did you mean `{}`?", excerpt(near)),
                    None => "correct the value, or add it to `in` in the rule".to_owned(),
                };
                return (format!("`{name}` is `{value}`, which is not an allowed value"), help);
            }
            Self::Forbidden => (
                format!("`{name}` must not be `{value}`"),
                "correct the value, or remove the record",
            ),
            Self::TooShort { chars, min } => (
                format!("`{name}` is `{value}`, of {chars} characters: expected at least {min}"),
                "correct the value, or change the bound in the rule",
            ),
            Self::TooLong { chars, max } => (
                format!("`{name}` is `{value}`, of {chars} characters: expected at most {max}"),
                "correct the value, or change the bound in the rule",
            ),
            Self::Pattern { regex, matches } => {
                let verb = if *matches { "matches" } else { "does not match" };
                (
                    format!("`{name}` is `{value}`, which {verb} `{}`", excerpt(regex)),
                    "correct the value, or change the pattern in the rule",
                )
            }
            Self::PersonalData(kinds) => (
                format!("`{name}` contains {}: `{value}`", kinds.join(", ")),
                "replace it with a placeholder such as `[email]` before training",
            ),
            Self::Language { text, guess } => (
                format!(
                    "the text `{}` looks {}, but `{name}` is `{value}`",
                    excerpt(text),
                    guess.name()
                ),
                "correct the language; a guess can be wrong for short texts and borrowed words",
            ),
            Self::NotReferenced(column) => (
                format!("`{name}` is `{value}`, which is not in {column}"),
                "correct the value, or add it to that column",
            ),
        };
        (message, help.to_owned())
    }
}
