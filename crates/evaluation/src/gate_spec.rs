//! Gates as written in YAML: bounds on metrics and rules against the champion, checked before anything is measured.

use crate::{
    bound::Bound, entity_report::EntityScores, evaluation_report::ClassMetrics,
    knowledge::KNOWLEDGE_METRICS, knowledge_gate::KnowledgeGate, metrics::METRICS,
};
use botops_findings::{Fault, Place, Result};
use botops_spec::Spec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules on promotion, as written in YAML, such as `metrics: {accuracy: {min: 0.8}}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSpec {
    /// Bounds on metrics, by name.
    pub metrics: BTreeMap<String, Bound>,
    /// Bounds on `recall`, `precision` or `f1` of every intent; an intent without records fails.
    pub per_class: BTreeMap<String, Bound>,
    /// Bounds on `accuracy` in every language.
    pub per_language: BTreeMap<String, Bound>,
    /// Rules against the champion.
    pub relative: Option<RelativeGate>,
    /// Bounds on `recall`, `precision`, `f1` or `partial_f1` of every annotated entity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub per_entity: BTreeMap<String, Bound>,
    /// Rules on behavioural tests. A rule without such tests fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<BehaviourGate>,
    /// Budgets of changed answers against the champion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flips: Option<FlipGate>,
    /// Rules on the knowledge of a version. A rule without evaluated knowledge fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<KnowledgeGate>,
}

/// Rules on behavioural tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BehaviourGate {
    /// Whether every utterance under `must_pass` must have its intent. Without such an utterance, the rule fails.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub must_pass: bool,
    /// Bounds on the share of minimum functionality that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Bound>,
    /// Bounds on the share of variants that get the answer of their utterance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariance: Option<Bound>,
    /// Bounds on the share of changes that move the probability as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Bound>,
}

/// Budgets of changed answers against the champion, on the records of the evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlipGate {
    /// The largest share of records that the champion classifies correctly and the challenger does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_negative: Option<f64>,
}

/// Rules against the champion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelativeGate {
    /// The most that each metric may be worse than the champion's.
    pub max_drop: BTreeMap<String, f64>,
    /// The most records that the champion classifies correctly and the challenger does not.
    pub max_newly_wrong: Option<u64>,
    /// The level of McNemar's test: the gate fails when the challenger is worse and the exact p-value is below this.
    pub mcnemar_alpha: Option<f64>,
}

/// The name of a metric of one intent, and the function that reads it.
type Measure = (&'static str, fn(&ClassMetrics) -> f64);

/// The metrics that can be bounded for every intent.
pub(crate) const PER_CLASS: [Measure; 3] = [
    ("f1", |metrics| metrics.f1),
    ("precision", |metrics| metrics.precision),
    ("recall", |metrics| metrics.recall),
];

/// The name of a metric of one entity, and the function that reads it.
type EntityMeasure = (&'static str, fn(&EntityScores) -> f64);

/// The metrics that can be bounded for every entity.
pub(crate) const PER_ENTITY: [EntityMeasure; 4] = [
    ("f1", |scores| scores.exact.f1.value),
    ("partial_f1", |scores| scores.partial.f1.value),
    ("precision", |scores| scores.exact.precision.value),
    ("recall", |scores| scores.exact.recall.value),
];

/// The metrics that can be bounded in every language.
const PER_LANGUAGE: [&str; 1] = ["accuracy"];

impl Spec for GateSpec {
    /// Checks the rules, so that a mistake is found before anything is measured.
    ///
    /// # Errors
    /// `BOT-3010` (exit 2) no rule, an unknown metric, or an invalid bound.
    fn check_ranges(&self) -> Result<()> {
        let relative = self.relative.clone().unwrap_or_default();
        if self.has_no_bounds() && relative == RelativeGate::default() {
            return Err(Fault::usage("BOT-3010", "no gate is declared")
                .hint("declare one, such as `metrics: {accuracy: {min: 0.8}}`"));
        }
        let metrics: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
        let classes: Vec<&str> = PER_CLASS.iter().map(|(name, _)| *name).collect();
        check_bounds("metrics", &self.metrics, &metrics)?;
        check_bounds("per_class", &self.per_class, &classes)?;
        check_bounds("per_language", &self.per_language, &PER_LANGUAGE)?;
        let entities: Vec<&str> = PER_ENTITY.iter().map(|(name, _)| *name).collect();
        check_bounds("per_entity", &self.per_entity, &entities)?;
        self.check_behaviour()?;
        self.check_knowledge()?;
        for (name, drop) in &relative.max_drop {
            let key = format!("relative.max_drop.{name}");
            check_name(&key, name, &metrics)?;
            if !drop.is_finite() || *drop < 0.0 {
                return Err(fault(&key, format!("`{drop}` is not a valid largest drop"))
                    .hint("write how much worse the metric may be, such as `0.01`"));
            }
        }
        if let Some(alpha) = relative.mcnemar_alpha
            && !(alpha > 0.0 && alpha < 1.0)
        {
            return Err(fault("relative.mcnemar_alpha", format!("`{alpha}` is not in (0, 1)"))
                .hint("a usual level is `0.05`"));
        }
        Ok(())
    }
}

impl GateSpec {
    fn has_no_bounds(&self) -> bool {
        self.metrics.is_empty()
            && self.per_class.is_empty()
            && self.per_language.is_empty()
            && self.per_entity.is_empty()
            && self.behaviour.unwrap_or_default() == BehaviourGate::default()
            && self.flips.unwrap_or_default() == FlipGate::default()
            && self
                .knowledge
                .as_ref()
                .is_none_or(|knowledge| *knowledge == KnowledgeGate::default())
    }

    /// Checks the rules on knowledge.
    fn check_knowledge(&self) -> Result<()> {
        let Some(knowledge) = &self.knowledge else { return Ok(()) };
        let known: Vec<&str> = KNOWLEDGE_METRICS.iter().map(|(name, _)| *name).collect();
        check_bounds("knowledge", &knowledge.bounds(), &known)?;
        for (base, bounds) in &knowledge.bases {
            check_bounds(&format!("knowledge.bases.{base}"), bounds, &known)?;
        }
        for (name, drop) in &knowledge.max_drop {
            let key = format!("knowledge.max_drop.{name}");
            check_name(&key, name, &known)?;
            if !drop.is_finite() || *drop < 0.0 {
                return Err(fault(&key, format!("`{drop}` is not a valid largest drop"))
                    .hint("write how much worse the metric may be, such as `0.01`"));
            }
        }
        Ok(())
    }

    /// Checks the rules on behavioural tests and on changed answers.
    fn check_behaviour(&self) -> Result<()> {
        for (name, bound) in self.behaviour.unwrap_or_default().bounds() {
            check_bound(&format!("behaviour.{name}"), name, bound)?;
        }
        match self.flips.unwrap_or_default().max_negative {
            Some(most) if !(0.0..=1.0).contains(&most) => {
                Err(fault("flips.max_negative", format!("`{most}` is not a share from 0 to 1"))
                    .hint("write `0.02` for 2 % of the records"))
            }
            _ => Ok(()),
        }
    }
}

fn fault(key: &str, message: String) -> Fault {
    Fault::usage("BOT-3010", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}

fn check_name(key: &str, name: &str, known: &[&str]) -> Result<()> {
    if known.contains(&name) {
        return Ok(());
    }
    let nearest = botops_spec::nearest(name, known.iter().copied());
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let fault = fault(key, format!("a gate on `{name}`, which is not measured"));
    let fault = match nearest {
        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
        None => fault,
    };
    Err(fault.hint(format!("metrics that can be bounded here: {}", names.join(", "))))
}

fn check_bounds(section: &str, bounds: &BTreeMap<String, Bound>, known: &[&str]) -> Result<()> {
    for (name, bound) in bounds {
        let key = format!("{section}.{name}");
        check_name(&key, name, known)?;
        check_bound(&key, name, *bound)?;
    }
    Ok(())
}

impl BehaviourGate {
    /// Returns the bounds on shares, by name.
    pub(crate) fn bounds(self) -> impl Iterator<Item = (&'static str, Bound)> {
        let bounds = [
            ("minimum", self.minimum),
            ("invariance", self.invariance),
            ("direction", self.direction),
        ];
        bounds.into_iter().filter_map(|(name, bound)| Some((name, bound?)))
    }
}

fn check_bound(key: &str, name: &str, bound: Bound) -> Result<()> {
    let defect = match (bound.min, bound.max) {
        (None, None) => Some("it has neither `min` nor `max`".to_owned()),
        (min, max) if min.into_iter().chain(max).any(|end| !end.is_finite()) => {
            Some("its bound is not a number".to_owned())
        }
        (Some(min), Some(max)) if min > max => {
            Some(format!("its `min` {min} is above its `max` {max}"))
        }
        _ => None,
    };
    if let Some(defect) = defect {
        return Err(fault(key, format!("the gate on `{name}` cannot hold: {defect}"))
            .hint(format!("write a bound, such as `{name}: {{min: 0.8}}`")));
    }
    Ok(())
}
