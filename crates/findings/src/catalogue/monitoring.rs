//! Codes of monitoring.

use super::Entry;
use crate::FaultKind;

/// The entries of monitoring.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6250",
        kind: Some(FaultKind::Usage),
        title: "a setting of monitoring is wrong",
        explanation: "`botops monitor` and the block `monitoring:` of botops.yaml take windows of whole hours (`window`, `reference_window`: from `1h` to `366d`), the time between two evaluations (`every`: from `1m` to `31d`), `min_rows`, and `min_accuracy` between 0 and 1. See `docs/monitoring.md`.",
    },
    Entry {
        code: "BOT-6251",
        kind: Some(FaultKind::Insufficient),
        title: "a window has too little to judge",
        explanation: "The window has fewer predictions of the champion than `min_rows`, or nothing to compare them with, and no verdicts from which an accuracy follows. The report lists each part that was not judged, with the reason. If the champion changed within the window, the records of the model before do not count: wait, or name a shorter window.",
    },
    Entry {
        code: "BOT-6252",
        kind: None,
        title: "the accuracy in production is below its bound",
        explanation: "The upper end of the 95 % interval of the champion's accuracy, from verdicts on messages of the window, lies below `min_accuracy`: chance does not explain it. The report has the accuracy by arm, and the commands that show which intents are concerned.",
    },
    Entry {
        code: "BOT-6253",
        kind: None,
        title: "the traffic drifted from the reference",
        explanation: "At least one check of the window is both significant after correction over all checks and large. The report names the checks, their scores and their largest changes.",
    },
    Entry {
        code: "BOT-6254",
        kind: None,
        title: "the log has records of the future",
        explanation: "Records lie in hours that have not begun by the clock of this machine, so the clock of a server is ahead, or this one is behind. A record counts in the window of its own time. Set the clocks by NTP.",
    },
    Entry {
        code: "BOT-6255",
        kind: Some(FaultKind::Conflict),
        title: "other processes record reports of monitoring",
        explanation: "Each report of monitoring is the next entry of a log in the store, and other processes wrote theirs first, several times in a row. Nothing was recorded. Run the command again; one schedule for an environment is enough.",
    },
    Entry {
        code: "BOT-6256",
        kind: Some(FaultKind::Usage),
        title: "a schedule is wrong",
        explanation: "The block `schedule:` of a pipeline says when its runs are due: `every: day` or `every: week` with `on: monday`, `at: \"06:00\"`, `zone:` with an IANA name such as `Europe/Paris` (default UTC), and `grace_minutes` (default 120). Abbreviations such as `CEST` are no zones: they do not say when clocks change.",
    },
    Entry {
        code: "BOT-6257",
        kind: None,
        title: "a scheduled run is overdue",
        explanation: "Each run of a pipeline with a `schedule:`, and each of `botops monitor --every`, leaves a heartbeat in the store with the time at which the next one is due. That time and the grace have passed, and no run left one. Look at the job that should have started it. If the schedule was given up, end it: `botops monitor --end-schedule NAME`.",
    },
    Entry {
        code: "BOT-6258",
        kind: Some(FaultKind::Usage),
        title: "a webhook of monitoring is wrong",
        explanation: "Each entry of `monitoring.webhooks` in botops.yaml has a `url` (`https://…`, or by reference), a `kind` (`generic` or `slack`) and, for `generic`, a `secret` of at least 24 bytes by reference, which signs the messages. A receiver on a private network needs `monitoring.allow_private`, such as `10.0.0.0/8`. No message repeats the path of an address: it may be a secret.",
    },
    Entry {
        code: "BOT-6259",
        kind: None,
        title: "a webhook of monitoring was not delivered",
        explanation: "The receiver did not answer in time, refused the message, or answered with a redirect, which is not followed. The message was tried several times. It stays owed: the next evaluation tries again, with the same `webhook-id`.",
    },
    Entry {
        code: "BOT-6260",
        kind: None,
        title: "the champion answers wrongly more often than is tolerated",
        explanation: "`min_accuracy` tolerates a share of wrong answers. The verdicts of reviewers on messages of the window are looked at in the order of their arrival, and the lower bound of the share of wrong answers, which holds at all times at once, exceeded the tolerated one. Inputs need not have drifted: the meaning of messages may have changed. The report has the bound and the number of messages that still wait for a verdict.",
    },
    Entry {
        code: "BOT-6261",
        kind: None,
        title: "records name intents that the model does not know",
        explanation: "The log has records of the champion's digest with a predicted intent that its reference profile does not list, so they cannot be predictions of this model as it is stored: a tool wrote them, or a record was changed. They count in the volume and in the accuracies from verdicts; drift and the estimated accuracy leave them out.",
    },
];
