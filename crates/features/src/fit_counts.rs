//! Fitting: the terms of many texts, and how often each stands in each, in one reading.
//!
//! Each thread reads a run of texts and numbers the n-grams it meets; the runs are then joined in
//! order. What comes out is the same however many runs there are: terms are sorted, and a count is a
//! sum of whole numbers.

use super::{
    Counts, Term, TfidfSpec, Vocabulary,
    ngrams::{Reader, Span},
    numbers::Numbers,
};
use rayon::prelude::*;

/// The fewest texts worth a thread.
const FEWEST_TEXTS: usize = 512;
/// In place of an id: the term is left out.
const LEFT_OUT: u32 = u32::MAX;

/// Where an n-gram was met first.
#[derive(Debug, Clone, Copy)]
struct First {
    number: u64,
    text: u32,
    span: Span,
}

/// What is known of an n-gram.
#[derive(Debug, Clone, Copy)]
struct Met {
    first: First,
    /// In how many texts it stands, and how often in all.
    df: u32,
    tf: u64,
}

/// The n-grams of a run of texts.
#[derive(Debug, Default)]
struct Run {
    numbers: Numbers,
    met: Vec<Met>,
    /// Ids of the n-grams of each text, text after text.
    ids: Vec<u32>,
    /// Those that stand more than once in their text: (place among its ids, count).
    repeated: Vec<(u32, u32)>,
    /// Where the ids and the repeated of each text end.
    ends: Vec<(usize, usize)>,
    words: Words,
}

/// The distinct words of a run of texts.
#[derive(Debug, Default)]
struct Words {
    numbers: Numbers,
    first: Vec<First>,
}

/// Gathers the terms of spelled `texts`, and how often each stands in each; `None` when two have the same number.
///
/// `advance` is told of every text done.
pub(super) fn gather(
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
    let (met, words) = join(texts, &mut runs, &reader)?;
    let (terms, columns) = terms(texts, &met, spec, &reader);
    let mut known: Vec<String> = words.iter().map(|first| spelled(texts, first, &reader)).collect();
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

/// Reads the texts numbered `range`; `None` when two n-grams have the same number.
fn read(
    texts: &[String],
    range: std::ops::Range<usize>,
    reader: &Reader,
    advance: &(impl Fn(u64) + Sync),
) -> Option<Run> {
    let mut run = Run::default();
    // Of each n-gram, the last text it was met in, and its place among the ids of that text.
    let mut last: Vec<(u32, u32)> = Vec::new();
    let mut counts: Vec<u32> = Vec::new();
    let (mut words, mut symbols) = (Vec::new(), Vec::new());
    let mut collided = false;
    let mut unread = 0;
    for i in range {
        let text = texts[i].as_str();
        let here = i as u32;
        counts.clear();
        let mut meet = |number: u64, span: Span| {
            let (id, is_new) = run.numbers.intern(number);
            if is_new {
                run.met.push(Met { first: First { number, text: here, span }, df: 0, tf: 0 });
                last.push((LEFT_OUT, 0));
            }
            let met = &mut run.met[id as usize];
            let (text_of_last, place) = &mut last[id as usize];
            let first = &met.first;
            collided |= !is_new
                && !span.is_same(text, first.span, &texts[first.text as usize], reader.form());
            met.tf += 1;
            if *text_of_last == here {
                counts[*place as usize] += 1;
            } else {
                met.df += 1;
                (*text_of_last, *place) = (here, counts.len() as u32);
                run.ids.push(id);
                counts.push(1);
            }
        };
        reader.read_words(text, &mut words, &mut meet);
        reader.read_characters(text, &mut symbols, &mut meet);
        let repeated = (0..).zip(&counts).filter(|(_, count)| **count > 1);
        run.repeated.extend(repeated.map(|(place, &count)| (place, count)));
        run.ends.push((run.ids.len(), run.repeated.len()));
        for &(number, start, end) in &words {
            let first = First { number, text: here, span: Span::of_word(start, end) };
            collided |= !run.words.meet(first, texts, reader);
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
    /// Takes in a word; `false` when it has the number of another.
    fn meet(&mut self, word: First, texts: &[String], reader: &Reader) -> bool {
        let (id, is_new) = self.numbers.intern(word.number);
        if is_new {
            self.first.push(word);
        }
        is_new || is_same(texts, &word, &self.first[id as usize], reader)
    }
}

/// Joins the runs: their ids become those of the first; `None` when two n-grams have the same number.
fn join(texts: &[String], runs: &mut [Run], reader: &Reader) -> Option<(Vec<Met>, Vec<First>)> {
    let Some((all, others)) = runs.split_first_mut() else { return Some(Default::default()) };
    let mut met = std::mem::take(&mut all.met);
    for run in others {
        let mut renamed = Vec::with_capacity(run.met.len());
        for other in std::mem::take(&mut run.met) {
            let (id, is_new) = all.numbers.intern(other.first.number);
            renamed.push(id);
            if is_new {
                met.push(other);
                continue;
            }
            let known = &mut met[id as usize];
            if !is_same(texts, &other.first, &known.first, reader) {
                return None;
            }
            known.df += other.df;
            known.tf += other.tf;
        }
        run.numbers = Numbers::default();
        for id in &mut run.ids {
            *id = renamed[*id as usize];
        }
        for word in std::mem::take(&mut run.words).first {
            if !all.words.meet(word, texts, reader) {
                return None;
            }
        }
    }
    all.numbers = Numbers::default();
    Some((met, std::mem::take(&mut all.words).first))
}

/// Returns the terms to keep, sorted, and the column of each n-gram met.
fn terms(
    texts: &[String],
    met: &[Met],
    spec: &TfidfSpec,
    reader: &Reader,
) -> (Vec<Term>, Vec<u32>) {
    let kept: Vec<u32> =
        (0..met.len() as u32).filter(|&id| met[id as usize].df >= spec.min_df).collect();
    let mut kept: Vec<(Term, u32)> = kept
        .into_par_iter()
        .map(|id| {
            let first = &met[id as usize].first;
            (Term { kind: first.span.kind, text: spelled(texts, first, reader) }, id)
        })
        .collect();
    if let Some(max) = spec.max_features.filter(|&max| max < kept.len()) {
        let tf = |id: u32| met[id as usize].tf;
        kept.par_sort_unstable_by(|a, b| tf(b.1).cmp(&tf(a.1)).then_with(|| a.0.cmp(&b.0)));
        kept.truncate(max);
    }
    kept.par_sort_unstable();
    let mut columns = vec![LEFT_OUT; met.len()];
    for (column, (_, id)) in (0..).zip(&kept) {
        columns[*id as usize] = column;
    }
    (kept.into_iter().map(|(term, _)| term).collect(), columns)
}

fn spelled(texts: &[String], first: &First, reader: &Reader) -> String {
    first.span.spelled(&texts[first.text as usize], reader.form())
}

fn is_same(texts: &[String], a: &First, b: &First, reader: &Reader) -> bool {
    a.span.is_same(&texts[a.text as usize], b.span, &texts[b.text as usize], reader.form())
}
