//! 1xxx: usage and configuration.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1001",
        kind: Some(FaultKind::Usage),
        title: "a file cannot be read",
        explanation: "The path does not exist, is a directory, or you lack permission to read it. Check the path and its permissions.",
    },
    Entry {
        code: "BOT-1002",
        kind: Some(FaultKind::Internal),
        title: "a file cannot be written",
        explanation: "The folder does not exist and cannot be created, is read-only, or the disk is full. No partial file was left behind: an existing file is unchanged. Free some space or choose another path.",
    },
    Entry {
        code: "BOT-1003",
        kind: Some(FaultKind::Usage),
        title: "invalid command line",
        explanation: "An argument is missing, unknown, malformed, or contradicts another argument. `botops help VERB` lists the arguments of a command. The first argument is read as a model only if it is a `.botops` file or a reference such as `support@2`.",
    },
    Entry {
        code: "BOT-1004",
        kind: Some(FaultKind::Usage),
        title: "`SOURCE_DATE_EPOCH` is not a time",
        explanation: "If this variable is set, it is the number of seconds since 1970 to record instead of the current time, so that outputs are reproducible. Set it to an integer, or unset it to use the clock.",
    },
    Entry {
        code: "BOT-1005",
        kind: Some(FaultKind::Usage),
        title: "no model was given",
        explanation: "The command needs a model: a `.botops` file or a registry reference such as `support@champion`. To set one for the whole workspace, write `model: support` in botops.yaml or set `BOTOPS_MODEL`.",
    },
    Entry {
        code: "BOT-1006",
        kind: Some(FaultKind::Usage),
        title: "unknown code",
        explanation: "Codes look like BOT-2107. Run `botops explain` without an argument to list all of them.",
    },
    Entry {
        code: "BOT-1007",
        kind: Some(FaultKind::Usage),
        title: "no dry run for this command",
        explanation: "`--dry-run` shows what a command would do without changing anything. A promotion through a server has no dry run. Rehearse the promotion on recorded traffic instead.",
    },
    Entry {
        code: "BOT-1010",
        kind: Some(FaultKind::Usage),
        title: "malformed YAML",
        explanation: "The file is not valid YAML at the given line and column. The usual causes are a tab used for indentation, an unclosed bracket or quote, and an unquoted string that contains `: ` or begins with `@`, `*`, `{` or `[`.",
    },
    Entry {
        code: "BOT-1011",
        kind: Some(FaultKind::Usage),
        title: "unknown configuration key",
        explanation: "Unknown keys are errors, because a misspelled setting would otherwise be ignored silently. The hint names the nearest known key, or lists all of them.",
    },
    Entry {
        code: "BOT-1012",
        kind: Some(FaultKind::Usage),
        title: "invalid configuration value",
        explanation: "The value has the wrong type or is out of range. Only `true` and `false` are booleans: `yes`, `no`, `on` and `off` are strings.",
    },
    Entry {
        code: "BOT-1013",
        kind: Some(FaultKind::Usage),
        title: "missing configuration key",
        explanation: "A required key is missing. Add it to the block shown.",
    },
    Entry {
        code: "BOT-1014",
        kind: Some(FaultKind::Usage),
        title: "duplicate configuration key",
        explanation: "The same key occurs twice in one block, so its value is ambiguous. Remove one of the two.",
    },
    Entry {
        code: "BOT-1015",
        kind: Some(FaultKind::Policy),
        title: "a configuration file has a newer format",
        explanation: "The file's `version` is newer than this botops supports, so its keys may have another meaning. Upgrade botops. Older versions are always supported.",
    },
    Entry {
        code: "BOT-1016",
        kind: Some(FaultKind::Usage),
        title: "the output path is not a file",
        explanation: "The output path is a directory or has no file name. Give the path of a file.",
    },
    Entry {
        code: "BOT-1017",
        kind: Some(FaultKind::Internal),
        title: "reading a file failed",
        explanation: "The file exists, but the operating system reported an error while reading it: a permission, a disk fault, or a fault of the pipe behind standard input. The message contains the reason.",
    },
    Entry {
        code: "BOT-1018",
        kind: Some(FaultKind::Internal),
        title: "the HTTP client cannot be created",
        explanation: "The root certificates of the system cannot be read, so no HTTPS connection can be verified. Install the package of CA certificates of your system.",
    },
    Entry {
        code: "BOT-1019",
        kind: Some(FaultKind::Internal),
        title: "a value cannot be written as YAML",
        explanation: "This is a bug in botops. Please report it with the command that you ran.",
    },
    Entry {
        code: "BOT-1020",
        kind: Some(FaultKind::Usage),
        title: "unknown profile",
        explanation: "`--profile` or `BOTOPS_PROFILE` names a profile that is not declared under `profiles:` in `botops.yaml`. The hint names the nearest profile, or lists all of them.",
    },
    Entry {
        code: "BOT-1021",
        kind: Some(FaultKind::Usage),
        title: "a secret cannot be resolved",
        explanation: "Secrets are never written into `botops.yaml`. Write `${env:NAME}` to read one from the environment, or `${file:PATH}` to read it from a file. Check that the variable is set or that the file exists.",
    },
    Entry {
        code: "BOT-1022",
        kind: Some(FaultKind::Usage),
        title: "a server address is not a URL",
        explanation: "A server address is an `http://` or `https://` URL with a host, such as `http://127.0.0.1:8081`. Do not put a password into the URL, because URLs end up in logs: set `server.admin_token` instead.",
    },
    Entry {
        code: "BOT-1030",
        kind: Some(FaultKind::Usage),
        title: "an entity pattern or response template is invalid",
        explanation: "An entity pattern must be a valid regular expression of at most 8 KiB, and 512 KiB when compiled; there may be 64. A template refers to entities in braces, `{order_number}`; text after a bar is used if the entity is missing, as in `{order_number|your order}`. Write a literal brace twice.",
    },
    Entry {
        code: "BOT-1031",
        kind: Some(FaultKind::Usage),
        title: "an admin token cannot be used",
        explanation: "The token of the admin API has at least 32 characters, all of them visible ASCII or spaces inside the token. A line break at the end is not part of it. Make one with `openssl rand -hex 32`, and set it in `BOTOPS_ADMIN_TOKEN` or, by reference, as `server.admin_token`.",
    },
    Entry {
        code: "BOT-1032",
        kind: Some(FaultKind::Usage),
        title: "a secret would be sent without encryption",
        explanation: "Tokens and passwords are sent over `http://` only to this machine, because everyone between two machines can read them. Use the `https://` address of the server, or a tunnel such as `ssh -L 8081:127.0.0.1:8081 host`. `--insecure` sends them anyway.",
    },
    Entry {
        code: "BOT-1033",
        kind: Some(FaultKind::Usage),
        title: "an output is a symbolic link",
        explanation: "Outputs do not follow links, because the file behind a link may belong to something else. Name that file itself, or another one. With `--force` the link is replaced by the output, and the file behind it stays as it is. Links to pipes and devices, such as `/dev/stdout`, are allowed.",
    },
    Entry {
        code: "BOT-1034",
        kind: Some(FaultKind::Usage),
        title: "an actor or a reason cannot be kept",
        explanation: "The audit trail keeps who changed something, and why, for ever. An actor has at most 256 bytes and no control characters; a reason has at most 4,096 bytes, and may have several lines.",
    },
    Entry {
        code: "BOT-1035",
        kind: Some(FaultKind::Usage),
        title: "a request names another server",
        explanation: "The `Host` of the request is not a name of this server. A web page can give its own name the address of your machine, and a browser would then send it your answers. A server that listens on a loopback address accepts addresses and names without a dot, such as `localhost`; `--allow-host` adds a name, such as that of a proxy. HTTP status 421.",
    },
    Entry {
        code: "BOT-1036",
        kind: Some(FaultKind::Usage),
        title: "the body of a request is not declared as JSON",
        explanation: "A browser sends `text/plain` and forms to other web sites without asking them, so any page could call a server on your machine. Send the header `content-type: application/json`; with curl, add `-H 'content-type: application/json'`. HTTP status 415.",
    },
    Entry {
        code: "BOT-1037",
        kind: Some(FaultKind::Usage),
        title: "a header of a request was sent twice",
        explanation: "`Host`, `Content-Type` and `Authorization` decide how a request is read. With two of them, a proxy may read the first and this server the second, so that a check of the proxy does not hold. Send each once. HTTP status 400.",
    },
    Entry {
        code: "BOT-9001",
        kind: Some(FaultKind::Internal),
        title: "an internal error",
        explanation: "This is a bug in botops, or the operating system refused a basic operation. The line that begins with `bug` says where it happened. Please report it with the command that you ran. Files being written are either complete or absent.",
    },
    Entry {
        code: "BOT-1008",
        kind: Some(FaultKind::Internal),
        title: "the output cannot be written",
        explanation: "Writing to standard output failed, for example because the disk is full. The work itself may have completed, so check before you run the command again. A pipe closed by its reader is not an error.",
    },
    Entry {
        code: "BOT-1009",
        kind: Some(FaultKind::Usage),
        title: "an output file is also an input or another output",
        explanation: "The output path is one of the input files, directly or through a link, or two outputs have the same path. Nothing was written. Choose another path.",
    },
    Entry {
        code: "BOT-1055",
        kind: Some(FaultKind::Usage),
        title: "the name of a model would be classified as an utterance",
        explanation: "The first word of `botops predict` is the model only if it is a `.botops` file or a reference with `@`. This word is neither, but it is, or is nearly, the name of a model, and more words follow. Name the model, such as `support@champion`. A word after the model is always an utterance.",
    },
];
