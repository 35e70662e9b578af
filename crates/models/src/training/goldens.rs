//! The choice of golden utterances for the self-test of a model.

use super::samples::Samples;
use crate::ModelSpec;
use botops_stats::random::Random;
use std::collections::BTreeSet;

/// The longest golden utterance, in bytes: goldens are displayed, and run at each start of a server.
const LONGEST: usize = 400;
/// Separates the draw of goldens from the draws of folds and heads.
const STREAM: u64 = 0x601D;

/// Draws `spec.goldens` distinct utterances, one of each intent in turn, in shuffled order.
pub(crate) fn draw<'a>(samples: &Samples<'a>, spec: &ModelSpec) -> Vec<&'a str> {
    let mut random = Random::stream(spec.seed, STREAM);
    let mut by_intent: Vec<Vec<&str>> = vec![Vec::new(); samples.labels.len()];
    let mut seen = BTreeSet::new();
    for (text, &class) in samples.in_scope().iter().zip(&samples.y) {
        if (1..=LONGEST).contains(&text.len()) && seen.insert(*text) {
            by_intent[class as usize].push(text);
        }
    }
    for texts in &mut by_intent {
        random.shuffle(texts);
    }
    random.shuffle(&mut by_intent);
    let longest = by_intent.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|round| by_intent.iter().filter_map(move |texts| texts.get(round).copied()))
        .take(spec.goldens)
        .collect()
}
