//! Required gates against the rules and the numbers of a gate report.

use super::{
    evidence::{EvidenceBasis, MeasuredBound},
    judgement::Check,
    required_bound::RequiredBound,
    spec::GateRules,
};
use botops_digest::Digest;
use std::collections::BTreeMap;

/// The amount by which a number may miss its bound, because differences of decimal fractions are not exact.
const SLACK: f64 = 1e-9;

/// One bound that a policy requires.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Required {
    /// The dotted key in the gate rules, such as `metrics.accuracy.min`.
    pub(super) key: String,
    pub(super) bound: f64,
}

impl Required {
    /// Lists the bounds of `rules`, in the order of the file.
    pub(super) fn all(rules: &GateRules) -> Vec<Self> {
        let mut all = Vec::new();
        let GateRules {
            metrics,
            per_class,
            per_language,
            relative,
            per_entity,
            behaviour,
            flips,
            knowledge,
        } = rules;
        let mut bounds = |section: &str, bounds: &BTreeMap<String, RequiredBound>| {
            for (name, RequiredBound { min, max }) in bounds {
                let ends = [("min", min), ("max", max)];
                all.extend(ends.into_iter().filter_map(|(end, bound)| {
                    Some(Self { key: format!("{section}.{name}.{end}"), bound: (*bound)? })
                }));
            }
        };
        bounds("metrics", metrics);
        bounds("per_class", per_class);
        bounds("per_language", per_language);
        bounds("per_entity", per_entity);
        let knowledge = knowledge.clone().unwrap_or_default();
        bounds("knowledge", &knowledge.bounds());
        if let Some(relative) = relative {
            let drops = relative.max_drop.iter();
            all.extend(drops.map(|(name, most)| Self {
                key: format!("relative.max_drop.{name}"),
                bound: *most,
            }));
            let wrong = relative.max_newly_wrong.map(|most| most as f64);
            let others = [("max_newly_wrong", wrong), ("mcnemar_alpha", relative.mcnemar_alpha)];
            all.extend(others.into_iter().filter_map(|(name, bound)| {
                Some(Self { key: format!("relative.{name}"), bound: bound? })
            }));
        }
        all.extend(
            knowledge.max_drop.iter().map(|(name, most)| Self {
                key: format!("knowledge.max_drop.{name}"),
                bound: *most,
            }),
        );
        let behaviour = behaviour.unwrap_or_default();
        if behaviour.must_pass {
            all.push(Self { key: "behaviour.must_pass".to_owned(), bound: 0.0 });
        }
        for (name, RequiredBound { min, max }) in behaviour.bounds() {
            let ends = [("min", min), ("max", max)];
            all.extend(ends.into_iter().filter_map(|(end, bound)| {
                Some(Self { key: format!("behaviour.{name}.{end}"), bound: bound? })
            }));
        }
        let most = flips.unwrap_or_default().max_negative;
        all.extend(most.map(|bound| Self { key: "flips.max_negative".to_owned(), bound }));
        all
    }

    fn is_relative(&self) -> bool {
        self.key.starts_with("relative.") || self.key.starts_with("flips.") || self.is_about_drops()
    }

    /// Returns whether the rule compares knowledge with that of the champion.
    fn is_about_drops(&self) -> bool {
        self.key.starts_with("knowledge.max_drop.")
    }

    /// Returns whether a higher bound is stricter, and numbers must not be below it.
    fn is_least(&self) -> bool {
        self.key.ends_with(".min") || self.key == "relative.mcnemar_alpha"
    }

    /// Returns whether `number`, a bound or a measured value, is as good as this bound demands; false for NaN.
    fn is_met(&self, number: f64) -> bool {
        match self.is_least() {
            true => number >= self.bound - SLACK,
            false => number <= self.bound + SLACK,
        }
    }

    /// Returns the rule with `bound` in words, such as `accuracy >= 0.85`.
    pub(super) fn words(&self, bound: f64) -> String {
        let sign = if self.is_least() { ">=" } else { "<=" };
        let parts: Vec<&str> = self.key.split('.').collect();
        match parts.as_slice() {
            ["metrics", name, _] => format!("{name} {sign} {bound}"),
            ["per_class", name, _] => format!("{name} of every intent {sign} {bound}"),
            ["per_language", name, _] => format!("{name} in every language {sign} {bound}"),
            ["per_entity", name, _] => format!("{name} of every entity {sign} {bound}"),
            ["relative", "max_drop", name] => {
                format!("{name} at most {bound} worse than the champion's")
            }
            ["knowledge", "max_drop", name] => {
                format!("{name} of knowledge at most {bound} worse than the champion's")
            }
            ["knowledge", name, _] => format!("{name} of every knowledge base {sign} {bound}"),
            ["behaviour", "must_pass"] => format!("must-pass utterances that fail <= {bound}"),
            ["behaviour", name, _] => {
                format!("behavioural tests of {name} that pass {sign} {bound}")
            }
            ["flips", _] => format!("negative flips <= {bound} of the records"),
            ["relative", "max_newly_wrong"] => format!("newly wrong records <= {bound}"),
            _ => format!("not worse than the champion at mcnemar p < {bound}"),
        }
    }

    /// Judges `basis`; `champion` is the model file of the champion in force, and `knowledge` its knowledge files.
    pub(super) fn check(
        &self,
        basis: &EvidenceBasis,
        champion: Option<Digest>,
        knowledge: &BTreeMap<String, Digest>,
    ) -> Check {
        let check = |found: String, passed: bool, help: &str| Check {
            rule: format!("gates.{}", self.key),
            required: self.words(self.bound),
            found,
            passed,
            help: if passed { String::new() } else { help.to_owned() },
        };
        let measured = |value: f64| format!("measured {}", shown(value));
        let Some(MeasuredBound { bound, value, .. }) =
            basis.bounds.iter().find(|bound| bound.key == self.key)
        else {
            let found = "the gate rules behind the evidence have no such rule".to_owned();
            return check(
                found,
                false,
                "add the rule to the gate rules, and judge the version again",
            );
        };
        let rule = self.words(*bound);
        let Some(value) = *value else {
            // The first version, or the first knowledge of a name, has nobody to be compared with.
            let is_first = match self.is_about_drops() {
                true => basis.champion_knowledge.keys().all(|name| !knowledge.contains_key(name)),
                false => champion.is_none(),
            };
            let passed = self.is_relative() && is_first && self.is_met(*bound);
            return check(
                format!("{rule}, not measured"),
                passed,
                "judge the version again, on data that measures it",
            );
        };
        let is_other = match self.is_about_drops() {
            true => basis
                .champion_knowledge
                .iter()
                .any(|(name, compared)| knowledge.get(name) != compared.as_ref()),
            false => champion.is_some() && basis.champion != champion,
        };
        if self.is_relative() && is_other {
            let found = if self.is_about_drops() {
                format!("{rule}, {}, against other knowledge than the champion's", measured(value))
            } else {
                format!("{rule}, {}, against another model than the champion", measured(value))
            };
            return check(found, false, "the champion moved since: judge the version again");
        }
        let found = format!("{rule}, {}", measured(value));
        match (self.is_met(*bound), self.is_met(value)) {
            (true, true) => check(found, true, ""),
            (false, true) => check(
                format!("a weaker rule: {found}"),
                false,
                "make the gate rules as strict as the policy, and judge the version again",
            ),
            (_, false) => check(found, false, "train a version that reaches it"),
        }
    }
}

/// Renders a number with at most six decimals.
fn shown(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    // No `-0`.
    format!("{}", rounded + 0.0)
}
