//! 6xxx: rollout and serving.

use super::Entry;
use crate::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6001",
        kind: Some(FaultKind::Usage),
        title: "a rollout plan does not hold together",
        explanation: "A plan needs at least one step, weights that rise above 0 up to 100 percent, durations such as `30m` or `7d` with each `min_time` within its `deadline`, `alpha` above 0 and up to 0.5, `tolerated_risk` above 1, and at least one metric that gates. The key that is wrong is named.",
    },
    Entry {
        code: "BOT-6002",
        kind: Some(FaultKind::Conflict),
        title: "the rollout does not take this command now",
        explanation: "Each phase takes only some commands: a paused rollout can be resumed, one that is ramping can be paused, and one that is over takes none. `promote` is refused while the evidence says worse, the traffic split is broken, or observations are stale. See where it stands with `botops rollout status`.",
    },
    Entry {
        code: "BOT-6010",
        kind: Some(FaultKind::Internal),
        title: "the server cannot listen",
        explanation: "The address is in use by another program, or may not be used by this one. Choose another port with `--listen`, or `:0` for any that is free.",
    },
    Entry {
        code: "BOT-6011",
        kind: Some(FaultKind::Gate),
        title: "a model failed its golden self-test",
        explanation: "A model file carries utterances with the answers it gave when it was made. It answers some of them otherwise here, so it is not served. The file was made by another version of botops, or one of the two has a bug: train the model again, or serve another version.",
    },
    Entry {
        code: "BOT-6012",
        kind: Some(FaultKind::Usage),
        title: "the body of a request is not JSON",
        explanation: "The server could not read the body as JSON. The message names line and column. Send UTF-8 JSON, such as `{\"text\": \"where is my parcel?\"}`.",
    },
    Entry {
        code: "BOT-6013",
        kind: Some(FaultKind::Usage),
        title: "the body of a request has another shape",
        explanation: "The JSON lacks a field, has one that is not known, or one of another type. `POST /v1/predict` takes `text` or `texts`, and optionally `conversation_id` and `top_k`; `/v1/chat` takes `text`, `conversation_id`, `language`; `/v1/feedback` takes `intent` and one of `request_id` and `conversation_id`.",
    },
    Entry {
        code: "BOT-6014",
        kind: Some(FaultKind::Usage),
        title: "a request is too large",
        explanation: "A body has at most 64 KiB, and `texts` at most 1,024 texts. Send fewer texts a request.",
    },
    Entry {
        code: "BOT-6015",
        kind: Some(FaultKind::Usage),
        title: "a text is empty or too long",
        explanation: "A text to be understood has at least one character that is not white space, and at most 5,000 characters.",
    },
    Entry {
        code: "BOT-6016",
        kind: Some(FaultKind::Usage),
        title: "there is nothing at this path",
        explanation: "The public listener serves `/v1/predict`, `/v1/chat`, `/v1/feedback`, `/health`, `/readiness` and `/metrics`; the admin listener serves `/admin/v1/...`.",
    },
    Entry {
        code: "BOT-6017",
        kind: Some(FaultKind::Usage),
        title: "a path does not take this method",
        explanation: "Predictions, messages, feedback and commands are sent with POST; everything else is read with GET.",
    },
    Entry {
        code: "BOT-6018",
        kind: Some(FaultKind::Internal),
        title: "the server failed",
        explanation: "Something went wrong inside botops: a bug, or a machine out of resources. One request failed; the server goes on. Report it with the request id when it stays.",
    },
    Entry {
        code: "BOT-6019",
        kind: Some(FaultKind::Unreachable),
        title: "the server is not ready yet",
        explanation: "The model is still being loaded and tested. `/readiness` answers 200 when it serves; send no traffic before.",
    },
    Entry {
        code: "BOT-6020",
        kind: Some(FaultKind::Insufficient),
        title: "there is no traffic to rehearse with",
        explanation: "A rehearsed promotion replays recorded traffic, and the file holds none. Name a file with messages: JSON lines with `at`, `conversation_id`, `text` and, where known, `truth`.",
    },
    Entry {
        code: "BOT-6022",
        kind: Some(FaultKind::Conflict),
        title: "a rollout moved on meanwhile",
        explanation: "A command named the revision it was meant for with `If-Match`, and the rollout is at another one by now. Read it again, then decide again.",
    },
    Entry {
        code: "BOT-6023",
        kind: Some(FaultKind::Conflict),
        title: "this server has no rollouts",
        explanation: "A server of one model file, or of one pinned version, serves that and nothing else. Serve the champion of a registry to roll versions out.",
    },
    Entry {
        code: "BOT-6024",
        kind: Some(FaultKind::Usage),
        title: "there was no champion before",
        explanation: "The model never had another champion that could be put back. Name a version instead.",
    },
    Entry {
        code: "BOT-6026",
        kind: Some(FaultKind::Conflict),
        title: "someone else drives this traffic",
        explanation: "Another server, or another person, changed the deployment log or the champion while this server acted. Its challenger gets no more traffic from here. Run one server an environment for now.",
    },
    Entry {
        code: "BOT-6030",
        kind: Some(FaultKind::Usage),
        title: "an address or token is missing or malformed",
        explanation: "The admin API is reached by a URL such as `http://127.0.0.1:8081` and a bearer token, set in `BOTOPS_ADMIN_TOKEN` or by reference in `botops.yaml`. Recorded traffic is replayed at the public address.",
    },
    Entry {
        code: "BOT-6031",
        kind: Some(FaultKind::Unreachable),
        title: "the server cannot be reached",
        explanation: "Nothing answered at the address in time. Nothing was changed from here; it is safe to try again.",
    },
    Entry {
        code: "BOT-6032",
        kind: Some(FaultKind::Conflict),
        title: "another rollout is under way",
        explanation: "A model has one rollout at a time. Wait for it, or end it with `botops rollout abort`.",
    },
    Entry {
        code: "BOT-6033",
        kind: Some(FaultKind::Policy),
        title: "the token was refused",
        explanation: "The admin API wants the bearer token its server was started with. Set `BOTOPS_ADMIN_TOKEN` to it.",
    },
    Entry {
        code: "BOT-6034",
        kind: Some(FaultKind::Usage),
        title: "there is no such rollout",
        explanation: "The server has had no rollout, or knows none of this id. Start one with `botops promote`.",
    },
    Entry {
        code: "BOT-6035",
        kind: Some(FaultKind::Internal),
        title: "a server answers in a way that is not understood",
        explanation: "Either the address is not that of a botops admin API, or the server runs another version of botops.",
    },
    Entry {
        code: "BOT-6036",
        kind: Some(FaultKind::Usage),
        title: "this server serves another model",
        explanation: "A server serves one model of a registry. Name that one, or the address of another server.",
    },
    Entry {
        code: "BOT-6037",
        kind: Some(FaultKind::Conflict),
        title: "the version is the champion already",
        explanation: "There is nothing to roll out: the version asked for serves.",
    },
    Entry {
        code: "BOT-6038",
        kind: Some(FaultKind::Usage),
        title: "no server was named",
        explanation: "Rollouts are controlled through the admin API of a server. Set `server.admin_url` in botops.yaml, or the variable `BOTOPS_ADMIN_URL`.",
    },
    Entry {
        code: "BOT-6040",
        kind: Some(FaultKind::Insufficient),
        title: "a rollout is still under way",
        explanation: "The time given with `--timeout` is over before the rollout's end. The server goes on with it by itself; follow it with `botops rollout status`.",
    },
];
