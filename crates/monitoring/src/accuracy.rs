//! Accuracy in production: the report of a window, from verdicts joined to records.

use botops_evaluation::Metric;
use botops_predictions::SourceClass;
use serde::{Deserialize, Serialize};

/// How often the model was right in a window, from the verdicts of the sources that count.
///
/// Shares and accuracies have 95 % intervals: Wilson for proportions, and a percentile bootstrap over conversations (1,000
/// draws, seed 17) for macro-F1. A message whose true intent is out of scope is in none of the accuracies: it is counted in
/// `out_of_scope`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowAccuracy {
    /// The sources whose verdicts count.
    pub sources: Vec<SourceClass>,
    /// The number of messages on which these sources differ; the latest verdict of the most trusted source counts.
    pub contradicted: u64,
    /// All records.
    pub all: GroupAccuracy,
    /// By day, in UTC.
    pub by_day: Vec<GroupAccuracy>,
    /// By arm.
    pub by_arm: Vec<GroupAccuracy>,
    /// By language, declared or else guessed; `unknown` without one.
    pub by_language: Vec<GroupAccuracy>,
    /// By intent: those that the model predicts, and those that verdicts name.
    pub by_intent: Vec<IntentAccuracy>,
    /// Labelled messages whose true intent is out of scope.
    pub out_of_scope: OutOfScope,
    /// Whether the labelled records are like the others, and whether they are weighted.
    pub selection: Selection,
    /// How late the labels came; `None` without any.
    pub label_delay: Option<LabelDelay>,
    /// The verdicts of the sources that do not count, each by itself.
    pub apart: Vec<SourceAccuracy>,
    /// The number of labelled records that the bootstrap and the delays use: all of them, or those of a sample of
    /// conversations by hash with at most 20,000 labelled records.
    pub n_bootstrap: u64,
}

/// The accuracy of one group of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupAccuracy {
    /// The value of the group: a day, an arm, a language; empty for all.
    pub group: String,
    /// The number of records.
    pub n: u64,
    /// The number of records with a label, out of scope or not.
    pub labelled: u64,
    /// The share of records with a label, in [0, 1].
    pub labelled_share: f64,
    /// The share of records that the model answered, rather than declined.
    pub coverage: Metric,
    /// The number of labelled records in scope.
    pub in_scope: u64,
    /// The number of those whose predicted intent is the true one, answered or not.
    pub right: u64,
    /// `right` of `in_scope`, weighted if [`Selection::weighted`]; `None` without labels.
    pub accuracy: Option<Metric>,
    /// The same of the answered records.
    pub answered_accuracy: Option<Metric>,
    /// The mean F1 of the intents present in the labelled records, weighted in the same way.
    pub macro_f1: Option<Metric>,
}

/// How often one intent was predicted rightly, and found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentAccuracy {
    /// The intent.
    pub intent: String,
    /// The number of records for which it was predicted.
    pub n: u64,
    /// The share of labelled records with this predicted intent for which it is the true one; `None` without any.
    pub precision: Option<Metric>,
    /// The share of labelled records with this true intent for which it was predicted; `None` without any.
    pub recall: Option<Metric>,
    /// The F1 of both; `None` if no labelled record has the intent.
    pub f1: Option<f64>,
}

/// Labelled messages whose true intent is out of scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfScope {
    /// The number of them.
    pub n: u64,
    /// The number of those that the model declined.
    pub declined: u64,
}

/// Whether the labelled records are like the others.
///
/// Labels are rarely a random sample: reviewers look at messages of which the model is unsure. Eight strata of confidence are
/// compared by a chi-squared test; if labelled and other records differ (p < 0.01), each labelled record counts for the
/// records of its stratum: its weight is the number of records of the stratum over that of labelled ones. That corrects
/// a selection by confidence, and none by anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The p-value of the test; 1 if all records are labelled, or none.
    pub p_value: f64,
    /// Whether the labelled records are weighted.
    pub weighted: bool,
    /// The share of the records in strata without a label, for which no labelled record stands.
    pub uncovered: f64,
    /// The meaning of this, in a sentence.
    pub note: String,
}

/// How late labels came after their answers, over the labelled records. Labels that are still to come are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelDelay {
    /// The median, in milliseconds.
    pub median_ms: u64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: u64,
    /// The number of labels that are older than their answers by the clocks of their writers; their delay counts as 0.
    pub before: u64,
}

/// The verdicts of a source that does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceAccuracy {
    /// The source.
    pub source: SourceClass,
    /// The number of records with a verdict of it, in scope.
    pub n: u64,
    /// The share of those whose predicted intent is the true one, according to this source; `None` without any.
    pub accuracy: Option<Metric>,
    /// The number of records that have a label that counts, too.
    pub both: u64,
    /// The number of those on which both agree.
    pub agree: u64,
}
