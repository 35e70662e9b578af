//! Rules on promotion, held against what was measured.

use super::{
    Better, Bound, ClassMetrics, Comparison, EvaluationReport, GateReport, GateResult, GateSpec,
    METRICS, RelativeGate, UNKNOWN_LANGUAGE,
};
use botops_findings::{Fault, Place, Result};
use std::collections::BTreeMap;

/// Said of rules against a champion when there is none.
const NO_CHAMPION: &str = "not applicable: no champion";

/// A drop may exceed its bound by this much: differences of decimal fractions are not exact.
const SLACK: f64 = 1e-9;

/// What can be bounded for every intent.
type Measure = (&'static str, fn(&ClassMetrics) -> f64);
const PER_CLASS: [Measure; 3] = [
    ("f1", |metrics| metrics.f1),
    ("precision", |metrics| metrics.precision),
    ("recall", |metrics| metrics.recall),
];

/// What can be bounded in every language.
const PER_LANGUAGE: [&str; 1] = ["accuracy"];

impl GateSpec {
    /// Checks the rules by themselves, so that a mistake is found before anything is measured.
    ///
    /// # Errors
    /// `BOT-3010` (exit 2) for no rule at all, a name there is not, or a bound that is none.
    pub fn check(&self) -> Result<()> {
        let relative = self.relative.clone().unwrap_or_default();
        if *self == Self::default()
            || (self.is_empty_but_for_relative() && relative == RelativeGate::default())
        {
            return Err(Fault::usage("BOT-3010", "no gate is declared")
                .hint("declare one, such as `metrics: {accuracy: {min: 0.8}}`"));
        }
        let metrics: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
        let classes: Vec<&str> = PER_CLASS.iter().map(|(name, _)| *name).collect();
        check_bounds("metrics", &self.metrics, &metrics)?;
        check_bounds("per_class", &self.per_class, &classes)?;
        check_bounds("per_language", &self.per_language, &PER_LANGUAGE)?;
        for (name, drop) in &relative.max_drop {
            let key = format!("relative.max_drop.{name}");
            check_name(&key, name, &metrics)?;
            if !drop.is_finite() || *drop < 0.0 {
                return Err(fault(&key, format!("`{drop}` is no largest drop"))
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

    fn is_empty_but_for_relative(&self) -> bool {
        self.metrics.is_empty() && self.per_class.is_empty() && self.per_language.is_empty()
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
    Err(fault.hint(format!("what can be bounded here: {}", names.join(", "))))
}

fn check_bounds(section: &str, bounds: &BTreeMap<String, Bound>, known: &[&str]) -> Result<()> {
    for (name, bound) in bounds {
        let key = format!("{section}.{name}");
        check_name(&key, name, known)?;
        let wrong = match (bound.min, bound.max) {
            (None, None) => Some("it has neither `min` nor `max`".to_owned()),
            (min, max) if min.into_iter().chain(max).any(|end| !end.is_finite()) => {
                Some("its bound is not a number".to_owned())
            }
            (Some(min), Some(max)) if min > max => {
                Some(format!("its `min` {min} is above its `max` {max}"))
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(fault(&key, format!("the gate on `{name}` cannot hold: {wrong}"))
                .hint(format!("write a bound, such as `{name}: {{min: 0.8}}`")));
        }
    }
    Ok(())
}

/// Judges a fresh report. A metric named by a gate that was not measured fails it; rules against the
/// champion do not apply where there is none.
///
/// # Errors
/// `BOT-3010` (exit 2) for a gate on an unknown metric, or an empty spec; `BOT-3012` (exit 2) when
/// `comparison` is about another model or other records than `report`.
pub fn gate(
    spec: &GateSpec,
    report: &EvaluationReport,
    comparison: Option<&Comparison>,
) -> Result<GateReport> {
    spec.check()?;
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
    let mut results = Vec::new();
    for (name, bound) in &spec.metrics {
        on_metric(name, *bound, report, &mut results);
    }
    for (name, bound) in &spec.per_class {
        on_classes(name, *bound, report, &mut results);
    }
    for (name, bound) in &spec.per_language {
        on_languages(name, *bound, report, &mut results);
    }
    if let Some(relative) = &spec.relative {
        against_champion(relative, report, comparison, &mut results);
    }
    let passed = results.iter().all(|result| result.passed);
    Ok(GateReport {
        schema: "botops.gate/1".to_owned(),
        model: report.model,
        evidence: "evaluation".to_owned(),
        results,
        passed,
    })
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
    /// NaN holds nothing.
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
    fn rule(self, what: &str) -> String {
        let sign = if matches!(self, Self::Min(_)) { ">=" } else { "<=" };
        format!("{what} {sign} {}", exact(self.number()))
    }
    /// How near to failing: the smallest is the worst.
    fn margin(self, value: f64) -> f64 {
        match self {
            Self::Min(min) => value - min,
            Self::Max(max) => max - value,
        }
    }
}

fn on_metric(name: &str, bound: Bound, report: &EvaluationReport, results: &mut Vec<GateResult>) {
    for end in End::of(bound) {
        let rule = end.rule(name);
        results.push(match report.metrics.get(name) {
            None => failed(rule, not_measured(name)),
            Some(metric) => {
                let [lower, upper] = metric.ci95;
                GateResult {
                    rule,
                    observed: format!(
                        "{} [{lower:.3}, {upper:.3}] on {} records",
                        beside(metric.value, end.number()),
                        metric.n
                    ),
                    passed: end.holds(metric.value),
                }
            }
        });
    }
}

fn not_measured(name: &str) -> String {
    match name {
        name if name.starts_with("oos_") => "not measured: the data has no out-of-scope record",
        name if name.starts_with("set_") => "not measured: the model makes no prediction sets",
        _ => "not measured",
    }
    .to_owned()
}

fn failed(rule: String, observed: String) -> GateResult {
    GateResult { rule, observed, passed: false }
}

fn on_classes(name: &str, bound: Bound, report: &EvaluationReport, results: &mut Vec<GateResult>) {
    let measure = PER_CLASS.iter().find(|(known, _)| *known == name).map(|(_, measure)| measure);
    let measure = measure.expect("names were checked");
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
        let mut result = over_all(rule, end, found.collect(), "intents");
        if !absent.is_empty() {
            result.passed = false;
            result.observed = format!(
                "not measured: the data has no record of {}; {}",
                some_of(&absent),
                result.observed
            );
        }
        results.push(result);
    }
}

fn on_languages(
    name: &str,
    bound: Bound,
    report: &EvaluationReport,
    results: &mut Vec<GateResult>,
) {
    for end in End::of(bound) {
        let languages = report.per_language.iter().filter(|(name, _)| *name != UNKNOWN_LANGUAGE);
        let found = languages.map(|(name, metric)| (name.as_str(), metric.value, metric.n, ""));
        let rule = end.rule(&format!("{name} in every language"));
        results.push(over_all(rule, end, found.collect(), "languages"));
    }
}

/// Judges the worst of several (name, value, records, note).
fn over_all(
    rule: String,
    end: End,
    mut found: Vec<(&str, f64, u64, &str)>,
    plural: &str,
) -> GateResult {
    found.sort_by(|a, b| end.margin(a.1).total_cmp(&end.margin(b.1)).then(a.0.cmp(b.0)));
    let Some(&(worst, value, n, note)) = found.first() else {
        return failed(rule, format!("not measured: the data names no {plural}"));
    };
    let n_failed = found.iter().filter(|(_, value, ..)| !end.holds(*value)).count();
    let mut observed = format!(
        "worst is `{worst}`{note}: {} on {n} {}",
        beside(value, end.number()),
        if n == 1 { "record" } else { "records" }
    );
    if n_failed > 1 {
        let others: Vec<String> = found[1..n_failed]
            .iter()
            .map(|(name, value, ..)| format!("`{name}` {}", beside(*value, end.number())))
            .collect();
        observed += &format!("; {n_failed} {plural} fail, also {}", some_of(&others));
    }
    GateResult { rule, observed, passed: n_failed == 0 }
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
    results: &mut Vec<GateResult>,
) {
    let mut push = |rule: String, judge: &dyn Fn(&Comparison) -> (String, bool)| {
        let (observed, passed) = comparison.map_or_else(|| (NO_CHAMPION.to_owned(), true), judge);
        results.push(GateResult { rule, observed, passed });
    };
    for (name, &most) in &rules.max_drop {
        push(format!("{name} at most {} worse than the champion's", exact(most)), &|comparison| {
            let (now, before) = (report.metrics.get(name), comparison.champion_metrics.get(name));
            match (now, before) {
                (Some(now), Some(before)) => drop_of(name, now.value, before.value, most),
                (None, _) => (not_measured(name), false),
                (_, None) => (format!("{} of the champion", not_measured(name)), false),
            }
        });
    }
    if let Some(most) = rules.max_newly_wrong {
        push(format!("newly wrong records <= {most}"), &|comparison| {
            let (wrong, right) = (comparison.newly_wrong.len(), comparison.newly_right.len());
            let observed = format!("{wrong} newly wrong, {right} newly right");
            (observed, wrong as u64 <= most)
        });
    }
    if let Some(alpha) = rules.mcnemar_alpha {
        push(format!("not worse than the champion at mcnemar p < {}", exact(alpha)), &|found| {
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
            (observed, !(worse && found.mcnemar_p < alpha))
        });
    }
}

fn drop_of(name: &str, now: f64, before: f64, most: f64) -> (String, bool) {
    let lower_is_better =
        METRICS.iter().any(|(known, better)| *known == name && *better == Better::Lower);
    let drop = if lower_is_better { now - before } else { before - now };
    let how = if drop > 0.0 { "worse" } else { "better" };
    let change = match how {
        _ if drop == 0.0 => "no change".to_owned(),
        how => format!("{} {how}", beside(drop.abs(), most)),
    };
    let observed = format!("{} against {}: {change}", beside(now, before), beside(before, now));
    (observed, drop <= most + SLACK)
}

/// Writes `value` with three decimals, or as many more as tell it apart from `other`.
fn beside(value: f64, other: f64) -> String {
    let decimals = (3..9).find(|&d| format!("{value:.d$}") != format!("{other:.d$}"));
    let decimals = if (value - other).abs() <= SLACK { 3 } else { decimals.unwrap_or(9) };
    format!("{value:.decimals$}")
}

/// Writes a bound with three decimals, or as many more as it was written with.
fn exact(bound: f64) -> String {
    let decimals = (3..12).find(|&d| format!("{bound:.d$}").parse() == Ok(bound)).unwrap_or(12);
    format!("{bound:.decimals$}")
}
