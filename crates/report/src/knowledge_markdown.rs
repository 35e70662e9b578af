//! The short version of an evaluation of knowledge as Markdown.

use super::{
    markdown::{plain, table},
    wording::{count, counted, number, p_equals, signed},
};
use botops_evaluation::{
    Metric,
    knowledge::{KNOWLEDGE_METRICS, KnowledgeComparison, KnowledgeReport},
};
use botops_text::redact;

/// The most groups of questions without an answer. The others are counted.
const MOST_GROUPS: usize = 20;
/// The most languages of the table.
const MOST_LANGUAGES: usize = 50;
/// The most characters of a question.
const MOST_CHARS: usize = 160;

/// Returns the summary of `report`, compared with the champion's knowledge if there is a comparison.
#[must_use]
pub fn knowledge_markdown(
    report: &KnowledgeReport,
    comparison: Option<&KnowledgeComparison>,
) -> String {
    let subject = &report.knowledge;
    let mut out = format!(
        "### Knowledge {} on {}\n\n{}, {}, {}, {} without an answer, ranked {}, file `{}`.\n\n",
        plain(&subject.name, 80),
        plain(&report.data, 120),
        counted(subject.n_documents, "document", "documents"),
        counted(subject.n_chunks, "passage", "passages"),
        counted(report.n, "question", "questions"),
        count(report.n_unanswerable),
        plain(&subject.mode, 20),
        subject.digest.short()
    );
    out += &metrics(report, comparison);
    if let Some(comparison) = comparison {
        out += &format!(
            "\nFirst passages compared with the champion's: {} newly right, {} newly wrong (exact McNemar {}).\n",
            count(comparison.newly_right.len() as u64),
            count(comparison.newly_wrong.len() as u64),
            p_equals(comparison.mcnemar_p).replace('<', "&lt;")
        );
    }
    out += &languages(report);
    out += &gaps(report);
    out
}

fn metrics(report: &KnowledgeReport, comparison: Option<&KnowledgeComparison>) -> String {
    let rows = KNOWLEDGE_METRICS.iter().filter_map(|(name, _)| {
        let metric = report.metrics.get(*name)?;
        let [lower, upper] = metric.ci95;
        let mut row = vec![
            format!("`{name}`"),
            number(metric.value),
            format!("{} to {}", number(lower), number(upper)),
            count(metric.n),
        ];
        if let Some(comparison) = comparison {
            let champion = comparison.champion_metrics.get(*name);
            row.push(champion.map_or_else(|| "–".to_owned(), |it| number(it.value)));
            row.push(champion.map_or_else(|| "–".to_owned(), |it| signed(metric.value - it.value)));
        }
        Some(row)
    });
    let mut header = vec!["metric", "value", "95 % interval", "questions"];
    if comparison.is_some() {
        header.extend(["champion", "change"]);
    }
    table(&header, &[1, 2, 3, 4, 5], rows)
}

/// Returns the table of languages; nothing for one language.
fn languages(report: &KnowledgeReport) -> String {
    if report.per_language.len() < 2 {
        return String::new();
    }
    let shown = ["recall_at_1", "recall_at_5", "mrr", "exact_match", "token_f1"];
    let cell = |metric: Option<&Metric>| {
        metric.map_or_else(|| "–".to_owned(), |metric| number(metric.value))
    };
    let rows = report.per_language.iter().take(MOST_LANGUAGES).map(|(language, metrics)| {
        let mut row = vec![plain(language, 40)];
        row.extend(shown.map(|name| cell(metrics.get(name))));
        row
    });
    let header = ["language", "recall at 1", "recall at 5", "MRR", "exact match", "token F1"];
    format!("\n{}", table(&header, &[1, 2, 3, 4, 5], rows))
}

/// Returns the groups of questions without an answer; nothing without one.
fn gaps(report: &KnowledgeReport) -> String {
    if report.gaps.is_empty() {
        return String::new();
    }
    let rows = report.gaps.iter().take(MOST_GROUPS).map(|gap| {
        let example = gap.examples.first().map_or("", String::as_str);
        let words = plain(&gap.words.join(", "), MOST_CHARS);
        vec![count(gap.n), words, plain(&redact(example), MOST_CHARS)]
    });
    let mut out = format!(
        "\nQuestions without an answer, by subject:\n\n{}",
        table(&["questions", "words", "example"], &[0], rows)
    );
    if let Some(more) = report.gaps.len().checked_sub(MOST_GROUPS).filter(|n| *n > 0) {
        out += &format!("\nAnd {}.\n", counted(more as u64, "more subject", "more subjects"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_digest::Digest;
    use botops_evaluation::knowledge::{
        Answerer, Asked, KnowledgeSubject, Question, ask_all, compare_knowledge, read_questions,
    };

    /// Answers every question, or none, without a passage.
    struct Answers(bool);

    impl Answerer for Answers {
        fn ask(&mut self, _: &Question) -> Asked {
            let answer = if self.0 { "yes" } else { "" };
            Asked {
                found: Vec::new(),
                answer: answer.to_owned(),
                quote: String::new(),
                chunk: None,
                confidence: 0.5,
                is_answered: self.0,
            }
        }
    }

    #[test]
    fn a_summary_has_the_metrics_of_both_sides_and_questions_become_no_markup() {
        let lines: Vec<String> = (0..12)
            .map(|n| {
                let lang = if n % 3 == 0 { "fr" } else { "en" };
                format!(
                    r#"{{"question":"| <b>**why {n}**</b> ada{n}@example.com","answers":["yes"],"documents":["a"],"lang":"{lang}"}}"#
                )
            })
            .collect();
        let set = read_questions("questions.jsonl", lines.join("\n").as_bytes(), None).unwrap();
        let (digest, other) = (Digest::of(b"faq"), Digest::of(b"other"));
        let subject = KnowledgeSubject {
            name: "faq".to_owned(),
            digest,
            n_documents: 1,
            n_chunks: 2,
            mode: "lexical".to_owned(),
        };
        let [none, all] = [false, true].map(|answers| ask_all(&set, &mut Answers(answers)));
        let report = KnowledgeReport::of(subject, &set, &none).unwrap();
        let alone = knowledge_markdown(&report, None);
        assert!(
            alone.starts_with(
                "### Knowledge faq on questions.jsonl\n\n1 document, 2 passages, 12 questions, "
            ),
            "{alone}"
        );
        assert!(
            alone.contains("| `exact_match` | 0.000 | ") && !alone.contains("champion"),
            "{alone}"
        );
        assert!(alone.contains("| en | ") && alone.contains("| fr | "), "{alone}");
        assert!(alone.contains("Questions without an answer, by subject:"), "{alone}");
        assert!(
            !alone.contains("<b>") && !alone.contains("**") && !alone.contains("@example"),
            "{alone}"
        );
        let comparison = compare_knowledge(&set, (other, &all), (digest, &none)).unwrap();
        let both = knowledge_markdown(&report, Some(&comparison));
        let row = both.lines().find(|line| line.starts_with("| `exact_match`")).unwrap();
        assert!(row.contains("| 1.000 | ") && row.trim_end().ends_with("1.000 |"), "{row}");
        assert!(both.contains("0 newly right, 0 newly wrong"), "{both}");
    }
}
