//! Rounding to nine decimals, so that JSON reads the numbers as they were written.

/// Rounds to the nearest multiple of 1e-9.
pub(crate) fn storable(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// Rounds down to a multiple of 1e-9.
pub(super) fn storable_below(value: f64) -> f64 {
    (value * 1e9).floor() / 1e9
}

/// Rounds up to a multiple of 1e-9.
pub(super) fn storable_above(value: f64) -> f64 {
    (value * 1e9).ceil() / 1e9
}
