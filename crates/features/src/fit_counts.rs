//! Fitting: the terms of many texts, and their counts in each text, in one pass.
//!
//! Each thread reads a run of texts and assigns ids to its n-grams; then the runs are joined in order.
//! The result does not depend on the number of runs: terms are sorted, and counts are sums of whole
//! numbers.

use crate::{
    counts::Counts,
    hash_ids::HashIds,
    ngrams::{Reader, Span},
    spec::TfidfSpec,
    term::Term,
    vocabulary::Vocabulary,
};
use rayon::prelude::*;

/// The least number of texts per thread.
const FEWEST_TEXTS: usize = 512;
/// Stands for the id of a term that is left out.
const LEFT_OUT: u32 = u32::MAX;

/// The first occurrence of an n-gram.
#[derive(Debug, Clone, Copy)]
struct First {
    hash: u64,
    text: u32,
    span: Span,
}

/// The frequencies of an n-gram.
#[derive(Debug, Clone, Copy)]
struct Ngram {
    first: First,
    /// The number of texts that contain it.
    df: u32,
    /// The number of its occurrences in all texts.
    tf: u64,
}

/// The n-grams of a run of texts.
#[derive(Debug, Default)]
struct Run {
    hashes: HashIds,
    ngrams: Vec<Ngram>,
    /// Ids of the n-grams of each text, text after text.
    ids: Vec<u32>,
    /// N-grams that occur more than once in their text: (index among the ids of the text, count).
    repeated: Vec<(u32, u32)>,
    /// The ends of each text in `ids` and in `repeated`.
    ends: Vec<(usize, usize)>,
    words: Words,
}

/// The distinct words of a run of texts.
#[derive(Debug, Default)]
struct Words {
    hashes: HashIds,
    first: Vec<First>,
}

/// Returns the terms of preprocessed `texts` and their counts; `None` if two terms have the same hash.
///
/// `advance` is called with the number of texts finished since its last call.
pub(super) fn fit_counts(
    texts: &[String],
    spec: &TfidfSpec,
    salt: u64,
    advance: &(impl Fn(u64) + Sync),
) -> Option<(Vocabulary, Counts)> {
    let reader = Reader::new(spec, salt);
    let length = texts.len().div_ceil(rayon::current_num_threads()).max(FEWEST_TEXTS);
    let mut runs: Vec<Run> = texts
        .par_chunks(length)
        .enumerate()
        .map(|(i, run)| read(texts, i * length..i * length + run.len(), &reader, advance))
        .collect::<Option<_>>()?;
    let (ngrams, words) = join(texts, &mut runs, &reader)?;
    let (terms, columns) = terms(texts, &ngrams, spec, &reader);
    let mut known: Vec<String> = words.iter().map(|first| text_of(texts, first, &reader)).collect();
    known.par_sort_unstable();
    let vocabulary = Vocabulary::new(terms, known, spec, salt)?;
    let mut counts = Counts::new(vocabulary.len());
    counts.reserve(texts.len(), runs.iter().map(|run| run.ids.len()).sum());
    let mut row: Vec<(u32, u32)> = Vec::new();
    for run in runs {
        let (mut start, mut start_of_repeated) = (0, 0);
        for (end, end_of_repeated) in run.ends {
            row.clear();
            row.extend(run.ids[start..end].iter().map(|&id| (columns[id as usize], 1)));
            for &(place, count) in &run.repeated[start_of_repeated..end_of_repeated] {
                row[place as usize].1 = count;
            }
            row.retain(|&(column, _)| column != LEFT_OUT);
            row.sort_unstable();
            counts.push_row(&row);
            (start, start_of_repeated) = (end, end_of_repeated);
        }
    }
    Some((vocabulary, counts))
}

/// Reads the texts with the indices in `range`; `None` if two n-grams have the same hash.
fn read(
    texts: &[String],
    range: std::ops::Range<usize>,
    reader: &Reader,
    advance: &(impl Fn(u64) + Sync),
) -> Option<Run> {
    let mut run = Run::default();
    // For each n-gram, the latest text that contains it, and its index among the ids of that text.
    let mut last: Vec<(u32, u32)> = Vec::new();
    let mut counts: Vec<u32> = Vec::new();
    let (mut words, mut symbols) = (Vec::new(), Vec::new());
    let mut collided = false;
    let mut unread = 0;
    for i in range {
        let text = texts[i].as_str();
        let here = i as u32;
        counts.clear();
        let mut add = |hash: u64, span: Span| {
            let (id, is_new) = run.hashes.intern(hash);
            if is_new {
                run.ngrams.push(Ngram { first: First { hash, text: here, span }, df: 0, tf: 0 });
                last.push((LEFT_OUT, 0));
            }
            let ngram = &mut run.ngrams[id as usize];
            let (text_of_last, place) = &mut last[id as usize];
            let first = &ngram.first;
            collided |= !is_new
                && !span.is_same(
                    text,
                    first.span,
                    &texts[first.text as usize],
                    reader.preprocessing(),
                );
            ngram.tf += 1;
            if *text_of_last == here {
                counts[*place as usize] += 1;
            } else {
                ngram.df += 1;
                (*text_of_last, *place) = (here, counts.len() as u32);
                run.ids.push(id);
                counts.push(1);
            }
        };
        reader.read_words(text, &mut words, &mut add);
        reader.read_characters(text, &mut symbols, &mut add);
        let repeated = (0..).zip(&counts).filter(|(_, count)| **count > 1);
        run.repeated.extend(repeated.map(|(place, &count)| (place, count)));
        run.ends.push((run.ids.len(), run.repeated.len()));
        for &(hash, start, end) in &words {
            let first = First { hash, text: here, span: Span::of_word(start, end) };
            collided |= !run.words.add(first, texts, reader);
        }
        unread += 1;
        if unread == FEWEST_TEXTS {
            advance(unread as u64);
            unread = 0;
        }
    }
    advance(unread as u64);
    (!collided).then_some(run)
}

impl Words {
    /// Adds a word; returns `false` if another word has the same hash.
    fn add(&mut self, word: First, texts: &[String], reader: &Reader) -> bool {
        let (id, is_new) = self.hashes.intern(word.hash);
        if is_new {
            self.first.push(word);
        }
        is_new || is_same(texts, &word, &self.first[id as usize], reader)
    }
}

/// Joins the runs, whose ids become those of the first run; `None` if two n-grams have the same hash.
fn join(texts: &[String], runs: &mut [Run], reader: &Reader) -> Option<(Vec<Ngram>, Vec<First>)> {
    let Some((all, others)) = runs.split_first_mut() else { return Some(Default::default()) };
    let mut ngrams = std::mem::take(&mut all.ngrams);
    for run in others {
        let mut new_ids = Vec::with_capacity(run.ngrams.len());
        for other in std::mem::take(&mut run.ngrams) {
            let (id, is_new) = all.hashes.intern(other.first.hash);
            new_ids.push(id);
            if is_new {
                ngrams.push(other);
                continue;
            }
            let known = &mut ngrams[id as usize];
            if !is_same(texts, &other.first, &known.first, reader) {
                return None;
            }
            known.df += other.df;
            known.tf += other.tf;
        }
        run.hashes = HashIds::default();
        for id in &mut run.ids {
            *id = new_ids[*id as usize];
        }
        for word in std::mem::take(&mut run.words).first {
            if !all.words.add(word, texts, reader) {
                return None;
            }
        }
    }
    all.hashes = HashIds::default();
    Some((ngrams, std::mem::take(&mut all.words).first))
}

/// Returns the terms to keep, sorted, and the column of each n-gram.
fn terms(
    texts: &[String],
    ngrams: &[Ngram],
    spec: &TfidfSpec,
    reader: &Reader,
) -> (Vec<Term>, Vec<u32>) {
    let kept: Vec<u32> =
        (0..ngrams.len() as u32).filter(|&id| ngrams[id as usize].df >= spec.min_df).collect();
    let mut kept: Vec<(Term, u32)> = kept
        .into_par_iter()
        .map(|id| {
            let first = &ngrams[id as usize].first;
            (Term { kind: first.span.kind, text: text_of(texts, first, reader) }, id)
        })
        .collect();
    if let Some(max) = spec.max_features.filter(|&max| max < kept.len()) {
        let tf = |id: u32| ngrams[id as usize].tf;
        kept.par_sort_unstable_by(|a, b| tf(b.1).cmp(&tf(a.1)).then_with(|| a.0.cmp(&b.0)));
        kept.truncate(max);
    }
    kept.par_sort_unstable();
    let mut columns = vec![LEFT_OUT; ngrams.len()];
    for (column, (_, id)) in (0..).zip(&kept) {
        columns[*id as usize] = column;
    }
    (kept.into_iter().map(|(term, _)| term).collect(), columns)
}

fn text_of(texts: &[String], first: &First, reader: &Reader) -> String {
    first.span.text(&texts[first.text as usize], reader.preprocessing())
}

fn is_same(texts: &[String], a: &First, b: &First, reader: &Reader) -> bool {
    a.span.is_same(&texts[a.text as usize], b.span, &texts[b.text as usize], reader.preprocessing())
}
