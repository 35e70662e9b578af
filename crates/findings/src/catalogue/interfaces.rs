//! Codes of the interfaces of a server: other protocols, batches, and WebSockets.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6170",
        kind: Some(FaultKind::Usage),
        title: "the server has no such model or version",
        explanation: "A path of the Open Inference Protocol names a model, which is the one that the server serves, and may name a version. A rollout decides which version answers a request, so a request that names another one is refused and not answered by it. `GET /v2/models/MODEL` shows the version to callers with the scope `read`. HTTP status 404.",
    },
    Entry {
        code: "BOT-6171",
        kind: Some(FaultKind::Usage),
        title: "the body of a request is packed in a way that the server cannot unpack",
        explanation: "A body may be packed once, with `Content-Encoding: gzip`. The limit on its size holds before and after it is unpacked. HTTP status 415.",
    },
    Entry {
        code: "BOT-6172",
        kind: Some(FaultKind::Usage),
        title: "a batch of lines is too long",
        explanation: "A batch of `application/x-ndjson` may have a million lines and 1 GiB, unpacked, and each line as many bytes as a body of `/v1/predict`. The lines before are answered. HTTP status 413, in the last line of the answer.",
    },
    Entry {
        code: "BOT-6173",
        kind: Some(FaultKind::Usage),
        title: "a request of another protocol asks for something that the server does not have",
        explanation: "The model has one input tensor, `text`, of the data type `BYTES`, and the outputs `intent`, `confidence`, `fallback` and `probabilities`. A tensor may come as JSON or as bytes after the JSON, with `binary_data_size`. Parameters that the server does not know are refused, because they could not have an effect.",
    },
    Entry {
        code: "BOT-6174",
        kind: Some(FaultKind::Usage),
        title: "a request is no WebSocket handshake",
        explanation: "`/v1/ws` takes the handshake of RFC 6455: `GET` over HTTP/1.1 with `Connection: upgrade`, `Upgrade: websocket`, `Sec-WebSocket-Version: 13` and a `Sec-WebSocket-Key`. A proxy in front of the server must pass `Upgrade` on. HTTP status 426 for a request that asks for none, 400 for one that is malformed.",
    },
    Entry {
        code: "BOT-6175",
        kind: Some(FaultKind::Usage),
        title: "a frame of a WebSocket comes out of turn",
        explanation: "The first frame is `hello`, once, with `conversation_id`, `user_id` and `resume_from` as far as they are wanted; then come frames `message`. At most 1,000 turns are sent again after `resume_from`. The socket stays open.",
    },
    Entry {
        code: "BOT-6241",
        kind: Some(FaultKind::Usage),
        title: "the times of WebSockets do not fit together",
        explanation: "`server.limits.websocket_ping` is the time after which a silent WebSocket gets a ping, and `websocket_idle` the longest time without a message. The first must be shorter: otherwise a socket ends before the server asks whether its client is there. The defaults are 30 s and 1 h. Nothing was started.",
    },
    Entry {
        code: "BOT-6176",
        kind: Some(FaultKind::Gate),
        title: "the knowledge of a version does not fit its model",
        explanation: "A version serves its model together with its knowledge bases. An intent of the dialogue has `answer_from` with the name of a base that the version does not have, two files have the same name, or there are more than 64. Push a version with the right bases: `botops push MODEL --knowledge NAME`.",
    },
    Entry {
        code: "BOT-6177",
        kind: Some(FaultKind::Usage),
        title: "the server has no such knowledge",
        explanation: "`POST /v1/search` searches the knowledge bases of the version that serves. This version has none, or none of that name. Push a version with knowledge (`botops push MODEL --knowledge NAME`), start a server of a file with `--knowledge FILE`, or name another base. HTTP status 404.",
    },
];
