//! The rows of a reference profile: records of the prediction log, and utterances of a file.

use crate::reference::{ReferenceProfile, ReferenceSource};
use botops_drift::Row;
use botops_models::IntentModel;
use botops_predictions::Record;
use botops_text as text;

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
            self.words.add(text, record.conversation.as_deref());
        }
        if let Ok(digest) = record.digest.parse() {
            self.add_model(digest);
        }
    }

    /// Adds a row of a file with its text; `conversation` names its conversation, if it is known.
    pub fn add_row(&mut self, row: &Row<'_>, conversation: Option<&str>) {
        self.columns.add(row);
        self.words.add(row.text, conversation);
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
