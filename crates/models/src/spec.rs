//! What to train, as written in YAML, and its check.

use super::{
    confidence::{ConformalSpec, FallbackSpec, OosScore},
    fine_tuning::FineTuningSpec,
};
use botops_features::{FeatureKind, FeatureSpec};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// What to train, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// Text to numbers.
    pub features: FeatureSpec,
    /// Numbers to intents.
    pub head: HeadSpec,
    /// When the bot says that it did not understand.
    pub fallback: FallbackSpec,
    /// How sets of intents that hold the truth with a stated probability are made; none: there are no such sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conformal: Option<ConformalSpec>,
    /// Seed of everything random.
    pub seed: u64,
    /// How many golden utterances to keep for the self-test.
    pub goldens: usize,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            features: FeatureSpec::default(),
            head: HeadSpec::default(),
            fallback: FallbackSpec::default(),
            conformal: None,
            seed: 17,
            goldens: 32,
        }
    }
}

/// The classifier, by the one key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadSpec {
    /// Which classifier.
    pub kind: HeadKind,
    /// Inverse strength of regularisation, > 0; default 1.5 for the SVM, 30 for logistic regression: chosen by
    /// 5-fold cross-validation on BANKING77's training set and our support set, never on a test set.
    pub c: Option<f64>,
    /// As `c`, of the head on the embedding where features are stacked; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_c: Option<f64>,
    /// The most passes over the data.
    pub max_iterations: Option<usize>,
    /// When to stop: of the SVM, the largest violation left, default 0.1; of logistic regression, the mean divergence in
    /// nats between what the dual and the model say of a row, default 0.0005 (on embeddings the gradient, for each row,
    /// default 0.0001).
    pub tolerance: Option<f64>,
    /// Trees of a forest; default 100.
    pub n_trees: Option<usize>,
    /// Deepest tree of a forest.
    pub max_depth: Option<u16>,
    /// Features a forest sees (the strongest by chi-square); default 2,000: chosen as `c` was.
    pub n_features: Option<usize>,
    /// Additive smoothing of naive Bayes, > 0; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// How an encoder is fine-tuned, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuningSpec>,
    /// What a record of a rare intent weighs.
    #[serde(skip_serializing_if = "ClassWeight::is_none")]
    pub class_weight: ClassWeight,
}

/// What a record weighs by its intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeight {
    /// All the same.
    #[default]
    None,
    /// n_samples / (n_classes * records of the intent), so that every intent weighs the same.
    Balanced,
}

impl ClassWeight {
    /// Returns whether all records weigh the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Returns the weight of a record of each intent, `[n_classes]`, 1 on average over the records; 0 for an intent
    /// without records.
    #[must_use]
    pub fn weights(self, y: impl Iterator<Item = u32>, n_classes: usize) -> Vec<f32> {
        match self {
            Self::None => vec![1.0; n_classes],
            Self::Balanced => {
                let mut counts = vec![0_u64; n_classes];
                for class in y {
                    counts[class as usize] += 1;
                }
                let n_samples: u64 = counts.iter().sum();
                let weight = |count| n_samples as f64 / (n_classes as f64 * count as f64);
                let of = |count| if count == 0 { 0.0 } else { weight(count) as f32 };
                counts.into_iter().map(of).collect()
            }
        }
    }
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

/// The classifiers there are.
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
    /// A linear layer over the encoder, learned together with it.
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

    /// Returns whether it learns from features of this kind.
    ///
    /// Naive Bayes counts, so that it takes no negative numbers; trees are grown on the strongest terms; fine-tuning
    /// is of an encoder.
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
    /// Returns whether the head holds rows out of its own fit, and scores them.
    pub(super) fn holds_out(&self) -> bool {
        self.features.kind == FeatureKind::Stacked
            || matches!(self.head.kind, HeadKind::RandomForest | HeadKind::FineTuned)
    }

    /// Returns the oldest version of model files whose readers know every key in which this spec, and what is fitted
    /// by it, says something.
    pub(super) fn file_version(&self) -> u32 {
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

    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key and what it may be; `BOT-7014` (exit 2) for a head that does not fit
    /// the features; `BOT-7063` (exit 2) for a score that a fine-tuned model does not have.
    pub fn check(&self) -> Result<()> {
        self.features.check()?;
        self.fallback.check()?;
        self.conformal.as_ref().map_or(Ok(()), ConformalSpec::check)?;
        if !self.head.kind.fits(self.features.kind) {
            let (head, features) = (self.head.kind.name(), self.features.kind.name());
            return Err(Fault::usage(
                "BOT-7014",
                format!("`head.kind: {head}` does not learn from `features.kind: {features}`"),
            )
            .hint("`linear_svm` and `logistic_regression` learn from features of any kind"));
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
        let counted = |value: Option<usize>, most| value.is_none_or(|v| (1..=most).contains(&v));
        if dense_c.is_some() && self.features.kind != FeatureKind::Stacked {
            let features = self.features.kind.name();
            return Err(Fault::usage(
                "BOT-7010",
                format!("`head.dense_c` says nothing with `features.kind: {features}`"),
            )
            .hint("write `head.c`, or `features.kind: stacked`"));
        }
        let fine_tuned = self.head.kind == HeadKind::FineTuned;
        if fine_tuned && self.fallback.score.named() == Some(OosScore::Centroid) {
            return Err(Fault::usage(
                "BOT-7063",
                "`fallback.score: centroid` is not to be had with `head.kind: fine_tuned`",
            )
            .hint("choose `max_probability`, `max_logit`, `energy` or `oos_class`; `auto` compares the first three"));
        }
        if let Some(fine_tuning) = &self.head.fine_tuning {
            if !fine_tuned {
                let head = self.head.kind.name();
                return Err(Fault::usage(
                    "BOT-7010",
                    format!("`head.fine_tuning` says nothing with `head.kind: {head}`"),
                )
                .hint("take it out, or write `kind: fine_tuned`"));
            }
            fine_tuning.check()?;
            if fine_tuning.validation_share == 0.0 {
                return Err(Fault::usage("BOT-7010", "`fine_tuning.validation_share` is 0")
                    .hint("a model fits its confidence on rows that were kept aside: `0.1` is a tenth of them"));
            }
        }
        let unweighted = matches!(self.head.kind, HeadKind::RandomForest | HeadKind::FineTuned);
        if unweighted && !self.head.class_weight.is_none() {
            let head = self.head.kind.name();
            return Err(Fault::usage(
                "BOT-7010",
                format!("`head.class_weight` says nothing with `head.kind: {head}`"),
            )
            .hint("take it out; for fine-tuning, write `class_weight` under `head.fine_tuning`"));
        }
        for (good, key, wanted) in [
            (positive(c), "head.c", "a number above 0"),
            (positive(dense_c), "head.dense_c", "a number above 0"),
            (positive(alpha), "head.alpha", "a number above 0"),
            (positive(tolerance), "head.tolerance", "a number above 0"),
            (counted(max_iterations, 1_000_000), "head.max_iterations", "from 1 to 1000000"),
            (counted(n_trees, 10_000), "head.n_trees", "from 1 to 10000"),
            (counted(n_features, 1_000_000), "head.n_features", "from 1 to 1000000"),
            (max_depth != Some(0), "head.max_depth", "1 or more"),
            (self.goldens <= 10_000, "goldens", "at most 10000"),
        ] {
            if !good {
                return Err(Fault::usage("BOT-7010", format!("`{key}` is out of range"))
                    .hint(format!("`{key}` may be {wanted}")));
            }
        }
        Ok(())
    }
}
