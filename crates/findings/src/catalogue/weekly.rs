//! 708x and 709x: behavioural tests, and pipelines that learn from the prediction log.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7080",
        kind: Some(FaultKind::Usage),
        title: "invalid behavioural tests",
        explanation: "A file of behavioural tests has no test, an empty text or name, an utterance that is listed twice, or a setting out of range. The message names the key. Minimum functionality is `minimum: [{capability: a lost parcel, intent: order_status, must_pass: [where is my parcel]}]`; `invariance:` and `direction:` are optional.",
    },
    Entry {
        code: "BOT-7081",
        kind: None,
        title: "behavioural tests of an unknown intent",
        explanation: "Behavioural tests expect an intent that the model does not know, so that they fail. The intent is misspelled, or it was renamed, or the model was trained without its utterances. Correct the name in the file of the tests, or train the model with the intent.",
    },
    Entry {
        code: "BOT-7082",
        kind: None,
        title: "recorded traffic stands in for the prediction log",
        explanation: "The window of a pipeline is taken from the prediction log of the registry, and there is none yet. The recorded traffic of the stage is used: it is compared for drift, replayed in the rehearsal, and its test side is evaluated on, but no model learns from it, because nobody says who labelled it. Serve the model with `predictions: {log: on}`, and the next run takes the log.",
    },
    Entry {
        code: "BOT-7083",
        kind: Some(FaultKind::Usage),
        title: "conversations would change sides",
        explanation: "A window stage splits conversations by a hash with a salt, so that those on the test side are never trained on, also in later weeks. The first run with a log records the salt and the share of the test side in the registry. Another salt or share would move conversations that were tested to the side that models learn from. Write the recorded settings into the pipeline.",
    },
    Entry {
        code: "BOT-7084",
        kind: None,
        title: "labels of reviewers were not merged",
        explanation: "Some labels of the window contradict the training data, or name an intent that it does not have. They are listed in `refused.jsonl` of the stage, and the model does not learn from them. Correct the training data, or add the new intent with enough examples to it (`botops data suggest` and `botops data merge`).",
    },
    Entry {
        code: "BOT-7085",
        kind: Some(FaultKind::Usage),
        title: "invalid window of the log",
        explanation: "A window or compact stage has a duration that cannot be read or is out of range, a share that is not between 0 and 1, or an empty salt. Durations are written as `7d` or `36h`, from 1 hour to 366 days.",
    },
    Entry {
        code: "BOT-7086",
        kind: Some(FaultKind::Insufficient),
        title: "there is no window to learn from",
        explanation: "A window stage takes messages from the prediction log of the registry. There is no log, and the stage names no recorded traffic to stand in. Serve the model with `predictions: {log: on}`, or name a file under `recorded:`.",
    },
    Entry {
        code: "BOT-7087",
        kind: Some(FaultKind::Usage),
        title: "the stages of a run cannot be chosen so",
        explanation: "`--from` leaves out stages whose result a chosen stage needs and that are not up to date, or `--from` and `--until` leave no stage, or `--force` names a stage that is not part of the run. `botops pipeline graph` shows which stage needs which, and `botops pipeline status` which are up to date.",
    },
    Entry {
        code: "BOT-7088",
        kind: Some(FaultKind::Gate),
        title: "a shared result is damaged",
        explanation: "With `share: true`, results of stages are kept in the store of runs under `stages/`. An object there cannot be read, or is the result of another stage. It is not used, and the stage runs. Remove the object, and the next run writes it again.",
    },
    Entry {
        code: "BOT-7089",
        kind: Some(FaultKind::Unreachable),
        title: "the command of a stage says that its fault may pass",
        explanation: "The command of a shell stage with `retries:` ended with exit code 7, as the commands of botops do if a store or a server cannot be reached. It was run again as often as the stage allows. Run the pipeline again later.",
    },
];
