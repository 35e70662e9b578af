//! Cross-validation of a configuration: the report of a split, on all records, by models fitted without them.

use crate::{
    evaluation_report::EvaluationReport,
    folds::{FoldComparison, FoldOutcome, MetricName, compare_folds},
    measurement::measure,
    outcome::{Outcome, Subject, guesser, intents_of},
};
use botops_datasets::Dataset;
use botops_digest::Digest;
use botops_findings::Result;
use botops_models::{CrossValidator, HeldOut, ModelSpec, Progress, temperatures};
use botops_spec::Checked;
use botops_stats::multiple::benjamini_hochberg;
use botops_text::Language;
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "botops.cross_validation/1";

/// The scores of one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// The fold, from 1.
    pub fold: u32,
    /// The number of held-out records.
    pub n: u64,
    /// The number of training records.
    pub n_train: u64,
    /// The temperature, fitted on the scores of the other folds.
    pub temperature: f64,
    /// The share of records that are right.
    pub accuracy: f64,
    /// The mean F1 of the intents present.
    pub macro_f1: f64,
    /// The mean negative log likelihood of the truth, in nats.
    pub log_loss: f64,
}

/// The cross-validation of one configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CrossValidation {
    /// `botops.cross_validation/1`.
    pub schema: String,
    /// The name of the configuration.
    pub name: String,
    /// The configuration.
    pub spec: ModelSpec,
    /// The number of folds.
    pub n_folds: u32,
    /// The seed of the folds.
    pub seed: u64,
    /// The number of groups of near duplicates, which are never split; a record without near duplicates is a group.
    pub n_groups: u64,
    /// The scores of each fold.
    pub folds: Vec<FoldScore>,
    /// The report on all records, each predicted by the model fitted without its fold.
    pub report: EvaluationReport,
    /// The counts of each fold, from which comparisons are made.
    #[serde(skip)]
    pub outcomes: Vec<FoldOutcome>,
}

/// A configuration to cross-validate.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The name of the configuration.
    pub name: &'a str,
    /// The configuration.
    pub spec: &'a Checked<ModelSpec>,
    /// The seed of the folds.
    pub seed: u64,
}

/// Cross-validates `candidate` on `data`, whose records are the samples of `validator`, in their order.
///
/// Each record gets the scores of the model fitted without its fold, and the temperature fitted on the scores of the
/// other folds, so that neither the intent nor the confidence was fitted on the record. Each out-of-scope record is
/// predicted by the model of one fold. There is no model file: the report's `model` is the digest of configuration, folds
/// and data.
///
/// # Errors
/// Those of [`CrossValidator::held_out`] and [`crate::measure`]; `BOT-3003` a record without an intent.
///
/// # Panics
/// When `data` does not have one record for each sample, which is a bug of the caller.
pub fn cross_validate(
    data: &Dataset,
    validator: &CrossValidator<'_>,
    candidate: Candidate<'_>,
    at_once: usize,
    progress: &dyn Progress,
) -> Result<CrossValidation> {
    let Candidate { name, spec, seed } = candidate;
    let truths = intents_of(data)?;
    let n_folds = validator.n_folds();
    let held_out = validator.held_out(spec, 0..n_folds, 1.0, at_once, progress)?;
    let temperatures = temperatures(&held_out);
    let mut outcomes: Vec<Option<Outcome<'_>>> = vec![None; data.records.len()];
    let guesser = guesser(data);
    for (held, &temperature) in held_out.iter().zip(&temperatures) {
        for (i, &sample) in held.samples.iter().enumerate() {
            let record = &data.records[sample as usize];
            let truth = validator.labels().index_of(truths[sample as usize]);
            let (prediction, proba) = held.predict(i, temperature, spec.fallback.threshold);
            let language = Language::of(record.lang.as_deref(), &record.text, &guesser);
            outcomes[sample as usize] = Some(Outcome {
                record,
                truth,
                prediction,
                probability_of_truth: truth.map_or(0.0, |truth| proba[truth]),
                language,
            });
        }
    }
    let outcomes: Vec<Outcome<'_>> =
        outcomes.into_iter().map(|outcome| outcome.expect("every record is in one fold")).collect();
    let subject = Subject {
        model: Digest::of_json(&(SCHEMA, &**spec, n_folds, seed, data.digest)),
        intents: validator.labels().iter().map(str::to_owned).collect(),
        n_known: validator.labels().len(),
        data: data.name.clone(),
        data_digest: data.digest,
    };
    let fold_outcomes: Vec<FoldOutcome> = held_out
        .iter()
        .zip(&temperatures)
        .map(|(held, &temperature)| FoldOutcome::of(held, |_| temperature))
        .collect();
    let fold = |(outcome, &temperature): (&FoldOutcome, &f64)| FoldScore {
        fold: outcome.fold + 1,
        n: outcome.n(),
        n_train: outcome.n_train,
        temperature,
        accuracy: outcome.score(MetricName::Accuracy),
        macro_f1: outcome.score(MetricName::MacroF1),
        log_loss: outcome.score(MetricName::LogLoss),
    };
    Ok(CrossValidation {
        schema: SCHEMA.to_owned(),
        name: name.to_owned(),
        spec: (**spec).clone(),
        n_folds,
        seed,
        n_groups: validator.n_groups() as u64,
        folds: fold_outcomes.iter().zip(&temperatures).map(fold).collect(),
        report: measure(&subject, &outcomes)?,
        outcomes: fold_outcomes,
    })
}

/// The difference between one configuration and the first, on the same folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecComparison {
    /// The configuration.
    pub name: String,
    /// The name of the first configuration.
    pub against: String,
    /// Its score minus the score of the first, fold by fold.
    pub folds: FoldComparison,
    /// The p-value adjusted for the number of configurations (Benjamini-Hochberg, for each metric separately).
    pub p_adjusted: f64,
}

/// Compares every other configuration with the first, metric by metric.
///
/// # Panics
/// When the folds differ, which is a bug of the caller.
#[must_use]
pub fn compare_with_first(results: &[CrossValidation]) -> Vec<SpecComparison> {
    let Some((first, others)) = results.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    for metric in MetricName::ALL {
        let compared: Vec<(&CrossValidation, FoldComparison)> = others
            .iter()
            .filter_map(|other| {
                Some((other, compare_folds(&other.outcomes, &first.outcomes, metric)?))
            })
            .collect();
        let p: Vec<f64> = compared.iter().map(|(_, folds)| folds.difference.p).collect();
        for ((other, folds), p_adjusted) in compared.into_iter().zip(benjamini_hochberg(&p)) {
            let (name, against) = (other.name.clone(), first.name.clone());
            found.push(SpecComparison { name, against, folds, p_adjusted });
        }
    }
    found
}

/// Returns the counts of each fold. Each half of a fold uses the temperature fitted on the other half, so that a fold can
/// be judged without the others.
#[must_use]
pub fn judge_folds(held_out: &[HeldOut]) -> Vec<FoldOutcome> {
    held_out
        .iter()
        .map(|held| {
            let halves = held.temperatures_of_halves();
            FoldOutcome::of(held, |i| halves[i % 2])
        })
        .collect()
}
