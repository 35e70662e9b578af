//! 628x: load tests.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6280",
        kind: Some(FaultKind::Usage),
        title: "invalid load profile",
        explanation: "A load profile has a setting out of range, or settings that contradict each other: a closed loop has stages with `users`, an open loop stages with a `rate`; durations are written as `2m` or `500ms`, and thresholds as `p95 < 50ms`, `errors = 0`, `error_rate < 1%` or `throughput > 50/s`. The message names the key and its line. `docs/operations/load.md` lists all keys.",
    },
    Entry {
        code: "BOT-6281",
        kind: Some(FaultKind::Gate),
        title: "a threshold of a load test was missed",
        explanation: "The load test ended, and a rule of its profile does not hold, or nothing was measured that it could be judged by. The message shows the rule and the measured value. Errors are counted by their kind in the answer: 429 comes from limits, 503 from a server that has too much to do or stops, 401 from a key that is not accepted.",
    },
    Entry {
        code: "BOT-6282",
        kind: Some(FaultKind::Unreachable),
        title: "the server of a load test cannot be reached",
        explanation: "Before a load test begins, each kind of request is sent once. No connection could be made, or no answer came in time, so no load was made. Check the address, and whether the server is up: `botops doctor --ready URL`.",
    },
    Entry {
        code: "BOT-6283",
        kind: Some(FaultKind::Usage),
        title: "the server does not accept the key of the load test",
        explanation: "Before a load test begins, each kind of request is sent once. The server answered 401 or 403, as it would to all of them, so no load was made. Set `BOTOPS_CLIENT_KEY`, or `server.client_key` in botops.yaml, to a key with the scopes `chat` and `predict`: `botops keys create`.",
    },
    Entry {
        code: "BOT-6284",
        kind: Some(FaultKind::Usage),
        title: "the server refuses the requests of the load test",
        explanation: "Before a load test begins, each kind of request is sent once. The server answered with a status that another attempt does not change, such as 404 or 400, so no load was made. Give the public address of a botops server, and leave kinds of requests that it does not serve out of `mix`.",
    },
    Entry {
        code: "BOT-6285",
        kind: None,
        title: "the load generator was too slow",
        explanation: "More than 1 in 100 requests began over 20 ms after they were due although the user who sends them was free: the machine that makes the load was busy. The latencies contain this time. Make the load on another machine than the server, or make less.",
    },
    Entry {
        code: "BOT-6286",
        kind: None,
        title: "latencies are not corrected for coordinated omission",
        explanation: "The users of this closed loop have no think time, so no message is due at a time of its own: each waits for the answer before it. While the server stalls nothing is sent, and the stall shows in one latency a user only. Give `think` a time, or use `loop: open`, to see what people would.",
    },
    Entry {
        code: "BOT-6287",
        kind: None,
        title: "requests of a load test were refused",
        explanation: "Some requests were answered with 401 or 403 (the key), 429 (limits) or 503 (the server had too much to do, or stopped). They are counted apart, and their times are not part of the latencies, because a refusal is quick. For 429, raise `limits` of the server for the test, or use several keys and addresses; for 503, see `max_queue_delay` and the number of connections in `docs/limits.md`.",
    },
    Entry {
        code: "BOT-6288",
        kind: Some(FaultKind::Usage),
        title: "the texts of a load test cannot be used",
        explanation: "`texts` of a load profile names a file with one utterance a line, in UTF-8, of at most 64 MiB, and at most 16 KiB a line; empty lines are left out. This file is not one.",
    },
    Entry {
        code: "BOT-6289",
        kind: Some(FaultKind::Usage),
        title: "the load test needs more open files than are allowed",
        explanation: "Each user of a load test holds a connection, which is an open file. The limit of this process is too low for the users of the profile, and cannot be raised further without more rights. Raise it (`ulimit -n`), or make less load.",
    },
];
