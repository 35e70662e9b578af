//! The report of a load test: `botops.load/1`.

use crate::{
    drive::Driven,
    kind::Kind,
    profile::Pacing,
    tally::{Counts, Tally},
    thresholds::{Judged, Threshold},
};
use botops_findings::{Finding, Severity};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// The format of reports.
const SCHEMA: &str = "botops.load/1";
/// A load generator whose 99th percentile of late starts is longer was too slow.
const TOO_LATE: Duration = Duration::from_millis(20);

/// Facts about a test that do not follow from its results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The time of the start, in UTC.
    pub started_at: String,
    /// The version of botops that made the load.
    pub botops: String,
    /// The system and processor of the machine that made the load, such as `linux-x86_64`.
    pub platform: String,
    /// Its cores.
    pub cores: u64,
    /// Whether a CI system ran the test.
    pub ci: bool,
    /// The CPU seconds that the load generator used; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_cpu_seconds: Option<f64>,
}

/// Percentiles of times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latencies {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// The results of a part of a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// The name of the stage, or the kind of requests; `all` for the whole test.
    pub name: String,
    /// The duration of the part, in seconds.
    pub seconds: f64,
    /// The users, or the requests per second, at the end of a stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// Counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Good answers per second.
    pub throughput: f64,
    /// Times from when requests were due; absent without answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latencies>,
    /// Times from when requests were sent: what a client sees that waits for each answer. Only to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_ms: Option<Latencies>,
    /// Its thresholds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Judged>,
}

/// The report of a load test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadReport {
    /// `botops.load/1`.
    pub schema: &'static str,
    /// The name of the profile.
    pub profile: String,
    /// The kind of load.
    #[serde(rename = "loop")]
    pub pacing: Pacing,
    /// The address of the server.
    pub url: String,
    /// The seed of the schedule.
    pub seed: u64,
    /// Whether latencies are corrected for coordinated omission.
    pub corrected: bool,
    /// Whether the test was stopped before its end.
    pub interrupted: bool,
    /// Facts about the machine.
    pub facts: Facts,
    /// The most requests that were under way at a time.
    pub most_under_way: usize,
    /// The 99th percentile of how late the generator began requests whose user was free, in milliseconds.
    pub generator_late_p99_ms: f64,
    /// Whether all thresholds hold.
    pub passed: bool,
    /// The whole test.
    pub all: Part,
    /// The stages that take time.
    pub stages: Vec<Part>,
    /// The kinds of requests that were sent.
    pub kinds: Vec<Part>,
}

impl LoadReport {
    /// Makes the report of a test of the server at `url`.
    #[must_use]
    pub fn of(driven: &Driven, url: &str, facts: Facts, interrupted: bool) -> Self {
        let Driven { profile, recorder, elapsed, most_under_way } = driven;
        let whole = elapsed.as_secs_f64();
        let all = part("all", whole, &recorder.all, &profile.thresholds);
        let stages = profile.stages.iter().zip(&recorder.stages);
        let stages: Vec<Part> = stages
            .filter(|(stage, _)| !stage.duration.is_zero())
            .map(|(stage, tally)| {
                let seconds = stage.duration.as_secs_f64();
                Part { to: Some(stage.to), ..part(&stage.name, seconds, tally, &stage.thresholds) }
            })
            .collect();
        let kinds = Kind::ALL.iter().filter(|kind| profile.mix.share(**kind) > 0);
        let kinds = kinds
            .map(|kind| part(kind.name(), whole, &recorder.kinds[kind.index()], &[]))
            .collect();
        let late = &recorder.late;
        let mut judged =
            all.thresholds.iter().chain(stages.iter().flat_map(|stage| &stage.thresholds));
        Self {
            schema: SCHEMA,
            profile: profile.name.clone(),
            pacing: profile.pacing,
            url: url.to_owned(),
            seed: profile.seed,
            corrected: profile.is_corrected(),
            interrupted,
            facts,
            most_under_way: *most_under_way,
            generator_late_p99_ms: millis(late.value_at_quantile(0.99) as f64),
            passed: !interrupted && judged.all(|judged| judged.passed),
            all,
            stages,
            kinds,
        }
    }

    /// Returns findings: thresholds that do not hold, refusals, and reasons to doubt the figures.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for part in std::iter::once(&self.all).chain(&self.stages) {
            for judged in part.thresholds.iter().filter(|judged| !judged.passed) {
                let value = judged.value.as_deref().unwrap_or("not measured");
                let place = if part.name == "all" {
                    String::new()
                } else {
                    format!(" in stage `{}`", part.name)
                };
                let message = format!("threshold `{}`{place} was missed: {value}", judged.rule);
                let help = "see the counts of errors by their kind, and the latencies by stage";
                found.push(Finding::new("BOT-6281", Severity::Error, message, help));
            }
        }
        let counts = &self.all.counts;
        let refused = [
            (
                counts.unauthorized,
                "401 or 403",
                "check the key in `BOTOPS_CLIENT_KEY` and its scopes",
            ),
            (
                counts.limited,
                "429",
                "raise `limits` of the server for the test, or use several keys",
            ),
            (
                counts.shed,
                "503",
                "the server had too much to do, or stopped: see `botops_shed_total` in its metrics",
            ),
        ];
        for (n, status, help) in refused.into_iter().filter(|(n, ..)| *n > 0) {
            let message =
                format!("{n} of {} requests were answered with {status}", counts.requests);
            found.push(Finding::new("BOT-6287", Severity::Warning, message, help));
        }
        if self.generator_late_p99_ms > TOO_LATE.as_secs_f64() * 1e3 {
            let message = format!(
                "the load generator was too slow: 1 in 100 requests began over {:.0} ms late",
                self.generator_late_p99_ms
            );
            let help = "make the load on another machine than the server, or make less";
            found.push(Finding::new("BOT-6285", Severity::Warning, message, help));
        }
        if !self.corrected {
            let message =
                "users without think time: latencies are not corrected for coordinated omission";
            let help = "give `think` a time, or use `loop: open`";
            found.push(Finding::new("BOT-6286", Severity::Warning, message, help));
        }
        found
    }
}

fn part(name: &str, seconds: f64, tally: &Tally, thresholds: &[Threshold]) -> Part {
    let judge = |rule: &Threshold| rule.judge(tally.value(rule.measure(), seconds));
    Part {
        name: name.to_owned(),
        seconds: (seconds * 1e3).round() / 1e3,
        to: None,
        counts: tally.counts,
        throughput: if seconds > 0.0 {
            (tally.counts.answered as f64 / seconds * 100.0).round() / 100.0
        } else {
            0.0
        },
        latency_ms: latencies(&tally.latency),
        service_ms: latencies(&tally.service),
        thresholds: thresholds.iter().map(judge).collect(),
    }
}

fn latencies(times: &Histogram<u64>) -> Option<Latencies> {
    let at = |quantile: f64| millis(times.value_at_quantile(quantile) as f64);
    (!times.is_empty()).then(|| Latencies {
        mean: millis(times.mean()),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: millis(times.max() as f64),
    })
}

/// Returns microseconds as milliseconds, with three decimals.
fn millis(micros: f64) -> f64 {
    micros.round() / 1e3
}
