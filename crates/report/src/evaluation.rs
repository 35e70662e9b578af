//! The page of an evaluation.

use super::{
    behaviour,
    cells::{metric_cell, range},
    charts::share_bar,
    confidence, entities,
    html::{escape, quoted},
    matrix::{ERRORS, confused, heat_map},
    page::{Card, Page, Tone, cards, facts, verdict},
    table::{Column, Narrow, table},
    wording::{count, counted, number, of, p_equals, percent, signed},
};
use crate::search_script::browser;
use botops_evaluation::{Better, Comparison, EvaluationReport, Flip, METRICS};
use botops_labels::OOS;

/// The most rows of a table. The JSON report contains the rest.
const MOST_ROWS: usize = 1_000;

/// The number of misclassified utterances that are shown before the user shows all.
const ROWS_SHOWN: usize = 50;

/// The most characters of an utterance.
const MOST_CHARS: usize = 280;

/// Returns the page of `report`, compared with the champion if there is one.
#[must_use]
pub fn evaluation_html(report: &EvaluationReport, comparison: Option<&Comparison>) -> String {
    let page = start(report, "evaluation", &format!("Evaluation on {}", report.data));
    let page = match comparison {
        Some(comparison) => page.section(
            "champion",
            "Comparison with the champion",
            against_champion(report, comparison),
        ),
        None => page,
    };
    fill(page, report, "").render()
}

/// Returns a page with the title and the headline numbers of `report`.
pub(super) fn start(report: &EvaluationReport, kind: &str, title: &str) -> Page {
    Page::new(kind, title)
        .lead(&lead(report))
        .lead(&facts(&[
            ("utterances", count(report.n)),
            ("intents", count(report.intents.len() as u64)),
            ("model", format!("<code>{}</code>", report.model.short())),
            ("data", format!("<code>{}</code>", report.data_digest.short())),
        ]))
        .lead(&cards(&headline(report)))
}

/// Returns `page` with the sections of `report`. `how` is HTML that describes more of the methods in the footer.
pub(super) fn fill(page: Page, report: &EvaluationReport, how: &str) -> Page {
    let mut page = page.section("matrix", "Confusion matrix", matrix(report)).section(
        "intents",
        "By intent",
        by_intent(report),
    );
    if report.languages().len() > 1 {
        page = page.section("languages", "By language", by_language(report));
    }
    if let Some(html) = entities::by_entity(report) {
        page = page.section("entities", "Entities", html);
    }
    if let Some(html) = behaviour::by_capability(report) {
        page = page.section("behaviour", "Behavioural tests", html);
    }
    page = page.section("calibration", "Calibration", confidence::calibration(report));
    if let Some(html) = confidence::answered(report) {
        page = page.section("answered", "Answered messages", html);
    }
    if let Some(html) = confidence::sets(report) {
        page = page.section("sets", "Prediction sets", html);
    }
    if let Some(html) = confidence::out_of_scope(report) {
        page = page.section("oos", "Out of scope", html);
    }
    page.section("errors", "Misclassified utterances", errors(report)).footer(&format!(
        "<p>Ranges are 95 % intervals: Wilson for shares of records, percentile bootstrap (2,000 \
         draws, seed 17) for the rest. Macro averages are over the intents that occur in truth or \
         predicted; a share of 0 records counts as 0. Out-of-scope records count only under “Out of \
         scope”.</p>{how}"
    ))
}

/// Returns the summary of a report: the accuracy, the most confused pair, and the unknown intents.
fn lead(report: &EvaluationReport) -> String {
    let n_wrong = report.n_misclassified();
    let right = report.n - n_wrong.min(report.n);
    let mut sentence = format!("The model gave the right intent to {}.", of(right, report.n));
    if let Some(pair) = confused(report).first() {
        sentence += &format!(
            " Most confused: {} predicted as {}, {}.",
            quoted(pair.truth, 60),
            quoted(pair.predicted, 60),
            of(pair.n, pair.support)
        );
    }
    let mut out = format!("<p>{sentence}</p>");
    if !report.unknown_intents.is_empty() {
        let names: Vec<String> =
            report.unknown_intents.iter().take(8).map(|name| quoted(name, 60)).collect();
        let more = report.unknown_intents.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        out += &verdict(
            Tone::Warning,
            "Unknown intents.",
            &format!(
                "The data has intents that the model does not know: {}{more}. Their records count as wrong.",
                names.join(", ")
            ),
        );
    }
    out
}

/// The headline metrics in the order of the page: key, name, meaning.
const MEANINGS: [(&str, &str, &str); 7] = [
    ("accuracy", "accuracy", "share of utterances with the right intent"),
    ("macro_f1", "macro F1", "mean F1 of the intents, each with the same weight"),
    ("weighted_f1", "weighted F1", "mean F1 of the intents, weighted by records"),
    ("ece", "calibration error", "mean gap between confidence and accuracy (ECE); lower is better"),
    (
        "log_loss",
        "log loss",
        "mean negative log probability of the truth, in nats; lower is better",
    ),
    ("fallback_rate", "fallback rate", "share of in-scope utterances that fall back"),
    (
        "oos_auroc",
        "out-of-scope AUROC",
        "probability that an in-scope utterance scores higher than an out-of-scope one",
    ),
];

fn headline(report: &EvaluationReport) -> Vec<Card> {
    MEANINGS
        .iter()
        .filter_map(|(key, name, meaning)| {
            let metric = report.metrics.get(*key)?;
            Some(Card {
                name: (*name).to_owned(),
                value: number(metric.value),
                range: range(metric.ci95),
                meaning: (*meaning).to_owned(),
            })
        })
        .collect()
}

fn against_champion(report: &EvaluationReport, comparison: &Comparison) -> String {
    let (wrong, right) = (comparison.newly_wrong.len(), comparison.newly_right.len());
    let change = comparison.challenger_accuracy - comparison.champion_accuracy;
    let significant = comparison.mcnemar_p < 0.05;
    let (tone, heading) = match (significant, change > 0.0) {
        (true, true) => (Tone::Good, "Better."),
        (true, false) => (Tone::Bad, "Worse."),
        (false, _) => (Tone::Neutral, "No clear difference."),
    };
    let mut out = verdict(
        tone,
        heading,
        &format!(
            "Accuracy {}, champion {} (difference {}): {} newly right and {} newly wrong of {} records \
             (negative flips {}); exact McNemar {}.",
            number(comparison.challenger_accuracy),
            number(comparison.champion_accuracy),
            signed(change),
            count(right as u64),
            count(wrong as u64),
            count(comparison.n),
            flip_share(comparison),
            escape(&p_equals(comparison.mcnemar_p)),
        ),
    );
    let rows = METRICS.iter().filter_map(|(name, better)| {
        let now = report.metrics.get(*name)?;
        let before = comparison.champion_metrics.get(*name)?;
        Some(vec![
            format!("<code>{name}</code>"),
            metric_cell(before),
            metric_cell(now),
            change_cell(now.value - before.value, *better),
        ])
    });
    out += &table(
        "Metrics of champion and challenger",
        Narrow::Scroll,
        &[
            ("metric", Column::Name),
            ("champion", Column::Number),
            ("this model", Column::Number),
            ("change", Column::Number),
        ],
        rows,
    );
    out += &flips("Newly wrong", &comparison.newly_wrong);
    out += &flips("Newly right", &comparison.newly_right);
    out
}

/// Returns the share of negative flips, with its interval.
fn flip_share(comparison: &Comparison) -> String {
    let negative = comparison.flips().negative;
    let [lower, upper] = negative.ci95.map(number);
    format!("{}, {lower} to {upper}", number(negative.value))
}

fn change_cell(change: f64, better: Better) -> String {
    let text = signed(change);
    let improves = (change > 0.0) == (better == Better::Higher);
    match text.as_str() {
        "0.000" => text,
        _ if improves => format!("<span class=\"good-text\">{text} better</span>"),
        _ => format!("<span class=\"bad-text\">{text} worse</span>"),
    }
}

fn flips(title: &str, flips: &[Flip]) -> String {
    if flips.is_empty() {
        return String::new();
    }
    let rows = flips.iter().take(MOST_ROWS).map(|flip| {
        vec![
            quoted(&flip.text, MOST_CHARS),
            quoted(&flip.truth, 80),
            quoted(&flip.champion, 80),
            quoted(&flip.challenger, 80),
            count(flip.record),
        ]
    });
    let columns = [
        ("utterance", Column::Text),
        ("truth", Column::Plain),
        ("champion", Column::Plain),
        ("this model", Column::Plain),
        ("record", Column::Number),
    ];
    format!(
        "<details><summary>{title}: {}</summary>{}{}</details>",
        counted(flips.len() as u64, "record", "records"),
        browser(
            &title.to_lowercase().replace(' ', "-"),
            "Search",
            &[("truth", 1)],
            None,
            &table(title, Narrow::Stack, &columns, rows)
        ),
        left_out(flips.len())
    )
}

fn left_out(n: usize) -> String {
    match n.checked_sub(MOST_ROWS) {
        Some(more) if more > 0 => {
            format!("<p class=\"quiet\">{} more are in the JSON report.</p>", count(more as u64))
        }
        _ => String::new(),
    }
}

fn matrix(report: &EvaluationReport) -> String {
    let intro = "<p>Each row holds the utterances of one intent, each column those of one prediction. \
                 Point at a cell to see names and counts; click an error to list its records.</p>";
    let pairs = confused(report);
    if pairs.is_empty() {
        return format!("{intro}{}<p>No intent was confused with another.</p>", heat_map(report));
    }
    let rows = pairs.iter().take(15).map(|pair| {
        vec![
            quoted(pair.truth, 80),
            quoted(pair.predicted, 80),
            count(pair.n),
            percent(pair.n as f64 / pair.support.max(1) as f64),
        ]
    });
    let columns = [
        ("truth", Column::Name),
        ("predicted as", Column::Name),
        ("records", Column::Number),
        ("of the intent", Column::Number),
    ];
    format!(
        "{intro}<div class=\"beside\"><div>{}</div><div><h3>Most confused</h3>{}</div></div>",
        heat_map(report),
        table("Most confused pairs", Narrow::Scroll, &columns, rows)
    )
}

fn by_intent(report: &EvaluationReport) -> String {
    let mut intents: Vec<_> = report.per_class.iter().collect();
    intents.sort_by(|a, b| a.1.f1.total_cmp(&b.1.f1).then(a.0.cmp(b.0)));
    let rows = intents.into_iter().map(|(name, metrics)| {
        let interval = (metrics.support > 0).then_some(metrics.recall_ci95);
        let mut name_cell = quoted(name, 80);
        if report.unknown_intents.contains(name) {
            name_cell += " <span class=\"badge warn\">unknown to the model</span>";
        }
        vec![
            name_cell,
            number(metrics.f1),
            number(metrics.precision),
            number(metrics.recall),
            share_bar(metrics.recall, interval),
            count(metrics.support),
        ]
    });
    let averages = ["macro", "weighted", "micro"].into_iter().filter_map(|name| {
        let metrics = report.averages.get(name)?;
        Some(vec![
            format!("<em>{name} average</em>"),
            number(metrics.f1),
            number(metrics.precision),
            number(metrics.recall),
            share_bar(metrics.recall, Some(metrics.recall_ci95)),
            count(metrics.support),
        ])
    });
    let columns = [
        ("intent", Column::Name),
        ("F1", Column::Number),
        ("precision", Column::Number),
        ("recall", Column::Number),
        ("recall, 0 to 1", Column::Chart),
        ("records", Column::Number),
    ];
    format!(
        "<p>Sorted by F1, the lowest first, with the averages at the end. The bar shows recall and the whisker its \
         interval, which is wide for an intent with few records.</p>{}",
        table("Metrics by intent", Narrow::Scroll, &columns, rows.chain(averages))
    )
}

fn by_language(report: &EvaluationReport) -> String {
    let rows = report.languages().into_iter().map(|(name, metric)| {
        vec![
            quoted(&name, 40),
            number(metric.value),
            share_bar(metric.value, Some(metric.ci95)),
            count(metric.n),
        ]
    });
    table(
        "Accuracy by language",
        Narrow::Scroll,
        &[
            ("language", Column::Name),
            ("accuracy", Column::Number),
            ("accuracy, 0 to 1", Column::Chart),
            ("records", Column::Number),
        ],
        rows,
    )
}

fn errors(report: &EvaluationReport) -> String {
    if report.errors.is_empty() {
        return "<p>None.</p>".to_owned();
    }
    let rows = report.errors.iter().take(MOST_ROWS).map(|error| {
        vec![
            quoted(&error.text, MOST_CHARS),
            quoted(&error.truth, 80),
            quoted(&error.predicted, 80),
            number(error.confidence),
            format!("{} <span class=\"quiet\">(line {})</span>", error.record, error.line),
        ]
    });
    let columns = [
        ("utterance", Column::Text),
        ("truth", Column::Plain),
        ("predicted", Column::Plain),
        ("confidence", Column::Number),
        ("record", Column::Number),
    ];
    format!(
        "<p>{}{}, the most confident first. Records at the top often have a wrong label.</p>{}{}",
        counted(report.n_misclassified(), "record", "records"),
        match report.errors.len() as u64 - report.n_misclassified() {
            0 => String::new(),
            n => format!(
                " in scope, and {} answered (truth <code>{OOS}</code>)",
                counted(n, "out-of-scope record", "out-of-scope records")
            ),
        },
        browser(
            ERRORS,
            "Search",
            &[("truth", 1), ("predicted", 2)],
            Some(ROWS_SHOWN),
            &table("Misclassified utterances", Narrow::Stack, &columns, rows)
        ),
        left_out(report.errors.len())
    )
}
