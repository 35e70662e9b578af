//! Warnings on the records that a model is measured on.

use botops_datasets::Dataset;
use botops_findings::{Finding, Place, Severity};
use botops_models::IntentModel;
use botops_text::count;
use std::collections::BTreeMap;

/// Returns the warnings on `data` as records to measure `model` on: it is the training data, or has labels that look like
/// out of scope and are unknown to the model.
#[must_use]
pub fn data_warnings(model: &IntentModel, data: &Dataset) -> Vec<Finding> {
    let lineage = model.lineage();
    let place = Place { file: Some(data.name.clone()), ..Place::default() };
    let learned = learned(model, data).map(|message| {
        let help = "measure it on records that were set aside (`botops data split`), or cross-validate: `botops train \
                    DATA --cross-validate 5`";
        Finding::new("BOT-3050", Severity::Warning, message, help).at(place)
    });
    let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
    for intent in data.records.iter().filter_map(|record| record.intent.as_deref()) {
        let intent = lineage.spec.intent_of(intent);
        if model.labels().index_of(intent).is_none() {
            *unknown.entry(intent).or_default() += 1;
        }
    }
    let undeclared = botops_labels::undeclared_oos(unknown, &data.name, |labels| {
        format!(
            "if it means out of scope, label these records `oos`, or train the model with `oos_labels: [{}]`",
            labels.join(", ")
        )
    });
    learned.into_iter().chain(undeclared).collect()
}

/// Returns a sentence if `data` is the training data of `model`, or most of its texts are from there.
fn learned(model: &IntentModel, data: &Dataset) -> Option<String> {
    let lineage = model.lineage();
    let outcome = "so its metrics are those of records that it knows";
    if lineage.data == Some(data.digest) {
        return Some(format!("the model was trained on this very file, {outcome}"));
    }
    let seen = lineage.seen(data.records.iter().map(|record| record.text.as_str()))?;
    seen.are_mostly_known().then(|| {
        format!(
            "the model was trained on {} of {} different texts of this file that could be compared, {outcome}",
            count(seen.n_known),
            count(seen.n_compared)
        )
    })
}
