//! `botops runs compare`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_evaluation::Metric;
use botops_experiments::{
    Contrast, Difference, MetricDifference, PairedDifference, Pairing, RunComparison, RunRecord,
    compare,
};
use botops_findings::{Fault, Finding, Result, Severity};
use serde::Serialize;
use serde_json::Value;

/// The significance level, after correction for several comparisons.
const ALPHA: f64 = 0.05;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Runs: ids, their unique beginnings, or `latest`; the others are compared with the first
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    comparison: &'a RunComparison,
    kinds: Vec<&'a str>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let experiments = context.experiments()?;
    let mut runs = Vec::new();
    for id in &args.runs {
        let run = context.wait(experiments.find(id))??;
        if runs.iter().any(|(known, _): &(RunRecord, _)| known.id == run.id) {
            let message = format!("run `{}` is named twice", run.id);
            return Err(Fault::usage("BOT-1003", message).hint("name two different runs"));
        }
        let evaluation = context.wait(experiments.evaluation(&run))??;
        runs.push((run, evaluation));
    }
    let comparison = compare(&runs);
    let kinds = runs.iter().map(|(run, _)| run.kind.as_str()).collect();
    let text = text(&runs.iter().map(|(run, _)| run).collect::<Vec<_>>(), &comparison);
    let outcome = Outcome::done(&Answer { comparison: &comparison, kinds }, text);
    Ok(outcome.findings(findings(&comparison)))
}

/// Returns a warning if the metrics cannot be compared.
fn findings(comparison: &RunComparison) -> Vec<Finding> {
    if comparison.same_basis || comparison.metrics.is_empty() {
        return Vec::new();
    }
    vec![Finding::new(
        "BOT-5033",
        Severity::Warning,
        "the metrics were not measured on the same data in the same way",
        "evaluate the models on the same data: `botops evaluate MODEL test.csv`",
    )]
}

/// Returns the letter of the n-th run in tables: A, B, and so on; `#27` after Z.
fn letter(n: usize) -> String {
    u8::try_from(n)
        .ok()
        .filter(|n| *n < 26)
        .map_or_else(|| format!("#{}", n + 1), |n| char::from(b'A' + n).to_string())
}

fn text(runs: &[&RunRecord], comparison: &RunComparison) -> String {
    let rows = runs.iter().enumerate().map(|(n, run)| {
        let took = (run.finished_at - run.started_at).num_milliseconds().max(0) as f64 / 1_000.0;
        vec![
            letter(n),
            run.id.clone(),
            run.kind.clone(),
            tables::time(&run.finished_at),
            tables::seconds(took),
        ]
    });
    let mut out = tables::table(&["", "run", "kind", "finished (UTC)", "took"], rows, &[4]);
    for (name, differences) in [
        ("param", &comparison.params),
        ("data", &comparison.data),
        ("code", &comparison.code),
        ("machine", &comparison.environment),
        ("stage", &comparison.stages),
    ] {
        out.push_str(&section(name, differences, runs.len()));
    }
    out.push_str(&metrics(&comparison.metrics, runs.len()));
    for finding in findings(comparison) {
        out.push_str(&format!("warning[{}]: {}\n", finding.code, finding.message));
    }
    for (n, contrast) in comparison.contrasts.iter().enumerate() {
        let several =
            comparison.contrasts.iter().filter(|other| other.paired.is_some()).count() > 1;
        out.push_str(&against(contrast, &letter(n + 1), several));
    }
    let same: Vec<String> = comparison
        .same
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    if !same.is_empty() {
        out.push_str(&format!("\nthe same in all: {}\n", same.join(", ")));
    }
    out
}

fn section(name: &str, differences: &[Difference], n_runs: usize) -> String {
    if differences.is_empty() {
        return String::new();
    }
    let letters: Vec<String> = (0..n_runs).map(letter).collect();
    let header: Vec<&str> =
        std::iter::once(name).chain(letters.iter().map(String::as_str)).collect();
    let rows = differences.iter().map(|difference| {
        let values =
            difference.values.iter().map(|value| value.as_ref().map_or("-".into(), value_text));
        std::iter::once(difference.name.clone()).chain(values).collect()
    });
    format!("\n{}", tables::table(&header, rows, &[]))
}

/// Returns a value as text: digests and commits shortened, strings without quotes.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let hex = text.strip_prefix("sha256:").unwrap_or(text);
            let is_hex = hex.len() >= 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hex { hex[..12].to_owned() } else { text.clone() }
        }
        value => value.to_string(),
    }
}

fn metrics(metrics: &[MetricDifference], n_runs: usize) -> String {
    if metrics.is_empty() {
        return String::new();
    }
    let letters: Vec<String> = (0..n_runs).map(letter).collect();
    let mut header = vec!["metric", "better"];
    header.extend(letters.iter().map(String::as_str));
    header.push(if n_runs == 2 { "B and A" } else { "each and A" });
    let rows = metrics.iter().map(|metric| {
        let mut row = vec![metric.name.clone(), metric.better.unwrap_or("-").to_owned()];
        row.extend(metric.values.iter().map(|value| {
            value.as_ref().map_or("-".to_owned(), |value: &Metric| tables::metric(value))
        }));
        let words = metric.overlaps.iter().map(|overlaps| match overlaps {
            Some(true) => "overlap",
            Some(false) => "apart",
            None => "-",
        });
        row.push(words.collect::<Vec<_>>().join(", "));
        row
    });
    format!("\n{}", tables::table(&header, rows, &[]))
}

/// Returns a difference with its sign; a difference that rounds to zero has none.
fn signed(value: f64) -> String {
    if value.abs() < 0.0005 { "0.000".to_owned() } else { format!("{value:+.3}") }
}

fn against(contrast: &Contrast, letter: &str, several: bool) -> String {
    let mut out = String::new();
    if contrast.same_model == Some(true) {
        out.push_str(&format!("\n{letter} and A made the same model, to the byte\n"));
    }
    match (&contrast.paired, &contrast.why_not_paired) {
        (Some(paired), _) => out.push_str(&pairing(paired, contrast, letter, several)),
        (None, Some(why)) => {
            out.push_str(&format!("\n{letter} against A, not record by record: {why}\n"));
        }
        (None, None) => {}
    }
    out
}

fn pairing(paired: &Pairing, contrast: &Contrast, letter: &str, several: bool) -> String {
    let Pairing { n, newly_right, newly_wrong, mcnemar_p, differences } = paired;
    let adjusted = contrast.p_adjusted.unwrap_or(*mcnemar_p);
    let p = match several {
        true => format!("{}, adjusted {}", tables::p_value(*mcnemar_p), tables::p_value(adjusted)),
        false => tables::p_value(*mcnemar_p),
    };
    let mut out = format!(
        "\n{letter} against A, record by record on the same {}: newly right {}, newly wrong {}, McNemar p {p}\n",
        tables::count(*n),
        tables::count(*newly_right),
        tables::count(*newly_wrong)
    );
    let rows = differences.iter().map(|(name, PairedDifference { value, ci95 })| {
        let interval = format!("[{}, {}]", signed(ci95[0]), signed(ci95[1]));
        vec![name.clone(), signed(*value), interval]
    });
    out.push_str(&tables::table(
        &["metric", &format!("{letter} - A"), "95 % interval"],
        rows,
        &[1],
    ));
    if newly_right + newly_wrong == 0 {
        return format!("{out}{letter} and A are right on the same records\n");
    }
    let verdict = match (adjusted < ALPHA, newly_right.cmp(newly_wrong)) {
        (true, std::cmp::Ordering::Greater) => "is more often right than A",
        (true, _) => "is less often right than A",
        (false, _) => "is not distinguishable from A by how often it is right",
    };
    out.push_str(&format!("{letter} {verdict}\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;
    use botops_experiments::{Basis, CodeState, Environment, TEST};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn record(id: &str, seed: u64, accuracy: f64) -> RunRecord {
        let at = "2026-11-20T10:00:00Z".parse().unwrap();
        let metric = |value: f64| Metric { value, ci95: [value - 0.02, value + 0.02], n: 3_080 };
        RunRecord {
            schema: "botops.run/1".to_owned(),
            id: id.to_owned(),
            kind: "train".to_owned(),
            started_at: at,
            finished_at: at + chrono::TimeDelta::milliseconds(1_500),
            params: [("model.seed".to_owned(), json!(seed)), ("same".to_owned(), json!(1))].into(),
            metrics: [
                ("accuracy".to_owned(), metric(accuracy)),
                ("log_loss".to_owned(), metric(1.0 - accuracy)),
            ]
            .into(),
            data: BTreeMap::new(),
            code: CodeState {
                git_commit: Some("5ad2ae6a5b8f4cb2cda2d4f8eb1c9c0e3b9f2d11".to_owned()),
                git_dirty: None,
            },
            environment: Environment::default(),
            artifacts: Vec::new(),
            stages: BTreeMap::new(),
            sources: BTreeMap::new(),
            recipe: None,
            costs: Vec::new(),
            measured_on: Some(Basis { method: TEST.to_owned(), data: Digest::of(b"test") }),
            twin_of: None,
        }
    }

    fn rendered(runs: &[RunRecord], change: impl FnOnce(&mut RunComparison)) -> String {
        let none = |run: &RunRecord| (run.clone(), Err("it was not kept".to_owned()));
        let mut comparison = compare(&runs.iter().map(none).collect::<Vec<_>>());
        change(&mut comparison);
        text(&runs.iter().collect::<Vec<_>>(), &comparison)
    }

    #[test]
    fn a_comparison_shows_differences_and_their_significance() {
        let runs =
            [record("20261120-aaaaaaaaaaaa", 17, 0.9), record("20261120-bbbbbbbbbbbb", 3, 0.93)];
        let difference = PairedDifference { value: 0.03, ci95: [0.0204, 0.06] };
        let pairing = Pairing {
            n: 3_080,
            newly_wrong: 20,
            newly_right: 112,
            mcnemar_p: 1e-9,
            differences: [("accuracy".to_owned(), difference)].into(),
        };
        let text = rendered(&runs, |comparison| {
            comparison.contrasts[0].paired = Some(pairing);
            comparison.contrasts[0].p_adjusted = Some(1e-9);
        });
        let expected = "   run                    kind   finished (UTC)       took
A  20261120-aaaaaaaaaaaa  train  2026-11-20 10:00:01  1.5s
B  20261120-bbbbbbbbbbbb  train  2026-11-20 10:00:01  1.5s

param       A   B
model.seed  17  3

metric    better  A                     B                     B and A
accuracy  higher  0.900 [0.880, 0.920]  0.930 [0.910, 0.950]  overlap
log_loss  lower   0.100 [0.080, 0.120]  0.070 [0.050, 0.090]  overlap

B against A, record by record on the same 3,080: newly right 112, newly wrong 20, McNemar p < 0.0001
metric     B - A  95 % interval
accuracy  +0.030  [+0.020, +0.060]
B is more often right than A

the same in all: code 1, environment 4, params 1
";
        assert_eq!(text, expected);
    }

    #[test]
    fn metrics_on_different_data_have_a_warning() {
        let mut runs = [record("a", 17, 0.9), record("b", 17, 0.8)];
        runs[1].measured_on.as_mut().unwrap().data = Digest::of(b"other");
        let text = rendered(&runs, |_| ());
        assert!(
            text.contains("accuracy  higher  0.900 [0.880, 0.920]  0.800 [0.780, 0.820]  -\n"),
            "{text}"
        );
        assert!(text.contains("\nwarning[BOT-5033]: the metrics were not measured on the same data in the same way\n"), "{text}");
        assert!(
            text.contains(
                "\nB against A, not record by record: they were measured on different data: "
            ),
            "{text}"
        );
    }

    #[test]
    fn an_equal_model_and_a_worse_model_are_distinguished() {
        let runs = [record("a", 17, 0.9), record("b", 3, 0.9), record("c", 4, 0.9)];
        let pairing = |newly_wrong, newly_right, mcnemar_p| {
            Some(Pairing {
                n: 100,
                newly_wrong,
                newly_right,
                mcnemar_p,
                differences: BTreeMap::new(),
            })
        };
        let text = rendered(&runs, |comparison| {
            comparison.contrasts[0].paired = pairing(0, 0, 1.0);
            comparison.contrasts[0].same_model = Some(true);
            comparison.contrasts[1].paired = pairing(9, 1, 0.0215);
            comparison.contrasts[1].p_adjusted = Some(0.043);
        });
        for line in [
            "B and A made the same model, to the byte",
            "B and A are right on the same records",
            "McNemar p 0.0215, adjusted 0.0430",
            "C is less often right than A",
        ] {
            assert!(text.contains(line), "`{line}` is not in\n{text}");
        }
    }

    #[test]
    fn the_first_26_runs_have_letters() {
        assert_eq!([letter(0), letter(25), letter(26)], ["A", "Z", "#27"]);
    }

    #[test]
    fn a_difference_of_zero_has_no_sign() {
        assert_eq!(
            [signed(0.0123), signed(-0.0123), signed(-0.0004)],
            ["+0.012", "-0.012", "0.000"]
        );
    }

    #[test]
    fn digests_and_commits_are_shortened() {
        let digest = Digest::of(b"x");
        assert_eq!(value_text(&json!(digest)), digest.short());
        assert_eq!(value_text(&json!("5ad2ae6a5b8f4cb2cda2d4f8eb1c9c0e3b9f2d11")), "5ad2ae6a5b8f");
        assert_eq!(value_text(&json!("linear_svm")), "linear_svm");
        assert_eq!(value_text(&json!(1.5)), "1.5");
        assert_eq!(value_text(&json!([1, 2])), "[1,2]");
    }
}
