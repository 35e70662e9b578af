//! Outliers of an intent, and gibberish.

use botops_datasets::{Dataset, Record};
use botops_models::{Neighbor, SampleNeighbors};
use botops_text::{display, fold, redact, words};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// The kind of an oddity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OddityKind {
    /// It is far from all other records of its intent.
    Outlier,
    /// Most of its letter sequences are in no other record.
    UnseenLetters,
    /// Most of it is a run along a keyboard row.
    KeyboardRun,
    /// Most of it is one letter.
    RepeatedLetter,
    /// It has no letter and no digit.
    NoWords,
}

/// An outlier or a text without meaning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Oddity {
    /// The file of the record.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts.
    pub line: u64,
    /// Its text.
    pub text: String,
    /// Its intent.
    pub intent: String,
    /// The kind of oddity.
    pub kind: OddityKind,
    /// For an outlier, the mean cosine to the nearest records of the intent; for unseen letters, a keyboard run and a
    /// repeated letter, the share of the text, in [0, 1]; 1 for a text without words.
    pub value: f64,
    /// The bound that the value exceeds, or, for an outlier, is below.
    pub bound: f64,
}

impl Oddity {
    /// Returns the code, message and help of the finding.
    pub(crate) fn finding_parts(&self) -> (&'static str, String, &'static str) {
        let text = display(&self.text, 60);
        let per_cent = 100.0 * self.value;
        let reason = match self.kind {
            OddityKind::Outlier => {
                let message = format!(
                    "the text `{text}` is far from all others of the intent `{}`: its mean cosine to the nearest is {:.3}, below {:.3}",
                    display(&self.intent, 60),
                    self.value,
                    self.bound
                );
                let help = "read it: it may have another intent, another language, or none";
                return ("BOT-2195", message, help);
            }
            OddityKind::UnseenLetters => {
                format!("{per_cent:.0} % of its sequences of three letters are in no other record")
            }
            OddityKind::KeyboardRun => {
                format!("{per_cent:.0} % of it is a run along a keyboard row")
            }
            OddityKind::RepeatedLetter => format!("{per_cent:.0} % of it is one letter repeated"),
            OddityKind::NoWords => "it has no letter and no digit".to_owned(),
        };
        let message = format!("the text `{text}` may have no meaning: {reason}");
        ("BOT-2196", message, "read it, and remove it if it has no meaning")
    }
}

/// The odd records of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Oddities {
    /// Records compared with others of their intent.
    pub n_compared: u64,
    /// Whether there were enough texts to compare letter sequences.
    pub letters_compared: bool,
    /// The odd records: outliers, the farthest first; then texts without meaning, in the order of the file.
    pub records: Vec<Oddity>,
}

/// The number of nearest records of its intent that a record is compared with.
const NEAREST: usize = 3;
/// The fewest records of an intent in which outliers are searched.
const FEWEST_OF_INTENT: usize = 20;
/// The fewest distinct texts from which usual letter sequences are known.
const FEWEST_TEXTS: usize = 500;
/// The distance from the median beyond which a record is an outlier, in scaled median absolute deviations.
///
/// 3.5 is the usual bound (Iglewicz and Hoaglin, 1993).
const DEVIATIONS: f64 = 3.5;
/// The median absolute deviation of a normal distribution, as a share of its standard deviation.
const MAD_OF_NORMAL: f64 = 0.674_489_750_196_081_7;
/// The lowest share of unseen letter sequences of a text without meaning.
const UNSEEN: f64 = 0.6;
/// The fewest letters of a keyboard run, of a text with a repeated letter, and of a text judged by its letter sequences.
const FEWEST_LETTERS: usize = 6;
/// Letter rows of QWERTY, AZERTY and QWERTZ keyboards.
const KEYBOARDS: [&str; 7] =
    ["qwertyuiop", "asdfghjkl", "zxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn", "qwertzuiop"];

/// Finds the odd records of `data`, whose records are the samples of `near`; `intents` holds the intent of each judged
/// record.
pub(crate) fn oddities(
    data: &Dataset,
    intents: &[Option<usize>],
    n_intents: usize,
    near: &SampleNeighbors,
) -> Oddities {
    let (outliers, n_compared) = outliers(intents, n_intents, near);
    let mut found: Vec<Found> = outliers;
    let folds: Vec<String> = data.records.iter().map(|record| fold(&record.text)).collect();
    let unseen = unseen_shares(&folds);
    for (i, folded) in folds.iter().enumerate() {
        let unseen = unseen.as_ref().and_then(|shares| shares[i]);
        if let Some((kind, value, bound)) = gibberish(folded, unseen) {
            found.push((i, kind, value, bound));
        }
    }
    let records = found
        .into_iter()
        .map(|(i, kind, value, bound)| {
            let record: &Record = &data.records[i];
            Oddity {
                file: data.place(record).file.unwrap_or_default(),
                record: record.record,
                line: record.line,
                text: redact(&record.text),
                intent: record.intent.clone().unwrap_or_default(),
                kind,
                value,
                bound,
            }
        })
        .collect();
    Oddities { n_compared, letters_compared: unseen.is_some(), records }
}

/// A record index with the kind, value and bound of its oddity.
type Found = (usize, OddityKind, f64, f64);

/// Finds the records whose mean cosine to the nearest others of their intent is far below the median of the intent.
///
/// A record with mean cosine x is an outlier when (m - x) / (MAD / 0.6745) > 3.5, where m is the median of the intent and
/// MAD the median absolute deviation from it. Returns the outliers and the number of records compared.
fn outliers(
    intents: &[Option<usize>],
    n_intents: usize,
    near: &SampleNeighbors,
) -> (Vec<Found>, u64) {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_intents];
    for (i, intent) in intents.iter().enumerate() {
        if let Some(intent) = intent {
            members[*intent].push(i);
        }
    }
    members.retain(|members| members.len() >= FEWEST_OF_INTENT);
    let of_intent = |members: &Vec<usize>| -> Vec<Found> {
        let mean = |nearest: Vec<Neighbor>| {
            nearest.iter().map(|one| one.cosine).sum::<f64>() / NEAREST as f64
        };
        let cosines: Vec<f64> =
            near.nearest_among(members, NEAREST).into_iter().map(mean).collect();
        let middle = median(&cosines);
        let deviations: Vec<f64> = cosines.iter().map(|x| (x - middle).abs()).collect();
        let bound = middle - DEVIATIONS * median(&deviations) / MAD_OF_NORMAL;
        let far = members.iter().zip(cosines).filter(|(_, cosine)| *cosine < bound);
        far.map(|(&i, cosine)| (i, OddityKind::Outlier, cosine, bound)).collect()
    };
    let found: Vec<Vec<Found>> = members.par_iter().map(of_intent).collect();
    let mut found: Vec<Found> = found.into_iter().flatten().collect();
    found.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
    (found, members.iter().map(|members| members.len() as u64).sum())
}

/// Returns the median of `values`; 0 for an empty slice.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Returns, for each folded text, the share of its three-letter sequences that no other text has.
///
/// `None` for a text with too few sequences, and for all when there are too few texts.
fn unseen_shares(folds: &[String]) -> Option<Vec<Option<f64>>> {
    let distinct: HashSet<&str> = folds.iter().map(String::as_str).collect();
    if distinct.len() < FEWEST_TEXTS {
        return None;
    }
    // The number of texts with each sequence, saturating: only one or more than one matters.
    let mut texts_with: HashMap<[char; 3], u8> = HashMap::new();
    for text in &distinct {
        for sequence in letter_sequences(text) {
            let n = texts_with.entry(sequence).or_insert(0);
            *n = n.saturating_add(1);
        }
    }
    let share = |text: &String| {
        let sequences = letter_sequences(text);
        let unseen = sequences.iter().filter(|sequence| texts_with[*sequence] < 2).count();
        (sequences.len() >= FEWEST_LETTERS - 2).then(|| unseen as f64 / sequences.len() as f64)
    };
    Some(folds.iter().map(share).collect())
}

/// Returns the distinct three-letter sequences within the words of a folded text.
fn letter_sequences(folded: &str) -> HashSet<[char; 3]> {
    let mut sequences = HashSet::new();
    for word in words(folded) {
        let letters: Vec<char> = word.chars().filter(|c| c.is_alphabetic()).collect();
        sequences.extend(letters.windows(3).map(|w| [w[0], w[1], w[2]]));
    }
    sequences
}

/// Returns the kind, value and bound of a folded text without meaning; `unseen` is its share of unseen sequences.
fn gibberish(folded: &str, unseen: Option<f64>) -> Option<(OddityKind, f64, f64)> {
    let letters = folded.chars().filter(|c| c.is_alphabetic()).count();
    if !folded.chars().any(char::is_alphanumeric) {
        return (!folded.is_empty()).then_some((OddityKind::NoWords, 1.0, 1.0));
    }
    let share = |n: usize| n as f64 / letters.max(1) as f64;
    let half = 0.5;
    let repeated = share(longest_repeat(folded));
    if letters >= FEWEST_LETTERS && repeated >= half {
        return Some((OddityKind::RepeatedLetter, repeated, half));
    }
    let in_runs: usize = words(folded)
        .map(|word| word.chars().count())
        .zip(words(folded))
        .filter(|(_, word)| is_keyboard_run(word))
        .map(|(n, _)| n)
        .sum();
    if share(in_runs) >= half {
        return Some((OddityKind::KeyboardRun, share(in_runs), half));
    }
    unseen.filter(|share| *share >= UNSEEN).map(|share| (OddityKind::UnseenLetters, share, UNSEEN))
}

/// Returns the length of the longest run of one letter.
fn longest_repeat(folded: &str) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, None);
    for c in folded.chars() {
        run = if last == Some(c) { run + 1 } else { 1 };
        last = Some(c);
        if c.is_alphabetic() {
            longest = longest.max(run);
        }
    }
    longest
}

/// Returns whether each letter of a word is next to the one before it on a keyboard row.
fn is_keyboard_run(word: &str) -> bool {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < FEWEST_LETTERS || letters.iter().collect::<HashSet<_>>().len() < 4 {
        return false;
    }
    KEYBOARDS.iter().any(|row| {
        let at = |c: &char| row.chars().position(|key| key == *c);
        letters.windows(2).all(|pair| match (at(&pair[0]), at(&pair[1])) {
            (Some(a), Some(b)) => a.abs_diff(b) == 1,
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<OddityKind> {
        gibberish(&fold(text), None).map(|(kind, ..)| kind)
    }

    #[test]
    fn gibberish_is_distinguished_from_short_or_emphatic_texts() {
        for (text, expected) in [
            ("asdfghjkl", OddityKind::KeyboardRun),
            ("qwertz uiop", OddityKind::KeyboardRun),
            ("azerty", OddityKind::KeyboardRun),
            ("aaaaaaaaa", OddityKind::RepeatedLetter),
            ("ok jjjjjjjj", OddityKind::RepeatedLetter),
            ("?!...", OddityKind::NoWords),
            ("🙂🙂", OddityKind::NoWords),
        ] {
            assert_eq!(kind(text), Some(expected), "{text}");
        }
        for text in [
            "no",
            "were we",
            "property rewrite",
            "soooooo slow again",
            "hmmm",
            "12345678",
            "où est mon colis ?",
            "qwerty keyboard is broken and i want another",
            "",
        ] {
            assert_eq!(kind(text), None, "{text}");
        }
    }

    #[test]
    fn unseen_letter_sequences_are_a_share_of_the_text() {
        let mut folds: Vec<String> =
            (0..600).map(|i| format!("where is my parcel number {i}")).collect();
        folds.push("wxzqk vbnmpt".to_owned());
        folds.push("where is my xylophone".to_owned());
        folds.push("hi".to_owned());
        let shares = unseen_shares(&folds).unwrap();
        // Two words of five and six letters have three and four sequences, all of them unseen.
        assert_eq!(shares[600], Some(1.0));
        // Of ten sequences, `whe`, `her` and `ere` are known; all those of `xylophone` are unseen.
        assert_eq!(shares[601], Some(0.7));
        assert_eq!((shares[0], shares[602]), (Some(0.0), None));
        assert_eq!(unseen_shares(&folds[..100]), None);
        assert_eq!(gibberish(&folds[600], shares[600]).unwrap().0, OddityKind::UnseenLetters);
    }

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
