//! Reference profiles: the data of a training as its model sees it, or those of a window, of bounded size.

use crate::{reference_moments::Moments, reference_words::Words};
use botops_digest::Digest;
use botops_drift::Profile;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;

/// The schema of a reference profile.
pub const REFERENCE_SCHEMA: &str = "botops.reference/1";
/// The most bytes of a reference profile as JSON.
pub const MOST_REFERENCE_BYTES: usize = botops_models::MOST_REFERENCE_BYTES;
/// The most bytes of a partial profile, whose rare words are not removed yet.
pub const MOST_PARTIAL_BYTES: usize = 64 << 20;
/// The most judged records of a profile, chosen by a hash of their texts.
pub const MOST_JUDGED: usize = 20_000;
/// The most models of one profile.
const MOST_MODELS: usize = 1_000;

/// The rows of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceSource {
    /// The records of a training. Predictions are those of models that did not see the record.
    Training,
    /// A data file.
    Data,
    /// Records of the prediction log.
    Log,
}

/// A training record with its intent and the prediction of a model that did not see it: `[truth, predicted, p]` in JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The intent, an index of [`ReferenceProfile::labels`].
    pub truth: u16,
    /// The likeliest intent, an index of [`ReferenceProfile::labels`], even if the model would have declined to answer.
    pub predicted: u16,
    /// The calibrated probability of `predicted`, in [0, 1], to six digits.
    pub p: f32,
}

impl Serialize for Judged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let p = (f64::from(self.p) * 1e6).round() / 1e6;
        (self.truth, self.predicted, p).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Judged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (truth, predicted, p) = <(u16, u16, f64)>::deserialize(deserializer)?;
        if !(0.0..=1.0).contains(&p) {
            return Err(de::Error::custom("a probability is not between 0 and 1"));
        }
        Ok(Self { truth, predicted, p: p as f32 })
    }
}

/// The data of a training as its model sees it, or those of a file or of a window of the prediction log.
///
/// - no text is kept, and no word that fewer than 5 conversations used
/// - the JSON is the same for the same rows in any order, on any number of threads
/// - at most 4 MiB, and 64 MiB before [`Self::finish`]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceProfile {
    /// `botops.reference/1`.
    pub schema: String,
    /// The rows.
    pub source: ReferenceSource,
    /// The digests of the files of the models whose predictions the profile holds; none without predictions, and in the file
    /// of the model itself. A profile that was read has at most 1,000.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub models: BTreeSet<Digest>,
    /// The intents of the model, in its order; none without predictions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The rows and columns.
    pub columns: Profile,
    /// The frequencies of words.
    pub words: Words,
    /// The moments of the embeddings, if the model has an encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moments: Option<Moments>,
    /// Training records with predictions of models that did not see them: at most 20,000, without those out of scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
    /// The reason why `judged` is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<String>,
}

impl ReferenceProfile {
    /// Makes a profile without rows of the predictions of the model with these intents.
    #[must_use]
    pub fn new(source: ReferenceSource, labels: Vec<String>) -> Self {
        Self {
            schema: REFERENCE_SCHEMA.to_owned(),
            source,
            models: BTreeSet::new(),
            labels,
            columns: Profile::new(),
            words: Words::default(),
            moments: None,
            judged: Vec::new(),
            not_judged: None,
        }
    }

    /// Returns the profile of the training of `model`, whose file has `digest`; `None` if the file has none, as those of older
    /// versions.
    ///
    /// # Errors
    /// Those of [`Self::from_bytes`], and `BOT-2261` (exit 3) if it is that of a model with other intents.
    pub fn of_model(model: &IntentModel, digest: Digest) -> Result<Option<Self>> {
        let Some(bytes) = model.reference() else { return Ok(None) };
        let mut profile = Self::from_bytes(bytes)?;
        profile.check_labels(model)?;
        profile.models = BTreeSet::from([digest]);
        Ok(Some(profile))
    }

    /// Returns the profile as JSON on one line, its schema first: equal profiles have equal bytes.
    ///
    /// # Errors
    /// `BOT-2264` (exit 3) if it has more than 4 MiB, or 64 MiB before [`Self::finish`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if self.words.is_unbounded() {
            let mut bounded = self.clone();
            bounded.words.bound();
            return bounded.to_bytes();
        }
        let bytes = serde_json::to_vec(self).expect("a profile is valid JSON");
        let most = if self.words.is_finished() { MOST_REFERENCE_BYTES } else { MOST_PARTIAL_BYTES };
        if bytes.len() > most {
            let bytes = botops_text::count(bytes.len() as u64);
            let message = format!("the profile has {bytes} bytes, more than {most}");
            return Err(Fault::data("BOT-2264", message).hint(
                "a category with thousands of different names is no category: leave its column out",
            ));
        }
        Ok(bytes)
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// `BOT-2260` (exit 3) it is damaged or no profile, `BOT-2263` (exit 6) a newer botops wrote it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        let damaged = |problem: &str| {
            Fault::data("BOT-2260", format!("the reference profile {problem}"))
                .hint("write it again: `botops data profile DATA --out X.profile.json`, or train the model again")
        };
        if bytes.len() > MOST_PARTIAL_BYTES {
            return Err(damaged(&format!("has more than {MOST_PARTIAL_BYTES} bytes")));
        }
        let Schema { schema } = serde_json::from_slice(bytes)
            .map_err(|error| damaged("is no JSON with a `schema`").caused_by(error))?;
        if schema != REFERENCE_SCHEMA {
            let shown = botops_text::display(&schema, 60);
            let version = schema.strip_prefix("botops.reference/").map(str::parse::<u32>);
            return Err(match version {
                Some(Ok(version)) if version > 1 => {
                    let message = format!("the reference profile has the newer schema `{shown}`");
                    Fault::policy("BOT-2263", message).hint("use a newer botops")
                }
                _ => damaged(&format!("has the schema `{shown}`, not `{REFERENCE_SCHEMA}`")),
            });
        }
        let profile: Self = serde_json::from_slice(bytes)
            .map_err(|error| damaged("is damaged").caused_by(error))?;
        match profile.problem() {
            Some(problem) => Err(damaged(problem)),
            None => Ok(profile),
        }
    }

    /// Returns the first inconsistency of a profile that was read.
    fn problem(&self) -> Option<&'static str> {
        let n = self.labels.len();
        let is_label = |index: u16| usize::from(index) < n;
        let names: BTreeSet<&String> = self.labels.iter().collect();
        if names.len() < n {
            return Some("names an intent twice");
        }
        if !self.judged.iter().all(|judged| is_label(judged.truth) && is_label(judged.predicted)) {
            return Some("has a judged record of an intent that it does not name");
        }
        if self.models.len() > MOST_MODELS {
            return Some("is that of too many models");
        }
        if self.judged.len() > MOST_JUDGED {
            return Some("has too many judged records");
        }
        let moments = self.moments.as_ref().is_none_or(Moments::is_consistent);
        let is_consistent = self.columns.is_consistent() && self.words.is_consistent() && moments;
        (!is_consistent).then_some("has counts that no rows have")
    }

    /// Checks that the predictions of the profile can be compared with those of `model`, whose file has `digest`. A profile
    /// without predictions can.
    ///
    /// # Errors
    /// `BOT-2261` (exit 3) the model has other intents, `BOT-2262` (exit 3) another model with the same intents made the
    /// predictions.
    pub fn check_model(&self, model: &IntentModel, digest: Digest) -> Result<()> {
        self.check_labels(model)?;
        check_models(&self.models, &BTreeSet::from([digest]))
    }

    fn check_labels(&self, model: &IntentModel) -> Result<()> {
        let labels: Vec<&str> = model.labels().iter().collect();
        check_labels(&self.labels, &labels)
    }

    /// Checks that the predictions of two profiles are those of one model. Profiles without predictions can be compared with
    /// any other.
    ///
    /// # Errors
    /// Those of [`Self::check_model`].
    pub fn check_comparable(&self, other: &Self) -> Result<()> {
        let labels: Vec<&str> = other.labels.iter().map(String::as_str).collect();
        check_labels(&self.labels, &labels)?;
        check_models(&self.models, &other.models)
    }

    /// Adds the rows of `other`: in any order and grouping the same as one pass over all rows, as long as the words of
    /// neither were cut by [`Self::finish`].
    ///
    /// # Errors
    /// `BOT-2261` (exit 3) if the two are of models with different intents, and `BOT-2265` (exit 3) if words were cut.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let labels: Vec<&str> = other.labels.iter().map(String::as_str).collect();
        check_labels(&self.labels, &labels)?;
        if self.words.is_finished() || other.words.is_finished() {
            return Err(Fault::data(
                "BOT-2265",
                "a profile without its rare words cannot be merged: they may be frequent together",
            )
            .hint("merge the partial profiles that `--shard` wrote"));
        }
        self.columns.merge(&other.columns);
        self.words.merge(&other.words);
        self.models.extend(&other.models);
        self.bound_models();
        if self.labels.is_empty() {
            self.labels.clone_from(&other.labels);
        }
        match (&mut self.moments, &other.moments) {
            (Some(own), Some(other)) => own.merge(other),
            (None, Some(other)) => self.moments = Some(other.clone()),
            (_, None) => {}
        }
        Ok(())
    }

    /// Notes that the model with this digest made predictions of the profile.
    pub fn add_model(&mut self, digest: Digest) {
        self.models.insert(digest);
        self.bound_models();
    }

    fn bound_models(&mut self) {
        while self.models.len() > MOST_MODELS {
            self.models.pop_last();
        }
    }

    /// Removes the words that fewer than 5 conversations used. A profile can be merged only before.
    pub fn finish(&mut self) {
        self.words.finish();
    }
}

/// Checks that two label sets are equal, unless one is empty.
fn check_labels(own: &[String], model: &[&str]) -> Result<()> {
    if own.is_empty() || model.is_empty() || own.iter().eq(model) {
        return Ok(());
    }
    let (ours, theirs): (BTreeSet<&str>, BTreeSet<&str>) =
        (own.iter().map(String::as_str).collect(), model.iter().copied().collect());
    let example = ours.symmetric_difference(&theirs).next();
    let example = example.map_or(String::new(), |name| {
        let side = if ours.contains(name) { "the profile" } else { "the model" };
        format!(": only {side} has `{}`", botops_text::display(name, 60))
    });
    let message = format!(
        "the reference profile is that of a model with other intents ({} and {}){example}",
        ours.len(),
        theirs.len()
    );
    Err(Fault::data("BOT-2261", message)
        .hint("compare with the profile of this model: `botops drift CURRENT --model MODEL`"))
}

/// Checks that two sets of models are equal, unless one is empty.
fn check_models(own: &BTreeSet<Digest>, others: &BTreeSet<Digest>) -> Result<()> {
    if own.is_empty() || others.is_empty() || own == others {
        return Ok(());
    }
    let named = |models: &BTreeSet<Digest>| {
        let digests = models.iter().take(3).map(Digest::short).collect::<Vec<_>>().join(", ");
        match models.len() {
            n @ 4.. => format!("{digests} and {} more", n - 3),
            _ => digests,
        }
    };
    let message = format!(
        "the predictions of the profile are those of model {}, not of {}",
        named(own),
        named(others)
    );
    Err(Fault::data("BOT-2262", message).hint(
        "another model predicts otherwise on the same texts: compare with the profile of this model, or write the profile \
         again with it",
    ))
}
