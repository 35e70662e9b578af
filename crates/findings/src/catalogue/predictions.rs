//! Codes of the prediction log.

use super::Entry;
use crate::FaultKind;

/// The entries of the prediction log.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6200",
        kind: Some(FaultKind::Gate),
        title: "no record of predictions",
        explanation: "A line of a segment is not a record of the schema `botops.prediction/1`: it is no JSON, lacks a field, has more than 64 KiB, or a probability that is none. It is left out and counted; the others are read. Segments are written by `botops serve` only, so a foreign or damaged file lies in the folder of the log.",
    },
    Entry {
        code: "BOT-6201",
        kind: Some(FaultKind::Policy),
        title: "the prediction log is of a newer botops",
        explanation: "A file of the prediction log has a schema that this version does not know, so it reads none of it. Use the newer version, at least for commands that read the log.",
    },
    Entry {
        code: "BOT-6202",
        kind: Some(FaultKind::Gate),
        title: "no hour of the prediction log",
        explanation: "The log of an environment has a folder for each hour in UTC, such as `predictions/production/date=2026-11-30/hour=07`. A folder or file name has another form.",
    },
    Entry {
        code: "BOT-6203",
        kind: None,
        title: "the end of a segment is missing",
        explanation: "A segment consists of groups that are each synced as a whole. The last one is cut or damaged: a server that is killed leaves half a group, which was not acknowledged by anybody. The groups before it are read.",
    },
    Entry {
        code: "BOT-6204",
        kind: Some(FaultKind::Internal),
        title: "the folder of the predictions cannot be used",
        explanation: "A server writes its predictions to a local folder first (`predictions.folder`, by default `.botops/predictions`), and moves full segments to the store. The folder cannot be created or written, for example because the disk is full. A running server goes on answering, counts the records that are lost in `botops_predictions_lost_total`, and says so once.",
    },
    Entry {
        code: "BOT-6205",
        kind: Some(FaultKind::Conflict),
        title: "the folder of the predictions is in use",
        explanation: "Each server takes a folder of its own in `predictions.folder` and locks it, and 1,024 of them are locked. Name another folder for further servers of this machine.",
    },
    Entry {
        code: "BOT-6206",
        kind: None,
        title: "predictions wait for the store",
        explanation: "While the store cannot be reached, full segments are kept in the local folder. At three quarters of its limit of 1 GiB, one record of ten is kept, chosen by its request id; at the limit, none. The server goes on answering. Both are counted in the metrics, and end by themselves when the store is back.",
    },
    Entry {
        code: "BOT-6207",
        kind: Some(FaultKind::Gate),
        title: "a compacted file cannot be read",
        explanation: "A Parquet file of the prediction log is damaged, or a column has another type than botops writes. Nothing of its hour is compacted or removed until it is readable. Restore it from a backup or the mirror of the store.",
    },
    Entry {
        code: "BOT-6208",
        kind: Some(FaultKind::Internal),
        title: "the records cannot be written as Parquet",
        explanation: "Compaction could not make a Parquet file. The segments stay as they are, and every query reads them.",
    },
    Entry {
        code: "BOT-6209",
        kind: Some(FaultKind::Conflict),
        title: "another compaction was faster",
        explanation: "Two processes compacted the same hour of the prediction log at the same time. The one that came first counts; nothing of this one is used. Nothing is lost: run the command again if records are left.",
    },
    Entry {
        code: "BOT-6210",
        kind: Some(FaultKind::Usage),
        title: "a filter or grouping of the prediction log is unknown",
        explanation: "`botops predictions` filters by time, intent, arm, model, confidence, language and fallback, and groups by `day`, `hour`, `intent`, `arm`, `model`, `language`, `endpoint` and `fallback`. The message names the nearest one.",
    },
    Entry {
        code: "BOT-6211",
        kind: Some(FaultKind::Gate),
        title: "a verdict cannot be read",
        explanation: "A line of feedback needs `request_id`, and `intent`, the true intent of the message, or `satisfaction`, a whole number from 1 to 5; `time` (RFC 3339), `index` and `source` (`reviewer`, `agent` or `end_user`) may follow. The line is named; nothing of the file is recorded.",
    },
    Entry {
        code: "BOT-6212",
        kind: Some(FaultKind::Insufficient),
        title: "no prediction in this time",
        explanation: "The prediction log has no record that passes the filters. Check the environment (`--environment`), the time (`--since`, `--until`, in UTC), and whether servers log predictions (`predictions:` in botops.yaml).",
    },
    Entry {
        code: "BOT-6213",
        kind: Some(FaultKind::Usage),
        title: "a setting of the prediction log is wrong",
        explanation: "`predictions` in botops.yaml has `log` (`on` or `off`), `text` (`redacted`, `hash` or `none`: what is kept of the texts of users), `retention` (a time of at least an hour, such as `90d`) and `folder` (the local folder of a server). See `docs/predictions.md`.",
    },
    Entry {
        code: "BOT-6214",
        kind: Some(FaultKind::Unreachable),
        title: "feedback could not be stored",
        explanation: "A server with a prediction log answers feedback only once it is in the store, and the store could not be reached. The feedback counts nowhere; send it again later. The log of the server has the reason.",
    },
    Entry {
        code: "BOT-6215",
        kind: None,
        title: "feedback on a message that the log does not have",
        explanation: "A verdict names a request that the prediction log of this environment does not have, or a place in it that does not exist. It is recorded all the same: a server may still hold the record, and a verdict is joined with it whenever one of both comes. If it stays so, check the environment (`--environment`) and the ids, and whether the record was sampled out, erased, or past the retention.",
    },
    Entry {
        code: "BOT-6216",
        kind: None,
        title: "records of a wrong clock",
        explanation: "A record lies in the hour of its own time, by the clock of its server. Some lie before 2020, or in the future. They are kept and read like all others, at the time that the server believed; those before 2020 are removed only when their files, by the clock of the store, are past the retention. Set the clock of the server right.",
    },
];
