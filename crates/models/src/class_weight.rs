//! Weights of records by intent.

use serde::{Deserialize, Serialize};

/// The weight of a record by its intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeight {
    /// All records have weight 1.
    #[default]
    None,
    /// n_samples / (n_classes * records of the intent), so all intents have the same total weight.
    Balanced,
}

impl ClassWeight {
    /// Returns whether all records have the same weight.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Returns the weight of a record of each intent, `[n_classes]`; the mean over the records is 1. With
    /// [`Self::Balanced`], an intent without records has weight 0.
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
