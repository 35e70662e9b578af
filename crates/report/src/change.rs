//! A change to the data or the settings of a model, as Markdown for a pull request: the data, the metrics, the predictions
//! that changed, and the gates.

use super::{
    job::bounded_markdown,
    markdown::{evaluation_markdown, gate_markdown, plain, table},
    wording::{count, counted},
};
use botops_curation::{Change as Kind, IntentChange, Review, ReviewedRecord};
use botops_evaluation::{Comparison, EvaluationReport, Flip, GateReport};

/// The first line of the Markdown, which is not shown: by it, a workflow finds the comment that it wrote before.
pub const CHANGE_MARK: &str = "<!-- botops pipeline diff -->";

/// The most bytes of the Markdown: a comment on GitHub has at most 65,536 characters, and one on GitLab 1,000,000.
const MOST_BYTES: usize = 60_000;
/// The most intents in the table of changes.
const MOST_INTENTS: usize = 40;
/// The most records and predictions in a list.
const MOST_RECORDS: usize = 20;
/// The most characters of an utterance.
const MOST_TEXT: usize = 160;

/// A change between two states of a workspace.
#[derive(Debug, Clone, Default)]
pub struct Change<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The difference of the data; `None` if one side could not be read.
    pub data: Option<&'a Review>,
    /// The evaluation of the new model; `None` if it could not be trained or judged.
    pub evaluation: Option<&'a EvaluationReport>,
    /// Its comparison with the model before, on the same records.
    pub comparison: Option<&'a Comparison>,
    /// The gates on the new model, with the model before as the champion.
    pub gate: Option<&'a GateReport>,
    /// Sentences about what is missing, and why.
    pub notes: Vec<String>,
}

/// Returns the Markdown of `change`, at most as long as a comment may be.
///
/// Texts and names are shown without personal data, and as plain text: they cannot become markup, a link or a mention.
#[must_use]
pub fn change_markdown(change: &Change<'_>) -> String {
    let mut out = format!("{CHANGE_MARK}\n## botops: {}\n\n", plain(change.pipeline, 80));
    out += &verdict(change);
    for note in &change.notes {
        out += &format!("\n⚠️ {}\n", plain(note, 600));
    }
    if let Some(review) = change.data {
        out += &data(review);
    }
    if let Some(comparison) = change.comparison {
        out += &flips("Newly wrong", &comparison.newly_wrong);
        out += &flips("Newly right", &comparison.newly_right);
    }
    if let Some(report) = change.evaluation {
        out += "\n";
        out += &evaluation_markdown(report, change.comparison);
    }
    if let Some(gate) = change.gate {
        out += "\n";
        out += &gate_markdown(gate);
    }
    bounded_markdown(&out, MOST_BYTES).into_owned()
}

/// Returns one line with the result: gates, accuracy, flips.
fn verdict(change: &Change<'_>) -> String {
    let mut parts = Vec::new();
    match change.gate.map(|gate| gate.passed) {
        Some(true) => parts.push("✅ the gates pass".to_owned()),
        Some(false) => parts.push("❌ **a gate fails**".to_owned()),
        None => {}
    }
    if let Some(comparison) = change.comparison {
        parts.push(format!(
            "accuracy {:.3} before, {:.3} now on {}",
            comparison.champion_accuracy,
            comparison.challenger_accuracy,
            counted(comparison.n, "utterance", "utterances")
        ));
        parts.push(format!(
            "{} newly wrong, {} newly right",
            count(comparison.newly_wrong.len() as u64),
            count(comparison.newly_right.len() as u64)
        ));
    }
    match parts.is_empty() {
        true => "No model was compared.\n".to_owned(),
        false => format!("{}.\n", parts.join(" · ")),
    }
}

/// Returns the difference of the data.
fn data(review: &Review) -> String {
    let mut out = format!(
        "\n### Data\n\n{} before, {} now.",
        count(review.records_before),
        counted(review.records_after, "record", "records")
    );
    if review.is_empty() {
        out += " Nothing changed.\n";
        return out;
    }
    let IntentChange { added, removed, moved_in, reworded, annotated, .. } = review.total;
    let parts: Vec<String> = [
        (added, "added"),
        (removed, "removed"),
        (moved_in, "moved to another intent"),
        (reworded, "reworded"),
        (annotated, "with other entities or language"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{} {what}", count(n)))
    .collect();
    out += &format!(
        " {}.\n",
        if parts.is_empty() { "other files changed".to_owned() } else { parts.join(", ") }
    );
    if !review.intents.is_empty() {
        let cell = |n: u64| if n == 0 { String::new() } else { count(n) };
        let rows = review.intents.iter().take(MOST_INTENTS).map(|(name, change)| {
            vec![
                named(Some(name)),
                count(change.before),
                count(change.after),
                cell(change.added),
                cell(change.removed),
                cell(change.moved_in),
                cell(change.moved_out),
                cell(change.reworded),
            ]
        });
        let header =
            ["intent", "before", "now", "added", "removed", "moved in", "moved out", "reworded"];
        out += &format!("\n{}", table(&header, &[1, 2, 3, 4, 5, 6, 7], rows));
        if review.intents.len() > MOST_INTENTS {
            out += &format!("\nand {} more intents.\n", review.intents.len() - MOST_INTENTS);
        }
    }
    out + &samples(review)
}

/// Returns the first changed records.
fn samples(review: &Review) -> String {
    if review.samples.is_empty() {
        return String::new();
    }
    let rows = review.samples.iter().take(MOST_RECORDS).map(|sample| {
        let ReviewedRecord { change, intent_before, intent_after, .. } = sample;
        let what = match change {
            Kind::Added => "added",
            Kind::Removed => "removed",
            Kind::Moved => "moved",
            Kind::Reworded => "reworded",
            Kind::Annotated => "annotated",
        };
        let intent = match (intent_before, intent_after) {
            (Some(before), Some(after)) if before != after => {
                format!("{} → {}", named(Some(before)), named(Some(after)))
            }
            (before, after) => named(after.as_deref().or(before.as_deref())),
        };
        let text = |text: &Option<String>| text.as_deref().map(|text| plain(text, MOST_TEXT));
        let text = match (text(&sample.text_before), text(&sample.text_after)) {
            (Some(before), Some(after)) => format!("{before} → {after}"),
            (before, after) => before.or(after).unwrap_or_default(),
        };
        vec![what.to_owned(), intent, text]
    });
    let table = table(&["change", "intent", "text"], &[], rows);
    let more = review.samples.len().saturating_sub(MOST_RECORDS);
    let more =
        if more > 0 { format!("\nand {} more.\n", count(more as u64)) } else { String::new() };
    folded("Examples", &format!("{table}{more}"))
}

/// Returns the predictions that changed.
fn flips(title: &str, flips: &[Flip]) -> String {
    if flips.is_empty() {
        return String::new();
    }
    let rows = flips.iter().take(MOST_RECORDS).map(|flip| {
        vec![
            plain(&flip.text, MOST_TEXT),
            plain(&flip.truth, 60),
            plain(&flip.champion, 60),
            plain(&flip.challenger, 60),
        ]
    });
    let table = table(&["text", "truth", "before", "now"], &[], rows);
    let more = flips.len().saturating_sub(MOST_RECORDS);
    let more =
        if more > 0 { format!("\nand {} more.\n", count(more as u64)) } else { String::new() };
    folded(&format!("{title}: {}", count(flips.len() as u64)), &format!("{table}{more}"))
}

/// Returns `content` under a heading that a click opens.
fn folded(heading: &str, content: &str) -> String {
    format!("\n<details><summary>{heading}</summary>\n\n{content}\n</details>\n")
}

fn named(intent: Option<&str>) -> String {
    match intent {
        None | Some("") => "(no intent)".to_owned(),
        Some(intent) => plain(intent, 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn review(text: &str, n: usize) -> Review {
        let sample = ReviewedRecord {
            change: Kind::Moved,
            intent_before: Some("a|b".to_owned()),
            intent_after: Some("<b>".to_owned()),
            text_before: Some(text.to_owned()),
            text_after: None,
            file: "a.csv".to_owned(),
            record: 1,
            line: 2,
        };
        Review {
            records_before: 10,
            records_after: 10,
            unchanged: 9,
            total: IntentChange { moved_in: 1, ..IntentChange::default() },
            intents: BTreeMap::from([("<b>".to_owned(), IntentChange::default())]),
            samples: vec![sample; n],
            files: Vec::new(),
            truncated: 0,
        }
    }

    #[test]
    fn an_utterance_cannot_become_markup_a_mention_a_marker_or_an_address() {
        let hostile =
            "--> </details><img src=x> @team #1 [x](https://evil.example) |\n## x `$(id)`";
        let review = review(hostile, 1);
        let change = Change { pipeline: "weekly", data: Some(&review), ..Change::default() };
        let text = change_markdown(&change);
        assert!(text.starts_with("<!-- botops pipeline diff -->\n## botops: weekly\n"), "{text}");
        for raw in ["<img", "@team", "[x](", "https://evil", "`$(", "<b>", "a|b", "\n## x"] {
            assert!(!text.contains(raw), "`{raw}` in\n{text}");
        }
        assert_eq!(text.matches("</details>").count(), 1, "{text}");
        assert_eq!(text.matches("-->").count(), 1, "{text}");
        assert!(text.contains("| moved |"), "{text}");
    }

    #[test]
    fn a_comment_is_no_longer_than_github_allows() {
        let long = "<".repeat(5_000);
        let mut review = review(&long, 200);
        for n in 0..2_000 {
            review.intents.insert(format!("{long}{n}"), IntentChange::default());
        }
        let notes = vec![long; 100];
        let change = Change { pipeline: "weekly", data: Some(&review), notes, ..Change::default() };
        let text = change_markdown(&change);
        assert!(text.len() <= 60_000 && text.contains("is cut here"), "{}", text.len());
    }
}
