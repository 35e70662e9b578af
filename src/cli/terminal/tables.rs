//! Tables and numbers for the terminal: aligned, with fixed decimals, without color.

use super::faults;
use botops_evaluation::Metric;
use botops_experiments::Cost;
use botops_findings::{Finding, Place, Severity, shared_help};
use botops_models::confidence::{OosScore, ScoreComparison};
use botops_stats::separation::Estimate;
use botops_text::interval;
pub(crate) use botops_text::{count, counted};
use botops_validation::Validation;
use std::collections::BTreeMap;
use tabled::{
    builder::Builder,
    settings::{Alignment, Modify, Padding, Style, object::Columns},
};

/// Renders a table: a header, then rows. The columns in `right`, counted from 0, are aligned to the right.
pub(crate) fn table(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    right: &[usize],
) -> String {
    let mut builder = Builder::default();
    builder.push_record(header.iter().map(|name| botops_text::display(name, 400)));
    for row in rows {
        builder.push_record(row.into_iter().map(|cell| botops_text::display(&cell, 400)));
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    for &column in right {
        table.with(Modify::new(Columns::one(column)).with(Alignment::right()));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// Returns `0.912 [0.902, 0.922]`.
pub(crate) fn metric(metric: &Metric) -> String {
    format!("{:.3} {}", metric.value, interval(metric.ci95, 3))
}

/// The header of a table of out-of-scope scores; the last column marks the score in use.
pub(crate) const SCORE_HEADER: [&str; 6] =
    ["score", "AUROC", "AUPR", "AUPR of oos", "FPR at 95 % recall", ""];

/// Renders the comparison of the scores from which the deciding one was chosen.
pub(crate) fn scores(compared: &[ScoreComparison], decides: OosScore) -> String {
    let rows = compared.iter().map(|row| {
        let estimate =
            |Estimate { value, ci95 }: Estimate| format!("{value:.3} {}", interval(ci95, 3));
        vec![
            row.score.name().to_owned(),
            estimate(row.auroc),
            estimate(row.aupr),
            estimate(row.aupr_oos),
            estimate(row.fpr95),
            estimate(row.aurc),
            if row.score == decides { "decides" } else { "" }.to_owned(),
        ]
    });
    let [score, auroc, aupr, aupr_oos, fpr95, last] = SCORE_HEADER;
    table(&[score, auroc, aupr, aupr_oos, fpr95, "risk-coverage", last], rows, &[])
}

/// Renders the main metrics with their intervals and counts; report pages have all metrics.
pub(crate) fn metrics(metrics: &BTreeMap<String, Metric>) -> String {
    let order = [
        "accuracy",
        "macro_f1",
        "weighted_f1",
        "micro_f1",
        "ece",
        "log_loss",
        "fallback_rate",
        "oos_auroc",
    ];
    table(
        &["metric", "value", "95 % interval", "n"],
        order.into_iter().filter_map(|name| {
            let metric = metrics.get(name)?;
            Some(vec![
                name.to_owned(),
                format!("{:.3}", metric.value),
                interval(metric.ci95, 3),
                count(metric.n),
            ])
        }),
        &[1, 3],
    )
}

/// Returns `812 B`, `12.3 kB`, `104.9 MB`: in powers of ten.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let (mut size, mut unit) = (n as f64 / 1e3, 0);
    // 999.95 would round to 1000.0, which is 1.0 of the next unit.
    while size >= 999.95 && unit + 1 < units.len() {
        (size, unit) = (size / 1e3, unit + 1);
    }
    format!("{size:.1} {}", units[unit])
}

/// Renders `warnings`, one on each line.
pub(crate) fn warnings(warnings: &[Finding]) -> String {
    let line = |finding: &Finding| format!("warning[{}]: {}\n", finding.code, finding.message);
    warnings.iter().map(line).collect()
}

/// Lists findings by code: the number, then the first `samples` of each.
pub(crate) fn findings(findings: &[Finding], samples: usize) -> String {
    let count_of = |_: &str, kept: usize| kept as u64;
    grouped(findings, count_of, samples)
}

/// Lists the findings of a validation by code: the total number, then the first `samples` of each.
pub(crate) fn checks(validation: &Validation, samples: usize) -> String {
    let count_of = |code: &str, _: usize| {
        validation
            .checks
            .iter()
            .filter(|check| check.code == code)
            .map(|check| check.findings)
            .sum()
    };
    grouped(&validation.findings, count_of, samples)
}

fn grouped(findings: &[Finding], count_of: impl Fn(&str, usize) -> u64, samples: usize) -> String {
    let mut groups: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        groups.entry(finding.code.as_str()).or_default().push(finding);
    }
    let mut groups: Vec<(Severity, &str, Vec<&Finding>)> = groups
        .into_iter()
        .map(|(code, group)| {
            let severity = group.iter().map(|finding| finding.severity).max();
            (severity.unwrap_or(Severity::Info), code, group)
        })
        .collect();
    groups.sort_by_key(|(severity, code, _)| (std::cmp::Reverse(*severity), *code));
    let mut out = String::new();
    for (severity, code, group) in groups {
        let severity = faults::severity(severity);
        let title = botops_findings::catalogue::find(code).map_or("", |entry| entry.title);
        let n = count_of(code, group.len());
        // A finding without a place occurs once; a number after it would look like a place.
        let is_whole = n == 1 && group.iter().all(|finding| finding.place == Place::default());
        let n_found = if is_whole { String::new() } else { format!(": {}", count(n)) };
        out.push_str(&format!("{severity}[{code}] {title}{n_found}\n"));
        let shown = &group[..group.len().min(samples)];
        // Help that differs within the group is printed below each finding.
        let help = shared_help(&group);
        for finding in shown {
            let place = faults::place_prefix(&finding.place);
            out.push_str(&format!("    {place}{}\n", finding.message));
            if help.is_none() && !finding.help.is_empty() {
                out.push_str(&format!("        help: {}\n", finding.help));
            }
        }
        let more = n.saturating_sub(shown.len() as u64);
        if more > 0 {
            out.push_str(&format!("    and {} more\n", count(more)));
        }
        if let Some(help) = help.filter(|help| !help.is_empty()) {
            out.push_str(&format!("    help: {help}\n"));
        }
    }
    out
}

/// Returns a duration such as `1.5s` or `2m 05s`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds >= 60.0 {
        format!("{}m {:02}s", (seconds / 60.0) as u64, (seconds % 60.0) as u64)
    } else {
        format!("{seconds:.1}s")
    }
}

/// Returns the cost of each phase of a training.
pub(crate) fn costs(costs: &[Cost]) -> String {
    let of = |cost: &Cost| {
        let cpu = cost.cpu_seconds.map(|cpu| format!(" ({cpu:.1} CPU s)")).unwrap_or_default();
        format!("{} {}{cpu}", cost.phase, seconds(cost.seconds))
    };
    costs.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// Returns a p-value with four decimals, or `< 0.0001`.
pub(crate) fn p_value(p: f64) -> String {
    botops_text::p_value(p, 4)
}

/// Returns a time such as `2026-11-20 04:23:11`, in UTC.
pub(crate) fn time(at: &chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_powers_of_ten() {
        let sizes = [0, 999, 1_000, 1_500, 999_949, 999_950, 104_857_600, u64::MAX].map(bytes);
        let expected =
            ["0 B", "999 B", "1.0 kB", "1.5 kB", "999.9 kB", "1.0 MB", "104.9 MB", "18.4 EB"];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_finding_without_a_place_has_no_count() {
        let finding =
            |place| Finding::new("BOT-7062", Severity::Warning, "it has 3 records", "").at(place);
        let title = botops_findings::catalogue::find("BOT-7062").unwrap().title;
        let whole = findings(&[finding(Place::default())], 3);
        assert_eq!(whole, format!("warning[BOT-7062] {title}\n    it has 3 records\n"));
        let record = Place { record: Some(3), ..Place::default() };
        assert!(
            findings(&[finding(record)], 3).starts_with(&format!("warning[BOT-7062] {title}: 1\n"))
        );
    }

    #[test]
    fn help_that_differs_is_printed_below_each_finding() {
        let finding = |message, help| Finding::new("BOT-2113", Severity::Error, message, help);
        let differ = findings(&[finding("a", "did you mean `b`?"), finding("c", "relabel it")], 3);
        assert!(
            differ.ends_with(
                "    a\n        help: did you mean `b`?\n    c\n        help: relabel it\n"
            ),
            "{differ}"
        );
        let same = findings(&[finding("a", "relabel it"), finding("c", "relabel it")], 3);
        assert!(same.ends_with("    a\n    c\n    help: relabel it\n"), "{same}");
    }

    #[test]
    fn a_p_value_is_never_shown_as_zero() {
        assert_eq!(p_value(1e-9), "< 0.0001");
        assert_eq!(p_value(0.0001), "0.0001");
        assert_eq!(p_value(0.04567), "0.0457");
    }
}
