//! What was found: counted to the last, kept as a few samples of each kind.

use super::{Check, Mark, baseline::Matching};
use crate::{file_names::Files, record_set::Bits};
use botops_datasets::table::Row;
use botops_digest::Digest;
use botops_expectations::{Expectations, Threshold};
use botops_findings::{Finding, Place, Severity};
use std::collections::BinaryHeap;

/// Where a finding is: the position of its record, its number and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) position: u64,
    pub(crate) record: u64,
    pub(crate) line: u64,
}

/// A finding is told in a message and a help.
pub(crate) type Told = (String, String);

/// Hears what checks of one record find.
pub(crate) trait Sink {
    /// Takes a finding of `slot` at `at`; `content` is what it is about, whichever line that stands on.
    fn add(&mut self, slot: usize, at: At, content: &[&str], told: impl FnOnce() -> Told);
}

/// One kind of finding: a check, or a rule's part of one.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) code: &'static str,
    /// What the rule is about; `None` for what is checked of every data set.
    pub(crate) rule: Option<String>,
    severity: Severity,
    warn_if: Option<Threshold>,
    fail_if: Option<Threshold>,
    /// All findings, with those of the baseline.
    count: u64,
    known: u64,
    samples: Vec<Sample>,
    rejects: Rejects,
    /// Findings that are told once the whole file was seen; the greatest is the first to go.
    late: BinaryHeap<Late>,
}

/// Which records the new findings of a slot reject.
#[derive(Debug)]
enum Rejects {
    /// None.
    Never,
    /// Each that has one.
    Always,
    /// These, once there are as many findings as the rule allows for.
    AtThreshold(Bits),
}

#[derive(Debug)]
struct Sample {
    at: Option<At>,
    told: Told,
    id: Digest,
}

/// A finding about a record that was passed by; told when the record is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Late {
    pub(crate) at: At,
    pub(crate) slot: usize,
    /// The record it is compared with, and its line.
    pub(crate) other: u64,
    pub(crate) other_line: u64,
    /// The position of that record.
    pub(crate) other_at: u64,
    /// The number of that record's intent.
    pub(crate) intent: u32,
    /// What it is compared by.
    pub(crate) key: u128,
}

/// Every slot, and what is known of a baseline.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) slots: Vec<Slot>,
    /// The records that are rejected whatever follows.
    rejected: Bits,
    kept: usize,
    pub(crate) matching: Option<Matching>,
}

impl Found {
    /// Begins, keeping at most `kept` samples of each kind.
    pub(crate) fn new(kept: usize, matching: Option<Matching>) -> Self {
        Self { slots: Vec::new(), rejected: Bits::default(), kept, matching }
    }

    /// Makes a slot for `code`; `None` when it is silenced.
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
        let rejects = match (warn_if, fail_if) {
            (_, Some(_)) => Rejects::AtThreshold(Bits::default()),
            (None, None) if severity == Severity::Error => Rejects::Always,
            _ => Rejects::Never,
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
            rejects,
            late: BinaryHeap::new(),
        });
        Some(self.slots.len() - 1)
    }

    /// Takes a finding about the file as a whole.
    pub(crate) fn add_whole(&mut self, slot: usize, content: &[&str], told: Told) {
        let id = self.slots[slot].id(content);
        if self.is_new(slot, id) {
            self.slots[slot].samples.push(Sample { at: None, told, id });
        }
    }

    /// Takes a finding that is told later, if it is among the first ones; returns whether it is new.
    pub(crate) fn add_late(&mut self, late: Late) -> bool {
        let id = self.slots[late.slot].late_id(late.key);
        if !self.is_new(late.slot, id) {
            return false;
        }
        self.reject(late.slot, late.at.position);
        let kept = self.kept;
        let slot = &mut self.slots[late.slot];
        slot.late.push(late);
        if slot.late.len() > kept {
            slot.late.pop();
        }
        true
    }

    /// Notes that the record at `position` has a new finding of `slot`.
    fn reject(&mut self, slot: usize, position: u64) {
        match &mut self.slots[slot].rejects {
            Rejects::Never => {}
            Rejects::Always => self.rejected.insert(position),
            Rejects::AtThreshold(records) => records.insert(position),
        }
    }

    /// Counts a finding; returns whether the baseline does not have it.
    fn is_new(&mut self, slot: usize, id: Digest) -> bool {
        let slot = &mut self.slots[slot];
        slot.count += 1;
        let is_known = self.matching.as_mut().is_some_and(|matching| matching.takes(id, slot.code));
        slot.known += u64::from(is_known);
        !is_known
    }

    /// Takes the samples that are still to be told, in the order of the file.
    pub(crate) fn take_late(&mut self) -> Vec<Late> {
        let mut late: Vec<Late> =
            self.slots.iter_mut().flat_map(|slot| slot.late.drain()).collect();
        late.sort_unstable();
        late
    }

    /// Tells a sample that came late.
    pub(crate) fn tell(&mut self, late: &Late, told: Told) {
        let slot = &mut self.slots[late.slot];
        let id = slot.late_id(late.key);
        slot.samples.push(Sample { at: Some(late.at), told, id });
    }

    /// Returns how each check came out, of `records` records.
    pub(crate) fn checks(&self, records: u64) -> Vec<Check> {
        self.slots
            .iter()
            .map(|slot| Check {
                code: slot.code.to_owned(),
                rule: slot.rule.clone(),
                severity: slot.level(records),
                findings: slot.count - slot.known,
                known: slot.known,
            })
            .collect()
    }

    /// Returns how much the findings of each slot matter.
    pub(crate) fn levels(&self, records: u64) -> Vec<Severity> {
        self.slots.iter().map(|slot| slot.level(records)).collect()
    }

    /// Returns the records that errors reject.
    pub(crate) fn rejected(&self, records: u64) -> Bits {
        let mut rejected = self.rejected.clone();
        for slot in &self.slots {
            if let (Severity::Error, Rejects::AtThreshold(records)) =
                (slot.level(records), &slot.rejects)
            {
                rejected.add(records);
            }
        }
        rejected
    }

    /// Returns the samples as findings about `files`, each with its mark: by record, then by code; those about
    /// the whole come last.
    pub(crate) fn findings(&self, files: &Files, records: u64) -> (Vec<Finding>, Vec<Mark>) {
        let mut findings: Vec<(u64, Finding, Mark)> = Vec::new();
        for slot in &self.slots {
            let severity = slot.level(records);
            for sample in &slot.samples {
                let place = Place {
                    file: Some(files.of(sample.at.map(|at| at.position)).to_owned()),
                    record: sample.at.map(|at| at.record),
                    line: sample.at.map(|at| at.line),
                    ..Place::default()
                };
                let (message, help) = sample.told.clone();
                findings.push((
                    sample.at.map_or(u64::MAX, |at| at.position),
                    Finding::new(slot.code, severity, message, help).at(place),
                    Mark { id: sample.id, rule: slot.rule.clone() },
                ));
            }
        }
        // Stable, so that findings of one record and code stay in the order in which they were found.
        findings.sort_by(|(a, x, _), (b, y, _)| (a, &x.code).cmp(&(b, &y.code)));
        findings.into_iter().map(|(_, finding, mark)| (finding, mark)).unzip()
    }
}

impl Slot {
    /// Returns what identifies a finding about `content`, wherever it stands.
    fn id(&self, content: &[&str]) -> Digest {
        Digest::of_json(&(self.code, &self.rule, content))
    }

    fn late_id(&self, key: u128) -> Digest {
        self.id(&[&format!("{key:032x}")])
    }

    fn level(&self, records: u64) -> Severity {
        let new = self.count - self.known;
        let is_reached = |threshold: Option<Threshold>| {
            threshold.is_some_and(|threshold| threshold.is_reached(new, records))
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

impl Sink for Found {
    fn add(&mut self, slot: usize, at: At, content: &[&str], told: impl FnOnce() -> Told) {
        let is_kept = self.slots[slot].samples.len() < self.kept;
        if self.matching.is_none() && !is_kept {
            self.slots[slot].count += 1;
        } else {
            let id = self.slots[slot].id(content);
            if !self.is_new(slot, id) {
                return;
            }
            if is_kept {
                self.slots[slot].samples.push(Sample { at: Some(at), told: told(), id });
            }
        }
        self.reject(slot, at.position);
    }
}

/// The reasons why one record was rejected.
#[derive(Debug)]
pub(crate) struct Reasons<'a> {
    pub(crate) slots: &'a [(&'static str, Severity)],
    pub(crate) file: &'a str,
    pub(crate) found: Vec<Finding>,
}

impl Reasons<'_> {
    /// Takes a reason, if it is one.
    pub(crate) fn push(&mut self, slot: usize, at: At, told: impl FnOnce() -> Told) {
        if let (code, Severity::Error) = self.slots[slot] {
            let (message, help) = told();
            let place = Place {
                file: Some(self.file.to_owned()),
                record: Some(at.record),
                line: Some(at.line),
                ..Place::default()
            };
            self.found.push(Finding::new(code, Severity::Error, message, help).at(place));
        }
    }
}

impl Sink for Reasons<'_> {
    fn add(&mut self, slot: usize, at: At, _content: &[&str], told: impl FnOnce() -> Told) {
        self.push(slot, at, told);
    }
}

impl At {
    /// Returns where `row`, the record at `position`, is.
    pub(crate) fn of(row: Row<'_>, position: u64) -> Self {
        Self { position, record: row.record(), line: row.line() }
    }
}
