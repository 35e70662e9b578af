//! What can be told only once every record was seen: values and texts that are there twice.

use super::{rules::key_of, shown};
use crate::{
    class_counts::NONE,
    external_sort::{Entry, HELD, Sorted},
    tally::{At, Late, Told},
    utterance::View,
};
use botops_expectations::Expectations;
use botops_findings::Result;
use std::{collections::HashMap, path::Path};

/// What records are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A value of at most 15 bytes, as it is, and their number in the last byte: cheaper than its digest.
    Short(u128),
    /// 128 bits of a SHA-256.
    Digest(u128),
}

impl Key {
    /// Returns the key of `cell`.
    pub(crate) fn of(cell: &str) -> Self {
        let mut bytes = [0; 16];
        match (bytes.get_mut(..cell.len()), u8::try_from(cell.len())) {
            (Some(there), Ok(length @ ..16)) => {
                there.copy_from_slice(cell.as_bytes());
                bytes[15] = length;
                Self::Short(u128::from_be_bytes(bytes))
            }
            _ => Self::Digest(key_of(&[cell])),
        }
    }

    /// Takes it out of `entry`.
    fn from_entry(entry: &Entry) -> Self {
        if entry.exact == SHORT { Self::Short(entry.key) } else { Self::Digest(entry.key) }
    }

    /// Returns the 128 bits of the SHA-256 of what is compared.
    fn digest(self) -> u128 {
        match self {
            Self::Digest(key) => key,
            Self::Short(key) => {
                let bytes = key.to_be_bytes();
                let cell = std::str::from_utf8(&bytes[..usize::from(bytes[15])]);
                key_of(&[cell.expect("a short key is a text and its length")])
            }
        }
    }
}

/// What `exact` of an entry says of a [`Key::Short`]; of the others it is 0.
const SHORT: u64 = 1;

/// Records by a key that no two of them should share.
#[derive(Debug)]
pub(crate) struct Comparing(Sorted);

impl Comparing {
    /// Begins; what does not fit into memory goes to `spill`.
    pub(crate) fn new(spill: Option<&Path>) -> Self {
        Self(Sorted::new(spill, HELD))
    }

    /// Adds the record at `at`.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn add(&mut self, key: Key, at: At) -> Result<()> {
        self.0.push(match key {
            Key::Short(key) => entry(key, at, SHORT, NONE),
            Key::Digest(key) => entry(key, at, 0, NONE),
        })
    }

    /// Tells every record that is not the first of its key; those of one key in the order of the file.
    ///
    /// # Errors
    /// `BOT-1002`; what `tell` returns.
    pub(crate) fn finish(
        &mut self,
        slot: usize,
        mut tell: impl FnMut(Late) -> Result<()>,
    ) -> Result<()> {
        let mut merge = self.0.merge()?;
        // A value could be made whose digest reads like another value: the two kinds of key are never compared.
        let (mut first_digest, mut first_short) = (None::<Entry>, None::<Entry>);
        while let Some(entry) = merge.next()? {
            let first = if entry.exact == SHORT { &mut first_short } else { &mut first_digest };
            match first {
                Some(first) if first.key == entry.key => {
                    let key = Key::from_entry(&entry).digest();
                    tell(Late { key, ..late(slot, &entry, first) })?;
                }
                _ => *first = Some(entry),
            }
        }
        Ok(())
    }
}

/// Texts that are there twice, or under two intents.
#[derive(Debug)]
pub(crate) struct Duplicates {
    sorted: Sorted,
    same: Option<usize>,
    alike: Option<usize>,
    torn: Option<usize>,
}

impl Duplicates {
    /// Begins; `None` when nobody wants to know.
    pub(crate) fn new(
        expectations: &Expectations,
        spill: Option<&Path>,
        found: &mut crate::tally::Found,
    ) -> Option<Self> {
        let [same, alike, torn] =
            ["BOT-2120", "BOT-2121", "BOT-2122"].map(|code| found.slot(expectations, code, None));
        (same.is_some() || alike.is_some() || torn.is_some()).then(|| Self {
            sorted: Sorted::new(spill, HELD),
            same,
            alike,
            torn,
        })
    }

    /// Adds a record, unless its text is empty.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn add(&mut self, view: &View<'_>, intent: u32, at: At) -> Result<()> {
        if view.fold().is_empty() {
            return Ok(());
        }
        let key = key_of(&[view.fold()]);
        let exact = if view.fold() == view.text { key } else { key_of(&[view.text]) };
        self.sorted.push(entry(key, at, (exact >> 64) as u64, intent))
    }

    /// Tells of every record what is wrong with it; of repeats, all but the first.
    ///
    /// # Errors
    /// `BOT-1002`; what `tell` returns.
    pub(crate) fn finish(&mut self, mut tell: impl FnMut(Late) -> Result<()>) -> Result<()> {
        let torn = self.torn(self.torn.is_some())?;
        let mut merge = self.sorted.merge()?;
        let mut key = None;
        let mut first_same: HashMap<(u64, u32), Entry> = HashMap::new();
        let mut first_alike: HashMap<u32, Entry> = HashMap::new();
        while let Some(entry) = merge.next()? {
            if key.replace(entry.key) != Some(entry.key) {
                first_same.clear();
                first_alike.clear();
            }
            let same = *first_same.entry((entry.exact, entry.intent)).or_insert(entry);
            let alike = *first_alike.entry(entry.intent).or_insert(entry);
            if same.at < entry.at {
                if let Some(slot) = self.same {
                    tell(late(slot, &entry, &same))?;
                }
            } else if alike.at < entry.at
                && let Some(slot) = self.alike
            {
                tell(late(slot, &entry, &alike))?;
            }
            if let (Some(slot), Some([first, second])) = (self.torn, torn.get(&entry.key))
                && entry.intent != NONE
            {
                let other = if first.intent == entry.intent { second } else { first };
                tell(late(slot, &entry, other))?;
            }
        }
        Ok(())
    }

    /// Returns the first record of every text that has several intents, and the first that has another one.
    fn torn(&mut self, is_wanted: bool) -> Result<HashMap<u128, [Entry; 2]>> {
        let mut torn = HashMap::new();
        if !is_wanted {
            return Ok(torn);
        }
        let mut merge = self.sorted.merge()?;
        let mut first: Option<Entry> = None;
        // Entries of one key come in the order of the file.
        while let Some(entry) = merge.next()? {
            if entry.intent == NONE {
                continue;
            }
            match first {
                Some(first) if first.key == entry.key => {
                    if first.intent != entry.intent {
                        torn.entry(entry.key).or_insert([first, entry]);
                    }
                }
                _ => first = Some(entry),
            }
        }
        Ok(torn)
    }

    /// Says `late` of the record `view`; `other` is the other record, and `intent` its intent.
    pub(crate) fn told(&self, late: &Late, view: &View<'_>, other: &str, intent: &str) -> Told {
        let text = shown(view.text);
        if self.torn == Some(late.slot) {
            return (
                format!(
                    "the text `{text}` has the intent `{}` here and `{}` in {other}",
                    shown(view.intent.unwrap_or_default()),
                    shown(intent)
                ),
                "decide for one intent: a model cannot learn both".to_owned(),
            );
        }
        let but = if self.alike == Some(late.slot) { ", but for case and spaces" } else { "" };
        (
            format!("the text `{text}` is the same as that of {other}{but}"),
            "keep one of them".to_owned(),
        )
    }
}

fn entry(key: u128, at: At, exact: u64, intent: u32) -> Entry {
    Entry { key, at: at.position, record: at.record, line: at.line, exact, intent }
}

fn late(slot: usize, entry: &Entry, other: &Entry) -> Late {
    Late {
        at: At { position: entry.at, record: entry.record, line: entry.line },
        slot,
        other: other.record,
        other_line: other.line,
        other_at: other.at,
        intent: other.intent,
        key: entry.key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_values_have_keys_of_their_own_and_the_same_digest() {
        let cells = [
            "",
            "a",
            "a\0",
            "ab-00000012",
            "déjà vu, 15 by",
            "fifteen bytes !",
            "sixteen bytes !!",
        ];
        let keys: Vec<Key> = cells.iter().map(|cell| Key::of(cell)).collect();
        for (i, (cell, key)) in cells.iter().zip(&keys).enumerate() {
            assert_eq!(key.digest(), key_of(&[cell]), "{cell}");
            assert_eq!(matches!(key, Key::Short(_)), cell.len() < 16, "{cell}");
            assert!(!keys[..i].contains(key), "{cell}");
        }
    }

    #[test]
    fn a_digest_that_reads_like_a_value_is_not_that_value() {
        let mut comparing = Comparing::new(None);
        let Key::Short(same) = Key::of("value") else { panic!("it is short") };
        for (position, key) in
            (0..).zip([Key::Short(same), Key::Digest(same), Key::Short(same), Key::Digest(1)])
        {
            comparing.add(key, At { position, record: position + 1, line: position + 2 }).unwrap();
        }
        let mut told = Vec::new();
        comparing
            .finish(7, |late| {
                told.push((late.slot, late.at.record, late.other, late.key));
                Ok(())
            })
            .unwrap();
        assert_eq!(told, [(7, 3, 1, key_of(&["value"]))]);
    }
}
