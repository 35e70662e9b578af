//! Text as the rest sees it: normalised forms, words, shingles, language, and safe display.

/// Returns `text` for features: NFKC, case-folded, one apostrophe, runs of white space as one space, trimmed.
#[must_use]
pub fn normalise(text: &str) -> String {
    todo!("{text}")
}

/// Returns the key under which two texts count as the same utterance: [`normalise`]d, white space
/// collapsed, case folded; punctuation and accents are kept.
#[must_use]
pub fn fold(text: &str) -> String {
    todo!("{text}")
}

/// Iterates over the words of `text`: maximal runs of alphanumeric characters (and combining marks), lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(' ').map(|_| todo!())
}

/// Returns `en` or `fr`, whichever the function words, letters and endings of `text` argue for; `None` when they do not tell.
#[must_use]
pub fn detect_language(text: &str) -> Option<&'static str> {
    todo!("{text}")
}

/// Returns `text` safe to show on a terminal or in a log: control and escape characters shown as
/// `\u{..}`, cut to `max_chars` with `…`.
#[must_use]
pub fn display(text: &str, max_chars: usize) -> String {
    todo!("{text}{max_chars}")
}

/// Returns `cell` safe to open in a spreadsheet: one that starts with `=`, `+`, `-`, `@`, tab or
/// carriage return gets a leading `'`.
#[must_use]
pub fn spreadsheet_safe(cell: &str) -> std::borrow::Cow<'_, str> {
    todo!("{cell}")
}

/// Returns `text` with personal data (e-mail, phone, card, IBAN) replaced by `[email]` and so on, for logs.
#[must_use]
pub fn redact(text: &str) -> String {
    todo!("{text}")
}
