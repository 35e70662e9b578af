//! The section of an evaluation page on behavioural tests.

use super::{
    charts::share_bar,
    html::quoted,
    table::{Column, Narrow, table},
    wording::{count, counted, number, of},
};
use botops_evaluation::{BehaviourKind, BehaviourReport, EvaluationReport, Metric};

/// The most failures listed. The JSON report contains the rest.
const MOST_FAILURES: usize = 500;

/// The most characters of an utterance.
const MOST_CHARS: usize = 280;

/// The kinds of tests, in the order of the page.
pub(super) const KINDS: [BehaviourKind; 3] =
    [BehaviourKind::Minimum, BehaviourKind::Invariance, BehaviourKind::Direction];

/// Returns the section on behavioural tests; `None` if none were run.
pub(super) fn by_capability(report: &EvaluationReport) -> Option<String> {
    let tests = report.behaviour.as_ref()?;
    let row = |kind: BehaviourKind, name: String, passed: &Metric, must: String| {
        vec![
            kind.name().to_owned(),
            name,
            number(passed.value),
            share_bar(passed.value, Some(passed.ci95)),
            count(passed.n),
            must,
        ]
    };
    let rows = tests.capabilities.iter().map(|result| {
        let must = match result.must_pass {
            0 => "–".to_owned(),
            n => of(n - result.must_pass_failed, n),
        };
        row(result.kind, quoted(&result.capability, 80), &result.passed, must)
    });
    let sums = KINDS.into_iter().filter_map(|kind| {
        Some(row(kind, "<em>all</em>".to_owned(), &tests.rate(kind)?, "–".to_owned()))
    });
    let columns = [
        ("kind", Column::Name),
        ("capability", Column::Name),
        ("passed", Column::Number),
        ("passed, 0 to 1", Column::Chart),
        ("tests", Column::Number),
        ("must pass", Column::Plain),
    ];
    let mut out = format!(
        "<p>From <code>{}</code> ({}). An utterance of minimum functionality passes if its answer is its intent, and a \
         variant if its answer is that of its utterance; a declined message has the answer <code>oos</code>. Variants of one \
         utterance are not independent, so the interval over all of them is too narrow.</p>{}",
        super::html::escape(&tests.file),
        tests.digest.short(),
        table("Behavioural tests by capability", Narrow::Scroll, &columns, rows.chain(sums))
    );
    if !tests.without_variants.is_empty() {
        out += &format!(
            "<p class=\"quiet\">No utterance has variants of: {}.</p>",
            tests.without_variants.join(", ")
        );
    }
    out += &failures(tests);
    Some(out)
}

fn failures(tests: &BehaviourReport) -> String {
    let all = tests.failures.len();
    if all == 0 {
        return "<p>No test failed.</p>".to_owned();
    }
    let rows = tests.failures.iter().take(MOST_FAILURES).map(|failure| {
        vec![
            quoted(&failure.text, MOST_CHARS),
            failure
                .changed
                .as_ref()
                .map_or_else(|| "–".to_owned(), |text| quoted(text, MOST_CHARS)),
            quoted(&failure.capability, 80),
            quoted(&failure.expected, 80),
            quoted(&failure.found, 80),
            if failure.must_pass { "yes" } else { "–" }.to_owned(),
        ]
    });
    let columns = [
        ("utterance", Column::Text),
        ("changed to", Column::Text),
        ("capability", Column::Plain),
        ("expected", Column::Plain),
        ("found", Column::Plain),
        ("must pass", Column::Plain),
    ];
    let more = match all.saturating_sub(MOST_FAILURES) {
        0 => String::new(),
        n => format!("<p class=\"quiet\">{} more in the JSON report.</p>", count(n as u64)),
    };
    format!(
        "<p>{}:</p>{}{more}",
        counted(all as u64, "test failed", "tests failed"),
        table("Failed behavioural tests", Narrow::Stack, &columns, rows)
    )
}
