//! Reasons, in words and numbers a release manager reads.

use super::{
    Evidence, Phase, Rollout,
    judge::{JudgeState, Promise},
};
pub(super) use botops_text::count as grouped;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// `5.0` as `5 %`, `0.5` as `0.5 %`.
pub(super) fn percent(percent: f64) -> String {
    format!("{percent} %")
}

/// A span to the second (milliseconds below one): `7days`, `12h 30m`.
pub(super) fn span(duration: Duration) -> String {
    let rounded = if duration.as_secs() > 0 {
        Duration::from_secs(duration.as_secs())
    } else {
        Duration::from_millis(u64::from(duration.subsec_millis()))
    };
    humantime::format_duration(rounded).to_string()
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => "nothing but the next tick".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// `31 of 402 conversations against 18 of 1,633`: the challenger first.
pub(super) fn comparison(evidence: &Evidence, units: [u64; 2]) -> String {
    format!(
        "{} of {} conversations against {} of {}",
        grouped(evidence.failures[1]),
        grouped(units[1]),
        grouped(evidence.failures[0]),
        grouped(units[0])
    )
}

/// Why it is rolled back.
pub(super) fn worse(evidence: &Evidence, units: [u64; 2]) -> String {
    format!(
        "`{}` is worse on the challenger: {}; log e {:.3} >= {:.3} after {} conversations",
        evidence.kind.name(),
        comparison(evidence, units),
        evidence.log_e_rollback,
        evidence.log_threshold,
        grouped(units[1])
    )
}

/// Why the split is called broken.
pub(super) fn broken_split(judge: &JudgeState, [log_e, threshold]: [f64; 2]) -> String {
    let [canary, expected, all] = judge.split_numbers();
    format!(
        "the split is not as configured: {} of {} conversations began on the challenger where {} were meant; log e {log_e:.3} >= {threshold:.3}",
        grouped(canary),
        grouped(all),
        grouped(expected)
    )
}

/// What promote evidence stands on: `` `wrong` log e 3.100 >= 2.996; too rare to compare: ... ``.
pub(super) fn promise(promises: &[(Evidence, Promise)], units: [u64; 2]) -> String {
    let mut parts = Vec::new();
    for (evidence, promise) in promises {
        let (name, threshold) = (evidence.kind.name(), evidence.log_threshold_promote);
        let numbers = comparison(evidence, units);
        parts.push(match promise {
            Promise::Shown(log_e) => {
                format!("`{name}` {numbers}, log e {log_e:.3} >= {threshold:.3}")
            }
            Promise::Missing(log_e) => {
                format!("`{name}` {numbers}, log e {log_e:.3} of {threshold:.3}")
            }
            Promise::TooRare => format!("`{name}` too rare to compare: {numbers}"),
        });
    }
    parts.join("; ")
}

/// What keeps a rollout where it is, one item each; empty when nothing does, or nothing can be said.
pub(super) fn waiting_for(rollout: &Rollout, now: DateTime<Utc>) -> Vec<String> {
    let conversations = |seen: u64, wanted: u64| {
        (seen < wanted).then(|| format!("{} more conversations", grouped(wanted - seen)))
    };
    match rollout.phase {
        Phase::Pending | Phase::Loading => vec!["the challenger to load".to_owned()],
        Phase::Shadow { units, .. } => {
            let wanted = rollout.policy.shadow().map_or(0, |shadow| shadow.min_units);
            conversations(units, wanted).into_iter().collect()
        }
        Phase::Ramping { step, since, units } => {
            let Some(step) = rollout.policy.steps().get(step) else { return Vec::new() };
            let mut items: Vec<String> = conversations(units, step.min_units).into_iter().collect();
            let left = step.min_time.saturating_sub(elapsed(since, now));
            if !left.is_zero() {
                items.push(format!("{} more", span(left)));
            }
            if step.require.is_some() {
                for (evidence, promise) in rollout.judge.promises(rollout.policy.judge()) {
                    if let Promise::Missing(log_e) = promise {
                        items.push(format!(
                            "evidence on `{}` (log e {log_e:.3} of {:.3})",
                            evidence.kind.name(),
                            evidence.log_threshold_promote
                        ));
                    }
                }
            }
            items
        }
        Phase::Paused { .. } => vec!["a person to resume, promote or abort".to_owned()],
        Phase::Promoting => vec!["the challenger to be read back".to_owned()],
        Phase::RollingBack { .. } => vec!["requests on the challenger to end".to_owned()],
        _ => Vec::new(),
    }
}

/// The time since `since`; zero when the clock went back.
pub(super) fn elapsed(since: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - since).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_read_as_people_write_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_633), "1,633");
        assert_eq!(grouped(12_345_678), "12,345,678");
        assert_eq!(percent(5.0), "5 %");
        assert_eq!(percent(0.5), "0.5 %");
        assert_eq!(span(Duration::from_millis(1_500)), "1s");
        assert_eq!(span(Duration::from_millis(20)), "20ms");
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&items[..1]), "a");
        assert_eq!(listed(&items), "a, b and c");
    }
}
