//! Labels that come back: utterances that people labelled become records of a data set.

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

/// Returns what an utterance that is to be labelled is known by: the same for texts that are equal but for case and
/// spaces, in any file.
///
/// It begins with letters, so that no spreadsheet takes it for a number.
#[must_use]
pub fn utterance_id(text: &str) -> String {
    format!("u-{}", Digest::of(text::fold(text).as_bytes()).short())
}

/// Whether labels may name intents that the data set does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewIntents {
    /// They are refused: most are spelled wrong.
    Refused,
    /// They are taken.
    Allowed,
}

/// What became of labelled utterances.
///
/// - `records_in == added + already + unlabelled + refused`
#[derive(Debug, Clone, Serialize)]
pub struct Merging {
    /// Records of the base, all of which are kept.
    pub base: u64,
    /// Utterances read.
    pub records_in: u64,
    /// Those that became records.
    pub added: u64,
    /// Those that the base, or an earlier utterance, has with the same intent.
    pub already: u64,
    /// Those that nobody labelled yet.
    pub unlabelled: u64,
    /// Those that cannot be taken as they are.
    pub refused: u64,
    /// Records that come out: those of the base, then those added.
    pub records_out: u64,
    /// Added records by intent.
    pub intents: BTreeMap<String, u64>,
    /// The records that come out.
    #[serde(skip)]
    pub merged: Vec<Record>,
    /// The utterances refused, with the reasons.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
    /// What was found, in the order of the labelled file.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Adds the utterances of `labelled` that have an intent to the records of `base`.
///
/// `ids` holds the id of each utterance, as of [`utterance_id`]; one that does not fit its text is refused (`BOT-2197`):
/// the row was shifted, or the text changed. Refused as well are an empty text (`BOT-2111`), an intent that the base does
/// not have (`BOT-2113`), and a text that has another intent in the base or in another row (`BOT-2122`, all of these
/// rows). An utterance that is there with the same intent is not added again (`BOT-2120`, `BOT-2121`), and one without
/// an intent is left for later (`BOT-2198`). What
/// [`text::spreadsheet_safe`] put on a text is taken off.
///
/// # Panics
/// When there is not one id for each utterance, or one were not accounted for: bugs.
#[must_use]
pub fn merge(
    base: &Dataset,
    labelled: &Dataset,
    ids: &[Option<String>],
    new_intents: NewIntents,
) -> Merging {
    assert_eq!(ids.len(), labelled.records.len(), "an id for each utterance");
    let mut known: HashMap<String, Vec<&Record>> = HashMap::new();
    for record in &base.records {
        known.entry(text::fold(&record.text)).or_default().push(record);
    }
    let intents: BTreeSet<&str> =
        base.records.iter().filter_map(|record| record.intent.as_deref()).collect();
    let texts: Vec<String> = labelled
        .records
        .iter()
        .zip(ids)
        .map(|(record, id)| written(&record.text, id.as_deref()).into_owned())
        .collect();
    let folds: Vec<String> = texts.iter().map(|text| text::fold(text)).collect();
    let mut labels: HashMap<&str, BTreeMap<&str, usize>> = HashMap::new();
    for (i, record) in labelled.records.iter().enumerate() {
        if let Some(intent) = record.intent.as_deref() {
            labels.entry(&folds[i]).or_default().entry(intent).or_insert(i);
        }
    }
    let mut merged = base.records.clone();
    let mut out = Merging {
        base: base.records.len() as u64,
        records_in: labelled.records.len() as u64,
        added: 0,
        already: 0,
        unlabelled: 0,
        refused: 0,
        records_out: 0,
        intents: BTreeMap::new(),
        merged: Vec::new(),
        rejected: Vec::new(),
        findings: Vec::new(),
    };
    let mut taken: HashMap<&str, usize> = HashMap::new();
    for (i, record) in labelled.records.iter().enumerate() {
        let (text, fold) = (&texts[i], folds[i].as_str());
        let finding = |code, severity, message: String, help: &str| {
            Finding::new(code, severity, message, help).at(labelled.place(record))
        };
        let mut refuse = |code, message: String, help: &str| {
            let reason = finding(code, Severity::Error, message, help);
            out.refused += 1;
            out.findings.push(reason.clone());
            out.rejected.push(Rejected { record: record.clone(), reasons: vec![reason] });
        };
        if fold.is_empty() {
            refuse("BOT-2111", "the text is empty".to_owned(), "remove the row");
            continue;
        }
        let id = utterance_id(text);
        match ids[i].as_deref() {
            Some(own) if own == id => {}
            Some(own) => {
                let message = format!(
                    "the id `{}` is not that of the text `{}`, which is `{id}`",
                    shown(own),
                    shown(text)
                );
                refuse(
                    "BOT-2197",
                    message,
                    "put the text back as it was suggested: the label may belong to another row",
                );
                continue;
            }
            None => {
                let message = format!("the text `{}` has no id", shown(text));
                refuse(
                    "BOT-2197",
                    message,
                    "put the id back that was suggested, or import new texts with `botops data import`",
                );
                continue;
            }
        }
        let Some(intent) = record.intent.as_deref() else {
            let message = format!("the text `{}` is not labelled yet", shown(text));
            out.unlabelled += 1;
            out.findings.push(finding(
                "BOT-2198",
                Severity::Info,
                message,
                "write its intent into the column `intent`",
            ));
            continue;
        };
        let is_known =
            new_intents == NewIntents::Allowed || intents.contains(intent) || intent == OOS;
        if !is_known {
            let help = match nearest(intent, intents.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "correct it, or allow new intents with `--new-intents`".to_owned(),
            };
            refuse("BOT-2113", format!("the intent `{}` is not expected", shown(intent)), &help);
            continue;
        }
        let there = known.get(fold).map_or(&[][..], Vec::as_slice);
        let other = there.iter().find(|r| r.intent.as_deref().is_some_and(|other| other != intent));
        if let Some(other) = other {
            let message = format!(
                "the text `{}` has the intent `{}` here and `{}` in record {} (line {}) of `{}`",
                shown(text),
                shown(intent),
                shown(other.intent.as_deref().unwrap_or_default()),
                other.record,
                other.line,
                shown(&base.name)
            );
            refuse("BOT-2122", message, "decide for one intent: a model cannot learn both");
            continue;
        }
        let rival =
            labels[fold].iter().filter(|(other, _)| **other != intent).min_by_key(|(_, i)| **i);
        if let Some((other, first)) = rival {
            let Record { record: number, line, .. } = &labelled.records[*first];
            let message = format!(
                "the text `{}` has the intent `{}` here and `{}` in record {number} (line {line})",
                shown(text),
                shown(intent),
                shown(other)
            );
            refuse("BOT-2122", message, "decide for one intent: a model cannot learn both");
            continue;
        }
        let twin = there.iter().find(|r| r.intent.as_deref() == Some(intent)).copied();
        let twin = twin
            .map(|twin| (twin, format!(" of `{}`", shown(&base.name))))
            .or_else(|| Some((&labelled.records[*taken.get(fold)?], String::new())));
        if let Some((twin, file)) = twin {
            let (code, but) = match twin.text == *text {
                true => ("BOT-2120", ""),
                false => ("BOT-2121", ", but for case and spaces"),
            };
            let message = format!(
                "the text `{}` is the same as that of record {} (line {}){file}{but}",
                shown(text),
                twin.record,
                twin.line
            );
            out.already += 1;
            out.findings.push(finding(
                code,
                Severity::Info,
                message,
                "nothing: it is not added again",
            ));
            continue;
        }
        taken.insert(fold, i);
        out.added += 1;
        *out.intents.entry(intent.to_owned()).or_default() += 1;
        merged.push(Record {
            text: text.clone(),
            intent: Some(intent.to_owned()),
            lang: None,
            entities: Vec::new(),
            record: merged.len() as u64 + 1,
            line: record.line,
            file: None,
        });
    }
    out.records_out = merged.len() as u64;
    out.merged = merged;
    assert_eq!(
        out.records_in,
        out.added + out.already + out.unlabelled + out.refused,
        "every utterance is accounted for"
    );
    assert_eq!(out.records_out, out.base + out.added, "every record comes out");
    out
}

/// Returns the text as it was before it was made safe for spreadsheets, where its id says that it was.
fn written<'t>(text: &'t str, id: Option<&str>) -> Cow<'t, str> {
    let bare = text::from_spreadsheet(text);
    if id == Some(utterance_id(&bare).as_str()) { bare } else { Cow::Borrowed(text) }
}

/// Shows a text that may hold personal data.
fn shown(text: &str) -> String {
    text::utterance(text, 60)
}
