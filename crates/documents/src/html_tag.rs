//! The number of attributes of a tag that is read in pieces.
//!
//! The tokenizer compares each attribute of a tag with all before it, so a tag of a few megabytes would take hours. It shows a tag
//! only at its end, and so the attributes are counted beside it.

/// The most attributes of a tag.
const MOST_ATTRIBUTES: usize = 1_024;
/// The most bytes of a piece.
const PIECE_BYTES: usize = 4_096;

/// The attributes so far of the tag that the tokenizer is in, if it is in one.
///
/// Whether a text such as `<a` begins a tag, the tokenizer knows: in scripts and comments it does not. A text that does not is
/// noticed when a token is returned before the tag would end.
#[derive(Debug, Default)]
pub(crate) struct OpenTag(Option<(State, usize)>);

/// The states of the standard's tokenizer inside a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Name,
    BeforeAttribute,
    Attribute,
    AfterAttribute,
    BeforeValue,
    Quoted(u8),
    Unquoted,
    Ended,
}

impl OpenTag {
    /// Takes the beginning of a tag, one of [`beginning`]; `is_read` says whether the tokenizer returned a token for it, so that it
    /// is not inside the tag before.
    pub(crate) fn begin(&mut self, text: &str, is_read: bool) {
        if is_read || self.0.is_none() {
            self.0 = Some((State::Name, 0));
        } else {
            self.push(text, false);
        }
    }

    /// Takes more text; `is_read` says whether the tokenizer returned a token for it.
    pub(crate) fn push(&mut self, text: &str, is_read: bool) {
        let Some((state, count)) = &mut self.0 else { return };
        for byte in text.bytes() {
            let next = after(*state, byte);
            let begins = next == State::Attribute && *state != State::Attribute;
            *count += usize::from(begins);
            *state = next;
        }
        if is_read || *state == State::Ended {
            self.0 = None;
        }
    }

    /// Returns whether the tag has too many attributes.
    pub(crate) fn is_too_large(&self) -> bool {
        self.0.is_some_and(|(_, count)| count > MOST_ATTRIBUTES)
    }
}

/// Returns the beginning of a piece that may be that of a tag, such as `<a` or `</a`; empty if it is not.
pub(crate) fn beginning(piece: &str) -> &str {
    let bytes = piece.as_bytes();
    let at = if bytes.get(1) == Some(&b'/') { 2 } else { 1 };
    let is_tag = bytes.first() == Some(&b'<') && bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    if is_tag { &piece[..=at] } else { "" }
}

fn after(state: State, byte: u8) -> State {
    let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
    match (state, byte) {
        (State::Ended, _) => State::Ended,
        (State::Quoted(quote), _) if byte == quote => State::BeforeAttribute,
        (State::Quoted(_), _) => state,
        (_, b'>') => State::Ended,
        (State::Unquoted, _) => {
            if is_space {
                State::BeforeAttribute
            } else {
                state
            }
        }
        (State::BeforeValue, b'"' | b'\'') => State::Quoted(byte),
        (State::BeforeValue, _) => {
            if is_space {
                state
            } else {
                State::Unquoted
            }
        }
        (_, b'/') => State::BeforeAttribute,
        (State::Name, _) => {
            if is_space {
                State::BeforeAttribute
            } else {
                state
            }
        }
        (State::Attribute | State::AfterAttribute, b'=') => State::BeforeValue,
        (State::Attribute, _) if is_space => State::AfterAttribute,
        (State::BeforeAttribute | State::AfterAttribute, _) if is_space => state,
        _ => State::Attribute,
    }
}

/// Cuts `html` before each `<`, and into pieces of at most 4 KiB: a tag begins with a piece.
pub(crate) fn pieces(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let most = (0..=PIECE_BYTES.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at))?;
        let next = rest.as_bytes().iter().take(most).skip(1).position(|byte| *byte == b'<');
        let (piece, after) = rest.split_at(next.map_or(most, |at| at + 1));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(tag: &str) -> usize {
        let begin = beginning(tag);
        let (mut state, mut count) = (State::Name, 0);
        for byte in tag.bytes().skip(begin.len()).filter(|_| !begin.is_empty()) {
            let next = after(state, byte);
            count += usize::from(next == State::Attribute && state != State::Attribute);
            state = next;
        }
        count
    }

    #[test]
    fn attributes_are_counted_as_the_standard_does() {
        for (tag, expected) in [
            ("<p>", 0),
            ("</p >", 0),
            ("<p a>", 1),
            ("<p a b=c d='e f > g' h=\"i/j\"k>", 5),
            ("<p a/b//c = d =e>", 4),
            ("<p =\"a b>", 2),
            ("<p ==\"a b>", 1),
            ("<img src=a/b/c alt=''>a b c", 2),
            ("<!-- a b c -->", 0),
            ("a b c", 0),
        ] {
            assert_eq!(count(tag), expected, "{tag}");
        }
    }

    #[test]
    fn pieces_begin_at_tags_and_together_are_the_text() {
        let long = "é".repeat(5_000);
        let html = format!("a<b>c<<d {long}>");
        let found: Vec<&str> = pieces(&html).collect();
        assert_eq!(found.concat(), html);
        assert_eq!(&found[..3], ["a", "<b>c", "<"]);
        assert!(found.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert!(found.iter().all(|piece| !piece.chars().skip(1).any(|c| c == '<')));
        assert_eq!(pieces("").count(), 0);
    }
}
