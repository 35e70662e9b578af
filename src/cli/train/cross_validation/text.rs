//! A cross-validation as text.

use super::measured::Measured;
use crate::cli::{evaluate::text as evaluation_text, terminal::tables, train::seeds};
use botops_datasets::Dataset;
use botops_evaluation::{
    CrossValidation, FoldComparison, FoldScore, LearningCurve, MetricName, Outlook, SpecComparison,
};
use botops_text::{interval, percent, signed_interval};

/// Renders the results on `data`, the comparisons, the learning curves and the spread over seeds.
pub(super) fn measured(measured: &Measured, data: &Dataset) -> String {
    let Measured { results, comparisons, curves, spread } = measured;
    let mut text = self::results(results, data);
    text.push_str(&self::comparisons(comparisons));
    for (result, curve) in results.iter().zip(curves) {
        text.push_str(&self::curve(&result.name, curve));
    }
    if let Some(spread) = spread {
        text.push_str(&seeds::text(spread, "for folds and models"));
    }
    text
}

fn results(results: &[CrossValidation], data: &Dataset) -> String {
    let mut out = String::new();
    for result in results {
        out.push_str(&format!(
            "{} on {}: {} utterances in {} groups of near duplicates, each judged by a model trained without its \
             fold of {}\n\n",
            result.name,
            data.name,
            tables::count(result.report.n),
            tables::count(result.n_groups),
            result.n_folds
        ));
        out.push_str(&match results {
            [_] => evaluation_text::report(&result.report, 10),
            _ => tables::metrics(&result.report.metrics),
        });
        out.push('\n');
        out.push_str(&folds(result));
        out.push('\n');
    }
    out
}

fn folds(result: &CrossValidation) -> String {
    let mut rows: Vec<Vec<String>> = result
        .folds
        .iter()
        .map(|fold| {
            vec![
                fold.fold.to_string(),
                tables::count(fold.n),
                tables::count(fold.n_train),
                format!("{:.4}", fold.accuracy),
                format!("{:.4}", fold.macro_f1),
                format!("{:.4}", fold.log_loss),
                format!("{:.3}", fold.temperature),
            ]
        })
        .collect();
    let of_folds = |value: fn(&FoldScore) -> f64| {
        mean_and_deviation(&result.folds.iter().map(value).collect::<Vec<_>>())
    };
    let columns = [
        of_folds(|fold| fold.accuracy),
        of_folds(|fold| fold.macro_f1),
        of_folds(|fold| fold.log_loss),
    ];
    let row = |name: &str, values: [f64; 3]| {
        let mut row = vec![name.to_owned(), String::new(), String::new()];
        row.extend(values.map(|value| format!("{value:.4}")));
        row.push(String::new());
        row
    };
    rows.push(row("mean", columns.map(|(mean, _)| mean)));
    rows.push(row("spread", columns.map(|(_, deviation)| deviation)));
    tables::table(
        &["fold", "records", "learned from", "accuracy", "macro_f1", "log_loss", "temperature"],
        rows,
        &[1, 2, 3, 4, 5, 6],
    )
}

/// Returns the mean and the sample standard deviation.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn comparisons(comparisons: &[SpecComparison]) -> String {
    if comparisons.is_empty() {
        return String::new();
    }
    let rows = comparisons.iter().map(|comparison| {
        let FoldComparison { metric, difference, .. } = &comparison.folds;
        vec![
            comparison.name.clone(),
            comparison.against.clone(),
            metric.name().to_owned(),
            format!("{:+.4}", difference.mean),
            signed_interval(difference.ci95, 4),
            tables::p_value(difference.p),
            tables::p_value(comparison.p_adjusted),
        ]
    });
    let header =
        ["configuration", "against", "metric", "difference", "95 % interval", "p", "p adjusted"];
    format!(
        "on the same folds, corrected resampled t-test:\n{}\n",
        tables::table(&header, rows, &[3, 5, 6])
    )
}

fn curve(name: &str, curve: &LearningCurve) -> String {
    let metric = MetricName::Accuracy.name();
    let rows = curve.points.iter().map(|point| {
        let accuracy = point.metrics[metric];
        vec![
            percent(point.share, 0),
            tables::count(point.n_train),
            format!("{:.4}", accuracy.value),
            interval(accuracy.ci95, 4),
            format!("{:.4}", point.metrics[MetricName::MacroF1.name()].value),
            format!("{:.4}", point.metrics[MetricName::LogLoss.name()].value),
        ]
    });
    let gain = &curve.last_gain.difference;
    let outlook = match &curve.outlook {
        Outlook::Foretold { n_train, accuracy } => format!(
            "with {} records, if the curve continues: accuracy {:.3} {}",
            tables::count(*n_train),
            accuracy.mean,
            interval(accuracy.ci95, 3)
        ),
        Outlook::Open(why) => format!("the gain of more records cannot be predicted: {why}"),
    };
    format!(
        "learning curve of {name}:\n{}from {} to all records: accuracy {:+.4} {}\n{outlook}\n\n",
        tables::table(
            &["share", "learned from", "accuracy", "95 % interval", "macro_f1", "log_loss"],
            rows,
            &[0, 1, 2, 4, 5],
        ),
        percent(curve.before, 0),
        gain.mean,
        signed_interval(gain.ci95, 4)
    )
}
