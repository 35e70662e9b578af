//! The parts of a model file, in the order in which training computes them.

use super::container;
use botops_digest::Digest;
use botops_findings::Result;

/// The parts that come first: settings, then parts that depend on the data alone.
const FIRST: [&str; 4] = ["lineage", "dialogue", "labels", "vocabulary"];
/// The parts that come last, because they depend on the earlier ones.
const LAST: [&str; 4] = ["weights", "calibration", "goldens", "reference"];

/// Returns the name and digest of each part of the model file `bytes`, in the order in which training computes them.
///
/// If two trainings differ, the first part with another digest shows where. Parts with other names come before the
/// weights, in the order of the file.
///
/// # Errors
/// Those of [`crate::IntentModel::from_bytes`].
pub fn part_digests(bytes: &[u8]) -> Result<Vec<(String, Digest)>> {
    let (parts, _) = container::read(bytes)?;
    let mut parts: Vec<(String, Digest)> =
        parts.iter().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).collect();
    parts.sort_by_key(|(name, _)| rank(name));
    Ok(parts)
}

/// Returns the position of the part `name` in the order of training.
fn rank(name: &str) -> usize {
    let position = |names: &[&str]| names.iter().position(|known| *known == name);
    match (position(&FIRST), position(&LAST)) {
        (Some(first), _) => first,
        (None, None) => FIRST.len(),
        (None, Some(last)) => FIRST.len() + 1 + last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_the_order_of_training() {
        let parts = ["labels", "lineage", "calibration", "encoder", "goldens", "weights"];
        let file = container::write(1, &parts.map(|name| (name, name.as_bytes().to_vec())));
        let found = part_digests(&file).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lineage", "labels", "encoder", "weights", "calibration", "goldens"]);
        assert_eq!(found[2].1, Digest::of(b"encoder"));
    }

    #[test]
    fn a_damaged_file_has_no_parts() {
        let mut file = container::write(1, &[("labels", b"x".to_vec())]);
        let last = file.len() - 1;
        file[last] ^= 1;
        assert_eq!(part_digests(&file).unwrap_err().code(), "BOT-7002");
    }
}
