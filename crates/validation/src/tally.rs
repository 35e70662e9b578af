//! The tally: every finding counted, a few of each kind kept as samples, and the records that errors reject.

use crate::{
    baseline::BaselineMatch,
    file_names::FileNames,
    record_position::{FindingSink, LateFinding, Message, RecordPosition},
    record_set::RecordSet,
    validation::{Check, Mark},
};
use botops_datasets::{NOTICES, record_place};
use botops_digest::Digest;
use botops_expectations::{Expectations, Threshold};
use botops_findings::{Finding, Place, Severity};
use std::collections::BinaryHeap;

/// One kind of finding: a check, or a rule's part of a check.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) code: &'static str,
    /// The rule; `None` for a check that every data set gets.
    pub(crate) rule: Option<String>,
    severity: Severity,
    warn_if: Option<Threshold>,
    fail_if: Option<Threshold>,
    /// All findings, including those of the baseline.
    count: u64,
    /// The findings of the baseline.
    known: u64,
    samples: Vec<Sample>,
    rejection: Rejection,
    /// The first findings that get their message when the records are read again; the last of them is dropped first.
    late: BinaryHeap<LateFinding>,
}

/// The records that the new findings of a slot reject.
#[derive(Debug)]
enum Rejection {
    /// None.
    Never,
    /// Each record with a finding.
    Always,
    /// These records, if the findings reach `fail_if`.
    AtThreshold(RecordSet),
}

#[derive(Debug)]
struct Sample {
    /// `None`: the finding is about the file.
    at: Option<RecordPosition>,
    /// The place of a finding about a part of the file that is no record.
    place: Option<Place>,
    message: Message,
    id: Digest,
}

/// The slots with their findings, and the rejected records.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) slots: Vec<Slot>,
    /// The records that are rejected at any number of findings.
    rejected: RecordSet,
    most_samples: usize,
    pub(crate) baseline: Option<BaselineMatch>,
}

impl Tally {
    /// Begins; at most `most_samples` findings of each kind are kept.
    pub(crate) fn new(most_samples: usize, baseline: Option<BaselineMatch>) -> Self {
        Self { slots: Vec::new(), rejected: RecordSet::default(), most_samples, baseline }
    }

    /// Makes a slot for `code`, for the rule with this label and these thresholds (`warn_if`, `fail_if`) if there is one;
    /// `None` when the code is silenced.
    pub(crate) fn slot(
        &mut self,
        expectations: &Expectations,
        code: &'static str,
        rule: Option<(String, [Option<Threshold>; 2])>,
    ) -> Option<usize> {
        let severity = expectations.severity_of(code)?;
        let (rule, [warn_if, fail_if]) = match rule {
            Some((label, thresholds)) => (Some(label), thresholds),
            None => (None, [None, None]),
        };
        let rejection = match (warn_if, fail_if) {
            (_, Some(_)) => Rejection::AtThreshold(RecordSet::default()),
            (None, None) if severity == Severity::Error => Rejection::Always,
            _ => Rejection::Never,
        };
        self.slots.push(Slot {
            code,
            rule,
            severity,
            warn_if,
            fail_if,
            count: 0,
            known: 0,
            samples: Vec::new(),
            rejection,
            late: BinaryHeap::new(),
        });
        Some(self.slots.len() - 1)
    }

    /// Adds a finding about the file.
    pub(crate) fn add_whole(&mut self, slot: usize, content: &[&str], message: Message) {
        let id = self.slots[slot].id(content);
        if self.is_new(slot, id) {
            self.slots[slot].samples.push(Sample { at: None, place: None, message, id });
        }
    }

    /// Adds `finding`, about a part of the file that is no record, if its code is one of [`NOTICES`].
    pub(crate) fn add_unread(&mut self, expectations: &Expectations, finding: Finding) {
        let Some(code) = NOTICES.into_iter().find(|code| *code == finding.code) else { return };
        let known = self.slots.iter().position(|slot| slot.code == code);
        let Some(slot) = known.or_else(|| self.slot(expectations, code, None)) else { return };
        let Finding { place, message, help, .. } = finding;
        let id = self.slots[slot].id(&[&message]);
        if self.is_new(slot, id) && self.slots[slot].samples.len() < self.most_samples {
            let message = (message, help);
            self.slots[slot].samples.push(Sample { at: None, place: Some(place), message, id });
        }
    }

    /// Counts a finding that gets its message later, and keeps it if it is one of the first; returns whether it is new.
    pub(crate) fn add_late(&mut self, late: LateFinding) -> bool {
        let id = self.slots[late.slot].late_id(late.key);
        if !self.is_new(late.slot, id) {
            return false;
        }
        self.reject(late.slot, late.at.position);
        let most_samples = self.most_samples;
        let slot = &mut self.slots[late.slot];
        slot.late.push(late);
        if slot.late.len() > most_samples {
            slot.late.pop();
        }
        true
    }

    /// Notes that the record at `position` has a new finding of `slot`.
    fn reject(&mut self, slot: usize, position: u64) {
        match &mut self.slots[slot].rejection {
            Rejection::Never => {}
            Rejection::Always => self.rejected.insert(position),
            Rejection::AtThreshold(records) => records.insert(position),
        }
    }

    /// Counts a finding; returns whether it is not in the baseline.
    fn is_new(&mut self, slot: usize, id: Digest) -> bool {
        let slot = &mut self.slots[slot];
        slot.count += 1;
        let is_known = self.baseline.as_mut().is_some_and(|baseline| baseline.takes(id, slot.code));
        slot.known += u64::from(is_known);
        !is_known
    }

    /// Takes the samples that have no message yet, in the order of the file.
    pub(crate) fn take_late(&mut self) -> Vec<LateFinding> {
        let mut late: Vec<LateFinding> =
            self.slots.iter_mut().flat_map(|slot| slot.late.drain()).collect();
        late.sort_unstable();
        late
    }

    /// Adds the message of a late sample.
    pub(crate) fn complete(&mut self, late: &LateFinding, message: Message) {
        let slot = &mut self.slots[late.slot];
        let id = slot.late_id(late.key);
        slot.samples.push(Sample { at: Some(late.at), place: None, message, id });
    }

    /// Returns the outcome of each check of `n_records` records.
    pub(crate) fn checks(&self, n_records: u64) -> Vec<Check> {
        self.slots
            .iter()
            .map(|slot| Check {
                code: slot.code.to_owned(),
                rule: slot.rule.clone(),
                severity: slot.level(n_records),
                findings: slot.count - slot.known,
                known: slot.known,
            })
            .collect()
    }

    /// Returns the code of each slot, and the severity of its findings.
    pub(crate) fn levels(&self, n_records: u64) -> Vec<(&'static str, Severity)> {
        self.slots.iter().map(|slot| (slot.code, slot.level(n_records))).collect()
    }

    /// Returns the records that errors reject.
    pub(crate) fn rejected(&self, n_records: u64) -> RecordSet {
        let mut rejected = self.rejected.clone();
        for slot in &self.slots {
            if let (Severity::Error, Rejection::AtThreshold(records)) =
                (slot.level(n_records), &slot.rejection)
            {
                rejected.add(records);
            }
        }
        rejected
    }

    /// Returns the samples as findings with their marks: by record, then by code; those about the file come last.
    pub(crate) fn findings(&self, files: &FileNames, n_records: u64) -> (Vec<Finding>, Vec<Mark>) {
        let mut findings: Vec<(u64, Finding, Mark)> = Vec::new();
        for slot in &self.slots {
            let severity = slot.level(n_records);
            for sample in &slot.samples {
                let place = match (&sample.place, sample.at) {
                    (Some(place), _) => place.clone(),
                    (None, Some(at)) => {
                        record_place(files.of(Some(at.position)), at.record, at.line)
                    }
                    (None, None) => {
                        Place { file: Some(files.of(None).to_owned()), ..Place::default() }
                    }
                };
                let (message, help) = sample.message.clone();
                findings.push((
                    sample.at.map_or(u64::MAX, |at| at.position),
                    Finding::new(slot.code, severity, message, help).at(place),
                    Mark { id: sample.id, rule: slot.rule.clone() },
                ));
            }
        }
        // The sort is stable: findings of one record and code stay in the order of the checks.
        findings.sort_by(|(a, x, _), (b, y, _)| (a, &x.code).cmp(&(b, &y.code)));
        findings.into_iter().map(|(_, finding, mark)| (finding, mark)).unzip()
    }
}

impl Slot {
    /// Returns the identity of a finding about `content`; it does not depend on the line.
    fn id(&self, content: &[&str]) -> Digest {
        Digest::of_json(&(self.code, &self.rule, content))
    }

    fn late_id(&self, key: u128) -> Digest {
        self.id(&[&format!("{key:032x}")])
    }

    /// Returns the severity of the findings in `n_records` records: that of the code, or the one that the thresholds give.
    fn level(&self, n_records: u64) -> Severity {
        let new = self.count - self.known;
        let is_reached = |threshold: Option<Threshold>| {
            threshold.is_some_and(|threshold| threshold.is_reached(new, n_records))
        };
        match (self.warn_if, self.fail_if) {
            (None, None) => self.severity,
            _ if is_reached(self.fail_if) => Severity::Error,
            (None, Some(_)) => Severity::Warning,
            _ if is_reached(self.warn_if) => Severity::Warning,
            _ => Severity::Info,
        }
    }
}

impl FindingSink for Tally {
    fn add(
        &mut self,
        slot: usize,
        at: RecordPosition,
        content: &[&str],
        message: impl FnOnce() -> Message,
    ) {
        let is_kept = self.slots[slot].samples.len() < self.most_samples;
        if self.baseline.is_none() && !is_kept {
            self.slots[slot].count += 1;
        } else {
            let id = self.slots[slot].id(content);
            if !self.is_new(slot, id) {
                return;
            }
            if is_kept {
                self.slots[slot].samples.push(Sample {
                    at: Some(at),
                    place: None,
                    message: message(),
                    id,
                });
            }
        }
        self.reject(slot, at.position);
    }
}

/// The reasons why one record is rejected: its findings of severity error.
#[derive(Debug)]
pub(crate) struct Reasons<'a> {
    levels: &'a [(&'static str, Severity)],
    file: &'a str,
    findings: Vec<Finding>,
}

impl<'a> Reasons<'a> {
    /// Begins for a record of `file`; `levels` are those of [`Tally::levels`].
    pub(crate) fn new(levels: &'a [(&'static str, Severity)], file: &'a str) -> Self {
        Self { levels, file, findings: Vec::new() }
    }

    /// Adds a finding of `slot`, if its severity is error.
    pub(crate) fn push(
        &mut self,
        slot: usize,
        at: RecordPosition,
        message: impl FnOnce() -> Message,
    ) {
        if let (code, Severity::Error) = self.levels[slot] {
            let (message, help) = message();
            let place = record_place(self.file, at.record, at.line);
            self.findings.push(Finding::new(code, Severity::Error, message, help).at(place));
        }
    }

    /// Returns the findings, by code.
    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| a.code.cmp(&b.code));
        self.findings
    }
}

impl FindingSink for Reasons<'_> {
    fn add(
        &mut self,
        slot: usize,
        at: RecordPosition,
        _content: &[&str],
        message: impl FnOnce() -> Message,
    ) {
        self.push(slot, at, message);
    }
}
