//! 3xxx: evaluation and gates.

use super::Entry;
use crate::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-3001",
        kind: Some(FaultKind::Insufficient),
        title: "too few records to evaluate on",
        explanation: "Below 10 in-scope records every metric is mostly chance. Out-of-scope records \
                      (`oos`) do not count here. Evaluate on more labelled utterances that the model \
                      was not trained on.",
    },
    Entry {
        code: "BOT-3002",
        kind: Some(FaultKind::Gate),
        title: "the model knows none of the intents in the data",
        explanation: "Every record would count as wrong, which says nothing about the model. Check \
                      that the model and the data belong together, that intents are spelled alike in \
                      both, and that the intent column is the right one (`--intent-column`).",
    },
    Entry {
        code: "BOT-3003",
        kind: Some(FaultKind::Gate),
        title: "a record without an intent",
        explanation: "Evaluation compares what the model says with the truth, so every record needs \
                      an intent, or `oos` when none fits. Label the record or remove it; `botops \
                      validate` lists all of them.",
    },
    Entry {
        code: "BOT-3010",
        kind: Some(FaultKind::Usage),
        title: "a gate that cannot be judged",
        explanation: "A gate names something that is not measured, has no bound, or no gate is \
                      declared at all. Metrics: accuracy, macro_f1, weighted_f1, micro_f1, ece, \
                      log_loss, fallback_rate, oos_auroc, oos_fpr95, answered_share, \
                      answered_accuracy, aurc, set_coverage, set_size; per class: precision, \
                      recall, f1; per language: accuracy.",
    },
    Entry {
        code: "BOT-3011",
        kind: Some(FaultKind::Policy),
        title: "stored evidence that proves nothing",
        explanation: "Promotion needs a gate report about this very model, with the recorded digest, \
                      in which every gate passed. The stored one differs: it was altered, is about \
                      another model, or records a failure. Judge the model again and push it.",
    },
    Entry {
        code: "BOT-3012",
        kind: Some(FaultKind::Usage),
        title: "a comparison about something else",
        explanation: "Rules against the champion need both models judged on the same records. The \
                      comparison at hand names another model or another number of records than the \
                      evaluation. Evaluate and compare again on the same data.",
    },
    Entry {
        code: "BOT-3020",
        kind: None,
        title: "a gate failed",
        explanation: "The model does not meet a rule that was set for promotion, so it is not \
                      promoted. The report of the evaluation shows which utterances are behind the \
                      number. Add examples of what is confused, correct labels, or, with a reason, \
                      change the rule.",
    },
    Entry {
        code: "BOT-3030",
        kind: Some(FaultKind::Usage),
        title: "a number of folds that cannot be made",
        explanation: "Cross-validation judges every record by a model that learned from the other \
                      folds: it takes at least 2 of them, and more than 100 only cost time. 5 is usual.",
    },
    Entry {
        code: "BOT-3031",
        kind: Some(FaultKind::Insufficient),
        title: "an intent that cannot be in every fold",
        explanation: "Every fold needs records of every intent, and records that say the same are \
                      never parted, so that no record is judged by a model that saw its twin. The \
                      intent named has fewer records than there are folds, or they all say the same. \
                      Use fewer folds, add records of it, or leave the intent out.",
    },
    Entry {
        code: "BOT-3032",
        kind: Some(FaultKind::Usage),
        title: "a measurement without anything to measure on",
        explanation: "Training with several seeds, or comparing configurations, needs records that \
                      the model does not learn from: name a test set with `--test`, or hold out each \
                      record in turn with `--cross-validate 5`.",
    },
];
