//! The section of an evaluation page on entities.

use super::{
    cells::metric_cell,
    charts::share_bar,
    html::quoted,
    table::{Column, Narrow, table},
    wording::{count, counted, number},
};
use botops_evaluation::{EntityError, EntityScores, EvaluationReport};

/// The most spans listed. The JSON report contains the rest.
const MOST_SPANS: usize = 200;

/// Returns the section on entities; `None` if none was measured.
pub(super) fn by_entity(report: &EvaluationReport) -> Option<String> {
    let entities = report.entities.as_ref()?;
    let mut sorted: Vec<_> = entities.per_entity.iter().collect();
    sorted.sort_by(|a, b| {
        a.1.exact.f1.value.total_cmp(&b.1.exact.f1.value).then_with(|| a.0.cmp(b.0))
    });
    let row = |name: String, scores: &EntityScores| {
        vec![
            name,
            metric_cell(&scores.exact.f1),
            number(scores.exact.precision.value),
            number(scores.exact.recall.value),
            share_bar(scores.exact.f1.value, Some(scores.exact.f1.ci95)),
            number(scores.partial.f1.value),
            count(scores.support),
            count(scores.n_found),
        ]
    };
    let rows = sorted.into_iter().map(|(name, scores)| row(quoted(name, 80), scores));
    let averages = [("macro", &entities.macro_average), ("micro", &entities.micro)]
        .map(|(name, scores)| row(format!("<em>{name} average</em>"), scores));
    let columns = [
        ("entity", Column::Name),
        ("F1", Column::Number),
        ("precision", Column::Number),
        ("recall", Column::Number),
        ("F1, 0 to 1", Column::Chart),
        ("partial F1", Column::Number),
        ("annotated", Column::Number),
        ("found", Column::Number),
    ];
    let mut out = format!(
        "<p>A span is right if its entity, start and end agree with the annotation (CoNLL); for partial F1 it is enough \
         that the two overlap. Intervals are from a bootstrap over records. Sorted by F1, the lowest first, with the \
         averages at the end.</p>{}",
        table("Metrics by entity", Narrow::Scroll, &columns, rows.chain(averages))
    );
    if !entities.unannotated.is_empty() {
        let names: Vec<String> =
            entities.unannotated.iter().take(8).map(|name| quoted(name, 60)).collect();
        out += &format!(
            "<p class=\"quiet\">Found, but not annotated in the data, and therefore not judged: {}.</p>",
            names.join(", ")
        );
    }
    if !entities.errors.is_empty() {
        out += &wrong_spans(&entities.errors);
    }
    Some(out)
}

fn wrong_spans(errors: &[EntityError]) -> String {
    let ends = |span: Option<[usize; 2]>| {
        span.map_or_else(|| "–".to_owned(), |[start, end]| format!("{start} to {end}"))
    };
    let rows = errors.iter().take(MOST_SPANS).map(|error| {
        vec![
            quoted(&error.entity, 80),
            ends(error.truth),
            ends(error.found),
            format!("{} <span class=\"quiet\">(line {})</span>", error.record, error.line),
        ]
    });
    let columns = [
        ("entity", Column::Name),
        ("annotated characters", Column::Plain),
        ("found", Column::Plain),
        ("record", Column::Number),
    ];
    let more = errors.len().saturating_sub(MOST_SPANS);
    let more = match more {
        0 => String::new(),
        n => format!("<p class=\"quiet\">{} more are in the JSON report.</p>", count(n as u64)),
    };
    format!(
        "<details><summary>Wrong spans: {}</summary>{}{more}</details>",
        counted(errors.len() as u64, "span", "spans"),
        table("Wrong spans", Narrow::Scroll, &columns, rows)
    )
}
