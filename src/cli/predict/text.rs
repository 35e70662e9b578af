//! Predictions for people.

use super::Classified;
use crate::{cli::tables, text::display};

/// Draws one utterance: what it means, how sure the model is, and what else it might be.
pub(super) fn single(one: &Classified, threshold: f64) -> String {
    let mut out = if one.fallback {
        format!(
            "fallback: confidence {:.3} is below {threshold:.3}; the best guess is {}\n",
            one.confidence, one.intent
        )
    } else {
        format!("{} {:.3}\n", one.intent, one.confidence)
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
    if let Some(explanation) = &one.explanation {
        out.push_str(&explanation.text());
    }
    out
}

/// Draws several utterances, a line each.
pub(super) fn many(predictions: &[Classified]) -> String {
    let rows = predictions.iter().map(|one| {
        vec![
            one.intent.clone(),
            format!("{:.3}", one.confidence),
            if one.fallback { "yes" } else { "" }.to_owned(),
            display(&one.text, 80),
        ]
    });
    tables::table(&["intent", "confidence", "fallback", "text"], rows, &[1])
}

#[cfg(test)]
mod tests {
    use super::{super::Score, *};

    fn classified(intent: &str, confidence: f64, fallback: bool) -> Classified {
        let score = |intent: &str, probability| Score { intent: intent.to_owned(), probability };
        Classified {
            record: None,
            text: "where is it?".to_owned(),
            truth: None,
            intent: intent.to_owned(),
            confidence,
            fallback,
            explanation: None,
            scores: vec![score(intent, confidence), score("complaint", 0.125)],
        }
    }

    #[test]
    fn one_utterance_shows_its_runner_ups_without_itself() {
        assert_eq!(
            single(&classified("order_status", 0.75, false), 0.35),
            "order_status 0.750\n  then complaint 0.125\n"
        );
        let fallback = single(&classified("order_status", 0.25, true), 0.35);
        assert_eq!(
            fallback,
            "fallback: confidence 0.250 is below 0.350; the best guess is order_status\n  then complaint 0.125\n"
        );
    }
}
