//! The plan of a rollout against the limits of a policy.

use super::{
    judgement::Check,
    spec::{LeastTimes, RolloutRules},
};
use botops_rollout::{GatePolicy, Requirement, RolloutPolicy, StepPolicy, Strategy};
use std::time::Duration;

/// One limit: its key, the demand in words, and the check of a plan.
pub(super) struct Limit<'a> {
    pub(super) key: String,
    pub(super) words: String,
    judge: Box<Judge<'a>>,
}

/// The check of a plan: what was found in words, and whether it is within the limit.
type Judge<'a> = dyn Fn(&RolloutPolicy) -> (String, bool) + 'a;

impl Limit<'_> {
    /// Judges `plan`.
    pub(super) fn check(&self, plan: &RolloutPolicy) -> Check {
        let (found, passed) = (self.judge)(plan);
        let help = if passed { "" } else { "change the plan, and name it with `--plan FILE`" };
        Check {
            rule: self.key.clone(),
            required: self.words.clone(),
            found,
            passed,
            help: help.to_owned(),
        }
    }
}

/// Lists the limits of `rules`, in the order of the file; `times` are their least times.
pub(super) fn limits(rules: &RolloutRules, times: LeastTimes) -> Vec<Limit<'_>> {
    let mut limits = weights(rules);
    if let Some(least) = times.step {
        let words = format!("every step lasts at least {}", time(least));
        limits.push(limit("min_time", words, move |plan| {
            shortest(plan, |step| step.min_time, time, |found| found >= least)
        }));
    }
    if let Some(least) = rules.min_units {
        let words = format!("every step waits for at least {least} conversations");
        limits.push(limit("min_units", words, move |plan| {
            let words = |units: u64| format!("{units} conversations");
            shortest(plan, |step| step.min_units, words, |found| found >= least)
        }));
    }
    if let Some(Requirement::PromoteEvidence) = rules.require {
        let words = "the last step waits for promote evidence".to_owned();
        limits.push(limit("require", words, |plan| {
            let waits = plan.steps().last().is_some_and(|step| step.require == rules.require);
            (if waits { "it does" } else { "it does not" }.to_owned(), waits)
        }));
    }
    for kind in &rules.gate {
        let words = format!("`{}` can stop the rollout", kind.name());
        limits.push(limit(&format!("gate.{}", kind.name()), words, |plan| {
            let role = plan.judge().metrics.get(kind).copied().unwrap_or(GatePolicy::Observe);
            let name = match role {
                GatePolicy::Gate => "it gates",
                GatePolicy::Optional => "it gates where it is measured",
                GatePolicy::Observe => "it is only observed",
            };
            (name.to_owned(), role.gates())
        }));
    }
    if let Some(most) = rules.max_alpha {
        let words = format!("the error level `alpha` is at most {most}");
        limits.push(limit("max_alpha", words, move |plan| {
            let alpha = plan.judge().alpha;
            (alpha.to_string(), alpha <= most)
        }));
    }
    if let Some(most) = rules.max_tolerated_risk {
        let words = format!("the tolerated risk is at most {most}");
        limits.push(limit("max_tolerated_risk", words, move |plan| {
            let risk = plan.judge().tolerated_risk;
            (risk.to_string(), risk <= most)
        }));
    }
    limits.extend(settling(rules, times.settle));
    limits
}

/// Lists the limits on the time in which the challenger has all traffic.
fn settling(rules: &RolloutRules, window: Option<Duration>) -> Vec<Limit<'_>> {
    let mut limits = Vec::new();
    for (&kind, &most) in &rules.max_limits {
        let name = kind.name();
        let words = format!(
            "`{name}` of more than {most} % rolls back while the challenger has all traffic"
        );
        limits.push(limit(&format!("max_limits.{name}"), words, move |plan| {
            match plan.limits().get(&kind) {
                Some(found) => (format!("a limit of {found} %"), *found <= most),
                None => ("no such limit".to_owned(), false),
            }
        }));
    }
    if let Some(least) = window {
        let words = format!("the version before stays loaded for at least {}", time(least));
        limits.push(limit("min_settle", words, move |plan| match plan.settle() {
            Some(settle) => (time(settle.window), settle.window >= least),
            None => ("no settling window".to_owned(), false),
        }));
    }
    if let Some(least) = rules.min_settle_units {
        let words = format!("each limit waits for at least {least} conversations while settling");
        limits.push(limit("min_settle_units", words, move |plan| match plan.settle() {
            Some(settle) => {
                (format!("{} conversations", settle.min_units), settle.min_units >= least)
            }
            None => ("no settling window".to_owned(), false),
        }));
    }
    limits
}

/// Lists the limits on weights.
fn weights(rules: &RolloutRules) -> Vec<Limit<'_>> {
    let mut limits = Vec::new();
    if let Some(most) = rules.max_first_weight {
        let words = format!("the first step has at most {most} %");
        limits.push(limit("max_first_weight", words, move |plan| {
            let found = weights_of(plan).first().copied().unwrap_or(0.0);
            (format!("{found} %"), found <= most)
        }));
    }
    if let Some(most) = rules.max_step {
        let words = format!("a step raises the weight by at most {most} percentage points");
        limits.push(limit("max_step", words, move |plan| {
            let weights = weights_of(plan);
            let before = std::iter::once(0.0).chain(weights.iter().copied());
            let raises = weights.iter().zip(before).map(|(weight, before)| weight - before);
            let (step, raise) =
                raises.enumerate().fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
            let raise = (raise * 1e4).round() / 1e4;
            (format!("step {} raises it by {raise}", step + 1), raise <= most)
        }));
    }
    if let Some(most) = rules.max_weight {
        let words = format!("the last step has at most {most} %");
        limits.push(limit("max_weight", words, move |plan| {
            let found = weights_of(plan).last().copied().unwrap_or(0.0);
            (format!("{found} %"), found <= most)
        }));
    }
    limits
}

/// Returns the weights of the steps; a blue-green plan has one, which is everything, and a shadow plan none.
fn weights_of(plan: &RolloutPolicy) -> Vec<f64> {
    match plan.strategy() {
        Strategy::BlueGreen => vec![100.0],
        Strategy::Shadow => Vec::new(),
        Strategy::Canary => plan.steps().iter().map(|step| step.weight_percent).collect(),
    }
}

fn limit<'a>(
    name: &str,
    words: String,
    judge: impl Fn(&RolloutPolicy) -> (String, bool) + 'a,
) -> Limit<'a> {
    Limit { key: format!("rollout.{name}"), words, judge: Box::new(judge) }
}

/// Returns the step with the least number in words, and whether that number is enough.
fn shortest<T: Ord + Copy>(
    plan: &RolloutPolicy,
    number: impl Fn(&StepPolicy) -> T,
    words: impl Fn(T) -> String,
    is_enough: impl Fn(T) -> bool,
) -> (String, bool) {
    let steps = plan.steps().iter().map(number).enumerate();
    match steps.min_by_key(|(_, number)| *number) {
        Some((step, least)) => (format!("step {}: {}", step + 1, words(least)), is_enough(least)),
        None => ("no step".to_owned(), false),
    }
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
