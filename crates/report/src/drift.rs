//! The page of a drift comparison.

use super::{
    charts::{bounded_bar, legend, pair_bar},
    html::quoted,
    page::{Page, Tone, badge, facts, verdict},
    table::{Column, Narrow, table},
    wording::{count, counted, number, p_value, percent},
};
use botops_drift::{DriftCheck, DriftReport, DriftVerdict};

/// Returns the page of `report`.
#[must_use]
pub fn drift_html(report: &DriftReport) -> String {
    let (tone, word, sentence) = summary(report);
    let mut page =
        Page::new("drift", &format!("Drift from {} to {}", report.reference, report.current))
            .lead(&verdict(tone, word, &sentence))
            .lead(&facts(&[
                ("reference", quoted(&report.reference, 120)),
                ("current", quoted(&report.current, 120)),
                ("false discovery rate", number(report.spec.alpha)),
                ("rows of current in the reference", count(report.n_shared)),
            ]))
            .section("checks", "Checks", checks(report));
    if report.checks.iter().any(|check| !check.scores.is_empty()) {
        page = page.section("scores", "Noise and detectable changes", scores(report));
    }
    let changed: Vec<&DriftCheck> =
        report.checks.iter().filter(|check| !check.top.is_empty()).collect();
    if !changed.is_empty() {
        page = page.section("changes", "Largest changes", changes(&changed));
    }
    if !report.not_judged.is_empty() {
        page = page.section("not-judged", "Not judged", not_judged(report));
    }
    if !report.new_words.is_empty() {
        page = page.section("words", "New words", new_words(report));
    }
    page.footer(&format!(
        "<p>A check shows drift if its p-value, adjusted over all checks (Benjamini-Hochberg), is below \
         {} and its effect is at least {} (PSI, shares) or {} (KS distance, numbers). The noise of PSI is \
         the value that sampling alone exceeds 5 times in 100. The Wasserstein distance is given in standard \
         deviations of the reference. Fewer than {} rows on a side are too few for a verdict.</p>",
        number(report.spec.alpha),
        number(report.spec.min_psi),
        number(report.spec.min_ks),
        count(report.spec.min_rows as u64)
    ))
    .render()
}

/// Returns the verdict in one word and one sentence of HTML.
fn summary(report: &DriftReport) -> (Tone, &'static str, String) {
    let drifted: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| format!("<code>{}</code>", quoted(&check.name, 60)))
        .collect();
    let judged = counted(report.n_judged() as u64, "check", "checks");
    let (tone, word, sentence) = match report.verdict {
        DriftVerdict::Drift => (
            Tone::Bad,
            "Drift.",
            format!("{} of {judged} show drift: {}.", drifted.len(), drifted.join(", ")),
        ),
        DriftVerdict::NoDrift => (
            Tone::Good,
            "No drift.",
            format!("None of {judged} shows a significant and large change."),
        ),
        DriftVerdict::Insufficient => (
            Tone::Warning,
            "Insufficient.",
            format!(
                "Each side needs at least {} for a verdict.",
                counted(report.spec.min_rows as u64, "row", "rows")
            ),
        ),
    };
    let unjudged = match report.unjudged_checks() {
        Some(listed) if report.n_judged() > 0 => format!(" Not judged: {}.", quoted(&listed, 400)),
        _ => String::new(),
    };
    (tone, word, sentence + &unjudged)
}

/// Lists what was not judged, with the reasons.
fn not_judged(report: &DriftReport) -> String {
    let rows = report.not_judged.iter().map(|item| {
        vec![format!("<code>{}</code>", quoted(&item.name, 60)), quoted(&item.reason, 120)]
    });
    let columns = [("check or column", Column::Name), ("reason", Column::Plain)];
    table("Not judged", Narrow::Scroll, &columns, rows)
}

/// Returns the color and the text of a verdict.
pub(super) fn tone(verdict: DriftVerdict) -> (Tone, &'static str) {
    match verdict {
        DriftVerdict::Drift => (Tone::Bad, "drift"),
        DriftVerdict::NoDrift => (Tone::Good, "no drift"),
        DriftVerdict::Insufficient => (Tone::Warning, "insufficient"),
    }
}

/// Returns the deciding effect, its threshold and its name: PSI for shares, KS distance for numbers.
pub(super) fn effect<'a>(check: &'a DriftCheck, report: &DriftReport) -> (f64, f64, &'a str) {
    match check.deciding() {
        Some(score) => (score.value, score.least.unwrap_or(0.0), score_name(&score.name)),
        // An older report has no scores.
        None if check.kind == "numeric" => (check.statistic, report.spec.min_ks, "KS"),
        None => (check.psi, report.spec.min_psi, "PSI"),
    }
}

/// Returns the name of a score for readers.
fn score_name(name: &str) -> &str {
    match name {
        "psi" => "PSI",
        "js_distance" => "JS distance",
        "wasserstein_sd" => "Wasserstein / sd",
        "ks_2samp" => "KS",
        "chi2_homogeneity" => "chi2",
        "fisher_exact" => "chi2 (two bins)",
        "domain_classifier" => "AUC",
        "mmd2_embeddings" => "MMD2",
        "bbse" => "label shift",
        other => other,
    }
}

/// Lists each score of each check with its noise floor and its smallest detectable change.
fn scores(report: &DriftReport) -> String {
    let rows = report.checks.iter().flat_map(|check| {
        check.scores.iter().map(|score| {
            vec![
                format!("<code>{}</code>", quoted(&check.name, 60)),
                quoted(score_name(&score.name), 60),
                number(score.value),
                number(score.noise95),
                score.detectable.map_or_else(|| "none".to_owned(), number),
                score.least.map_or_else(String::new, number),
            ]
        })
    });
    let columns = [
        ("check", Column::Name),
        ("score", Column::Plain),
        ("value", Column::Number),
        ("noise", Column::Number),
        ("seen from", Column::Number),
        ("threshold", Column::Number),
    ];
    format!(
        "<p>Sampling alone exceeds the noise 5 times in 100. A true change of the size in the column \u{201c}seen \
         from\u{201d} is found 9 times in 10 with samples of these sizes; a smaller one may have passed unseen. The score \
         with a threshold decides.</p>{}",
        table("Scores", Narrow::Scroll, &columns, rows)
    )
}

fn checks(report: &DriftReport) -> String {
    let most = report
        .checks
        .iter()
        .map(|check| {
            let (value, least, _) = effect(check, report);
            value.max(1.6 * least)
        })
        .fold(0.0_f64, f64::max);
    let rows = report.checks.iter().map(|check| {
        let (class, word) = tone(check.verdict);
        let (value, least, unit) = effect(check, report);
        let fill = if check.verdict == DriftVerdict::Drift { "bad-fill" } else { "bar" };
        vec![
            format!("<code>{}</code>", quoted(&check.name, 60)),
            badge(class, word),
            format!("{} <span class=\"quiet\">{unit}</span>", number(value)),
            bounded_bar(value, most, &[least], fill),
            p_value(check.p_adjusted).replace('<', "&lt;"),
            format!(
                "{} <span class=\"quiet\">(noise {})</span>",
                number(check.psi),
                number(check.psi_noise95)
            ),
            number(check.js_distance),
            check.wasserstein_sd.map_or_else(String::new, number),
            check.means.map_or_else(String::new, |[reference, current]| {
                format!("{} → {}", number(reference), number(current))
            }),
            format!("{} / {}", count(check.n_reference), count(check.n_current)),
        ]
    });
    let columns = [
        ("check", Column::Name),
        ("verdict", Column::Plain),
        ("effect", Column::Number),
        ("effect, tick: threshold", Column::Chart),
        ("p, adjusted", Column::Number),
        ("PSI", Column::Number),
        ("JS distance", Column::Number),
        ("Wasserstein / sd", Column::Number),
        ("mean", Column::Number),
        ("rows", Column::Number),
    ];
    table("Checks", Narrow::Scroll, &columns, rows)
}

fn changes(checks: &[&DriftCheck]) -> String {
    let mut out = legend(&["reference", "current"].map(|name| {
        let class = if name == "reference" { "bar" } else { "bar-other" };
        (class, name.to_owned())
    }));
    out += "<div class=\"columns\">";
    for check in checks {
        let most = check.top.iter().map(|top| top.1.max(top.2)).fold(0.0_f64, f64::max);
        let rows = check.top.iter().map(|(name, reference, current)| {
            vec![
                quoted(name, 60),
                pair_bar(*reference, *current, most),
                percent(*reference),
                percent(*current),
            ]
        });
        let columns = [
            ("", Column::Name),
            ("", Column::Chart),
            ("reference", Column::Number),
            ("current", Column::Number),
        ];
        let (class, word) = tone(check.verdict);
        out += &format!(
            "<div><h3>{} {}</h3>{}</div>",
            quoted(&check.name, 60),
            badge(class, word),
            table(&check.name, Narrow::Scroll, &columns, rows)
        );
    }
    out + "</div>"
}

fn new_words(report: &DriftReport) -> String {
    let words: String = report
        .new_words
        .iter()
        .take(60)
        .map(|(word, n)| format!("<li>{}<b>{}</b></li>", quoted(word, 40), count(*n)))
        .collect();
    format!(
        "<p>Words in the current data that the reference does not contain, the most frequent first.</p>\
         <ul class=\"chips\">{words}</ul>"
    )
}
