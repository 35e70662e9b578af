//! The answer of `botops bench serve` for people.

use crate::cli::terminal::tables;
use botops_findings::Finding;
use botops_load::{LoadReport, Pacing, Part};
use serde::Serialize;

/// Findings that are listed.
const SHOWN: usize = 20;

/// The load that would be made.
#[derive(Serialize)]
pub(super) struct Plan<'a> {
    pub(super) profile: &'a str,
    pub(super) url: &'a str,
    #[serde(rename = "loop")]
    pub(super) pacing: Pacing,
    pub(super) seconds: f64,
    /// The most users, or requests per second.
    pub(super) highest: f64,
    pub(super) stages: usize,
    pub(super) thresholds: Vec<String>,
}

/// Writes the plan of a dry run.
pub(super) fn plan(plan: &Plan<'_>) -> String {
    let Plan { profile, url, pacing, seconds, highest, stages, thresholds } = plan;
    let what = unit(*pacing);
    let rules = match thresholds.is_empty() {
        true => "no thresholds".to_owned(),
        false => thresholds.join(", "),
    };
    format!(
        "{profile} on {url}: the server answers each kind of request\n\
         would make a load of up to {highest} {what} in {stages} stages, {seconds:.1} s: {rules}\n"
    )
}

fn unit(pacing: Pacing) -> &'static str {
    match pacing {
        Pacing::Closed => "users",
        Pacing::Open => "requests/s",
    }
}

/// Writes the report.
pub(super) fn report(report: &LoadReport, findings: &[Finding], out: Option<String>) -> String {
    let LoadReport { profile, url, all, corrected, .. } = report;
    let end = if report.interrupted { ", interrupted" } else { "" };
    let mut text = format!(
        "{profile} on {url}: {} in {:.1} s{end}\n",
        tables::counted(all.counts.requests, "request", "requests"),
        all.seconds
    );
    let header = [
        "",
        unit(report.pacing),
        "requests",
        "answers/s",
        "errors",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
    ];
    let stages = report.stages.iter().map(row);
    let kinds = report.kinds.iter().map(row);
    let rows = stages.chain(kinds).chain([row(all)]);
    text += &tables::table(&header, rows, &[1, 2, 3, 4, 5, 6, 7, 8]);
    text += &errors(all);
    let from = match corrected {
        true => "latencies from when requests were due (corrected for coordinated omission)",
        false => "latencies from when requests were sent (not corrected)",
    };
    let sent = all.service_ms.map_or(String::new(), |times| {
        format!("; from when they were sent, p99 {:.3} ms", times.p99)
    });
    text += &format!("{from}{sent}\n");
    let cpu = report.facts.generator_cpu_seconds.map_or(String::new(), |seconds| {
        format!("{:.0} % of a core, ", 100.0 * seconds / all.seconds.max(0.001))
    });
    text += &format!(
        "load generator: {cpu}at most {} requests at a time, begun {:.3} ms late (p99)\n",
        report.most_under_way, report.generator_late_p99_ms
    );
    for part in std::iter::once(all).chain(&report.stages) {
        let place = if part.name == "all" { String::new() } else { format!("{}: ", part.name) };
        for judged in &part.thresholds {
            let verdict = if judged.passed { "passed" } else { "missed" };
            let value = judged.value.as_deref().unwrap_or("not measured");
            text += &format!("threshold {place}{}: {verdict} ({value})\n", judged.rule);
        }
    }
    if let Some(out) = out {
        text += &format!("wrote {out}\n");
    }
    text + &tables::findings(findings, SHOWN)
}

fn row(part: &Part) -> Vec<String> {
    let time = |get: fn(&botops_load::Latencies) -> f64| {
        part.latency_ms.as_ref().map_or("-".to_owned(), |times| format!("{:.1}", get(times)))
    };
    vec![
        part.name.clone(),
        part.to.map_or(String::new(), |to| format!("{to}")),
        part.counts.requests.to_string(),
        format!("{:.1}", part.throughput),
        part.counts.errors.to_string(),
        time(|times| times.p50),
        time(|times| times.p95),
        time(|times| times.p99),
        time(|times| times.max),
    ]
}

/// Lists errors by their kind, and repetitions.
fn errors(all: &Part) -> String {
    let counts = &all.counts;
    let kinds = [
        (counts.unauthorized, "401/403"),
        (counts.limited, "429"),
        (counts.shed, "503"),
        (counts.refused, "other 4xx"),
        (counts.server_errors, "other 5xx"),
        (counts.timed_out, "not in time"),
        (counts.not_connected, "not connected"),
        (counts.broken, "connection broken"),
    ];
    let found: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{kind} {n}")).collect();
    let mut text = String::new();
    if !found.is_empty() {
        text += &format!("errors: {}\n", found.join(", "));
    }
    if counts.unsent > 0 {
        text += &format!("not sent, because earlier ones were not answered: {}\n", counts.unsent);
    }
    if counts.retries > 0 {
        text += &format!(
            "repetitions: {}; {} answered after one\n",
            counts.retries,
            tables::counted(counts.recovered, "request", "requests")
        );
    }
    text
}
