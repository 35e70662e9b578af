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
        title: "not a reference to a knowledge base",
        explanation: "A version of a knowledge base is named `help@3`, `help@latest` or `help@sha256:…`. A bare name means the newest version.",
    },
    Entry {
        code: "BOT-7231",
        kind: Some(FaultKind::Usage),
        title: "an invalid name of a knowledge base",
        explanation: "The name has up to 64 lowercase letters, digits, `-` and `_`, and begins with a letter or a digit.",
    },
    Entry {
        code: "BOT-7232",
        kind: Some(FaultKind::Usage),
        title: "no such knowledge base",
        explanation: "The registry in force has no knowledge base of this name. `botops knowledge log` lists them.",
    },
    Entry {
        code: "BOT-7233",
        kind: Some(FaultKind::Usage),
        title: "no such version of a knowledge base",
        explanation: "The knowledge base has no version of this number or digest. `botops knowledge log NAME` lists its versions.",
    },
    Entry {
        code: "BOT-7234",
        kind: Some(FaultKind::Gate),
        title: "documents cannot be read",
        explanation: "Each unreadable file is a finding with its own code. Nothing was imported, so the knowledge base is as it was. Repair the files, or leave them out with `--skip-unreadable`.",
    },
    Entry {
        code: "BOT-7235",
        kind: Some(FaultKind::Usage),
        title: "files that cannot be imported",
        explanation: "A symbolic link, a device, a name that some systems cannot write, two files of one name, or a folder without files. All of them are listed. Hidden files are skipped.",
    },
    Entry {
        code: "BOT-7236",
        kind: Some(FaultKind::Conflict),
        title: "another import was first",
        explanation: "Somebody else imported into the knowledge base while this import ran. An import that replaces the files is refused, because it does not know the newer version. With `--merge`, the files are added to the newer version.",
    },
    Entry {
        code: "BOT-7237",
        kind: Some(FaultKind::Gate),
        title: "too many documents, or none",
        explanation: "A knowledge base has at least one file with text, and at most 100,000 files. One import holds its files in memory, 2 GiB at most.",
    },
    Entry {
        code: "BOT-7238",
        kind: None,
        title: "an erased document is left out",
        explanation: "The bytes of the file were erased by `botops registry forget`, and are not stored again. Remove the erased words from the file, and import it again.",
    },
    Entry {
        code: "BOT-7239",
        kind: Some(FaultKind::Usage),
        title: "the encoder of a knowledge base is gone",
        explanation: "An import without `--encoder` takes the encoder of the version before from its index; if that index is gone, the encoder must be named again.",
    },
    Entry {
        code: "BOT-7240",
        kind: Some(FaultKind::Usage),
        title: "an invalid list of addresses",
        explanation: "The file of `--urls` has one http or https address a line. Empty lines and lines that begin with `#` are skipped. It has at most 10,000 addresses.",
    },
    Entry {
        code: "BOT-7241",
        kind: Some(FaultKind::Policy),
        title: "an address that is not fetched",
        explanation: "Addresses are fetched only from the hosts of the list, also after redirects, and never from private, loopback or link-local addresses, so that a list cannot reach servers behind your firewall. `--allow-private` permits those.",
    },
    Entry {
        code: "BOT-7242",
        kind: Some(FaultKind::Unreachable),
        title: "an address does not answer",
        explanation: "The server cannot be reached, does not answer in time, or answers with an error. Nothing was imported.",
    },
    Entry {
        code: "BOT-7243",
        kind: Some(FaultKind::Gate),
        title: "an address has no document",
        explanation: "The server answers with too many redirects, with more bytes than a document may have, or with another type than its content. Nothing was imported.",
    },
    Entry {
        code: "BOT-7244",
        kind: Some(FaultKind::Usage),
        title: "documents cannot be written there",
        explanation: "`botops knowledge pull --documents` writes into a folder of its own and never outside of it. Files that exist are replaced only with `--force`.",
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
