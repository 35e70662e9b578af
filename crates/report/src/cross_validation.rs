//! The page of a cross-validation: that of an evaluation, with folds, comparisons and learning curves.

use super::{
    charts::curve,
    evaluation::{begun, filled},
    page::{Page, escape, quoted, scroll_box},
    table::{Column, Narrow, table},
    wording::{count, number, p_value, percent, signed},
};
use botops_evaluation::{CrossValidation, LearningCurve, MetricName, Outlook, SpecComparison};

/// Returns the page of the first of `results`, the others held against it; `curves` are one for each, or none.
///
/// Without a result it is a page that says so.
#[must_use]
pub fn cross_validation_html(
    results: &[CrossValidation],
    comparisons: &[SpecComparison],
    curves: &[LearningCurve],
) -> String {
    let Some(first) = results.first() else {
        return Page::new("cross-validation", "Nothing was judged").render();
    };
    let title = format!("Cross-validation on {}", first.report.data);
    let mut page = begun(&first.report, "cross-validation", &title);
    if results.len() > 1 {
        page = page
            .lead(&format!(
                "<p>What follows is of {}; the others are held against it on the same folds.</p>",
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
        "<p>Every record was judged by a model that learned without its fold ({} folds, seed {}); near duplicates \
         ({} groups) are never parted. Each fold's temperature is fitted on the scores of the others. Configurations \
         are compared fold by fold with the corrected resampled t-test (Nadeau and Bengio, 2003).</p>",
        first.n_folds,
        first.seed,
        count(first.n_groups)
    );
    filled(page, &first.report, &how).render()
}

fn configurations(results: &[CrossValidation], comparisons: &[SpecComparison]) -> String {
    let rows = results.iter().map(|result| {
        let cell = |name: &str| {
            result.report.metrics.get(name).map_or("–".to_owned(), |metric| {
                format!(
                    "{} <span class=\"quiet\">[{}, {}]</span>",
                    number(metric.value),
                    number(metric.ci95[0]),
                    number(metric.ci95[1])
                )
            })
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
        "Against the first",
        Narrow::Scroll,
        &[
            ("configuration", Column::Name),
            ("metric", Column::Name),
            ("minus the first", Column::Number),
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
                ("learned from", Column::Number),
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
                "With {} records, if the curve goes on as it did, accuracy would be {} ({} to {}): the dashed end.",
                count(*n_train),
                number(accuracy.mean),
                number(accuracy.ci95[0]),
                number(accuracy.ci95[1])
            ),
        ),
        Outlook::Open(why) => {
            (None, format!("What more records would bring cannot be said: {}.", escape(why)))
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
        "<h3>{}</h3><p>From {} of the records to all, accuracy changed by {} ({} to {}). {outlook}</p>\
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
                ("learned from", Column::Number),
                ("accuracy", Column::Number),
                ("macro F1", Column::Number),
                ("log loss", Column::Number),
            ],
            rows,
        )
    )
}
