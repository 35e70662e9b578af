//! Tables for the terminal: aligned, fixed decimals, nothing that depends on color.

use botops_evaluation::Metric;
use botops_experiments::Cost;
use botops_findings::{Finding, Place, Severity, shared_help};
use botops_models::confidence::{OosScore, ScoreComparison};
use botops_stats::separation::Estimate;
pub(crate) use botops_text::{count, counted};
use botops_validation::Validation;
use std::collections::BTreeMap;
use tabled::{
    builder::Builder,
    settings::{Alignment, Modify, Padding, Style, object::Columns},
};

/// Draws a table: a header, then rows; the columns named in `right` are aligned to the right.
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
    format!("{:.3} [{:.3}, {:.3}]", metric.value, metric.ci95[0], metric.ci95[1])
}

/// Heads of a table of out-of-scope scores.
pub(crate) const SCORE_HEADER: [&str; 6] =
    ["score", "AUROC", "AUPR", "AUPR of oos", "FPR at 95 % recall", ""];

/// Draws how scores did from which the deciding one was chosen.
pub(crate) fn scores(compared: &[ScoreComparison], decides: OosScore) -> String {
    let rows = compared.iter().map(|row| {
        let estimate = |Estimate { value, ci95: [lower, upper] }: Estimate| {
            format!("{value:.3} [{lower:.3}, {upper:.3}]")
        };
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

/// Draws the metrics that people ask for first, with their intervals and counts; reports say the rest.
pub(crate) fn metrics(metrics: &BTreeMap<String, Metric>) -> String {
    // The order in which people ask.
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
                format!("[{:.3}, {:.3}]", metric.ci95[0], metric.ci95[1]),
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
    // What would be shown as 1000.0 is 1.0 of the next.
    while size >= 999.95 && unit + 1 < units.len() {
        (size, unit) = (size / 1e3, unit + 1);
    }
    format!("{size:.1} {}", units[unit])
}

/// Lists findings grouped by code: how many, then the first few of each.
pub(crate) fn findings(findings: &[Finding], samples: usize) -> String {
    let count_of = |_: &str, kept: usize| kept as u64;
    grouped(findings, count_of, samples)
}

/// Lists what a validation found, grouped by code: how many there are in all, then the first few of each.
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
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let title = botops_findings::catalogue::find(code).map_or("", |entry| entry.title);
        let n = count_of(code, group.len());
        // What is about no record, file or key is there once, and a number behind it would be taken for one of these.
        let is_whole = n == 1 && group.iter().all(|finding| finding.place == Place::default());
        let n_found = if is_whole { String::new() } else { format!(": {}", count(n)) };
        out.push_str(&format!("{severity}[{code}] {title}{n_found}\n"));
        let shown = &group[..group.len().min(samples)];
        // Help that is about one finding stands by it, and not for all.
        let help = shared_help(&group);
        for finding in shown {
            let place = crate::cli::place_line(&finding.place)
                .map_or(String::new(), |place| format!("{place}: "));
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

/// Returns a duration as people say it.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds >= 60.0 {
        format!("{}m {:02}s", (seconds / 60.0) as u64, (seconds % 60.0) as u64)
    } else {
        format!("{seconds:.1}s")
    }
}

/// Returns what the phases of a training cost, one after the other.
pub(crate) fn costs(costs: &[Cost]) -> String {
    let of = |cost: &Cost| {
        let cpu = cost.cpu_seconds.map(|cpu| format!(" ({cpu:.1} CPU s)")).unwrap_or_default();
        format!("{} {}{cpu}", cost.phase, seconds(cost.seconds))
    };
    costs.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// Returns a p-value with four decimals, or that it is smaller.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

/// Returns a time as people read it, to the second, in UTC.
pub(crate) fn time(at: &chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_powers_of_ten() {
        let shown = [0, 999, 1_000, 1_500, 999_949, 999_950, 104_857_600, u64::MAX].map(bytes);
        let wanted =
            ["0 B", "999 B", "1.0 kB", "1.5 kB", "999.9 kB", "1.0 MB", "104.9 MB", "18.4 EB"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_is_about_no_record_is_not_counted() {
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
    fn help_of_one_finding_is_not_that_of_its_group() {
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
