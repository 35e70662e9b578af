//! 6xxx: rollout and serving.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-6001",
        title: "a rollout plan does not hold together",
        explanation: "A plan needs at least one step, weights that rise above 0 up to 100 percent, durations such as `30m` or `7d` with each `min_time` within its `deadline`, `alpha` above 0 and up to 0.5, `tolerated_risk` above 1, and at least one metric that gates. The key that is wrong is named.",
    },
    Entry {
        code: "BOT-6002",
        title: "the rollout does not take this command now",
        explanation: "Each phase takes only some commands: a paused rollout can be resumed, one that is ramping can be paused, and one that is over takes none. `promote` is refused while the evidence says worse, the traffic split is broken, or observations are stale. See where it stands with `botops rollout status`.",
    },
];
