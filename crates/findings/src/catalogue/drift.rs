//! 4xxx: drift; 227x: drift of texts and intents after the launch.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    code: "BOT-4001",
    kind: Some(FaultKind::Usage),
    title: "a drift setting is out of range",
    explanation: "`alpha` is the false discovery rate, between 0 and 1. `min_psi` and `min_ks` are the smallest effects that count as drift if they are also significant. `min_rows` is the number of rows that each side needs before it is compared. `columns` names the columns and checks to compare. The defaults are 0.05, 0.1, 0.1, 100, and all columns.",
}];

/// The entries about data that is compared after the launch.
pub(super) const DATA: &[Entry] = &[
    Entry {
        code: "BOT-2270",
        kind: Some(FaultKind::Usage),
        title: "predictions of different lists of intents",
        explanation: "The shares of the intents are estimated from the confusion matrix of the reference and from the predictions of the current data. Both need one list of intents, which is that of one model. Compare predictions with the reference of the model that made them.",
    },
    Entry {
        code: "BOT-2271",
        kind: Some(FaultKind::Insufficient),
        title: "the shares of the intents cannot be estimated",
        explanation: "The predicted shares of the intents are corrected for the mistakes of the model by the inverse of its confusion matrix (BBSE). This is refused if a side has no predictions, if an intent has fewer than 5 records in the reference, or if the matrix is ill-conditioned (a condition number above 50): the model confuses some intents so often that nothing is known about their shares. The predicted shares are compared all the same, without the correction.",
    },
    Entry {
        code: "BOT-2272",
        kind: Some(FaultKind::Insufficient),
        title: "the texts cannot be compared",
        explanation: "Drift of texts is measured by how well a classifier tells the current texts from those of the reference. A side has no text, or no two texts share a word. The prediction log keeps texts with `predictions.text: redacted`, which is the default; with `hash` or `none`, only the columns can be compared.",
    },
    Entry {
        code: "BOT-2273",
        kind: Some(FaultKind::Usage),
        title: "a rule for alarms is out of range",
        explanation: "Alarms across weeks need a level for each week. `false_alarms_a_year` is the expected number of false alarms in 52 weeks without drift, between 0 and 52; `rate` is the probability of any false alarm with LORD++, between 0 and 1. The default is half a false alarm a year.",
    },
    Entry {
        code: "BOT-2274",
        kind: Some(FaultKind::Conflict),
        title: "others decide about windows at the same time",
        explanation: "Each window of an environment has one decision, which is an entry of a log in the store. Other processes wrote entries each time that this one tried. Run the command again; a window that was decided meanwhile keeps its decision.",
    },
    Entry {
        code: "BOT-2275",
        kind: Some(FaultKind::Usage),
        title: "a profile has no texts to label",
        explanation: "`botops drift --out` writes the utterances that are surest to be new. A profile holds counts of columns and words, and no texts, so nothing can be written. Compare two files with texts, or leave out `--out`.",
    },
];
