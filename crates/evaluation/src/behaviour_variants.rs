//! Variants of an utterance that mean the same: typos, case, accents, politeness, other order numbers.

use crate::behaviour_spec::{InvarianceSpec, VariantKind};
use botops_digest::Digest;
use botops_stats::random::Random;
use botops_text::{base_language, strip_accents};
use std::collections::BTreeSet;

/// The draws for a variant before it is left out because it is equal to another.
const TRIES: u64 = 8;
/// The fewest letters of a word with a typo: a shorter one may become another word.
const LETTERS: usize = 5;
/// The fewest digits of an order number.
const DIGITS: usize = 4;

/// The rows of a keyboard, whose letters next to each other are mistaken for each other.
const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

const ENGLISH: [&str; 5] =
    ["Hello, {}", "Hi there! {}", "{} Thanks!", "{} Thank you in advance.", "Good morning, {}"];
const FRENCH: [&str; 5] =
    ["Bonjour, {}", "Bonjour ! {}", "{} Merci !", "{} Merci d'avance.", "Bonsoir, {}"];

/// Returns the variants of `text` of one kind, each different from it and from the others.
///
/// They depend on the seed, the kind and the text alone, so that a test that is added changes no other. Some kinds have none:
/// a text without accents, without an order number, or in a language without phrases.
pub(crate) fn variants(
    kind: VariantKind,
    text: &str,
    lang: Option<&str>,
    spec: &InvarianceSpec,
    seed: u64,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::from([text.to_owned()]);
    for n in 0..u64::from(spec.per_utterance) {
        let variant = (0..TRIES).find_map(|attempt| {
            let mut random = random(seed, kind, text, n * TRIES + attempt);
            let variant = match kind {
                VariantKind::Typos => typo(text, &mut random),
                VariantKind::Case => Some(other_case(text, &mut random)),
                VariantKind::Accents => Some(strip_accents(text)),
                VariantKind::Politeness => polite(text, lang, spec, &mut random),
                VariantKind::OrderNumbers => other_numbers(text, &mut random),
            }?;
            (!seen.contains(&variant)).then_some(variant)
        });
        if let Some(variant) = variant {
            seen.insert(variant.clone());
            found.push(variant);
        }
    }
    found
}

fn random(seed: u64, kind: VariantKind, text: &str, n: u64) -> Random {
    let digest = Digest::of_json(&(seed, kind, text, n));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    Random::new(u64::from_le_bytes(bytes))
}

/// Returns the words of `text` as ranges of characters, each with its number of letters; a word with a digit has none.
fn words(chars: &[char]) -> Vec<std::ops::Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in chars.iter().chain(std::iter::once(&' ')).enumerate() {
        match (start, c.is_alphanumeric()) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Returns `text` with one mistake inside one word of at least five letters; `None` without such a word.
fn typo(text: &str, random: &mut Random) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    let long = |word: &std::ops::Range<usize>| {
        word.len() >= LETTERS && chars[word.clone()].iter().all(|c| c.is_alphabetic())
    };
    let words: Vec<_> = words(&chars).into_iter().filter(long).collect();
    if words.is_empty() {
        return None;
    }
    let word = words[random.below(words.len())].clone();
    // The first and the last letter stay: people recognise a word by them.
    let at = word.start + 1 + random.below(word.len() - 2);
    match random.below(4) {
        0 if at + 1 < word.end - 1 => chars.swap(at, at + 1),
        1 => {
            chars.remove(at);
        }
        2 => chars.insert(at, chars[at]),
        _ => chars[at] = neighbour(chars[at], random)?,
    }
    Some(chars.into_iter().collect())
}

/// Returns a letter next to `c` on the keyboard; `None` for letters with accents and of other scripts.
fn neighbour(c: char, random: &mut Random) -> Option<char> {
    let lower = c.to_ascii_lowercase();
    let row: Vec<char> = ROWS.iter().find(|row| row.contains(lower))?.chars().collect();
    let at = row.iter().position(|&key| key == lower)?;
    let near: Vec<char> = [at.checked_sub(1), Some(at + 1)]
        .into_iter()
        .flatten()
        .filter_map(|at| row.get(at).copied())
        .collect();
    let other = near[random.below(near.len())];
    Some(if c.is_uppercase() { other.to_ascii_uppercase() } else { other })
}

fn other_case(text: &str, random: &mut Random) -> String {
    match random.below(3) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        _ => {
            let mut inside = false;
            let mut title = String::with_capacity(text.len());
            for c in text.chars() {
                match (inside, c.is_alphanumeric() || c == '\'' || c == '’') {
                    (false, true) => title.extend(c.to_uppercase()),
                    _ => title.push(c),
                }
                inside = c.is_alphanumeric() || c == '\'' || c == '’';
            }
            title
        }
    }
}

fn polite(
    text: &str,
    lang: Option<&str>,
    spec: &InvarianceSpec,
    random: &mut Random,
) -> Option<String> {
    let lang = base_language(lang?);
    let phrase = match spec.phrases.get(lang) {
        Some(phrases) => phrases[random.below(phrases.len())].as_str(),
        None => {
            let phrases = match lang {
                "en" => ENGLISH,
                "fr" => FRENCH,
                _ => return None,
            };
            phrases[random.below(phrases.len())]
        }
    };
    // A closing phrase begins a sentence.
    let ends = text.trim_end().ends_with(['.', '!', '?', '…']);
    let text = if phrase.starts_with("{}") && !ends { format!("{text}.") } else { text.to_owned() };
    Some(phrase.replacen("{}", &text, 1))
}

/// Returns `text` with other digits in each run of at least four; `None` without one.
fn other_numbers(text: &str, random: &mut Random) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    let mut changed = false;
    let mut at = 0;
    while at < chars.len() {
        let length = chars[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if length >= DIGITS {
            changed = true;
            for (place, digit) in chars[at..at + length].iter_mut().enumerate() {
                // A number that begins with 0 has another form.
                let least = usize::from(place == 0 && *digit != '0');
                let drawn = least + random.below(10 - least);
                *digit = char::from(b'0' + u8::try_from(drawn).unwrap_or(0));
            }
        }
        at += length.max(1);
    }
    changed.then(|| chars.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: VariantKind, text: &str, lang: Option<&str>, n: u32) -> Vec<String> {
        let spec = InvarianceSpec { per_utterance: n, ..InvarianceSpec::default() };
        variants(kind, text, lang, &spec, 17)
    }

    #[test]
    fn variants_are_the_same_each_time_and_differ_from_each_other() {
        let text = "Où est mon colis préféré, commande FR-204913 ?";
        for kind in VariantKind::ALL {
            let found = of(kind, text, Some("fr-CA"), 3);
            assert_eq!(found, of(kind, text, Some("fr-CA"), 3), "{kind:?}");
            let different: BTreeSet<&String> = found.iter().collect();
            assert_eq!(different.len(), found.len(), "{found:?}");
            assert!(!found.iter().any(|variant| variant == text), "{found:?}");
            assert!(!found.is_empty(), "{kind:?}");
            // The first ones stay when more are asked for.
            assert_eq!(found[..1], of(kind, text, Some("fr-CA"), 1)[..], "{kind:?}");
        }
        assert_eq!(
            of(VariantKind::Accents, text, None, 3),
            ["Ou est mon colis prefere, commande FR-204913 ?"]
        );
    }

    #[test]
    fn a_typo_is_one_edit_inside_a_long_word() {
        for text in ["where is my parcel", "remboursement", "PAYMENT refused"] {
            for typo in of(VariantKind::Typos, text, None, 20) {
                let (before, after): (Vec<char>, Vec<char>) =
                    (text.chars().collect(), typo.chars().collect());
                let prefix = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
                let suffix =
                    before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
                // At most two characters differ between the common beginning and the common end.
                assert!(before.len().saturating_sub(prefix + suffix) <= 2, "{text} -> {typo}");
                assert!(before.len().abs_diff(after.len()) <= 1, "{text} -> {typo}");
                assert_eq!((after[0], after.last()), (before[0], before.last()), "{typo}");
            }
        }
        assert!(of(VariantKind::Typos, "a b12345 cd", None, 5).is_empty());
    }

    #[test]
    fn other_order_numbers_keep_their_form() {
        let found = of(VariantKind::OrderNumbers, "FR-204913, #0447 and 12", None, 10);
        assert_eq!(found.len(), 10);
        for text in found {
            let digits = |c: char| if c.is_ascii_digit() { '9' } else { c };
            assert_eq!(text.chars().map(digits).collect::<String>(), "FR-999999, #9999 and 99");
            assert!(text.ends_with(" and 12") && !text.starts_with("FR-0"), "{text}");
        }
        assert!(of(VariantKind::OrderNumbers, "page 404", None, 3).is_empty());
    }

    #[test]
    fn politeness_needs_phrases_of_the_language() {
        assert!(of(VariantKind::Politeness, "wo ist mein Paket", Some("de"), 3).is_empty());
        assert!(of(VariantKind::Politeness, "where is it", None, 3).is_empty());
        let mut spec = InvarianceSpec::default();
        spec.phrases.insert("de".to_owned(), vec!["Guten Tag, {}".to_owned()]);
        let found = variants(VariantKind::Politeness, "wo ist es", Some("de"), &spec, 1);
        assert_eq!(found, ["Guten Tag, wo ist es"]);
    }
}
