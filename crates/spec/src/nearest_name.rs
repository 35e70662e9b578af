//! The known name nearest to an unknown one.

/// The longest word that is compared, in bytes; a longer one is not a typo.
const MAX_LENGTH: usize = 100;

/// Returns the candidate nearest to `word`, if `word` is likely to be a typo of it.
///
/// A candidate is near if both are equal except for case, spaces, `-` and `_`; or if one begins with the other and both
/// have at least 3 bytes; or if at most a third of the characters (at least one) are inserted, removed, changed or
/// swapped with a neighbor (Damerau-Levenshtein distance). Of equally near candidates, the first is returned.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    if word.len() > MAX_LENGTH {
        return None;
    }
    let word = plain(word);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
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
