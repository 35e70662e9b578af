//! The forecast of a plan: how long its steps take at the traffic of an environment, and what they can show.
//!
//! Everything is computed from expected counts: of N conversations at a weight w, a kind that fails at the rate p on the
//! champion fails p (1 - w) N times there and r p w N times on a challenger with the relative risk r. The real e-values of
//! the judge are taken of those counts, so times are about medians: half of the rollouts take longer.
//!
//! A plan cannot conclude if a challenger that is as good as the champion would not get through it: a step reaches its
//! deadline with too few conversations, or without the evidence that it requires.

use crate::{
    failure::{FailureKind, GatePolicy},
    judge::Evidence,
    numbers::{duration, list, percent},
    policy::{JudgeSpec, RolloutPolicy, StepPolicy},
    state::Rollout,
};
use botops_stats::evidence::{SplitCounts, log_e_better, log_e_harm, log_e_worse};
use botops_text::count;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The moments at which a step is looked at between its beginning and its deadline.
const LOOKS: u32 = 500;
/// The relative risks for which the time to a rollback is forecast.
const RISKS: [f64; 2] = [2.0, 3.0];
/// The largest relative risk that is reported as excluded.
const LARGEST_RISK: f64 = 16.0;

/// The traffic of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TrafficRates {
    /// Conversations that begin in an hour, above 0.
    pub conversations_per_hour: f64,
    /// How each kind fails on the champion.
    pub failures: BTreeMap<FailureKind, FailureRate>,
}

/// How often a kind fails on the champion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FailureRate {
    /// The failed share of the conversations that measure the kind, in [0, 1].
    #[schema(minimum = 0, maximum = 1)]
    pub rate: f64,
    /// The share of conversations that measure it, in [0, 1]: 1 but for `wrong`, which needs feedback.
    #[schema(minimum = 0, maximum = 1)]
    pub measured: f64,
}

impl TrafficRates {
    /// Returns the traffic during `rollout`, and the failures of its champion; `None` if it saw none, or lasted no time.
    #[must_use]
    pub fn of(rollout: &Rollout) -> Option<Self> {
        let [primary, canary] = rollout.units();
        let hours = (rollout.updated_at - rollout.started_at).as_seconds_f64() / 3600.0;
        if primary == 0 || hours <= 0.0 {
            return None;
        }
        let rate = |evidence: &Evidence| {
            let measured = evidence.measured_of([primary, canary])[0];
            (evidence.kind != FailureKind::Disagreement && measured > 0).then(|| FailureRate {
                rate: evidence.failures[0] as f64 / measured as f64,
                measured: (measured as f64 / primary as f64).min(1.0),
            })
        };
        Some(Self {
            conversations_per_hour: (primary + canary) as f64 / hours,
            failures: rollout.evidence().iter().filter_map(|e| Some((e.kind, rate(e)?))).collect(),
        })
    }
}

/// The forecast of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlanForecast {
    /// `botops.plan/1`.
    pub schema: String,
    /// The traffic that was assumed.
    pub traffic: TrafficRates,
    /// Seconds until the shadow stage is complete; `None` without one, or if it cannot be completed.
    pub shadow_seconds: Option<u64>,
    /// The steps.
    pub steps: Vec<StepForecast>,
    /// Seconds until an equal challenger is promoted, without approvals; `None` if the plan cannot conclude.
    pub total_seconds: Option<u64>,
    /// The reasons why the plan cannot conclude; empty if it can.
    pub problems: Vec<String>,
}

/// The forecast of one step, for a challenger that is as good as the champion unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepForecast {
    /// The challenger's share in percent.
    pub weight_percent: f64,
    /// Seconds until the step passes; `None` if it does not pass before its deadline.
    pub seconds: Option<u64>,
    /// Conversations on the challenger when the step ends.
    pub canary_units: u64,
    /// For each gating kind, the smallest relative risk that the evidence excludes when the step ends; `None` if it excludes
    /// none up to 16.
    pub excluded_risk: BTreeMap<FailureKind, Option<f64>>,
    /// The time to a rollback of worse challengers.
    pub rollbacks: Vec<RollbackForecast>,
}

/// The time until a challenger that is worse in one kind is rolled back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RollbackForecast {
    /// The kind in which it is worse.
    pub kind: FailureKind,
    /// How many times as often it fails.
    pub risk: f64,
    /// Seconds from the beginning of the first step; `None` if not by the end of this step.
    pub seconds: Option<u64>,
}

/// Expected failures of one kind so far, by weight: `(weight, canary, primary)`.
#[derive(Clone, Default)]
struct Expected(Vec<(f64, f64, f64)>);

impl Expected {
    /// Returns the counts after `conversations` more at `weight`, with the relative risk `risk`.
    fn after(&self, weight: f64, conversations: f64, rate: FailureRate, risk: f64) -> Self {
        let failing = conversations * rate.rate * rate.measured;
        // A share of failures is at most 1.
        let canary = conversations * rate.measured * (rate.rate * risk).min(1.0) * weight;
        let mut counts = self.0.clone();
        counts.push((weight, canary, failing * (1.0 - weight)));
        Self(counts)
    }

    fn counts(&self) -> SplitCounts {
        let mut counts = SplitCounts::default();
        for &(weight, canary, primary) in &self.0 {
            counts.add(weight, canary.round() as u64, primary.round() as u64);
        }
        counts
    }
}

/// Returns the forecast of `plan` at `traffic`.
///
/// A gating kind without a rate is never measured: a step that requires evidence waits for it in vain, unless its role is
/// `optional`. A blue-green plan has no steps; its forecast is the time to settle.
#[must_use]
pub fn forecast(plan: &RolloutPolicy, traffic: &TrafficRates) -> PlanForecast {
    let mut problems = Vec::new();
    let per_second = traffic.conversations_per_hour / 3600.0;
    let mut total = 0.0;
    let shadow = plan.shadow().and_then(|shadow| {
        let deadline = shadow.deadline;
        let needed = match shadow.least_units() {
            Some(units) => units as f64 / (per_second * shadow.mirror_percent / 100.0),
            None => deadline.as_secs_f64(),
        };
        if needed > deadline.as_secs_f64() {
            let units = count(shadow.min_units);
            problems.push(format!(
                "the shadow stage needs {} for {units} conversations, longer than its deadline of {}",
                long(needed),
                duration(deadline)
            ));
            return None;
        }
        total += needed;
        Some(needed.ceil() as u64)
    });
    let mut equal: BTreeMap<FailureKind, Expected> = BTreeMap::new();
    let mut worse: Vec<Worse> = Worse::all(plan.judge(), traffic);
    let mut since_first = 0.0;
    let mut steps = Vec::new();
    for (index, step) in plan.steps().iter().enumerate() {
        let one = Step { plan, traffic, step, per_second };
        let (lasts, passes) = match one.passes_after(&equal) {
            Ok(seconds) => (seconds, true),
            Err(reason) => {
                let weight = percent(step.weight_percent);
                problems.push(format!("step {} ({weight}) {reason}", index + 1));
                (step.deadline.as_secs_f64(), false)
            }
        };
        let weight = step.weight_percent / 100.0;
        let conversations = per_second * lasts;
        for worse in &mut worse {
            worse.go_on(
                weight,
                per_second,
                lasts,
                since_first,
                plan.judge().log_threshold_rollback(),
            );
        }
        for (&kind, &rate) in &traffic.failures {
            let counts = equal.entry(kind).or_default();
            *counts = counts.after(weight, conversations, rate, 1.0);
        }
        since_first += lasts;
        total += lasts;
        steps.push(StepForecast {
            weight_percent: step.weight_percent,
            seconds: passes.then_some(lasts.ceil() as u64),
            canary_units: (conversations * weight).round() as u64,
            excluded_risk: plan
                .judge()
                .gating()
                .map(|kind| {
                    let counts = equal.get(&kind).map(Expected::counts).unwrap_or_default();
                    (kind, excluded_risk(&counts, plan.judge()))
                })
                .collect(),
            rollbacks: worse.iter().map(Worse::forecast).collect(),
        });
    }
    if let Some(settle) = plan.settle() {
        total += settle.window.as_secs_f64().max(settle.min_units as f64 / per_second);
    }
    PlanForecast {
        schema: "botops.plan/1".to_owned(),
        traffic: traffic.clone(),
        shadow_seconds: shadow,
        steps,
        total_seconds: problems.is_empty().then(|| total.ceil() as u64),
        problems,
    }
}

/// One step, and what it is forecast from.
struct Step<'a> {
    plan: &'a RolloutPolicy,
    traffic: &'a TrafficRates,
    step: &'a StepPolicy,
    per_second: f64,
}

impl Step<'_> {
    /// Returns the seconds until the step passes with an equal challenger, whose failures `before` the step are known; the
    /// reason if it does not pass before its deadline.
    fn passes_after(&self, before: &BTreeMap<FailureKind, Expected>) -> Result<f64, String> {
        let deadline = self.step.deadline.as_secs_f64();
        let weight = self.step.weight_percent / 100.0;
        let for_units = self.step.min_units as f64 / (self.per_second * weight);
        if for_units > deadline {
            return Err(format!(
                "needs {} for {} conversations on the challenger, longer than its deadline of {}",
                long(for_units),
                count(self.step.min_units),
                duration(self.step.deadline)
            ));
        }
        let earliest = self.step.min_time.as_secs_f64().max(for_units);
        if self.step.require.is_none() {
            return Ok(earliest);
        }
        let moments = (0..=LOOKS)
            .map(|look| earliest + (deadline - earliest) * f64::from(look) / f64::from(LOOKS));
        let mut waited_for = Vec::new();
        for seconds in moments {
            waited_for = self.waited_for(before, seconds);
            if waited_for.is_empty() {
                return Ok(seconds);
            }
        }
        Err(format!(
            "reaches its deadline of {} without evidence that an equal challenger fails less than {} times as often: {}",
            duration(self.step.deadline),
            self.plan.judge().tolerated_risk,
            list(&waited_for)
        ))
    }

    /// Returns the gating kinds that the step waits for after `seconds`, in words.
    fn waited_for(&self, before: &BTreeMap<FailureKind, Expected>, seconds: f64) -> Vec<String> {
        let judge = self.plan.judge();
        let weight = self.step.weight_percent / 100.0;
        let conversations = self.per_second * seconds;
        let none = Expected::default();
        let mut waited_for = Vec::new();
        for kind in judge.gating() {
            let name = kind.name();
            let optional = judge.role(kind) == GatePolicy::Optional;
            let Some(rate) = self.traffic.failures.get(&kind).filter(|rate| rate.measured > 0.0)
            else {
                if !optional {
                    waited_for.push(format!("`{name}` is not measured"));
                }
                continue;
            };
            let before = before.get(&kind).unwrap_or(&none);
            let counts = before.after(weight, conversations, *rate, 1.0).counts();
            let threshold = judge.log_threshold_promote();
            let log_e = log_e_better(&counts, judge.tolerated_risk);
            let best = log_e_better(&counts.all_on_primary(), judge.tolerated_risk);
            let no_harm = log_e_worse(&counts, 1.0) < judge.log_threshold_rollback() / 2.0;
            let measured = conversations * weight * rate.measured;
            if log_e >= threshold {
                continue;
            }
            if measured < self.step.min_units as f64 {
                if !optional {
                    let (measured, needed) = (measured as u64, self.step.min_units);
                    waited_for.push(format!(
                        "`{name}` is measured on {} of {} conversations of the challenger",
                        count(measured),
                        count(needed)
                    ));
                }
            } else if !(best < threshold && no_harm) {
                let [canary, primary] = counts.totals();
                waited_for.push(format!(
                    "`{name}` has log e {log_e:.1} of {threshold:.1} with {} failures",
                    count(canary + primary)
                ));
            }
        }
        waited_for
    }
}

/// A challenger that is worse in one kind.
struct Worse {
    kind: FailureKind,
    rate: FailureRate,
    risk: f64,
    expected: Expected,
    seconds: Option<f64>,
}

impl Worse {
    /// Returns the challengers whose rollback is forecast.
    fn all(judge: &JudgeSpec, traffic: &TrafficRates) -> Vec<Self> {
        let rated = judge.gating().filter_map(|kind| Some((kind, *traffic.failures.get(&kind)?)));
        rated
            .flat_map(|(kind, rate)| {
                RISKS.map(|risk| Self {
                    kind,
                    rate,
                    risk,
                    expected: Expected::default(),
                    seconds: None,
                })
            })
            .collect()
    }

    /// Adds a step of `lasts` seconds that begins `since_first` seconds after the first.
    fn go_on(
        &mut self,
        weight: f64,
        per_second: f64,
        lasts: f64,
        since_first: f64,
        threshold: f64,
    ) {
        let after =
            |seconds: f64| self.expected.after(weight, per_second * seconds, self.rate, self.risk);
        if self.seconds.is_none() {
            let moments = (1..=LOOKS).map(|look| lasts * f64::from(look) / f64::from(LOOKS));
            let found =
                { moments }.find(|&seconds| log_e_harm(&after(seconds).counts()) >= threshold);
            self.seconds = found.map(|seconds| since_first + seconds);
        }
        self.expected = self.expected.after(weight, per_second * lasts, self.rate, self.risk);
    }

    fn forecast(&self) -> RollbackForecast {
        RollbackForecast {
            kind: self.kind,
            risk: self.risk,
            seconds: self.seconds.map(|seconds| seconds.ceil() as u64),
        }
    }
}

/// Returns the smallest relative risk, to two decimals, that `counts` exclude; `None` if they exclude none up to 16.
fn excluded_risk(counts: &SplitCounts, judge: &JudgeSpec) -> Option<f64> {
    let excludes = |risk: f64| log_e_better(counts, risk) >= judge.log_threshold_promote();
    let (mut low, mut high) = (1.0, LARGEST_RISK);
    if !excludes(high) {
        return None;
    }
    while high - low > 0.005 {
        let middle = f64::midpoint(low, high);
        if excludes(middle) { high = middle } else { low = middle }
    }
    Some((high * 100.0).ceil() / 100.0)
}

/// Returns a time in words, at most a thousand years.
fn long(seconds: f64) -> String {
    duration(Duration::from_secs(seconds.clamp(0.0, 3.2e10) as u64))
}
