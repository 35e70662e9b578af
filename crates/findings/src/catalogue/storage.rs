//! 513x: the upkeep of a store: erased blobs, sweeps, mirrors, repairs, encryption at rest.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-5130",
        kind: Some(FaultKind::Policy),
        title: "a blob was erased",
        explanation: "The file held an utterance that somebody asked to erase, or belongs to a version that was erased, so `botops registry forget` removed it for good. `botops registry verify` lists it as erased, not as missing. It cannot be restored: use another version, or train a new one without the utterance.",
    },
    Entry {
        code: "BOT-5131",
        kind: Some(FaultKind::Policy),
        title: "an erased blob is not stored again",
        explanation: "The file that is to be stored has the same bytes as one that `botops registry forget` erased, so it holds the erased utterance. It is refused, also in a repair, in a mirror and in a push. Remove the utterance from the data, then train and push again.",
    },
    Entry {
        code: "BOT-5132",
        kind: Some(FaultKind::Policy),
        title: "files of a version were erased",
        explanation: "`botops registry forget` erased files of the version. Without its model or its gate report, it is not promoted, gets no traffic, and `latest` passes it over. If only other files were erased, such as an evaluation, it can still be served. The log of the model says who erased them, when and why. Nothing takes it back: train without the erased utterance, and push.",
    },
    Entry {
        code: "BOT-5133",
        kind: Some(FaultKind::Gate),
        title: "an erased blob is still stored",
        explanation: "`botops registry forget` marked the blob as erased and was interrupted before it removed it. Run it again, or remove the blob with `botops registry gc --apply`, which needs no grace period for it.",
    },
    Entry {
        code: "BOT-5135",
        kind: Some(FaultKind::Policy),
        title: "the store holds an unknown folder",
        explanation: "A sweep of the registry keeps every blob that an object of the store names. The store holds a folder that this botops does not know, so that its references to blobs are unknown: a newer botops wrote it, or another program. Nothing was removed. Move the folder out of the store, or use the botops that wrote it.",
    },
    Entry {
        code: "BOT-5136",
        kind: Some(FaultKind::Gate),
        title: "the references of an object are unknown",
        explanation: "A sweep of the registry keeps every blob that an object of the store names. An object is damaged, or a manifest that a log names is missing or damaged, so that the blobs that it names are unknown. Nothing was removed. Find the problem with `botops registry verify`, then restore the object from a backup, or with `botops registry verify --repair --from LOCATION`.",
    },
    Entry {
        code: "BOT-5137",
        kind: Some(FaultKind::Usage),
        title: "not a plan of a sweep",
        explanation: "`botops registry gc --apply FILE` carries out the plan that `botops registry gc --plan FILE` wrote. The file is not such a plan. Nothing was removed.",
    },
    Entry {
        code: "BOT-5138",
        kind: Some(FaultKind::Usage),
        title: "the plan is of another store",
        explanation: "The plan of a sweep names the store that it was made for, and the registry in force is another one. Nothing was removed. Name the registry with `--registry LOCATION`, or make a new plan.",
    },
    Entry {
        code: "BOT-5139",
        kind: Some(FaultKind::Usage),
        title: "contradicting settings of encryption at rest",
        explanation: "`AWS_SERVER_SIDE_ENCRYPTION` is `AES256` (SSE-S3), `aws:kms` or `aws:kms:dsse` (SSE-KMS, with the key in `AWS_SSE_KMS_KEY_ID`, or else the key of the bucket), or `sse-c` (with the key in `AWS_SSE_CUSTOMER_KEY_BASE64`). Another value, a missing key, or a key that the kind does not use is refused, because objects would be stored in another way than you believe.",
    },
    Entry {
        code: "BOT-5140",
        kind: Some(FaultKind::Usage),
        title: "an utterance cannot be searched for",
        explanation: "`botops registry forget --utterances FILE` reads one utterance a line. There is none, or one has fewer than 8 letters and digits, so that it would be found inside of many others, or more than 16 KiB. The message names the line, and never the utterance. `--force` searches for short ones.",
    },
    Entry {
        code: "BOT-5141",
        kind: Some(FaultKind::Policy),
        title: "a manifest holds the utterance",
        explanation: "The manifest of a version holds the utterance that is to be erased: as the name of an intent, a param or the name of its creator. Logs name manifests, so that they are not erased. Nothing was erased. Look at the version with `botops registry show`, and search for a longer utterance.",
    },
    Entry {
        code: "BOT-5142",
        kind: Some(FaultKind::Policy),
        title: "another version has the same file",
        explanation: "A version that is to be erased has a file in common with another one, which would lose it as well. Nothing was erased. Name the other versions, too, if they are to be erased.",
    },
    Entry {
        code: "BOT-5143",
        kind: Some(FaultKind::Policy),
        title: "a champion would be erased",
        explanation: "The model or the gate report of a champion holds the utterance. Servers that run keep the model in memory, but one that starts later finds none. Nothing was erased. Train without the utterance and promote that version, then erase; or erase at once with `--force`.",
    },
    Entry {
        code: "BOT-5144",
        kind: Some(FaultKind::Usage),
        title: "a store cannot be mirrored into itself",
        explanation: "Both locations are the same store, or one is a copy of the files of the other, made by another program, with the identity of the first. Nothing was written. In a copy, remove the folder `probes`: the next write makes a new identity.",
    },
    Entry {
        code: "BOT-5145",
        kind: Some(FaultKind::Internal),
        title: "a file cannot be read",
        explanation: "A file that was named for the upkeep of a store, such as a list of utterances or a pulled model, does not exist or cannot be read. Nothing was changed.",
    },
    Entry {
        code: "BOT-5146",
        kind: Some(FaultKind::Conflict),
        title: "a mirror differs from its store",
        explanation: "An object of the copy has other bytes than that of the store, or a log of the copy has other or more entries. A mirror never overwrites: the object stays as it is, and everything that does not depend on it was copied. Somebody writes to the copy, or copied another store into it. Find out who does, then mirror into an empty store.",
    },
    Entry {
        code: "BOT-5147",
        kind: Some(FaultKind::Usage),
        title: "a store cannot be mirrored there",
        explanation: "`botops registry mirror FROM TO` copies a store into another one. Either the two are in each other, so that the copy would be a part of the store and be lost with it, or there is nothing in the store: its location is misspelled, or its disk is not mounted. Nothing was written.",
    },
];
