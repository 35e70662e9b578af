//! Drift: false alarms without a change, power for listed changes, and 52 weeks.
//!
//! `cargo bench --bench drift_alarms` simulates 1,000 reports for each number of rows; `-- REPORTS` another number, and
//! `-- REPORTS ROWS` only one number of rows. A report has nine checks: intents, confidence, lengths, language, unseen
//! words, a logged latency, missing values, and the texts by the domain classifier. Each report draws both sides anew.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

use botops_drift::{
    self as drift, Column, DriftReport, DriftSide, DriftSpec, DriftVerdict, Role, Row,
};
use botops_monitoring::{alarms::AlarmRule, model_drift::with_texts};
use botops_spec::Spec as _;
use botops_stats::{intervals::wilson, random::Random};
use rayon::prelude::*;
use std::env;

/// The numbers of rows of each side.
const SIZES: [usize; 4] = [200, 500, 2_000, 20_000];
/// The reports of each simulation, and those of each power.
const REPORTS: usize = 1_000;
/// The simulated years of 52 weeks.
const YEARS: usize = 40;

const TOPICS: [(&str, [&str; 10]); 4] = [
    (
        "order",
        ["where", "is", "my", "order", "parcel", "late", "delivery", "tracking", "number", "today"],
    ),
    (
        "refund",
        ["i", "want", "my", "money", "back", "refund", "please", "charged", "twice", "card"],
    ),
    (
        "account",
        [
            "cannot", "login", "password", "reset", "account", "email", "locked", "code", "help",
            "me",
        ],
    ),
    (
        "hours",
        ["when", "are", "you", "open", "store", "hours", "sunday", "holiday", "address", "near"],
    ),
];
const PRODUCT: [&str; 10] = [
    "scooter",
    "range",
    "battery",
    "charge",
    "helmet",
    "brake",
    "wheel",
    "ride",
    "speed",
    "kilometres",
];

/// A change of the current side.
#[derive(Clone, Copy, Default)]
struct Change {
    /// The share of `refund` that is added, taken from `order`.
    refund: f64,
    /// The shift of the confidence, in standard deviations.
    confidence: f64,
    /// The factor of the latency, minus 1.
    latency: f64,
    /// The share of messages about a new product.
    product: f64,
    /// The share of missing languages that is added.
    missing: f64,
}

struct Side {
    texts: Vec<String>,
    intents: Vec<&'static str>,
    confidences: Vec<f64>,
    unseen: Vec<f64>,
    columns: Vec<Column>,
}

fn side(random: &mut Random, n: usize, change: Change) -> Side {
    let mut columns = vec![
        Column::new("text", Role::Text),
        Column::new("lang", Role::Language),
        Column::new("latency_ms", Role::Other),
    ];
    let mut side = Side {
        texts: Vec::with_capacity(n),
        intents: Vec::with_capacity(n),
        confidences: Vec::with_capacity(n),
        unseen: Vec::with_capacity(n),
        columns: Vec::new(),
    };
    for _ in 0..n {
        let at = random.unit();
        let edges = [0.4 - change.refund, 0.65, 0.85];
        let topic = edges.iter().filter(|edge| at >= **edge).count();
        let is_new = random.unit() < change.product;
        let words = if is_new { &PRODUCT } else { &TOPICS[topic].1 };
        let length = 3 + random.below(6);
        let text: Vec<&str> = (0..length).map(|_| words[random.below(10)]).collect();
        columns[0].add("filled");
        columns[1].add(if random.unit() < 0.03 + change.missing { "" } else { "en" });
        let latency = (random.normal() * 0.5 + 4.0).exp() * (1.0 + change.latency);
        columns[2].add(&format!("{latency:.3}"));
        side.texts.push(text.join(" "));
        side.intents.push(TOPICS[topic].0);
        let confidence = 1.0 / (1.0 + (-1.5 - random.normal() - change.confidence).exp());
        side.confidences.push(confidence);
        side.unseen.push(if is_new { 0.5 } else { random.below(4) as f64 / 20.0 });
    }
    side.columns = columns;
    side
}

fn report(random: &mut Random, n: usize, change: Change) -> DriftReport {
    let sides = [side(random, n, Change::default()), side(random, n, change)];
    let rows: Vec<Vec<Row<'_>>> = sides
        .iter()
        .map(|side| {
            (0..n)
                .map(|i| Row {
                    text: &side.texts[i],
                    lang: Some("en"),
                    intent: Some(side.intents[i]),
                    confidence: Some(side.confidences[i]),
                    unseen_word_rate: Some(side.unseen[i]),
                    ..Row::default()
                })
                .collect()
        })
        .collect();
    let of = |at: usize| DriftSide { name: "side", rows: &rows[at], columns: &sides[at].columns };
    let spec = DriftSpec::default().check().expect("the defaults are in range");
    let report = drift::compare(&of(0), &of(1), &spec).expect("the columns are compared");
    let texts = [0, 1].map(|at| sides[at].texts.iter().map(String::as_str).collect::<Vec<&str>>());
    with_texts(report, &[], &texts[0], &texts[1]).0
}

/// Returns reports of independent draws; the result does not depend on the number of threads.
fn reports(seed: u64, count: usize, n: usize, change: Change) -> Vec<DriftReport> {
    (0..count as u64)
        .into_par_iter()
        .map(|i| report(&mut Random::stream(seed, i), n, change))
        .collect()
}

fn alarms(reports: &[DriftReport], level: f64) -> usize {
    let at_level = reports.iter().map(|report| report.clone().at_level(level));
    at_level.filter(|report| report.verdict == DriftVerdict::Drift).count()
}

fn share(n: usize, of: usize) -> String {
    let [low, high] = wilson(n as u64, of as u64, 0.95);
    format!("{:.3} [{low:.3}, {high:.3}]", n as f64 / of as f64)
}

fn main() {
    let numbers: Vec<usize> = env::args().filter_map(|argument| argument.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(REPORTS);
    let sizes: Vec<usize> = match numbers.get(1) {
        Some(n) => vec![*n],
        None => SIZES.into(),
    };
    let rules = [AlarmRule::default(), AlarmRule::Lord { rate: 0.05 }];
    println!("false alarms without a change: share of {count} reports at alpha 0.05");
    let mut still = Vec::new();
    for &n in &sizes {
        let made = reports(1, count, n, Change::default());
        let significant = made.iter().filter(|report| report.p_value() <= 0.05).count();
        println!(
            "  {n:>6} rows: {} alarm; {} are significant without a regard for the effect",
            share(alarms(&made, 0.05), count),
            share(significant, count)
        );
        if still.is_empty() {
            still = made;
        }
    }
    println!(
        "power, by the level of week 1 and of week 52 (weekly level; LORD++ without an alarm before)"
    );
    let none = Change::default();
    for (name, n, change) in [
        ("refunds + 15 points", 1_000, Change { refund: 0.15, ..none }),
        ("confidence - 0.4 sd", 1_000, Change { confidence: -0.4, ..none }),
        ("latency + 25 %", 1_000, Change { latency: 0.25, ..none }),
        ("new product, 15 % of messages", 1_000, Change { product: 0.15, ..none }),
        ("new product, 25 % of messages", 500, Change { product: 0.25, ..none }),
        ("missing languages + 10 points", 1_000, Change { missing: 0.10, ..none }),
    ] {
        let made = reports(2, count.div_ceil(5), n, change);
        let at =
            |rule: AlarmRule, week: u64| share(alarms(&made, rule.level(week, &[])), made.len());
        let [weekly, lord] = rules;
        println!(
            "  {name}, {n} rows: weekly {} / {}; LORD++ {} / {}",
            at(weekly, 1),
            at(weekly, 52),
            at(lord, 1),
            at(lord, 52)
        );
    }
    println!("52 weeks without a change, {YEARS} years of {} rows a week", sizes[0]);
    let mut random = Random::new(3);
    for rule in rules {
        let mut n = 0;
        for _ in 0..YEARS {
            let mut found = Vec::new();
            for week in 1..=52 {
                // Weeks are drawn from the reports above.
                let report = &still[random.below(still.len())];
                if alarms(std::slice::from_ref(report), rule.level(week, &found)) > 0 {
                    found.push(week);
                }
            }
            n += found.len();
        }
        println!(
            "  {rule:?}: {:.3} false alarms a year, stated bound {:.3}",
            n as f64 / YEARS as f64,
            rule.false_alarms_a_year()
        );
    }
}
