//! The class of a word, by which spans begin, end and look.

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
    /// Returns the class of `folded`, a word in lower case and without accents.
    pub(crate) fn of(folded: &str) -> Self {
        match folded {
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

/// The number of groups of [`cue`].
pub(crate) const CUES: usize = 6;

/// Returns the group of `folded` among the words that stand before answers of some kind, below [`CUES`].
pub(crate) fn cue(folded: &str) -> Option<u8> {
    match folded {
        "in" | "on" | "en" | "dans" | "le" => Some(0),
        "at" | "from" | "near" | "a" | "de" => Some(1),
        "by" | "par" => Some(2),
        "because" | "to" | "due" | "for" | "pour" | "car" => Some(3),
        "about" | "than" | "over" | "approximately" | "around" | "of" => Some(4),
        "called" | "named" | "as" | "known" => Some(5),
        _ => None,
    }
}
