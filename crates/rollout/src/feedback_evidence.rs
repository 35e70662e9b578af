//! Verdicts by source: which of them may decide, and which only stop a rollout.
//!
//! Anyone can be an end user, with one conversation or with ten thousand. So verdicts of end users contribute to a
//! decision, and never make it alone:
//!
//! - **Share.** The e-value of `wrong` is the mean of two, that of all verdicts and that of reviewers alone, which is an
//!   e-value again: end users who contradict the reviewers delay a rollback by a factor of 2, and do not prevent it. It
//!   rolls back at its threshold if reviewers alone reach the part that end users may not contribute,
//!   `1 - end_user_share` of it, by default half; that condition can only lower the chance of a false rollback. A step
//!   that requires promote evidence needs the same part of its conversations judged by reviewers, and the champion judged
//!   at all. When end users alone reach the threshold, the rollout pauses at weight zero: reviewers then confirm it, or a
//!   person resumes.
//! - **One-armed pattern.** If end users judge both arms alike, a judged conversation is on the challenger with its share
//!   of the traffic. Three e-processes test that, two against "more often" (with the priors of
//!   [`botops_stats::evidence::log_e_harm`] and `log_e_worse`) and one against "less often", each at a third of
//!   [`ONE_ARMED_ALPHA`]. They hold whenever one looks: a sound rollout is stopped with a chance of at most 1 in 1,000.
//!   Besides, verdicts of end users roll nothing back while one of the three is at the threshold of the judge itself. If
//!   people only complain and never approve, each verdict is a failure, so that is always the case.
//! - **Burst.** In the current and the previous hour, end users judged more conversations than [`BURST_FACTOR`] times their
//!   earlier rate among conversations gives, or, without an earlier rate, than began; both plus [`BURST_FLOOR`].
//!
//! A verdict of unknown source is from a log of an older version: it decides as it did then.

use crate::{
    failure::FailureKind,
    observation::{FeedbackCount, Observation},
    policy::JudgeSpec,
    rounding::nine_decimals,
    verdict::VerdictSource,
};

use botops_stats::{
    evidence::{SplitCounts, log_e_better, log_e_harm, log_e_worse},
    special::log_sum_exp,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The chance of stopping a rollout whose end users judge both arms alike.
pub(crate) const ONE_ARMED_ALPHA: f64 = 0.001;
/// The length of a window of the burst rule.
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// The factor above the earlier rate that is a burst.
pub(crate) const BURST_FACTOR: u64 = 5;
/// The judged conversations in two windows that are never a burst.
pub(crate) const BURST_FLOOR: u64 = 50;
/// The fewest conversations that give an earlier rate.
const RATE_UNITS: u64 = 200;

/// Verdicts on one kind of source: conversations, `[primary, canary]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceEvidence {
    /// The source.
    pub source: VerdictSource,
    /// Judged conversations.
    pub judged: [u64; 2],
    /// Conversations that it found wrong.
    pub wrong: [u64; 2],
}

/// Verdicts by source, since the rollout began or the evidence started over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct FeedbackState {
    sources: BTreeMap<VerdictSource, SourceCounts>,
    /// The largest log e-value so far for "worse" by trusted verdicts alone; at least 0.
    max_log_e_trusted: f64,
    #[serde(default, skip_serializing_if = "Pace::is_new")]
    pace: Pace,
}

/// Conversations that one source judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
struct SourceCounts {
    judged: [u64; 2],
    wrong: [u64; 2],
    /// The same by weight, except those at a weight that is not compared.
    #[schema(value_type = BTreeMap<String, [u64; 2]>)]
    judged_at: SplitCounts,
    #[schema(value_type = BTreeMap<String, [u64; 2]>)]
    wrong_at: SplitCounts,
}

/// How fast end users judge: `[judged conversations, conversations that began]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
struct Pace {
    /// The beginning of the current window.
    since: Option<DateTime<Utc>>,
    current: [u64; 2],
    previous: [u64; 2],
    earlier: [u64; 2],
}

/// Conversations judged by end users on the challenger far more or less often than by its share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OneArmed {
    pub(crate) canary: u64,
    pub(crate) expected: u64,
    pub(crate) all: u64,
    pub(crate) log_e: f64,
    pub(crate) threshold: f64,
}

/// Far more verdicts of end users than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    pub(crate) judged: u64,
    pub(crate) units: u64,
    pub(crate) limit: u64,
}

impl SourceCounts {
    fn add(&mut self, count: &FeedbackCount) {
        let [judged, wrong] = [count.judged, count.wrong];
        add(&mut self.judged, judged);
        add(&mut self.wrong, wrong);
        self.judged_at.add(count.weight, judged[1], judged[0]);
        self.wrong_at.add(count.weight, wrong[1], wrong[0]);
    }
}

fn add(sum: &mut [u64; 2], more: [u64; 2]) {
    *sum = [sum[0].saturating_add(more[0]), sum[1].saturating_add(more[1])];
}

impl Pace {
    fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// Ends the windows that are over at `now`. It does not matter how often this is called.
    fn move_to(&mut self, now: DateTime<Utc>) {
        let since = *self.since.get_or_insert(now);
        let windows = (now - since).num_seconds() / WINDOW.num_seconds();
        if windows <= 0 {
            return;
        }
        add(&mut self.earlier, self.previous);
        self.previous = std::mem::take(&mut self.current);
        if windows > 1 {
            add(&mut self.earlier, std::mem::take(&mut self.previous));
        }
        let passed = WINDOW.checked_mul(i32::try_from(windows).unwrap_or(i32::MAX));
        self.since = passed.and_then(|passed| since.checked_add_signed(passed)).or(Some(now));
    }

    fn burst(&self) -> Option<Burst> {
        let [judged, units] = [0, 1].map(|i| self.current[i].saturating_add(self.previous[i]));
        let [earlier_judged, earlier_units] = self.earlier;
        let usual = if earlier_units < RATE_UNITS {
            units
        } else {
            let expected = u128::from(units) * u128::from(earlier_judged.saturating_add(1))
                / u128::from(earlier_units);
            let most = expected.saturating_mul(u128::from(BURST_FACTOR));
            u64::try_from(most).unwrap_or(u64::MAX).min(units)
        };
        let limit = usual.saturating_add(BURST_FLOOR);
        (judged > limit).then_some(Burst { judged, units, limit })
    }
}

impl FeedbackState {
    /// Begins with verdicts of unknown source, by their counts: `judged` conversations, and the wrong ones.
    pub(crate) fn after(
        judged: [u64; 2],
        wrong: [u64; 2],
        wrong_at: &SplitCounts,
        max_log_e: f64,
    ) -> Self {
        let mut state = Self { max_log_e_trusted: max_log_e, ..Self::default() };
        if judged != [0, 0] || wrong != [0, 0] {
            let counts = SourceCounts {
                judged,
                wrong,
                wrong_at: wrong_at.clone(),
                ..SourceCounts::default()
            };
            state.sources.insert(VerdictSource::System, counts);
        }
        state
    }

    /// Adds an observation made at `now`. If it names no sources, its verdicts are from an older log.
    pub(crate) fn add(&mut self, observation: &Observation, now: DateTime<Utc>) {
        let mut is_trusted_wrong = false;
        let mut judged_by_end_users = 0_u64;
        for count in &counts_of(observation) {
            self.sources.entry(count.source).or_default().add(count);
            if count.source == VerdictSource::EndUser {
                judged_by_end_users = judged_by_end_users
                    .saturating_add(count.judged[0].saturating_add(count.judged[1]));
            } else {
                is_trusted_wrong |= count.wrong != [0, 0];
            }
        }
        if is_trusted_wrong {
            let log_e = nine_decimals(log_e_harm(&self.trusted_wrong()));
            self.max_log_e_trusted = self.max_log_e_trusted.max(log_e);
        }
        self.pace.move_to(now);
        let units = observation.primary_units.saturating_add(observation.canary_units);
        add(&mut self.pace.current, [judged_by_end_users, units]);
    }

    /// Returns the counts that lead from this state to `after`; `None` if a count fell.
    pub(crate) fn difference(&self, after: &Self) -> Option<Vec<FeedbackCount>> {
        let none = SourceCounts::default();
        if self.sources.keys().any(|source| !after.sources.contains_key(source)) {
            return None;
        }
        let mut all = Vec::new();
        for (&source, new) in &after.sources {
            let old = self.sources.get(&source).unwrap_or(&none);
            let minus =
                |a: [u64; 2], b: [u64; 2]| Some([a[0].checked_sub(b[0])?, a[1].checked_sub(b[1])?]);
            let mut judged_left = minus(new.judged, old.judged)?;
            let mut wrong_left = minus(new.wrong, old.wrong)?;
            let at = |counts: &SplitCounts, weight: f64| {
                let found = counts.iter().find(|(w, ..)| w.to_bits() == weight.to_bits());
                found.map_or([0, 0], |(_, canary, primary)| [primary, canary])
            };
            let weights = new.judged_at.iter().chain(new.wrong_at.iter()).map(|(w, ..)| w);
            let weights: BTreeMap<u64, f64> = weights.map(|w| (w.to_bits(), w)).collect();
            for weight in weights.into_values() {
                let judged = minus(at(&new.judged_at, weight), at(&old.judged_at, weight))?;
                let wrong = minus(at(&new.wrong_at, weight), at(&old.wrong_at, weight))?;
                judged_left = minus(judged_left, judged)?;
                wrong_left = minus(wrong_left, wrong)?;
                if (judged, wrong) != ([0, 0], [0, 0]) {
                    all.push(FeedbackCount { source, weight, judged, wrong });
                }
            }
            let (judged, wrong) = (judged_left, wrong_left);
            if (judged, wrong) != ([0, 0], [0, 0]) || !self.sources.contains_key(&source) {
                all.push(FeedbackCount { source, weight: 1.0, judged, wrong });
            }
        }
        Some(all)
    }

    /// Returns the wrong conversations by weight, by trusted verdicts alone.
    pub(crate) fn trusted_wrong(&self) -> SplitCounts {
        let mut all = SplitCounts::default();
        for counts in self.trusted() {
            counts.wrong_at.iter().for_each(|(weight, c, p)| all.add(weight, c, p));
        }
        all
    }

    fn trusted(&self) -> impl Iterator<Item = &SourceCounts> {
        let trusted = |(source, _): &(&VerdictSource, _)| **source != VerdictSource::EndUser;
        self.sources.iter().filter(trusted).map(|(_, counts)| counts)
    }

    /// Returns the conversations that reviewers or the system judged: `[primary, canary]`.
    pub(crate) fn trusted_judged(&self) -> [u64; 2] {
        let mut all = [0, 0];
        self.trusted().for_each(|counts| add(&mut all, counts.judged));
        all
    }

    /// Returns the largest log e-value so far for "worse" by trusted verdicts alone.
    pub(crate) fn max_log_e_trusted(&self) -> f64 {
        self.max_log_e_trusted
    }

    /// Returns the log e-value for "worse" of `all` verdicts, of which some are from end users.
    pub(crate) fn log_e_worse(&self, all: f64) -> f64 {
        if !self.sources.contains_key(&VerdictSource::EndUser) {
            return all;
        }
        log_sum_exp(&[all, log_e_harm(&self.trusted_wrong())]) - std::f64::consts::LN_2
    }

    /// Returns whether verdicts that reach the threshold of a rollback all together may decide it.
    pub(crate) fn may_roll_back(&self, spec: &JudgeSpec) -> bool {
        let threshold = spec.log_threshold_rollback();
        let is_backed = self.max_log_e_trusted >= (1.0 - spec.end_user_share) * threshold;
        self.max_log_e_trusted >= threshold || is_backed && self.one_armed(threshold).is_none()
    }

    /// Returns whether trusted verdicts support promote evidence in a step that requires `min_units` conversations; if not,
    /// the conversations that they judged and the number that they need on the challenger.
    pub(crate) fn support(&self, spec: &JudgeSpec, min_units: u64) -> Result<(), ([u64; 2], u64)> {
        let judged = self.trusted_judged();
        let needed = ((1.0 - spec.end_user_share) * min_units as f64).ceil() as u64;
        let harm = log_e_worse(&self.trusted_wrong(), 1.0);
        let is_supported = judged[1] >= needed
            && (needed == 0 || judged[0] > 0)
            && harm < spec.log_threshold_rollback() / 2.0;
        if is_supported { Ok(()) } else { Err((judged, needed)) }
    }

    /// Returns the one-armed pattern of the verdicts of end users; `None` below the `threshold`.
    pub(crate) fn one_armed(&self, threshold: f64) -> Option<OneArmed> {
        let judged = &self.sources.get(&VerdictSource::EndUser)?.judged_at;
        // The prior of the judge for "more often": if every verdict is a failure, both have the same e-value.
        let more = log_e_harm(judged).max(log_e_worse(judged, 1.0));
        let log_e = more.max(log_e_better(judged, 1.0));
        if log_e < threshold {
            return None;
        }
        let [canary, primary] = judged.totals();
        let expected: f64 = judged.iter().map(|(w, c, p)| w * (c as f64 + p as f64)).sum();
        let (expected, all) = (expected.round() as u64, canary.saturating_add(primary));
        Some(OneArmed { canary, expected, all, log_e, threshold })
    }

    /// Returns the one-armed pattern that stops a rollout at any time.
    pub(crate) fn standing_one_armed(&self) -> Option<OneArmed> {
        // Three e-processes are looked at.
        self.one_armed((3.0 / ONE_ARMED_ALPHA).ln())
    }

    /// Returns the burst of verdicts of end users, if there is one.
    pub(crate) fn burst(&self) -> Option<Burst> {
        self.pace.burst()
    }

    /// Returns the counts by source.
    pub(crate) fn evidence(&self) -> Vec<SourceEvidence> {
        let one = |(&source, counts): (&VerdictSource, &SourceCounts)| SourceEvidence {
            source,
            judged: counts.judged,
            wrong: counts.wrong,
        };
        self.sources.iter().map(one).collect()
    }

    /// Drops the verdicts of end users; their earlier rate stays known.
    pub(crate) fn forget_end_users(&mut self) {
        self.sources.remove(&VerdictSource::EndUser);
        self.pace = Pace { earlier: self.pace.earlier, ..Pace::default() };
    }

    /// Drops all counts; the largest log e-value is kept.
    pub(crate) fn restart(&mut self) {
        self.sources.clear();
    }

    /// Forgets the times, because the clock jumped.
    pub(crate) fn forget_time(&mut self) {
        let Pace { current, previous, earlier, .. } = &mut self.pace;
        add(earlier, std::mem::take(previous));
        add(earlier, std::mem::take(current));
        self.pace.since = None;
    }
}

/// Returns the counts of `observation` by source. Without any, its verdicts are of unknown source: an older log has them.
fn counts_of(observation: &Observation) -> Vec<FeedbackCount> {
    if !observation.feedback.is_empty() {
        return observation.feedback.clone();
    }
    let unnamed = |weight, judged, wrong| FeedbackCount {
        source: VerdictSource::System,
        weight,
        judged,
        wrong,
    };
    let is_wrong = |kind| kind == FailureKind::Wrong;
    let measured = observation.measured.iter().filter(|it| is_wrong(it.kind));
    let failures = observation.failures.iter().filter(|it| is_wrong(it.kind));
    measured
        .map(|it| unnamed(1.0, [it.primary, it.canary], [0, 0]))
        .chain(failures.map(|it| unnamed(it.weight, [0, 0], [it.primary, it.canary])))
        .collect()
}
