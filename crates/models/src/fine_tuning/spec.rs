//! How to fine-tune, as written in YAML, and its check.

use crate::ClassWeight;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// How to fine-tune an encoder, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTuningSpec {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Utterances of a step.
    pub batch_size: usize,
    /// The highest learning rate of the encoder's weights.
    pub learning_rate: f64,
    /// The highest learning rate of the classifier on top.
    pub head_learning_rate: f64,
    /// Passes in which the classifier learns alone, before the encoder joins in; they cost one pass of the encoder
    /// without its way back. 0: the classifier starts from random weights.
    pub head_epochs: usize,
    /// What the learning rate of a layer is to that of the layer above, in (0, 1]; 1: all learn alike.
    pub layer_decay: f64,
    /// The share of the steps in which the learning rate rises from 0, in [0, 1); after them it falls to 0.
    pub warmup_share: f64,
    /// The share of a weight that a step takes away, times the learning rate; not of biases and norms.
    pub weight_decay: f64,
    /// The share of hidden values, attention weights and pooled values that a step leaves out, in [0, 1).
    pub dropout: f64,
    /// The longest gradient, as one vector; a longer one is shortened. None: as long as it is.
    pub clip_norm: Option<f64>,
    /// What an utterance counts.
    pub class_weight: ClassWeight,
    /// The share of the truth that is spread evenly over all intents, in [0, 1).
    pub label_smoothing: f64,
    /// Whether the tables of embeddings stay as they are: less to compute, and rare words keep their meaning.
    pub freeze_embeddings: bool,
    /// The share of the rows kept aside: to stop early, and to fit the temperature on, in [0, 0.5].
    pub validation_share: f64,
    /// Epochs without a better held-out accuracy after which training stops; the best epoch's weights are kept.
    /// None: all epochs are trained, and the last one's weights are kept.
    pub patience: Option<usize>,
    /// Steps between two checkpoints; 0: none is written.
    pub checkpoint_steps: usize,
    /// The most tokens that are computed at once: what bounds the memory. A longer batch is computed in parts.
    pub max_batch_tokens: usize,
}

impl Default for FineTuningSpec {
    fn default() -> Self {
        Self {
            epochs: 2,
            batch_size: 32,
            learning_rate: 2e-4,
            head_learning_rate: 2e-3,
            head_epochs: 40,
            layer_decay: 1.0,
            warmup_share: 0.1,
            weight_decay: 0.01,
            dropout: 0.1,
            clip_norm: Some(1.0),
            class_weight: ClassWeight::None,
            label_smoothing: 0.0,
            freeze_embeddings: true,
            validation_share: 0.1,
            patience: None,
            checkpoint_steps: 100,
            max_batch_tokens: 4_096,
        }
    }
}

impl FineTuningSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key and what it may be.
    pub fn check(&self) -> Result<()> {
        let rate = |rate: f64| rate > 0.0 && rate <= 1.0;
        let share = |share: f64| (0.0..1.0).contains(&share);
        for (good, key, wanted) in [
            ((1..=1_000).contains(&self.epochs), "epochs", "from 1 to 1000"),
            ((1..=65_536).contains(&self.batch_size), "batch_size", "from 1 to 65536"),
            (rate(self.learning_rate), "learning_rate", "a number above 0, at most 1"),
            (rate(self.head_learning_rate), "head_learning_rate", "a number above 0, at most 1"),
            (self.head_epochs <= 1_000, "head_epochs", "from 0 to 1000"),
            (rate(self.layer_decay), "layer_decay", "a number above 0, at most 1"),
            (share(self.warmup_share), "warmup_share", "a share from 0 to below 1"),
            ((0.0..=10.0).contains(&self.weight_decay), "weight_decay", "a number from 0 to 10"),
            (share(self.dropout), "dropout", "a share from 0 to below 1"),
            (
                self.clip_norm.is_none_or(|norm| norm.is_finite() && norm > 0.0),
                "clip_norm",
                "a number above 0, or `null`",
            ),
            (share(self.label_smoothing), "label_smoothing", "a share from 0 to below 1"),
            (
                (0.0..=0.5).contains(&self.validation_share),
                "validation_share",
                "a share from 0 to 0.5",
            ),
            (self.patience != Some(0), "patience", "1 or more, or `null`"),
            (
                self.patience.is_none() || self.validation_share > 0.0,
                "patience",
                "`null` where `validation_share` is 0: nothing is held out to judge by",
            ),
            (
                (16..=1 << 24).contains(&self.max_batch_tokens),
                "max_batch_tokens",
                "from 16 to 16777216",
            ),
        ] {
            if !good {
                let key = format!("fine_tuning.{key}");
                return Err(Fault::usage("BOT-7010", format!("`{key}` is out of range"))
                    .hint(format!("`{key}` may be {wanted}")));
            }
        }
        Ok(())
    }
}
