//! 6xxx: rollout and serving.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6001",
        kind: Some(FaultKind::Usage),
        title: "invalid rollout plan",
        explanation: "A plan needs at least one step, weights that rise and lie above 0 and up to 100 percent, durations such as `30m` or `7d` with each `min_time` within its `deadline`, `alpha` above 0 and up to 0.5, `tolerated_risk` above 1, and at least one metric that gates. The message names the invalid key.",
    },
    Entry {
        code: "BOT-6002",
        kind: Some(FaultKind::Conflict),
        title: "the rollout does not accept this command now",
        explanation: "Each phase accepts only some commands: a paused rollout can be resumed, a ramping one can be paused, and a finished one accepts none. `promote` is refused while the evidence is against the challenger, the traffic split is broken, or observations are stale. Check the phase with `botops rollout status`.",
    },
    Entry {
        code: "BOT-6010",
        kind: Some(FaultKind::Internal),
        title: "the server cannot listen",
        explanation: "Another program uses the address, or this program may not use it. Choose another port with `--listen`, or `:0` for any free port.",
    },
    Entry {
        code: "BOT-6011",
        kind: Some(FaultKind::Gate),
        title: "a model failed its self-test",
        explanation: "A model file contains utterances with the predictions recorded when it was made. Some predictions differ here, or texts generated from its vocabulary get scores that are infinite or not a number, so the model is not served. The file was made by another version of botops, it was altered, or one of the two versions has a bug. Train the model again, or serve another version.",
    },
    Entry {
        code: "BOT-6012",
        kind: Some(FaultKind::Usage),
        title: "a request body is not JSON",
        explanation: "The server could not parse the body as JSON. The message gives the line and column. Send UTF-8 JSON, such as `{\"text\": \"where is my parcel?\"}`.",
    },
    Entry {
        code: "BOT-6013",
        kind: Some(FaultKind::Usage),
        title: "a request body has the wrong fields",
        explanation: "The JSON lacks a required field, has an unknown field, or has a field of the wrong type. `POST /v1/predict` takes `text` or `texts`, and optionally `conversation_id` and `top_k`; `/v1/chat` takes `text`, `conversation_id`, `language`; `/v1/feedback` takes `intent` and either `request_id` or `conversation_id`.",
    },
    Entry {
        code: "BOT-6014",
        kind: Some(FaultKind::Usage),
        title: "a request is too large",
        explanation: "A body may have at most 64 KiB, and `texts` at most 1,024 texts of 65,536 characters together after normalization (NFKC). Send fewer texts per request.",
    },
    Entry {
        code: "BOT-6015",
        kind: Some(FaultKind::Usage),
        title: "a text is empty or too long",
        explanation: "A text must have at least one character that is not white space, and at most 5,000 characters, as sent and after normalization (NFKC), which makes up to 18 characters of one. Shorten the text or split it.",
    },
    Entry {
        code: "BOT-6016",
        kind: Some(FaultKind::Usage),
        title: "unknown path",
        explanation: "The public listener serves `/v1/predict`, `/v1/chat`, `/v1/feedback`, `/health`, `/readiness` and `/metrics`. The admin listener serves `/admin/v1/...`.",
    },
    Entry {
        code: "BOT-6017",
        kind: Some(FaultKind::Usage),
        title: "a path does not support this method",
        explanation: "Use POST for predictions, messages, feedback and commands, and GET for everything else.",
    },
    Entry {
        code: "BOT-6018",
        kind: Some(FaultKind::Internal),
        title: "the server failed",
        explanation: "An internal error occurred: a bug in botops, or the machine is out of resources. One request failed, and the server continues. If it happens again, report it with the request id.",
    },
    Entry {
        code: "BOT-6019",
        kind: Some(FaultKind::Unreachable),
        title: "the server is not ready yet",
        explanation: "The model is still being loaded and tested. Send no traffic until `/readiness` answers with status 200.",
    },
    Entry {
        code: "BOT-6020",
        kind: Some(FaultKind::Insufficient),
        title: "no traffic to rehearse with",
        explanation: "A rehearsed promotion replays recorded traffic, and the file contains none. Name a file of messages in JSON lines, with `at`, `conversation_id`, `text` and, if known, `truth`.",
    },
    Entry {
        code: "BOT-6022",
        kind: Some(FaultKind::Conflict),
        title: "the rollout changed in the meantime",
        explanation: "The command named a revision in `If-Match`, and the rollout has a newer revision now. Read the rollout again before you decide.",
    },
    Entry {
        code: "BOT-6023",
        kind: Some(FaultKind::Conflict),
        title: "this server has no rollouts",
        explanation: "A server started with a model file or a pinned version serves only that model. Serve the champion of a registry to roll out versions.",
    },
    Entry {
        code: "BOT-6024",
        kind: Some(FaultKind::Usage),
        title: "no earlier champion",
        explanation: "The model never had another champion to return to. Former champions with the same model file do not count, because a return to one would change nothing. Nothing was changed.",
    },
    Entry {
        code: "BOT-6026",
        kind: Some(FaultKind::Conflict),
        title: "another writer controls this traffic",
        explanation: "Another server or person changed the deployment log or the champion while this server was acting. This server sends no more traffic to its challenger, and is second from now on. It takes over again when the other writer has given no sign of life for 15 seconds.",
    },
    Entry {
        code: "BOT-6030",
        kind: Some(FaultKind::Usage),
        title: "an address or token is missing or malformed",
        explanation: "The admin API needs a URL such as `http://127.0.0.1:8081` and a bearer token, set in `BOTOPS_ADMIN_TOKEN` or by reference in `botops.yaml`. Recorded traffic is replayed at the public address.",
    },
    Entry {
        code: "BOT-6031",
        kind: Some(FaultKind::Unreachable),
        title: "the server cannot be reached",
        explanation: "Nothing answered at the address in time. This command changed nothing, so it is safe to run it again.",
    },
    Entry {
        code: "BOT-6032",
        kind: Some(FaultKind::Conflict),
        title: "another rollout is in progress",
        explanation: "A model has at most one rollout at a time. Wait for it to finish, or end it with `botops rollout abort`.",
    },
    Entry {
        code: "BOT-6033",
        kind: Some(FaultKind::Policy),
        title: "the token was refused",
        explanation: "The admin API requires the bearer token that its server was started with. Set `BOTOPS_ADMIN_TOKEN` to it.",
    },
    Entry {
        code: "BOT-6034",
        kind: Some(FaultKind::Usage),
        title: "no such rollout",
        explanation: "The server has had no rollout, or none with this id. Start one with `botops promote`.",
    },
    Entry {
        code: "BOT-6035",
        kind: Some(FaultKind::Internal),
        title: "unexpected answer from a server",
        explanation: "The address is not that of a botops admin API, or the server runs another version of botops.",
    },
    Entry {
        code: "BOT-6036",
        kind: Some(FaultKind::Usage),
        title: "this server serves another model",
        explanation: "A server serves one model of a registry. Name that model, or the address of another server.",
    },
    Entry {
        code: "BOT-6037",
        kind: Some(FaultKind::Conflict),
        title: "the version is already the champion",
        explanation: "The requested version already serves all traffic, or it is another registration of the same model file, so there is nothing to roll out.",
    },
    Entry {
        code: "BOT-6038",
        kind: Some(FaultKind::Usage),
        title: "no server was given",
        explanation: "Rollouts are controlled through the admin API of a server. Set `server.admin_url` in botops.yaml, or the variable `BOTOPS_ADMIN_URL`.",
    },
    Entry {
        code: "BOT-6040",
        kind: Some(FaultKind::Insufficient),
        title: "the rollout has not finished",
        explanation: "The time given with `--timeout` ended before the rollout did. The server continues the rollout by itself. Follow it with `botops rollout status`.",
    },
    Entry {
        code: "BOT-6041",
        kind: Some(FaultKind::Usage),
        title: "invalid query in a URL",
        explanation: "A request that changes something has a query with an unknown key or value. A key that is misspelt, such as `?dryrun=true`, would otherwise cause the change that it was meant to prevent. The admin API takes `dry_run=true` or `dry_run=false`, and `/v1/feedback` takes no query. Nothing was changed.",
    },
    Entry {
        code: "BOT-6042",
        kind: Some(FaultKind::Conflict),
        title: "a server drives a rollout of the model",
        explanation: "The deployment log has an open rollout of this model, so a server decides which versions get its traffic. It would not follow a move of `champion` until that rollout ends. Nothing was changed. Send the request to the admin API of that server: set `server.admin_url` in botops.yaml, or the variable `BOTOPS_ADMIN_URL`, and run the command again. If the server no longer runs, start it again: it resumes the rollout.",
    },
    Entry {
        code: "BOT-6060",
        kind: Some(FaultKind::Unreachable),
        title: "in effect, but not yet durable",
        explanation: "The server acted on the command at once, but its store cannot record it: the store is full or does not answer. The server keeps trying. If the server is killed before it succeeds, its next start continues at the last recorded state, so the change is lost. Repair the store, then look at the rollout with `botops rollout status`.",
    },
    Entry {
        code: "BOT-6061",
        kind: Some(FaultKind::Conflict),
        title: "this server is second",
        explanation: "Another server of the same model and environment controls its rollouts. This one serves the champion only, and takes over when the other one has stopped or has given no sign of life for 15 seconds. Send the command to the first server.",
    },
    Entry {
        code: "BOT-6062",
        kind: Some(FaultKind::Unreachable),
        title: "the store vanished",
        explanation: "The folder of the store is gone, or another one is in its place, such as the empty folder under a disk that is not mounted. It is not created again, because that would start a second history. Nothing was written. Mount the disk or restore the folder, then run the command again.",
    },
];
