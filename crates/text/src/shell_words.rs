//! Shell quoting.

use std::borrow::Cow;

/// Returns `word` quoted for a POSIX shell: unchanged if no character needs quoting, otherwise in single quotes.
///
/// A word with a control character is in the quotes `$'…'` of POSIX 2024, so that it stays on one line.
#[must_use]
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:=+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    if !word.contains(char::is_control) {
        return Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")));
    }
    let mut quoted = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    quoted.push_str(&format!("\\{byte:03o}"));
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Returns `words` as one command line, with each word quoted by [`shell_word`].
pub fn shell_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(shell_word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_with_special_characters_are_quoted() {
        assert_eq!(
            shell_line(["botops", "evaluate", "support@2", "data/test.csv"]),
            "botops evaluate support@2 data/test.csv"
        );
        assert_eq!(shell_word("my test.csv"), "'my test.csv'");
        assert_eq!(shell_word("where's it?"), r"'where'\''s it?'");
        assert_eq!(shell_word("$(rm -r x)"), "'$(rm -r x)'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a\n::error::'x\\\u{1b}"), r"$'a\n::error::\'x\\\033'");
    }
}
