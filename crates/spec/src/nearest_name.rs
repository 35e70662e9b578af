//! The known word nearest to one that is not known.

/// Longer words are nobody's typing error.
const LONGEST: usize = 100;

/// Returns the candidate nearest to `word`, if one is near enough to be what was meant.
///
/// Near enough: equal but for case, `-` and `_`; or one begins with the other (3 characters or
/// more); or at most a third of its characters inserted, dropped, changed or exchanged with a
/// neighbor (Damerau-Levenshtein, one at least). Ties go to the earlier candidate.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    if word.len() > LONGEST {
        return None;
    }
    let word = plain(word);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| {
            let other = plain(candidate);
            let length = word.chars().count().max(other.chars().count());
            let distance = strsim::osa_distance(&word, &other);
            let prefix = word.len().min(other.len()) >= 3
                && (word.starts_with(&other) || other.starts_with(&word));
            let near = distance <= (length / 3).max(1) && distance < length;
            (near || prefix).then_some((distance, candidate))
        })
        .reduce(|best, other| if other.0 < best.0 { other } else { best })
        .map(|(_, candidate)| candidate)
}
