//! The weights of the features of spans.

use super::span::FEATURES;

/// The weights, in the order of [`super::span::features`].
pub(crate) const WEIGHTS: [f64; FEATURES] = {
    let mut weights = [0.0; FEATURES];
    weights[0] = 3.0;
    weights[1] = 1.0;
    weights
};
