//! 74xx: background jobs.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7400",
        kind: Some(FaultKind::Usage),
        title: "no such job",
        explanation: "The store has no job of this id. Ids are ULIDs, which `botops jobs list --all` shows. A job that ended long ago may have been removed; `jobs/pruned/log` in the store has one entry for it.",
    },
    Entry {
        code: "BOT-7401",
        kind: Some(FaultKind::Gate),
        title: "the log of a job is damaged",
        explanation: "An entry does not fit the ones before it, such as a heartbeat of a worker that does not hold the job, or the record of a request's key cannot be read. Nothing works on the job, and other jobs go on. Restore it from a backup, or submit the work again: jobs that change something are idempotent.",
    },
    Entry {
        code: "BOT-7402",
        kind: Some(FaultKind::Conflict),
        title: "the job is in another state",
        explanation: "A job that is over cannot be cancelled, and one that waits or runs cannot be retried. `botops jobs show` shows its state. A cancelled job that a worker holds stops at the next entry of that worker; if its effects came first, it ends as finished.",
    },
    Entry {
        code: "BOT-7403",
        kind: Some(FaultKind::Conflict),
        title: "the worker no longer holds the job",
        explanation: "The worker was not heard of in time, and another one took the job over, or the job is over. The worker stops, and writes nothing more. It happens when a process is stopped for longer than the lease of 60 s. If it happens often, check the clocks of the servers.",
    },
    Entry {
        code: "BOT-7404",
        kind: Some(FaultKind::Usage),
        title: "a job that cannot be stored",
        explanation: "The author, the subject, the order, the progress or the result of a job is empty, too large, or has control characters. Entries of a log stay small; files belong in blobs.",
    },
    Entry {
        code: "BOT-7405",
        kind: Some(FaultKind::Conflict),
        title: "the key belongs to another request",
        explanation: "An `Idempotency-Key` stands for one request of one identity as long as its job is kept. It was sent before with another body, path or method. Nothing was changed. Send a new random key with each request, and the same one only when you repeat it.",
    },
    Entry {
        code: "BOT-7406",
        kind: Some(FaultKind::Conflict),
        title: "the log of a job changes too fast",
        explanation: "Other writers appended entries again and again before this one could. Nothing was written. Look at the job, then try again.",
    },
    Entry {
        code: "BOT-7407",
        kind: Some(FaultKind::Gate),
        title: "the job failed",
        explanation: "`botops jobs wait` waited for a job that failed or was cancelled. Its last failure has the code and the message of the cause. Correct that, then run `botops jobs retry`, or submit the work again.",
    },
    Entry {
        code: "BOT-7408",
        kind: Some(FaultKind::Insufficient),
        title: "the job is not over yet",
        explanation: "`botops jobs wait` ended before the job did. The job goes on. If it stays `waiting`, check that a server of this store runs; files cannot be indexed by a server of a model file.",
    },
    Entry {
        code: "BOT-7409",
        kind: Some(FaultKind::Internal),
        title: "every worker of the job was lost",
        explanation: "The job was tried as often as allowed, and each time the worker was not heard of again: it was killed, or lost the store. A file may need more memory than the servers have. Look at the logs of the servers, then run `botops jobs retry`.",
    },
    Entry {
        code: "BOT-7410",
        kind: Some(FaultKind::Usage),
        title: "the upload is not multipart/form-data",
        explanation: "Files are uploaded as `multipart/form-data`, each in a part with a file name. The body is cut off, has no boundary, or has another form. Nothing was stored that a job names. With curl: `-F file=@handbook.pdf`.",
    },
    Entry {
        code: "BOT-7411",
        kind: Some(FaultKind::Usage),
        title: "the upload is too large",
        explanation: "A file, all files together, or their number is over the limit that the message names. The server stops reading there, and no job was made. Split the upload, or run `botops knowledge import` beside the store.",
    },
    Entry {
        code: "BOT-7412",
        kind: Some(FaultKind::Usage),
        title: "a part of the upload cannot be used",
        explanation: "A part has no file name, one that is no plain relative name, the name of another part, or no content. Nothing was stored that a job names.",
    },
    Entry {
        code: "BOT-7413",
        kind: Some(FaultKind::Usage),
        title: "the server has no store for documents",
        explanation: "Uploads and jobs need the store of a registry. This server serves a model file. Register the model with `botops push`, and start the server with its name.",
    },
    Entry {
        code: "BOT-7414",
        kind: Some(FaultKind::Usage),
        title: "the kind of file is not supported",
        explanation: "The kind is decided by the content of a file, not by its name. Documents are Markdown, HTML, plain text, PDF, DOCX, and CSV or JSON Lines with questions and answers. Nothing was stored that a job names.",
    },
    Entry {
        code: "BOT-7415",
        kind: Some(FaultKind::Policy),
        title: "a job of a newer format",
        explanation: "A newer server wrote the order of the job. Nothing was changed. Update all servers of the store to that version, then run `botops jobs retry`.",
    },
    Entry {
        code: "BOT-7416",
        kind: Some(FaultKind::Gate),
        title: "an uploaded file is no longer stored",
        explanation: "The job names a file whose bytes were erased or lost before they were indexed. Nothing was changed. Upload the file again.",
    },
    Entry {
        code: "BOT-7417",
        kind: Some(FaultKind::Usage),
        title: "no such document",
        explanation: "The newest version of the knowledge base has no file of this name. Names are paths with `/`, written as `%2F` in a URL.",
    },
    Entry {
        code: "BOT-7418",
        kind: Some(FaultKind::Usage),
        title: "channels without an identity key",
        explanation: "Messages, persons and conversations of channels are named in the store by a keyed digest, so that the store does not show who wrote. The key is `secrets.identity_key` of botops.yaml or BOTOPS_IDENTITY_KEY, the same for all servers of the environment.",
    },
];
