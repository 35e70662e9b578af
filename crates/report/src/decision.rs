//! The page of a finished rollout.

use super::{
    charts::{Step, bounded_bar, steps},
    html::{escape, message, quoted},
    page::{Page, Tone, badge, facts, scroll_box, verdict},
    table::{Column, Narrow, table},
    wording::{count, number, of, trimmed},
};
use botops_rollout::{Decision, Evidence, FailureKind, GatePolicy, Versions};

/// Returns the page of `decision`.
#[must_use]
pub fn decision_html(decision: &Decision) -> String {
    let (tone, word) = outcome(&decision.verdict);
    let mut page = Page::new("rollout", &format!("Rollout of {}", decision.model))
        .lead(&verdict(tone, word, &message(&decision.reason, 600)))
        .lead(&facts(&[
            (
                "champion",
                version(decision, |versions| &versions.champion, &decision.champion.short()),
            ),
            (
                "challenger",
                version(decision, |versions| &versions.challenger, &decision.challenger.short()),
            ),
            (
                "conversations",
                format!(
                    "{} champion, {} challenger",
                    count(decision.units[0]),
                    count(decision.units[1])
                ),
            ),
            ("traffic", kind_of_traffic(decision).to_owned()),
        ]));
    if let Some(html) = timeline(decision) {
        page = page.section("weight", "Share of conversations on the challenger", html);
    }
    page.section("evidence", "Evidence", evidence(decision))
        .section("history", "History", history(decision))
        .footer(
            "<p>Evidence is an e-value: checking it after every conversation does not increase the \
             probability of a false alarm. A log e at or above the threshold decides. “Worse” rolls back. The \
             last steps wait for “not worse”. Failures that are observed only never \
             decide.</p>",
        )
        .render()
}

/// Returns the reference of a version, if it is known, and its digest.
fn version(decision: &Decision, name: fn(&Versions) -> &String, short: &str) -> String {
    let digest = format!("<code>{short}</code>");
    match &decision.versions {
        Some(versions) => format!("{} {digest}", quoted(name(versions), 80)),
        None => digest,
    }
}

/// Returns the color and the text of a verdict.
pub(super) fn outcome(verdict: &str) -> (Tone, &'static str) {
    match verdict {
        "promoted" => (Tone::Good, "Promoted."),
        "finished" => (Tone::Neutral, "The shadow run is over."),
        "rolled_back" => (Tone::Bad, "Rolled back."),
        "insufficient" => (Tone::Warning, "Insufficient evidence."),
        "failed" => (Tone::Bad, "Failed."),
        "refused" => (Tone::Bad, "Refused."),
        _ => (Tone::Neutral, "Undecided."),
    }
}

/// Returns a failure kind in words.
pub(super) fn kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Error => "error",
        FailureKind::Fallback => "fallback",
        FailureKind::Wrong => "wrong by feedback",
        FailureKind::Slow => "slow",
        FailureKind::Disagreement => "disagreement",
        FailureKind::HandedOff => "handed to a person",
        FailureKind::Unresolved => "unresolved",
    }
}

/// Returns the color and the text of the finding from the evidence of one kind.
pub(super) fn finding(evidence: &Evidence) -> (Tone, &'static str) {
    if !evidence.is_measured() {
        return (Tone::Neutral, "unmeasured");
    }
    if evidence.log_e_rollback >= evidence.log_threshold {
        (Tone::Bad, "worse")
    } else if evidence.log_e_promote >= evidence.log_threshold_promote {
        (Tone::Good, "not worse")
    } else {
        (Tone::Neutral, "undecided")
    }
}

/// Returns the source of the conversations: live traffic or a rehearsal.
pub(super) fn kind_of_traffic(decision: &Decision) -> &'static str {
    if decision.rehearsal { "recorded, replayed in a rehearsal" } else { "live" }
}

fn timeline(decision: &Decision) -> Option<String> {
    let (first, last) = (decision.transitions.first()?, decision.transitions.last()?);
    let points: Vec<Step> = decision
        .transitions
        .iter()
        .map(|transition| {
            let seconds = (transition.at - first.at).num_milliseconds() as f64 / 1_000.0;
            (seconds.max(0.0), transition.weight_percent)
        })
        .collect();
    let label = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
    let drawing = steps(&points, [&label(first.at), &label(last.at)]);
    Some(format!(
        "<figure class=\"timeline\">{}</figure>",
        scroll_box("Share of conversations on the challenger over time", &drawing)
    ))
}

fn evidence(decision: &Decision) -> String {
    if decision.evidence.is_empty() {
        return "<p>No evidence was collected.</p>".to_owned();
    }
    let most = decision
        .evidence
        .iter()
        .map(|e| {
            let threshold = e.log_threshold.max(e.log_threshold_promote);
            e.log_e_rollback.max(e.log_e_promote).max(1.4 * threshold)
        })
        .fold(0.0_f64, f64::max);
    let rows = decision.evidence.iter().map(|e| {
        let (tone, word) = finding(e);
        let mut verdict = badge(tone, word);
        if e.policy == GatePolicy::Observe {
            verdict += " <span class=\"quiet nowrap\">observed only</span>";
        } else if e.policy == GatePolicy::Optional {
            verdict += " <span class=\"quiet nowrap\">optional</span>";
        }
        let bar = |log_e: f64, threshold: f64, class: &'static str| {
            bounded_bar(log_e, most, &[threshold], if log_e >= threshold { class } else { "bar" })
        };
        vec![
            escape(kind(e.kind)),
            verdict,
            failed(e, decision, 0),
            failed(e, decision, 1),
            log_e(e, e.log_e_rollback),
            bar(e.log_e_rollback, e.log_threshold, "bad-fill"),
            log_e(e, e.log_e_promote),
            bar(e.log_e_promote, e.log_threshold_promote, "good-fill"),
        ]
    });
    let columns = [
        ("failure", Column::Name),
        ("finding", Column::Plain),
        ("champion", Column::Number),
        ("challenger", Column::Number),
        ("log e, worse", Column::Number),
        ("tick: threshold", Column::Chart),
        ("log e, not worse", Column::Number),
        ("tick: threshold", Column::Chart),
    ];
    let greatest =
        |of: fn(&Evidence) -> f64| decision.evidence.iter().map(of).fold(f64::MIN, f64::max);
    format!(
        "<p>Failed conversations of each arm, of those on which the failure was measured: “wrong” by feedback, \
         “disagreement” by mirroring. Log e must reach {} for “worse” and {} for “not worse”.</p>{}",
        number(greatest(|e| e.log_threshold)),
        number(greatest(|e| e.log_threshold_promote)),
        table("Evidence by failure", Narrow::Scroll, &columns, rows)
    )
}

/// Returns the failed share of the conversations on which a kind was measured in `arm`; a dash if there are none.
fn failed(evidence: &Evidence, decision: &Decision, arm: usize) -> String {
    match evidence.measured_of(decision.units)[arm] {
        0 => "–".to_owned(),
        measured => of(evidence.failures[arm], measured),
    }
}

fn log_e(evidence: &Evidence, value: f64) -> String {
    if evidence.is_measured() && value.is_finite() {
        format!("{value:.2}")
    } else {
        "–".to_owned()
    }
}

fn history(decision: &Decision) -> String {
    // The transitions of a rehearsal have no actors.
    let named = decision.transitions.iter().any(|transition| transition.actor.is_some());
    let rows = decision.transitions.iter().map(|transition| {
        let mut row = vec![
            transition.at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            quoted(&transition.phase.replace('_', " "), 40),
            format!("{} %", trimmed(transition.weight_percent)),
            message(&transition.reason, 400),
        ];
        if named {
            row.insert(3, quoted(transition.actor.as_deref().unwrap_or("–"), 80));
        }
        row
    });
    let mut columns = vec![
        ("time", Column::Plain),
        ("phase", Column::Plain),
        ("weight", Column::Number),
        ("reason", Column::Text),
    ];
    if named {
        columns.insert(3, ("actor", Column::Plain));
    }
    table("History", Narrow::Stack, &columns, rows)
}
