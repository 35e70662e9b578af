//! Repeated texts: exact repeats, repeats but for case and spaces, and texts under two intents.

use crate::{
    class_counts::NO_CLASS,
    external_sort::{ExternalSort, MOST_HELD},
    record_key::{Entry, key_of},
    record_position::{LateFinding, Message, RecordPosition},
    tally::Tally,
    utterance::Utterance,
    words::excerpt,
};
use botops_expectations::Expectations;
use botops_findings::Result;
use std::{collections::HashMap, path::Path};

/// Compares the texts of all records; `None` for a check that is silenced.
#[derive(Debug)]
pub(crate) struct Repeats {
    sorted: ExternalSort<Entry>,
    exact: Option<usize>,
    folded: Option<usize>,
    conflicting: Option<usize>,
}

impl Repeats {
    /// Begins; `None` when all of its checks are silenced.
    pub(crate) fn new(
        expectations: &Expectations,
        spill: Option<&Path>,
        tally: &mut Tally,
    ) -> Option<Self> {
        let [exact, folded, conflicting] =
            ["BOT-2120", "BOT-2121", "BOT-2122"].map(|code| tally.slot(expectations, code, None));
        (exact.is_some() || folded.is_some() || conflicting.is_some()).then(|| Self {
            sorted: ExternalSort::new(spill, MOST_HELD),
            exact,
            folded,
            conflicting,
        })
    }

    /// Adds a record with the number of its intent, unless its text is empty.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn add(
        &mut self,
        utterance: &Utterance<'_>,
        intent: u32,
        at: RecordPosition,
    ) -> Result<()> {
        let (text, folded) = (utterance.text, utterance.folded());
        if folded.is_empty() {
            return Ok(());
        }
        let key = key_of(&[folded]);
        let exact = if folded == text { key } else { key_of(&[text]) };
        self.sorted.push(Entry { key, at, exact: (exact >> 64) as u64, intent })
    }

    /// Reports every repeat after the first record, and every record of a text under two intents.
    ///
    /// # Errors
    /// `BOT-1002`; those of `report`.
    pub(crate) fn finish(
        &mut self,
        mut report: impl FnMut(LateFinding) -> Result<()>,
    ) -> Result<()> {
        let conflicting = match self.conflicting {
            Some(_) => self.conflicting_texts()?,
            None => HashMap::new(),
        };
        let mut merge = self.sorted.merge()?;
        let mut key = None;
        let mut first_exact: HashMap<(u64, u32), Entry> = HashMap::new();
        let mut first_folded: HashMap<u32, Entry> = HashMap::new();
        while let Some(entry) = merge.next()? {
            if key.replace(entry.key) != Some(entry.key) {
                first_exact.clear();
                first_folded.clear();
            }
            let exact = *first_exact.entry((entry.exact, entry.intent)).or_insert(entry);
            let folded = *first_folded.entry(entry.intent).or_insert(entry);
            if exact.at < entry.at {
                if let Some(slot) = self.exact {
                    report(entry.finding(slot, &exact))?;
                }
            } else if folded.at < entry.at
                && let Some(slot) = self.folded
            {
                report(entry.finding(slot, &folded))?;
            }
            if let (Some(slot), Some([first, second])) =
                (self.conflicting, conflicting.get(&entry.key))
                && entry.intent != NO_CLASS
            {
                let other = if first.intent == entry.intent { second } else { first };
                report(entry.finding(slot, other))?;
            }
        }
        Ok(())
    }

    /// Returns, for each text under several intents, its first record and the first one with another intent.
    fn conflicting_texts(&mut self) -> Result<HashMap<u128, [Entry; 2]>> {
        let mut conflicting = HashMap::new();
        let mut merge = self.sorted.merge()?;
        let mut first: Option<Entry> = None;
        // Entries with one key come in the order of the file.
        while let Some(entry) = merge.next()? {
            if entry.intent == NO_CLASS {
                continue;
            }
            match first {
                Some(first) if first.key == entry.key => {
                    if first.intent != entry.intent {
                        conflicting.entry(entry.key).or_insert([first, entry]);
                    }
                }
                _ => first = Some(entry),
            }
        }
        Ok(conflicting)
    }

    /// Returns the message of `late` about the record `utterance`; `other` names the other record, `intent` is its intent.
    pub(crate) fn message(
        &self,
        late: &LateFinding,
        utterance: &Utterance<'_>,
        other: &str,
        intent: &str,
    ) -> Message {
        let text = excerpt(utterance.text);
        if self.conflicting == Some(late.slot) {
            return (
                format!(
                    "the text `{text}` has the intent `{}` here and `{}` in {other}",
                    excerpt(utterance.intent.unwrap_or_default()),
                    excerpt(intent)
                ),
                "choose one intent: a model cannot learn both".to_owned(),
            );
        }
        let but = if self.folded == Some(late.slot) { ", but for case and spaces" } else { "" };
        (
            format!("the text `{text}` is the same as that of {other}{but}"),
            "keep one of them".to_owned(),
        )
    }
}
