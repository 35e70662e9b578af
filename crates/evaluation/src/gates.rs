//! Judges an evaluation report by gates.

use crate::{
    behaviour_report::BehaviourKind,
    bound::Bound,
    comparison::Comparison,
    evaluation_report::{EvaluationReport, UNKNOWN_LANGUAGE},
    gate_report::{BoundResult, GateBasis, GateReport, GateResult, SCHEMA},
    gate_spec::{BehaviourGate, FlipGate, GateSpec, PER_CLASS, PER_ENTITY, RelativeGate},
    knowledge_gate::{self, JudgedKnowledge},
    metrics::{Better, METRICS},
};
use botops_findings::{Fault, Result};
use botops_spec::Checked;
use std::collections::BTreeMap;

/// The observation of rules against a champion when there is none.
const NO_CHAMPION: &str = "not applicable: no champion";

/// The observation of rules on entities when none was measured.
const NO_ENTITIES: &str = "not measured: the data annotates no entity, or the model looks for none";

/// The amount by which a drop may exceed its bound, because differences of decimal fractions are not exact.
const SLACK: f64 = 1e-9;

/// As [`gate_set`], for a version without knowledge.
///
/// # Errors
/// Those of [`gate_set`].
pub fn gate(
    spec: &Checked<GateSpec>,
    report: &EvaluationReport,
    comparison: Option<&Comparison>,
) -> Result<GateReport> {
    gate_set(spec, report, comparison, &[])
}

/// Judges a model and its knowledge by `spec`. A gate on a metric that was not measured fails. Rules against the champion do not apply
/// when there is none.
///
/// # Errors
/// `BOT-3012` (exit 2) `comparison` is about another model or other records than `report`.
pub fn gate_set(
    spec: &Checked<GateSpec>,
    report: &EvaluationReport,
    comparison: Option<&Comparison>,
    knowledge: &[JudgedKnowledge<'_>],
) -> Result<GateReport> {
    if let Some(comparison) = comparison
        && (comparison.challenger != report.model || comparison.n != report.n)
    {
        return Err(Fault::usage(
            "BOT-3012",
            format!(
                "the comparison is about model {} on {} records, the evaluation about {} on {}",
                comparison.challenger.short(),
                comparison.n,
                report.model.short(),
                report.n
            ),
        )
        .hint("evaluate and compare the same model on the same data"));
    }
    let mut judged = Judged::default();
    for (name, bound) in &spec.metrics {
        on_metric(name, *bound, report, &mut judged);
    }
    for (name, bound) in &spec.per_class {
        on_classes(name, *bound, report, &mut judged);
    }
    for (name, bound) in &spec.per_language {
        on_languages(name, *bound, report, &mut judged);
    }
    for (name, bound) in &spec.per_entity {
        on_entities(name, *bound, report, &mut judged);
    }
    if let Some(relative) = &spec.relative {
        against_champion(relative, report, comparison, &mut judged);
    }
    if let Some(behaviour) = &spec.behaviour {
        on_behaviour(*behaviour, report, &mut judged);
    }
    if let Some(flips) = &spec.flips {
        on_flips(*flips, comparison, &mut judged);
    }
    if let Some(rules) = &spec.knowledge {
        for (bound, result) in knowledge_gate::judge(rules, knowledge) {
            judged.bounds.push(bound);
            judged.results.push(result);
        }
    }
    let Judged { results, bounds } = judged;
    let passed = results.iter().all(|result| result.passed);
    let gate = GateReport {
        schema: SCHEMA.to_owned(),
        model: report.model,
        knowledge: BTreeMap::new(),
        evidence: "evaluation".to_owned(),
        results,
        passed,
        basis: Some(GateBasis {
            data: report.data.clone(),
            data_digest: report.data_digest,
            n: report.n,
            champion: comparison.map(|comparison| comparison.champion),
            bounds,
            behaviour: spec
                .behaviour
                .and(report.behaviour.as_ref())
                .map(|behaviour| behaviour.digest),
            questions: JudgedKnowledge::questions(knowledge),
        }),
    };
    Ok(gate.with_knowledge(JudgedKnowledge::digests(knowledge)))
}

/// The outcomes so far: in words, and in numbers.
#[derive(Default)]
struct Judged {
    results: Vec<GateResult>,
    bounds: Vec<BoundResult>,
}

impl Judged {
    /// Adds the outcome of the rule at `key` of the rules; `value` is the measured number.
    fn push(&mut self, key: String, bound: f64, value: Option<f64>, result: GateResult) {
        let value = value.filter(|value| value.is_finite());
        self.bounds.push(BoundResult { key, bound, value });
        self.results.push(result);
    }
}

/// One end of a bound.
#[derive(Clone, Copy)]
enum End {
    Min(f64),
    Max(f64),
}

impl End {
    fn of(bound: Bound) -> impl Iterator<Item = Self> {
        bound.min.map(Self::Min).into_iter().chain(bound.max.map(Self::Max))
    }

    /// Returns whether `value` is within the bound; false for NaN.
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Min(min) => value >= min,
            Self::Max(max) => value <= max,
        }
    }

    fn number(self) -> f64 {
        match self {
            Self::Min(end) | Self::Max(end) => end,
        }
    }

    /// Returns the key of this end of the bound at `section.name` of the rules.
    fn key(self, section: &str, name: &str) -> String {
        let end = if matches!(self, Self::Min(_)) { "min" } else { "max" };
        format!("{section}.{name}.{end}")
    }

    fn rule(self, subject: &str) -> String {
        let sign = if matches!(self, Self::Min(_)) { ">=" } else { "<=" };
        format!("{subject} {sign} {}", exact(self.number()))
    }

    /// Returns the distance of `value` from failing; negative when it fails.
    fn margin(self, value: f64) -> f64 {
        match self {
            Self::Min(min) => value - min,
            Self::Max(max) => max - value,
        }
    }
}

fn on_metric(name: &str, bound: Bound, report: &EvaluationReport, judged: &mut Judged) {
    for end in End::of(bound) {
        let rule = end.rule(name);
        let metric = report.metrics.get(name);
        let result = match metric {
            None => failed(rule, not_measured(name)),
            Some(metric) => GateResult {
                rule,
                observed: format!(
                    "{} {} on {} {}",
                    beside(metric.value, end.number()),
                    botops_text::interval(metric.ci95, 3),
                    metric.n,
                    if name.starts_with("entity_") { "spans" } else { "records" }
                ),
                passed: end.holds(metric.value),
            },
        };
        let value = metric.map(|metric| metric.value);
        judged.push(end.key("metrics", name), end.number(), value, result);
    }
}

fn not_measured(name: &str) -> String {
    match name {
        name if name.starts_with("oos_") => "not measured: the data has no out-of-scope record",
        name if name.starts_with("set_") => "not measured: the model makes no prediction sets",
        name if name.starts_with("entity_") => NO_ENTITIES,
        _ => "not measured",
    }
    .to_owned()
}

fn failed(rule: String, observed: String) -> GateResult {
    GateResult { rule, observed, passed: false }
}

fn on_classes(name: &str, bound: Bound, report: &EvaluationReport, judged: &mut Judged) {
    let measure = PER_CLASS.iter().find(|(known, _)| *known == name).map(|(_, measure)| measure);
    let measure = measure.expect("`Spec::check` accepts only these names");
    for end in End::of(bound) {
        let rule = end.rule(&format!("{name} of every intent"));
        let absent: Vec<String> = report
            .per_class
            .iter()
            .filter(|(_, metrics)| metrics.support == 0)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let found = report.per_class.iter().filter(|(_, metrics)| metrics.support > 0).map(
            |(intent, metrics)| {
                let unknown = report.unknown_intents.contains(intent);
                let note = if unknown { ", which the model does not know" } else { "" };
                (intent.as_str(), measure(metrics), metrics.support, note)
            },
        );
        let (mut result, mut worst) =
            judge_worst(rule, end, found.collect(), ("record", "intents"));
        if !absent.is_empty() {
            result.passed = false;
            worst = None;
            result.observed = format!(
                "not measured: the data has no record of {}; {}",
                some_of(&absent),
                result.observed
            );
        }
        judged.push(end.key("per_class", name), end.number(), worst, result);
    }
}

fn on_languages(name: &str, bound: Bound, report: &EvaluationReport, judged: &mut Judged) {
    for end in End::of(bound) {
        let languages = report.per_language.iter().filter(|(name, _)| *name != UNKNOWN_LANGUAGE);
        let found = languages.map(|(name, metric)| (name.as_str(), metric.value, metric.n, ""));
        let rule = end.rule(&format!("{name} in every language"));
        let (result, worst) = judge_worst(rule, end, found.collect(), ("record", "languages"));
        judged.push(end.key("per_language", name), end.number(), worst, result);
    }
}

fn on_entities(name: &str, bound: Bound, report: &EvaluationReport, judged: &mut Judged) {
    let measure = PER_ENTITY.iter().find(|(known, _)| *known == name).map(|(_, measure)| measure);
    let measure = measure.expect("`Spec::check` accepts only these names");
    for end in End::of(bound) {
        let rule = end.rule(&format!("{name} of every entity"));
        let entities = report.entities.iter().flat_map(|entities| &entities.per_entity);
        let found: Vec<(&str, f64, u64, &str)> = entities
            .map(|(entity, scores)| (entity.as_str(), measure(scores), scores.support, ""))
            .collect();
        let (result, worst) = match found.is_empty() {
            true => (failed(rule, NO_ENTITIES.to_owned()), None),
            false => judge_worst(rule, end, found, ("span", "entities")),
        };
        judged.push(end.key("per_entity", name), end.number(), worst, result);
    }
}

/// The observation of rules on behavioural tests when there was none.
const NO_TESTS: &str = "not measured: the evaluation ran no such behavioural test";

fn on_behaviour(rules: BehaviourGate, report: &EvaluationReport, judged: &mut Judged) {
    let tests = report.behaviour.as_ref();
    if rules.must_pass {
        let rule = "every must-pass utterance has its intent".to_owned();
        let found = tests.filter(|tests| tests.must_pass > 0);
        let result = match found {
            None => failed(rule, NO_TESTS.to_owned()),
            Some(tests) => {
                let n = tests.must_pass;
                let observed = match tests.must_pass_failed {
                    0 => format!("all {n}"),
                    1 => format!("1 of {n} fails: {}", must_pass_failures(report)),
                    wrong => format!("{wrong} of {n} fail, such as {}", must_pass_failures(report)),
                };
                GateResult { rule, observed, passed: tests.must_pass_failed == 0 }
            }
        };
        let value = found.map(|tests| tests.must_pass_failed as f64);
        judged.push("behaviour.must_pass".to_owned(), 0.0, value, result);
    }
    for (name, bound) in rules.bounds() {
        let kind = match name {
            "minimum" => BehaviourKind::Minimum,
            "invariance" => BehaviourKind::Invariance,
            _ => BehaviourKind::Direction,
        };
        for end in End::of(bound) {
            let rule = end.rule(&format!("behavioural tests of {name} that pass"));
            let metric = tests.and_then(|tests| tests.rate(kind));
            let result = match metric {
                None => failed(rule, NO_TESTS.to_owned()),
                Some(metric) => GateResult {
                    rule,
                    observed: format!(
                        "{} {} of {} tests",
                        beside(metric.value, end.number()),
                        botops_text::interval(metric.ci95, 3),
                        metric.n
                    ),
                    passed: end.holds(metric.value),
                },
            };
            let value = metric.map(|metric| metric.value);
            judged.push(end.key("behaviour", name), end.number(), value, result);
        }
    }
}

/// Returns the first must-pass utterance that failed, without personal data.
fn must_pass_failures(report: &EvaluationReport) -> String {
    let failures = report.behaviour.iter().flat_map(|tests| &tests.failures);
    failures
        .filter(|failure| failure.must_pass)
        .map(|it| {
            format!(
                "`{}` is {}, not {}",
                botops_text::utterance(&it.text, 60),
                it.found,
                it.expected
            )
        })
        .next()
        .unwrap_or_default()
}

fn on_flips(rules: FlipGate, comparison: Option<&Comparison>, judged: &mut Judged) {
    let Some(most) = rules.max_negative else { return };
    let rule = format!("negative flips <= {} of the records", exact(most));
    let (result, value) = match comparison {
        None => (GateResult { rule, observed: NO_CHAMPION.to_owned(), passed: true }, None),
        Some(comparison) => {
            let negative = comparison.flips().negative;
            let observed = format!(
                "{} {} on {} records; {} newly right",
                beside(negative.value, most),
                botops_text::interval(negative.ci95, 3),
                negative.n,
                comparison.newly_right.len()
            );
            let passed = negative.value <= most + SLACK;
            (GateResult { rule, observed, passed }, Some(negative.value))
        }
    };
    judged.push("flips.max_negative".to_owned(), most, value, result);
}

/// Judges the worst of several intents, languages or entities, each as (name, value, records or spans, note). Returns the worst value too.
fn judge_worst(
    rule: String,
    end: End,
    mut found: Vec<(&str, f64, u64, &str)>,
    (unit, plural): (&str, &str),
) -> (GateResult, Option<f64>) {
    found.sort_by(|a, b| end.margin(a.1).total_cmp(&end.margin(b.1)).then(a.0.cmp(b.0)));
    let Some(&(worst, value, n, note)) = found.first() else {
        return (failed(rule, format!("not measured: the data names no {plural}")), None);
    };
    let n_failed = found.iter().filter(|(_, value, ..)| !end.holds(*value)).count();
    let mut observed = format!(
        "worst is `{worst}`{note}: {} on {n} {unit}{}",
        beside(value, end.number()),
        if n == 1 { "" } else { "s" }
    );
    if n_failed > 1 {
        let others: Vec<String> = found[1..n_failed]
            .iter()
            .map(|(name, value, ..)| format!("`{name}` {}", beside(*value, end.number())))
            .collect();
        observed += &format!("; {n_failed} {plural} fail, also {}", some_of(&others));
    }
    (GateResult { rule, observed, passed: n_failed == 0 }, Some(value))
}

fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 4;
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}

fn against_champion(
    rules: &RelativeGate,
    report: &EvaluationReport,
    comparison: Option<&Comparison>,
    judged: &mut Judged,
) {
    type Measured = (String, bool, Option<f64>);
    let mut push =
        |key: &str, bound: f64, rule: String, judge: &dyn Fn(&Comparison) -> Measured| {
            let absent = || (NO_CHAMPION.to_owned(), true, None);
            let (observed, passed, value) = comparison.map_or_else(absent, judge);
            let result = GateResult { rule, observed, passed };
            judged.push(format!("relative.{key}"), bound, value, result);
        };
    for (name, &most) in &rules.max_drop {
        let rule = format!("{name} at most {} worse than the champion's", exact(most));
        push(&format!("max_drop.{name}"), most, rule, &|comparison| {
            let (now, before) = (report.metrics.get(name), comparison.champion_metrics.get(name));
            match (now, before) {
                (Some(now), Some(before)) => drop_of(name, now.value, before.value, most),
                (None, _) => (not_measured(name), false, None),
                (_, None) => (format!("{} of the champion", not_measured(name)), false, None),
            }
        });
    }
    if let Some(most) = rules.max_newly_wrong {
        let rule = format!("newly wrong records <= {most}");
        push("max_newly_wrong", most as f64, rule, &|comparison| {
            let (wrong, right) = (comparison.newly_wrong.len(), comparison.newly_right.len());
            let observed = format!("{wrong} newly wrong, {right} newly right");
            (observed, wrong as u64 <= most, Some(wrong as f64))
        });
    }
    if let Some(alpha) = rules.mcnemar_alpha {
        let rule = format!("not worse than the champion at mcnemar p < {}", exact(alpha));
        push("mcnemar_alpha", alpha, rule, &|found| {
            let worse = found.challenger_accuracy < found.champion_accuracy;
            let observed = format!(
                "accuracy {} against {}, {}",
                beside(found.challenger_accuracy, found.champion_accuracy),
                beside(found.champion_accuracy, found.challenger_accuracy),
                if found.mcnemar_p < 0.001 && alpha >= 0.001 {
                    "p < 0.001".to_owned()
                } else {
                    format!("p = {}", beside(found.mcnemar_p, alpha))
                }
            );
            let p = if worse { found.mcnemar_p } else { 1.0 };
            (observed, p >= alpha, Some(p))
        });
    }
}

fn drop_of(name: &str, now: f64, before: f64, most: f64) -> (String, bool, Option<f64>) {
    let lower_is_better =
        METRICS.iter().any(|(known, better)| *known == name && *better == Better::Lower);
    let drop = if lower_is_better { now - before } else { before - now };
    let how = if drop > 0.0 { "worse" } else { "better" };
    let change = match how {
        _ if drop == 0.0 => "no change".to_owned(),
        how => format!("{} {how}", beside(drop.abs(), most)),
    };
    let observed = format!("{} against {}: {change}", beside(now, before), beside(before, now));
    (observed, drop <= most + SLACK, Some(drop))
}

/// Formats `value` with three decimals, or with as many as are needed to distinguish it from `other`.
fn beside(value: f64, other: f64) -> String {
    let decimals = (3..9).find(|&d| format!("{value:.d$}") != format!("{other:.d$}"));
    let decimals = if (value - other).abs() <= SLACK { 3 } else { decimals.unwrap_or(9) };
    format!("{value:.decimals$}")
}

/// Formats a bound with three decimals, or with as many as it was written with.
fn exact(bound: f64) -> String {
    let decimals = (3..12).find(|&d| format!("{bound:.d$}").parse() == Ok(bound)).unwrap_or(12);
    format!("{bound:.decimals$}")
}
