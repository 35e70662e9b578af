//! The sections of an evaluation page on confidence: calibration, answered messages, prediction sets, out of scope.

use super::{
    cells::{metric_cell, range},
    charts::{Series, histogram, legend, reliability},
    html::escape,
    page::{Tone, scroll_box, verdict},
    table::{Column, Narrow, table},
    wording::{count, counted, number, percent, signed},
};
use botops_evaluation::{EvaluationReport, OosReport, ScoreHistogram, SelectiveReport, SetReport};

/// Returns the section on calibration: whether confidence matches accuracy.
pub(super) fn calibration(report: &EvaluationReport) -> String {
    let n: u64 = report.reliability.iter().map(|bin| bin.n).sum();
    let excess: f64 = report
        .reliability
        .iter()
        .map(|bin| bin.n as f64 * (bin.confidence - bin.accuracy))
        .sum::<f64>()
        / n.max(1) as f64;
    let tendency = if excess.abs() < 0.01 {
        "On average confidence and accuracy agree to within 0.01.".to_owned()
    } else {
        format!(
            "On average confidence is {} {} accuracy: the model is {}.",
            number(excess.abs()),
            if excess > 0.0 { "above" } else { "below" },
            if excess > 0.0 { "overconfident" } else { "underconfident" },
        )
    };
    let rows = report.reliability.iter().filter(|bin| bin.n > 0).map(|bin| {
        vec![
            format!("{:.2} to {:.2}", bin.lower, bin.upper),
            count(bin.n),
            number(bin.confidence),
            number(bin.accuracy),
            signed(bin.confidence - bin.accuracy),
        ]
    });
    let bins = table(
        "Reliability by bin",
        Narrow::Scroll,
        &[
            ("confidence", Column::Plain),
            ("records", Column::Number),
            ("mean confidence", Column::Number),
            ("accuracy", Column::Number),
            ("gap", Column::Number),
        ],
        rows,
    );
    format!(
        "<p>{tendency} With a confidence of 0.80 the model should be right 80 times in 100: dots on the dashed \
         line. Whiskers are 95 % intervals of the accuracy.</p><div class=\"beside\"><figure \
         class=\"square\">{}</figure><div>{bins}</div></div>",
        reliability(&report.reliability)
    )
}

/// Returns the section on answered messages: their share at the model's threshold, and their accuracy.
pub(super) fn answered(report: &EvaluationReport) -> Option<String> {
    let SelectiveReport { score, threshold, target_accuracy, answered, accuracy, aurc, scores } =
        report.selective.as_ref()?;
    let target = target_accuracy.map_or_else(String::new, |target| {
        let stated = format!("The target is that {} of the answers are right.", percent(target));
        let [lower, upper] = accuracy.ci95;
        match (accuracy.value >= target, upper < target) {
            (true, _) => verdict(Tone::Good, "The target holds here.", &stated),
            (false, true) => verdict(
                Tone::Bad,
                "The target does not hold here.",
                &format!(
                    "{stated} These records differ from those that the threshold was chosen on."
                ),
            ),
            (false, false) => verdict(
                Tone::Warning,
                "The target is missed, but the difference may be chance.",
                &format!(
                    "{stated} The 95 % interval of the accuracy, {} to {}, includes the target.",
                    number(lower),
                    number(upper)
                ),
            ),
        }
    });
    Some(format!(
        "{target}<p>The bot answers if <code>{}</code> is {} or more: {} of the records ({} of {}). {} of these answers \
         are right ({}){}. Averaged over all thresholds, {} of the answers are wrong (area under the risk-coverage \
         curve, {}).</p>{}",
        score.name(),
        number(*threshold),
        percent(answered.value),
        count((answered.value * answered.n as f64).round() as u64),
        count(answered.n),
        percent(accuracy.value),
        range(accuracy.ci95),
        if report.oos.is_some() { "; an answered out-of-scope record counts as wrong" } else { "" },
        percent(aurc.value),
        range(aurc.ci95),
        scores.as_ref().map_or_else(String::new, |scores| {
            spread(scores, &format!("answered from {}", number(*threshold)), *threshold)
        }),
    ))
}

/// Returns a histogram of the deciding score, for right, wrong and out-of-scope records.
fn spread(scores: &ScoreHistogram, name: &str, threshold: f64) -> String {
    let n_bins = scores.right.len();
    let width = (scores.to - scores.from) / n_bins.max(1) as f64;
    let labels: Vec<String> =
        (0..n_bins).map(|at| format!("{:.2}", scores.from + width * at as f64)).collect();
    let kinds = [
        ("right", "bar", &scores.right),
        ("wrong", "bad-fill", &scores.wrong),
        ("out of scope", "bar-other", &scores.oos),
    ];
    let present: Vec<_> =
        kinds.into_iter().filter(|(_, _, counts)| counts.iter().any(|n| *n > 0)).collect();
    let series: Vec<Series<'_>> =
        present.iter().map(|&(name, class, counts)| Series { name, class, counts }).collect();
    let entries: Vec<(&str, String)> = present
        .iter()
        .map(|(name, class, counts)| (*class, format!("{name}, {}", count(counts.iter().sum()))))
        .collect();
    let guide = ((threshold - scores.from) / width, name);
    format!(
        "<figure class=\"timeline\">{}{}<figcaption>Scores of the records, as shares \
         of each kind; a bin is named by its lower end. A good score separates the right records from the others.\
         </figcaption></figure>",
        legend(&entries),
        scroll_box(
            "Scores",
            &histogram("Scores of the records, by kind", &labels, &series, true, Some(guide))
        )
    )
}

/// Returns the section on prediction sets: whether they contain the truth as often as promised.
pub(super) fn sets(report: &EvaluationReport) -> Option<String> {
    let SetReport { promised, coverage, size, empty } = report.sets.as_ref()?;
    let target = 1.0 - promised.alpha;
    let (tone, word) = match (coverage.value >= target, coverage.ci95[1] < target) {
        (true, _) => (Tone::Good, "The coverage holds here."),
        (false, true) => (Tone::Bad, "The coverage does not hold here."),
        (false, false) => {
            (Tone::Neutral, "The coverage is missed, but the difference may be chance.")
        }
    };
    let text = format!(
        "{} of the sets contain the intent ({}); the target is {}{}.",
        percent(coverage.value),
        range(coverage.ci95),
        percent(target),
        if promised.class_conditional { " for every intent" } else { "" },
    );
    Some(format!(
        "{}<p>A set contains all plausible intents of a message ({}): {} on average ({}). {} of the sets are empty, because no \
         intent is likely enough.</p>",
        verdict(tone, word, &text),
        escape(&promised.method.name().to_uppercase()),
        number(size.value),
        range(size.ci95),
        percent(empty.value),
    ))
}

/// Returns the section on out-of-scope records: how well each score separates them.
pub(super) fn out_of_scope(report: &EvaluationReport) -> Option<String> {
    let oos = report.oos.as_ref()?;
    let scores = match oos.scores.is_empty() {
        true => String::new(),
        false => oos_scores(oos),
    };
    Some(format!(
        "<p>{} should not be answered. An in-scope utterance scores higher than an \
         out-of-scope one with probability {} ({}; 0.5 is chance). At the model's threshold {} of the \
         out-of-scope utterances fall back ({}){}.</p>{scores}",
        counted(oos.n_oos, "out-of-scope record", "out-of-scope records"),
        number(oos.auroc.value),
        range(oos.auroc.ci95),
        percent(oos.fallback_rate.value),
        range(oos.fallback_rate.ci95),
        report.metrics.get("fallback_rate").map_or_else(String::new, |rate| format!(
            ", and so do {} of the in-scope ones",
            percent(rate.value)
        ))
    ))
}

/// Returns the table of the scores that separate out-of-scope records.
fn oos_scores(oos: &OosReport) -> String {
    let rows = oos.scores.iter().map(|row| {
        let decides = if row.in_use { " <span class=\"badge\">decides</span>" } else { "" };
        vec![
            format!("<code>{}</code>{decides}", row.score.name()),
            metric_cell(&row.auroc),
            metric_cell(&row.aupr),
            metric_cell(&row.aupr_oos),
            metric_cell(&row.fpr95),
        ]
    });
    let columns = [
        ("score", Column::Name),
        ("AUROC", Column::Number),
        ("AUPR", Column::Number),
        ("AUPR of out of scope", Column::Number),
        ("FPR at 95 % recall", Column::Number),
    ];
    let chance = oos.n_in_scope as f64 / (oos.n_in_scope + oos.n_oos).max(1) as f64;
    format!(
        "<p>The scores of this model. By chance AUROC is 0.500, AUPR {}, AUPR of out of scope {}, and the false \
         positive rate (FPR) at 95 % recall of in-scope records 0.950.</p>{}",
        number(chance),
        number(1.0 - chance),
        table("Scores that separate out-of-scope records", Narrow::Scroll, &columns, rows)
    )
}
