//! A training whose model file holds the reference profile of its records.

use botops_datasets::Dataset;
use botops_findings::Result;
use botops_models::{self as models, IntentModel, Progress, TrainingInput};
use botops_monitoring::{ReferenceProfile, TrainingRecord};

/// Trains a model, and puts the reference profile of `data` into it.
///
/// The samples of `input` are the records of `data` that have an intent, in their order.
///
/// # Errors
/// Those of [`models::train`] and of [`ReferenceProfile::of_training`]; `BOT-2264` (exit 3) if the profile has more than
/// 4 MiB.
pub fn train_with_profile(
    input: TrainingInput<'_>,
    data: &Dataset,
    progress: &dyn Progress,
) -> Result<IntentModel> {
    let records = data.records.iter();
    let records: Vec<TrainingRecord<'_>> = records
        .filter_map(|record| {
            let intent = record.intent.as_deref()?;
            Some(TrainingRecord { text: &record.text, intent, lang: record.lang.as_deref() })
        })
        .collect();
    let (mut model, unseen) = models::train_and_judge(input, progress)?;
    let profile = ReferenceProfile::of_training(&model, &unseen, &records)?;
    model.set_reference(profile.to_bytes()?);
    Ok(model)
}
