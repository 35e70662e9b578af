//! Merges labeled utterances into a data set.

use botops_datasets::{Dataset, Record, Rejected};
use botops_digest::Digest;
use botops_findings::{Finding, Severity};
use botops_labels::OOS;
use botops_spec::nearest;
use botops_text as text;
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// Returns the id of an utterance: equal for texts that are equal except for case and spaces, in any file.
///
/// It begins with a letter, so that spreadsheets do not read it as a number.
#[must_use]
pub fn utterance_id(text: &str) -> String {
    format!("u-{}", Digest::of(text::fold(text).as_bytes()).short())
}

/// Whether labels may name intents that the data set does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewIntents {
    /// They are refused, because most are spelling mistakes.
    Refused,
    /// They are accepted.
    Allowed,
}

/// The result of merging labeled utterances.
///
/// - `records_in == added + already + unlabelled + refused`
#[derive(Debug, Clone, Serialize)]
pub struct Merging {
    /// Records of the base; all are kept.
    pub base: u64,
    /// Utterances read.
    pub records_in: u64,
    /// Utterances that became records.
    pub added: u64,
    /// Utterances that the base, or an earlier row, has with the same intent.
    pub already: u64,
    /// Utterances without an intent.
    pub unlabelled: u64,
    /// Utterances that cannot be merged.
    pub refused: u64,
    /// Records of the merged data set.
    pub records_out: u64,
    /// The number of added records by intent.
    pub intents: BTreeMap<String, u64>,
    /// The merged records: those of the base, then the added ones.
    #[serde(skip)]
    pub merged: Vec<Record>,
    /// The refused utterances, with reasons.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
    /// All findings, in the order of the labeled file.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Adds the labeled utterances of `labeled` to the records of `base`.
///
/// `ids` holds the id of each utterance, as of [`utterance_id`].
///
/// - refused: an id that does not match its text (`BOT-2197`), because the row was shifted or the text was changed; an
///   empty text (`BOT-2111`); an intent that the base does not have (`BOT-2113`); a text that has another intent in the
///   base or in another row (`BOT-2122`, all of these rows)
/// - not added again: an utterance that exists with the same intent (`BOT-2120`, `BOT-2121`)
/// - left for later: an utterance without an intent (`BOT-2198`)
///
/// The prefix that [`text::spreadsheet_safe`] added to a text is removed.
///
/// # Panics
/// When `ids` does not have one entry for each utterance, or an utterance is not counted, which are bugs.
#[must_use]
pub fn merge(
    base: &Dataset,
    labeled: &Dataset,
    ids: &[Option<String>],
    new_intents: NewIntents,
) -> Merging {
    assert_eq!(ids.len(), labeled.records.len(), "every utterance has an entry in `ids`");
    let texts: Vec<Cow<'_, str>> = labeled
        .records
        .iter()
        .zip(ids)
        .map(|(record, id)| original_text(&record.text, id.as_deref()))
        .collect();
    let folds: Vec<String> = texts.iter().map(|text| text::fold(text)).collect();
    let rows = Rows::new(base, labeled, ids, &texts, &folds, new_intents);
    let mut out = Merging {
        base: base.records.len() as u64,
        records_in: labeled.records.len() as u64,
        added: 0,
        already: 0,
        unlabelled: 0,
        refused: 0,
        records_out: 0,
        intents: BTreeMap::new(),
        merged: base.records.clone(),
        rejected: Vec::new(),
        findings: Vec::new(),
    };
    // The row that added each folded text.
    let mut added: HashMap<&str, usize> = HashMap::new();
    for (i, record) in labeled.records.iter().enumerate() {
        match rows.judge(i, &added) {
            Verdict::Add(intent) => {
                added.insert(&folds[i], i);
                out.added += 1;
                *out.intents.entry(intent.to_owned()).or_default() += 1;
                out.merged.push(Record {
                    text: texts[i].clone().into_owned(),
                    intent: Some(intent.to_owned()),
                    lang: None,
                    entities: Vec::new(),
                    record: out.merged.len() as u64 + 1,
                    line: record.line,
                    file: None,
                });
            }
            Verdict::Exists(finding) => {
                out.already += 1;
                out.findings.push(finding);
            }
            Verdict::Unlabeled(finding) => {
                out.unlabelled += 1;
                out.findings.push(finding);
            }
            Verdict::Refuse(reason) => {
                out.refused += 1;
                out.findings.push(reason.clone());
                out.rejected.push(Rejected { record: record.clone(), reasons: vec![reason] });
            }
        }
    }
    out.records_out = out.merged.len() as u64;
    assert_eq!(
        out.records_in,
        out.added + out.already + out.unlabelled + out.refused,
        "every utterance is counted once"
    );
    assert_eq!(out.records_out, out.base + out.added, "no record is lost");
    out
}

/// The decision about one row.
enum Verdict<'a> {
    /// The utterance becomes a record with this intent.
    Add(&'a str),
    /// The base, or an earlier row, has it with the same intent.
    Exists(Finding),
    /// It has no intent yet.
    Unlabeled(Finding),
    /// It cannot be merged.
    Refuse(Finding),
}

/// The labeled rows, and the lookups that decide about them.
struct Rows<'a> {
    base: &'a Dataset,
    labeled: &'a Dataset,
    ids: &'a [Option<String>],
    texts: &'a [Cow<'a, str>],
    folds: &'a [String],
    new_intents: NewIntents,
    /// The records of the base by folded text.
    base_records: HashMap<String, Vec<&'a Record>>,
    /// The intents of the base.
    intents: BTreeSet<&'a str>,
    /// The first row of each intent, by folded text.
    row_of_intent: HashMap<&'a str, BTreeMap<&'a str, usize>>,
}

impl<'a> Rows<'a> {
    fn new(
        base: &'a Dataset,
        labeled: &'a Dataset,
        ids: &'a [Option<String>],
        texts: &'a [Cow<'a, str>],
        folds: &'a [String],
        new_intents: NewIntents,
    ) -> Self {
        let mut base_records: HashMap<String, Vec<&Record>> = HashMap::new();
        for record in &base.records {
            base_records.entry(text::fold(&record.text)).or_default().push(record);
        }
        let intents = base.records.iter().filter_map(|record| record.intent.as_deref()).collect();
        let mut row_of_intent: HashMap<&str, BTreeMap<&str, usize>> = HashMap::new();
        for (i, record) in labeled.records.iter().enumerate() {
            if let Some(intent) = record.intent.as_deref() {
                row_of_intent.entry(&folds[i]).or_default().entry(intent).or_insert(i);
            }
        }
        Self { base, labeled, ids, texts, folds, new_intents, base_records, intents, row_of_intent }
    }

    /// Decides about row `i`; `added` holds the earlier rows that were added, by folded text.
    fn judge(&self, i: usize, added: &HashMap<&str, usize>) -> Verdict<'a> {
        let record = &self.labeled.records[i];
        let finding = |code, severity, message: String, help: &str| {
            Finding::new(code, severity, message, help).at(self.labeled.place(record))
        };
        let refuse = |(code, message, help): (&'static str, String, String)| {
            Verdict::Refuse(finding(code, Severity::Error, message, &help))
        };
        if let Some(mismatch) = self.id_mismatch(i) {
            return refuse(mismatch);
        }
        let text = &self.texts[i];
        let Some(intent) = record.intent.as_deref() else {
            return Verdict::Unlabeled(finding(
                "BOT-2198",
                Severity::Info,
                format!("the text `{}` is not labeled yet", excerpt(text)),
                "write its intent into the column `intent`",
            ));
        };
        if let Some(conflict) = self.intent_conflict(i, intent) {
            return refuse(conflict);
        }
        let same = |existing: &Record, file: &str| {
            let (code, except) = match existing.text == **text {
                true => ("BOT-2120", ""),
                false => ("BOT-2121", ", except for case and spaces"),
            };
            let message = format!(
                "the text `{}` is the same as that of record {} (line {}){file}{except}",
                excerpt(text),
                existing.record,
                existing.line
            );
            Verdict::Exists(finding(
                code,
                Severity::Info,
                message,
                "no action is needed: it is not added again",
            ))
        };
        let in_base = self.base_records.get(&self.folds[i]).into_iter().flatten();
        if let Some(existing) = in_base.copied().find(|r| r.intent.as_deref() == Some(intent)) {
            return same(existing, &format!(" of `{}`", excerpt(&self.base.name)));
        }
        match added.get(self.folds[i].as_str()) {
            Some(&row) => same(&self.labeled.records[row], ""),
            None => Verdict::Add(intent),
        }
    }

    /// Returns why the text and the id of row `i` do not belong together: code, message and help.
    fn id_mismatch(&self, i: usize) -> Option<(&'static str, String, String)> {
        let text = &self.texts[i];
        if self.folds[i].is_empty() {
            return Some(("BOT-2111", "the text is empty".to_owned(), "remove the row".to_owned()));
        }
        let id = utterance_id(text);
        let (message, help) = match self.ids[i].as_deref() {
            Some(own) if own == id => return None,
            Some(own) => (
                format!(
                    "the id `{}` does not belong to the text `{}`, whose id is `{id}`",
                    excerpt(own),
                    excerpt(text)
                ),
                "restore the suggested text: the label may belong to another row",
            ),
            None => (
                format!("the text `{}` has no id", excerpt(text)),
                "restore the suggested id, or import new texts with `botops data import`",
            ),
        };
        Some(("BOT-2197", message, help.to_owned()))
    }

    /// Returns why row `i` cannot have `intent`: code, message and help.
    fn intent_conflict(&self, i: usize, intent: &str) -> Option<(&'static str, String, String)> {
        let is_known = self.new_intents == NewIntents::Allowed
            || self.intents.contains(intent)
            || intent == OOS;
        if !is_known {
            let help = match nearest(intent, self.intents.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "correct it, or allow new intents with `--new-intents`".to_owned(),
            };
            let message = format!("the intent `{}` is not expected", excerpt(intent));
            return Some(("BOT-2113", message, help));
        }
        let fold = self.folds[i].as_str();
        let differs = |other: &str| other != intent;
        let in_base = self
            .base_records
            .get(fold)
            .into_iter()
            .flatten()
            .find(|record| record.intent.as_deref().is_some_and(differs))
            .map(|record| (*record, format!(" of `{}`", excerpt(&self.base.name))));
        let in_rows = || {
            let others = self.row_of_intent[fold].iter().filter(|(other, _)| differs(other));
            let (_, &first) = others.min_by_key(|(_, row)| **row)?;
            Some((&self.labeled.records[first], String::new()))
        };
        let (other, file) = in_base.or_else(in_rows)?;
        let message = format!(
            "the text `{}` has the intent `{}` here and `{}` in record {} (line {}){file}",
            excerpt(&self.texts[i]),
            excerpt(intent),
            excerpt(other.intent.as_deref().unwrap_or_default()),
            other.record,
            other.line
        );
        let help = "choose one intent: a model cannot learn both";
        Some(("BOT-2122", message, help.to_owned()))
    }
}

/// Returns the text without the prefix for spreadsheets, if its id shows that the prefix was added.
fn original_text<'t>(text: &'t str, id: Option<&str>) -> Cow<'t, str> {
    let bare = text::from_spreadsheet(text);
    if id == Some(utterance_id(&bare).as_str()) { bare } else { Cow::Borrowed(text) }
}

/// Returns the first 60 characters of a text, without personal data.
fn excerpt(text: &str) -> String {
    text::utterance(text, 60)
}
