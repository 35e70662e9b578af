//! Codes of actions and hand-offs: the calls that a dialogue asks for.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

/// Calls of a dialogue.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6150",
        kind: Some(FaultKind::Usage),
        title: "a setting of actions cannot be used",
        explanation: "`server.actions.allow` lists the hosts that actions and hand-offs of a dialogue may call, such as `orders.example.com` or `orders.example.com:8443`, without a path and without `*`; `http://orders.internal:8080` allows a server without TLS. `server.actions.allow_private` lists networks besides the public internet, such as `10.20.0.0/16`. The secrets that sign have at least 24 bytes. Nothing was started.",
    },
    Entry {
        code: "BOT-6151",
        kind: Some(FaultKind::Policy),
        title: "an action may not call this address",
        explanation: "The dialogue of the model names an address for an action or a hand-off, and `server.actions.allow` of botops.yaml does not list its host, or the address is private and `server.actions.allow_private` does not list its network. The model is not served. Check the address in the dialogue; if calls may go there, add the host to the settings of every server, then try again.",
    },
    Entry {
        code: "BOT-6152",
        kind: None,
        title: "the outcome of an action is unknown",
        explanation: "An action was called, and no complete answer came in its time: the other side may have done it or not. So it is with an answer of 5xx, with one of 2xx that is no JSON, and when the server that called it was killed. The action is not called again, unless it says `idempotent: true`; the conversation is handed to a person. The other side knows the call by its `Idempotency-Key`, which is the id of the turn.",
    },
    Entry {
        code: "BOT-6153",
        kind: Some(FaultKind::Conflict),
        title: "an action of the conversation is under way",
        explanation: "The bot calls another system for the message before, and the answer to this message depends on the outcome. Nothing was stored. Send the message again after the time in `Retry-After`. If the server that made the call was killed, this lasts until the time of the action and 30 seconds have passed.",
    },
    Entry {
        code: "BOT-6154",
        kind: None,
        title: "a hand-off is not delivered",
        explanation: "A conversation was handed to a person, and the address of `handoff.webhook` in the dialogue does not take the message. It is sent again, after a second at first and then at least once a minute, always with the same `webhook-id`, until the other side answers with 2xx. The bot answers as the dialogue says meanwhile.",
    },
];
