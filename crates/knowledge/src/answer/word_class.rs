//! The class of a word, by which spans begin, end and look.

use super::words::Word;

/// The class of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Article,
    Preposition,
    Be,
    And,
    /// A year, a month, a day of the week, or `century`.
    Date,
    Other,
}

impl Class {
    pub(crate) fn of(word: &Word) -> Self {
        match word.folded.as_str() {
            "the" | "a" | "an" | "le" | "la" | "les" | "l" | "un" | "une" | "der" | "die"
            | "das" => Self::Article,
            "of" | "in" | "on" | "at" | "to" | "for" | "from" | "by" | "with" | "as" | "into"
            | "than" | "de" | "du" | "des" | "d" | "en" | "au" | "aux" | "dans" | "par"
            | "pour" | "sur" | "avec" => Self::Preposition,
            "is" | "are" | "was" | "were" | "be" | "been" | "has" | "had" | "have" | "est"
            | "sont" | "etait" => Self::Be,
            "and" | "or" | "et" | "ou" => Self::And,
            "january" | "february" | "march" | "april" | "may" | "june" | "july" | "august"
            | "september" | "october" | "november" | "december" | "janvier" | "fevrier"
            | "mars" | "avril" | "mai" | "juin" | "juillet" | "aout" | "septembre" | "octobre"
            | "novembre" | "decembre" | "monday" | "tuesday" | "wednesday" | "thursday"
            | "friday" | "saturday" | "sunday" | "century" => Self::Date,
            year if year.len() == 4
                && year.parse::<u32>().is_ok_and(|year| (1000..2100).contains(&year)) =>
            {
                Self::Date
            }
            _ => Self::Other,
        }
    }
}
