//! Short versions of the pages as Markdown, for a job summary or a pull request.
//!
//! User text is escaped, so that it cannot become markup, a link, a mention or HTML.

use super::{
    behaviour::KINDS,
    decision::{finding, kind, kind_of_traffic, outcome},
    drift::{effect, tone},
    matrix::confused,
    validation::{Group, by_code, summary, title},
    wording::{count, counted, line, number, of, p_equals, p_value, percent, signed, trimmed},
};
use botops_drift::{DriftReport, DriftVerdict};
use botops_evaluation::{
    Comparison, EntityScores, EvaluationReport, GateReport, GateResult, METRICS,
};
use botops_findings::Severity;
use botops_profile::Profile;
use botops_rollout::{Decision, GatePolicy};
use botops_validation::Validation;

/// The most intents in a list. The others are counted.
const MOST_INTENTS: usize = 100;

/// Returns `text` as one line of at most `max_chars` characters that Markdown shows as plain text, also in tables.
///
/// Do not use it at the start of a line, where even a hyphen has a meaning.
#[must_use]
pub(super) fn plain(text: &str, max_chars: usize) -> String {
    escaped(&line(text, max_chars))
}

/// Escapes a single line.
fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for (at, c) in line.char_indices() {
        let before = &line[..at];
        let after = &line[at + c.len_utf8()..];
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        // Entities work in tables and headings, backslashes do not. A colon or a dot is escaped only where an
        // address may begin; GitHub reads `@` as a mention and `#` as an issue.
        let has_meaning = match c {
            '&' | '<' | '>' | '|' | '`' | '*' | '~' | '[' | ']' | '\\' | '@' | '#' | '$' => true,
            // An underscore inside a word is not emphasis, and names of intents often contain one.
            '_' => !(is_word(before.chars().next_back()) && is_word(after.chars().next())),
            ':' => line[at..].starts_with("://"),
            '.' => before.len() >= 3 && before.as_bytes()[at - 3..].eq_ignore_ascii_case(b"www"),
            _ => false,
        };
        if has_meaning {
            out += &format!("&#{};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns a message of botops: text in backticks becomes code, and the rest is [`plain`].
fn message(text: &str, max_chars: usize) -> String {
    let line = line(text, max_chars);
    let parts: Vec<&str> = line.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(&line);
    }
    let part = |(i, part): (usize, &&str)| {
        let part = escaped(part);
        // Use HTML: a Markdown code span shows entities literally, and cannot contain a backtick.
        if i % 2 == 1 { format!("<code>{part}</code>") } else { part }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Returns a table. Cells are Markdown; columns whose index is in `numbers` are aligned to the right.
pub(super) fn table(
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let rule: Vec<&str> =
        (0..header.len()).map(|i| if numbers.contains(&i) { "---:" } else { "---" }).collect();
    let mut out = format!("| {} |\n| {} |\n", header.join(" | "), rule.join(" | "));
    for row in rows {
        out += &format!("| {} |\n", row.join(" | "));
    }
    out
}

/// Returns the summary of an evaluation, compared with the champion if there is one.
#[must_use]
pub fn evaluation_markdown(report: &EvaluationReport, comparison: Option<&Comparison>) -> String {
    let mut out = format!(
        "### Evaluation on {}\n\n{}, {}, model `{}`.\n\n",
        plain(&report.data, 120),
        counted(report.n, "utterance", "utterances"),
        counted(report.intents.len() as u64, "intent", "intents"),
        report.model.short()
    );
    let rows = METRICS.iter().filter_map(|(name, _)| {
        let metric = report.metrics.get(*name)?;
        let [lower, upper] = metric.ci95;
        let mut row = vec![
            format!("`{name}`"),
            number(metric.value),
            format!("{} to {}", number(lower), number(upper)),
        ];
        if let Some(comparison) = comparison {
            let champion = comparison.champion_metrics.get(*name);
            row.push(champion.map_or_else(|| "–".to_owned(), |m| number(m.value)));
            row.push(champion.map_or_else(|| "–".to_owned(), |m| signed(metric.value - m.value)));
        }
        Some(row)
    });
    out += &match comparison {
        None => table(&["metric", "value", "95 % interval"], &[1, 2], rows),
        Some(_) => {
            table(&["metric", "value", "95 % interval", "champion", "change"], &[1, 2, 3, 4], rows)
        }
    };
    if let Some(comparison) = comparison {
        out += &format!(
            "\nCompared with the champion: {} newly right, {} newly wrong ({}; exact McNemar {}).\n",
            count(comparison.newly_right.len() as u64),
            count(comparison.newly_wrong.len() as u64),
            percent_range(&comparison.flips().negative),
            p_equals(comparison.mcnemar_p).replace('<', "&lt;")
        );
    }
    if let Some(selective) = &report.selective
        && let Some(target) = selective.target_accuracy
    {
        let [lower, upper] = selective.accuracy.ci95;
        out += &format!(
            "\nTarget: {} of the answers are right. Here {} are right ({} to {}), with {} of the records answered.\n",
            percent(target),
            percent(selective.accuracy.value),
            number(lower),
            number(upper),
            percent(selective.answered.value)
        );
    }
    out += &entities(report);
    out += &behaviour(report);
    let pairs = confused(report);
    if !pairs.is_empty() {
        let rows = pairs.iter().take(5).map(|pair| {
            vec![plain(pair.truth, 60), plain(pair.predicted, 60), of(pair.n, pair.support)]
        });
        out += "\nMost confused:\n\n";
        out += &table(&["truth", "predicted as", "records"], &[2], rows);
    }
    if !report.unknown_intents.is_empty() {
        let names: Vec<String> =
            report.unknown_intents.iter().take(8).map(|name| plain(name, 60)).collect();
        out += &format!(
            "\n{} unknown to the model, such as {}. Their records count as wrong.\n",
            counted(report.unknown_intents.len() as u64, "intent is", "intents are"),
            names.join(", ")
        );
    }
    out
}

/// Returns a share with its interval, in percent.
fn percent_range(metric: &botops_evaluation::Metric) -> String {
    let [lower, upper] = metric.ci95;
    format!("{}, {} to {}", percent(metric.value), percent(lower), percent(upper))
}

/// Returns the table of behavioural tests and the first failures; empty if none were run.
fn behaviour(report: &EvaluationReport) -> String {
    let Some(tests) = &report.behaviour else { return String::new() };
    let rows = KINDS.into_iter().filter_map(|kind| {
        let passed = tests.rate(kind)?;
        let [lower, upper] = passed.ci95;
        Some(vec![
            kind.name().to_owned(),
            number(passed.value),
            format!("{} to {}", number(lower), number(upper)),
            count(passed.n),
        ])
    });
    let mut out = format!(
        "\nBehavioural tests of {}:\n\n{}",
        plain(&tests.file, 120),
        table(&["kind", "passed", "95 % interval", "tests"], &[1, 2, 3], rows)
    );
    if tests.must_pass > 0 {
        let passed = tests.must_pass - tests.must_pass_failed;
        out += &format!("\nMust pass: {}.\n", of(passed, tests.must_pass));
    }
    if !tests.failures.is_empty() {
        let rows = tests.failures.iter().take(5).map(|failure| {
            vec![
                plain(failure.changed.as_ref().unwrap_or(&failure.text), 80),
                plain(&failure.expected, 60),
                plain(&failure.found, 60),
            ]
        });
        out += "\nFailed:\n\n";
        out += &table(&["utterance", "expected", "found"], &[], rows);
    }
    out
}

/// Returns the scores of the entities, the lowest F1 first; empty if none was measured.
fn entities(report: &EvaluationReport) -> String {
    let Some(entities) = &report.entities else { return String::new() };
    let mut sorted: Vec<_> = entities.per_entity.iter().collect();
    sorted.sort_by(|a, b| {
        a.1.exact.f1.value.total_cmp(&b.1.exact.f1.value).then_with(|| a.0.cmp(b.0))
    });
    let row = |name: String, scores: &EntityScores| {
        let [lower, upper] = scores.exact.f1.ci95;
        vec![
            name,
            number(scores.exact.precision.value),
            number(scores.exact.recall.value),
            number(scores.exact.f1.value),
            format!("{} to {}", number(lower), number(upper)),
            number(scores.partial.f1.value),
            count(scores.support),
        ]
    };
    let rows = sorted.iter().take(MOST_INTENTS).map(|(name, scores)| row(plain(name, 60), scores));
    let averages = [("macro average", &entities.macro_average), ("micro average", &entities.micro)]
        .map(|(name, scores)| row(name.to_owned(), scores));
    let header =
        ["entity", "precision", "recall", "F1", "95 % interval", "partial F1", "annotated"];
    format!("\nEntities:\n\n{}", table(&header, &[1, 2, 3, 4, 5, 6], rows.chain(averages)))
}

/// Returns the summary of the gates.
#[must_use]
pub fn gate_markdown(report: &GateReport) -> String {
    let failed = report.results.iter().filter(|result| !result.passed).count();
    let verdict = if report.passed {
        format!("✅ **Passed:** all {}.", counted(report.results.len() as u64, "gate", "gates"))
    } else {
        format!(
            "❌ **Failed:** {failed} of {}.",
            counted(report.results.len() as u64, "gate", "gates")
        )
    };
    let results = gate_results_markdown(&report.results);
    format!("### Gates on model `{}`\n\n{verdict}\n\n{results}", report.model.short())
}

/// Returns the table of rules with the observed numbers.
#[must_use]
pub fn gate_results_markdown(results: &[GateResult]) -> String {
    let rows = results.iter().map(|result| {
        vec![
            if result.passed { "✅" } else { "❌" }.to_owned(),
            message(&result.rule, 160),
            message(&result.observed, 300),
        ]
    });
    table(&["", "gate", "observed"], &[], rows)
}

/// Returns the summary of a drift report.
#[must_use]
pub fn drift_markdown(report: &DriftReport) -> String {
    let drifted = report.checks.iter().filter(|c| c.verdict == DriftVerdict::Drift).count();
    let verdict = match report.verdict {
        DriftVerdict::Drift => format!(
            "⚠️ **Drift:** {drifted} of {}.",
            counted(report.n_judged() as u64, "check", "checks")
        ),
        DriftVerdict::NoDrift => "✅ **No drift.**".to_owned(),
        DriftVerdict::Insufficient => format!(
            "❔ **Insufficient:** each side needs at least {}.",
            counted(report.spec.min_rows as u64, "row", "rows")
        ),
    };
    let rows = report.checks.iter().map(|check| {
        let (value, least, unit) = effect(check, report);
        vec![
            plain(&check.name, 60),
            tone(check.verdict).1.to_owned(),
            format!("{unit} {} (threshold {})", number(value), number(least)),
            check.deciding().map_or_else(String::new, |score| {
                let seen = score.detectable.map_or_else(|| "none".to_owned(), number);
                format!("{} / {seen}", number(score.noise95))
            }),
            p_value(check.p_adjusted).replace('<', "&lt;"),
            format!("{} / {}", count(check.n_reference), count(check.n_current)),
        ]
    });
    let mut out = format!(
        "### Drift from {} to {}\n\n{verdict}\n\n{}",
        plain(&report.reference, 120),
        plain(&report.current, 120),
        table(
            &["check", "verdict", "effect", "noise / seen from", "p, adjusted", "rows"],
            &[3, 4, 5],
            rows
        )
    );
    if report.n_shared > 0 {
        let n = counted(report.n_shared, "row", "rows");
        out +=
            &format!("\n{n} of the current data with a text that stands in the reference, too.\n");
    }
    let unjudged = report.unjudged_checks().filter(|_| report.n_judged() > 0);
    if let Some(listed) = unjudged {
        out += &format!("\nNot judged: {}.\n", plain(&listed, 1_000));
    }
    if let Some(listed) = report.uncompared_columns() {
        out += &format!("\nNot compared: {}.\n", plain(&listed, 1_000));
    }
    if !report.new_words.is_empty() {
        let words: Vec<String> = report
            .new_words
            .iter()
            .take(10)
            .map(|(word, n)| format!("{} ({})", plain(word, 40), count(*n)))
            .collect();
        out += &format!("\nNew words: {}.\n", words.join(", "));
    }
    out
}

/// Returns the summary of a rollout.
#[must_use]
pub fn decision_markdown(decision: &Decision) -> String {
    let (_, word) = outcome(&decision.verdict);
    let rows = decision.evidence.iter().map(|evidence| {
        let role = match evidence.policy {
            GatePolicy::Gate => "",
            GatePolicy::Optional => " (optional)",
            GatePolicy::Observe => " (observed only)",
        };
        let failed = |arm: usize| match evidence.rates[arm] {
            Some(rate) => format!("{} ({})", count(evidence.failures[arm]), percent(rate)),
            None => "-".to_owned(),
        };
        let log_e = |value: f64, threshold: f64| match evidence.is_measured() {
            true => format!("{value:.2} of {threshold:.2}"),
            false => "-".to_owned(),
        };
        vec![
            format!("{}{role}", kind(evidence.kind)),
            failed(0),
            failed(1),
            log_e(evidence.log_e_rollback, evidence.log_threshold),
            log_e(evidence.log_e_promote, evidence.log_threshold_promote),
            finding(evidence).1.to_owned(),
        ]
    });
    let weights: Vec<String> = decision
        .transitions
        .iter()
        .map(|t| {
            format!("{} {} %", plain(&t.phase.replace('_', " "), 40), trimmed(t.weight_percent))
        })
        .collect();
    format!(
        "### Rollout of {}\n\n**{word}** {}\n\nChampion `{}` with {}, challenger `{}` with {}; traffic: \
         {}.\n\n{}\nHistory: {}.\n",
        plain(&decision.model, 80),
        message(&decision.reason, 600),
        decision.champion.short(),
        counted(decision.units[0], "conversation", "conversations"),
        decision.challenger.short(),
        counted(decision.units[1], "conversation", "conversations"),
        kind_of_traffic(decision),
        table(
            &["failure", "champion", "challenger", "log e, worse", "log e, not worse", "finding"],
            &[1, 2, 3, 4],
            rows
        ),
        weights.join(" → ")
    )
}

/// Returns the summary of a validation of the data set `name`.
#[must_use]
pub fn validation_markdown(validation: &Validation, name: &str) -> String {
    let (_, word, sentence) = summary(validation);
    let mut out = format!("### Validation of {}\n\n**{word}** {sentence}\n", plain(name, 120));
    let groups = by_code(validation);
    if !groups.is_empty() {
        let rows = groups.into_iter().map(|Group { code, severity, count: n, kept }| {
            let severity = match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "info",
            };
            let example = kept.first().map_or_else(String::new, |finding| {
                let record = finding.place.record.map(|n| format!("record {n}: "));
                format!("{}{}", record.unwrap_or_default(), message(&finding.message, 160))
            });
            vec![
                severity.to_owned(),
                format!("{} {}", plain(code, 12), title(code)),
                count(n),
                example,
            ]
        });
        out += "\n";
        out += &table(&["severity", "code", "findings", "first"], &[2], rows);
    }
    out
}

/// Returns the summary of a profile, compared with the profile `before` if there is one.
#[must_use]
pub fn profile_markdown(profile: &Profile, before: Option<&Profile>) -> String {
    let was = before.map_or_else(String::new, |before| {
        format!(" ({} before, in {})", count(before.records), plain(&before.name, 120))
    });
    let records = counted(profile.records, "record", "records");
    let mut out = format!("### Profile of {}\n\n{records}{was}.\n", plain(&profile.name, 120));
    let Some(text) = &profile.text else { return out };
    if let Some(balance) = text.balance {
        out += &format!(
            "{}, as wide as {:.1} of one size; the largest has {:.1} times the records of the smallest.\n",
            counted(balance.intents, "intent", "intents"),
            balance.effective,
            balance.ratio
        );
    }
    out += &format!(
        "A text has {} words (median; 5 % to 95 %: {} to {}).\n",
        trimmed(text.words.median),
        trimmed(text.words.p05),
        trimmed(text.words.p95)
    );
    let before = before.and_then(|before| before.text.as_ref());
    let intents = text.intents_beside(before);
    let rows = intents.iter().take(MOST_INTENTS).map(|(name, [was, is])| {
        let mut row = vec![plain(name, 60)];
        row.extend(before.map(|_| count(*was)));
        row.push(count(*is));
        row
    });
    out += "\n";
    out += &match before {
        Some(_) => table(&["intent", "before", "now"], &[1, 2], rows),
        None => table(&["intent", "records"], &[1], rows),
    };
    if intents.len() > MOST_INTENTS {
        out += &format!("\nand {} smaller intents.\n", intents.len() - MOST_INTENTS);
    }
    out
}
