//! Rules on the results of a load test, such as `p95 < 50ms` and `errors = 0`.

use botops_findings::{Fault, Result};
use serde::Serialize;
use std::{fmt, str::FromStr, time::Duration};

/// The measures that a rule may name.
const KNOWN: &str = "`p50`, `p90`, `p95`, `p99`, `p99.9`, `mean`, `max`, `errors`, `failed`, `unauthorized`, `limited`, \
                     `shed`, `unsent`, `retries`, `error_rate` and `throughput`";

/// A measure of a load test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The latency that this many of 1,000 answers do not exceed.
    Quantile(u16),
    /// The mean latency.
    Mean,
    /// The longest latency.
    Max,
    /// All requests without a good answer.
    Errors,
    /// Errors other than 401, 403, 429 and 503.
    Failed,
    /// Answers 401 and 403.
    Unauthorized,
    /// Answers 429.
    Limited,
    /// Answers 503.
    Shed,
    /// Requests that were due and not sent, because those before them were not answered until the end.
    Unsent,
    /// Repetitions.
    Retries,
    /// The share of errors, in [0, 1].
    ErrorRate,
    /// Good answers per second.
    Throughput,
}

/// The unit of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Seconds.
    Time,
    Count,
    /// In [0, 1], written in percent.
    Share,
    PerSecond,
}

impl Measure {
    const ALL: [(&'static str, Self); 16] = [
        ("p50", Self::Quantile(500)),
        ("p90", Self::Quantile(900)),
        ("p95", Self::Quantile(950)),
        ("p99", Self::Quantile(990)),
        ("p99.9", Self::Quantile(999)),
        ("mean", Self::Mean),
        ("max", Self::Max),
        ("errors", Self::Errors),
        ("failed", Self::Failed),
        ("unauthorized", Self::Unauthorized),
        ("limited", Self::Limited),
        ("shed", Self::Shed),
        ("unsent", Self::Unsent),
        ("retries", Self::Retries),
        ("error_rate", Self::ErrorRate),
        ("throughput", Self::Throughput),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, it)| *it == self).map_or("?", |(name, _)| name)
    }

    fn unit(self) -> Unit {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Max => Unit::Time,
            Self::ErrorRate => Unit::Share,
            Self::Throughput => Unit::PerSecond,
            _ => Unit::Count,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Comparison {
    const ALL: [(&'static str, Self); 5] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Equal),
    ];

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::Equal => value == bound,
            Self::AtLeast => value >= bound,
            Self::More => value > bound,
        }
    }
}

/// A rule on the results of a load test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    measure: Measure,
    comparison: Comparison,
    bound: f64,
}

/// A rule, and whether it held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The rule.
    pub rule: String,
    /// The measured value, in the unit of the rule; absent if nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether it held. An unmeasured rule does not hold.
    pub passed: bool,
}

impl Threshold {
    /// Returns the measure of the rule.
    #[must_use]
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// Judges `value`: seconds, a count, a share in [0, 1] or a number per second; `None` if nothing was measured.
    #[must_use]
    pub fn judge(&self, value: Option<f64>) -> Judged {
        Judged {
            rule: self.to_string(),
            value: value.map(|value| shown(self.measure.unit(), value)),
            passed: value.is_some_and(|value| self.comparison.holds(value, self.bound)),
        }
    }
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Time => format!("{} ms", trimmed(value * 1e3)),
        Unit::Count => trimmed(value),
        Unit::Share => format!("{} %", trimmed(value * 100.0)),
        Unit::PerSecond => format!("{}/s", trimmed(value)),
    }
}

/// Writes a number with at most three decimals.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comparison = Comparison::ALL.iter().find(|(_, it)| *it == self.comparison);
        let comparison = comparison.map_or("?", |(sign, _)| sign);
        write!(f, "{} {comparison} {}", self.measure.name(), shown(self.measure.unit(), self.bound))
    }
}

impl FromStr for Threshold {
    type Err = Fault;

    /// Reads a rule: a measure, a comparison, and a bound with the unit of the measure.
    ///
    /// # Errors
    /// `BOT-6280` (exit 2).
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let shown = botops_text::display(text, 60);
            Err(Fault::usage("BOT-6280", format!("`{shown}` is not a threshold: {why}"))
                .hint("write one such as `p95 < 50ms`, `errors = 0`, `error_rate < 1%` or `throughput > 50/s`"))
        };
        let Some(at) = text.find(['<', '>', '=']) else {
            return wrong("expected a comparison: `<`, `<=`, `=`, `>=` or `>`");
        };
        let (name, rest) = text.split_at(at);
        let found = Comparison::ALL.iter().find(|(sign, _)| rest.starts_with(sign));
        let Some((sign, comparison)) = found else { return wrong("unknown comparison") };
        let Some((_, measure)) = Measure::ALL.iter().find(|(known, _)| *known == name.trim())
        else {
            return wrong(&format!("expected one of {KNOWN}"));
        };
        let Some(bound) = bound(measure.unit(), rest[sign.len()..].trim()) else {
            return wrong(match measure.unit() {
                Unit::Time => "expected a time such as `50ms`",
                Unit::Count => "expected a whole number",
                Unit::Share => "expected a share such as `1%` or `0.01`",
                Unit::PerSecond => "expected a rate such as `50/s`",
            });
        };
        Ok(Self { measure: *measure, comparison: *comparison, bound })
    }
}

fn bound(unit: Unit, text: &str) -> Option<f64> {
    let number = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        text.parse().ok().filter(|it: &f64| is_plain && it.is_finite())
    };
    match unit {
        // `humantime` reads no fractions such as `2.5ms`, and `Display` writes them.
        Unit::Time => match text.strip_suffix("ms").map(str::trim_end).and_then(number) {
            Some(millis) => Some(millis / 1e3),
            None => humantime::parse_duration(text).ok().as_ref().map(Duration::as_secs_f64),
        },
        Unit::Count => text.parse::<u64>().ok().map(|n| n as f64),
        Unit::Share => match text.strip_suffix('%') {
            Some(percent) => number(percent.trim_end()).map(|it| it / 100.0),
            None => number(text),
        }
        .filter(|share| *share <= 1.0),
        Unit::PerSecond => number(text.strip_suffix("/s").unwrap_or(text).trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_written_and_judged() {
        for (text, shown, holds, fails) in [
            ("p95 < 50ms", "p95 < 50 ms", 0.049, 0.05),
            ("p99.9<=1s", "p99.9 <= 1000 ms", 1.0, 1.001),
            ("max < 2.5ms", "max < 2.5 ms", 0.002, 0.0025),
            ("errors = 0", "errors = 0", 0.0, 1.0),
            ("error_rate <= 1%", "error_rate <= 1 %", 0.01, 0.011),
            ("error_rate < 0.02", "error_rate < 2 %", 0.01, 0.02),
            ("throughput >= 50/s", "throughput >= 50/s", 50.0, 49.9),
            ("shed > 0", "shed > 0", 1.0, 0.0),
        ] {
            let rule: Threshold = text.parse().unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse::<Threshold>().unwrap(), rule, "{shown}");
            assert!(rule.judge(Some(holds)).passed, "{text} {holds}");
            assert!(!rule.judge(Some(fails)).passed, "{text} {fails}");
            assert!(!rule.judge(None).passed, "unmeasured is not passed: {text}");
        }
        assert_eq!(
            "p95 < 50ms".parse::<Threshold>().unwrap().judge(Some(0.061_25)).value.unwrap(),
            "61.25 ms"
        );
    }

    #[test]
    fn mistakes_in_rules_are_refused() {
        for text in [
            "",
            "p95",
            "p95 50ms",
            "p96 < 50ms",
            "p95 < 50",
            "p95 < fast",
            "errors == 0",
            "errors < 1.5",
            "errors = -1",
            "error_rate < 200%",
            "error_rate < inf",
            "throughput > NaN",
            "< 50ms",
            "p95 <",
        ] {
            let fault = text.parse::<Threshold>().unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6280", 2), "{text}");
            assert!(!fault.hints().is_empty());
        }
    }
}
