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
];
