//! Finds the likeliest labels of a text, and the entities that they mark.

use super::{
    attributes::{Attributes, RADIUS},
    labels::{before, is_inside, tag_of},
    learned::Tagger,
    tokens::{Token, tokenise},
};
use botops_dialogue::Entity;
use botops_text::normalise;

/// Working memory for tagging, reused between texts.
#[derive(Debug, Default)]
pub struct TagScratch {
    tokens: Vec<Token>,
    attributes: Attributes,
    /// The scores of the labels of each token, with the rows of `RADIUS` tokens before the first and after the last.
    scores: Vec<f32>,
    /// The score of the best path to each label of the last token read, and of the one before.
    best: Vec<f32>,
    previous: Vec<f32>,
    /// The label before each label of each token on its best path.
    came_from: Vec<u16>,
    labels: Vec<u16>,
}

impl Tagger {
    /// Returns the entities of `text`, by position, with offsets in code points; they never overlap.
    ///
    /// The time is linear in the text. Nothing is allocated if the text is not longer than those before, except for the
    /// entities.
    pub fn tag(&self, text: &str, scratch: &mut TagScratch) -> Vec<Entity> {
        tokenise(text, &mut scratch.tokens);
        if scratch.tokens.is_empty() {
            return Vec::new();
        }
        scratch.attributes.read(text, &scratch.tokens, &self.gazetteer);
        self.score(scratch);
        self.decode(scratch);
        self.entities(text, &scratch.tokens, &scratch.labels)
    }

    /// Writes the scores of the labels of each token.
    fn score(&self, scratch: &mut TagScratch) {
        let (n, n_labels, window) = (scratch.tokens.len(), self.n_labels(), self.window());
        let scores = &mut scratch.scores;
        scores.clear();
        scores.resize((n + 2 * RADIUS) * n_labels, 0.0);
        for (i, keys) in scratch.attributes.iter().enumerate() {
            let seen = &mut scores[i * n_labels..][..window];
            for &key in keys {
                self.weights.add_to(key, seen);
            }
        }
        for row in scores[RADIUS * n_labels..].chunks_exact_mut(n_labels).take(n) {
            row.iter_mut().zip(&self.bias).for_each(|(score, bias)| *score += bias);
        }
    }

    /// Writes the likeliest labels (Viterbi). Of equally likely paths, the one with the lowest labels from the end on.
    fn decode(&self, scratch: &mut TagScratch) {
        let TagScratch { tokens, scores, best, previous, came_from, labels, .. } = scratch;
        let (n, n_labels) = (tokens.len(), self.n_labels());
        let rows = scores[RADIUS * n_labels..].chunks_exact(n_labels).take(n);
        came_from.clear();
        came_from.resize(n * n_labels, 0);
        best.clear();
        best.resize(n_labels, f32::NEG_INFINITY);
        previous.clear();
        previous.resize(n_labels, f32::NEG_INFINITY);
        for (i, row) in rows.enumerate() {
            std::mem::swap(best, previous);
            let origins = &mut came_from[i * n_labels..][..n_labels];
            for (label, (score, origin)) in row.iter().zip(origins).enumerate() {
                if i == 0 {
                    best[label] = match is_inside(label) {
                        true => f32::NEG_INFINITY,
                        false => score + self.first[label],
                    };
                    continue;
                }
                let range = before(label, n_labels);
                let weights = &self.transitions[label * n_labels..][range.clone()];
                let (mut top, mut from) = (f32::NEG_INFINITY, range.start);
                let paths = previous[range.clone()].iter().zip(weights).zip(range);
                for ((path, weight), label) in paths {
                    let sum = path + weight;
                    if sum > top {
                        (top, from) = (sum, label);
                    }
                }
                *origin = from as u16;
                best[label] = top + score;
            }
        }
        let top = best.iter().enumerate().fold(
            0,
            |top, (label, score)| {
                if *score > best[top] { label } else { top }
            },
        );
        labels.clear();
        labels.resize(n, 0);
        let mut label = top;
        for i in (0..n).rev() {
            labels[i] = label as u16;
            label = usize::from(came_from[i * n_labels + label]);
        }
    }

    /// Returns the entities that `labels` mark.
    fn entities(&self, text: &str, tokens: &[Token], labels: &[u16]) -> Vec<Entity> {
        let mut entities = Vec::new();
        let mut i = 0;
        while i < labels.len() {
            let Some(tag) = tag_of(usize::from(labels[i])) else {
                i += 1;
                continue;
            };
            let first = tokens[i];
            let mut last = first;
            i += 1;
            while i < labels.len() && is_inside(usize::from(labels[i])) {
                last = tokens[i];
                i += 1;
            }
            entities.push(self.entity(
                tag,
                &text[first.bytes.0..last.bytes.1],
                (first.chars.0, last.chars.1),
            ));
        }
        entities
    }

    fn entity(&self, tag: usize, value: &str, (start, end): (usize, usize)) -> Entity {
        let tag = &self.tags[tag];
        let synonyms = self.synonyms.get(&tag.entity);
        let canonical = synonyms.and_then(|synonyms| synonyms.get(&normalise(value)));
        Entity {
            normalised: canonical.map(|canonical| canonical.as_str().into()),
            role: tag.role.clone(),
            group: tag.group.clone(),
            ..Entity::new(&tag.entity, value, start, end)
        }
    }
}
