//! Codes of stored conversations: part of 61xx.

use super::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6115",
        kind: Some(FaultKind::Usage),
        title: "the store of conversations cannot be used",
        explanation: "`conversations.store` in botops.yaml is the path of a folder, a `postgres://` or a `redis://` URL, or `memory` for tests. A URL with a password is a secret: write it as `${env:NAME}` or `${file:PATH}`. `botops db` is for stores with tables, which are SQLite and PostgreSQL.",
    },
    Entry {
        code: "BOT-6116",
        kind: Some(FaultKind::Unreachable),
        title: "the store of conversations cannot be reached",
        explanation: "The database did not answer, or answered that it cannot serve now. Whether a write under way was stored is not known; a client repeats its message with the same `message_id`, and it counts once. `conversations.on_store_failure` says whether the server answers meanwhile.",
    },
    Entry {
        code: "BOT-6117",
        kind: Some(FaultKind::Usage),
        title: "the data key cannot be used",
        explanation: "`secrets.data_key` is `ID:BASE64`, 32 random bytes with an id of your choice, such as `2026a:` and the output of `openssl rand -base64 32`. To replace it, write the new one in front of the old one with a comma between, run `botops conversations rewrap`, and then take the old one away. Texts that are stored under a data key cannot be read without it.",
    },
    Entry {
        code: "BOT-6118",
        kind: Some(FaultKind::Policy),
        title: "conversations were stored by a newer botops",
        explanation: "The tables of the store, or a turn in it, have a version that this botops does not know. Nothing was read or written. Use the newer botops; its `botops db rollback` takes the tables back.",
    },
    Entry {
        code: "BOT-6119",
        kind: Some(FaultKind::Usage),
        title: "the store of conversations has no tables, or older ones",
        explanation: "The tables of a database are made and changed by `botops db migrate`, and never by a server, so that several servers do not change them under each other. `botops db status` shows the version. The files of SQLite are made by the server itself.",
    },
    Entry {
        code: "BOT-6120",
        kind: Some(FaultKind::Unreachable),
        title: "the turn could not be stored, so it was not answered",
        explanation: "The server stores a turn before it answers, and its store of conversations failed. Send the message again, with the same `message_id`: if the turn was stored after all, the answer is the one that was stored. With `conversations.on_store_failure: answer` in botops.yaml, the server answers all the same, with the header `x-botops-stored: false`, and the turn is lost. The log of the server says what failed.",
    },
    Entry {
        code: "BOT-6121",
        kind: Some(FaultKind::Conflict),
        title: "a message id was used for another text",
        explanation: "A client names each message of a conversation with an id of its own, so that a repeated request gets the first answer instead of a second turn. This id had named another text. Nothing was stored.",
    },
    Entry {
        code: "BOT-6122",
        kind: Some(FaultKind::Conflict),
        title: "others spoke in this conversation at the same time, again and again",
        explanation: "A turn follows the one before it. While the answer was made, other messages of the same conversation came first, many times; or too many of them wait for their answers at one server. Nothing was stored. Send the message again, with the same `message_id`.",
    },
    Entry {
        code: "BOT-6123",
        kind: Some(FaultKind::Gate),
        title: "a stored turn cannot be read",
        explanation: "The turn or the key of its person was changed, or was stored under another data key of the same id. Restore the store from a backup, or erase the conversation with `botops conversations forget`.",
    },
    Entry {
        code: "BOT-6124",
        kind: Some(FaultKind::Usage),
        title: "a message id or a user id cannot be used",
        explanation: "`message_id` and `user_id` have 1 to 256 bytes. Both belong to a conversation, so that a request with one of them needs a `conversation_id`, and a server that keeps conversations. Nothing was stored.",
    },
    Entry {
        code: "BOT-6125",
        kind: Some(FaultKind::Internal),
        title: "the store of conversations failed",
        explanation: "The store answered with an error that a later try does not heal, such as a full disk, a read-only folder or a missing right. `-v` shows its answer.",
    },
    Entry {
        code: "BOT-6126",
        kind: Some(FaultKind::Usage),
        title: "there are no such conversations",
        explanation: "There is no store in the folder, or no conversation of this name or person in it. `botops conversations list` shows what is stored. Ids are stored as HMACs under `secrets.identity_key`: with another key, nothing is found.",
    },
    Entry {
        code: "BOT-6127",
        kind: Some(FaultKind::Policy),
        title: "a rollback of the tables would erase turns",
        explanation: "The way back to version 0 removes the tables with everything in them. Nothing was changed. Export what is needed with `botops conversations export CONVERSATION`, then add `--force`.",
    },
    Entry {
        code: "BOT-6128",
        kind: Some(FaultKind::Gate),
        title: "a turn is too large to be stored",
        explanation: "A turn with its text, answer, entities and slots may have 256 KiB. A text has at most 5,000 characters, so that only a very long answer or very many slots come near. Nothing was stored.",
    },
    Entry {
        code: "BOT-6129",
        kind: Some(FaultKind::Internal),
        title: "an erasure is done, and not complete",
        explanation: "The turns are erased and nobody reads them any more. But the store did not confirm that nothing of them is left in its files, or the log of erasures does not say that the erasure is done. Run the same command again: it finds nothing to erase, and finishes the rest.",
    },
    Entry {
        code: "BOT-6139",
        kind: Some(FaultKind::Usage),
        title: "a setting of conversations cannot be used",
        explanation: "`conversations.retention` is a time such as `30d`, of at least an hour, and `conversations.on_store_failure` is `refuse` or `answer`. Nothing was started.",
    },
];
