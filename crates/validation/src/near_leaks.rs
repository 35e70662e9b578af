//! Records that are near duplicates of test records, and the share of the test records that is in the data.
//!
//! Records are gathered and compared with the test data some thousands at a time, so that memory does not grow with the
//! data. Equal texts are found record by record (`utterance_checks`); here they count for the share only, as do the other
//! test records that they are near to.

use crate::{
    record_position::{FindingSink as _, Message, RecordPosition},
    record_set::RecordSet,
    tally::Tally,
    utterance::Utterance,
    words::excerpt,
};
use botops_datasets::Dataset;
use botops_expectations::Expectations;
use botops_text::{NearSpec, count, counted, near_between, percent};
use std::collections::{BTreeMap, HashMap};

/// The records that are compared with the test data at once.
const AT_ONCE: usize = 16_384;

/// The comparison of the data with the test data.
pub(crate) struct NearLeaks<'a> {
    test: &'a Dataset,
    /// The distinct texts of the test data, but for case and spaces: the first record of each.
    first: Vec<usize>,
    /// The index in `first` of each folded text.
    by_fold: HashMap<String, usize>,
    /// The number of test records of each text.
    sizes: Vec<u64>,
    /// The texts of the test data that are in the data.
    leaked: RecordSet,
    /// Those of them that are in the data as near duplicates only, unless they come again.
    near: RecordSet,
    /// The records to compare next.
    waiting: Vec<Waiting>,
    /// The test record that each near duplicate is near to, by the position of the near duplicate.
    found: BTreeMap<u64, usize>,
    /// `None`: the code is silenced.
    pub(crate) slot: Option<usize>,
    /// The slot of the share, and the largest allowed one; `None` without a limit.
    share: Option<(usize, f64)>,
}

/// A record that is to be compared with the test data.
struct Waiting {
    at: RecordPosition,
    text: String,
    /// Whether a text of the test data is equal to it, so that the record has a finding already.
    is_equal: bool,
}

impl<'a> NearLeaks<'a> {
    /// Prepares the comparison with `test`.
    pub(crate) fn new(test: &'a Dataset, expectations: &Expectations, tally: &mut Tally) -> Self {
        let (mut first, mut sizes) = (Vec::new(), Vec::new());
        let mut by_fold = HashMap::new();
        for (at, record) in test.records.iter().enumerate() {
            let fold = botops_text::fold(&record.text);
            if fold.is_empty() {
                continue;
            }
            let text = *by_fold.entry(fold).or_insert_with(|| {
                first.push(at);
                sizes.push(0);
                first.len() - 1
            });
            sizes[text] += 1;
        }
        let slot = tally.slot(expectations, "BOT-2240", None);
        let share = expectations
            .max_leaked_share
            .and_then(|most| Some((tally.slot(expectations, "BOT-2241", None)?, most)));
        Self {
            test,
            first,
            by_fold,
            sizes,
            leaked: RecordSet::default(),
            near: RecordSet::default(),
            waiting: Vec::new(),
            found: BTreeMap::new(),
            slot,
            share,
        }
    }

    /// Takes a record of the data.
    pub(crate) fn add(&mut self, utterance: &Utterance<'_>, at: RecordPosition, tally: &mut Tally) {
        if utterance.folded().is_empty() {
            return;
        }
        let equal = self.by_fold.get(utterance.folded()).map(|&text| text as u64);
        // The equal text is leaked, and those that are near to it; they count for the share, for which one copy is enough.
        let is_known = equal.is_some_and(|text| self.share.is_none() || self.leaked.contains(text));
        if let Some(text) = equal {
            self.leaked.insert(text);
        }
        if !is_known {
            let text = utterance.text.to_owned();
            self.waiting.push(Waiting { at, text, is_equal: equal.is_some() });
        }
        if self.waiting.len() == AT_ONCE {
            self.compare(tally);
        }
    }

    /// Compares the waiting records with the test data.
    fn compare(&mut self, tally: &mut Tally) {
        let waiting = std::mem::take(&mut self.waiting);
        let reference: Vec<&str> =
            self.first.iter().map(|&at| self.test.records[at].text.as_str()).collect();
        let current: Vec<&str> = waiting.iter().map(|record| record.text.as_str()).collect();
        // The test record that each record is nearest to; of equally near ones, the first.
        let mut nearest: BTreeMap<u32, (f32, u32)> = BTreeMap::new();
        for pair in near_between(&reference, &current, &NearSpec::default()).pairs {
            self.near.insert(u64::from(pair.a));
            if waiting[pair.b as usize].is_equal {
                continue;
            }
            let best = nearest.entry(pair.b).or_insert((pair.jaccard, pair.a));
            if pair.jaccard > best.0 {
                *best = (pair.jaccard, pair.a);
            }
        }
        let Some(slot) = self.slot else { return };
        for (record, (_, text)) in nearest {
            let Waiting { at, text: written, .. } = &waiting[record as usize];
            let test = self.first[text as usize];
            self.found.insert(at.position, test);
            tally.add(slot, *at, &[written], || self.message(written, test));
        }
    }

    /// Compares the rest of the records, and checks the share of the test records that is in the data.
    pub(crate) fn finish(&mut self, tally: &mut Tally) {
        if !self.waiting.is_empty() {
            self.compare(tally);
        }
        let Some((slot, most)) = self.share else { return };
        let records = |texts: &dyn Fn(u64) -> bool| -> u64 {
            (0..).zip(&self.sizes).filter(|(text, _)| texts(*text)).map(|(_, size)| size).sum()
        };
        let equal = records(&|text| self.leaked.contains(text));
        let near = records(&|text| self.near.contains(text) && !self.leaked.contains(text));
        let (n, leaked) = (self.test.records.len() as u64, equal + near);
        if leaked as f64 / (n.max(1) as f64) <= most {
            return;
        }
        let message = format!(
            "{} of {} in the test data `{}` are also in the data, {} of them as near duplicates: `max_leaked_share` allows {}",
            count(leaked),
            counted(n, "record", "records"),
            excerpt(&self.test.name),
            count(near),
            percent(most, 2)
        );
        let help =
            "remove them from one side; `botops data split` keeps near duplicates on one side";
        tally.add_whole(slot, &[], (message, help.to_owned()));
    }

    /// Returns the test record that the record at `position` is a near duplicate of.
    pub(crate) fn found(&self, position: u64) -> Option<usize> {
        self.found.get(&position).copied()
    }

    /// Returns the message about `text`, a near duplicate of the record `test` of the test data.
    pub(crate) fn message(&self, text: &str, test: usize) -> Message {
        let record = &self.test.records[test];
        (
            format!(
                "the text `{}` is a near duplicate of record {} (line {}) of the test data `{}`",
                excerpt(text),
                record.record,
                record.line,
                excerpt(&self.test.name)
            ),
            "remove it from the training data: a test is only meaningful on unseen texts"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::validate;
    use botops_datasets::{ReadOptions, read_bytes};
    use botops_expectations::Expectations;

    #[test]
    fn an_exact_copy_also_leaks_the_near_duplicates_of_its_text() {
        let read =
            |csv: &str| read_bytes(csv.as_bytes(), "a.csv", &ReadOptions::default()).unwrap();
        let base = "needle ladder magnet hammer ribbon quartz river engine";
        let train = read(&format!(
            "text,intent\n{base},a\n{base},a\nplease cancel the order that i made,b\n"
        ));
        // The first is equal, the next two are near, one of them twice; the last is another text.
        let test = read(&format!(
            "text,intent\n{base},a\n{base} please,a\n{base}!,a\n{base} PLEASE,a\nsomething else altogether,b\n"
        ));
        let expectations = Expectations {
            min_examples_per_intent: 1,
            max_leaked_share: Some(0.0),
            ..Expectations::default()
        };
        let validation = validate(&train, &expectations, Some(&test));
        let last = validation.findings.last().unwrap();
        assert_eq!(last.code, "BOT-2241");
        let said = "4 of 5 records in the test data `a.csv` are also in the data, 3 of them as near duplicates";
        assert!(last.message.starts_with(said), "{}", last.message);
        // An equal record has its own finding, and none that it is a near duplicate.
        assert!(validation.findings.iter().all(|finding| finding.code != "BOT-2240"));
    }
}
