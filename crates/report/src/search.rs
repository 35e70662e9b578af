//! The page of a search over settings.

use super::{
    charts::{interval_on, scale_of},
    html::{escape, quoted},
    page::{Card, Page, Tone, cards, facts, verdict},
    table::{Column, Narrow, table},
    wording::{count, number, p_equals, percent},
};
use botops_evaluation::{Importance, JudgedTrial, MetricName, Rival, SearchReport};
use serde_json::Value;
use std::collections::BTreeSet;

/// The most rows of the table of trials. The JSON report contains the rest.
const MOST_ROWS: usize = 200;

/// Returns the page of a search.
#[must_use]
pub fn search_html(report: &SearchReport) -> String {
    let setting = &report.setting;
    let metric = setting.metric;
    let mut page = Page::new("tuning", &format!("Search on {}", setting.data))
        .lead(&lead(report))
        .lead(&facts(&[
            ("trials", count(report.trials.len() as u64)),
            ("records", count(setting.n_samples)),
            ("near-duplicate groups", count(setting.n_groups)),
            ("intents", count(setting.n_intents)),
            ("folds", setting.n_folds.to_string()),
            ("data", format!("<code>{}</code>", setting.data_digest.short())),
            ("search", format!("<code>{}</code>", setting.search.short())),
        ]))
        .lead(&cards(&headline(report)))
        .section("winner", "The winner", winner(report))
        .section("trials", "Trials", trials(report));
    if !report.importance.is_empty() {
        page = page.section(
            "mattered",
            "Importance of settings",
            importance(&report.importance, metric),
        );
    }
    let notes: String =
        report.notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
    page.section("notes", "Notes", format!("<ul>{notes}</ul>"))
        .footer(
            "<p>Every record is scored by a model that did not see it or its near duplicates. Ranges \
             of scores are 95 % intervals over records for fixed models: Wilson, percentile \
             bootstrap (2,000 draws, seed 17), or normal for log loss. Differences are compared fold by fold \
             with the corrected resampled t-test (Nadeau and Bengio, 2003).</p>",
        )
        .render()
}

fn lead(report: &SearchReport) -> String {
    let metric = report.setting.metric.name();
    let (tone, word, sentence) = match &report.base {
        None if report.winner == 0 => (
            Tone::Neutral,
            "No better configuration was found.",
            "The base configuration has the best score.".to_owned(),
        ),
        Some(Rival { comparison, .. }) => {
            let difference = &comparison.difference;
            let clear = difference.p < 0.05;
            let sentence = format!(
                "The difference of {metric} from the base configuration is {} [{}, {}] ({}, not adjusted for the choice of the \
                 best of many).",
                fine_signed(difference.mean),
                fine_signed(difference.ci95[0]),
                fine_signed(difference.ci95[1]),
                escape(&p_equals(difference.p))
            );
            match clear {
                true => (Tone::Good, "Better than the base.", sentence),
                false => (Tone::Neutral, "Perhaps better than the base.", sentence),
            }
        }
        None => (
            Tone::Neutral,
            "No comparison.",
            "The base configuration could not be scored.".to_owned(),
        ),
    };
    verdict(tone, word, &sentence)
}

fn headline(report: &SearchReport) -> Vec<Card> {
    let metric = report.setting.metric.name();
    let [lower, upper] = report.score.ci95;
    let mut cards = vec![Card {
        name: format!("{metric}, cross-validated"),
        value: fine(report.score.value),
        range: format!("{} to {}", fine(lower), fine(upper)),
        meaning: "score of the winner; optimistic, because it was chosen by this score".to_owned(),
    }];
    if let Some(unchosen) = report.unchosen {
        cards.push(Card {
            name: "corrected for the choice".to_owned(),
            value: fine(unchosen),
            range: String::new(),
            meaning: "without the bias of choosing the best of the last rung".to_owned(),
        });
    }
    cards.push(Card {
        name: "as good".to_owned(),
        value: count(report.within_one_error.len() as u64),
        range: String::new(),
        meaning: "trials of the last rung within one standard error, the winner among them"
            .to_owned(),
    });
    cards
}

fn winner(report: &SearchReport) -> String {
    let Some(trial) = report.trial(report.winner) else { return String::new() };
    let mut out = if trial.params.is_empty() {
        "<p>The base configuration: the settings of the train stage, unchanged.</p>".to_owned()
    } else {
        let rows = trial.params.iter().map(|(key, value)| {
            vec![format!("<code>{}</code>", escape(key)), setting_value(value)]
        });
        table(
            "Settings of the winner",
            Narrow::Scroll,
            &[("setting", Column::Name), ("value", Column::Plain)],
            rows,
        )
    };
    let rivals = [("runner-up", &report.runner_up), ("base", &report.base)];
    let rows = rivals.into_iter().filter_map(|(role, rival)| {
        let Rival { trial, comparison } = rival.as_ref()?;
        let difference = &comparison.difference;
        let name = match trial {
            0 => role.to_owned(),
            number => format!("{role} (trial {number})"),
        };
        Some(vec![
            name,
            fine_signed(difference.mean),
            format!("{} to {}", fine_signed(difference.ci95[0]), fine_signed(difference.ci95[1])),
            escape(&p_equals(difference.p)),
        ])
    });
    out += &table(
        "The winner compared with others",
        Narrow::Scroll,
        &[
            ("compared with", Column::Name),
            ("difference", Column::Number),
            ("95 % interval", Column::Number),
            ("corrected resampled t-test", Column::Plain),
        ],
        rows,
    );
    out
}

fn trials(report: &SearchReport) -> String {
    let metric = report.setting.metric;
    let shown_trials = || report.trials.iter().take(MOST_ROWS);
    let scale = scale_of(shown_trials().filter_map(|t| Some(t.metrics.get(metric.name())?.ci95)));
    let settings: BTreeSet<&String> =
        report.trials.iter().flat_map(|trial| trial.params.keys()).collect();
    let mut columns = vec![
        ("trial", Column::Name),
        ("rung", Column::Number),
        (metric.name(), Column::Number),
        ("95 % interval", Column::Chart),
        ("folds", Column::Number),
    ];
    columns.extend(settings.iter().map(|key| (key.as_str(), Column::Plain)));
    let rows = shown_trials().map(|trial| {
        let mut row = row(trial, metric, scale);
        row.extend(
            settings.iter().map(|key| trial.params.get(*key).map_or(String::new(), setting_value)),
        );
        row
    });
    let rungs = (1..).zip(&report.setting.rungs).map(|(n, rung): (u32, _)| {
        vec![n.to_string(), rung.trials.to_string(), rung.folds.to_string(), percent(rung.share)]
    });
    let rungs = table(
        "Rungs",
        Narrow::Scroll,
        &[
            ("rung", Column::Number),
            ("trials", Column::Number),
            ("folds", Column::Number),
            ("training records", Column::Number),
        ],
        rungs,
    );
    let more = report.trials.len().saturating_sub(MOST_ROWS);
    let more = match more {
        0 => String::new(),
        n => format!("<p class=\"quiet\">{} more are in the JSON report.</p>", count(n as u64)),
    };
    format!(
        "<p>Each rung scores the best trials of the rung before on more folds or records.</p>{rungs}{}{more}",
        table("Trials", Narrow::Scroll, &columns, rows)
    )
}

fn row(trial: &JudgedTrial, metric: MetricName, scale: [f64; 2]) -> Vec<String> {
    let name = if trial.trial == 0 { "base".to_owned() } else { trial.trial.to_string() };
    let judged = trial.metrics.get(metric.name());
    let chart = match (judged, &trial.failed) {
        (Some(metric), _) => interval_on(metric.value, metric.ci95, scale),
        (None, Some(failed)) => quoted(failed, 160),
        (None, None) => String::new(),
    };
    vec![
        name,
        trial.rung.to_string(),
        judged.map_or("–".to_owned(), |metric| fine(metric.value)),
        chart,
        trial.folds.len().to_string(),
    ]
}

/// Returns the section on the importance of each setting.
fn importance(settings: &[Importance], metric: MetricName) -> String {
    let mut out =
        "<p>The share of the variance of scores in the first rung that each setting explains by \
                   itself, beyond chance. Neither share includes an effect that two settings have only together.</p>"
            .to_owned();
    for setting in settings {
        let direction = setting.rank_correlation.map_or(String::new(), |r| {
            format!(", rank correlation with the gain {}", escape(&format!("{r:+.2}")))
        });
        out += &format!(
            "<h3>{}</h3><p>{} of the variance, {} adjusted for the number of settings{direction}.</p>",
            quoted(&setting.setting, 80),
            percent(setting.share),
            escape(&p_equals(setting.p_adjusted)),
        );
        let rows = setting
            .groups
            .iter()
            .map(|group| vec![quoted(&group.values, 80), count(group.n), fine(group.mean)]);
        let mean = format!("mean {}", metric.name());
        out += &table(
            &setting.setting,
            Narrow::Scroll,
            &[("values", Column::Name), ("trials", Column::Number), (&mean, Column::Number)],
            rows,
        );
    }
    out
}

/// Writes a score with four decimals, because trials often differ in the fourth.
fn fine(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { number(value) }
}

/// Writes a difference of scores with four decimals and its sign.
fn fine_signed(value: f64) -> String {
    if value.abs() < 0.000_05 { "0.0000".to_owned() } else { format!("{value:+.4}") }
}

/// Returns a value as HTML: a string without quotes, other values as JSON.
fn setting_value(value: &Value) -> String {
    quoted(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), 120)
}
