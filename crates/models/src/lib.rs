//! Classifiers, and [`IntentModel`]: features, classifier, calibration and dialogue in one deployable file.
//!
//! The input is a list of utterances with their intents ([`Sample`]) and a [`ModelSpec`]. [`train`] returns an
//! [`IntentModel`], which maps any text to an intent, a calibrated confidence and the decision to fall back
//! ([`IntentModel::predict`]). [`IntentModel::to_bytes`] and [`IntentModel::from_bytes`] write and read the model file,
//! which carries digests of its contents.

mod class_weight;
pub mod confidence;
mod explain;
mod file;
mod fine_tuning;
mod heads;
mod intent_model;
mod known_texts;
mod lineage;
mod neighborhood;
mod prediction;
mod progress;
mod resources;
mod sample;
mod self_test;
mod separator;
mod spec;
mod tagger;
mod training;
mod unused_keys;

pub use class_weight::ClassWeight;
pub use confidence::{Confidence, ConformalSpec, FallbackSpec};
pub use explain::{Contribution, Explanation, Nearby};
pub use file::part_digests;
pub use fine_tuning::{
    EpochRecord, FineTuned, FineTuningInput, FineTuningSpec, HeldOutScores, fine_tune,
};
pub use intent_model::{IntentModel, MOST_REFERENCE_BYTES, Scratch};
pub use known_texts::{KnownTexts, SeenTexts};
pub use lineage::Lineage;
pub use neighborhood::{Neighbor, NeighborScratch, Neighborhood, SampleNeighbors};
pub use prediction::Prediction;
pub use progress::{Progress, Silent};
pub use resources::Resources;
pub use sample::Sample;
pub use self_test::SelfTest;
pub use separator::Separator;
pub use spec::{HeadKind, HeadSpec, ModelSpec};
pub use tagger::{
    Annotated, LearnEntities, Span, SpanProblem, TagScratch, TaggedKind, Tagger, TaggerSpec,
    TokenFeatures, learn as learn_tagger, span_problems, token_features,
};
pub use training::{
    CrossValidation, CrossValidator, HeldOut, TrainingInput, UnseenRecord, UnseenRecords,
    cross_validate, temperatures, train, train_and_judge,
};

#[cfg(test)]
mod tests;
