//! The records of a window, read once: counts, verdicts, confidences, and a profile of the model's records.

use crate::{
    accuracy_counts::AccuracyCounts,
    business::BusinessCounts,
    canary::{CANARY, Canary},
    confidence_counts::ConfidenceCounts,
    judgements::Judgements,
    monitored_model::MonitoredModel,
    reference::ReferenceProfile,
    reference::ReferenceSource,
    reference_rows::labels_of,
    report::Volume,
    risk::VerdictSequence,
    text_drift::MOST_TEXTS,
    text_sample::TextSample,
    window::Window,
};
use botops_findings::{Finding, Result, Severity};
use botops_models::IntentModel;
use botops_predictions::{Filter, Record};
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
    /// The records of the canary on its arm, if one was named.
    pub(crate) canary: ConfidenceCounts,
    /// The verdicts on records of the model, in scope.
    pub(crate) verdicts: VerdictSequence,
    /// The problems of the files.
    pub(crate) findings: Vec<Finding>,
}

impl WindowCounts {
    /// Reads the records of `window`. Those of the version `named` are profiled, but for those with an intent that the
    /// model does not know; accuracies count those of every arm.
    ///
    /// # Errors
    /// Those of the prediction log.
    pub(crate) async fn read(
        (store, environment): (&Store, &str),
        window: Window,
        (named, model, canary): (&MonitoredModel, Option<&IntentModel>, Option<&Canary>),
        judgements: &Judgements,
    ) -> Result<Self> {
        let filter =
            Filter { since: Some(window.start), until: Some(window.end), ..Filter::default() };
        let of_version = |version: &MonitoredModel, record: &Record| {
            version.is_it(&record.digest, record.manifest.as_deref())
        };
        let of_canary = |record: &Record| {
            record.arm == CANARY && canary.is_some_and(|canary| of_version(&canary.model, record))
        };
        let known_by_canary = canary.map(|canary| names_of(&canary.loaded));
        let labels = model.map_or_else(Vec::new, labels_of);
        let known = model.map(names_of);
        let knows = |known: &Option<HashSet<String>>, record: &Record| {
            known.as_ref().is_none_or(|known| known.contains(&record.intent))
        };
        let mut counts = Self {
            volume: Volume::default(),
            accuracy: AccuracyCounts::default(),
            business: BusinessCounts::default(),
            texts: TextSample::new(MOST_TEXTS),
            confidence: ConfidenceCounts::default(),
            profile: ReferenceProfile::new(ReferenceSource::Log, labels),
            canary: ConfidenceCounts::default(),
            verdicts: VerdictSequence::default(),
            findings: Vec::new(),
        };
        let mut conversations = HashSet::new();
        let mut unknown = None;
        let findings = filter.records(store, environment, |record| {
            counts.accuracy.add(&record, judgements);
            counts.business.add(&record, judgements);
            if of_canary(&record) && knows(&known_by_canary, &record) {
                counts.canary.add(&record, judgements);
            }
            if !of_version(named, &record) {
                counts.volume.other_models += 1;
                return;
            }
            counts.volume.records += 1;
            counts.volume.fallbacks += u64::from(record.fallback);
            counts.volume.without_text += u64::from(record.text.is_none());
            if let Some(conversation) = &record.conversation {
                conversations.insert(hash(conversation));
            }
            if !knows(&known, &record) {
                counts.volume.unknown_intents += 1;
                unknown.get_or_insert_with(|| record.intent.clone());
                return;
            }
            counts.confidence.add(&record, judgements);
            counts.verdicts.add(&record, judgements);
            counts.profile.add_record(&record, model);
            counts.texts.add(&record);
        });
        counts.findings = findings.await?;
        counts.findings.extend(unknown.map(|intent| unknown_intents(&counts.volume, &intent)));
        counts.volume.refused_lines =
            counts.findings.iter().filter(|finding| finding.code == REFUSED).count() as u64;
        counts.volume.conversations = conversations.len() as u64;
        counts.profile.finish();
        Ok(counts)
    }
}

/// Returns the intents that a model knows.
fn names_of(model: &IntentModel) -> HashSet<String> {
    labels_of(model).into_iter().collect()
}

/// Returns the warning of records with an intent that the model does not know, such as `intent`.
fn unknown_intents(volume: &Volume, intent: &str) -> Finding {
    let shown = botops_text::display(intent, 60);
    let message = format!(
        "{} of the {} records of the model predict an intent that it does not know, such as `{shown}`: drift and the estimated accuracy leave them out",
        volume.unknown_intents, volume.records
    );
    let help = "see which they are: `botops predictions query --by intent,model`";
    Finding::new("BOT-6261", Severity::Warning, message, help)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
