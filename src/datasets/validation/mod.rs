//! Records against expectations.

mod damage;
mod quarantine;

pub use quarantine::write_quarantine;

use super::{Dataset, Expectations, Record, Rejected, Validation, frame, split};
use crate::{
    findings::{Finding, Place, Severity},
    labels::OOS,
    spec::nearest,
};
use damage::Damage;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How much each check matters unless the expectations say otherwise. An error rejects its record.
pub(in crate::datasets) const DEFAULTS: &[(&str, Severity)] = &[
    ("BOT-2110", Severity::Error),
    ("BOT-2111", Severity::Error),
    ("BOT-2112", Severity::Error),
    ("BOT-2113", Severity::Error),
    ("BOT-2114", Severity::Error),
    ("BOT-2115", Severity::Error),
    ("BOT-2116", Severity::Error),
    ("BOT-2117", Severity::Error),
    ("BOT-2118", Severity::Warning),
    ("BOT-2119", Severity::Warning),
    ("BOT-2120", Severity::Warning),
    ("BOT-2121", Severity::Warning),
    ("BOT-2122", Severity::Warning),
    ("BOT-2123", Severity::Warning),
    ("BOT-2124", Severity::Warning),
    ("BOT-2125", Severity::Warning),
    ("BOT-2126", Severity::Warning),
    ("BOT-2127", Severity::Warning),
];

/// Returns how much `code` matters by default; `None` when it is no check of data.
pub(in crate::datasets) fn default_severity(code: &str) -> Option<Severity> {
    DEFAULTS.iter().find(|(known, _)| *known == code).map(|(_, severity)| *severity)
}

/// Checks `data` against `expectations`, and against `test` for leakage.
///
/// - every finding is returned; those about a record name it, and those about the file come last
/// - a finding of severity error rejects its record; the accepted ones keep their order
/// - `records_in == records_accepted + records_rejected`
/// - of duplicates, all but the first are found; of texts under two intents and of leaks, each record of `data`
/// - in the accepted records, the label of out-of-scope utterances is [`OOS`]
///
/// # Panics
/// When a record were neither accepted nor rejected: a bug.
#[must_use]
pub fn validate(data: &Dataset, expectations: &Expectations, test: Option<&Dataset>) -> Validation {
    let mut checks = Checks { data, expectations, found: Vec::new() };
    for (i, record) in data.records.iter().enumerate() {
        checks.text(i, record);
        checks.labels(i, record);
        checks.entities(i, record);
    }
    let folds: Vec<String> = data.records.iter().map(|r| crate::text::fold(&r.text)).collect();
    checks.duplicates(&folds);
    if let Some(test) = test {
        checks.leakage(&folds, test);
    }

    let mut rejected = vec![false; data.records.len()];
    for (record, finding) in &checks.found {
        if let (Some(i), Severity::Error) = (record, finding.severity) {
            rejected[*i] = true;
        }
    }
    let mut kept: Vec<Record> = data
        .records
        .iter()
        .zip(&rejected)
        .filter(|(_, rejected)| !**rejected)
        .map(|(record, _)| record.clone())
        .collect();
    let mut changed = kept.len() < data.records.len();
    if expectations.oos != OOS {
        for record in &mut kept {
            if record.intent.as_deref() == Some(expectations.oos.as_str()) {
                record.intent = Some(OOS.to_owned());
                changed = true;
            }
        }
    }
    let accepted =
        if changed { split::part(data, kept) } else { Dataset { records: kept, ..data.clone() } };
    let statistics = frame::statistics(&accepted);
    checks.intents(&statistics.intents);
    checks.spellings();

    let mut found = checks.found;
    // Stable, so that findings of one record and code stay in the order in which they were found.
    found.sort_by(|(a, x), (b, y)| {
        (a.unwrap_or(usize::MAX), &x.code).cmp(&(b.unwrap_or(usize::MAX), &y.code))
    });
    let mut reasons: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
    for (record, finding) in &found {
        if let (Some(i), Severity::Error) = (record, finding.severity) {
            reasons.entry(*i).or_default().push(finding.clone());
        }
    }
    let rejected: Vec<Rejected> = reasons
        .into_iter()
        .map(|(i, reasons)| Rejected { record: data.records[i].clone(), reasons })
        .collect();
    let of = |severity| found.iter().filter(|(_, f)| f.severity == severity).count() as u64;
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let validation = Validation {
        records_in: data.records.len() as u64,
        records_accepted: accepted.records.len() as u64,
        records_rejected: rejected.len() as u64,
        errors,
        warnings,
        intents: statistics.intents,
        languages: statistics.languages,
        findings: found.into_iter().map(|(_, finding)| finding).collect(),
        accepted: Some(accepted),
        rejected,
    };
    assert_eq!(
        validation.records_in,
        validation.records_accepted + validation.records_rejected,
        "every record is accepted or rejected"
    );
    validation
}

/// The findings so far, with the index of their record.
struct Checks<'a> {
    data: &'a Dataset,
    expectations: &'a Expectations,
    found: Vec<(Option<usize>, Finding)>,
}

impl<'a> Checks<'a> {
    fn add(
        &mut self,
        record: Option<usize>,
        code: &'static str,
        message: String,
        help: impl Into<String>,
    ) {
        let Some(severity) = self.expectations.severity_of(code) else { return };
        let place = match record {
            Some(i) => self.data.place(&self.data.records[i]),
            None => Place { file: Some(self.data.name.clone()), ..Place::default() },
        };
        self.found.push((record, Finding::new(code, severity, message, help).at(place)));
    }

    fn text(&mut self, i: usize, record: &Record) {
        if record.text.trim().is_empty() {
            self.add(
                Some(i),
                "BOT-2111",
                "the text is empty".to_owned(),
                "write the text, or remove the record",
            );
            return;
        }
        let chars = record.text.chars().count();
        let bounds = &self.expectations.text;
        let (min, max) = (bounds.min_chars, bounds.max_chars);
        if chars < min {
            let message = format!(
                "the text `{}` has {chars} characters, and at least {min} are wanted",
                shown(&record.text)
            );
            self.add(
                Some(i),
                "BOT-2115",
                message,
                "remove the record, or lower `text.min_chars` of the expectations",
            );
        }
        if chars > max {
            let message = format!(
                "the text `{}` has {chars} characters, and at most {max} are allowed",
                shown(&record.text)
            );
            self.add(
                Some(i),
                "BOT-2116",
                message,
                "shorten it, look for a quote that swallowed lines, or raise `text.max_chars` of the expectations",
            );
        }
        for damage in damage::find(&record.text) {
            match damage {
                Damage::Replacement { count, at } => {
                    let message = format!(
                        "the text `{}` lost {} to a damaged encoding, the first at character {at}",
                        shown(&record.text),
                        characters(count)
                    );
                    self.add(
                        Some(i),
                        "BOT-2117",
                        message,
                        "export the data again as UTF-8: what stood there cannot be restored from this file",
                    );
                }
                Damage::Mojibake { seen, meant, at } => {
                    let message = format!(
                        "`{}` at character {at} looks like `{}` read in the wrong encoding",
                        shown(&seen),
                        shown(&meant)
                    );
                    self.add(
                        Some(i),
                        "BOT-2118",
                        message,
                        "export the data again as UTF-8, or repair it: `ftfy` undoes this",
                    );
                }
                Damage::Invisible { which, count, at } => {
                    let message = format!(
                        "the text holds {} that cannot be seen, the first, U+{:04X}, at character {at}",
                        characters(count),
                        u32::from(which)
                    );
                    self.add(Some(i), "BOT-2119", message, "remove what cannot be seen");
                }
            }
        }
    }

    fn labels(&mut self, i: usize, record: &Record) {
        let expectations = self.expectations;
        match &record.intent {
            None if self.data.columns.contains_key("intent") => self.add(
                Some(i),
                "BOT-2112",
                format!("the text `{}` has no intent", shown(&record.text)),
                "label it, or remove the record",
            ),
            None => {}
            Some(intent) => {
                let known = expectations.intents.as_deref().is_none_or(|known| {
                    known.contains(intent) || *intent == expectations.oos || intent == OOS
                });
                if !known {
                    let known = expectations.intents.iter().flatten().map(String::as_str);
                    let help = match nearest(intent, known.chain([expectations.oos.as_str()])) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "relabel it, or add it to `intents` of the expectations".to_owned(),
                    };
                    let message = format!("the intent `{}` is not expected", shown(intent));
                    self.add(Some(i), "BOT-2113", message, help);
                }
            }
        }
        if let (Some(languages), Some(lang)) = (&expectations.languages, &record.lang)
            && !languages.contains(lang)
        {
            let help = match nearest(lang, languages.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "correct it, or add it to `languages` of the expectations".to_owned(),
            };
            let message = format!("the language `{}` is not expected", shown(lang));
            self.add(Some(i), "BOT-2114", message, help);
        }
    }

    fn entities(&mut self, i: usize, record: &Record) {
        if record.entities.is_empty() {
            return;
        }
        // Byte offsets of the characters, and of the end.
        let offsets: Vec<usize> =
            record.text.char_indices().map(|(at, _)| at).chain([record.text.len()]).collect();
        for span in &record.entities {
            let there = match (offsets.get(span.start), offsets.get(span.end)) {
                (Some(&start), Some(&end)) if start < end => Some(&record.text[start..end]),
                _ => None,
            };
            if there == Some(span.value.as_str()) {
                continue;
            }
            let (name, value) = (shown(&span.entity), shown(&span.value));
            let (start, end) = (span.start, span.end);
            let message = match there {
                Some(there) => format!(
                    "the entity `{name}` is `{value}`, and characters {start} to {end} are `{}`",
                    shown(there)
                ),
                None => format!(
                    "the entity `{name}` spans characters {start} to {end} of a text of {}",
                    offsets.len() - 1
                ),
            };
            let help = match record.text.find(&span.value) {
                Some(at) if !span.value.is_empty() => {
                    let start = record.text[..at].chars().count();
                    let end = start + span.value.chars().count();
                    format!(
                        "`{value}` stands at {start} to {end}; offsets count characters from 0, the end not included"
                    )
                }
                _ => "offsets count characters from 0, the end not included".to_owned(),
            };
            self.add(Some(i), "BOT-2126", message, help);
        }
    }

    fn duplicates(&mut self, folds: &[String]) {
        let records = &self.data.records;
        let mut groups: HashMap<&str, Vec<usize>> = HashMap::with_capacity(folds.len());
        for (i, fold) in folds.iter().enumerate() {
            if !fold.is_empty() {
                groups.entry(fold).or_default().push(i);
            }
        }
        // By the first record of each, so that the map's own order shows nowhere.
        let mut groups: Vec<Vec<usize>> =
            groups.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_unstable();
        for group in groups {
            let mut first_same: HashMap<(&str, Option<&str>), usize> = HashMap::new();
            let mut first_folded: BTreeMap<Option<&str>, usize> = BTreeMap::new();
            let mut repeats = Vec::new();
            for &i in &group {
                let Record { text, intent, .. } = &records[i];
                let intent = intent.as_deref();
                let same = *first_same.entry((text, intent)).or_insert(i);
                let folded = *first_folded.entry(intent).or_insert(i);
                if same < i {
                    repeats.push((i, same, "BOT-2120"));
                } else if folded < i {
                    repeats.push((i, folded, "BOT-2121"));
                }
            }
            for (i, first, code) in repeats {
                let Record { record, line, .. } = &records[first];
                let but = if code == "BOT-2121" { ", but for case and spaces" } else { "" };
                let message = format!(
                    "the text `{}` is the same as that of record {record} (line {line}){but}",
                    shown(&records[i].text)
                );
                self.add(Some(i), code, message, "keep one of them");
            }
            let intents: Vec<(&str, usize)> =
                first_folded.iter().filter_map(|(intent, i)| Some(((*intent)?, *i))).collect();
            if intents.len() < 2 {
                continue;
            }
            for &i in &group {
                let Some(intent) = records[i].intent.as_deref() else { continue };
                let (other, first) = intents
                    .iter()
                    .filter(|(other, _)| *other != intent)
                    .min_by_key(|(_, first)| *first)
                    .expect("there are two intents at least");
                let Record { record, line, .. } = &records[*first];
                let message = format!(
                    "the text `{}` has the intent `{}` here and `{}` in record {record} (line {line})",
                    shown(&records[i].text),
                    shown(intent),
                    shown(other)
                );
                self.add(
                    Some(i),
                    "BOT-2122",
                    message,
                    "decide for one intent: a model cannot learn both",
                );
            }
        }
    }

    fn leakage(&mut self, folds: &[String], test: &Dataset) {
        let mut exact: HashMap<&str, &Record> = HashMap::new();
        let mut folded: HashMap<String, &Record> = HashMap::new();
        for record in &test.records {
            exact.entry(&record.text).or_insert(record);
            folded.entry(crate::text::fold(&record.text)).or_insert(record);
        }
        for (i, fold) in folds.iter().enumerate() {
            if fold.is_empty() {
                continue;
            }
            let text = &self.data.records[i].text;
            let (code, there, but) = match (exact.get(text.as_str()), folded.get(fold)) {
                (Some(there), _) => ("BOT-2124", there, ""),
                (None, Some(there)) => ("BOT-2125", there, ", but for case and spaces"),
                (None, None) => continue,
            };
            let message = format!(
                "the text `{}` is also record {} (line {}) of the test data `{}`{but}",
                shown(text),
                there.record,
                there.line,
                shown(&test.name)
            );
            self.add(
                Some(i),
                code,
                message,
                "remove it from the training data: a test is worth what was not learned from",
            );
        }
    }

    /// Checks how many examples each intent has, among the accepted records.
    fn intents(&mut self, counts: &BTreeMap<String, u64>) {
        if !self.data.columns.contains_key("intent") {
            return;
        }
        let wanted = self.expectations.min_examples_per_intent;
        let expected = self.expectations.intents.iter().flatten().map(String::as_str);
        let names: BTreeSet<&str> =
            counts.keys().map(String::as_str).chain(expected).filter(|name| *name != OOS).collect();
        for name in &names {
            let count = counts.get(*name).copied().unwrap_or_default();
            if count < wanted && *name != self.expectations.oos {
                let examples = if count == 1 { "example" } else { "examples" };
                self.add(
                    None,
                    "BOT-2123",
                    format!("the intent `{}` has {count} {examples}, and at least {wanted} are wanted", shown(name)),
                    "add examples, merge it with another intent, or lower `min_examples_per_intent` of the expectations",
                );
            }
        }
        let mut present = counts.keys().filter(|name| *name != OOS);
        let message = match (present.next(), present.next()) {
            (None, _) => "no record has an intent that can be trained on".to_owned(),
            (Some(only), None) => format!("there is only one intent: `{}`", shown(only)),
            _ => return,
        };
        self.add(
            None,
            "BOT-2110",
            message,
            "a classifier needs at least two intents: check the intent column, or add records of another",
        );
    }

    /// Looks for intents that differ only in how they are written.
    fn spellings(&mut self) {
        let intents: BTreeSet<&'a str> =
            self.data.records.iter().filter_map(|record| record.intent.as_deref()).collect();
        let mut spelled: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for intent in intents {
            let plain = crate::text::fold(intent).replace([' ', '-'], "_");
            spelled.entry(plain).or_default().push(intent);
        }
        for names in spelled.into_values().filter(|names| names.len() > 1) {
            let names: Vec<String> =
                names.iter().map(|name| format!("`{}`", shown(name))).collect();
            let (last, others) = names.split_last().expect("there are two at least");
            self.add(
                None,
                "BOT-2127",
                format!(
                    "the intents {} and {last} differ only in how they are written",
                    others.join(", ")
                ),
                "write them alike: they are learned as different intents",
            );
        }
    }
}

fn characters(count: usize) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}

fn shown(text: &str) -> String {
    crate::text::display(text, 60)
}
