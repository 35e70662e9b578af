//! Fits the weights of spans and the default of abstention on one half of XQuAD English, and measures on the other.
//!
//! `BOTOPS_XQUAD=xquad.en.json cargo nextest run -p botops-knowledge weights_of_answers --run-ignored only --no-capture`
//! prints the constants of `weights.rs` and of `Abstention::default`;
//! `figures_of_the_embedded_weights` prints the figures of these. A passage chooses if the first byte of the SHA-256 of its text
//! is even. Candidates are the best 5 of BM25 (k1 0.9, b 0.4, stems) over all passages.

use super::{
    candidate::Candidate,
    extraction::{AnswerSpec, Answered, extract_with, shortlist},
    passages::Passages,
    question::Question,
    span::{FEATURES, Reading, features, spans},
    weights::WEIGHTS,
    words::{stemmer, words},
};
use crate::abstention::{Abstention, KnownAnswer};
use botops_digest::Digest;
use botops_stats::random::Random;
use std::collections::BTreeMap;

struct Asked {
    text: String,
    passage: usize,
    start: usize,
    answer: String,
    /// The best passages, in order.
    ranked: Vec<usize>,
}

struct Corpus {
    passages: Vec<String>,
    chooses: Vec<bool>,
    questions: Vec<Asked>,
}

impl Corpus {
    fn read() -> Self {
        let path = std::env::var("BOTOPS_XQUAD").expect("the path of xquad.en.json");
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let (mut passages, mut questions) = (Vec::new(), Vec::new());
        for paragraph in json["data"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|article| article["paragraphs"].as_array().unwrap())
        {
            let text = paragraph["context"].as_str().unwrap();
            for question in paragraph["qas"].as_array().unwrap() {
                let answer = &question["answers"][0];
                let characters = answer["answer_start"].as_u64().unwrap() as usize;
                questions.push(Asked {
                    text: question["question"].as_str().unwrap().to_owned(),
                    passage: passages.len(),
                    start: text.chars().take(characters).map(char::len_utf8).sum(),
                    answer: answer["text"].as_str().unwrap().to_owned(),
                    ranked: Vec::new(),
                });
            }
            passages.push(text.to_owned());
        }
        let chooses =
            passages.iter().map(|text| Digest::of(text.as_bytes()).as_bytes()[0].is_multiple_of(2));
        let chooses = chooses.collect();
        let mut corpus = Self { passages, chooses, questions };
        corpus.rank();
        corpus
    }

    fn rank(&mut self) {
        let stemmer = stemmer(Some("en"));
        let stems = |text: &str| -> Vec<String> {
            words(text, stemmer.as_ref()).into_iter().map(|word| word.stem).collect()
        };
        let documents: Vec<Vec<String>> = self.passages.iter().map(|text| stems(text)).collect();
        let n = documents.len() as f64;
        let mean = documents.iter().map(Vec::len).sum::<usize>() as f64 / n;
        let counts: Vec<BTreeMap<&str, f64>> = documents
            .iter()
            .map(|words| {
                let mut counts = BTreeMap::new();
                words.iter().for_each(|word| *counts.entry(word.as_str()).or_insert(0.0) += 1.0);
                counts
            })
            .collect();
        for question in &mut self.questions {
            let mut scores = vec![0.0; documents.len()];
            for stem in stems(&question.text) {
                let df = counts.iter().filter(|counts| counts.contains_key(stem.as_str())).count()
                    as f64;
                let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                for (at, counts) in counts.iter().enumerate() {
                    let tf = counts.get(stem.as_str()).copied().unwrap_or(0.0);
                    let length = documents[at].len() as f64 / mean;
                    scores[at] += idf * tf / (tf + 0.9 * (0.6 + 0.4 * length));
                }
            }
            let mut order: Vec<usize> = (0..documents.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            order.truncate(6);
            question.ranked = order;
        }
    }

    /// Returns the best 5 passages for a question, without `removed`.
    fn candidates(&self, question: &Asked, removed: Option<usize>) -> Vec<(usize, Candidate<'_>)> {
        let kept = question.ranked.iter().copied().filter(|at| Some(*at) != removed).take(5);
        let candidate = |at: usize| Candidate {
            chunk: "",
            title: "",
            section: "",
            url: None,
            page: None,
            language: Some("en"),
            text: &self.passages[at],
            score: 0.0,
            cosine: None,
        };
        kept.map(|at| (at, candidate(at))).collect()
    }
}

/// SQuAD's normal form: lower case, without punctuation and articles.
fn tokens(text: &str) -> Vec<String> {
    let plain: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    plain
        .split_whitespace()
        .filter(|word| !matches!(*word, "a" | "an" | "the"))
        .map(str::to_owned)
        .collect()
}

fn token_f1(predicted: &str, truth: &str) -> f64 {
    let (predicted, truth) = (tokens(predicted), tokens(truth));
    let mut left = truth.clone();
    let mut same = 0.0;
    for token in &predicted {
        if let Some(at) = left.iter().position(|other| other == token) {
            left.swap_remove(at);
            same += 1.0;
        }
    }
    if same == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (same / predicted.len() as f64, same / truth.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// One question as the sparse features of its spans, and which of them are right.
struct Example {
    question: usize,
    spans: Vec<Vec<(u16, f32)>>,
    right: Vec<bool>,
}

fn examples(corpus: &Corpus) -> Vec<Example> {
    let stemmer = stemmer(Some("en"));
    let mut found = Vec::new();
    for (at, asked) in corpus.questions.iter().enumerate() {
        let named = corpus.candidates(asked, None);
        let candidates: Vec<Candidate<'_>> = named.iter().map(|(_, it)| *it).collect();
        let question = Question::of(&asked.text, stemmer.as_ref());
        let passages = Passages::of(&question, &candidates);
        let (mut rows, mut fits) = (Vec::new(), Vec::new());
        for sentence in shortlist(&passages) {
            let sentence = &passages.sentences[sentence];
            let text = candidates[sentence.candidate].text;
            let reading = Reading::of(sentence, &candidates);
            for span in spans(&reading.words) {
                let mut row: Vec<(u16, f32)> = Vec::new();
                features(&question, &passages, &reading, span, |at, value| {
                    if value != 0.0 {
                        row.push((at as u16, value as f32));
                    }
                });
                rows.push(row);
                let place =
                    reading.words[span.first].range.start..reading.words[span.last].range.end;
                let end = asked.start + asked.answer.len();
                let is_there = named[sentence.candidate].0 == asked.passage
                    && place.start < end
                    && asked.start < place.end;
                fits.push(if is_there { token_f1(&text[place], &asked.answer) } else { 0.0 });
            }
        }
        let best = fits.iter().copied().fold(0.0, f64::max);
        let right = fits.iter().map(|fit| best >= 0.6 && *fit >= best - 1e-9).collect();
        found.push(Example { question: at, spans: rows, right });
    }
    found
}

/// Fits by `AdaGrad` on -log of the probability of the right spans, with an L2 penalty.
fn fit(examples: &[&Example], penalty: f64, epochs: usize) -> Vec<f64> {
    let mut weights = vec![0.0_f64; FEATURES];
    let mut squares = vec![1e-6_f64; FEATURES];
    let score = |weights: &[f64], row: &[(u16, f32)]| -> f64 {
        row.iter().map(|(at, value)| weights[*at as usize] * f64::from(*value)).sum()
    };
    let useful: Vec<&&Example> =
        examples.iter().filter(|example| example.right.contains(&true)).collect();
    for _ in 0..epochs {
        for example in &useful {
            let scores: Vec<f64> = example.spans.iter().map(|row| score(&weights, row)).collect();
            let top = scores.iter().copied().fold(f64::MIN, f64::max);
            let parts: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
            let all: f64 = parts.iter().sum();
            let right: f64 =
                parts.iter().zip(&example.right).filter(|(_, right)| **right).map(|(p, _)| p).sum();
            let mut gradient = vec![0.0; FEATURES];
            for ((row, part), is_right) in example.spans.iter().zip(&parts).zip(&example.right) {
                let pull = if *is_right { part / right } else { 0.0 } - part / all;
                for (at, value) in row {
                    gradient[*at as usize] += pull * f64::from(*value);
                }
            }
            for at in 0..FEATURES {
                let slope = gradient[at] - penalty * weights[at] / useful.len() as f64;
                squares[at] += slope * slope;
                weights[at] += 0.1 * slope / squares[at].sqrt();
            }
        }
    }
    weights
}

/// The results of one question.
struct Outcome {
    passage: usize,
    f1: f64,
    is_exact: bool,
    sentence_f1: f64,
    is_in_quote: bool,
    known: [KnownAnswer; 2],
}

fn outcome(corpus: &Corpus, asked: &Asked, weights: &[f64]) -> Outcome {
    let abstention = Abstention::default();
    let spec = AnswerSpec { abstention: &abstention, min_confidence: Some(0.0) };
    let answer = |removed: Option<usize>| {
        let named = corpus.candidates(asked, removed);
        let candidates: Vec<Candidate<'_>> = named.iter().map(|(_, it)| *it).collect();
        extract_with(&asked.text, &candidates, &spec, weights)
    };
    let (full, without) = (answer(None), answer(Some(asked.passage)));
    let Answered::Extract(extract) = &full else { panic!("{}", asked.text) };
    let is_in_quote = corpus.passages[asked.passage].contains(&extract.quote)
        && extract.quote.contains(asked.answer.trim());
    Outcome {
        passage: asked.passage,
        f1: token_f1(extract.short_answer(), &asked.answer),
        is_exact: tokens(extract.short_answer()) == tokens(&asked.answer),
        sentence_f1: token_f1(&extract.quote, &asked.answer),
        is_in_quote,
        known: [
            KnownAnswer { signals: full.signals(), is_right: is_in_quote },
            KnownAnswer { signals: without.signals(), is_right: false },
        ],
    }
}

/// Returns the mean and its 95 % interval by 10,000 bootstrap samples of whole passages.
fn interval(outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) -> (f64, f64, f64) {
    let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for outcome in outcomes {
        let group = groups.entry(outcome.passage).or_default();
        *group = (group.0 + value(outcome), group.1 + 1.0);
    }
    let groups: Vec<(f64, f64)> = groups.into_values().collect();
    let mean = |groups: &mut dyn Iterator<Item = (f64, f64)>| {
        let (sum, n) = groups.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        sum / n
    };
    let mut random = Random::new(7);
    let mut means: Vec<f64> = (0..10_000)
        .map(|_| mean(&mut (0..groups.len()).map(|_| groups[random.below(groups.len())])))
        .collect();
    means.sort_by(f64::total_cmp);
    (mean(&mut groups.iter().copied()), means[250], means[9_749])
}

fn show(name: &str, outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) {
    let (mean, low, high) = interval(outcomes, value);
    println!("  {name} {mean:.3} [{low:.3}, {high:.3}]");
}

#[test]
#[ignore = "reads XQuAD English, which is not in the repository: see the head of this file"]
fn weights_of_answers_are_fitted_and_measured() {
    let corpus = Corpus::read();
    let examples = examples(&corpus);
    let of_half = |chooses: bool| -> Vec<&Example> {
        let is_of =
            |it: &&Example| corpus.chooses[corpus.questions[it.question].passage] == chooses;
        examples.iter().filter(is_of).collect()
    };
    let choosing = of_half(true);
    let reach = choosing.iter().filter(|it| it.right.contains(&true)).count();
    println!("choosing: {} questions, a right span in {reach}", choosing.len());
    let outcomes = |list: &[&Example], weights: &[f64]| -> Vec<Outcome> {
        list.iter().map(|it| outcome(&corpus, &corpus.questions[it.question], weights)).collect()
    };
    let folds = |penalty: f64, epochs: usize| -> Vec<Outcome> {
        let fold = |fold: usize| {
            let is_out = |it: &&&Example| corpus.questions[it.question].passage % 5 == fold;
            let train: Vec<&Example> = choosing.iter().filter(|it| !is_out(it)).copied().collect();
            let test: Vec<&Example> = choosing.iter().filter(is_out).copied().collect();
            outcomes(&test, &fit(&train, penalty, epochs))
        };
        (0..5).flat_map(fold).collect()
    };
    let mut best = (0.0, 1.0, 20);
    for penalty in [0.3, 1.0, 3.0] {
        for epochs in [10, 30] {
            let (f1, ..) = interval(&folds(penalty, epochs), |it| it.f1);
            let (quoted, ..) =
                interval(&folds(penalty, epochs), |it| f64::from(u8::from(it.is_in_quote)));
            println!(
                "penalty {penalty}, {epochs} epochs: F1 {f1:.4}, quoted {quoted:.4} out of fold"
            );
            if f1 > best.0 {
                best = (f1, penalty, epochs);
            }
        }
    }
    let (_, penalty, epochs) = best;
    let out_of_fold = folds(penalty, epochs);
    let known: Vec<KnownAnswer> = out_of_fold.iter().flat_map(|it| it.known).collect();
    let abstention = Abstention::fit(&known).unwrap();
    let weights = fit(&choosing, penalty, epochs);
    println!("WEIGHTS (penalty {penalty}, {epochs} epochs):");
    for row in weights.chunks(10) {
        let row: Vec<String> = row.iter().map(|weight| format!("{weight:.3}")).collect();
        println!("    {},", row.join(", "));
    }
    println!("{abstention:?}");
    let testing = of_half(false);
    let list: Vec<usize> = testing.iter().map(|it| it.question).collect();
    report(&corpus, &list, "fitted now", &weights, &abstention);
}

/// Prints the figures of the questions `list`.
fn report(corpus: &Corpus, list: &[usize], name: &str, weights: &[f64], abstention: &Abstention) {
    let started = std::time::Instant::now();
    let tested: Vec<Outcome> =
        list.iter().map(|at| outcome(corpus, &corpus.questions[*at], weights)).collect();
    let each = started.elapsed().as_secs_f64() * 1e6 / (2 * tested.len()) as f64;
    println!("testing half, {} questions, weights {name}:", tested.len());
    println!("  {each:.0} microseconds for an answer from 5 passages");
    show("token F1 of the short answer", &tested, |it| it.f1);
    show("exact match of the short answer", &tested, |it| f64::from(u8::from(it.is_exact)));
    show("token F1 of the sentence", &tested, |it| it.sentence_f1);
    show("quotes that hold the answer", &tested, |it| f64::from(u8::from(it.is_in_quote)));
    let given = |it: &KnownAnswer| abstention.probability(&it.signals) >= abstention.threshold();
    let n_of = |right: Option<bool>, which: usize| {
        let answers = tested.iter().map(|it| it.known[which]);
        answers.filter(|it| given(it) && right.is_none_or(|right| right == it.is_right)).count()
    };
    let (n_answered, n_wrongly) = (n_of(None, 0), n_of(None, 1));
    println!(
        "  at {:.2}, {n_answered} answerable and {n_wrongly} unanswerable questions get an answer; {} are right",
        abstention.threshold(),
        n_of(Some(true), 0)
    );
}

#[test]
#[ignore = "reads XQuAD English, which is not in the repository: see the head of this file"]
fn figures_of_the_embedded_weights() {
    let corpus = Corpus::read();
    let list: Vec<usize> = (0..corpus.questions.len())
        .filter(|at| !corpus.chooses[corpus.questions[*at].passage])
        .collect();
    report(&corpus, &list, "as embedded", &WEIGHTS, &Abstention::default());
}
