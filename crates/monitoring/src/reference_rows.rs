//! The rows of a reference profile: records of the prediction log, and utterances of a file.

use crate::{
    reference::{ReferenceProfile, ReferenceSource},
    reference_search::Search,
};
use botops_digest::Digest;
use botops_drift::Row;
use botops_findings::Result;
use botops_models::{IntentModel, Prediction};
use botops_predictions::Record;
use botops_text as text;
use rayon::prelude::*;

/// The records of one part, which one thread reads.
const PART: usize = 2_000;

/// An utterance of a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataRecord<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its declared language.
    pub lang: Option<&'a str>,
    /// Its conversation, if it is known.
    pub conversation: Option<&'a str>,
}

impl ReferenceProfile {
    /// Makes the profile of records of the prediction log; finish it before it is compared or written.
    ///
    /// With `model`, the profile names its intents, and holds the share of words that the model does not know in the
    /// redacted texts. Without it, unseen words are not counted. The digests of all models that answered are kept:
    /// [`Self::check_comparable`] refuses a profile of other ones, so pass the records of one model and one arm.
    ///
    /// The time is linear in the records; no record is kept.
    #[must_use]
    pub fn of_records<'a>(
        records: impl IntoIterator<Item = &'a Record>,
        model: Option<&IntentModel>,
    ) -> Self {
        let labels = model.map_or_else(Vec::new, labels_of);
        let mut profile = Self::new(ReferenceSource::Log, labels);
        for record in records {
            profile.add_record(record, model);
        }
        profile
    }

    /// Adds a record of the prediction log.
    pub fn add_record(&mut self, record: &Record, model: Option<&IntentModel>) {
        let unseen = |text: &String| model.map(|model| model.unseen_word_rate(text));
        let row = Row {
            text: record.text.as_deref().unwrap_or_default(),
            lang: record.language.as_deref().and_then(declared),
            intent: Some(if record.fallback { "fallback" } else { &record.intent }),
            confidence: Some(record.confidence),
            unseen_word_rate: record.text.as_ref().and_then(unseen),
            guessed: record.guessed.as_deref().and_then(declared),
            oos_score: record.oos,
            fallback: Some(record.fallback),
            entities: Some(&record.entities),
            latency_ms: Some(record.latency_us as f64 / 1_000.0),
            n_chars: Some(record.n_chars),
        };
        self.columns.add(&row);
        if let Some(text) = &record.text {
            // The log keeps texts redacted; an older one, or another writer, may have missed something.
            let normal = text::normalise(&text::redact(text));
            self.words.add_redacted(&normal, record.conversation.as_deref());
        }
        if let Ok(digest) = record.digest.parse() {
            self.add_model(digest);
        }
    }

    /// Makes the profile of utterances of a file; finish it before it is compared or written.
    ///
    /// With `model`, the profile holds its predictions, and the languages and entities that it finds. A model knows its
    /// training data, so of these [`Self::of_training`] says what it would say to others.
    ///
    /// # Errors
    /// Those of compiling the dialogue of the model.
    pub fn of_data(
        records: &[DataRecord<'_>],
        model: Option<(&IntentModel, Digest)>,
    ) -> Result<Self> {
        let labels = model.map_or_else(Vec::new, |(model, _)| labels_of(model));
        let search = model.map(|(model, _)| Search::new(model, u64::MAX)).transpose()?;
        let part = |part: &[DataRecord<'_>]| {
            let texts: Vec<&str> = part.iter().map(|record| record.text).collect();
            let predictions = model.map(|(model, _)| model.predict_many(&texts).0);
            let mut profile = Self::new(ReferenceSource::Data, Vec::new());
            for (i, record) in part.iter().enumerate() {
                let predicted = model.zip(predictions.as_ref().map(|all| &all[i]));
                let predicted = predicted.map(|((model, _), prediction)| (model, prediction));
                profile.add_data(record, predicted.zip(search.as_ref()));
            }
            profile
        };
        let parts: Vec<Self> = records.par_chunks(PART).map(part).collect();
        let mut profile = Self::new(ReferenceSource::Data, labels);
        for part in &parts {
            profile.columns.merge(&part.columns);
            profile.words.merge(&part.words);
        }
        if let Some((_, digest)) = model {
            profile.add_model(digest);
        }
        Ok(profile)
    }

    fn add_data(
        &mut self,
        record: &DataRecord<'_>,
        predicted: Option<((&IntentModel, &Prediction), &Search<'_>)>,
    ) {
        let lang = record.lang.map(text::base_language).filter(|lang| !lang.is_empty());
        let redacted = text::redact(record.text);
        let mut row = Row { text: record.text, lang, ..Row::default() };
        let mut entities = None;
        if let Some(((model, prediction), search)) = predicted {
            row.intent = Some(match prediction.fallback {
                true => "fallback",
                false => model.labels().name(prediction.intent),
            });
            row.confidence = Some(prediction.confidence);
            row.oos_score = Some(prediction.score);
            row.fallback = Some(prediction.fallback);
            row.unseen_word_rate = Some(model.unseen_word_rate(&redacted));
            (row.guessed, entities) = search.find((record.text, 0), lang);
        }
        row.entities = entities.as_deref();
        self.columns.add(&row);
        self.words.add_redacted(&text::normalise(&redacted), record.conversation);
    }
}

/// Returns the intents of `model`, in its order.
pub(crate) fn labels_of(model: &IntentModel) -> Vec<String> {
    model.labels().iter().map(str::to_owned).collect()
}

/// Returns the language of a tag without its region, or `other`: a client may declare anything, even personal data.
fn declared(tag: &str) -> Option<&str> {
    let base = text::base_language(tag);
    match base.is_empty() {
        true => None,
        false if base.len() <= 3 && base.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Some(base)
        }
        false => Some("other"),
    }
}
