//! Codes of limits: how often, how much, and from where.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

/// Usage and configuration.
pub(super) const USAGE: &[Entry] = &[
    Entry {
        code: "BOT-1165",
        kind: Some(FaultKind::Usage),
        title: "a user of the admin socket is unknown",
        explanation: "`server.admin_socket_users` in botops.yaml gives a role to a user that this machine does not know, so that nobody would get it. Users are named as in `/etc/passwd`, or by number, such as `uid:1000`: those of a directory service have to be named by number. Nothing was started.",
    },
    Entry {
        code: "BOT-1166",
        kind: None,
        title: "every address is a trusted proxy",
        explanation: "`server.trusted_proxies` in botops.yaml holds `0.0.0.0/0` or `::/0`. The server then believes every client that says in `X-Forwarded-For` or `Forwarded` which address it has, and a client that changes it with each request meets no limit by address. Name the addresses or networks of your proxies alone. The server starts all the same.",
    },
    Entry {
        code: "BOT-1093",
        kind: Some(FaultKind::Usage),
        title: "a limit cannot be used",
        explanation: "A setting under `limits:` in botops.yaml is not a limit. A rate is a count and a time: `50/s`, `300/m`, `1000/h`, with `burst 200` behind it for the number that may come at once, or `off`. Routes are `predict`, `chat` and `feedback`. A size is a number of bytes, such as `65536` or `64KiB`. Nothing was started.",
    },
    Entry {
        code: "BOT-1094",
        kind: Some(FaultKind::Usage),
        title: "a network, origin or host name cannot be used",
        explanation: "`server.trusted_proxies` lists the addresses and networks of proxies, such as `10.0.0.0/8`: only their word about the address of a client counts. `server.cors.origins` lists web sites whose pages may call the server, such as `https://shop.example`: scheme, host and port, without a path, and no `*`. `server.allowed_hosts` lists host names without a port. Nothing was started.",
    },
    Entry {
        code: "BOT-1095",
        kind: Some(FaultKind::Unreachable),
        title: "too many requests",
        explanation: "The caller, its address, the conversation or the route has used its rate up. The answer has the status 429; `Retry-After` says in how many seconds the next request is served, `RateLimit-Policy` what the rate is, and `RateLimit` how much of it is left. Nothing was done. The operator sets the rates under `limits:` in botops.yaml.",
    },
    Entry {
        code: "BOT-1096",
        kind: Some(FaultKind::Unreachable),
        title: "the shared limits cannot be reached",
        explanation: "The servers count requests together in the store of `limits.shared`, it did not answer, and `limits.on_shared_failure` is `refuse`. Nothing was done. With `local`, the default, each server counts alone meanwhile.",
    },
    Entry {
        code: "BOT-1097",
        kind: Some(FaultKind::Policy),
        title: "pages of this web site may not call the server",
        explanation: "A browser sent a request for a page of another web site, and `server.cors.origins` does not list that site. Nothing was done. Add the site as it stands in the address bar, such as `https://shop.example`. Programs other than browsers send no `Origin`.",
    },
    Entry {
        code: "BOT-1098",
        kind: Some(FaultKind::Usage),
        title: "the location of the shared limits cannot be used",
        explanation: "`limits.shared` is `redis://HOST:PORT/DATABASE`, or `rediss://` for TLS. With a password, it is a reference: `${env:NAME}` or `${file:PATH}`, whose value is the whole location. Nothing was started.",
    },
];

/// Serving.
pub(super) const SERVING: &[Entry] = &[
    Entry {
        code: "BOT-6140",
        kind: Some(FaultKind::Usage),
        title: "the intent of a verdict is unknown",
        explanation: "The `intent` of `POST /v1/feedback` is none that a loaded model has, and not `oos`. It may be misspelled, or of another bot: counted, it would make a right answer wrong. Nothing was counted; the answer has the status 422. For a message that fits no intent, send `oos`.",
    },
    Entry {
        code: "BOT-6110",
        kind: Some(FaultKind::Unreachable),
        title: "the server is overloaded",
        explanation: "Requests have waited for a processor for longer than `limits.max_queue_delay` allows, so new ones are refused at once instead of making all of them slow. The answer has the status 503 and `Retry-After`. Nothing was done. If it lasts, add processors or servers, or lower the rates under `limits:`.",
    },
    Entry {
        code: "BOT-6111",
        kind: Some(FaultKind::Usage),
        title: "the JSON is nested too deep",
        explanation: "No request of the public API needs objects and lists in each other more than a few levels deep. A body with more than 32 is refused before it is read further. Nothing was done.",
    },
];
