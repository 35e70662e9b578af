//! Counts of a window, from which its accuracy is computed: integers, and a sample of the labelled records.

use crate::{
    accuracy::{
        GroupAccuracy, IntentAccuracy, LabelDelay, OutOfScope, SourceAccuracy, WindowAccuracy,
    },
    judgements::Judgements,
    label_sample::{LabelSample, Labelled, macro_f1},
    names::Names,
    weights::{Tally, Weights, proportion, stratum_of},
};
use botops_findings::{Finding, Result};
use botops_labels::OOS;
use botops_predictions::{Filter, Record, SourceClass};
use botops_stats::bootstrap::Resampling;
use botops_store::Store;
use chrono::{DateTime, Days, NaiveDate};
use std::collections::BTreeMap;

/// The draws of the bootstrap of macro-F1.
pub(crate) const RESAMPLING: Resampling = Resampling { draws: 1_000, seed: 17, level: 0.95 };
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Counts of records and their labels; the order in which records are added does not matter.
#[derive(Debug, Default)]
pub struct AccuracyCounts {
    names: Names,
    all: Tally,
    days: BTreeMap<i32, Tally>,
    arms: BTreeMap<u32, Tally>,
    languages: BTreeMap<u32, Tally>,
    intents: BTreeMap<u32, IntentTally>,
    out_of_scope: OutOfScope,
    /// The number of labels that are older than their answers.
    before: u64,
    apart: BTreeMap<SourceClass, Apart>,
    sample: LabelSample,
}

#[derive(Debug, Default)]
struct IntentTally {
    /// The number of records for which it was predicted.
    n: u64,
    /// Labelled records with this predicted intent.
    predicted: Tally,
    /// Labelled records with this true intent.
    truth: Tally,
}

#[derive(Debug, Default)]
struct Apart {
    n: u64,
    right: u64,
    both: u64,
    agree: u64,
}

impl AccuracyCounts {
    /// Counts a record, and its label if it has one.
    pub fn add(&mut self, record: &Record, judgements: &Judgements) {
        let key = record.key();
        let stratum = stratum_of(record.confidence);
        let label = judgements.labels.get(&key);
        let day = i32::try_from(record.at.div_euclid(DAY_MS)).unwrap_or(0);
        let arm = self.names.number(&record.arm);
        let language = self.names.number(record.any_language().unwrap_or("unknown"));
        let predicted = self.names.number(&record.intent);
        let answered = !record.fallback;
        let is_oos = label.is_some_and(|label| label.intent == OOS);
        // Of a label in scope: whether the predicted intent is the true one.
        let right = label.filter(|_| !is_oos).map(|label| label.intent == record.intent);
        let tallies = [
            &mut self.all,
            self.days.entry(day).or_default(),
            self.arms.entry(arm).or_default(),
            self.languages.entry(language).or_default(),
        ];
        for tally in tallies {
            tally.add(stratum, answered, label.is_some(), right);
        }
        let by_prediction = self.intents.entry(predicted).or_default();
        by_prediction.n += 1;
        if let Some(label) = label {
            if is_oos {
                self.out_of_scope.n += 1;
                self.out_of_scope.declined += u64::from(record.fallback);
            }
            by_prediction.predicted.add(stratum, answered, true, right);
            let truth = self.names.number(&label.intent);
            if !is_oos {
                let by_truth = self.intents.entry(truth).or_default();
                by_truth.truth.add(stratum, answered, true, right);
            }
            self.before += u64::from(label.at < record.at);
            self.sample.add(
                record.conversation.as_deref().unwrap_or(&record.request_id),
                Labelled {
                    truth: (!is_oos).then_some(truth),
                    predicted,
                    stratum: stratum as u8,
                    delay_ms: label.at.saturating_sub(record.at).max(0) as u64,
                    day,
                    arm,
                    language,
                },
            );
        }
        for (source, labels) in &judgements.apart {
            let Some(verdict) = labels.get(&key) else { continue };
            let apart = self.apart.entry(*source).or_default();
            if verdict.intent != OOS {
                apart.n += 1;
                apart.right += u64::from(verdict.intent == record.intent);
            }
            if let Some(label) = label {
                apart.both += 1;
                apart.agree += u64::from(label.intent == verdict.intent);
            }
        }
    }

    /// Computes shares, accuracies and their intervals. `judgements` are those of [`Self::add`].
    #[must_use]
    pub fn finish(&self, judgements: &Judgements) -> WindowAccuracy {
        self.finish_with(judgements, &RESAMPLING)
    }

    pub(crate) fn finish_with(
        &self,
        judgements: &Judgements,
        resampling: &Resampling,
    ) -> WindowAccuracy {
        let weights = Weights::of(&self.all);
        let sample = self.sample.clusters();
        let group = |name: String, tally: &Tally, is_in: &dyn Fn(&Labelled) -> bool| {
            group_accuracy(name, tally, is_in, (&weights, &sample, resampling))
        };
        let by_name = |tallies: &BTreeMap<u32, Tally>, of: fn(&Labelled) -> u32| {
            let mut groups: Vec<GroupAccuracy> = tallies
                .iter()
                .map(|(&number, tally)| {
                    group(self.names.of(number).to_owned(), tally, &|it| of(it) == number)
                })
                .collect();
            groups.sort_by(|a, b| a.group.cmp(&b.group));
            groups
        };
        let n_bootstrap = sample.iter().map(Vec::len).sum::<usize>() as u64;
        WindowAccuracy {
            sources: judgements.sources.iter().copied().collect(),
            contradicted: judgements.contradicted,
            all: group(String::new(), &self.all, &|_| true),
            by_day: self
                .days
                .iter()
                .map(|(&day, tally)| group(day_name(day), tally, &|it| it.day == day))
                .collect(),
            by_arm: by_name(&self.arms, |it| it.arm),
            by_language: by_name(&self.languages, |it| it.language),
            by_intent: self.intents(&weights),
            out_of_scope: self.out_of_scope,
            selection: weights.selection().clone(),
            label_delay: self.delay(&sample),
            apart: self.apart(),
            n_bootstrap,
        }
    }

    fn intents(&self, weights: &Weights) -> Vec<IntentAccuracy> {
        let of = |(&number, tally): (&u32, &IntentTally)| {
            let precision = weights.accuracy(&tally.predicted);
            let recall = weights.accuracy(&tally.truth);
            // Without a prediction or a truth, the share is 0 by convention.
            let value = |metric: &Option<botops_evaluation::Metric>| {
                metric.map_or(0.0, |metric| metric.value)
            };
            let (p, r) = (value(&precision), value(&recall));
            let f1 = (precision.is_some() || recall.is_some())
                .then(|| if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 });
            IntentAccuracy {
                intent: self.names.of(number).to_owned(),
                n: tally.n,
                precision,
                recall,
                f1,
            }
        };
        let mut intents: Vec<IntentAccuracy> = self.intents.iter().map(of).collect();
        intents.sort_by(|a, b| a.intent.cmp(&b.intent));
        intents
    }

    fn delay(&self, sample: &[Vec<Labelled>]) -> Option<LabelDelay> {
        let mut delays: Vec<u64> = sample.iter().flatten().map(|it| it.delay_ms).collect();
        delays.sort_unstable();
        let last = delays.len().checked_sub(1)?;
        // The nearest rank: a delay that a label had.
        let at = |share: f64| {
            delays[((delays.len() as f64 * share).ceil() as usize).clamp(1, last + 1) - 1]
        };
        Some(LabelDelay { median_ms: at(0.5), p95_ms: at(0.95), before: self.before })
    }

    fn apart(&self) -> Vec<SourceAccuracy> {
        let of = |(&source, apart): (&SourceClass, &Apart)| SourceAccuracy {
            source,
            n: apart.n,
            accuracy: (apart.n > 0).then(|| proportion(apart.right, apart.n)),
            both: apart.both,
            agree: apart.agree,
        };
        self.apart.iter().map(of).collect()
    }
}

fn group_accuracy(
    group: String,
    tally: &Tally,
    is_in: &dyn Fn(&Labelled) -> bool,
    (weights, sample, resampling): (&Weights, &[Vec<Labelled>], &Resampling),
) -> GroupAccuracy {
    let (n, labelled) = (tally.n(), tally.labelled());
    GroupAccuracy {
        group,
        n,
        labelled,
        labelled_share: if n == 0 { 0.0 } else { labelled as f64 / n as f64 },
        coverage: tally.coverage(),
        in_scope: tally.in_scope(),
        right: tally.right(),
        accuracy: weights.accuracy(tally),
        answered_accuracy: weights.answered_accuracy(tally),
        macro_f1: macro_f1(sample, weights, is_in, resampling),
    }
}

/// Reads the records of `environment` that pass `filter` once, and returns how often the model was right.
///
/// Memory: one file of the log, counts for each day, arm, language and intent, and a sample of at most 20,000 labelled records.
///
/// # Errors
/// Those of [`Filter::records`].
pub async fn window_accuracy(
    store: &Store,
    environment: &str,
    filter: &Filter,
    judgements: &Judgements,
) -> Result<(WindowAccuracy, Vec<Finding>)> {
    let mut counts = AccuracyCounts::default();
    let findings =
        filter.records(store, environment, |record| counts.add(&record, judgements)).await?;
    Ok((counts.finish(judgements), findings))
}

/// Returns the date of a day, counted from 1970.
pub(crate) fn day_name(day: i32) -> String {
    let epoch: NaiveDate = DateTime::UNIX_EPOCH.date_naive();
    let days = Days::new(u64::from(day.unsigned_abs()));
    let date = if day < 0 { epoch.checked_sub_days(days) } else { epoch.checked_add_days(days) };
    date.map_or_else(|| "unknown".to_owned(), |date| date.format("%Y-%m-%d").to_string())
}
