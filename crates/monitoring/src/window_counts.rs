//! The records of a window, read once: counts, verdicts, confidences, and a profile of the model's records.

use crate::{
    accuracy_counts::AccuracyCounts, business::BusinessCounts, confidence_counts::ConfidenceCounts,
    judgements::Judgements, reference::ReferenceProfile, reference::ReferenceSource,
    reference_rows::labels_of, report::Volume, risk::VerdictSequence, text_drift::MOST_TEXTS,
    text_sample::TextSample, window::Window,
};
use botops_findings::{Finding, Result};
use botops_models::IntentModel;
use botops_predictions::Filter;
use botops_store::Store;
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// The code of a line that is no record.
const REFUSED: &str = "BOT-6200";

/// The records of one window, in counts whose size does not grow with them.
pub(crate) struct WindowCounts {
    pub(crate) volume: Volume,
    /// Every record, by arm.
    pub(crate) accuracy: AccuracyCounts,
    /// Every record, by arm.
    pub(crate) business: BusinessCounts,
    /// A sample of the texts of the model's records.
    pub(crate) texts: TextSample,
    /// The records of the model.
    pub(crate) confidence: ConfidenceCounts,
    /// The records of the model.
    pub(crate) profile: ReferenceProfile,
    /// The verdicts on records of the model, in scope.
    pub(crate) verdicts: VerdictSequence,
    /// The problems of the files.
    pub(crate) findings: Vec<Finding>,
}

impl WindowCounts {
    /// Reads the records of `window`. Those of the model with this digest are profiled; accuracies count those of every
    /// arm.
    ///
    /// # Errors
    /// Those of the prediction log.
    pub(crate) async fn read(
        (store, environment): (&Store, &str),
        window: Window,
        (digest, model): (&str, Option<&IntentModel>),
        judgements: &Judgements,
    ) -> Result<Self> {
        let filter =
            Filter { since: Some(window.start), until: Some(window.end), ..Filter::default() };
        let is_model = Filter { model: Some(digest.to_owned()), ..Filter::default() };
        let labels = model.map_or_else(Vec::new, labels_of);
        let mut counts = Self {
            volume: Volume::default(),
            accuracy: AccuracyCounts::default(),
            business: BusinessCounts::default(),
            texts: TextSample::new(MOST_TEXTS),
            confidence: ConfidenceCounts::default(),
            profile: ReferenceProfile::new(ReferenceSource::Log, labels),
            verdicts: VerdictSequence::default(),
            findings: Vec::new(),
        };
        let mut conversations = HashSet::new();
        let findings = filter.records(store, environment, |record| {
            counts.accuracy.add(&record, judgements);
            counts.business.add(&record, judgements);
            if !is_model.passes(&record) {
                counts.volume.other_models += 1;
                return;
            }
            counts.volume.records += 1;
            counts.volume.fallbacks += u64::from(record.fallback);
            counts.volume.without_text += u64::from(record.text.is_none());
            if let Some(conversation) = &record.conversation {
                conversations.insert(hash(conversation));
            }
            counts.confidence.add(&record, judgements);
            counts.verdicts.add(&record, judgements);
            counts.profile.add_record(&record, model);
            counts.texts.add(&record);
        });
        counts.findings = findings.await?;
        counts.volume.refused_lines =
            counts.findings.iter().filter(|finding| finding.code == REFUSED).count() as u64;
        counts.volume.conversations = conversations.len() as u64;
        counts.profile.finish();
        Ok(counts)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
