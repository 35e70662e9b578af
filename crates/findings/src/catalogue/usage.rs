//! 1xxx: usage and configuration.

use super::Entry;
use crate::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1001",
        kind: Some(FaultKind::Usage),
        title: "a file cannot be read",
        explanation: "The path does not exist, is a directory, or may not be read. Check the path and its permissions.",
    },
    Entry {
        code: "BOT-1002",
        kind: Some(FaultKind::Internal),
        title: "a file cannot be written",
        explanation: "The folder is not there, cannot be made, is read-only, or the disk is full. Nothing was left half written: the file is as it was before. Free some space or name another path.",
    },
    Entry {
        code: "BOT-1003",
        kind: Some(FaultKind::Usage),
        title: "a command line cannot be understood",
        explanation: "An argument is missing, unknown, of the wrong form, or contradicts another. `botops help VERB` lists what a verb takes; a first argument is a model only when it is a `.botops` file or a reference such as `support@2`.",
    },
    Entry {
        code: "BOT-1004",
        kind: Some(FaultKind::Usage),
        title: "`SOURCE_DATE_EPOCH` is not a time",
        explanation: "When set, it is the number of seconds since 1970 that is written as the time, so that what is written can be reproduced. Unset it to use the clock.",
    },
    Entry {
        code: "BOT-1005",
        kind: Some(FaultKind::Usage),
        title: "no model was named",
        explanation: "The verb needs a model: a `.botops` file, a registry reference such as `support@champion`, or, for a whole workspace, `model: support` in botops.yaml (or `BOTOPS_MODEL`).",
    },
    Entry {
        code: "BOT-1006",
        kind: Some(FaultKind::Usage),
        title: "a code is not one of botops",
        explanation: "Codes look like BOT-2107. `botops explain` without one lists them all.",
    },
    Entry {
        code: "BOT-1007",
        kind: Some(FaultKind::Usage),
        title: "something that cannot be tried without doing it",
        explanation: "`--dry-run` shows what would happen and changes nothing. A promotion through a server has no such form; a rehearsal on recorded traffic is the way to try it.",
    },
    Entry {
        code: "BOT-1010",
        kind: Some(FaultKind::Usage),
        title: "a YAML file is malformed",
        explanation: "The file cannot be read as YAML at the line and column shown. The usual causes are a tab used to indent, a bracket or quote never closed, and a text with `: ` or a leading `@`, `*`, `{` or `[` that needs quotes.",
    },
    Entry {
        code: "BOT-1011",
        kind: Some(FaultKind::Usage),
        title: "a configuration key is unknown",
        explanation: "A key that is not known is refused, because a misspelled setting would otherwise be silently ignored. The hint names the nearest known key, or all of them.",
    },
    Entry {
        code: "BOT-1012",
        kind: Some(FaultKind::Usage),
        title: "a configuration value cannot be used",
        explanation: "The value at the key shown has another type than the one wanted, or is outside what is allowed. Only `true` and `false` are booleans; `yes`, `no`, `on` and `off` are texts.",
    },
    Entry {
        code: "BOT-1013",
        kind: Some(FaultKind::Usage),
        title: "a configuration key is missing",
        explanation: "A key that has no default is not there. Add it to the block shown.",
    },
    Entry {
        code: "BOT-1014",
        kind: Some(FaultKind::Usage),
        title: "a configuration key is written twice",
        explanation: "The same key stands twice in one block, and it is not clear which value is meant. Keep one of them.",
    },
    Entry {
        code: "BOT-1015",
        kind: Some(FaultKind::Policy),
        title: "a configuration file is of a newer format",
        explanation: "Its `version` is newer than this program knows, so its keys may mean something else. Use a newer botops. Older versions are always read.",
    },
    Entry {
        code: "BOT-1016",
        kind: Some(FaultKind::Usage),
        title: "the output is not a file",
        explanation: "The path to write to is a directory, or has no file name. Name a file.",
    },
    Entry {
        code: "BOT-1017",
        kind: Some(FaultKind::Internal),
        title: "a file could not be read",
        explanation: "The system refused to read a file that is there: a permission, or a fault of the disk or of the pipe behind standard input. The message holds the reason.",
    },
    Entry {
        code: "BOT-1018",
        kind: Some(FaultKind::Internal),
        title: "the HTTP client could not be created",
        explanation: "The root certificates of the system cannot be read, so no HTTPS connection can be checked. Install the package of CA certificates.",
    },
    Entry {
        code: "BOT-1019",
        kind: Some(FaultKind::Internal),
        title: "a value could not be written as YAML",
        explanation: "This is a bug of botops: please report it with the command that you ran.",
    },
    Entry {
        code: "BOT-1020",
        kind: Some(FaultKind::Usage),
        title: "a profile is not declared",
        explanation: "`--profile` or `BOTOPS_PROFILE` names a profile that `botops.yaml` does not have under `profiles:`. The hint names the nearest one, or all of them.",
    },
    Entry {
        code: "BOT-1021",
        kind: Some(FaultKind::Usage),
        title: "a secret is not given by a reference that resolves",
        explanation: "A secret never stands in `botops.yaml` itself: write `${env:NAME}` to take it from the environment or `${file:PATH}` to read it from a file, and see that the variable is set or the file is there.",
    },
    Entry {
        code: "BOT-1022",
        kind: Some(FaultKind::Usage),
        title: "a server address is not a URL",
        explanation: "A server is named by an `http://` or `https://` URL with a host, such as `http://127.0.0.1:8081`. A password in it would end up in logs: give the token as `server.admin_token`.",
    },
    Entry {
        code: "BOT-1030",
        kind: Some(FaultKind::Usage),
        title: "an entity pattern or a response template is wrong",
        explanation: "An entity is a regular expression that compiles. A template names entities in braces, `{order_number}`, with what to say without one after a bar, `{order_number|your order}`; a brace that is meant as such is doubled.",
    },
    Entry {
        code: "BOT-9001",
        kind: Some(FaultKind::Internal),
        title: "a bug in botops, or a system that refuses the basics",
        explanation: "Nothing that you did should lead here. The line beginning with `bug` says where it happened; please report it with the command. What was being written is complete or absent, as always.",
    },
    Entry {
        code: "BOT-1008",
        kind: Some(FaultKind::Internal),
        title: "the answer cannot be written",
        explanation: "Standard output refused the answer, because the disk it goes to is full for instance. The work itself may be done: look before running it again. A pipe that was closed by its reader is no error.",
    },
    Entry {
        code: "BOT-1009",
        kind: Some(FaultKind::Usage),
        title: "an output that is also an input or another output",
        explanation: "The file to be written is one of those that are read, also by way of a link, or two outputs would go to one file. Nothing was written; name another file.",
    },
];
