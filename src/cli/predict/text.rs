//! Predictions as text.

use super::classification::Classified;
use crate::cli::terminal::{entities::entities, tables};
use botops_models::confidence::{FallbackRule, OosScore};
use botops_text::display;

/// Renders one prediction: the intent, the confidence, and the next intents.
pub(super) fn single(one: &Classified, rule: FallbackRule) -> String {
    let FallbackRule { score, threshold, .. } = rule;
    let mut out = if !one.fallback {
        format!("{} {:.3}\n", one.intent, one.confidence)
    } else if one.score >= threshold {
        format!("fallback: no word or part of a word is known; the best guess is {}\n", one.intent)
    } else if score == OosScore::MaxProbability {
        format!(
            "fallback: confidence {:.3} is below {threshold:.3}; the best guess is {}\n",
            one.confidence, one.intent
        )
    } else {
        format!(
            "fallback: {} {:.3} is below {threshold:.3}; the best guess is {} {:.3}\n",
            score.name(),
            one.score,
            one.intent,
            one.confidence
        )
    };
    let others: Vec<String> = one
        .scores
        .iter()
        .filter(|score| score.intent != one.intent)
        .map(|score| format!("{} {:.3}", score.intent, score.probability))
        .collect();
    if !others.is_empty() {
        out.push_str(&format!("  then {}\n", others.join(", ")));
    }
    if let Some(set) = &one.prediction_set {
        match set.as_slice() {
            [] => out.push_str("  no intent is likely enough to be in the set\n"),
            intents => out.push_str(&format!("  one of {{{}}}\n", intents.join(", "))),
        }
    }
    if let Some(found) = one.entities.as_ref().filter(|found| !found.is_empty()) {
        out.push_str(&format!("  entities {}\n", display(&entities(found), 1_000)));
    }
    if let Some(explanation) = &one.explanation {
        out.push_str(&explanation.text());
    }
    out
}

/// Renders several predictions, one line for each, with a column for entities if the model finds any.
pub(super) fn many(predictions: &[Classified]) -> String {
    let has_entities = predictions.iter().any(|one| one.entities.is_some());
    let rows = predictions.iter().map(|one| {
        let mut row = vec![
            one.intent.clone(),
            format!("{:.3}", one.confidence),
            if one.fallback { "yes" } else { "" }.to_owned(),
        ];
        if has_entities {
            row.push(display(&entities(one.entities.as_deref().unwrap_or_default()), 80));
        }
        row.push(display(&one.text, 80));
        row
    });
    match has_entities {
        true => {
            tables::table(&["intent", "confidence", "fallback", "entities", "text"], rows, &[1])
        }
        false => tables::table(&["intent", "confidence", "fallback", "text"], rows, &[1]),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::classification::Score, *};
    use botops_dialogue::Entity;

    fn classified(intent: &str, confidence: f64, fallback: bool) -> Classified {
        let score = |intent: &str, probability| Score { intent: intent.to_owned(), probability };
        Classified {
            record: None,
            text: "where is it?".to_owned(),
            truth: None,
            intent: intent.to_owned(),
            confidence,
            score: confidence,
            fallback,
            prediction_set: None,
            proba: Vec::new(),
            entities: None,
            explanation: None,
            scores: vec![score(intent, confidence), score("complaint", 0.125)],
        }
    }

    #[test]
    fn a_prediction_shows_the_other_intents_once() {
        let rule = FallbackRule::at(OosScore::MaxProbability, 0.35);
        assert_eq!(
            single(&classified("order_status", 0.75, false), rule),
            "order_status 0.750\n  then complaint 0.125\n"
        );
        let fallback = single(&classified("order_status", 0.25, true), rule);
        assert_eq!(
            fallback,
            "fallback: confidence 0.250 is below 0.350; the best guess is order_status\n  then complaint 0.125\n"
        );
        let centroid = FallbackRule::at(OosScore::Centroid, 0.5);
        let far = Classified {
            score: 0.125,
            scores: Vec::new(),
            prediction_set: Some(vec!["order_status".to_owned(), "complaint".to_owned()]),
            ..classified("order_status", 0.75, true)
        };
        assert_eq!(
            single(&far, centroid),
            "fallback: centroid 0.125 is below 0.500; the best guess is order_status 0.750\n  one of {order_status, complaint}\n"
        );
        let city = Classified {
            scores: Vec::new(),
            entities: Some(vec![
                Entity::new("city", "Lyon", 3, 7),
                Entity::new("order", "#1234", 9, 14),
            ]),
            ..classified("order_status", 0.75, false)
        };
        assert_eq!(single(&city, rule), "order_status 0.750\n  entities city=Lyon, order=#1234\n");
        let none = Classified { entities: Some(Vec::new()), ..classified("complaint", 0.5, false) };
        let table = many(&[city, none]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(
            lines[0].contains("entities") && lines[1].contains("city=Lyon, order=#1234"),
            "{table}"
        );
        assert!(!many(&[classified("complaint", 0.5, false)]).contains("entities"));
        let unknown = Classified {
            scores: Vec::new(),
            prediction_set: Some(Vec::new()),
            ..classified("order_status", 0.5, true)
        };
        assert_eq!(
            single(&unknown, rule),
            "fallback: no word or part of a word is known; the best guess is order_status\n  no intent is likely enough to be in the set\n"
        );
    }
}
