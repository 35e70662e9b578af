//! The reference profile of a training.

use crate::{
    reference::{Judged, MOST_JUDGED, ReferenceProfile, ReferenceSource},
    reference_moments::Moments,
    reference_rows::labels_of,
    reference_search::Search,
    reference_words::hash,
};
use botops_drift::{Category, Row};
use botops_findings::Result;
use botops_models::{IntentModel, UnseenRecord, UnseenRecords};
use botops_predictions::six_digits;
use botops_text as text;
use rayon::prelude::*;
use std::collections::HashMap;

/// The most records whose languages are guessed and whose entities are searched, chosen by a hash of their texts: both take
/// longer than all other columns together.
const MOST_SEARCHED: usize = 2_000;
/// The records of one part, which one thread reads.
const PART: usize = 1_000;

/// A record of a training.
#[derive(Debug, Clone, Copy)]
pub struct TrainingRecord<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its intent, as the data has it.
    pub intent: &'a str,
    /// Its declared language.
    pub lang: Option<&'a str>,
}

/// A record with its normal form.
struct Read<'a> {
    record: TrainingRecord<'a>,
    /// The redacted text in normal form.
    normal: String,
    /// A hash of `normal`.
    hash: u64,
}

/// A word of the training data.
#[derive(Default)]
struct Word {
    /// The hash of the first text that has it.
    first: Option<u64>,
    /// Whether another text has it, too.
    is_shared: bool,
}

impl ReferenceProfile {
    /// Makes the profile of a training: `records` are its samples in their order, `unseen` those that calibration judged.
    ///
    /// - intents, confidence, score and fallback are those of models that did not see the record, so only judged records
    ///   have them; nothing is fitted again
    /// - a word of a record is unseen if no other text has it, or the model leaves it out
    /// - languages are guessed as the server does: if the dialogue has several, and the record declares none; these and
    ///   entities, which the final model finds, are those of at most 2,000 records
    /// - there is no latency
    ///
    /// The same training has the same profile, on any number of threads.
    ///
    /// # Errors
    /// Those of compiling the dialogue.
    ///
    /// # Panics
    /// If `unseen` is that of other records.
    pub fn of_training(
        model: &IntentModel,
        unseen: &UnseenRecords,
        records: &[TrainingRecord<'_>],
    ) -> Result<Self> {
        let read: Vec<Read<'_>> = records.par_iter().map(Read::new).collect();
        let words = words_of(&read);
        let mut judged: Vec<Option<&UnseenRecord>> = vec![None; records.len()];
        unseen.records.iter().for_each(|record| judged[record.sample] = Some(record));
        let mut hashes: Vec<u64> = read.iter().map(|read| read.hash).collect();
        hashes.sort_unstable();
        let largest = hashes.get(MOST_SEARCHED - 1).copied().unwrap_or(u64::MAX);
        let search = Search::new(model, largest)?;
        let part = |(at, part): (usize, &[Read<'_>])| {
            let mut profile = Self::new(ReferenceSource::Training, labels_of(model));
            for (read, judged) in part.iter().zip(&judged[at * PART..]) {
                profile.add_training(read, *judged, (model, &search, &words));
            }
            profile
        };
        let parts: Vec<Self> = read.par_chunks(PART).enumerate().map(part).collect();
        let mut profile = Self::new(ReferenceSource::Training, labels_of(model));
        for part in &parts {
            profile.columns.merge(&part.columns);
            profile.words.merge(&part.words);
        }
        if unseen.dim > 0 {
            let mut moments = Moments::new(unseen.dim);
            unseen.embeddings.chunks_exact(unseen.dim).for_each(|row| moments.add(row));
            profile.moments = Some(moments);
        }
        profile.judge(&read, unseen);
        profile.finish();
        Ok(profile)
    }

    fn add_training(
        &mut self,
        read: &Read<'_>,
        judged: Option<&UnseenRecord>,
        (model, search, words): (&IntentModel, &Search<'_>, &HashMap<&str, Word>),
    ) {
        let record = &read.record;
        let prediction = judged.map(|judged| &judged.prediction);
        let lang = record.lang.map(text::base_language).filter(|lang| !lang.is_empty());
        let (guessed, entities) = search.find((record.text, read.hash), lang);
        let intent = prediction.map(|prediction| match prediction.fallback {
            true => "fallback",
            false => model.labels().name(prediction.intent),
        });
        self.columns.add(&Row {
            text: record.text,
            lang,
            intent,
            confidence: prediction.map(|prediction| prediction.confidence),
            unseen_word_rate: Some(read.unseen_word_rate(model, words)),
            guessed,
            oos_score: prediction.map(|prediction| prediction.score),
            fallback: prediction.map(|prediction| prediction.fallback),
            entities: entities.as_deref(),
            latency_ms: None,
            n_chars: None,
        });
        self.columns.add_name(Category::IntentDeclared, record.intent);
        self.words.add_redacted(&read.normal, None);
    }

    /// Chooses the judged records by the hashes of their texts.
    fn judge(&mut self, read: &[Read<'_>], unseen: &UnseenRecords) {
        if unseen.records.is_empty() {
            self.not_judged = Some("calibration judged no record".to_owned());
            return;
        }
        if self.labels.len() > usize::from(u16::MAX) {
            self.not_judged = Some("the model has more than 65535 intents".to_owned());
            return;
        }
        let judged = |record: &UnseenRecord| {
            let prediction = &record.prediction;
            let judged = Judged {
                truth: record.truth? as u16,
                predicted: prediction.intent as u16,
                p: six_digits(prediction.confidence) as f32,
            };
            Some((read[record.sample].hash, judged))
        };
        let mut chosen: Vec<(u64, Judged)> = unseen.records.iter().filter_map(judged).collect();
        chosen.sort_by(|(a, x), (b, y)| {
            a.cmp(b)
                .then(x.truth.cmp(&y.truth))
                .then(x.predicted.cmp(&y.predicted))
                .then(x.p.total_cmp(&y.p))
        });
        chosen.truncate(MOST_JUDGED);
        self.judged = chosen.into_iter().map(|(_, judged)| judged).collect();
    }
}

impl<'a> Read<'a> {
    fn new(record: &TrainingRecord<'a>) -> Self {
        let normal = text::normalise(&text::redact(record.text));
        let hash = hash(&normal);
        Self { record: *record, normal, hash }
    }

    /// Returns the share of words that no other text has, or that the model leaves out; 0 without words.
    fn unseen_word_rate(&self, model: &IntentModel, words: &HashMap<&str, Word>) -> f64 {
        let (mut n, mut n_unseen) = (0_u32, 0_u32);
        for word in text::words_of(&self.normal) {
            let is_shared = words.get(word).is_some_and(|word| word.is_shared);
            n += 1;
            n_unseen += u32::from(!is_shared || model.unseen_word_rate(word) > 0.0);
        }
        if n == 0 { 0.0 } else { f64::from(n_unseen) / f64::from(n) }
    }
}

/// Returns each word with whether several different texts have it.
fn words_of<'r>(read: &'r [Read<'_>]) -> HashMap<&'r str, Word> {
    let mut words: HashMap<&str, Word> = HashMap::new();
    for read in read {
        for word in text::words_of(&read.normal) {
            let known = words.entry(word).or_default();
            let first = *known.first.get_or_insert(read.hash);
            known.is_shared |= first != read.hash;
        }
    }
    words
}
