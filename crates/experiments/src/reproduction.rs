//! The comparison of the recorded steps of a model with those of a new training.

use super::Step;
use botops_digest::Digest;
use serde::Serialize;

/// A step as it was recorded, and as it was reproduced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retraced {
    /// The step: see [`Step::name`].
    pub name: String,
    /// The recorded digest; `None` if the step was not recorded or did not exist.
    pub recorded: Option<Digest>,
    /// The digest of the new training; `None` if it has no such step.
    pub again: Option<Digest>,
}

impl Retraced {
    /// Returns whether the step was reproduced exactly.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.recorded == self.again
    }

    /// Returns the step in words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self.name.as_str() {
            "data" => "the data file",
            "records" => "the records read from it",
            "accepted" => "the records that validation accepted",
            "lineage" => "the settings in the model",
            "dialogue" => "the dialogue",
            "labels" => "the intents",
            "vocabulary" => "the vocabulary",
            "weights" => "the weights",
            "calibration" => "the calibration",
            "goldens" => "the goldens",
            "reference" => "the profile of the training data",
            "file" => "the file",
            name => name,
        }
    }
}

/// Compares the steps of a new training with the recorded ones, in the order of the training.
///
/// A step that `recorded` lacks and `unrecorded` names was not recorded at the time, and is left out.
#[must_use]
pub fn retrace(recorded: &[Step], again: &[Step], unrecorded: &[&str]) -> Vec<Retraced> {
    let digest = |steps: &[Step], name: &str| {
        steps.iter().find(|step| step.name == name).map(|step| step.digest)
    };
    let mut names: Vec<&str> = again.iter().map(|step| step.name.as_str()).collect();
    // A step that no longer exists goes before the step that followed it.
    for (place, step) in recorded.iter().enumerate().rev() {
        if !names.contains(&step.name.as_str()) {
            let follower = recorded.get(place + 1).map(|step| step.name.as_str());
            let at = names.iter().position(|name| Some(*name) == follower).unwrap_or(names.len());
            names.insert(at, &step.name);
        }
    }
    names
        .into_iter()
        .map(|name| Retraced {
            name: name.to_owned(),
            recorded: digest(recorded, name),
            again: digest(again, name),
        })
        .filter(|step| step.recorded.is_some() || !unrecorded.contains(&step.name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(steps: &[(&str, &str)]) -> Vec<Step> {
        let step = |(name, content): &(&str, &str)| Step {
            name: (*name).to_owned(),
            digest: Digest::of(content.as_bytes()),
        };
        steps.iter().map(step).collect()
    }

    fn differing(found: &[Retraced]) -> Vec<&str> {
        found.iter().filter(|step| !step.is_same()).map(|step| step.name.as_str()).collect()
    }

    #[test]
    fn the_first_step_that_differs_comes_first() {
        let before = steps(&[("data", "d"), ("vocabulary", "v"), ("weights", "w"), ("file", "f")]);
        let again = steps(&[("data", "d"), ("vocabulary", "v"), ("weights", "x"), ("file", "g")]);
        assert_eq!(differing(&retrace(&before, &again, &[])), ["weights", "file"]);
        assert!(differing(&retrace(&before, &before, &[])).is_empty());
    }

    #[test]
    fn a_step_that_is_new_or_missing_differs_in_its_place() {
        let before = steps(&[("data", "d"), ("encoder", "e"), ("weights", "w")]);
        let again = steps(&[("data", "d"), ("conformal", "c"), ("weights", "w")]);
        let found = retrace(&before, &again, &[]);
        let names: Vec<&str> = found.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["data", "conformal", "encoder", "weights"]);
        assert_eq!(differing(&found), ["conformal", "encoder"]);
    }

    #[test]
    fn a_step_that_an_older_record_lacks_is_left_out() {
        let before = steps(&[("data", "d"), ("weights", "w")]);
        let again = steps(&[("data", "d"), ("records", "r"), ("weights", "w")]);
        assert!(differing(&retrace(&before, &again, &["records", "accepted"])).is_empty());
    }
}
