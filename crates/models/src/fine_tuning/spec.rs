//! The settings of a fine-tuning, as written in YAML, and their check.

use crate::class_weight::ClassWeight;
use botops_findings::{Fault, Result};
use botops_spec::Spec;
use serde::{Deserialize, Serialize};

/// The settings of a fine-tuning, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTuningSpec {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Utterances in a step.
    pub batch_size: usize,
    /// The highest learning rate of the encoder's weights.
    pub learning_rate: f64,
    /// The highest learning rate of the classifier on top.
    pub head_learning_rate: f64,
    /// Passes that train the classifier alone, before the encoder is trained; they cost one forward pass of the encoder.
    /// 0: the classifier starts from random weights.
    pub head_epochs: usize,
    /// The learning rate of a layer divided by that of the layer above, in (0, 1]; 1: all layers have the same rate.
    pub layer_decay: f64,
    /// The share of the steps in which the learning rate rises from 0, in [0, 1); afterwards it falls to 0.
    pub warmup_share: f64,
    /// The share of a weight that a step subtracts, times the learning rate; biases and norms do not decay.
    pub weight_decay: f64,
    /// The share of hidden values, attention weights and pooled values that a step drops, in [0, 1).
    pub dropout: f64,
    /// The largest norm of the gradient as one vector; a larger gradient is scaled down. `None`: no limit.
    pub clip_norm: Option<f64>,
    /// The weight of an utterance by its intent.
    pub class_weight: ClassWeight,
    /// The share of the truth that is spread evenly over all intents, in [0, 1).
    pub label_smoothing: f64,
    /// Whether the embedding tables stay unchanged: this saves computation, and keeps the meaning of rare words.
    pub freeze_embeddings: bool,
    /// The share of rows to hold out for early stopping and calibration, in [0, 0.5].
    pub validation_share: f64,
    /// Number of epochs without a better held-out accuracy after which training stops; the weights of the best epoch are
    /// kept. `None`: all epochs are trained, and the weights of the last epoch are kept.
    pub patience: Option<usize>,
    /// Steps between two checkpoints; 0: no checkpoint is written.
    pub checkpoint_steps: usize,
    /// The largest number of tokens computed at once, which limits the memory. A larger batch is computed in parts.
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

impl Spec for FineTuningSpec {
    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key and its range.
    fn check_ranges(&self) -> Result<()> {
        let rate = |rate: f64| rate > 0.0 && rate <= 1.0;
        let share = |share: f64| (0.0..1.0).contains(&share);
        for (valid, key, range) in [
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
                "`null` if `validation_share` is 0, because no rows are held out",
            ),
            (
                (16..=1 << 24).contains(&self.max_batch_tokens),
                "max_batch_tokens",
                "from 16 to 16777216",
            ),
        ] {
            if !valid {
                let key = format!("fine_tuning.{key}");
                return Err(Fault::usage("BOT-7010", format!("`{key}` is out of range"))
                    .hint(format!("`{key}` must be {range}")));
            }
        }
        Ok(())
    }
}
