//! An answer that a language model writes, checked sentence by sentence as it arrives.

use crate::served_knowledge::{FoundPassage, KnowledgeAnswer};
use botops_generation::Finish;
use botops_knowledge::{
    Source,
    citations::{Checker, Cited, Ending, SupportedSentence},
};
use tokio::sync::mpsc::UnboundedSender;

/// The longest quote of a passage that a generated answer cites, in bytes.
const QUOTE_BYTES: usize = 300;

/// Takes the sentences of an answer, each once the passages that it cites were found to support it.
///
/// An answer has a most number of bytes, so the sentences that wait have, too.
#[derive(Debug, Clone)]
pub(super) struct Sentences(pub(super) UnboundedSender<String>);

/// An answer that a language model wrote, checked.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) sources: Vec<Source>,
}

/// The part of an answer that arrived.
///
/// Citations are numbered again, by the order of their first use: `[1]` is the first of the sources.
pub(super) struct Arriving<'a> {
    answer: &'a KnowledgeAnswer,
    checker: Checker,
    /// The passages that are cited, from 1.
    numbers: Vec<u32>,
    texts: Vec<String>,
    sentences: Option<&'a Sentences>,
}

impl<'a> Arriving<'a> {
    /// Begins an answer from the passages of `answer`, whose sentences go to `sentences`, too.
    pub(super) fn new(answer: &'a KnowledgeAnswer, sentences: Option<&'a Sentences>) -> Self {
        let heading =
            |passage: &FoundPassage| format!("{} {}", passage.source.title, passage.source.section);
        let headings: Vec<String> = answer.passages.iter().map(heading).collect();
        let cited: Vec<Cited<'_>> = answer
            .passages
            .iter()
            .zip(&headings)
            .map(|(passage, heading)| Cited { heading, text: &passage.text })
            .collect();
        let checker = Checker::new(&cited, answer.language.as_deref());
        Self { answer, checker, numbers: Vec::new(), texts: Vec::new(), sentences }
    }

    /// Adds a piece of text.
    pub(super) fn push(&mut self, piece: &str) {
        let supported = self.checker.push(piece);
        take(supported, (&mut self.numbers, &mut self.texts), self.sentences);
    }

    /// Returns the sentences that the passages support, with the sources that they cite; `None` if there is none.
    pub(super) fn finish(self, finish: Finish) -> Option<Written> {
        let Self { answer, checker, mut numbers, mut texts, sentences } = self;
        let ending = match finish {
            Finish::Stop => Ending::Complete,
            Finish::Length => Ending::Cut,
        };
        let supported = checker.finish(ending).sentences;
        take(supported, (&mut numbers, &mut texts), sentences);
        let cited = |number: &u32| answer.passages.get((*number as usize).checked_sub(1)?);
        let sources = numbers.iter().filter_map(cited);
        let sources = sources.map(|passage| source_of(passage, answer)).collect();
        (!texts.is_empty()).then(|| Written { text: texts.join(" "), sources })
    }
}

fn take(
    supported: Vec<SupportedSentence>,
    (numbers, texts): (&mut Vec<u32>, &mut Vec<String>),
    sentences: Option<&Sentences>,
) {
    for sentence in supported {
        for number in sentence.passages {
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let text = renumbered(sentence.text.trim(), numbers);
        if let Some(Sentences(sender)) = sentences {
            // Nobody waits any more: the answer is dropped by whoever asked for it.
            let _ = sender.send(text.clone());
        }
        texts.push(text);
    }
}

/// Returns the source of a cited passage, with the quote that was chosen in it, else its beginning.
fn source_of(passage: &FoundPassage, answer: &KnowledgeAnswer) -> Source {
    let chosen = answer.sources.iter().find(|source| source.chunk == passage.source.chunk);
    let quote = match chosen {
        Some(source) => source.quote.clone(),
        None => beginning(&passage.text, QUOTE_BYTES).to_owned(),
    };
    Source { quote, ..passage.source.clone() }
}

/// Returns `sentence` with each number of its citations, such as `[3]` or `[1, 3]`, replaced by its place in `numbers`, from 1.
fn renumbered(sentence: &str, numbers: &[u32]) -> String {
    with_citations(sentence, |cited| {
        let place = |number: &u32| {
            numbers.iter().position(|it| it == number).map(|at| (at + 1).to_string())
        };
        let places = cited.iter().map(place).collect::<Option<Vec<_>>>()?;
        Some(format!("[{}]", places.join(", ")))
    })
}

/// Returns `text` without its citations.
pub(super) fn without_citations(text: &str) -> String {
    with_citations(text, |_| Some(String::new())).trim_end().to_owned()
}

/// Returns `text` with each citation replaced; one for which `replaced` returns `None` stays.
fn with_citations(text: &str, replaced: impl Fn(&[u32]) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find('[') {
        let (before, from) = rest.split_at(begin);
        out.push_str(before);
        let inside = from[1..].split_once(']');
        let replacement = inside.and_then(|(inside, _)| {
            let number = |number: &str| number.trim().parse().ok();
            replaced(&inside.split(',').map(number).collect::<Option<Vec<u32>>>()?)
        });
        match (replacement, inside) {
            (Some(replacement), Some((_, after))) => {
                out.push_str(&replacement);
                rest = after;
            }
            _ => {
                out.push('[');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

/// Returns the beginning of a text, of at most `most` bytes.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let fits = |(at, c): (usize, char)| Some(at + c.len_utf8()).filter(|end| *end <= most);
    let end = text.char_indices().map_while(fits).last();
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_numbered_by_the_sources_that_are_shown() {
        assert_eq!(renumbered("It is so. [3] [1, 3]", &[3, 1]), "It is so. [1] [2, 1]");
        assert_eq!(renumbered("See [above] and [", &[3]), "See [above] and [");
        assert_eq!(renumbered("A [7].", &[3]), "A [7].");
        assert_eq!(without_citations("It is so. [3] See [above] [1, 3]"), "It is so.  See [above]");
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        assert_eq!(beginning("éé", 3), "é");
        assert_eq!(beginning("ab", 3), "ab");
        assert_eq!(beginning("é", 1), "");
    }
}
