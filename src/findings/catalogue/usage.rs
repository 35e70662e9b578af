//! 1xxx: usage and configuration.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1001",
        title: "a file cannot be read",
        explanation: "The path does not exist, is a directory, or may not be read. Check the path and its permissions.",
    },
    Entry {
        code: "BOT-1003",
        title: "a command line cannot be understood",
        explanation: "An argument is missing, unknown, of the wrong form, or contradicts another. `botops help VERB` lists what a verb takes; a first argument is a model only when it is a `.botops` file or a reference such as `support@2`.",
    },
    Entry {
        code: "BOT-1004",
        title: "`SOURCE_DATE_EPOCH` is not a time",
        explanation: "When set, it is the number of seconds since 1970 that is written as the time, so that what is written can be reproduced. Unset it to use the clock.",
    },
    Entry {
        code: "BOT-1005",
        title: "no model was named",
        explanation: "The verb needs a model: a `.botops` file, a registry reference such as `support@champion`, or, for a whole workspace, `model: support` in botops.yaml (or `BOTOPS_MODEL`).",
    },
    Entry {
        code: "BOT-1006",
        title: "a code is not one of botops",
        explanation: "Codes look like BOT-2107. `botops explain` without one lists them all.",
    },
];
