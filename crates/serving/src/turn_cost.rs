//! The cost of one message, in bytes that the classifier could read instead.

/// Returns the cost of answering `text`, in bytes that the classifier could read instead.
///
/// A byte that a pattern reads counts as an eighth: with a few patterns, the classifier decides. Outside ASCII a pattern
/// with a word boundary is matched by a slower engine, and counts four times.
pub(super) fn cost_in_bytes(text: &str, n_patterns: usize) -> usize {
    let per_pattern = if text.is_ascii() { text.len() } else { 4 * text.len() };
    text.len().max(n_patterns * per_pattern / 8)
}

#[test]
fn many_patterns_make_a_short_text_a_long_one() {
    assert_eq!(cost_in_bytes("where is order 20447", 0), 20);
    assert_eq!(cost_in_bytes("where is order 20447", 6), 20);
    assert_eq!(cost_in_bytes(&"A".repeat(200), 64), 1_600);
    assert_eq!(cost_in_bytes(&"\u{390}".repeat(200), 6), 1_200);
}
