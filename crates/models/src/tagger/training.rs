//! Fits a tagger by stochastic gradient steps on the likelihood of the annotated labels.

use super::{
    attributes::{N_PLACES, RADIUS},
    lattice::{Lattice, Transitions},
    learned::Tagger,
    sentences::{Sentence, Sentences, Vocabulary, gazetteer, usable},
    spans::Annotated,
    spec::{LearnEntities, TaggerSpec},
    weights::Weights,
};
use botops_findings::{Fault, Result};
use botops_stats::random::Random;
use std::collections::BTreeMap;

/// The length of the first step of a weight (AdaGrad).
const STEP: f32 = 0.2;
/// The sum of squared gradients that a weight starts with: the first steps are short.
const START: f32 = 1.0;
/// The number of utterances after which the weights of label sequences are updated.
const BATCH: usize = 8;
/// A loss, in nats, below which an utterance teaches nothing for now.
const CALM: f64 = 0.01;
/// The most passes in which a calm utterance is skipped.
const LONGEST_REST: u8 = 3;
/// A gradient below which a weight is not changed.
const STILL: f32 = 1e-5;
/// Weights below are dropped.
const SMALLEST: f32 = 1e-3;
/// Separates the order of the utterances from other draws.
const STREAM: u64 = 0x7A61;

/// Learns a tagger from `annotated`; `lists` are lookup lists by name.
///
/// The same input and seed give the same tagger: the steps are taken one after the other, in an order that the seed decides.
/// Returns `None` if entities are not to be learned, or if there are too few spans.
///
/// # Errors
/// `BOT-1140` (exit 4) with `learn: true` when no kind has enough spans; `BOT-1141` (exit 3) when there are too many tags.
pub fn learn(
    annotated: &[Annotated<'_>],
    lists: &BTreeMap<String, Vec<String>>,
    spec: &TaggerSpec,
    seed: u64,
) -> Result<Option<Tagger>> {
    if spec.learn == LearnEntities::Never {
        return Ok(None);
    }
    let usable = usable(annotated, seed);
    let Some(vocabulary) = Vocabulary::of(&usable, spec)? else {
        if spec.learn == LearnEntities::Auto {
            return Ok(None);
        }
        let message = format!(
            "`entities.learn` is `true`, and no kind of entity has {} annotated spans",
            spec.min_examples
        );
        return Err(Fault::insufficient("BOT-1140", message).hint(
            "annotate more utterances, lower `entities.min_examples`, or set `entities: { learn: auto }`",
        ));
    };
    let gazetteer = gazetteer(lists);
    let sentences = Sentences::read(&usable, &vocabulary.tags, &gazetteer);
    drop(usable);
    let mut fit = Fit::new(&sentences, vocabulary.n_labels(), spec);
    fit.run(&sentences, seed);
    let (weights, [bias, first, transitions]) = fit.finish(&sentences.keys);
    let Vocabulary { tags, kinds, synonyms } = vocabulary;
    let lists = lists.keys().cloned().collect();
    Ok(Some(Tagger { tags, kinds, bias, first, transitions, weights, lists, gazetteer, synonyms }))
}

/// A weight that is fitted.
#[derive(Debug, Clone, Copy)]
struct Weight {
    value: f32,
    /// The sum of its squared gradients.
    squares: f32,
    /// The share of its penalties that one step applies, such that a pass over the data applies all.
    share: f32,
}

impl Weight {
    fn new(share: f32) -> Self {
        Self { value: 0.0, squares: START, share }
    }

    /// Takes a step against `gradient`.
    fn step(&mut self, gradient: f32, l1: f32, l2: f32) {
        let gradient = gradient + l2 * self.share * self.value;
        self.squares += gradient * gradient;
        let length = STEP / self.squares.sqrt();
        let moved = self.value - length * gradient;
        self.value = moved.signum() * (moved.abs() - length * l1 * self.share).max(0.0);
    }
}

/// A fit under way.
struct Fit {
    n_labels: usize,
    n_passes: usize,
    l1: f32,
    l2: f32,
    /// The end of each attribute in `codes` and `weights`.
    ends: Vec<u32>,
    codes: Vec<u16>,
    weights: Vec<Weight>,
    /// Weights of labels, of first labels, and of labels after others.
    dense: [Vec<Weight>; 3],
    /// Sums of the values of `weights` and `dense` at the end of passes.
    sums: Vec<f32>,
    dense_sums: [Vec<f32>; 3],
    n_sums: usize,
}

/// The gradients of the weights of label sequences, and working memory.
struct Steps {
    lattice: Lattice,
    transitions: Transitions,
    gradients: [Vec<f64>; 3],
    scores: Vec<f32>,
    delta: Vec<f32>,
    n_pending: usize,
}

impl Fit {
    fn new(sentences: &Sentences, n_labels: usize, spec: &TaggerSpec) -> Self {
        let pairs = sentences.pairs(n_labels);
        let mut ends = vec![0_u32; sentences.keys.len()];
        let mut codes = Vec::with_capacity(pairs.len());
        let mut weights = Vec::with_capacity(pairs.len());
        for (pair, n) in pairs {
            codes.push(pair as u16);
            weights.push(Weight::new(1.0 / n as f32));
            ends[(pair >> 16) as usize] = codes.len() as u32;
        }
        let share = 1.0 / (sentences.all.len().div_ceil(BATCH)) as f32;
        let dense = [n_labels, n_labels, n_labels * n_labels].map(|n| vec![Weight::new(share); n]);
        Self {
            n_labels,
            n_passes: spec.max_iterations,
            l1: spec.l1 as f32,
            l2: spec.l2 as f32,
            sums: vec![0.0; weights.len()],
            dense_sums: dense.each_ref().map(|weights| vec![0.0; weights.len()]),
            ends,
            codes,
            weights,
            dense,
            n_sums: 0,
        }
    }

    /// Passes over `sentences` as often as the spec says; the weights are the means after the later half of the passes.
    fn run(&mut self, sentences: &Sentences, seed: u64) {
        let mut random = Random::stream(seed, STREAM);
        let mut order: Vec<u32> = (0..sentences.all.len() as u32).collect();
        // The passes in which an utterance is skipped, and the last number of them.
        let mut rests = vec![(0_u8, 0_u8); order.len()];
        let n_labels = self.n_labels;
        let mut steps = Steps {
            lattice: Lattice::default(),
            transitions: Transitions::new(n_labels),
            gradients: [n_labels, n_labels, n_labels * n_labels].map(|n| vec![0.0; n]),
            scores: Vec::new(),
            delta: Vec::new(),
            n_pending: 0,
        };
        for pass in 0..self.n_passes {
            random.shuffle(&mut order);
            for &i in &order {
                let (left, last) = &mut rests[i as usize];
                if *left > 0 {
                    *left -= 1;
                    continue;
                }
                let is_calm = self.learn(&sentences.all[i as usize], &mut steps);
                *last = if is_calm { (2 * *last + 1).min(LONGEST_REST) } else { 0 };
                *left = *last;
            }
            self.step_dense(&mut steps);
            if 2 * pass + 1 >= self.n_passes {
                self.sum();
            }
        }
    }

    /// Takes a step for `sentence`, and returns whether there was nothing to learn.
    fn learn(&mut self, sentence: &Sentence, steps: &mut Steps) -> bool {
        let (n, n_labels) = (sentence.gold.len(), self.n_labels);
        self.score(sentence, &mut steps.scores);
        let rows = RADIUS * n_labels..(RADIUS + n) * n_labels;
        let scores = &steps.scores[rows.clone()];
        let loss = steps.lattice.read(scores, &sentence.gold, &steps.transitions);
        if loss.is_none_or(|loss| loss < CALM) {
            return true;
        }
        steps.delta.clear();
        steps.delta.resize((n + 2 * RADIUS) * n_labels, 0.0);
        let [bias, first, between] = &mut steps.gradients;
        let delta = &mut steps.delta[rows.clone()];
        steps.lattice.gradient(&sentence.gold, &steps.transitions, delta, (first, between));
        for row in delta.chunks_exact(n_labels) {
            bias.iter_mut().zip(row).for_each(|(sum, delta)| *sum += f64::from(*delta));
        }
        self.step(sentence, &steps.delta);
        steps.n_pending += 1;
        if steps.n_pending == BATCH {
            self.step_dense(steps);
        }
        false
    }

    /// Iterates over the attributes of each token of `sentence`, with the number of the token.
    fn attributes(sentence: &Sentence) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut token = 0;
        (0..).zip(&sentence.attributes).map(move |(i, attribute)| {
            while sentence.ends[token] <= i {
                token += 1;
            }
            (token, *attribute as usize)
        })
    }

    fn entries(ends: &[u32], attribute: usize) -> std::ops::Range<usize> {
        let start = if attribute == 0 { 0 } else { ends[attribute - 1] };
        start as usize..ends[attribute] as usize
    }

    /// Writes the scores of the labels, with the rows of `RADIUS` tokens before the first and after the last.
    fn score(&self, sentence: &Sentence, scores: &mut Vec<f32>) {
        let (n, n_labels) = (sentence.gold.len(), self.n_labels);
        scores.clear();
        scores.resize((n + 2 * RADIUS) * n_labels, 0.0);
        for (token, attribute) in Self::attributes(sentence) {
            let seen = &mut scores[token * n_labels..][..N_PLACES * n_labels];
            let entries = Self::entries(&self.ends, attribute);
            for (code, weight) in self.codes[entries.clone()].iter().zip(&self.weights[entries]) {
                seen[usize::from(*code)] += weight.value;
            }
        }
        for row in scores[RADIUS * n_labels..].chunks_exact_mut(n_labels).take(n) {
            row.iter_mut().zip(&self.dense[0]).for_each(|(score, bias)| *score += bias.value);
        }
    }

    /// Takes a step with the weights of the attributes of `sentence`.
    fn step(&mut self, sentence: &Sentence, delta: &[f32]) {
        let n_labels = self.n_labels;
        for (token, attribute) in Self::attributes(sentence) {
            let seen = &delta[token * n_labels..][..N_PLACES * n_labels];
            let entries = Self::entries(&self.ends, attribute);
            let codes = &self.codes[entries.clone()];
            for (code, weight) in codes.iter().zip(&mut self.weights[entries]) {
                let gradient = seen[usize::from(*code)];
                if gradient.abs() > STILL {
                    weight.step(gradient, self.l1, self.l2);
                }
            }
        }
    }

    /// Takes a step with the weights of label sequences.
    fn step_dense(&mut self, steps: &mut Steps) {
        for (weights, gradients) in self.dense.iter_mut().zip(&mut steps.gradients) {
            for (weight, gradient) in weights.iter_mut().zip(gradients) {
                if *gradient != 0.0 {
                    weight.step(*gradient as f32, 0.0, self.l2);
                    *gradient = 0.0;
                }
            }
        }
        let values = |weights: &[Weight]| weights.iter().map(|w| w.value).collect::<Vec<_>>();
        steps.transitions.set(&values(&self.dense[1]), &values(&self.dense[2]));
        steps.n_pending = 0;
    }

    /// Adds the weights to their sums.
    fn sum(&mut self) {
        let add = |sums: &mut [f32], weights: &[Weight]| {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight.value);
        };
        add(&mut self.sums, &self.weights);
        for (sums, weights) in self.dense_sums.iter_mut().zip(&self.dense) {
            add(sums, weights);
        }
        self.n_sums += 1;
    }

    /// Returns the weights of attributes by `keys`, and those of label sequences.
    fn finish(self, keys: &[u64]) -> (Weights, [Vec<f32>; 3]) {
        let n = self.n_sums as f32;
        let dense = self.dense_sums.map(|sums| sums.iter().map(|sum| sum / n).collect());
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_unstable_by_key(|&i| keys[i]);
        let (mut kept, mut ends) = (Vec::new(), Vec::new());
        let (mut codes, mut weights) = (Vec::new(), Vec::new());
        for i in order {
            let before = codes.len();
            for at in Self::entries(&self.ends, i) {
                let weight = self.sums[at] / n;
                if weight.abs() >= SMALLEST {
                    codes.push(self.codes[at]);
                    weights.push(weight);
                }
            }
            if codes.len() > before {
                kept.push(keys[i]);
                ends.push(codes.len() as u32);
            }
        }
        let weights = Weights::new(kept, ends, codes, weights, self.n_labels)
            .expect("fitted weights belong together");
        (weights, dense)
    }
}
