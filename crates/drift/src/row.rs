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
    /// The language guessed from the text without its region; it is never compared with a declared one.
    pub guessed: Option<&'a str>,
    /// The score that the model compares with the threshold of its fallback, if there is a model.
    pub oos_score: Option<f64>,
    /// Whether the model declined to answer, if there is a model.
    pub fallback: Option<bool>,
    /// The kinds of entities found in the utterance, sorted, each once; `None` if none were searched.
    pub entities: Option<&'a [String]>,
    /// The time of the answer in milliseconds.
    pub latency_ms: Option<f64>,
    /// The number of characters, if `text` is not the utterance as it was: a log may hold it redacted, or not at all.
    pub n_chars: Option<u32>,
}

impl Row<'_> {
    /// Returns the number of characters.
    pub(crate) fn length_chars(&self) -> f64 {
        self.n_chars.map_or_else(|| self.text.chars().count() as f64, f64::from)
    }

    /// Returns whether the words of the utterance are unknown, because its text was not kept.
    pub(crate) fn lacks_text(&self) -> bool {
        self.text.is_empty() && self.n_chars.is_some_and(|n| n > 0)
    }

    /// Returns the kinds of entities as one category, such as `email + order_number`, or `none`.
    pub(crate) fn entity_kinds(&self) -> Option<String> {
        self.entities.map(|kinds| match kinds {
            [] => "none".to_owned(),
            kinds => kinds.join(" + "),
        })
    }

    /// Returns the decision of the model as a category.
    pub(crate) fn decision(&self) -> Option<&'static str> {
        self.fallback.map(|declined| if declined { "fallback" } else { "answered" })
    }
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
