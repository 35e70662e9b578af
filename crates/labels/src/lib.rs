//! Intents as a closed, ordered set of names, and `oos`, the one label that is not an intent.
//!
//! In: the intents of records. Out: [`Labels`], in which each intent has an index.

use botops_findings::{Fault, Finding, Place, Result, Severity};
use serde::{Deserialize, Serialize};

/// The label of an out-of-scope utterance.
///
/// It is not a class: records with this label count only in out-of-scope metrics.
pub const OOS: &str = "oos";

/// Labels that other tools and data sets use for out-of-scope utterances, in small letters and without punctuation.
const USUAL_OOS: [&str; 11] = [
    "none",
    "null",
    "oos",
    "ood",
    "nointent",
    "noneoftheabove",
    "outofscope",
    "outofdomain",
    "nlufallback",
    "fallback",
    "outscope",
];

/// Returns the finding on labels that look as if they meant out-of-scope utterances, and are learned as intents.
///
/// `counts` are labels with their numbers of records, without those that are declared. `help` says how to declare them.
pub fn undeclared_oos<'a>(
    counts: impl IntoIterator<Item = (&'a str, u64)>,
    file: &str,
    help: impl FnOnce(&[&str]) -> String,
) -> Option<Finding> {
    let is_usual = |label: &str| {
        let letters = label.chars().filter(|c| c.is_alphanumeric());
        let plain: String = letters.flat_map(char::to_lowercase).collect();
        label != OOS && USUAL_OOS.contains(&plain.as_str())
    };
    let found: Vec<(&str, u64)> =
        counts.into_iter().filter(|(label, n)| *n > 0 && is_usual(label)).collect();
    let labels: Vec<&str> = found.iter().map(|(label, _)| *label).collect();
    if labels.is_empty() {
        return None;
    }
    let listed: Vec<String> = found
        .iter()
        .map(|(label, n)| {
            format!(
                "{n} {} the intent `{}`",
                if *n == 1 { "record has" } else { "records have" },
                label.escape_debug()
            )
        })
        .collect();
    let message = format!("{}: an intent like any other, not out of scope", listed.join(", and "));
    let place = Place { file: Some(file.to_owned()), ..Place::default() };
    Some(Finding::new("BOT-2255", Severity::Warning, message, help(&labels)).at(place))
}

/// The intents of a model.
///
/// - names are sorted by code point, so an index means the same on every machine
/// - names are distinct and not empty
/// - [`OOS`] is not among them
/// - there are at least two names
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Labels {
    names: Vec<String>,
}

impl Labels {
    /// Collects the distinct intents of `names`, leaving [`OOS`] out.
    ///
    /// # Errors
    /// `BOT-2110` if fewer than two intents remain.
    pub fn collect<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut names: Vec<String> = names
            .into_iter()
            .filter(|name| !name.is_empty() && *name != OOS)
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        names.dedup();
        match names.len() {
            0 => Err(Fault::data("BOT-2110", "no intent was found")
                .hint("name the column that holds the intent with `--intent-column`")),
            1 => Err(Fault::data("BOT-2110", format!("only one intent was found: `{}`", names[0]))
                .hint("a classifier needs at least two intents: add records of another intent")),
            _ => Ok(Self { names }),
        }
    }

    /// Returns the number of intents (`n_classes`).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns whether there are no intents; always false, because a set has at least two.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the name of intent `index`.
    ///
    /// # Panics
    /// If `index >= len()`.
    #[inline]
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// Returns the index of `name`, if it is an intent of this set.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|probe| probe.as_str().cmp(name)).ok()
    }

    /// Iterates over the names, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl TryFrom<Vec<String>> for Labels {
    type Error = Fault;

    fn try_from(names: Vec<String>) -> Result<Self> {
        let labels = Self::collect(names.iter().map(String::as_str))?;
        if labels.names == names {
            Ok(labels)
        } else {
            Err(Fault::data("BOT-7003", "intents are not sorted and distinct"))
        }
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_look_out_of_scope_are_counted() {
        let help = |labels: &[&str]| format!("declare {}", labels.join(" and "));
        let counts = [("order", 9), ("none", 30), (OOS, 4), ("Out-of-scope", 1), ("no_intent", 0)];
        let finding = undeclared_oos(counts, "train.csv", help).unwrap();
        assert_eq!(
            finding.message,
            "30 records have the intent `none`, and 1 record has the intent `Out-of-scope`: an intent like any other, \
             not out of scope"
        );
        assert_eq!(finding.help, "declare none and Out-of-scope");
        assert!(undeclared_oos([("nonexistent", 3), (OOS, 3)], "train.csv", help).is_none());
    }
}
