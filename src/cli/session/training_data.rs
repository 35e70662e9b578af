//! The records that a training learns from: read once, validated once.

use super::{context::Context, recording::Input};
use crate::cli::{arguments::data_args::DataArgs, terminal::tables};
use botops_datasets::Dataset;
use botops_expectations::Expectations;
use botops_findings::{Fault, FaultKind, Finding, Place, Result, Severity};
use botops_labels::{OOS, undeclared_oos};
use botops_models::{ModelSpec, Sample};
use botops_spec::nearest;
use botops_text::utterance;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A training file that was read once.
pub(crate) struct TrainingData {
    /// The bytes, for the record of a run.
    pub(crate) input: Input,
    /// The records of the file.
    pub(crate) data: Dataset,
    /// The records to learn from.
    pub(crate) usable: UsableRecords,
}

impl TrainingData {
    /// Reads and validates the data at `path`: a file, a pattern of files, a file of a snapshot, or `-`.
    pub(crate) fn read(context: &Context, path: &Path, columns: &DataArgs) -> Result<Self> {
        let (input, data) = Input::data(context, path, columns)?;
        let usable = UsableRecords::of(&data);
        Ok(Self { input, data, usable })
    }
}

/// The records of a data set that a training can learn from, and the reasons why others were left out.
pub(crate) struct UsableRecords {
    /// The records to learn from.
    pub(crate) accepted: Dataset,
    /// The reasons why the other records were left out.
    pub(crate) left_out: Vec<Finding>,
    /// The number of records left out.
    pub(crate) n_left_out: u64,
    n_read: u64,
}

impl UsableRecords {
    /// Validates `data` without expectations of its own.
    pub(crate) fn of(data: &Dataset) -> Self {
        let mut validation = botops_validation::validate(data, &Expectations::default(), None);
        let accepted = validation.accepted.take().expect("validation returns the accepted records");
        let reasons = validation.rejected.iter().flat_map(|rejected| &rejected.reasons);
        Self {
            accepted,
            left_out: reasons.cloned().collect(),
            n_left_out: validation.records_rejected,
            n_read: validation.records_in,
        }
    }

    /// Returns the texts and intents to learn from.
    pub(crate) fn samples(&self) -> Vec<Sample<'_>> {
        samples(&self.accepted)
    }

    /// Warns about labels that look like out of scope, and that `spec` does not declare.
    pub(crate) fn undeclared_oos(&self, spec: &ModelSpec) -> Option<Finding> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for sample in self.samples() {
            *counts.entry(spec.intent_of(sample.intent)).or_default() += 1;
        }
        undeclared_oos(counts, &self.accepted.name, |labels| {
            format!(
                "if it means out of scope, write `oos_labels: [{}]` in the configuration of the model (`--config`)",
                labels.join(", ")
            )
        })
    }

    /// Gives the records the intents that their labels stand for in `spec`.
    pub(crate) fn relabel(&mut self, spec: &ModelSpec) {
        for record in &mut self.accepted.records {
            if let Some(intent) = &mut record.intent {
                *intent = spec.intent_of(intent).to_owned();
            }
        }
    }

    /// Warns about each of the `oos_labels` of `spec` that no record has; before [`UsableRecords::relabel`].
    pub(crate) fn unmatched_oos(&self, spec: &ModelSpec) -> Vec<Finding> {
        let known: BTreeSet<&str> = self.samples().iter().map(|sample| sample.intent).collect();
        let unmatched = spec.oos_labels.iter().filter(|label| !known.contains(label.as_str()));
        let finding = |label: &String| {
            let message = format!(
                "no record has the label `{}`, which `oos_labels` names",
                utterance(label, 40)
            );
            let help = match nearest(label, known.iter().copied()) {
                Some(near) => format!("did you mean `{}`?", utterance(near, 40)),
                None => "remove it from `oos_labels`, or correct it".to_owned(),
            };
            let place = Place { file: Some(self.accepted.name.clone()), ..Place::default() };
            Finding::new("BOT-2247", Severity::Warning, message, help).at(place)
        };
        unmatched.map(finding).collect()
    }

    /// Returns the number of records out of scope, by the label `oos` or one that `spec` declares.
    pub(crate) fn n_oos(&self, spec: &ModelSpec) -> u64 {
        let is_oos = |sample: &&Sample<'_>| spec.intent_of(sample.intent) == OOS;
        self.samples().iter().filter(is_oos).count() as u64
    }

    /// Describes the records left out: their number and the first reasons of each kind; empty if there are none.
    pub(crate) fn left_out_text(&self) -> String {
        if self.n_left_out == 0 {
            return String::new();
        }
        format!(
            "left out {} of {} records:\n{}",
            tables::count(self.n_left_out),
            tables::count(self.n_read),
            tables::findings(&self.left_out, 3)
        )
    }
}

/// Returns the texts and intents of `data`; records without an intent are skipped.
pub(crate) fn samples(data: &Dataset) -> Vec<Sample<'_>> {
    data.records
        .iter()
        .filter_map(|record| Some(Sample { text: &record.text, intent: record.intent.as_deref()? }))
        .collect()
}

/// Names the training file at `path` in a fault that its records caused; a fault of usage has another cause.
pub(crate) fn named(fault: Fault, path: &Path) -> Fault {
    match fault.kind() {
        FaultKind::Usage => fault,
        _ => fault.file(path),
    }
}
