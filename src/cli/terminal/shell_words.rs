//! Words that can be pasted into a shell as they are.

use std::borrow::Cow;

/// Returns `word` as one word of a shell: as it is, or in single quotes.
pub(crate) fn word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:=+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Returns `words` as one line.
pub(crate) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_quoted() {
        assert_eq!(
            line(["botops", "evaluate", "support@2", "data/test.csv"]),
            "botops evaluate support@2 data/test.csv"
        );
        assert_eq!(word("my test.csv"), "'my test.csv'");
        assert_eq!(word("where's it?"), r"'where'\''s it?'");
        assert_eq!(word("$(rm -r x)"), "'$(rm -r x)'");
        assert_eq!(word(""), "''");
    }
}
