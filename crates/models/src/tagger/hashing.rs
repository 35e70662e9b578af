//! The hash of words, shapes and entries of lookup lists.
//!
//! Model files hold these hashes, so a change here needs a new version of the file.

/// Returns a hash of `hash` and `value`.
#[inline]
pub(super) const fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x517C_C1B7_2722_0A95)
}
