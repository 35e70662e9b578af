//! Rounding that JSON keeps bit for bit.

/// Rounds `value` to nine decimals and limits it to [-1,000,000, 1,000,000].
///
/// The result has so few digits that any JSON reader returns the same bits.
pub(crate) fn nine_decimals(value: f64) -> f64 {
    (value.clamp(-1e6, 1e6) * 1e9).round() / 1e9
}
