//! 72xx: knowledge, its index and its evaluation.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7200",
        kind: Some(FaultKind::Gate),
        title: "not a knowledge file",
        explanation: "The file is empty, or does not begin as a knowledge file does. Import the documents into a knowledge base, or name the file that `botops knowledge pull` wrote.",
    },
    Entry {
        code: "BOT-7201",
        kind: Some(FaultKind::Gate),
        title: "the knowledge file is cut short or altered",
        explanation: "The digest at the end of the file does not match its contents. Copy the file again, or build it again from its documents.",
    },
    Entry {
        code: "BOT-7202",
        kind: Some(FaultKind::Gate),
        title: "the knowledge file is inconsistent",
        explanation: "The digest of the file matches, but a length, an offset or a number in it contradicts another. No version of botops wrote it. Build it again from its documents.",
    },
    Entry {
        code: "BOT-7203",
        kind: Some(FaultKind::Policy),
        title: "the knowledge file has a newer format",
        explanation: "A newer botops wrote the file. Upgrade botops, or build the file again with this version.",
    },
    Entry {
        code: "BOT-7204",
        kind: Some(FaultKind::Gate),
        title: "the encoder does not fit the knowledge",
        explanation: "An index has the vectors of one encoder, and a question must be embedded by the same one: its digest and its number of dimensions must match. Build the index again with the encoder, or use the one in the file.",
    },
    Entry {
        code: "BOT-7205",
        kind: Some(FaultKind::Gate),
        title: "two documents have one name",
        explanation: "Each document of a knowledge base has a name of its own, which is the identity that updates and sources use. Rename or remove one of the documents.",
    },
    Entry {
        code: "BOT-7206",
        kind: Some(FaultKind::Gate),
        title: "the knowledge is too large",
        explanation: "An index holds up to 4 GiB of text and 1,000,000 passages, and up to 200,000 with an encoder, because a question is compared with each vector. Split the knowledge base, or make larger passages.",
    },
    Entry {
        code: "BOT-7207",
        kind: Some(FaultKind::Usage),
        title: "unfit sizes of passages",
        explanation: "A passage has 16 to 2,000 tokens, and the overlap is at most half of it.",
    },
    Entry {
        code: "BOT-7230",
        kind: Some(FaultKind::Usage),
        title: "no such knowledge base",
        explanation: "The registry has no knowledge base of this name. `botops knowledge import` makes one.",
    },
    Entry {
        code: "BOT-7231",
        kind: Some(FaultKind::Usage),
        title: "no such version of a knowledge base",
        explanation: "The knowledge base has no version of this number or digest. `botops knowledge log` lists those that it has.",
    },
    Entry {
        code: "BOT-7232",
        kind: Some(FaultKind::Usage),
        title: "unfit name of a knowledge base",
        explanation: "A name has lowercase letters, digits, `-` and `_`, and begins with a letter or a digit, such as `help`.",
    },
    Entry {
        code: "BOT-7233",
        kind: Some(FaultKind::Usage),
        title: "nothing to import",
        explanation: "No file was named, or the folder holds none that is not hidden.",
    },
    Entry {
        code: "BOT-7234",
        kind: Some(FaultKind::Conflict),
        title: "the knowledge base changed meanwhile",
        explanation: "Another import was recorded first. Nothing was changed by this one. Run it again: it then applies to the newer version.",
    },
    Entry {
        code: "BOT-7235",
        kind: Some(FaultKind::Gate),
        title: "a version of a knowledge base is damaged",
        explanation: "A blob of the version is missing or does not match its digest. Restore it from a backup, or import the documents again.",
    },
    Entry {
        code: "BOT-7236",
        kind: Some(FaultKind::Policy),
        title: "a knowledge base of a newer format",
        explanation: "A newer botops wrote the version. Install that version of botops, or a newer one.",
    },
    Entry {
        code: "BOT-7237",
        kind: Some(FaultKind::Gate),
        title: "documents that cannot be imported",
        explanation: "Some files cannot be read; the findings name each. Nothing was imported. Repair or remove them, or leave them out with `--skip-unreadable`.",
    },
    Entry {
        code: "BOT-7238",
        kind: Some(FaultKind::Gate),
        title: "a document that was left out",
        explanation: "A file could not be read, and `--skip-unreadable` leaves it out.",
    },
    Entry {
        code: "BOT-7239",
        kind: Some(FaultKind::Usage),
        title: "an unfit list of addresses",
        explanation: "Each line of the file holds one address that begins with `https://` or `http://`. Addresses of private networks are refused unless `--allow-private` names the network.",
    },
    Entry {
        code: "BOT-7240",
        kind: Some(FaultKind::Unreachable),
        title: "a document cannot be fetched",
        explanation: "The server of the address does not answer, or answers with an error. Nothing was imported. Try again later, or remove the address from the list.",
    },
    Entry {
        code: "BOT-7241",
        kind: Some(FaultKind::Usage),
        title: "a file that would lie outside of the folder",
        explanation: "The name of a document leads out of the folder that documents are written to. Nothing was written.",
    },
    Entry {
        code: "BOT-7260",
        kind: Some(FaultKind::Gate),
        title: "the questions cannot be read",
        explanation: "A question file is JSONL with one question a line, or one JSON document in the format of SQuAD. Each question has an id of its own, a text, and a known truth: accepted answers, the documents or chunks that answer, the text of the passage, or that it has no answer. Correct the line that the message names.",
    },
    Entry {
        code: "BOT-7261",
        kind: Some(FaultKind::Insufficient),
        title: "too few questions to evaluate knowledge",
        explanation: "A metric of fewer than 10 questions says next to nothing. Write more questions; 100 or more give useful intervals.",
    },
    Entry {
        code: "BOT-7262",
        kind: None,
        title: "a question names a document that the knowledge does not have",
        explanation: "The document of the question is not in the index, so the question counts as missed. Import the document, or correct its id in the question file.",
    },
    Entry {
        code: "BOT-7263",
        kind: None,
        title: "a question is asked twice",
        explanation: "Two questions of the file are the same after folding, in one language. Each counts, so that the metrics weigh it twice. Remove one, or join their documents and answers.",
    },
    Entry {
        code: "BOT-7264",
        kind: Some(FaultKind::Usage),
        title: "two indexes were asked other questions",
        explanation: "A paired comparison needs both indexes on the same questions. Ask both the same file.",
    },
    Entry {
        code: "BOT-7265",
        kind: Some(FaultKind::Usage),
        title: "a version has knowledge, and nothing judges it",
        explanation: "Evidence is about a model and its knowledge together. Give the questions and rules on their metrics, such as `knowledge: {recall_at_5: {min: 0.9}}`, when a version with knowledge is gated or pushed.",
    },
];
