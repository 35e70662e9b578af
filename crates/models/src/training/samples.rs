//! The records that train, and those that only show what lies outside.

use crate::Sample;
use botops_findings::{Fault, Result};
use botops_labels::{Labels, OOS};
use botops_text as text;

/// Fewest records in all, and of an intent.
const FEWEST: (usize, usize) = (10, 2);

/// The records of a training, those with an intent apart from those out of scope.
///
/// - `texts` holds the records with an intent, in their order, then those out of scope, in theirs
/// - `y` is the intent of each of the first; each is below `labels.len()`
#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(crate) texts: Vec<&'a str>,
    pub(crate) y: Vec<u32>,
    pub(crate) labels: Labels,
}

impl<'a> Data<'a> {
    /// Takes `samples` apart, and checks that they are enough to learn from.
    ///
    /// # Errors
    /// `BOT-2110` fewer than two intents (exit 3); `BOT-7011` fewer than 2 records of an intent or 10 in all (exit 4).
    pub(crate) fn new(samples: &[Sample<'a>]) -> Result<Self> {
        let labels = Labels::collect(samples.iter().map(|sample| sample.intent))?;
        let known = samples
            .iter()
            .filter(|sample| sample.intent != OOS)
            .filter_map(|sample| Some((sample.text, labels.index_of(sample.intent)? as u32)));
        let (mut texts, y): (Vec<&str>, Vec<u32>) = known.unzip();
        texts.extend(samples.iter().filter(|sample| sample.intent == OOS).map(|s| s.text));
        let data = Self { texts, y, labels };
        data.check()?;
        Ok(data)
    }

    /// Returns the texts that train.
    pub(crate) fn inside(&self) -> &[&'a str] {
        &self.texts[..self.y.len()]
    }

    /// Returns the number of texts that train.
    pub(crate) fn n_inside(&self) -> usize {
        self.y.len()
    }

    /// Returns the texts that are out of scope.
    pub(crate) fn outside(&self) -> &[&'a str] {
        &self.texts[self.y.len()..]
    }

    /// Returns the class of every text: its intent, or out of scope as one class after them.
    pub(crate) fn y_with_outside(&self) -> Vec<u32> {
        let mut y = self.y.clone();
        y.resize(self.texts.len(), self.n_classes() as u32);
        y
    }

    /// Returns the number of intents.
    pub(crate) fn n_classes(&self) -> usize {
        self.labels.len()
    }

    fn check(&self) -> Result<()> {
        if self.n_inside() < FEWEST.0 {
            return Err(Fault::insufficient(
                "BOT-7011",
                format!("{} records with an intent are too few to train on", self.n_inside()),
            )
            .hint(format!(
                "at least {} are needed; 20 or more of every intent is a start",
                FEWEST.0
            )));
        }
        let mut counts = vec![0_usize; self.labels.len()];
        for &class in &self.y {
            counts[class as usize] += 1;
        }
        let rare: Vec<String> = self
            .labels
            .iter()
            .zip(&counts)
            .filter(|(_, n)| **n < FEWEST.1)
            .map(|(name, _)| format!("`{}`", text::display(name, 60)))
            .collect();
        match rare.as_slice() {
            [] => Ok(()),
            [first, rest @ ..] => {
                let more = if rest.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", rest.len())
                };
                Err(Fault::insufficient("BOT-7011", format!("intent {first}{more} has only one record"))
                    .hint("add records of it, or leave the intent out: one cannot be learned from and tested on at once"))
            }
        }
    }
}
