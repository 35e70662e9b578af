//! Languages: declared by a person, or guessed from a text. The two are different types and are never compared.

mod guesser;
mod known;
mod script;

pub use guesser::LanguageGuesser;

/// A language with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language<'a> {
    /// The language that a person declared, as written, such as `en-GB`.
    Declared(&'a str),
    /// The language that the text looks like.
    Guessed(GuessedLanguage),
}

impl<'a> Language<'a> {
    /// Returns the tag of the language: as declared, or the code of the guess.
    #[must_use]
    pub const fn tag(self) -> &'a str {
        match self {
            Self::Declared(tag) => tag,
            Self::Guessed(guess) => guess.code(),
        }
    }

    /// Returns the declared language if there is one, else the guess for `text`, if the text tells.
    ///
    /// An empty declaration is none.
    #[must_use]
    pub fn of(declared: Option<&'a str>, text: &str, guesser: &LanguageGuesser) -> Option<Self> {
        match declared.filter(|declared| !declared.trim().is_empty()) {
            Some(declared) => Some(Self::Declared(declared)),
            None => guesser.guess(text).map(Self::Guessed),
        }
    }
}

/// A language that [`LanguageGuesser`] guessed from a text. Only a guesser makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuessedLanguage(&'static str);

impl GuessedLanguage {
    /// Returns the code of the language, such as `en`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// Returns the English name of the language, such as `French`.
    #[must_use]
    pub fn name(self) -> &'static str {
        known::of_code(self.0).map_or(self.0, |known| known.name)
    }

    /// Returns whether `declared` names this language: `en`, `EN` and `en-GB` all name English.
    #[must_use]
    pub fn is(self, declared: &str) -> bool {
        base_language(declared) == self.0
    }
}

/// Returns the language of a tag without its region or script: `en` for `en-GB` and `EN_us`.
///
/// A tag begins with a code of two or three letters. Any other name is returned without spaces around it.
#[must_use]
pub fn base_language(tag: &str) -> &str {
    let tag = tag.trim();
    let base = tag.split(['-', '_']).next().unwrap_or_default();
    let is_code =
        matches!(base.len(), 2 | 3) && base.bytes().all(|byte| byte.is_ascii_alphabetic());
    match is_code {
        true => known::of_code(base).map_or(base, |known| known.code),
        false => tag,
    }
}

/// Returns whether texts in `tag` can be recognized: the languages of [`LanguageGuesser::any`].
#[must_use]
pub fn can_be_guessed(tag: &str) -> bool {
    known::of_code(base_language(tag)).is_some()
}
