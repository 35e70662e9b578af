//! Drift of texts: power, false alarms, duplicates, and the actions.

use super::*;
use botops_drift::DriftVerdict;
use botops_stats::random::Random;

const TOPICS: [[&str; 8]; 3] = [
    ["where", "is", "my", "order", "parcel", "delivery", "late", "tracking"],
    ["refund", "money", "back", "please", "charged", "twice", "card", "bank"],
    ["password", "login", "account", "reset", "email", "locked", "code", "help"],
];
const NEW: [&str; 8] =
    ["scooter", "range", "battery", "charge", "helmet", "brake", "wheel", "ride"];

/// A text of words of a topic, or of the new product with the probability `new`.
fn text(random: &mut Random, new: f64) -> String {
    let is_new = random.unit() < new;
    let topic = if is_new { &NEW } else { &TOPICS[random.below(3)] };
    let n = 4 + random.below(4);
    let mut words: Vec<&str> = (0..n).map(|_| topic[random.below(8)]).collect();
    if is_new {
        words.insert(0, "scooter");
    }
    words.join(" ")
}

fn texts(random: &mut Random, n: usize, new: f64) -> Vec<String> {
    (0..n).map(|_| text(random, new)).collect()
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn tested(reference: &[String], current: &[String]) -> TextDrift {
    TextComparison::new(&borrowed(reference), &borrowed(current)).unwrap().test().unwrap()
}

#[test]
fn false_alarms_are_as_rare_as_the_level_says() {
    let mut random = Random::new(12);
    let rounds = 60;
    let alarms = (0..rounds)
        .filter(|_| {
            let (a, b) = (texts(&mut random, 100, 0.0), texts(&mut random, 100, 0.0));
            tested(&a, &b).p_value <= 0.1
        })
        .count();
    // 10 % of 60 are 6, with a standard deviation of 2.3.
    assert!((1..=12).contains(&alarms), "{alarms} of {rounds}");
}

#[test]
fn a_new_product_is_found_and_named() {
    let mut random = Random::new(13);
    let (a, b) = (texts(&mut random, 400, 0.0), texts(&mut random, 400, 0.2));
    let (reference, current) = (borrowed(&a), borrowed(&b));
    let compared = TextComparison::new(&reference, &current);
    let check = check_texts(&compared, &DriftSpec::default()).unwrap();
    assert_eq!((check.name.as_str(), check.verdict), ("text", DriftVerdict::NoDrift));
    assert!(check.p_value < 1e-6 && check.statistic > 0.57, "{check:?}");
    let score = check.deciding().unwrap();
    assert!(score.noise95 > 0.5 && score.noise95 < 0.55, "{score:?}");

    let actions = compared.unwrap().actions(&["scooter", "refund"]);
    assert_eq!(actions.terms[0].term, "scooter");
    assert!(actions.terms[0].z > 5.0 && actions.terms[0].reference == 0.0);
    let candidate = &actions.candidates[0];
    assert!(candidate.name.contains("scooter") && candidate.name != "scooter", "{candidate:?}");
    assert!((0.1..0.25).contains(&candidate.share), "{candidate:?}");
    assert!(candidate.examples.iter().all(|example| example.contains("scooter")));
    let sure = actions.new.iter().filter(|new| current[new.at].contains("scooter")).count();
    assert!(sure * 4 >= actions.new.len() * 3, "{sure} of {}", actions.new.len());
    assert!(actions.new.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
}

#[test]
fn the_result_does_not_depend_on_the_order_of_the_texts() {
    let mut random = Random::new(14);
    let (a, b) = (texts(&mut random, 200, 0.0), texts(&mut random, 200, 0.1));
    let mut turned = b.clone();
    turned.reverse();
    let (first, second) = (tested(&a, &b), tested(&a, &turned));
    assert!((first.auc - second.auc).abs() < 0.02, "{first:?} {second:?}");
    assert_eq!(first, tested(&a, &b));
}

#[test]
fn copies_of_a_text_are_no_drift_by_themselves() {
    // Each text stands twice on its side: if its copies lay in different folds, the classifier would know half of them.
    let mut random = Random::new(15);
    let mut alarms = 0;
    for _ in 0..12 {
        let twice = |random: &mut Random| -> Vec<String> {
            texts(random, 80, 0.0)
                .into_iter()
                .flat_map(|text| [format!("{text} now"), text])
                .collect()
        };
        let (a, b) = (twice(&mut random), twice(&mut random));
        alarms += u32::from(tested(&a, &b).auc > 0.65);
    }
    assert!(alarms <= 2, "{alarms} of 12");
}

#[test]
fn texts_that_cannot_be_compared_are_listed() {
    let fault = TextComparison::new(&["hello there", "hello you"], &[" ", "?"]).unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-2272", 4));
    assert_eq!(fault.message(), "the current data has no text");
    let fault = TextComparison::new(&["one"], &["two"]);
    let missing = check_texts(&fault, &DriftSpec::default()).unwrap_err();
    assert_eq!(
        (missing.why, missing.reason.as_str()),
        (NotJudgedWhy::NoValue, "no two texts share a word")
    );
    let same = vec!["where is my order"; 50];
    let missing =
        check_texts(&TextComparison::new(&same, &same), &DriftSpec::default()).unwrap_err();
    assert_eq!(missing.why, NotJudgedWhy::TooFew);
}
