//! The page of the windows that monitoring judged: accuracy, drift and volume over the weeks.

use super::{
    charts::{bounded_bar, interval_on, scale_of},
    drift::{effect, tone},
    html::quoted,
    page::{Page, Tone, badge, facts, verdict},
    table::{Column, Narrow, table},
    wording::{count, counted, number, percent},
};
use botops_drift::DriftVerdict;
use botops_monitoring::{AccuracyEstimate, MonitorReport, MonitorState, risk::Risk};
use std::collections::BTreeSet;

/// The most windows of the page: two years of weeks.
const MOST: usize = 104;
/// The windows that the table of checks has columns for.
const COLUMNS: usize = 8;

/// Returns the page of the windows `weeks` of one model, the earliest first; `None` if there is none.
#[must_use]
pub fn monitoring_html(weeks: &[&MonitorReport]) -> Option<String> {
    let weeks = &weeks[weeks.len().saturating_sub(MOST)..];
    let newest = weeks.last()?;
    let model = &newest.model;
    let (color, word) = state(newest.state);
    let reasons: Vec<String> =
        newest.reasons.iter().map(|reason| quoted(&reason.message, 400)).collect();
    let sentence = match reasons.is_empty() {
        true => "Nothing that was judged is wrong.".to_owned(),
        false => format!("{}.", reasons.join("; ")),
    };
    let title = format!("{}@{} in {}", model.name, model.version, newest.environment);
    let mut page = Page::new("monitor", &title)
        .lead(&verdict(color, word, &sentence))
        .lead(&facts(&[
            ("newest window (UTC)", quoted(&newest.window.to_string(), 60)),
            ("windows", count(weeks.len() as u64)),
            ("predictions", count(newest.volume.records)),
            ("conversations", count(newest.volume.conversations)),
            ("messages with a verdict", count(newest.n_labelled())),
        ]))
        .section("windows", "Windows", windows(weeks));
    if weeks.iter().any(|week| week.drift.is_some()) {
        page = page.section("checks", "Drift by check", checks(weeks));
    }
    if !newest.not_judged.is_empty() {
        page = page.section("not-judged", "Not judged in the newest window", not_judged(newest));
    }
    if !newest.actions.is_empty() {
        page = page.section("next", "Next", next(newest));
    }
    let page = page.footer(
        "<p>Accuracy is that of the primary arm, from the verdicts of reviewers on messages of the window, with its \
         95 % interval. The estimate is made from the confidence of the model without verdicts (CBPE); one with a \
         question mark cannot be relied on, and the report of the window says why. The score of a check is its KS distance (numbers) or its PSI (shares) against the reference; \
         a check drifts if its p-value, adjusted over the checks of the window (Benjamini-Hochberg), and its score \
         pass the thresholds of the settings. The series says which drifts hold over all windows together (LORD++: at most 5 of \
         100 are false). The share of wrong answers is shown with its lower bound, which holds at every look, and in red \
         once the bound exceeded the tolerated share.</p>",
    );
    Some(page.render())
}

fn state(state: MonitorState) -> (Tone, &'static str) {
    match state {
        MonitorState::Healthy => (Tone::Good, "Healthy."),
        MonitorState::Drift => (Tone::Bad, "Drift."),
        MonitorState::InaccurateModel => (Tone::Bad, "Inaccurate."),
        MonitorState::Insufficient => (Tone::Warning, "Insufficient."),
    }
}

/// Lists the windows, the newest first.
fn windows(weeks: &[&MonitorReport]) -> String {
    let most = weeks.iter().map(|week| week.volume.records).max().unwrap_or(0) as f64;
    let realised = weeks.iter().filter_map(|week| week.primary_accuracy()).map(|it| it.ci95);
    let estimated = weeks.iter().filter_map(|week| week.estimate.as_ref()).map(|it| it.interval);
    let scale = scale_of(realised.chain(estimated));
    let rows = weeks.iter().rev().map(|week| {
        let (color, word) = state(week.state);
        let volume = &week.volume;
        let n = volume.records as f64;
        let (accuracy, estimate) = (week.primary_accuracy(), week.estimate.as_ref());
        vec![
            quoted(&week.window.to_string(), 60),
            format!("{}@{}", quoted(&week.model.name, 40), week.model.version),
            badge(color, word.trim_end_matches('.')),
            count(volume.records),
            bounded_bar(n, most, &[], "bar"),
            if volume.records == 0 {
                "–".to_owned()
            } else {
                percent(volume.fallbacks as f64 / n)
            },
            accuracy.map_or_else(|| "–".to_owned(), |it| percent(it.value)),
            accuracy.map_or_else(String::new, |it| interval_on(it.value, it.ci95, scale)),
            count(week.n_labelled()),
            estimate.map_or_else(|| "–".to_owned(), estimated_share),
            estimate.map_or_else(String::new, |it| interval_on(it.expected, it.interval, scale)),
            week.risk.as_ref().map_or_else(|| "–".to_owned(), risk),
            week.series.as_ref().map_or_else(
                || "–".to_owned(),
                |it| match it.alarm {
                    true => badge(Tone::Bad, "drift"),
                    false => "no drift".to_owned(),
                },
            ),
            week.median_delay_hours().map_or_else(|| "–".to_owned(), |it| format!("{it:.1} h")),
        ]
    });
    let columns = [
        ("window (UTC)", Column::Name),
        ("model", Column::Plain),
        ("state", Column::Plain),
        ("predictions", Column::Number),
        ("", Column::Chart),
        ("fallback", Column::Number),
        ("accuracy", Column::Number),
        ("interval", Column::Chart),
        ("verdicts", Column::Number),
        ("estimate", Column::Number),
        ("interval", Column::Chart),
        ("wrong (at least)", Column::Number),
        ("series", Column::Plain),
        ("median delay", Column::Number),
    ];
    table("Windows", Narrow::Scroll, &columns, rows)
}

/// Returns an estimate, in gray if it cannot be relied on.
fn estimated_share(estimate: &AccuracyEstimate) -> String {
    match estimate.reliable {
        true => percent(estimate.expected),
        false => format!("<span class=\"quiet\">{} ?</span>", percent(estimate.expected)),
    }
}

/// Returns the share of wrong answers with its lower bound, in color if the bound exceeded the tolerated share.
fn risk(risk: &Risk) -> String {
    let shown = format!("{} ({})", percent(risk.risk), percent(risk.lower));
    match risk.is_harmful {
        true => badge(Tone::Bad, &shown),
        false => shown,
    }
}

/// Lists the score of each check in the newest windows.
fn checks(weeks: &[&MonitorReport]) -> String {
    let shown = &weeks[weeks.len().saturating_sub(COLUMNS)..];
    let names: BTreeSet<&str> = shown
        .iter()
        .flat_map(|week| week.drift.iter().flat_map(|drift| &drift.checks))
        .map(|check| check.name.as_str())
        .collect();
    let rows = names.into_iter().map(|name| {
        let mut row = vec![format!("<code>{}</code>", quoted(name, 60))];
        row.extend(shown.iter().map(|week| cell(week, name)));
        row
    });
    let heads: Vec<String> =
        shown.iter().map(|week| week.window.end.format("to %Y-%m-%d").to_string()).collect();
    let mut columns = vec![("check", Column::Name)];
    columns.extend(heads.iter().map(|head| (head.as_str(), Column::Number)));
    table("Drift by check", Narrow::Scroll, &columns, rows)
}

/// Returns the score of the check `name` in a window, in color if it drifted.
fn cell(week: &MonitorReport, name: &str) -> String {
    let Some(drift) = &week.drift else { return "–".to_owned() };
    let Some(check) = drift.checks.iter().find(|check| check.name == name) else {
        return "–".to_owned();
    };
    let (score, _, _) = effect(check, drift);
    let (color, _) = tone(check.verdict);
    match check.verdict {
        DriftVerdict::Drift => badge(color, &number(score)),
        DriftVerdict::NoDrift => number(score),
        DriftVerdict::Insufficient => format!("<span class=\"quiet\">{}</span>", number(score)),
    }
}

fn not_judged(newest: &MonitorReport) -> String {
    let rows = newest.not_judged.iter().map(|item| {
        vec![format!("<code>{}</code>", quoted(&item.name, 60)), quoted(&item.reason, 200)]
    });
    let columns = [("part", Column::Name), ("reason", Column::Text)];
    table("Not judged", Narrow::Scroll, &columns, rows)
}

fn next(newest: &MonitorReport) -> String {
    let n = counted(newest.actions.len() as u64, "command follows", "commands follow");
    let commands: String = newest
        .actions
        .iter()
        .map(|action| format!("<li><code>{}</code></li>", quoted(action, 400)))
        .collect();
    format!("<p>{n} from the newest window.</p><ul>{commands}</ul>")
}
