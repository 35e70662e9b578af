//! Exact match and token F1 of answers, by the definition of SQuAD.

use std::collections::BTreeMap;

/// The articles that MLQA removes, by language. SQuAD's are those of English.
const ARTICLES: [(&str, &[&str]); 3] = [
    ("en", &["a", "an", "the"]),
    ("es", &["un", "una", "unos", "unas", "el", "la", "los", "las"]),
    (
        "de",
        &[
            "ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem",
            "des",
        ],
    ),
];

/// Returns `text` as answers are compared: in lower case, without punctuation, without articles, with single spaces.
///
/// English is normalized as by the `evaluate-v2.0.py` of SQuAD: ASCII punctuation is removed, and `a`, `an` and `the`. Other
/// languages follow the `mlqa_evaluation_v1.py` of MLQA: Unicode punctuation is removed, too, and the articles of Spanish and
/// German; no articles of other languages. `None` is English.
/// Source: Rajpurkar et al., "Know What You Don't Know", ACL 2018; Lewis et al., "MLQA", ACL 2020.
#[must_use]
pub fn normalized(text: &str, language: Option<&str>) -> String {
    let language = language.map_or("en", botops_text::base_language);
    let articles =
        ARTICLES.iter().find(|(name, _)| *name == language).map_or(&[][..], |(_, words)| words);
    let is_removed =
        |c: char| c.is_ascii_punctuation() || language != "en" && is_unicode_punctuation(c);
    let bare: String = text.to_lowercase().chars().filter(|c| !is_removed(*c)).collect();
    let mut kept = String::with_capacity(bare.len());
    // An article ends where a letter, a digit or `_` does, as `\b` of a regular expression.
    let mut rest = bare.as_str();
    while let Some(c) = rest.chars().next() {
        let end = match c.is_alphanumeric() {
            true => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            false => c.len_utf8(),
        };
        let (run, after) = rest.split_at(end);
        kept.push_str(if articles.contains(&run) { " " } else { run });
        rest = after;
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether a character beyond ASCII is punctuation: quotes, dashes, and marks of Spanish and of Chinese.
fn is_unicode_punctuation(c: char) -> bool {
    matches!(c,
        '¡' | '§' | '«' | '¶' | '·' | '»' | '¿'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
        | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{ff01}'..='\u{ff03}' | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}'
        | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}' | '\u{ff20}' | '\u{060c}' | '\u{061b}' | '\u{061f}')
}

/// Returns whether the normalized answer is that of an accepted one; an unanswerable question accepts the empty answer only.
#[must_use]
pub fn exact_match(answer: &str, accepted: &[String], language: Option<&str>) -> bool {
    let answer = normalized(answer, language);
    match accepted.is_empty() {
        true => answer.is_empty(),
        false => accepted.iter().any(|accepted| normalized(accepted, language) == answer),
    }
}

/// Returns the best F1 of the answer's words with those of an accepted answer, in [0, 1].
///
/// F1 = 2 P R / (P + R) of the words in common, each counted as often as in both. If one side has no words, 1 if the other has
/// none, else 0, as SQuAD 2.0 does.
#[must_use]
pub fn token_f1(answer: &str, accepted: &[String], language: Option<&str>) -> f64 {
    let answer = normalized(answer, language);
    match accepted.is_empty() {
        true => f64::from(u8::from(answer.is_empty())),
        false => accepted
            .iter()
            .map(|accepted| f1_of(&answer, &normalized(accepted, language)))
            .fold(0.0, f64::max),
    }
}

fn f1_of(answer: &str, accepted: &str) -> f64 {
    let (n, m) = (answer.split(' ').count(), accepted.split(' ').count());
    if answer.is_empty() || accepted.is_empty() {
        return f64::from(u8::from(answer == accepted));
    }
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for word in accepted.split(' ') {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0_usize;
    for word in answer.split(' ') {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    // 2 P R / (P + R) with P = common / n and R = common / m.
    2.0 * common as f64 / (n + m) as f64
}
