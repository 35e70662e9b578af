//! 3xxx: evaluation and gates.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-3001",
        kind: Some(FaultKind::Insufficient),
        title: "too few records to evaluate on",
        explanation: "With fewer than 10 in-scope records every metric is mostly chance. Out-of-scope records (`oos`) do not count here. Evaluate on more labeled utterances that the model was not trained on.",
    },
    Entry {
        code: "BOT-3002",
        kind: Some(FaultKind::Gate),
        title: "the model knows none of the intents in the data",
        explanation: "Every record would count as wrong, so the metrics would be meaningless. Check that the model and the data belong together, that intents are spelled alike in both, and that the intent column is the right one (`--intent-column`).",
    },
    Entry {
        code: "BOT-3003",
        kind: Some(FaultKind::Gate),
        title: "a record without an intent",
        explanation: "Evaluation compares predictions with the true intents, so every record needs an intent, or `oos` if no intent fits. Label the record or remove it. `botops validate` lists all such records.",
    },
    Entry {
        code: "BOT-3010",
        kind: Some(FaultKind::Usage),
        title: "invalid gate",
        explanation: "A gate names an unknown metric or has no bound, or no gate is declared at all. Metrics: accuracy, macro_f1, weighted_f1, micro_f1, ece, log_loss, fallback_rate, oos_auroc, oos_fpr95, oos_declined, oos_answered, answered_share, answered_accuracy, aurc, set_coverage, set_size, entity_precision, entity_recall, entity_f1, entity_macro_f1, entity_partial_f1; per entity: precision, recall, f1, partial_f1; per class: precision, recall, f1; per language: accuracy.",
    },
    Entry {
        code: "BOT-3011",
        kind: Some(FaultKind::Policy),
        title: "stored evidence does not support the promotion",
        explanation: "A promotion needs a gate report about exactly this model, with the recorded digest, in which every gate passed. The stored report was altered, is about another model, or records a failure. Evaluate and gate the model again, then push it.",
    },
    Entry {
        code: "BOT-3012",
        kind: Some(FaultKind::Usage),
        title: "a comparison does not match the evaluation",
        explanation: "Gates against the champion need both models evaluated on the same records. The comparison names another model or another number of records than the evaluation. Evaluate and compare again on the same data.",
    },
    Entry {
        code: "BOT-3020",
        kind: None,
        title: "a gate failed",
        explanation: "The model does not meet a rule for promotion, so it is not promoted. The evaluation report lists the utterances behind the number. Add examples of the confused intents, correct wrong labels, or change the rule and record the reason.",
    },
    Entry {
        code: "BOT-3030",
        kind: Some(FaultKind::Usage),
        title: "invalid number of folds",
        explanation: "Cross-validation predicts each record with a model trained on the other folds, so it needs at least 2 folds. More than 100 only cost time. 5 is usual.",
    },
    Entry {
        code: "BOT-3031",
        kind: Some(FaultKind::Insufficient),
        title: "an intent cannot be in every fold",
        explanation: "Every fold needs records of every intent. Records with the same text always stay in one fold, so that no record is predicted by a model that was trained on a copy of it. The named intent has fewer distinct texts than there are folds. Use fewer folds, add records of the intent, or leave the intent out.",
    },
    Entry {
        code: "BOT-3050",
        kind: None,
        title: "the model is measured on its training data",
        explanation: "The file that the model is measured on is the file that it was trained on, or most of its texts are from there: in another format or order, in parts, or with other columns. A model knows these records, so every metric looks better than it is on other messages, and gates pass too easily. Set records aside before training (`botops data split`), or measure by cross-validation (`botops train DATA --cross-validate 5`).",
    },
    Entry {
        code: "BOT-3056",
        kind: None,
        title: "data that is compared is in the training data",
        explanation: "The model was trained on texts of one side of the comparison, and could not be trained again without them: they have no intents, or too few. A model is more confident on texts that it knows, and has seen all of their words. So a difference in the predicted intents, the confidence and the unseen words may come from that alone. Compare with data that the model was not trained on, or name the training data with its intents.",
    },
    Entry {
        code: "BOT-3032",
        kind: Some(FaultKind::Usage),
        title: "no data to measure on",
        explanation: "Training with several seeds and comparing configurations need records that the model is not trained on. Name a test set with `--test`, or use cross-validation with `--cross-validate 5`.",
    },
    Entry {
        code: "BOT-3040",
        kind: None,
        title: "the fallback threshold declines nothing",
        explanation: "With `fallback.target_accuracy`, the threshold is the lowest at which that share of the answers is right, for messages like the training data. If the training data has few out-of-scope records, even answering everything reaches the target. Traffic usually has more out-of-scope messages, and every answer to one is wrong. State their share with `fallback.oos_share`, so that the records are weighted, or the share of them to decline with `fallback.min_oos_declined`.",
    },
];
