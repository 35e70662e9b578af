//! Texts cut into pieces that a platform takes.

use crate::turns::{ReplySource, TurnReply};

/// Cuts `text` into pieces of at most `most` characters: at the last end of a line or sentence that fits, or else at a space,
/// or else anywhere. No character is lost but white space at the cuts.
pub(crate) fn pieces(text: &str, most: usize) -> Vec<String> {
    let mut rest = text.trim();
    let mut pieces = Vec::new();
    while let Some((limit, _)) = rest.char_indices().nth(most) {
        let head = &rest[..limit];
        // A piece that is less than a quarter full makes too many messages.
        let least = limit / 4;
        let ends_sentence = |(at, c): &(usize, char)| {
            let after = at + c.len_utf8();
            let followed = rest[after..].chars().next().is_none_or(char::is_whitespace);
            matches!(c, '.' | '!' | '?' | '…' | '。') && followed
        };
        let line = head.rfind('\n').map(|at| at + 1);
        let sentence = head.char_indices().rev().find(ends_sentence);
        let sentence = sentence.map(|(at, c)| at + c.len_utf8());
        let space = match rest[limit..].starts_with(char::is_whitespace) {
            true => Some(limit),
            false => head.rfind(char::is_whitespace),
        };
        let cut = [line.max(sentence), space].into_iter().flatten().find(|cut| *cut > least);
        let cut = cut.unwrap_or(limit);
        pieces.push(rest[..cut].trim_end().to_owned());
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

/// Returns the texts of an answer; its sources, one a line, follow the last.
pub(crate) fn texts(reply: &TurnReply) -> Vec<String> {
    let mut texts: Vec<String> =
        reply.texts.iter().map(|text| text.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    let line = |source: &ReplySource| match &source.url {
        Some(url) => format!("{} {url}", source.title),
        None => source.title.clone(),
    };
    let mut sources: Vec<String> = reply.sources.iter().map(line).collect();
    sources.dedup();
    if let (Some(last), false) = (texts.last_mut(), sources.is_empty()) {
        last.push_str("\n\n");
        last.push_str(&sources.join("\n"));
    }
    texts
}

/// Returns at most `most` characters of `text`, with `…` at the end if it is longer.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_text_is_cut_after_a_sentence_or_else_at_a_space() {
        assert_eq!(pieces("One two. Three four. Five", 21), ["One two. Three four.", "Five"]);
        assert_eq!(pieces("One two three four five", 10), ["One two", "three four", "five"]);
        assert_eq!(pieces("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(pieces("Version 1.25 is here", 10)[0], "Version", "no sentence ends in 1.25");
        assert!(pieces("  ", 10).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_nothing_but_white_space(text in "[a-zé. \n😀]{0,200}", most in 1_usize..40) {
            let pieces = pieces(&text, most);
            prop_assert!(pieces.iter().all(|piece| (1..=most).contains(&piece.chars().count())));
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(plain(&pieces.concat()), plain(&text));
        }
    }
}
