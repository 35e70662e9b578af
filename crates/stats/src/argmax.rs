//! The index of the largest score.

/// Returns the index of the largest score, the lowest index of equal ones; 0 for no scores.
///
/// A NaN is never larger than another score; if the first score is NaN, the result is 0.
#[inline]
#[must_use]
pub fn argmax(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_score_wins_and_ties_go_to_the_lowest_index() {
        assert_eq!(argmax(&[-3.0, -1.0, -2.0]), 1);
        assert_eq!(argmax(&[1.0, 2.0, 2.0]), 1);
        assert_eq!(argmax(&[0.0, -0.0]), 0);
        assert_eq!(argmax(&[1.0, f64::NAN, f64::INFINITY]), 2);
        assert_eq!(argmax(&[f64::NAN, 1.0]), 0);
        assert_eq!(argmax(&[]), 0);
    }
}
