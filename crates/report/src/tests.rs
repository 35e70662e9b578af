use super::*;
use botops_datasets::Record;
use botops_digest::Digest;
use botops_drift::{DriftCheck, DriftReport, DriftSpec, DriftVerdict, NotJudged, NotJudgedWhy};
use botops_evaluation::{
    Comparison, EvaluationReport, GateReport, GateResult, Outcome, Pair, RecordSpans, Span,
    Subject, measure, measure_entities, pair,
};
use botops_findings::{Finding, Place, Severity};
use botops_models::Prediction;
use botops_rollout::{Decision, Evidence, FailureKind, GatePolicy, TransitionRecord, Versions};
use botops_validation::Validation;
use std::collections::BTreeMap;

/// Text that a hostile customer or a careless label might contain.
const HOSTILE: &str = "<script>alert('x')</script> | `code` **b** [l](https://evil.example) \" \u{202e}\u{7}\n@you www.evil.example";

/// A report on 24 records of `n_classes` intents: record i is of intent i mod n; the first two of intent 1
/// are predicted as intent 0.
fn evaluated(n_classes: usize, hostile: bool) -> EvaluationReport {
    let mut intents: Vec<String> = (0..n_classes).map(|i| format!("intent_{i:02}")).collect();
    if hostile {
        intents[1] = HOSTILE.to_owned();
    }
    let text = |i: u64| if hostile { HOSTILE.to_owned() } else { format!("utterance {i}") };
    let n = 24.max(2 * n_classes as u64);
    let records: Vec<Record> = (1..=n)
        .map(|i| Record {
            text: text(i),
            intent: None,
            lang: Some(if hostile { HOSTILE } else { "en" }.to_owned()),
            entities: Vec::new(),
            record: i,
            line: i + 1,
            file: None,
        })
        .collect();
    let mut wrong = 0;
    let outcomes: Vec<Outcome<'_>> = records
        .iter()
        .enumerate()
        .map(|(i, record)| {
            let truth = i % n_classes;
            wrong += usize::from(truth == 1);
            let intent = if truth == 1 && wrong <= 2 { 0 } else { truth };
            Outcome {
                record,
                truth: Some(truth),
                prediction: Prediction {
                    intent,
                    confidence: 0.8,
                    logit: 1.0,
                    score: 1.0,
                    fallback: false,
                },
                probability_of_truth: if intent == truth { 0.8 } else { 0.1 },
                language: record.lang.as_deref().map(botops_text::Language::Declared),
            }
        })
        .collect();
    let subject = Subject {
        model: Digest::of(b"model"),
        n_known: intents.len(),
        intents,
        data: if hostile { HOSTILE } else { "test.csv" }.to_owned(),
        data_digest: Digest::of(b"data"),
    };
    measure(&subject, &outcomes).unwrap()
}

fn compared(report: &EvaluationReport) -> Comparison {
    let record = Record {
        text: HOSTILE.to_owned(),
        intent: None,
        lang: None,
        entities: Vec::new(),
        record: 7,
        line: 8,
        file: None,
    };
    let flips = [("a", HOSTILE), (HOSTILE, "a")].map(|(champion, challenger)| Pair {
        record: &record,
        truth: "a",
        champion,
        challenger,
    });
    pair((Digest::of(b"champion"), report.metrics.clone()), report.model, &flips)
}

fn drifted() -> DriftReport {
    let check = |name: &str, kind: &str, verdict| DriftCheck {
        name: name.to_owned(),
        kind: kind.to_owned(),
        n_reference: 1_000,
        n_current: 2_000,
        psi: 0.25,
        psi_noise95: 0.01,
        js_distance: 0.1,
        test: "ks_2samp".to_owned(),
        statistic: 0.031,
        p_value: 1e-9,
        p_adjusted: 2e-9,
        means: Some([9.4, 9.1]),
        wasserstein_sd: Some(0.4321),
        column: None,
        top: vec![(HOSTILE.to_owned(), 0.1, 0.3)],
        verdict,
        scores: Vec::new(),
    };
    DriftReport {
        schema: "botops.drift/1".to_owned(),
        reference: HOSTILE.to_owned(),
        current: "traffic.jsonl".to_owned(),
        spec: DriftSpec::default(),
        checks: vec![
            check(HOSTILE, "categorical", DriftVerdict::Drift),
            check("length_words", "numeric", DriftVerdict::NoDrift),
        ],
        not_judged: vec![
            NotJudged {
                name: HOSTILE.to_owned(),
                why: NotJudgedWhy::Times,
                reason: "times".to_owned(),
            },
            NotJudged {
                name: "language".to_owned(),
                why: NotJudgedWhy::TooFew,
                reason: "5 values in the current data, fewer than 100".to_owned(),
            },
        ],
        n_shared: 7,
        verdict: DriftVerdict::Drift,
        new_words: vec![(HOSTILE.to_owned(), 3)],
    }
}

fn decided() -> Decision {
    let at = |seconds: i64| chrono::DateTime::from_timestamp(1_762_000_000 + seconds, 0).unwrap();
    let transition = |seconds, phase: &str, weight_percent| TransitionRecord {
        at: at(seconds),
        phase: phase.to_owned(),
        weight_percent,
        reason: HOSTILE.to_owned(),
        actor: Some(HOSTILE.to_owned()),
    };
    let hostile = || HOSTILE.to_owned();
    Decision {
        schema: "botops.decision/1".to_owned(),
        verdict: "rolled_back".to_owned(),
        reason: HOSTILE.to_owned(),
        model: HOSTILE.to_owned(),
        champion: Digest::of(b"1"),
        challenger: Digest::of(b"2"),
        versions: Some(Versions { champion: hostile(), challenger: hostile() }),
        rehearsal: true,
        transitions: vec![transition(0, "ramping", 5.0), transition(3_600, "rolled_back", 0.0)],
        evidence: vec![Evidence {
            kind: FailureKind::Fallback,
            policy: GatePolicy::Gate,
            failures: [118, 71],
            measured: Some([2_412, 611]),
            rates: [Some(118.0 / 2_412.0), Some(71.0 / 611.0)],
            log_e_rollback: 4.31,
            log_e_promote: -3.2,
            log_threshold: 4.094,
            log_threshold_promote: 2.996,
            sources: Vec::new(),
        }],
        limits: Vec::new(),
        units: [2_412, 611],
    }
}

#[test]
fn each_side_of_the_evidence_has_its_own_threshold() {
    let mut decision = decided();
    let says = |decision: &Decision, word: &str| {
        let badge = format!("\">{word}</span>");
        decision_html(decision).contains(&badge)
            && decision_markdown(decision).contains(&format!("| {word} |"))
    };
    assert!(says(&decision, "worse"));
    // Enough evidence for "not worse", but not for "worse".
    (decision.evidence[0].log_e_rollback, decision.evidence[0].log_e_promote) = (3.5, 3.5);
    assert!(says(&decision, "not worse"));
    decision.evidence[0].log_e_promote = 2.9;
    assert!(says(&decision, "undecided"));
}

#[test]
fn an_unmeasured_failure_is_a_dash_and_not_zero_percent() {
    let mut decision = decided();
    let evidence = &mut decision.evidence[0];
    (evidence.kind, evidence.failures) = (FailureKind::Wrong, [0, 0]);
    (evidence.measured, evidence.rates) = (Some([0, 0]), [None, None]);
    (evidence.log_e_rollback, evidence.log_e_promote) = (0.0, 0.0);
    let (page, markdown) = (decision_html(&decision), decision_markdown(&decision));
    assert!(page.contains(">unmeasured</span>"), "{page}");
    assert!(!page.contains("0 of 2,412") && !page.contains("0 of 0"), "{page}");
    assert!(markdown.contains("| - | - |") && markdown.contains("| unmeasured |"), "{markdown}");
    // Disagreement is a share of the mirrored conversations, which only the challenger has.
    let evidence = &mut decision.evidence[0];
    (evidence.kind, evidence.failures) = (FailureKind::Disagreement, [0, 3]);
    (evidence.measured, evidence.rates) = (Some([0, 40]), [None, Some(0.075)]);
    assert!(decision_html(&decision).contains("3 of 40 (7.5 %)"));
    assert!(decision_markdown(&decision).contains("| - | 3 (7.5 %) |"));
}

fn validated() -> Validation {
    let finding = |severity, record| Finding {
        code: "BOT-3003".to_owned(),
        severity,
        place: Place { record: Some(record), file: Some(HOSTILE.to_owned()), ..Place::default() },
        message: HOSTILE.to_owned(),
        help: HOSTILE.to_owned(),
    };
    Validation {
        findings: vec![finding(Severity::Warning, 3), finding(Severity::Warning, 41)],
        records_in: 1_182,
        records_accepted: 1_181,
        records_rejected: 1,
        errors: 0,
        warnings: 2,
        intents: BTreeMap::from([(HOSTILE.to_owned(), 1_181)]),
        languages: BTreeMap::from([("en".to_owned(), 1_181)]),
        ..Validation::default()
    }
}

fn pages() -> Vec<String> {
    let report = evaluated(3, true);
    vec![
        evaluation_html(&report, Some(&compared(&report))),
        drift_html(&drifted()),
        decision_html(&decided()),
        validation_html(&validated(), HOSTILE),
    ]
}

#[test]
fn user_text_does_not_become_markup() {
    for page in pages() {
        let ours = format!("<script>{}</script>", search_script::SCRIPT);
        assert!(page.matches(&ours).count() <= 1);
        let page = page.replace(&ours, "");
        for forbidden in ["<script", "alert('x')", "\u{202e}", "\u{7}", "\" \\u", "</script>"] {
            assert!(!page.contains(forbidden), "{forbidden:?} in {page}");
        }
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    }
}

#[test]
fn every_element_that_opens_closes_in_order() {
    let void = ["meta", "wbr", "input"];
    for page in pages().into_iter().chain([evaluation_html(&evaluated(80, false), None)]) {
        let mut open: Vec<&str> = Vec::new();
        // A style sheet has `>` in selectors but no `<`.
        for tag in page.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or("");
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "closing {name}");
            } else if !tag.ends_with('/') && !tag.starts_with('!') && !void.contains(&name) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
    }
}

#[test]
fn a_page_has_no_external_resources() {
    for page in pages() {
        for forbidden in ["src=", "url(", "@import", "<link", "<iframe", "href=\"http", " on"] {
            let found =
                page.find(forbidden).map(|at| page[at..].chars().take(40).collect::<String>());
            // ` on` would begin an event handler; in prose a space or a letter follows.
            let harmless = found.as_deref().is_none_or(|found| {
                forbidden == " on"
                    && !found.split([' ', '>']).any(|w| w.starts_with("on") && w.contains('='))
            });
            assert!(harmless, "{found:?}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("prefers-color-scheme:dark"));
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(page.contains("width=device-width"));
    }
}

#[test]
fn rows_of_the_matrix_are_truth() {
    let page = evaluation_html(&evaluated(7, false), None);
    assert!(page.contains("<title>intent_01 predicted as intent_00: 2 of 4 (50.0 %)</title>"));
    assert!(!page.contains("intent_00 predicted as intent_01"));
    // Row 1, column 0: below the first row, at the left edge of the matrix.
    let cell = page.split("<title>intent_01 predicted as intent_00").nth(1).unwrap();
    let number = |key: &str, html: &str| -> f64 {
        html.split(&format!("{key}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    let right = page.split("<title>intent_00: 4 of 4").nth(1).unwrap();
    assert_eq!(number(" x", cell), number(" x", right));
    assert!(number(" y", cell) > number(" y", right));
}

#[test]
fn a_matrix_of_too_many_classes_keeps_those_with_errors() {
    let page = evaluation_html(&evaluated(140, false), None);
    assert!(page.contains("Only the 100 intents with the most errors are drawn; 40 are left out."));
    assert!(page.contains("<title>intent_01 predicted as intent_00: 2 of 2 (100.0 %)</title>"));
    assert!(!page.contains("<title>intent_139: "));
}

#[test]
fn the_page_shows_the_numbers_of_the_report() {
    let report = evaluated(3, false);
    let page = evaluation_html(&report, Some(&compared(&report)));
    let accuracy = report.metrics["accuracy"];
    for expected in [
        "The model gave the right intent to 22 of 24 (91.7 %).".to_owned(),
        "<p class=\"value\">0.917</p>".to_owned(),
        format!("{:.3} to {:.3}", accuracy.ci95[0], accuracy.ci95[1]),
        "Newly wrong: 1 record".to_owned(),
        "exact McNemar p = 1.000".to_owned(),
        "2 records, the most confident first".to_owned(),
    ] {
        assert!(page.contains(&expected), "{expected}");
    }
    let decision = decision_html(&decided());
    assert!(decision.contains("118 of 2,412 (4.9 %)") && decision.contains("71 of 611 (11.6 %)"));
    let drift = drift_html(&drifted());
    assert!(drift.contains("0.250 <span class=\"quiet\">PSI</span>"));
    assert!(drift.contains("0.031 <span class=\"quiet\">KS</span>"), "the effect of numbers is KS");
    assert!(validation_html(&validated(), "x.csv").contains("1,181 of 1,182 records"));
}

#[test]
fn markdown_is_inert() {
    let report = evaluated(3, true);
    let gates = GateReport {
        schema: "botops.gate/1".to_owned(),
        model: report.model,
        evidence: "evaluation".to_owned(),
        results: vec![GateResult {
            rule: "accuracy >= 0.900".to_owned(),
            observed: format!("worst is `{}`", HOSTILE.replace('`', "")),
            passed: false,
        }],
        passed: false,
        knowledge: std::collections::BTreeMap::new(),
        basis: None,
    };
    for summary in [
        evaluation_markdown(&report, Some(&compared(&report))),
        drift_markdown(&drifted()),
        decision_markdown(&decided()),
        validation_markdown(&validated(), HOSTILE),
        gate_markdown(&gates),
    ] {
        for forbidden in ["<script", "`code`", "**b**", "](", "://", "@you", "www.", "\u{7}"] {
            assert!(!summary.contains(forbidden), "{forbidden:?} in {summary}");
        }
        // Every row of a table has the columns of its heading.
        for table in summary.split("\n\n").filter(|part| part.starts_with("| ")) {
            let widths: Vec<usize> = table.lines().map(|l| l.matches('|').count()).collect();
            assert!(widths.windows(2).all(|w| w[0] == w[1]), "{table}");
        }
    }
}

#[test]
fn names_of_intents_stay_readable_in_markdown() {
    assert_eq!(markdown::plain("order_status", 60), "order_status");
    assert_eq!(markdown::plain("_a_ 0.5", 60), "&#95;a&#95; 0.5");
    assert_eq!(markdown::plain("one\ntwo\t three", 60), "one two three");
    assert_eq!(markdown::plain("abcdef", 3), "abc…");
}

#[test]
fn a_page_of_a_ten_megabyte_utterance_is_small() {
    let mut report = evaluated(3, false);
    report.errors[0].text = "é".repeat(5_000_000);
    assert!(evaluation_html(&report, None).len() < 100_000);
}

#[test]
fn a_drift_report_shows_what_was_not_judged() {
    let mut report = drifted();
    let html = drift_html(&report);
    for wanted in ["Not judged", "5 values in the current data, fewer than 100", ">times<", "0.432"]
    {
        assert!(html.contains(wanted), "{wanted}");
    }
    report.verdict = DriftVerdict::NoDrift;
    let markdown = drift_markdown(&report);
    assert!(
        markdown.contains("Not judged: language (5 values in the current data, fewer than 100).")
    );
    assert!(markdown.contains("Not compared: ") && markdown.contains("(times)."), "{markdown}");
}

#[test]
fn entities_are_on_the_page_and_in_the_summary() {
    let mut report = evaluated(3, false);
    assert!(!evaluation_html(&report, None).contains("Metrics by entity"));
    let span = |entity: &str, start, end| Span { start, end, entity: entity.to_owned() };
    let record = |record, truth, found| RecordSpans { record, line: record + 1, truth, found };
    let hostile = "<b>|x";
    report.entities = measure_entities(&[
        record(1, vec![span("date", 0, 4)], vec![span("date", 0, 4)]),
        record(2, vec![span(hostile, 0, 4)], vec![span("date", 0, 3), span("other", 4, 5)]),
    ]);
    let html = evaluation_html(&report, None);
    for part in ["Metrics by entity", "Wrong spans: 2 spans", "0.667", "&lt;b&gt;|x", "other"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains(hostile));
    let markdown = evaluation_markdown(&report, None);
    assert!(markdown.contains("| date | 0.500 | 1.000 | 0.667 |"), "{markdown}");
    assert!(markdown.contains("| macro average | 0.250 | 0.500 | 0.333 |"), "{markdown}");
    assert!(markdown.contains("&#60;b&#62;&#124;x"), "{markdown}");
}
