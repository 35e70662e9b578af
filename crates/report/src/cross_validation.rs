//! The page of a cross-validation: the page of an evaluation with folds, comparisons and learning curves.

use super::{
    cells::metric_cell,
    charts::curve,
    evaluation::{fill, start},
    html::{escape, quoted},
    page::{Page, scroll_box},
    table::{Column, Narrow, table},
    wording::{count, number, p_value, percent, signed},
};
use botops_evaluation::{CrossValidation, LearningCurve, MetricName, Outlook, SpecComparison};

/// Returns the page of the first of `results`, with the others compared with it. `curves` has one curve per result, or
/// none.
///
/// Without results the page has a title only.
#[must_use]
pub fn cross_validation_html(
    results: &[CrossValidation],
    comparisons: &[SpecComparison],
    curves: &[LearningCurve],
) -> String {
    let Some(first) = results.first() else {
        return Page::new("cross-validation", "No results").render();
    };
    let title = format!("Cross-validation on {}", first.report.data);
    let mut page = start(&first.report, "cross-validation", &title);
    if results.len() > 1 {
        page = page
            .lead(&format!(
                "<p>This page describes {}; the other configurations are compared with it on the same folds.</p>",
                quoted(&first.name, 120)
            ))
            .section("comparison", "Configurations", configurations(results, comparisons));
    }
    page = page.section("folds", "Folds", results.iter().map(folds).collect());
    if !curves.is_empty() {
        let html = results.iter().zip(curves).map(|(result, found)| learning(&result.name, found));
        page = page.section("curve", "Learning curve", html.collect());
    }
    let how = format!(
        "<p>Every record was predicted by a model trained without its fold ({} folds, seed {}). Near duplicates \
         ({} groups) are always in the same fold. Each fold's temperature is fitted on the scores of the other folds. Configurations \
         are compared fold by fold with the corrected resampled t-test (Nadeau and Bengio, 2003).</p>",
        first.n_folds,
        first.seed,
        count(first.n_groups)
    );
    fill(page, &first.report, &how).render()
}

fn configurations(results: &[CrossValidation], comparisons: &[SpecComparison]) -> String {
    let rows = results.iter().map(|result| {
        let cell = |name: &str| {
            result.report.metrics.get(name).map_or_else(|| "–".to_owned(), metric_cell)
        };
        vec![
            quoted(&result.name, 120),
            cell("accuracy"),
            cell("macro_f1"),
            cell("log_loss"),
            cell("ece"),
        ]
    });
    let mut out = table(
        "Configurations",
        Narrow::Scroll,
        &[
            ("configuration", Column::Name),
            ("accuracy", Column::Number),
            ("macro F1", Column::Number),
            ("log loss", Column::Number),
            ("calibration error", Column::Number),
        ],
        rows,
    );
    let rows = comparisons.iter().map(|comparison| {
        let difference = &comparison.folds.difference;
        vec![
            quoted(&comparison.name, 120),
            format!("<code>{}</code>", comparison.folds.metric.name()),
            signed(difference.mean),
            format!("{} to {}", signed(difference.ci95[0]), signed(difference.ci95[1])),
            escape(&p_value(difference.p)),
            escape(&p_value(comparison.p_adjusted)),
        ]
    });
    out += &table(
        "Compared with the first",
        Narrow::Scroll,
        &[
            ("configuration", Column::Name),
            ("metric", Column::Name),
            ("difference", Column::Number),
            ("95 % interval", Column::Number),
            ("p", Column::Number),
            ("p, adjusted", Column::Number),
        ],
        rows,
    );
    out
}

fn folds(result: &CrossValidation) -> String {
    let rows = result.folds.iter().map(|fold| {
        vec![
            fold.fold.to_string(),
            count(fold.n),
            count(fold.n_train),
            number(fold.accuracy),
            number(fold.macro_f1),
            number(fold.log_loss),
            number(fold.temperature),
        ]
    });
    format!(
        "<h3>{}</h3>{}",
        quoted(&result.name, 120),
        table(
            "Scores by fold",
            Narrow::Scroll,
            &[
                ("fold", Column::Number),
                ("records", Column::Number),
                ("training records", Column::Number),
                ("accuracy", Column::Number),
                ("macro F1", Column::Number),
                ("log loss", Column::Number),
                ("temperature", Column::Number),
            ],
            rows,
        )
    )
}

fn learning(name: &str, found: &LearningCurve) -> String {
    let metric = MetricName::Accuracy.name();
    let dots: Vec<_> = found
        .points
        .iter()
        .map(|point| {
            let accuracy = point.metrics[metric];
            (point.n_train as f64, accuracy.value, accuracy.ci95)
        })
        .collect();
    let (beyond, outlook) = match &found.outlook {
        Outlook::Foretold { n_train, accuracy } => (
            Some((*n_train as f64, accuracy.mean, accuracy.ci95)),
            format!(
                "If the curve continues, {} records give an accuracy of {} ({} to {}): the dashed end.",
                count(*n_train),
                number(accuracy.mean),
                number(accuracy.ci95[0]),
                number(accuracy.ci95[1])
            ),
        ),
        Outlook::Open(reason) => {
            (None, format!("There is no estimate for more records: {}.", escape(reason)))
        }
    };
    let gain = &found.last_gain.difference;
    let rows = found.points.iter().map(|point| {
        let cell = |name: &str| {
            let metric = point.metrics[name];
            format!(
                "{} [{}, {}]",
                number(metric.value),
                number(metric.ci95[0]),
                number(metric.ci95[1])
            )
        };
        vec![
            percent(point.share),
            count(point.n_train),
            cell(metric),
            cell(MetricName::MacroF1.name()),
            cell(MetricName::LogLoss.name()),
        ]
    });
    format!(
        "<h3>{}</h3><p>From {} of the records to all of them, accuracy changed by {} ({} to {}). {outlook}</p>\
         <figure class=\"timeline\">{}</figure>{}",
        quoted(name, 120),
        percent(found.before),
        signed(gain.mean),
        signed(gain.ci95[0]),
        signed(gain.ci95[1]),
        scroll_box("Learning curve", &curve(&dots, beyond, metric)),
        table(
            "Learning curve",
            Narrow::Scroll,
            &[
                ("share", Column::Number),
                ("training records", Column::Number),
                ("accuracy", Column::Number),
                ("macro F1", Column::Number),
                ("log loss", Column::Number),
            ],
            rows,
        )
    )
}
