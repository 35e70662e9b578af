//! 75xx: messaging channels.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

/// Channels, and the responses of their endpoints.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7501",
        kind: Some(FaultKind::Usage),
        title: "a setting of a channel cannot be used",
        explanation: "A value under `channels:` of botops.yaml is missing, out of range or unreadable. A channel has a name of lower-case letters, digits and `-`, and exactly one of the blocks `whatsapp`, `webhook`, `slack`, `telegram` and `chatwoot`. The message names the key. Nothing was started.",
    },
    Entry {
        code: "BOT-7502",
        kind: Some(FaultKind::Usage),
        title: "the address of a channel cannot be called",
        explanation: "The address of a webhook or of a hand-off is no `https://` URL, holds a user or a password, or is not on the internet and `allow_private` of the channel does not list its network. The message does not show the address, because its path may be a secret. Nothing was started.",
    },
    Entry {
        code: "BOT-7503",
        kind: Some(FaultKind::Usage),
        title: "there is no such dead letter",
        explanation: "A dead letter is replayed by its id, which `botops channels dead CHANNEL` shows. It may have been replayed already, or removed after the `retention` of the channel.",
    },
    Entry {
        code: "BOT-7504",
        kind: Some(FaultKind::Policy),
        title: "a newer botops stored a message",
        explanation: "A message that waits, or a dead letter, has a format that a newer botops wrote. This one does not touch it: a newer server answers it. Upgrade botops on this machine.",
    },
    Entry {
        code: "BOT-7505",
        kind: Some(FaultKind::Internal),
        title: "a stored message is damaged",
        explanation: "An object under `channels/` in the store cannot be read as a message. Its conversation is not answered until the object is moved away; other conversations are. Restore it from a backup, or move it away.",
    },
    Entry {
        code: "BOT-7506",
        kind: Some(FaultKind::Usage),
        title: "there is no such channel",
        explanation: "The settings in force have no channel of this name under `channels:`. `botops channels list` shows those that they have; a channel of a profile needs `--profile`.",
    },
    Entry {
        code: "BOT-7510",
        kind: None,
        title: "a request for an unknown channel",
        explanation: "The last part of the address is the name of a channel under `channels:` of botops.yaml, and there is no such channel on this server. The response is 404.",
    },
    Entry {
        code: "BOT-7511",
        kind: None,
        title: "a request that a channel cannot read",
        explanation: "The body is too large (3 MiB at most), not JSON, or not a payload of the platform; or the method is neither the GET of a challenge nor POST. The response is 400, 405 or 413, and nothing was stored.",
    },
    Entry {
        code: "BOT-7512",
        kind: None,
        title: "a request without a valid signature",
        explanation: "The signature over the raw body is missing or wrong, or its time differs from that of the server by more than 5 minutes. Check the secret in the settings of the channel, that no proxy changes the body, and the clock. The response is 401, or 403 to a challenge, and nothing was stored.",
    },
    Entry {
        code: "BOT-7513",
        kind: None,
        title: "too many messages wait",
        explanation: "As many messages as `queue` of the channel allows wait in this server. The response is 503 with `Retry-After`, and the platform sends the request again. Add servers, or raise `queue` and `concurrency`.",
    },
    Entry {
        code: "BOT-7514",
        kind: None,
        title: "messages cannot be stored",
        explanation: "The store did not take the messages of a request. The response is 503 with `Retry-After`, and the platform sends the request again; messages of it that were stored are not answered twice. `botops doctor --probe` checks the store.",
    },
];
