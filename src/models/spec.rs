//! What to train, as written in YAML, and its check.

use crate::{
    features::TfidfSpec,
    findings::{Fault, Result},
};
use serde::{Deserialize, Serialize};

/// What to train, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSpec {
    /// Text to numbers.
    pub features: TfidfSpec,
    /// Numbers to intents.
    pub head: HeadSpec,
    /// When the bot says that it did not understand.
    pub fallback: FallbackSpec,
    /// Seed of everything random.
    pub seed: u64,
    /// How many golden utterances to keep for the self-test.
    pub goldens: usize,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            features: TfidfSpec::default(),
            head: HeadSpec::default(),
            fallback: FallbackSpec::default(),
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
    /// The most passes over the data.
    pub max_iterations: Option<usize>,
    /// When to stop.
    pub tolerance: Option<f64>,
    /// Trees of a forest; default 100.
    pub n_trees: Option<usize>,
    /// Deepest tree of a forest.
    pub max_depth: Option<u16>,
    /// Features a forest sees (the strongest by chi-square); default 2,000: chosen as `c` was.
    pub n_features: Option<usize>,
}

impl Default for HeadSpec {
    fn default() -> Self {
        Self {
            kind: HeadKind::LinearSvm,
            c: None,
            max_iterations: None,
            tolerance: None,
            n_trees: None,
            max_depth: None,
            n_features: None,
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
    /// Bagged decision trees on reduced features.
    RandomForest,
}

/// When the bot falls back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackSpec {
    /// Below this confidence, in [0, 1].
    pub threshold: f64,
}

impl Default for FallbackSpec {
    fn default() -> Self {
        Self { threshold: 0.35 }
    }
}

impl ModelSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key and what it may be.
    pub fn check(&self) -> Result<()> {
        self.features.check()?;
        let HeadSpec { c, max_iterations, tolerance, n_trees, max_depth, n_features, .. } =
            self.head;
        let positive = |value: Option<f64>| value.is_none_or(|v| v.is_finite() && v > 0.0);
        let counted = |value: Option<usize>, most| value.is_none_or(|v| (1..=most).contains(&v));
        for (good, key, wanted) in [
            (positive(c), "head.c", "a number above 0"),
            (positive(tolerance), "head.tolerance", "a number above 0"),
            (counted(max_iterations, 1_000_000), "head.max_iterations", "from 1 to 1000000"),
            (counted(n_trees, 10_000), "head.n_trees", "from 1 to 10000"),
            (counted(n_features, 1_000_000), "head.n_features", "from 1 to 1000000"),
            (max_depth != Some(0), "head.max_depth", "1 or more"),
            (
                (0.0..=1.0).contains(&self.fallback.threshold),
                "fallback.threshold",
                "a confidence from 0 to 1",
            ),
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
