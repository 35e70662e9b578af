//! The specification of a model, as written in YAML, and its check.

use crate::Sample;
use crate::{
    class_weight::ClassWeight,
    confidence::{ConformalSpec, FallbackSpec, OosScore},
    fine_tuning::FineTuningSpec,
    tagger::TaggerSpec,
};
use botops_features::{FeatureKind, FeatureSpec};
use botops_findings::{Fault, Result};
use botops_labels::OOS;
use botops_spec::Spec;
use serde::{Deserialize, Serialize};

/// The specification of a model, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// The features of a text.
    pub features: FeatureSpec,
    /// The classifier on the features.
    pub head: HeadSpec,
    /// The rule for falling back.
    pub fallback: FallbackSpec,
    /// Prediction sets, which contain the true intent with a stated probability; `None`: the model has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conformal: Option<ConformalSpec>,
    /// Labels of the data that mean out of scope, besides `oos`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oos_labels: Vec<String>,
    /// Seed of all random draws.
    pub seed: u64,
    /// Number of golden utterances to store for the self-test.
    pub goldens: usize,
    /// The tagger, which learns entities from annotated spans.
    #[serde(skip_serializing_if = "TaggerSpec::is_default")]
    pub entities: TaggerSpec,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            features: FeatureSpec::default(),
            head: HeadSpec::default(),
            fallback: FallbackSpec::default(),
            conformal: None,
            oos_labels: Vec::new(),
            seed: 17,
            goldens: 32,
            entities: TaggerSpec::default(),
        }
    }
}

impl ModelSpec {
    /// Returns the intent that `label` stands for: `oos` if it is one of `oos_labels`, else itself.
    #[must_use]
    pub fn intent_of<'a>(&self, label: &'a str) -> &'a str {
        if self.oos_labels.iter().any(|oos| oos == label) { OOS } else { label }
    }

    /// Returns `samples` with the intents that their labels stand for.
    pub(crate) fn intents_of<'a>(&self, samples: &[Sample<'a>]) -> Vec<Sample<'a>> {
        let intent =
            |sample: &Sample<'a>| Sample { intent: self.intent_of(sample.intent), ..*sample };
        samples.iter().map(intent).collect()
    }
}

/// The classifier and its settings; which settings apply depends on `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadSpec {
    /// The kind of classifier.
    pub kind: HeadKind,
    /// Inverse strength of regularisation, > 0; default 1.5 for the SVM, 30 for logistic regression. The defaults were
    /// chosen by 5-fold cross-validation on the training set of BANKING77 and our support set, never on a test set.
    pub c: Option<f64>,
    /// The `c` of the head on the embedding, for stacked features; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_c: Option<f64>,
    /// The largest number of passes over the data.
    pub max_iterations: Option<usize>,
    /// The stopping tolerance. SVM: the largest violation left, default 0.1. Logistic regression: the mean divergence in
    /// nats between the dual's and the model's prediction of a row, default 0.0005 (on embeddings: the gradient norm per
    /// row, default 0.0001).
    pub tolerance: Option<f64>,
    /// Number of trees of a forest; default 100.
    pub n_trees: Option<usize>,
    /// Largest depth of the trees of a forest; default no limit.
    pub max_depth: Option<u16>,
    /// Number of features of a forest, the strongest by chi-square; default 2,000, chosen in the same way as `c`.
    pub n_features: Option<usize>,
    /// Additive smoothing of naive Bayes, > 0; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Settings of the fine-tuning of an encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuningSpec>,
    /// The weights of records by intent.
    #[serde(skip_serializing_if = "ClassWeight::is_none")]
    pub class_weight: ClassWeight,
}

impl Default for HeadSpec {
    fn default() -> Self {
        Self {
            kind: HeadKind::LinearSvm,
            c: None,
            dense_c: None,
            max_iterations: None,
            tolerance: None,
            n_trees: None,
            max_depth: None,
            n_features: None,
            alpha: None,
            fine_tuning: None,
            class_weight: ClassWeight::None,
        }
    }
}

/// The kinds of classifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One-vs-rest L2-loss linear SVM by dual coordinate descent.
    LinearSvm,
    /// Multinomial logistic regression.
    LogisticRegression,
    /// Complement naive Bayes.
    ComplementNaiveBayes,
    /// Bagged decision trees on reduced features.
    RandomForest,
    /// A linear layer on the encoder, trained together with it.
    FineTuned,
}

impl HeadKind {
    /// Returns the name as written in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LinearSvm => "linear_svm",
            Self::LogisticRegression => "logistic_regression",
            Self::ComplementNaiveBayes => "complement_naive_bayes",
            Self::RandomForest => "random_forest",
            Self::FineTuned => "fine_tuned",
        }
    }

    /// Returns whether the classifier supports features of this kind.
    ///
    /// Naive Bayes needs counts, which are never negative; trees are grown on terms; fine-tuning needs an encoder.
    #[must_use]
    pub fn fits(self, features: FeatureKind) -> bool {
        match self {
            Self::LinearSvm | Self::LogisticRegression => true,
            Self::ComplementNaiveBayes => {
                matches!(features, FeatureKind::Tfidf | FeatureKind::Stacked)
            }
            Self::RandomForest => features == FeatureKind::Tfidf,
            Self::FineTuned => matches!(features, FeatureKind::Encoder | FeatureKind::Stacked),
        }
    }
}

impl ModelSpec {
    /// Returns whether fitting the head also scores rows that it held out.
    pub(super) fn holds_out(&self) -> bool {
        self.features.kind == FeatureKind::Stacked
            || matches!(self.head.kind, HeadKind::RandomForest | HeadKind::FineTuned)
    }

    /// Returns the oldest version of model files whose readers know every key that this spec and its model use.
    pub(super) fn file_version(&self) -> u32 {
        if !self.entities.is_default() {
            return 4;
        }
        if !self.fallback.is_stated() || self.conformal.is_some() {
            return 3;
        }
        let FeatureSpec { kind, select, strip_accents, compat, encoder, dense_weight, .. } =
            &self.features;
        let HeadSpec { kind: head, dense_c, alpha, fine_tuning, class_weight, .. } = &self.head;
        let is_of_version_1 = *kind == FeatureKind::Tfidf
            && select.is_none()
            && !strip_accents
            && compat.is_none()
            && encoder.is_none()
            && dense_weight.is_none()
            && !matches!(head, HeadKind::ComplementNaiveBayes | HeadKind::FineTuned)
            && dense_c.is_none()
            && alpha.is_none()
            && fine_tuning.is_none()
            && class_weight.is_none();
        if is_of_version_1 { 1 } else { 2 }
    }
}

impl Spec for ModelSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key and its range; `BOT-7014` (exit 2) for a head that does not support the
    /// features; `BOT-7063` (exit 2) for a score that a fine-tuned model does not have.
    fn check_ranges(&self) -> Result<()> {
        self.features.check_ranges()?;
        self.fallback.check_ranges()?;
        self.conformal.as_ref().map_or(Ok(()), ConformalSpec::check_ranges)?;
        self.entities.check_ranges()?;
        if !self.head.kind.fits(self.features.kind) {
            let (head, features) = (self.head.kind.name(), self.features.kind.name());
            return Err(Fault::usage(
                "BOT-7014",
                format!("`head.kind: {head}` does not support `features.kind: {features}`"),
            )
            .hint("`linear_svm` and `logistic_regression` support features of any kind"));
        }
        let HeadSpec {
            c,
            dense_c,
            max_iterations,
            tolerance,
            n_trees,
            max_depth,
            n_features,
            alpha,
            ..
        } = self.head;
        let positive = |value: Option<f64>| value.is_none_or(|v| v.is_finite() && v > 0.0);
        let at_most = |value: Option<usize>, max| value.is_none_or(|v| (1..=max).contains(&v));
        if dense_c.is_some() && self.features.kind != FeatureKind::Stacked {
            let features = self.features.kind.name();
            return Err(Fault::usage(
                "BOT-7010",
                format!("`head.dense_c` has no effect with `features.kind: {features}`"),
            )
            .hint("set `head.c` instead, or set `features.kind: stacked`"));
        }
        let fine_tuned = self.head.kind == HeadKind::FineTuned;
        if fine_tuned && self.fallback.score.named() == Some(OosScore::Centroid) {
            return Err(Fault::usage(
                "BOT-7063",
                "`fallback.score: centroid` is not available with `head.kind: fine_tuned`",
            )
            .hint("choose `max_probability`, `max_logit`, `energy` or `oos_class`; `auto` compares the first three"));
        }
        if let Some(fine_tuning) = &self.head.fine_tuning {
            if !fine_tuned {
                let head = self.head.kind.name();
                return Err(Fault::usage(
                    "BOT-7010",
                    format!("`head.fine_tuning` has no effect with `head.kind: {head}`"),
                )
                .hint("remove it, or set `kind: fine_tuned`"));
            }
            fine_tuning.check_ranges()?;
            if fine_tuning.validation_share == 0.0 {
                return Err(Fault::usage("BOT-7010", "`fine_tuning.validation_share` is 0")
                    .hint("set it above 0, such as `0.1`: the confidence of the model is fitted on held-out rows"));
            }
        }
        let unweighted = matches!(self.head.kind, HeadKind::RandomForest | HeadKind::FineTuned);
        if unweighted && !self.head.class_weight.is_none() {
            let head = self.head.kind.name();
            return Err(Fault::usage(
                "BOT-7010",
                format!("`head.class_weight` has no effect with `head.kind: {head}`"),
            )
            .hint("remove it; for fine-tuning, set `class_weight` under `head.fine_tuning`"));
        }
        for (valid, key, range) in [
            (positive(c), "head.c", "a number above 0"),
            (positive(dense_c), "head.dense_c", "a number above 0"),
            (positive(alpha), "head.alpha", "a number above 0"),
            (positive(tolerance), "head.tolerance", "a number above 0"),
            (at_most(max_iterations, 1_000_000), "head.max_iterations", "from 1 to 1000000"),
            (at_most(n_trees, 10_000), "head.n_trees", "from 1 to 10000"),
            (at_most(n_features, 1_000_000), "head.n_features", "from 1 to 1000000"),
            (max_depth != Some(0), "head.max_depth", "1 or more"),
            (self.goldens <= 10_000, "goldens", "at most 10000"),
        ] {
            if !valid {
                return Err(Fault::usage("BOT-7010", format!("`{key}` is out of range"))
                    .hint(format!("`{key}` must be {range}")));
            }
        }
        Ok(())
    }
}
