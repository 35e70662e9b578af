//! An evaluation as text: metrics, classes, confusions, errors, and the comparison with another model.

use crate::cli::{session::judging::Judged, terminal::tables};
use botops_evaluation::{
    BehaviourKind, ClassMetrics, Comparison, EntityScores, EvaluationReport, Flip, Metric,
};
use botops_text::{counted, interval, utterance};

/// The most classes that are all listed.
const MOST_CLASSES: usize = 20;
/// The number of the worst classes listed if there are more.
const WORST_CLASSES: usize = 10;
/// The most intents of a confusion matrix.
const MOST_COLUMNS: usize = 12;
/// The number of confused pairs listed if there are more intents.
const MOST_PAIRS: usize = 10;
/// The most code points of an utterance in a table.
const UTTERANCE: usize = 70;

/// Renders an evaluation and its comparison, with at most `errors` utterances in each list.
pub(super) fn evaluation(judged: &Judged, errors: usize) -> String {
    let report = &judged.report;
    let mut out = format!(
        "{} on {}: {}, {}\n{}\n",
        judged.found.name,
        judged.data.name,
        tables::counted(report.n, "utterance", "utterances"),
        tables::counted(report.intents.len() as u64, "intent", "intents"),
        judged.skipped_text()
    );
    out.push_str(&self::report(report, errors));
    if let Some((name, comparison)) = &judged.against {
        out.push('\n');
        out.push_str(&against(name, comparison, errors));
    }
    out
}

/// Renders an evaluation, with at most `errors` misclassified utterances.
pub(in crate::cli) fn report(report: &EvaluationReport, errors: usize) -> String {
    let mut out = tables::metrics(&report.metrics);
    out.push_str(&languages(report));
    out.push('\n');
    out.push_str(&classes(report));
    out.push('\n');
    out.push_str(&confusion(&report.intents, &report.confusion));
    out.push_str(&entities(report));
    out.push_str(&confidence(report));
    out.push_str(&behaviour(report, errors));
    if !report.unknown_intents.is_empty() {
        let unknown: Vec<String> =
            report.unknown_intents.iter().map(|intent| named(intent)).collect();
        out.push_str(&format!("\nintents the model does not know: {}\n", unknown.join(", ")));
    }
    out.push_str(&misclassified(report, errors));
    out
}

/// Returns the name of an intent or a language without personal data.
fn named(name: &str) -> String {
    utterance(name, UTTERANCE)
}

/// Renders the scores of the entities and of their averages; empty if none was measured.
fn entities(report: &EvaluationReport) -> String {
    let Some(entities) = &report.entities else { return String::new() };
    let row = |name: &str, scores: &EntityScores| {
        vec![
            named(name),
            format!("{:.3}", scores.exact.precision.value),
            format!("{:.3}", scores.exact.recall.value),
            format!("{:.3}", scores.exact.f1.value),
            interval(scores.exact.f1.ci95, 3),
            format!("{:.3}", scores.partial.f1.value),
            tables::count(scores.support),
            tables::count(scores.n_found),
        ]
    };
    let mut sorted: Vec<_> = entities.per_entity.iter().collect();
    let all = sorted.len();
    if all > MOST_CLASSES {
        let f1 = |scores: &EntityScores| scores.exact.f1.value;
        sorted.sort_by(|a, b| f1(a.1).total_cmp(&f1(b.1)).then(a.0.cmp(b.0)));
        sorted.truncate(WORST_CLASSES);
    }
    let rows = sorted.into_iter().map(|(name, scores)| row(name, scores));
    let averages = [("macro average", &entities.macro_average), ("micro average", &entities.micro)]
        .map(|(name, scores)| row(name, scores));
    let header =
        ["entity", "precision", "recall", "f1", "95 % interval", "partial f1", "support", "found"];
    let table = tables::table(&header, rows.chain(averages), &[1, 2, 3, 5, 6, 7]);
    let mut out = match all > MOST_CLASSES {
        true => format!("\nthe {WORST_CLASSES} worst of {all} entities by f1:\n{table}"),
        false => format!("\n{table}"),
    };
    if !entities.unannotated.is_empty() {
        let names: Vec<String> = entities.unannotated.iter().map(|name| named(name)).collect();
        out.push_str(&format!(
            "found, but not annotated in the data and not judged: {}\n",
            names.join(", ")
        ));
    }
    out
}

/// Renders the behavioural tests, with at most `most` failures; empty if there were none.
fn behaviour(report: &EvaluationReport, most: usize) -> String {
    let Some(tests) = &report.behaviour else { return String::new() };
    let row = |kind: &str, name: &str, passed: &Metric, must: String| {
        vec![
            kind.to_owned(),
            named(name),
            format!("{:.3}", passed.value),
            interval(passed.ci95, 3),
            tables::count(passed.n),
            must,
        ]
    };
    let rows = tests.capabilities.iter().map(|result| {
        let must = match (result.must_pass, result.must_pass_failed) {
            (0, _) => String::new(),
            (n, failed) => format!("{} of {n} pass", n - failed),
        };
        row(result.kind.name(), &result.capability, &result.passed, must)
    });
    let kinds = [BehaviourKind::Minimum, BehaviourKind::Invariance, BehaviourKind::Direction];
    let sums = kinds
        .into_iter()
        .filter_map(|kind| Some(row(kind.name(), "all", &tests.rate(kind)?, String::new())));
    let header = ["behaviour", "capability", "passed", "95 % interval", "tests", "must pass"];
    let mut out = format!("\n{}", tables::table(&header, rows.chain(sums), &[2, 4]));
    if !tests.without_variants.is_empty() {
        out.push_str(&format!(
            "no utterance has variants of: {}\n",
            tests.without_variants.join(", ")
        ));
    }
    let shown = tests.failures.len().min(most);
    if shown == 0 {
        return out;
    }
    let rows = tests.failures.iter().take(shown).map(|failure| {
        let text = utterance(failure.changed.as_ref().unwrap_or(&failure.text), UTTERANCE);
        vec![
            named(&failure.capability),
            if failure.must_pass { "yes" } else { "" }.to_owned(),
            named(&failure.expected),
            named(&failure.found),
            text,
        ]
    });
    out.push_str(&format!(
        "{shown} of {} failed tests:\n",
        tables::count(tests.failures.len() as u64)
    ));
    out.push_str(&tables::table(
        &["capability", "must pass", "expected", "found", "text"],
        rows,
        &[],
    ));
    out
}

/// Renders the answered share, the prediction sets and the out-of-scope metrics.
fn confidence(report: &EvaluationReport) -> String {
    let mut out = String::new();
    if let Some(selective) = &report.selective {
        let target = selective
            .target_accuracy
            .map_or(String::new(), |target| format!(", where {target} was the target"));
        out.push_str(&format!(
            "\nanswered where {} >= {:.3}: {} of {} utterances, {} of them right{target}; area under risk-coverage {}\n",
            selective.score.name(),
            selective.threshold,
            tables::count(selective.accuracy.n),
            tables::count(selective.answered.n),
            tables::metric(&selective.accuracy),
            tables::metric(&selective.aurc)
        ));
    }
    if let Some(sets) = &report.sets {
        out.push_str(&format!(
            "prediction sets ({}, alpha {}): {} hold the intent, {} intents on average, {} are empty\n",
            sets.promised.method.name(),
            sets.promised.alpha,
            tables::metric(&sets.coverage),
            tables::metric(&sets.size),
            tables::metric(&sets.empty)
        ));
    }
    let Some(oos) = &report.oos else { return out };
    out.push_str(&format!(
        "\nout of scope: {} utterances against {} in scope, AUROC {}, {} fall back\n",
        tables::count(oos.n_oos),
        tables::count(oos.n_in_scope),
        tables::metric(&oos.auroc),
        tables::metric(&oos.fallback_rate)
    ));
    if oos.scores.is_empty() {
        return out;
    }
    let rows = oos.scores.iter().map(|row| {
        let metric = tables::metric;
        vec![
            row.score.name().to_owned(),
            metric(&row.auroc),
            metric(&row.aupr),
            metric(&row.aupr_oos),
            metric(&row.fpr95),
            if row.in_use { "decides" } else { "" }.to_owned(),
        ]
    });
    out.push_str(&tables::table(&tables::SCORE_HEADER, rows, &[]));
    out
}

fn languages(report: &EvaluationReport) -> String {
    let languages = report.languages();
    if languages.len() < 2 {
        return String::new();
    }
    let rows = languages.into_iter().map(|(language, metric)| {
        vec![
            named(&language),
            format!("{:.3}", metric.value),
            interval(metric.ci95, 3),
            tables::count(metric.n),
        ]
    });
    format!("\n{}", tables::table(&["language", "accuracy", "95 % interval", "n"], rows, &[1, 3]))
}

fn class_row(name: &str, class: &ClassMetrics) -> Vec<String> {
    vec![
        named(name),
        format!("{:.3}", class.precision),
        format!("{:.3}", class.recall),
        format!("{:.3}", class.f1),
        tables::count(class.support),
    ]
}

fn classes(report: &EvaluationReport) -> String {
    let mut classes: Vec<(&String, &ClassMetrics)> = report.per_class.iter().collect();
    let all = classes.len();
    if all > MOST_CLASSES {
        classes.sort_by(|a, b| a.1.f1.total_cmp(&b.1.f1).then(a.0.cmp(b.0)));
        classes.truncate(WORST_CLASSES);
    }
    let rows = classes.iter().map(|(name, class)| class_row(name, class));
    let averages = ["macro", "weighted", "micro"].iter().filter_map(|name| {
        Some(class_row(&format!("{name} average"), report.averages.get(*name)?))
    });
    let table = tables::table(
        &["intent", "precision", "recall", "f1", "support"],
        rows.chain(averages),
        &[1, 2, 3, 4],
    );
    if all > MOST_CLASSES {
        format!("the {WORST_CLASSES} worst of {all} intents by f1:\n{table}")
    } else {
        table
    }
}

/// Renders the confusion matrix; with too many intents, the pairs that were confused most often.
fn confusion(intents: &[String], counts: &[Vec<u64>]) -> String {
    if intents.len() > MOST_COLUMNS {
        return pairs(intents, counts);
    }
    let header: Vec<String> = std::iter::once("truth \\ predicted".to_owned())
        .chain((1..=intents.len()).map(|n| n.to_string()))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows = intents.iter().zip(counts).enumerate().map(|(i, (intent, row))| {
        let cell = |&n: &u64| if n == 0 { ".".to_owned() } else { tables::count(n) };
        std::iter::once(format!("{} {}", i + 1, named(intent)))
            .chain(row.iter().map(cell))
            .collect()
    });
    let right: Vec<usize> = (1..=intents.len()).collect();
    tables::table(&header, rows, &right)
}

fn pairs(intents: &[String], counts: &[Vec<u64>]) -> String {
    let confused = confused(intents, counts);
    if confused.is_empty() {
        return "no intents were confused\n".to_owned();
    }
    let rows = confused
        .iter()
        .take(MOST_PAIRS)
        .map(|(truth, predicted, n)| vec![named(truth), named(predicted), tables::count(*n)]);
    let table = tables::table(&["truth", "predicted", "n"], rows, &[2]);
    format!("most often confused, of {} pairs:\n{table}", tables::count(confused.len() as u64))
}

/// Returns the truth, the predicted intent and the count of every confusion, the most frequent first, then by name.
fn confused<'a>(intents: &'a [String], counts: &[Vec<u64>]) -> Vec<(&'a str, &'a str, u64)> {
    let mut confused: Vec<(&str, &str, u64)> = Vec::new();
    for (t, (truth, row)) in intents.iter().zip(counts).enumerate() {
        for (p, (predicted, &n)) in intents.iter().zip(row).enumerate() {
            if n > 0 && t != p {
                confused.push((truth, predicted, n));
            }
        }
    }
    confused.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)).then(a.1.cmp(b.1)));
    confused
}

fn misclassified(report: &EvaluationReport, most: usize) -> String {
    let n = report.errors.len();
    if n == 0 {
        return "\nno utterance was misclassified\n".to_owned();
    }
    let n_answered = n as u64 - report.n_misclassified();
    let mut out = format!("\n{} misclassified", tables::count(report.n_misclassified()));
    if n_answered > 0 {
        let records = counted(n_answered, "out-of-scope utterance", "out-of-scope utterances");
        out.push_str(&format!(", and {records} answered"));
    }
    let shown = n.min(most);
    if shown == 0 {
        return out + "\n";
    }
    if shown < n {
        out.push_str(&format!(", the {shown} most confident"));
    }
    let rows = report.errors.iter().take(shown).map(|error| {
        vec![
            error.record.to_string(),
            named(&error.truth),
            named(&error.predicted),
            format!("{:.3}", error.confidence),
            utterance(&error.text, UTTERANCE),
        ]
    });
    out.push_str(":\n");
    out.push_str(&tables::table(
        &["record", "truth", "predicted", "confidence", "text"],
        rows,
        &[0, 3],
    ));
    out
}

/// Renders a comparison: the accuracies, the exact test, and the changed predictions.
pub(in crate::cli) fn against(name: &str, comparison: &Comparison, most: usize) -> String {
    let mut out = format!(
        "against {name} on the same {} utterances: accuracy {:.3} -> {:.3} ({:+.3}), \
         newly right {}, newly wrong {} ({} of the records), exact McNemar p {}\n",
        tables::count(comparison.n),
        comparison.champion_accuracy,
        comparison.challenger_accuracy,
        comparison.challenger_accuracy - comparison.champion_accuracy,
        tables::count(comparison.newly_right.len() as u64),
        tables::count(comparison.newly_wrong.len() as u64),
        tables::metric(&comparison.flips().negative),
        tables::p_value(comparison.mcnemar_p)
    );
    for (title, flips) in
        [("newly wrong", &comparison.newly_wrong), ("newly right", &comparison.newly_right)]
    {
        out.push_str(&flipped(title, flips, most));
    }
    out
}

fn flipped(title: &str, flips: &[Flip], most: usize) -> String {
    let shown = flips.len().min(most);
    if shown == 0 {
        return String::new();
    }
    let rows = flips.iter().take(shown).map(|flip| {
        vec![
            flip.record.to_string(),
            named(&flip.truth),
            named(&flip.champion),
            named(&flip.challenger),
            utterance(&flip.text, UTTERANCE),
        ]
    });
    let table = tables::table(&["record", "truth", "before", "now", "text"], rows, &[0]);
    let of =
        if shown < flips.len() { format!(", {shown} of {}", flips.len()) } else { String::new() };
    format!("{title}{of}:\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_in_names_is_redacted() {
        let intents = ["me@example.org", "b"].map(str::to_owned);
        let text = confusion(&intents, &[vec![3, 1], vec![0, 2]]);
        assert!(text.contains("1 [email]") && !text.contains("me@"), "{text}");
        let many: Vec<String> = (0..=MOST_COLUMNS).map(|i| format!("m{i}@example.org")).collect();
        let mut counts = vec![vec![0; many.len()]; many.len()];
        counts[0][1] = 1;
        let text = confusion(&many, &counts);
        assert!(text.contains("[email]") && !text.contains("@example.org"), "{text}");
    }

    #[test]
    fn confusions_are_ordered_by_count_with_truth_first() {
        let intents = ["b", "a", "c"].map(str::to_owned);
        let counts = [vec![9, 2, 0], vec![5, 9, 2], vec![0, 0, 9]];
        assert_eq!(confused(&intents, &counts), [("a", "b", 5), ("a", "c", 2), ("b", "a", 2)]);
    }
}
