//! The difference between two states of a data set, in the terms of labeling.
//!
//! In: the records of both sides. Out: for each intent the records added, removed, moved to another intent, reworded or
//! annotated, with samples. Every record of both sides counts in exactly one of these, or as unchanged.

use botops_datasets::{Dataset, Record};
use botops_text::{self as text, NearSpec};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The change of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is on the later side only.
    Added,
    /// It is on the earlier side only.
    Removed,
    /// It has another intent; it may be reworded as well.
    Moved,
    /// It has the same intent and nearly the same text.
    Reworded,
    /// It has the same text and intent, but another language or other entities.
    Annotated,
}

/// A side of a review: the files with records, and the digests of the other files.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// The files with records; their names appear in the samples.
    pub data: Vec<Dataset>,
    /// The digests of the other files, by path.
    pub other: BTreeMap<String, botops_digest::Digest>,
}

/// A record of a review, safe to display: personal data are redacted, control characters escaped, long texts cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewedRecord {
    /// The change.
    pub change: Change,
    /// The intent before; `None` if the record was added or had no intent.
    pub intent_before: Option<String>,
    /// The intent after; `None` if the record was removed or has no intent.
    pub intent_after: Option<String>,
    /// The text before; `None` if the record was added.
    pub text_before: Option<String>,
    /// The text after; `None` if the record was removed or the text did not change.
    pub text_after: Option<String>,
    /// The file of the record, on the later side, or on the earlier side if it was removed.
    pub file: String,
    /// The number of the record in the file, from 1.
    pub record: u64,
    /// The line of the record in the file, from 1.
    pub line: u64,
}

/// The changes of one intent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IntentChange {
    /// Records before.
    pub before: u64,
    /// Records after: before + added + moved in - removed - moved out.
    pub after: u64,
    /// Records added.
    pub added: u64,
    /// Records removed.
    pub removed: u64,
    /// Records moved in from another intent.
    pub moved_in: u64,
    /// Records moved out to another intent.
    pub moved_out: u64,
    /// Records with nearly the same text as before.
    pub reworded: u64,
    /// Records with another language or other entities than before.
    pub annotated: u64,
}

/// A file without records that differs between the sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewedFile {
    /// Its path.
    pub path: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
}

/// The difference between two states of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    /// Records before.
    pub records_before: u64,
    /// Records after.
    pub records_after: u64,
    /// Records with the same text, intent, language and entities.
    pub unchanged: u64,
    /// The changes of all intents together.
    pub total: IntentChange,
    /// The changes by intent, without unchanged intents. Personal data in names are redacted, and names that are equal
    /// after that are counted together. The empty name stands for records without an intent.
    pub intents: BTreeMap<String, IntentChange>,
    /// The first records of each change of each intent.
    pub samples: Vec<ReviewedRecord>,
    /// Files without records that differ.
    pub files: Vec<ReviewedFile>,
    /// Texts that were not compared with every candidate: some reworded records may count as removed and added. Usually 0.
    pub truncated: u64,
}

impl Review {
    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unchanged == self.records_before
            && self.unchanged == self.records_after
            && self.files.is_empty()
    }
}

/// The most characters of a text in a sample.
const MAX_TEXT: usize = 160;

/// Compares `before` with `after`; keeps up to `samples` records of each change of each intent.
///
/// Records are matched as multisets, whatever their order and file, in this order: everything equal; same text and
/// intent; same text; near texts ([`NearSpec::default`]) with the same intent; near texts with different intents. Nearer
/// texts are matched first.
#[must_use]
pub fn review(before: &Side, after: &Side, samples: usize) -> Review {
    let old = records(before);
    let new = records(after);
    let Matches { pairs, unchanged, unmatched, truncated } = match_records(&old, &new);
    let mut review = Review {
        records_before: old.len() as u64,
        records_after: new.len() as u64,
        unchanged: unchanged as u64,
        total: IntentChange::default(),
        intents: BTreeMap::new(),
        samples: Vec::new(),
        files: files(before, after),
        truncated,
    };
    for (_, record) in &old {
        review.intent_of(record).before += 1;
        review.total.before += 1;
    }
    for (_, record) in &new {
        review.intent_of(record).after += 1;
        review.total.after += 1;
    }
    let mut changed: Vec<(Change, Option<usize>, Option<usize>)> = Vec::new();
    for &(a, b) in &pairs[unchanged..] {
        let (a_record, b_record) = (old[a].1, new[b].1);
        let change = if a_record.intent != b_record.intent {
            Change::Moved
        } else if a_record.text != b_record.text {
            Change::Reworded
        } else {
            Change::Annotated
        };
        changed.push((change, Some(a), Some(b)));
    }
    changed.extend(
        (0..old.len()).filter(|&a| unmatched.old[a]).map(|a| (Change::Removed, Some(a), None)),
    );
    changed.extend(
        (0..new.len()).filter(|&b| unmatched.new[b]).map(|b| (Change::Added, None, Some(b))),
    );
    // The order of the records on the later side, then on the earlier side, within each kind of change.
    changed.sort_by_key(|&(change, a, b)| (change, b.is_none(), b, a));
    let mut kept: HashMap<(Change, &str), usize> = HashMap::new();
    for (change, a, b) in changed {
        let (a, b) = (a.map(|a| old[a]), b.map(|b| new[b]));
        review.count(change, a.map(|(_, record)| record), b.map(|(_, record)| record));
        let Some((file, record)) = b.or(a) else { continue };
        let n = kept.entry((change, record.intent.as_deref().unwrap_or_default())).or_default();
        if *n < samples {
            *n += 1;
            review.samples.push(sample(change, a.map(|(_, r)| r), b.map(|(_, r)| r), file, record));
        }
    }
    review.intents.retain(|_, change| {
        let IntentChange { added, removed, moved_in, moved_out, reworded, annotated, .. } = change;
        *added + *removed + *moved_in + *moved_out + *reworded + *annotated > 0
    });
    review
}

impl Review {
    /// Returns the changes of the intent of `record`.
    fn intent_of(&mut self, record: &Record) -> &mut IntentChange {
        self.intents.entry(text::redact(record.intent.as_deref().unwrap_or_default())).or_default()
    }

    /// Counts one change.
    fn count(&mut self, change: Change, a: Option<&Record>, b: Option<&Record>) {
        if let (Change::Moved | Change::Removed, Some(a)) = (change, a) {
            match change {
                Change::Moved => self.intent_of(a).moved_out += 1,
                _ => self.intent_of(a).removed += 1,
            }
        }
        if let Some(b) = b {
            match change {
                Change::Moved => self.intent_of(b).moved_in += 1,
                Change::Added => self.intent_of(b).added += 1,
                Change::Reworded => self.intent_of(b).reworded += 1,
                Change::Annotated => self.intent_of(b).annotated += 1,
                Change::Removed => {}
            }
        }
        match change {
            Change::Added => self.total.added += 1,
            Change::Removed => self.total.removed += 1,
            Change::Moved => {
                self.total.moved_in += 1;
                self.total.moved_out += 1;
            }
            Change::Reworded => self.total.reworded += 1,
            Change::Annotated => self.total.annotated += 1,
        }
    }
}

fn records(side: &Side) -> Vec<(&str, &Record)> {
    let n = side.data.iter().map(|data| data.records.len()).sum();
    let mut records = Vec::with_capacity(n);
    for data in &side.data {
        records.extend(data.records.iter().map(|r| (r.file.as_deref().unwrap_or(&data.name), r)));
    }
    records
}

/// The matched records of both sides, by index.
struct Matches {
    /// Pairs of records; the first `unchanged` ones are equal.
    pairs: Vec<(usize, usize)>,
    unchanged: usize,
    unmatched: Unmatched,
    /// Texts that were not compared with every candidate.
    truncated: u64,
}

fn match_records(old: &[(&str, &Record)], new: &[(&str, &Record)]) -> Matches {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let mut unmatched = Unmatched { old: vec![true; old.len()], new: vec![true; new.len()] };
    let everything = |record: &Record| {
        let entities: Vec<_> = record
            .entities
            .iter()
            .map(|span| (span.entity.clone(), span.value.clone(), span.start, span.end))
            .collect();
        (record.text.clone(), record.intent.clone(), record.lang.clone(), entities)
    };
    unmatched.match_equal(old, new, everything, &mut pairs);
    let unchanged = pairs.len();
    let text_and_intent = |record: &Record| (record.text.clone(), record.intent.clone());
    unmatched.match_equal(old, new, text_and_intent, &mut pairs);
    unmatched.match_equal(old, new, |record| record.text.clone(), &mut pairs);
    let truncated = unmatched.match_near(old, new, &mut pairs);
    Matches { pairs, unchanged, unmatched, truncated }
}

/// Whether each record of both sides has no match yet.
struct Unmatched {
    old: Vec<bool>,
    new: Vec<bool>,
}

impl Unmatched {
    /// Matches records with equal keys, in order.
    fn match_equal<K: Eq + std::hash::Hash>(
        &mut self,
        old: &[(&str, &Record)],
        new: &[(&str, &Record)],
        key: impl Fn(&Record) -> K,
        pairs: &mut Vec<(usize, usize)>,
    ) {
        let mut waiting: HashMap<K, std::collections::VecDeque<usize>> = HashMap::new();
        for (a, (_, record)) in old.iter().enumerate().filter(|(a, _)| self.old[*a]) {
            waiting.entry(key(record)).or_default().push_back(a);
        }
        for (b, (_, record)) in new.iter().enumerate() {
            if self.new[b]
                && let Some(a) =
                    waiting.get_mut(&key(record)).and_then(|waiting| waiting.pop_front())
            {
                (self.old[a], self.new[b]) = (false, false);
                pairs.push((a, b));
            }
        }
    }

    /// Matches records with near texts. Returns the number of texts that were not compared with every candidate.
    fn match_near(
        &mut self,
        old: &[(&str, &Record)],
        new: &[(&str, &Record)],
        pairs: &mut Vec<(usize, usize)>,
    ) -> u64 {
        let left: Vec<usize> = (0..old.len()).filter(|&a| self.old[a]).collect();
        let right: Vec<usize> = (0..new.len()).filter(|&b| self.new[b]).collect();
        let left_texts: Vec<&str> = left.iter().map(|&a| old[a].1.text.as_str()).collect();
        let right_texts: Vec<&str> = right.iter().map(|&b| new[b].1.text.as_str()).collect();
        let near = text::near_between(&left_texts, &right_texts, &NearSpec::default());
        let mut found = near.pairs;
        let moves = |pair: &text::NearPair| {
            old[left[pair.a as usize]].1.intent != new[right[pair.b as usize]].1.intent
        };
        found.sort_by(|x, y| {
            moves(x)
                .cmp(&moves(y))
                .then(y.jaccard.total_cmp(&x.jaccard))
                .then((x.a, x.b).cmp(&(y.a, y.b)))
        });
        for pair in found {
            let (a, b) = (left[pair.a as usize], right[pair.b as usize]);
            if self.old[a] && self.new[b] {
                (self.old[a], self.new[b]) = (false, false);
                pairs.push((a, b));
            }
        }
        near.truncated as u64
    }
}

/// Makes a sample of one change; `place` is the record whose position is shown.
fn sample(
    change: Change,
    a: Option<&Record>,
    b: Option<&Record>,
    file: &str,
    place: &Record,
) -> ReviewedRecord {
    let excerpt =
        |record: Option<&Record>| record.map(|record| text::utterance(&record.text, MAX_TEXT));
    let intent = |record: Option<&Record>| {
        record.and_then(|record| record.intent.as_deref()).map(|intent| text::utterance(intent, 80))
    };
    let reworded = a.zip(b).is_none_or(|(a, b)| a.text != b.text);
    ReviewedRecord {
        change,
        intent_before: intent(a),
        intent_after: intent(b),
        text_before: excerpt(a),
        text_after: excerpt(b).filter(|_| reworded),
        file: text::display(file, 200),
        record: place.record,
        line: place.line,
    }
}

/// Returns the files without records that differ.
fn files(before: &Side, after: &Side) -> Vec<ReviewedFile> {
    let paths: std::collections::BTreeSet<&String> =
        before.other.keys().chain(after.other.keys()).collect();
    let of = |path: &String| {
        let change = match (before.other.get(path), after.other.get(path)) {
            (Some(a), Some(b)) if a == b => return None,
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            (None, _) => "added",
        };
        Some(ReviewedFile { path: text::display(path, 200), change: change.to_owned() })
    };
    paths.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;
    use proptest::prelude::*;

    fn side(records: &[(&str, &str)]) -> Side {
        let records = records.iter().zip(1..).map(|((text, intent), n)| Record {
            text: (*text).to_owned(),
            intent: (!intent.is_empty()).then(|| (*intent).to_owned()),
            lang: None,
            entities: Vec::new(),
            record: n,
            line: n + 1,
            file: None,
        });
        let data = Dataset {
            name: "train.csv".to_owned(),
            digest: Digest::of(b""),
            columns: BTreeMap::new(),
            records: records.collect(),
            lookups: BTreeMap::new(),
        };
        Side { data: vec![data], other: BTreeMap::new() }
    }

    #[test]
    fn each_record_counts_once_with_its_best_match() {
        let before = side(&[
            ("where is my parcel, it should have been here", "tracking"),
            ("i want my money back", "refund"),
            ("i want my money back", "refund"),
            ("please cancel the order i made yesterday evening", "cancel"),
            ("gone for good", "other"),
        ]);
        let after = side(&[
            ("i want my money back", "complaint"),
            ("where is my parcel, it should have been here!", "tracking"),
            ("i want my money back", "refund"),
            ("please cancel the orders i made yesterday evening", "refund"),
            ("something new altogether", ""),
        ]);
        let review = review(&before, &after, 3);
        let expected = IntentChange {
            before: 5,
            after: 5,
            added: 1,
            removed: 1,
            moved_in: 2,
            moved_out: 2,
            reworded: 1,
            annotated: 0,
        };
        assert_eq!((review.unchanged, &review.total), (1, &expected));
        let refund = &review.intents["refund"];
        assert_eq!((refund.before, refund.after, refund.moved_in, refund.moved_out), (2, 2, 1, 1));
        assert_eq!(review.intents[""].added, 1);
        let moved: Vec<_> =
            review.samples.iter().filter(|sample| sample.change == Change::Moved).collect();
        assert_eq!(moved.len(), 2);
        assert_eq!(
            (moved[0].intent_before.as_deref(), moved[0].intent_after.as_deref()),
            (Some("refund"), Some("complaint"))
        );
        assert_eq!((moved[0].record, moved[0].text_after.as_deref()), (1, None));
        assert!(moved[1].text_after.is_some(), "a moved and reworded record has both texts");
    }

    #[test]
    fn samples_are_short_redacted_and_escaped() {
        let texts: Vec<String> = (0..50)
            .map(|i| format!("\u{1b}[31m{i} write to a.b@example.com {}", "x".repeat(400)))
            .collect();
        let records: Vec<(&str, &str)> = texts.iter().map(|text| (text.as_str(), "a")).collect();
        let review = review(&side(&[]), &side(&records), 4);
        assert_eq!((review.total.added, review.samples.len()), (50, 4));
        for sample in &review.samples {
            let text = sample.text_after.as_deref().unwrap();
            assert!(text.starts_with("\\u{1b}[31m") && text.contains("[email]"), "{text}");
            assert!(text.chars().count() < 2 * MAX_TEXT);
        }
    }

    proptest! {
        #[test]
        fn every_record_is_counted_exactly_once(
            before in prop::collection::vec(("[ab ]{0,6}", "[xyz]?"), 0..20),
            after in prop::collection::vec(("[ab ]{0,6}", "[xyz]?"), 0..20),
        ) {
            fn borrowed(records: &[(String, String)]) -> Vec<(&str, &str)> {
                records.iter().map(|(text, intent)| (text.as_str(), intent.as_str())).collect()
            }
            let (before, after) = (side(&borrowed(&before)), side(&borrowed(&after)));
            let found = review(&before, &after, 100);
            for change in found.intents.values().chain([&found.total]) {
                prop_assert_eq!(
                    change.before + change.added + change.moved_in,
                    change.after + change.removed + change.moved_out
                );
            }
            let IntentChange { added, removed, moved_in, reworded, annotated, .. } = found.total;
            let kept = found.unchanged + moved_in + reworded + annotated;
            prop_assert_eq!((kept + removed, kept + added), (found.records_before, found.records_after));
            prop_assert!(review(&after, &after, 1).is_empty());
            prop_assert_eq!(found.is_empty(), added + removed + moved_in + reworded + annotated == 0);
        }
    }
}
