//! The intent and the language of every record, in a byte each as long as there are few of them.

use super::{ByWord, bits::Bits};
use std::collections::{BTreeMap, HashMap};

/// Words by number, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: ByWord<u32>,
    words: Vec<String>,
}

impl Words {
    /// Returns the number of `word`.
    pub(super) fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = u32::try_from(self.words.len()).expect("classes are fewer than 2^32");
        self.numbers.insert(word.to_owned(), number);
        self.words.push(word.to_owned());
        number
    }

    /// Returns the word of `number`.
    pub(super) fn word(&self, number: u32) -> &str {
        &self.words[number as usize]
    }

    /// Iterates over the words.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }
}

/// No intent, or no language.
pub(super) const NONE: u32 = u32::MAX;

/// Intents and languages, and which each record has.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub(super) intents: Words,
    languages: Words,
    pairs: HashMap<(u32, u32), u32, foldhash::fast::RandomState>,
    listed: Vec<(u32, u32)>,
    of_record: Numbers,
}

/// Numbers in as few bytes as the greatest needs.
#[derive(Debug)]
enum Numbers {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::One(Vec::new())
    }
}

impl Numbers {
    fn push(&mut self, number: u32) {
        match self {
            Self::One(numbers) => match u8::try_from(number) {
                Ok(number) => return numbers.push(number),
                Err(_) => *self = Self::Two(numbers.iter().map(|&n| n.into()).collect()),
            },
            Self::Two(numbers) => match u16::try_from(number) {
                Ok(number) => return numbers.push(number),
                Err(_) => *self = Self::Four(numbers.iter().map(|&n| n.into()).collect()),
            },
            Self::Four(numbers) => return numbers.push(number),
        }
        self.push(number);
    }

    fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::One(numbers) => Box::new(numbers.iter().map(|&n| n.into())),
            Self::Two(numbers) => Box::new(numbers.iter().map(|&n| n.into())),
            Self::Four(numbers) => Box::new(numbers.iter().copied()),
        }
    }
}

/// How many records have each intent, and each language.
pub(super) type Counts = (BTreeMap<String, u64>, BTreeMap<String, u64>);

impl Classes {
    /// Notes the next record; returns the number of its intent.
    pub(super) fn note(&mut self, intent: Option<&str>, lang: Option<&str>) -> u32 {
        let intent = intent.map_or(NONE, |intent| self.intents.number(intent));
        let lang = lang.map_or(NONE, |lang| self.languages.number(lang));
        let listed = &mut self.listed;
        let pair = *self.pairs.entry((intent, lang)).or_insert_with(|| {
            listed.push((intent, lang));
            u32::try_from(listed.len() - 1).expect("pairs of classes are fewer than 2^32")
        });
        self.of_record.push(pair);
        intent
    }

    /// Counts the records that are not among `rejected`.
    pub(super) fn counts(&self, rejected: &Bits) -> Counts {
        let mut counts = vec![0_u64; self.listed.len()];
        for (at, pair) in (0..).zip(self.of_record.iter()) {
            if !rejected.contains(at) {
                counts[pair as usize] += 1;
            }
        }
        let (mut intents, mut languages) = Counts::default();
        for (&(intent, lang), &count) in self.listed.iter().zip(&counts).filter(|(_, n)| **n > 0) {
            if intent != NONE {
                *intents.entry(self.intents.word(intent).to_owned()).or_default() += count;
            }
            if lang != NONE {
                *languages.entry(self.languages.word(lang).to_owned()).or_default() += count;
            }
        }
        (intents, languages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_whatever_the_number_of_classes() {
        for n in [3_u64, 300, 70_000] {
            let mut classes = Classes::default();
            let mut rejected = Bits::default();
            for i in 0..2 * n {
                classes.note(Some(&format!("i{}", i % n)), Some("en").filter(|_| i < n));
            }
            rejected.insert(0);
            let (intents, languages) = classes.counts(&rejected);
            assert_eq!((intents["i0"], intents["i1"], intents.len() as u64), (1, 2, n));
            assert_eq!(languages["en"], n - 1);
        }
    }
}
