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
];
