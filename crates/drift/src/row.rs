//! Rows: the utterances of one side, each with its quantities.

use botops_text as text;

/// One utterance and its quantities.
#[derive(Debug, Clone, Default)]
pub struct Row<'a> {
    /// The utterance.
    pub text: &'a str,
    /// The declared language without its region. A language that is only guessed is not compared.
    pub lang: Option<&'a str>,
    /// The predicted intent, or `fallback`, if there is a model.
    pub intent: Option<&'a str>,
    /// The confidence, in [0, 1], if there is a model.
    pub confidence: Option<f64>,
    /// The share of words unknown to the model, in [0, 1], if there is a model.
    pub unseen_word_rate: Option<f64>,
}

/// Makes rows of utterances: (text, declared language).
///
/// `en-GB` counts as `en`. `predictions` holds, for each utterance, the intent (or `fallback`),
/// the confidence and the unseen-word rate.
#[must_use]
pub fn rows<'a>(
    texts: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    predictions: Option<Vec<(&'a str, f64, f64)>>,
) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = texts
        .map(|(text, lang)| Row {
            text,
            lang: lang.map(text::base_language).filter(|lang| !lang.is_empty()),
            ..Row::default()
        })
        .collect();
    if let Some(predictions) = predictions {
        for (row, (intent, confidence, unseen_word_rate)) in rows.iter_mut().zip(predictions) {
            row.intent = Some(intent);
            row.confidence = Some(confidence);
            row.unseen_word_rate = Some(unseen_word_rate);
        }
    }
    rows
}
