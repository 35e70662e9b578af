//! The policy file as written in YAML, and its checks.

use super::{knowledge_rules::KnowledgeRules, required_bound::RequiredBound};
use crate::window::Window;
use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_rollout::{FailureKind, Requirement};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The longest duration of a policy: 366 days.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The most approvals that can be required.
const MOST_APPROVALS: u32 = 20;

/// The policy of one environment, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySpec {
    /// The version of the format: 1.
    pub version: u32,
    /// The environment that the policy is for. It is refused for any other.
    pub environment: String,
    /// How strictly it is applied: `off`, `warn` or `enforce`.
    pub mode: PolicyMode,
    /// Gates that a version must have passed, in the words of the gate rules. Evidence with a weaker rule is refused, even
    /// if it passed.
    pub gates: GateRules,
    /// Data sets: the gates must have been measured on one of them. Without any, every data set is accepted.
    pub data: Vec<DataRule>,
    /// The least number of records that the gates must have been measured on.
    pub min_records: Option<u64>,
    /// Limits on the plan of a rollout.
    pub rollout: RolloutRules,
    /// Approvals that a promotion needs.
    pub approvals: Option<ApprovalRules>,
    /// Times at which a rollout may start and advance, such as `Mon-Fri 09:00-16:00 Europe/Warsaw`; without any, always.
    /// A rollback is always possible.
    pub windows: Vec<String>,
    /// Behavioural tests: the gates must have been measured with one of them. Without any, all are accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behaviour: Vec<DataRule>,
}

/// How strictly a policy is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyMode {
    /// It is not applied.
    Off,
    /// Violations are reported, and nothing is refused.
    Warn,
    /// Violations are refused.
    #[default]
    Enforce,
}

/// Gates that a version must have passed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateRules {
    /// Bounds on metrics, by name.
    pub metrics: BTreeMap<String, RequiredBound>,
    /// Bounds on `recall`, `precision` or `f1` of every intent.
    pub per_class: BTreeMap<String, RequiredBound>,
    /// Bounds on `accuracy` in every language.
    pub per_language: BTreeMap<String, RequiredBound>,
    /// Rules against the champion. The evidence must have been measured against the champion in force, if there is one.
    pub relative: Option<RelativeRules>,
    /// Bounds on `recall`, `precision`, `f1` or `partial_f1` of every annotated entity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub per_entity: BTreeMap<String, RequiredBound>,
    /// Rules on behavioural tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<BehaviourRules>,
    /// Budgets of changed answers against the champion in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flips: Option<FlipRules>,
    /// Rules on the knowledge of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<KnowledgeRules>,
}

/// Rules on behavioural tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BehaviourRules {
    /// Whether every must-pass utterance must have its intent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub must_pass: bool,
    /// Bounds on the share of minimum functionality that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<RequiredBound>,
    /// Bounds on the share of variants that get the answer of their utterance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariance: Option<RequiredBound>,
    /// Bounds on the share of changes that move the probability as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<RequiredBound>,
}

/// Budgets of changed answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlipRules {
    /// The largest share of records that the champion classifies correctly and the version does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_negative: Option<f64>,
}

/// Rules against the champion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelativeRules {
    /// The most that each metric may be worse than the champion's.
    pub max_drop: BTreeMap<String, f64>,
    /// The most records that the champion classifies correctly and the challenger does not.
    pub max_newly_wrong: Option<u64>,
    /// The least level of McNemar's test.
    pub mcnemar_alpha: Option<f64>,
}

/// A data set that gates may be measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRule {
    /// The digest of the data file, as `botops evaluate` and `botops policy check` print it.
    pub digest: Digest,
    /// A name for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Limits on the plan of a rollout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutRules {
    /// The most weight of the first step, in percent.
    pub max_first_weight: Option<f64>,
    /// The most by which a step may raise the weight, in percentage points.
    pub max_step: Option<f64>,
    /// The most weight of the last step, in percent: the share that is judged before the promotion.
    pub max_weight: Option<f64>,
    /// The least time of every step, such as `2h`.
    pub min_time: Option<String>,
    /// The least number of conversations on the challenger in every step.
    pub min_units: Option<u64>,
    /// The evidence that the last step must wait for.
    pub require: Option<Requirement>,
    /// The kinds of failure that must be able to stop a rollout.
    pub gate: Vec<FailureKind>,
    /// The most that the error level `alpha` of the judge may be.
    pub max_alpha: Option<f64>,
    /// The most that the tolerated risk of the judge may be.
    pub max_tolerated_risk: Option<f64>,
    /// The absolute limits that a plan must have while the challenger has all traffic, each with the largest share of failed
    /// conversations that it may allow, in percent: `{error: 2}`. The kinds are `error`, `slow` and `fallback`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_limits: BTreeMap<FailureKind, f64>,
    /// The least time for which the version before must stay loaded after the promotion, such as `12h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_settle: Option<String>,
    /// The least number of conversations that each absolute limit must wait for while settling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_settle_units: Option<u64>,
}

/// Approvals that a promotion needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalRules {
    /// The number of approvals, by different people.
    pub required: u32,
    /// The time within which they must be given, such as `72h`; after it, the rollout is rolled back.
    pub expires: String,
    /// Whether the person who requested the rollout may approve it.
    pub self_approval: bool,
    /// The names of those who may approve; without any, everyone with the scope `approve`.
    pub approvers: Vec<String>,
}

/// The settings that are written in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub(super) windows: Vec<Window>,
    pub(super) times: LeastTimes,
    /// The time within which the approvals must be given.
    pub(super) expires: Option<Duration>,
}

/// The least times of a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeastTimes {
    /// Of every step.
    pub(super) step: Option<Duration>,
    /// Of the settling window.
    pub(super) settle: Option<Duration>,
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self {
            version: 1,
            environment: "production".to_owned(),
            mode: PolicyMode::Enforce,
            gates: GateRules::default(),
            data: Vec::new(),
            min_records: None,
            rollout: RolloutRules::default(),
            approvals: None,
            windows: Vec::new(),
            behaviour: Vec::new(),
        }
    }
}

impl Default for ApprovalRules {
    fn default() -> Self {
        Self { required: 1, expires: "72h".to_owned(), self_approval: false, approvers: Vec::new() }
    }
}

impl PolicyMode {
    /// Returns the name, as in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

impl BehaviourRules {
    /// Returns the bounds on shares, by name.
    pub(super) fn bounds(self) -> impl Iterator<Item = (&'static str, RequiredBound)> {
        let bounds = [
            ("minimum", self.minimum),
            ("invariance", self.invariance),
            ("direction", self.direction),
        ];
        bounds.into_iter().filter_map(|(name, bound)| Some((name, bound?)))
    }
}

impl GateRules {
    /// Returns whether nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let relative = self.relative.clone().unwrap_or_default();
        let others = Self {
            relative: self.relative.clone(),
            behaviour: self.behaviour,
            flips: self.flips,
            ..Self::default()
        };
        *self == others
            && relative == RelativeRules::default()
            && self.behaviour.unwrap_or_default() == BehaviourRules::default()
            && self.flips.unwrap_or_default() == FlipRules::default()
    }

    /// Checks that every number is finite. A form that has no such number, like JSON, would lose it.
    ///
    /// # Errors
    /// `BOT-1063` (exit 2) with the key of a number that is infinite, or not a number.
    pub fn check_numbers(&self) -> Result<()> {
        let check = |key: String, number: f64| match number.is_finite() {
            true => Ok(()),
            false => {
                let message = format!("`{key}` is {number}: expected a finite number");
                Err(fault(&key, message).hint("write a number, such as `0.8`"))
            }
        };
        let Self {
            metrics,
            per_class,
            per_language,
            relative,
            per_entity,
            behaviour,
            flips,
            knowledge,
        } = self;
        for (name, bound) in behaviour.unwrap_or_default().bounds() {
            for (end, number) in [("min", bound.min), ("max", bound.max)] {
                if let Some(number) = number {
                    check(format!("gates.behaviour.{name}.{end}"), number)?;
                }
            }
        }
        if let Some(most) = flips.unwrap_or_default().max_negative {
            check("gates.flips.max_negative".to_owned(), most)?;
        }
        let knowledge = knowledge.clone().unwrap_or_default();
        for (name, drop) in &knowledge.max_drop {
            check(format!("gates.knowledge.max_drop.{name}"), *drop)?;
        }
        for (section, bounds) in [
            ("knowledge", &knowledge.bounds()),
            ("metrics", metrics),
            ("per_class", per_class),
            ("per_language", per_language),
            ("per_entity", per_entity),
        ] {
            for (name, bound) in bounds {
                for (end, number) in [("min", bound.min), ("max", bound.max)] {
                    if let Some(number) = number {
                        check(format!("gates.{section}.{name}.{end}"), number)?;
                    }
                }
            }
        }
        let Some(relative) = relative else { return Ok(()) };
        for (name, drop) in &relative.max_drop {
            check(format!("gates.relative.max_drop.{name}"), *drop)?;
        }
        match relative.mcnemar_alpha {
            Some(alpha) => check("gates.relative.mcnemar_alpha".to_owned(), alpha),
            None => Ok(()),
        }
    }
}

impl PolicySpec {
    /// Checks the settings, brings them into their normal form, and returns those that are written in words.
    pub(super) fn normalize(&mut self) -> Result<Parsed> {
        self.environment = self.environment.trim().to_owned();
        if self.environment.is_empty() || self.environment.contains('/') {
            return Err(fault("environment", "`environment` must name one environment")
                .hint("write `environment: production`"));
        }
        if self.min_records == Some(0) {
            return Err(fault("min_records", "`min_records` is 0: expected at least one record"));
        }
        self.check_bounds()?;
        self.behaviour.sort_by_key(|tests| tests.digest);
        self.behaviour.dedup_by_key(|tests| tests.digest);
        self.data.sort_by_key(|data| data.digest);
        if let Some(twice) = self.data.windows(2).find(|pair| pair[0].digest == pair[1].digest) {
            return Err(fault("data", format!("`data` names `{}` twice", twice[0].digest.short())));
        }
        let times = self.rollout.check()?;
        let expires = self.approvals.as_mut().map(ApprovalRules::check).transpose()?;
        let mut windows = Vec::with_capacity(self.windows.len());
        for (i, text) in self.windows.iter_mut().enumerate() {
            let window =
                Window::parse(text).map_err(|fault| fault.at(key(&format!("windows[{i}]"))))?;
            *text = window.to_string();
            windows.push(window);
        }
        Ok(Parsed { windows, times, expires })
    }

    /// Checks that every bound on a gate is a number, and can hold.
    fn check_bounds(&self) -> Result<()> {
        self.gates.check_numbers()?;
        let GateRules {
            metrics,
            per_class,
            per_language,
            relative,
            per_entity,
            behaviour,
            flips,
            knowledge,
        } = &self.gates;
        let knowledge = knowledge.clone().unwrap_or_default();
        if let Some((name, drop)) = knowledge.max_drop.iter().find(|(_, drop)| **drop < 0.0) {
            let key = format!("gates.knowledge.max_drop.{name}");
            return Err(fault(&key, format!("`{drop}` is not a valid largest drop")));
        }
        for (section, bounds) in [
            ("knowledge", &knowledge.bounds()),
            ("metrics", metrics),
            ("per_class", per_class),
            ("per_language", per_language),
            ("per_entity", per_entity),
        ] {
            for (name, bound) in bounds {
                check_bound(section, name, *bound)?;
            }
        }
        for (name, bound) in behaviour.unwrap_or_default().bounds() {
            check_bound("behaviour", name, bound)?;
        }
        if let Some(most) = flips.unwrap_or_default().max_negative
            && !(0.0..=1.0).contains(&most)
        {
            let message = format!("`{most}` is not a share from 0 to 1");
            return Err(fault("gates.flips.max_negative", message));
        }
        for (name, drop) in relative.iter().flat_map(|relative| &relative.max_drop) {
            if *drop < 0.0 {
                let key = format!("gates.relative.max_drop.{name}");
                return Err(fault(&key, format!("`{drop}` is not a valid largest drop")));
            }
        }
        if let Some(alpha) = relative.as_ref().and_then(|relative| relative.mcnemar_alpha)
            && !(alpha > 0.0 && alpha < 1.0)
        {
            return Err(fault(
                "gates.relative.mcnemar_alpha",
                format!("`{alpha}` is not in (0, 1)"),
            ));
        }
        Ok(())
    }
}

/// Checks that a bound on a gate has an end, and can hold.
fn check_bound(section: &str, name: &str, bound: RequiredBound) -> Result<()> {
    let key = format!("gates.{section}.{name}");
    match (bound.min, bound.max) {
        (None, None) => Err(fault(&key, format!("the gate on `{name}` has no bound"))
            .hint(format!("write a bound, such as `{name}: {{min: 0.8}}`"))),
        (Some(min), Some(max)) if min > max => {
            Err(fault(&key, format!("the gate on `{name}` cannot hold: {min} is above {max}")))
        }
        _ => Ok(()),
    }
}

impl RolloutRules {
    /// Checks the limits, and returns the least times.
    fn check(&mut self) -> Result<LeastTimes> {
        let weights = [
            ("max_first_weight", self.max_first_weight),
            ("max_step", self.max_step),
            ("max_weight", self.max_weight),
        ];
        for (name, weight) in weights {
            if weight.is_some_and(|weight| !(weight > 0.0 && weight <= 100.0)) {
                let message = format!("`{name}` must be above 0 and at most 100 percent");
                return Err(fault(&format!("rollout.{name}"), message));
            }
        }
        if self.min_units == Some(0) {
            let message = "`min_units` is 0: expected at least one conversation";
            return Err(fault("rollout.min_units", message));
        }
        if self.max_alpha.is_some_and(|alpha| !(alpha > 0.0 && alpha <= 0.5)) {
            let message = "`max_alpha` must be above 0 and at most 0.5";
            return Err(fault("rollout.max_alpha", message));
        }
        if self.max_tolerated_risk.is_some_and(|risk| !(risk > 1.0 && risk <= 16.0)) {
            let message = "`max_tolerated_risk` must be above 1 and at most 16";
            return Err(fault("rollout.max_tolerated_risk", message));
        }
        self.gate.sort_unstable();
        self.gate.dedup();
        self.check_limits()?;
        let step =
            self.min_time.as_mut().map(|text| duration("rollout.min_time", text)).transpose()?;
        let settle = self
            .min_settle
            .as_mut()
            .map(|text| duration("rollout.min_settle", text))
            .transpose()?;
        if settle.is_some_and(|settle| settle.is_zero()) {
            return Err(fault("rollout.min_settle", "`min_settle` is zero: it demands nothing")
                .hint("write a duration such as `12h`, or leave it out"));
        }
        Ok(LeastTimes { step, settle })
    }

    /// Checks the demands on absolute limits.
    fn check_limits(&self) -> Result<()> {
        for (kind, percent) in &self.max_limits {
            let key = format!("rollout.max_limits.{}", kind.name());
            if !matches!(kind, FailureKind::Error | FailureKind::Slow | FailureKind::Fallback) {
                let message = format!("a plan has no limit on `{}`", kind.name());
                return Err(
                    fault(&key, message).hint("the kinds are `error`, `slow` and `fallback`")
                );
            }
            if !(*percent > 0.0 && *percent < 100.0) {
                let message = format!("`{}` must be above 0 and below 100 percent", kind.name());
                return Err(fault(&key, message));
            }
        }
        if self.min_settle_units == Some(0) {
            let message = "`min_settle_units` is 0: expected at least one conversation";
            return Err(fault("rollout.min_settle_units", message));
        }
        Ok(())
    }
}

impl ApprovalRules {
    /// Checks the rules, and returns the time within which the approvals must be given.
    fn check(&mut self) -> Result<Duration> {
        if !(1..=MOST_APPROVALS).contains(&self.required) {
            let message = format!("`required` must be from 1 to {MOST_APPROVALS}");
            return Err(fault("approvals.required", message)
                .hint("leave `approvals` out if none is needed"));
        }
        self.approvers.iter_mut().for_each(|name| *name = name.trim().to_owned());
        self.approvers.sort_unstable();
        self.approvers.dedup();
        if !self.approvers.is_empty() && self.approvers.len() < self.required as usize {
            let message = format!(
                "{} approvals are required, but only {} people may approve",
                self.required,
                self.approvers.len()
            );
            return Err(fault("approvals.approvers", message));
        }
        let expires = duration("approvals.expires", &mut self.expires)?;
        if expires.is_zero() {
            return Err(fault(
                "approvals.expires",
                "`expires` is zero: nobody could approve in time",
            ));
        }
        Ok(expires)
    }
}

fn key(key: &str) -> Place {
    Place { key: Some(key.to_owned()), ..Place::default() }
}

fn fault(key: &str, message: impl Into<String>) -> Fault {
    Fault::usage("BOT-1063", message).at(self::key(key))
}

/// Parses the duration `text`, and writes it in its normal form.
fn duration(key: &str, text: &mut String) -> Result<Duration> {
    let invalid = |reason: String| {
        let shown = botops_text::display(text, 40);
        fault(key, format!("`{shown}` is not a duration: {reason}"))
            .hint("write a duration such as `30m`, `12h` or `7d`")
    };
    let duration = humantime::parse_duration(text.trim())
        .map_err(|error| invalid(error.to_string()).caused_by(error))?;
    if duration > LONGEST {
        return Err(invalid("it is longer than 366 days".to_owned()));
    }
    *text = humantime::format_duration(duration).to_string();
    Ok(duration)
}
