//! What a model file is made of, in the order in which training makes it.

use crate::file;
use botops_digest::Digest;
use botops_findings::Result;

/// The parts that come first: settings, then what the data decides.
const FIRST: [&str; 4] = ["lineage", "dialogue", "labels", "vocabulary"];
/// The parts that come last, because they are made with those before.
const LAST: [&str; 3] = ["weights", "calibration", "goldens"];

/// Returns the name and digest of each part of the model file `bytes`, in the order in which training makes them: where
/// two trainings part ways, the first part that differs says at what.
///
/// Parts of other names stand before the weights, in the order of the file.
///
/// # Errors
/// As [`crate::IntentModel::from_bytes`].
pub fn part_digests(bytes: &[u8]) -> Result<Vec<(String, Digest)>> {
    let (parts, _) = file::read(bytes)?;
    let mut parts: Vec<(String, Digest)> =
        parts.iter().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).collect();
    parts.sort_by_key(|(name, _)| rank(name));
    Ok(parts)
}

fn rank(name: &str) -> usize {
    let among = |names: &[&str]| names.iter().position(|known| *known == name);
    match (among(&FIRST), among(&LAST)) {
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
        let file = file::write(1, &parts.map(|name| (name, name.as_bytes().to_vec())));
        let found = part_digests(&file).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lineage", "labels", "encoder", "weights", "calibration", "goldens"]);
        assert_eq!(found[2].1, Digest::of(b"encoder"));
    }

    #[test]
    fn a_damaged_file_has_no_parts() {
        let mut file = file::write(1, &[("labels", b"x".to_vec())]);
        let last = file.len() - 1;
        file[last] ^= 1;
        assert_eq!(part_digests(&file).unwrap_err().code(), "BOT-7002");
    }
}
