//! TF-IDF: a vocabulary fitted on texts, and texts transformed to weighted rows.

use crate::{
    counts::Counts,
    fit_counts::fit_counts,
    matrix::FeatureMatrix,
    ngrams::Span,
    preprocessing::Preprocessing,
    selection::{chi_square, strongest},
    spec::{Compat, TfidfSpec},
    vocabulary::Vocabulary,
};
use botops_findings::{Fault, Result};
use botops_spec::Checked;
use rayon::prelude::*;

/// Texts per unit of work: fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 512;

/// A fitted vectorizer: texts to rows of `[n_features]`.
///
/// The weight of a term is tf * idf, where tf is its count (or 1 + ln(count)) and
/// idf = ln((1 + n) / (1 + df)) + 1. The word part and the character part of a row are scaled to the same
/// Euclidean length, then the row is scaled to length 1. A text without a known term is an empty row.
///
/// With `compat: sklearn` the whole row is scaled to length 1, as by `TfidfVectorizer`. Terms are selected
/// afterwards, as by `SelectKBest`, so rows may be shorter than 1.
///
/// Equal lengths for both parts were chosen over one norm for the row by 5-fold cross-validation: log
/// loss 0.289 against 0.303 on the support set, 0.378 for both on the training set of BANKING77.
#[derive(Debug, Clone, PartialEq)]
pub struct Tfidf {
    spec: TfidfSpec,
    vocabulary: Vocabulary,
    idf: Vec<f32>,
    /// Whether each term is selected; only with `compat: sklearn`, where the other terms count in the length of a row.
    selected: Option<Vec<bool>>,
}

/// Working memory of one thread for [`Tfidf::transform_with`]; once it has grown, a text needs no allocation.
#[derive(Debug, Default)]
pub struct TfidfScratch {
    text: String,
    words: Vec<(u64, u32, u32)>,
    symbols: Vec<(u32, u32)>,
    /// The count of each term; all 0 between two texts.
    counts: Vec<u32>,
    row: Vec<(u32, f32)>,
}

impl TfidfScratch {
    /// Returns the row of the last text as (column, weight): terms in the order of their first occurrence, then
    /// the values of [`Self::put_beside`].
    #[must_use]
    pub fn row(&self) -> &[(u32, f32)] {
        &self.row
    }

    /// Appends `values` to the row of the last text, from column `first` on.
    pub fn put_beside(&mut self, first: u32, values: impl Iterator<Item = f32>) {
        self.row.extend((first..).zip(values));
    }
}

impl Tfidf {
    /// Fits the vocabulary and weights on `texts`, and returns the counts of terms in each text.
    ///
    /// The result does not depend on the number of threads. `advance` is called with the number of texts
    /// finished since its last call. All terms are kept; [`Self::select`] selects among them.
    ///
    /// # Errors
    /// `BOT-7012` (exit 3) if `spec` has n-grams and no term remains.
    pub fn fit(
        texts: &[&str],
        spec: &Checked<TfidfSpec>,
        advance: impl Fn(u64) + Sync,
    ) -> Result<(Self, Counts)> {
        let form = Preprocessing::of(spec);
        let texts: Vec<String> = texts.par_iter().map(|text| form.apply(text)).collect();
        let (vocabulary, counts) = (0..64)
            .find_map(|salt| fit_counts(&texts, spec, salt, &advance))
            .expect("64 families of 64-bit hashes do not all collide");
        let has_ngrams = [spec.word_ngrams, spec.char_ngrams] != [[0, 0]; 2];
        if has_ngrams && vocabulary.is_empty() {
            return Err(Fault::data(
                "BOT-7012",
                format!("no term appears in {} utterances or more", spec.min_df),
            )
            .hint("lower `min_df` under `features:`, or add character n-grams"));
        }
        let mut tfidf =
            Self { spec: (**spec).clone(), vocabulary, idf: Vec::new(), selected: None };
        let rows: Vec<u32> = (0..texts.len() as u32).collect();
        tfidf.idf = tfidf.idf_of(&counts, &rows);
        Ok((tfidf, counts))
    }

    /// Returns the counts of terms in each of `texts`, which need not be the texts it was fitted on.
    ///
    /// `advance` is called with the number of texts finished since its last call.
    #[must_use]
    pub fn count_many(&self, texts: &[&str], advance: impl Fn(u64) + Sync) -> Counts {
        let form = self.vocabulary.reader().preprocessing();
        let parts: Vec<Counts> = texts
            .par_chunks(CHUNK)
            .map_init(
                || (TfidfScratch::default(), String::new(), Vec::new()),
                |(scratch, preprocessed, counted), texts| {
                    let mut part = Counts::new(self.vocabulary.len());
                    for text in texts {
                        form.apply_into(text, preprocessed);
                        self.count(preprocessed, scratch);
                        counted.clear();
                        counted.extend(scratch.row.iter().map(|&(term, n)| (term, n as u32)));
                        counted.sort_unstable();
                        part.push_row(counted);
                    }
                    advance(texts.len() as u64);
                    part
                },
            )
            .collect();
        let mut counts = Counts::new(self.vocabulary.len());
        for part in parts {
            counts.append(&part);
        }
        counts
    }

    /// Makes a vectorizer of the parts in a model file: vocabulary, weights, and the ids of selected terms, if listed.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3) if there is not one weight above 0 for each term, or a selected id is not a term.
    pub fn from_parts(
        spec: TfidfSpec,
        vocabulary: Vocabulary,
        idf: Vec<f32>,
        selected: Option<&[u32]>,
    ) -> Result<Self> {
        if idf.len() != vocabulary.len() || idf.iter().any(|w| !(w.is_finite() && *w > 0.0)) {
            return Err(Fault::data(
                "BOT-7003",
                "the model does not have one weight for each term",
            ));
        }
        if selected.is_some_and(|ids| ids.iter().any(|&id| id as usize >= idf.len())) {
            return Err(Fault::data("BOT-7003", "the model selects a term that it does not have"));
        }
        let selected = selected.map(|ids| mask(ids, idf.len()));
        Ok(Self { spec, vocabulary, idf, selected })
    }

    /// Returns the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Returns the inverse document frequencies, `[n_features]`.
    #[must_use]
    pub fn idf(&self) -> &[f32] {
        &self.idf
    }

    /// Returns the ids of the selected terms, in rising order; `None` if all terms of the vocabulary are used.
    #[must_use]
    pub fn selected(&self) -> Option<Vec<u32>> {
        let selected = self.selected.as_ref()?;
        Some(
            (0..)
                .zip(selected)
                .filter(|(_, is_selected)| **is_selected)
                .map(|(id, _)| id)
                .collect(),
        )
    }

    /// Returns the vectorizer of the `spec.select` best terms, and their counts; unchanged without `spec.select`.
    ///
    /// `rows` are the training rows of `counts`; `y[row]` is the intent of each. Terms are ranked by
    /// [`chi_square`] over the weighted rows.
    #[must_use]
    pub fn select(
        mut self,
        counts: Counts,
        rows: &[u32],
        y: &[u32],
        n_classes: usize,
    ) -> (Self, Counts) {
        let Some(k) = self.spec.select else { return (self, counts) };
        let x = self.weigh(&counts, &self.idf);
        let kept = strongest(&chi_square(&x, rows, y, n_classes), k);
        if self.spec.compat == Some(Compat::Sklearn) {
            self.selected = Some(mask(&kept, self.idf.len()));
            return (self, counts);
        }
        self.idf = kept.iter().map(|&id| self.idf[id as usize]).collect();
        self.vocabulary = self.vocabulary.of_terms(&kept, &self.spec);
        let counts = counts.of_columns(&kept);
        (self, counts)
    }

    /// Returns all rows of `counts`, weighted as if fitting and selection had used only `rows`: for cross-fitting.
    ///
    /// `y[row]` is the intent of each of `rows`. The columns stay the same; a term that these rows lack, or
    /// that is not selected among them, is 0 everywhere.
    #[must_use]
    pub fn weigh_as_of(
        &self,
        counts: &Counts,
        rows: &[u32],
        y: &[u32],
        n_classes: usize,
    ) -> FeatureMatrix {
        let mut idf = self.idf_of(counts, rows);
        let mut x = self.weigh(counts, &idf);
        let Some(k) = self.spec.select.filter(|_| self.selected.is_none()) else { return x };
        let kept = mask(&strongest(&chi_square(&x, rows, y, n_classes), k), idf.len());
        if self.spec.compat == Some(Compat::Sklearn) {
            zero_others(&mut x, &kept);
            return x;
        }
        drop(x);
        for (idf, _) in idf.iter_mut().zip(&kept).filter(|(_, kept)| !**kept) {
            *idf = 0.0;
        }
        self.weigh(counts, &idf)
    }

    /// Returns the inverse document frequencies over `rows` of `counts`; 0 for a term below `min_df` there.
    ///
    /// They are those of a fit on these rows alone, with the same columns.
    #[must_use]
    pub fn idf_of(&self, counts: &Counts, rows: &[u32]) -> Vec<f32> {
        let mut df = vec![0_u32; self.vocabulary.len()];
        for &row in rows {
            for &column in counts.row(row as usize).0 {
                df[column as usize] += 1;
            }
        }
        let n = rows.len() as f64;
        df.into_iter()
            .map(|df| match df >= self.spec.min_df.max(1) {
                true => (((1.0 + n) / (1.0 + f64::from(df))).ln() + 1.0) as f32,
                false => 0.0,
            })
            .collect()
    }

    /// Returns all rows of `counts` weighted by `idf`, each of length 1, or all 0.
    ///
    /// The result shares the pattern of `counts`, so a term of weight 0 has stored entries of 0.
    #[must_use]
    pub fn weigh(&self, counts: &Counts, idf: &[f32]) -> FeatureMatrix {
        let offsets = &counts.pattern.offsets;
        let mut values = vec![0.0_f32; counts.pattern.columns.len()];
        let mut rest = values.as_mut_slice();
        let mut parts = Vec::with_capacity(counts.n_samples().div_ceil(CHUNK));
        for first in (0..counts.n_samples()).step_by(CHUNK) {
            let end = (first + CHUNK).min(counts.n_samples());
            let (part, after) = rest.split_at_mut(offsets[end] - offsets[first]);
            parts.push((first, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(first, mut part)| {
            let mut row = first;
            while !part.is_empty() {
                let (columns, repeated) = counts.row(row);
                let (values, after) = part.split_at_mut(columns.len());
                for (value, &column) in values.iter_mut().zip(columns) {
                    *value = idf[column as usize];
                }
                for &(place, count) in repeated {
                    values[place as usize] *= self.weight(count);
                }
                let n_words = columns.partition_point(|id| *id < self.vocabulary.n_words());
                let (words, characters) = values.split_at_mut(n_words);
                for (part, scale) in self.scales(words, characters) {
                    part.iter_mut().for_each(|value| *value *= scale);
                }
                part = after;
                row += 1;
            }
        });
        let mut x = FeatureMatrix::of_pattern(counts.pattern.clone(), values);
        if let Some(selected) = &self.selected {
            zero_others(&mut x, selected);
        }
        x
    }

    /// Transforms `text` into the row [`TfidfScratch::row`].
    #[inline]
    pub fn transform_with(&self, text: &str, scratch: &mut TfidfScratch) {
        let mut preprocessed = std::mem::take(&mut scratch.text);
        self.vocabulary.reader().preprocessing().apply_into(text, &mut preprocessed);
        let n_words = self.count(&preprocessed, scratch);
        scratch.text = preprocessed;
        for (column, value) in &mut scratch.row {
            *value = self.weight(*value as u32) * self.idf[*column as usize];
        }
        let (words, characters) = scratch.row.split_at_mut(n_words);
        for (part, scale) in self.scales(words, characters) {
            part.iter_mut().for_each(|(_, value)| *value *= scale);
        }
        if let Some(selected) = &self.selected {
            scratch.row.retain(|&(column, _)| selected[column as usize]);
        }
    }

    /// Transforms texts into rows, on all threads.
    #[must_use]
    pub fn transform(&self, texts: &[&str]) -> FeatureMatrix {
        let rows: Vec<Vec<(u32, f32)>> = texts
            .par_iter()
            .map_init(TfidfScratch::default, |scratch, text| {
                self.transform_with(text, scratch);
                let mut row = scratch.row.clone();
                row.sort_unstable_by_key(|&(column, _)| column);
                row
            })
            .collect();
        let mut matrix = FeatureMatrix::new(self.vocabulary.len());
        for row in rows {
            matrix.push_row(row);
        }
        matrix
    }

    /// Returns the tf of a term that occurs `count` times.
    #[inline]
    fn weight(&self, count: u32) -> f32 {
        match count {
            1 => 1.0,
            _ if self.spec.sublinear_tf => 1.0 + (count as f32).ln(),
            _ => count as f32,
        }
    }

    /// Counts the known terms of a preprocessed text into `scratch.row`, and returns the number of word terms, which come first.
    #[inline]
    fn count(&self, text: &str, scratch: &mut TfidfScratch) -> usize {
        let TfidfScratch { words, symbols, counts, row, .. } = scratch;
        if counts.len() < self.vocabulary.len() {
            counts.resize(self.vocabulary.len(), 0);
        }
        row.clear();
        let reader = self.vocabulary.reader();
        let mut add = |hash: u64, _: Span| {
            if let Some(id) = self.vocabulary.find(hash) {
                let count = &mut counts[id as usize];
                if *count == 0 {
                    row.push((id, 0.0));
                }
                *count += 1;
            }
        };
        reader.read_words(text, words, &mut add);
        reader.read_characters(text, symbols, &mut add);
        let mut n_words = 0;
        for (id, value) in row.iter_mut() {
            n_words += usize::from(*id < self.vocabulary.n_words());
            *value = std::mem::take(&mut counts[*id as usize]) as f32;
        }
        n_words
    }

    /// Returns the two parts of a row, each with the factor of its values.
    ///
    /// A part that is all 0 stays 0 and does not affect the other part.
    #[inline]
    fn scales<'a, T: Value>(
        &self,
        words: &'a mut [T],
        characters: &'a mut [T],
    ) -> [(&'a mut [T], f32); 2] {
        let squares = [length_squared(words), length_squared(characters)];
        let scale = |square: f32| if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
        let scales = match self.spec.compat {
            Some(Compat::Sklearn) => [scale(squares[0] + squares[1]); 2],
            None => {
                let n_parts = squares.iter().filter(|square| **square > 0.0).count() as f32;
                squares.map(|square| scale(square * n_parts))
            }
        };
        [(words, scales[0]), (characters, scales[1])]
    }
}

/// An entry of a row that has a value.
trait Value {
    fn value(&self) -> f32;
}

impl Value for f32 {
    fn value(&self) -> f32 {
        *self
    }
}

impl Value for (u32, f32) {
    fn value(&self) -> f32 {
        self.1
    }
}

/// Returns the sum of squares, computed in four lanes that the processor adds at once.
#[inline]
fn length_squared(part: &[impl Value]) -> f32 {
    let mut sums = [0.0_f32; 4];
    let chunks = part.chunks_exact(4);
    for (sum, value) in sums.iter_mut().zip(chunks.remainder()) {
        *sum += value.value() * value.value();
    }
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.value() * value.value();
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// Returns a mask of `n` ids that is true for the listed ones.
fn mask(ids: &[u32], n: usize) -> Vec<bool> {
    let mut mask = vec![false; n];
    for &id in ids {
        mask[id as usize] = true;
    }
    mask
}

/// Sets the values of columns that are not in `kept` to 0.
fn zero_others(x: &mut FeatureMatrix, kept: &[bool]) {
    x.for_each_value(|column, value| {
        if !kept[column as usize] {
            *value = 0.0;
        }
    });
}
