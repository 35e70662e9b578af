//! The page of an evaluation of knowledge.

use super::{
    cells::metric_cell,
    charts::share_bar,
    html::{escape, quoted},
    page::{Page, facts},
    table::{Column, Narrow, table},
    wording::{count, number, p_value, signed},
};
use botops_evaluation::{
    Metric,
    knowledge::{KNOWLEDGE_METRICS, KnowledgeComparison, KnowledgeReport},
};
use botops_text::redact;

/// The most questions and groups of one table. The JSON report contains the rest.
const MOST_ROWS: usize = 200;
/// The most characters of a question or an answer.
const MOST_CHARS: usize = 280;

/// Returns the page of `report`, with the comparison if there is one.
#[must_use]
pub fn knowledge_html(
    report: &KnowledgeReport,
    comparison: Option<&KnowledgeComparison>,
) -> String {
    let subject = &report.knowledge;
    let title = format!("Knowledge {} on {}", subject.name, report.data);
    let mut page = Page::new("knowledge evaluation", &title).lead(&facts(&[
        ("knowledge", format!("{} ({})", quoted(&subject.name, 80), subject.digest.short())),
        ("documents", count(subject.n_documents)),
        ("passages", count(subject.n_chunks)),
        ("ranking", escape(&subject.mode)),
        ("questions", count(report.n)),
        ("without an answer", count(report.n_unanswerable)),
    ]));
    page = page.section("metrics", "Metrics", metrics(report));
    if let Some(comparison) = comparison {
        page = page.section("comparison", "Compared with the other index", compared(comparison));
    }
    page.section("languages", "By language", languages(report))
        .section("abstention", "Risk and coverage", abstention(report))
        .section("gaps", "What the documents lack", gaps(report))
        .section("missed", "Questions that were missed", missed(report))
        .footer(
            "<p>Recall at k is the share of questions of which a passage that answers is among the first k. Exact match and \
             token F1 follow SQuAD; an abstention is the empty answer. Intervals are 95 %: Wilson for shares, percentile \
             bootstrap for the rest.</p>",
        )
        .render()
}

fn metrics(report: &KnowledgeReport) -> String {
    let rows = KNOWLEDGE_METRICS.iter().filter_map(|(name, _)| {
        let metric: &Metric = report.metrics.get(*name)?;
        Some(vec![
            format!("<code>{name}</code>"),
            metric_cell(metric),
            share_bar(metric.value, Some(metric.ci95)),
            count(metric.n),
        ])
    });
    let columns = [
        ("metric", Column::Name),
        ("value", Column::Number),
        ("0 to 1", Column::Chart),
        ("questions", Column::Number),
    ];
    table("Metrics of the knowledge", Narrow::Scroll, &columns, rows)
}

fn compared(comparison: &KnowledgeComparison) -> String {
    let difference = |name: &str, metric: Option<Metric>| {
        metric.map(|metric| {
            let [lower, upper] = metric.ci95;
            vec![
                name.to_owned(),
                signed(metric.value),
                format!("{} to {}", signed(lower), signed(upper)),
            ]
        })
    };
    let rows = [
        difference("mean reciprocal rank", comparison.mrr_difference),
        difference("token F1", comparison.token_f1_difference),
    ];
    let columns = [
        ("difference", Column::Name),
        ("value", Column::Number),
        ("95 % interval", Column::Number),
    ];
    format!(
        "<p>Of {} questions, the first passage of {} is newly right and of {} newly wrong (McNemar p {}).</p>{}",
        count(comparison.n),
        count(comparison.newly_right.len() as u64),
        count(comparison.newly_wrong.len() as u64),
        escape(&p_value(comparison.mcnemar_p)),
        table("Paired differences", Narrow::Scroll, &columns, rows.into_iter().flatten())
    )
}

fn languages(report: &KnowledgeReport) -> String {
    let cell = |metric: Option<&Metric>| metric.map_or_else(|| "–".to_owned(), metric_cell);
    let rows = report.per_language.iter().map(|(language, metrics)| {
        let questions = metrics.get("aurc").map_or(0, |metric| metric.n);
        let mut row = vec![quoted(language, 40), count(questions)];
        let shown = ["recall_at_1", "recall_at_5", "mrr", "exact_match", "token_f1"];
        row.extend(shown.map(|name| cell(metrics.get(name))));
        row
    });
    let columns = [
        ("language", Column::Name),
        ("questions", Column::Number),
        ("recall at 1", Column::Number),
        ("recall at 5", Column::Number),
        ("MRR", Column::Number),
        ("exact match", Column::Number),
        ("token F1", Column::Number),
    ];
    table("Metrics by language", Narrow::Scroll, &columns, rows)
}

fn abstention(report: &KnowledgeReport) -> String {
    let rows = report.risk_coverage.iter().map(|point| {
        vec![
            number(point.threshold),
            number(point.coverage),
            number(point.risk),
            share_bar(point.risk, None),
        ]
    });
    let columns = [
        ("least confidence", Column::Number),
        ("share answered", Column::Number),
        ("share of them wrong", Column::Number),
        ("0 to 1", Column::Chart),
    ];
    let advice = match report.least_confidence {
        Some(least) => format!(
            "From a confidence of {} on, at most 25 % of the answers are wrong (level 0.9): set it as <code>min_confidence</code>.",
            number(least)
        ),
        None => "For no confidence do these questions prove that at most 25 % of the answers are wrong (level 0.9).".to_owned(),
    };
    format!("<p>{advice}</p>{}", table("Wrong answers by coverage", Narrow::Scroll, &columns, rows))
}

fn gaps(report: &KnowledgeReport) -> String {
    if report.gaps.is_empty() {
        return "<p>Every question got an answer, and its passage was found.</p>".to_owned();
    }
    let rows = report.gaps.iter().take(MOST_ROWS).map(|gap| {
        let examples: Vec<String> =
            gap.examples.iter().map(|text| quoted(&redact(text), MOST_CHARS)).collect();
        vec![count(gap.n), quoted(&gap.words.join(", "), MOST_CHARS), examples.join("<br>")]
    });
    let columns = [
        ("questions", Column::Number),
        ("words in common", Column::Name),
        ("examples", Column::Text),
    ];
    table("Groups of questions without an answer", Narrow::Stack, &columns, rows)
}

fn missed(report: &KnowledgeReport) -> String {
    let rows = report.missed.iter().take(MOST_ROWS).map(|missed| {
        let or_none = |text: &str| match text.is_empty() {
            true => "–".to_owned(),
            false => quoted(&redact(text), MOST_CHARS),
        };
        vec![
            quoted(&missed.id, 80),
            or_none(&missed.question),
            missed.rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string()),
            or_none(missed.first.as_deref().unwrap_or_default()),
            or_none(&missed.answer),
            match missed.unanswerable {
                true => "<em>none</em>".to_owned(),
                false => or_none(&missed.accepted.join(" | ")),
            },
        ]
    });
    let columns = [
        ("id", Column::Name),
        ("question", Column::Text),
        ("rank", Column::Number),
        ("first document", Column::Text),
        ("answer", Column::Text),
        ("accepted", Column::Text),
    ];
    table("Questions that were missed", Narrow::Stack, &columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;
    use botops_evaluation::knowledge::{
        Answerer, Asked, KnowledgeSubject, Question, ask_all, read_questions,
    };

    struct Nothing;

    impl Answerer for Nothing {
        fn ask(&mut self, _: &Question) -> Asked {
            Asked {
                found: Vec::new(),
                answer: String::new(),
                quote: String::new(),
                chunk: None,
                confidence: 0.0,
                is_answered: false,
            }
        }
    }

    #[test]
    fn a_page_escapes_questions_and_hides_personal_data() {
        let lines: Vec<String> = (0..12)
            .map(|n| {
                format!(
                    r#"{{"id":"q{n}","question":"<script>alert({n})</script> mail ada{n}@example.com","documents":["a"]}}"#
                )
            })
            .collect();
        let set = read_questions("questions.jsonl", lines.join("\n").as_bytes(), None).unwrap();
        let outcomes = ask_all(&set, &mut Nothing);
        let subject = KnowledgeSubject {
            name: "faq".to_owned(),
            digest: Digest::of(b"faq"),
            n_documents: 1,
            n_chunks: 2,
            mode: "lexical".to_owned(),
        };
        let report = KnowledgeReport::of(subject, &set, &outcomes).unwrap();
        let page = knowledge_html(&report, None);
        assert!(!page.contains("<script>alert"), "the question is escaped");
        assert!(!page.contains("@example.com"), "the address is hidden");
        assert!(page.contains("recall_at_1") && page.contains("What the documents lack"));
    }
}
