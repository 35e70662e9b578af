//! The features of a span: a few words in a row of one sentence that may be the answer itself.

use super::{
    candidate::Candidate,
    passage_words::{PassageWord, passage_words},
    passages::{Evidence, Passages, Sentence},
    question::{Kind, MOST_STEMS, Question},
    word_class::{CUES, Class},
};

/// The most words of a span.
pub(crate) const MOST_WORDS: usize = 12;

/// The features that do not depend on the kind of the question.
const GENERAL: usize = 50;
/// The shapes of a span.
const SHAPES: usize = 10;
/// The number of features.
pub(crate) const FEATURES: usize = GENERAL + Kind::COUNT * (SHAPES + CUES);

/// A span: words `first..=last` of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// A sentence whose spans are ranked.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) words: Vec<PassageWord>,
    /// The text of the passage.
    text: &'a str,
    sentence: &'a Sentence,
    /// By word: the marks of the sentence before its beginning, and before its end.
    marks: Vec<(u32, u32)>,
}

impl<'a> Reading<'a> {
    /// Reads the words of a sentence of `candidates`.
    pub(crate) fn of(sentence: &'a Sentence, candidates: &[Candidate<'a>]) -> Self {
        let text = candidates[sentence.candidate].text;
        let words = passage_words(text, &sentence.range, &sentence.places);
        let (mut before, mut at) = (0, sentence.range.start);
        let mut count = |to: usize| {
            before += text[at..to].chars().filter(|c| is_mark(*c)).count() as u32;
            at = to;
            before
        };
        let marks =
            words.iter().map(|word| (count(word.range.start), count(word.range.end))).collect();
        Self { words, text, sentence, marks }
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '(' | ')' | '"' | '\n' | '–')
}

/// Returns the spans of a sentence that can be answers: none begins or ends with a word without content, except that it may
/// begin with an article.
pub(crate) fn spans(words: &[PassageWord]) -> impl Iterator<Item = Span> + '_ {
    (0..words.len()).flat_map(move |first| {
        let may_begin = !words[first].is_stop_word || words[first].class == Class::Article;
        let end = if may_begin { words.len().min(first + MOST_WORDS) } else { first };
        (first..end)
            .filter(move |&last| !words[last].is_stop_word)
            .map(move |last| Span { first, last })
    })
}

/// Hands each feature of `span` to `set`, with its number; those that depend on the kind of the question only if they are not 0.
///
/// Invariant: the order of the features is that of the fitted weights.
pub(crate) fn features(
    question: &Question,
    passages: &Passages,
    reading: &Reading<'_>,
    span: Span,
    mut set: impl FnMut(usize, f64),
) {
    let Reading { words, text, sentence, marks } = reading;
    let inside = &words[span.first..=span.last];
    let left = span.first.checked_sub(1).map(|at| &words[at]);
    let right = words.get(span.last + 1);
    let gap_left = left.map_or("", |left| &text[left.range.end..inside[0].range.start]);
    let gap_right =
        right.map_or("", |right| &text[inside[inside.len() - 1].range.end..right.range.start]);
    let flag = |is: bool| if is { 1.0 } else { 0.0 };
    let (class_left, class_right) = (left.map(|word| word.class), right.map(|word| word.class));
    let has = |class: Class| inside.iter().any(|word| word.class == class);

    let evidence: &Evidence = &sentence.evidence;
    set(0, evidence.sentence);
    set(1, evidence.around);
    set(2, evidence.passage);
    set(3, evidence.pairs);
    set(4, evidence.rank);
    set(5, flag(evidence.is_first));
    set(6, flag(evidence.is_question));
    set(7, (words.len() as f64 / 20.0).min(3.0));

    // The words of the question are seldom its answer.
    let repeated = inside.iter().filter(|word| word.matched.is_some()).count() as f64;
    set(8, repeated / inside.len() as f64);
    set(9, flag(repeated > 0.0));
    let all: f64 = passages.weights.iter().sum::<f64>().max(1e-9);
    let mut distances = [usize::MAX; MOST_STEMS];
    for &(at, stem) in &sentence.places {
        let distance = match at {
            at if at < span.first => span.first - at,
            at if at > span.last => at - span.last,
            _ => continue,
        };
        distances[stem] = distances[stem].min(distance);
    }
    let (mut near, mut nearest) = (0.0, usize::MAX);
    for (distance, weight) in distances.iter().zip(&passages.weights) {
        if *distance != usize::MAX {
            near += weight / (1.0 + *distance as f64).sqrt();
            nearest = nearest.min(*distance);
        }
    }
    set(10, near / all);
    set(11, flag(nearest <= 2));
    set(12, flag(nearest > 6));
    let asked = |word: Option<&PassageWord>| {
        flag(word.is_some_and(|word| word.matched.is_some() && word.matched == question.asked))
    };
    set(13, asked(left));
    set(14, asked(right));
    set(15, inside.iter().map(|word| asked(Some(word))).fold(0.0, f64::max));

    let n = inside.len();
    set(16, (n as f64).ln());
    set(17, flag(n == 1));
    set(18, flag(n == 2));
    set(19, flag(n >= 6));
    set(20, flag(inside[0].class == Class::Article));
    let commas = marks[span.last].1 - marks[span.first].0;
    set(21, flag(commas > 0));
    set(22, f64::from(commas).min(3.0));
    let prepositions = inside.iter().filter(|word| word.class == Class::Preposition);
    set(23, prepositions.count() as f64);
    set(24, flag(has(Class::Be)));
    set(25, flag(has(Class::And)));

    let is_stop = |word: Option<&PassageWord>| word.is_some_and(|word| word.is_stop_word);
    let has_mark = |gap: &str| gap.chars().any(|c| !c.is_whitespace());
    let marked_left = left.is_none() || has_mark(gap_left);
    set(26, flag(left.is_none()));
    set(27, flag(left.is_some() && marked_left));
    set(28, flag(!marked_left && class_left == Some(Class::Preposition)));
    set(29, flag(!marked_left && class_left == Some(Class::Be)));
    set(30, flag(!marked_left && class_left == Some(Class::Article)));
    set(31, flag(!marked_left && is_stop(left)));
    set(32, flag(!marked_left && left.is_some_and(|word| word.is_capital) && inside[0].is_capital));
    set(33, flag(!marked_left && left.is_some_and(|word| word.is_number)));
    set(34, flag(!marked_left && !is_stop(left)));
    let marked_right = right.is_none() || has_mark(gap_right);
    let ends = &inside[n - 1];
    set(35, flag(right.is_none()));
    set(36, flag(right.is_some() && marked_right));
    set(37, flag(!marked_right && class_right == Some(Class::Preposition)));
    set(38, flag(!marked_right && class_right == Some(Class::Be)));
    set(39, flag(!marked_right && class_right == Some(Class::And)));
    set(40, flag(!marked_right && is_stop(right)));
    set(41, flag(!marked_right && right.is_some_and(|word| word.is_capital) && ends.is_capital));
    set(42, flag(!marked_right && ends.is_number && !is_stop(right)));
    set(43, flag(!marked_right && !is_stop(right)));
    set(44, flag(gap_left.contains(['"', '“', '«', '('])));
    set(45, flag(gap_right.contains(['"', '”', '»', ')'])));
    set(46, flag(question.stems.is_empty()));
    let repeats_left = left.is_some_and(|word| word.matched.is_some());
    let repeats_right = right.is_some_and(|word| word.matched.is_some());
    set(47, flag(repeats_left));
    set(48, flag(repeats_right));
    set(49, flag(span.first == 0 && inside[0].is_capital));

    let base = GENERAL + question.kind as usize * (SHAPES + CUES);
    set(base + shape(inside, span), 1.0);
    if inside.iter().any(|word| word.is_number) {
        set(base + 9, 1.0);
    }
    if let Some(cue) = left.and_then(|word| word.cue) {
        set(base + SHAPES + usize::from(cue), 1.0);
    }
}

/// Returns the shape of a span, below 9.
fn shape(inside: &[PassageWord], span: Span) -> usize {
    let n = inside.len();
    let content = || inside.iter().filter(|word| !word.is_stop_word);
    // The first word of a sentence has a capital letter for another reason.
    let capitals = inside
        .iter()
        .enumerate()
        .filter(|(at, word)| word.is_capital && !(span.first == 0 && *at == 0 && n == 1))
        .count();
    if inside.iter().any(|word| word.class == Class::Date) {
        if n <= 4 { 0 } else { 1 }
    } else if inside.iter().all(|word| word.is_number) {
        2
    } else if inside[0].is_number && n <= 4 {
        3
    } else if content().all(|word| word.is_capital) && capitals > 0 {
        if n <= 4 { 4 } else { 5 }
    } else if capitals > 0 {
        6
    } else if n <= 4 {
        7
    } else {
        8
    }
}
