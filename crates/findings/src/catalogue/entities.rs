//! Codes of the entities of a dialogue.

use super::entry::Entry;
use crate::FaultKind;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1100",
        kind: Some(FaultKind::Usage),
        title: "an entity of the dialogue cannot be found as it is written",
        explanation: "An entity under `entities:` is a regular expression, or a mapping with `type`, `lookup` or `learned`. `pattern` adds a regular expression to a type (an `order_number` needs one), `distance` belongs to `lookup` and is 0, 1 or 2, `region` belongs to `phone` and `amount`, `date_order` and `prefer` to `date` and `datetime`. The names of a list have letters or digits, at most 64 characters, and belong to one canonical name each; case and accents are not compared. All lists together have at most 20,000 names.",
    },
    Entry {
        code: "BOT-1101",
        kind: Some(FaultKind::Usage),
        title: "unknown time zone",
        explanation: "`timezone` of a dialogue is the clock by which `tomorrow` and `at 9` are understood: a name of the IANA database, such as `Europe/Paris` or `America/New_York`. Without it, times are UTC. Abbreviations such as `CET` do not name a place, and do not always know its summer time.",
    },
];
