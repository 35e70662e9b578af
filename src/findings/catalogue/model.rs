//! 7xxx: training and model files.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-7003",
    title: "a model file is malformed",
    explanation: "The file is complete but its contents contradict each other. Train the model again, or pull it again from the registry.",
}];
