//! The records of a training, separated into in-scope and out-of-scope records.

use crate::Sample;
use botops_findings::{Fault, Result};
use botops_labels::{Labels, OOS};
use botops_text as text;

/// The smallest number of in-scope records.
const FEWEST_RECORDS: usize = 10;
/// The smallest number of records of an intent.
const FEWEST_OF_AN_INTENT: usize = 2;

/// The records of a training: in-scope records, which have an intent, then out-of-scope records.
///
/// - `texts` holds the in-scope records, then the out-of-scope records, each in the order of the input
/// - `y` is the intent of each in-scope record; each is below `labels.len()`
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) texts: Vec<&'a str>,
    pub(crate) y: Vec<u32>,
    pub(crate) labels: Labels,
}

impl<'a> Samples<'a> {
    /// Separates `samples`, and checks that there are enough to learn from.
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
        let separated = Self { texts, y, labels };
        separated.check()?;
        Ok(separated)
    }

    /// Returns the in-scope texts.
    pub(crate) fn in_scope(&self) -> &[&'a str] {
        &self.texts[..self.y.len()]
    }

    /// Returns the number of in-scope texts.
    pub(crate) fn n_in_scope(&self) -> usize {
        self.y.len()
    }

    /// Returns the out-of-scope texts.
    pub(crate) fn out_of_scope(&self) -> &[&'a str] {
        &self.texts[self.y.len()..]
    }

    /// Returns the class of every text: its intent, or the out-of-scope class after the intents.
    pub(crate) fn y_with_oos(&self) -> Vec<u32> {
        let mut y = self.y.clone();
        y.resize(self.texts.len(), self.n_classes() as u32);
        y
    }

    /// Returns the number of intents.
    pub(crate) fn n_classes(&self) -> usize {
        self.labels.len()
    }

    fn check(&self) -> Result<()> {
        if self.n_in_scope() < FEWEST_RECORDS {
            return Err(Fault::insufficient(
                "BOT-7011",
                format!("{} records with an intent are too few to train on", self.n_in_scope()),
            )
            .hint(format!(
                "train on at least {FEWEST_RECORDS} records; 20 or more of each intent is a good start"
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
            .filter(|(_, n)| **n < FEWEST_OF_AN_INTENT)
            .map(|(name, _)| format!("`{}`", text::display(name, 60)))
            .collect();
        let message = match rare.as_slice() {
            [] => return Ok(()),
            [only] => format!("intent {only} has only one record"),
            [first, rest @ ..] => {
                format!("intent {first} and {} more have only one record each", rest.len())
            }
        };
        Err(Fault::insufficient("BOT-7011", message).hint(
            "add records of it, or remove the intent: one record cannot be used for both training and calibration",
        ))
    }
}
