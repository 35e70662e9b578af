//! Text to token ids, by the encoder's tokenizer.

use super::spec::SPECIAL_TOKENS;
use botops_findings::{Fault, Place, Result};
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

/// A tokenizer that cannot fail on any text, because it was tried at construction.
///
/// - every token id is below the `vocab_size` it was read with
/// - it adds exactly two special tokens to a text
/// - it has a token for unknown words
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    json: Vec<u8>,
}

/// The least share of embeddings that have a token, as a fraction; with fewer, the tokenizer is that of
/// another model, because tables are padded only to a multiple of 8 to 128 rows.
const LEAST_SHARE: (usize, usize) = (9, 10);

impl Tokens {
    /// Reads a `tokenizer.json`; `max_tokens` replaces its padding and truncation.
    ///
    /// # Errors
    /// `BOT-7024` (exit 3) if it is malformed, has another vocabulary, adds no special tokens, or has no token
    /// for unknown words.
    pub(super) fn new(json: &[u8], vocab_size: usize, max_tokens: usize) -> Result<Self> {
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|error| unreadable(json).caused_by(error))?;
        let vocabulary = tokenizer.get_vocab(true);
        let beyond = vocabulary
            .iter()
            .filter(|(_, id)| **id as usize >= vocab_size)
            .min_by_key(|(_, id)| **id);
        if let Some((token, id)) = beyond {
            return Err(of_another_model(&format!(
                "gives `{}` the id {id}, but the encoder has {vocab_size} embeddings",
                botops_text::display(token, 40)
            )));
        }
        if vocabulary.len() * LEAST_SHARE.1 < vocab_size * LEAST_SHARE.0 {
            return Err(of_another_model(&format!(
                "has {} tokens, but the encoder has {vocab_size} embeddings",
                vocabulary.len()
            )));
        }
        tokenizer.with_padding(None);
        let n_added = tokenizer.encode_fast("", true).map_or(0, |empty| empty.len());
        if n_added != SPECIAL_TOKENS {
            return Err(refused(&format!(
                "adds {n_added} special tokens to a text, but the encoder was trained with {SPECIAL_TOKENS}"
            ))
            .hint("save it again with a recent version of transformers, which writes a `post_processor` that adds [CLS] and [SEP]"));
        }
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length: max_tokens,
                ..TruncationParams::default()
            }))
            .map_err(|error| {
                refused(&format!("cannot truncate texts: {error}")).caused_by(error)
            })?;
        // Encoding fails only for an unknown word if there is no token for unknown words.
        tokenizer.encode_fast(unknown_word(&vocabulary), true).map_err(|error| {
            refused(&format!("has no token for unknown words: {error}")).caused_by(error)
        })?;
        Ok(Self { tokenizer, json: json.to_vec() })
    }

    /// Returns the JSON it was read from.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Returns the token ids of `text`: 2 to `max_tokens`, including the special tokens.
    pub(super) fn of(&self, text: &str) -> Vec<u32> {
        self.tokenizer
            .encode_fast(text, true)
            .expect("an unknown word was tried at construction")
            .get_ids()
            .to_vec()
    }

    /// Returns whether one of `tokens` is not special: not a start, end, padding or unknown token.
    pub(super) fn has_known(&self, tokens: &[u32]) -> bool {
        let added = self.tokenizer.get_added_tokens_decoder();
        tokens.iter().any(|token| !added.get(token).is_some_and(|token| token.special))
    }

    /// Returns the token ids of each of `texts`, in order.
    pub(super) fn of_many(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        texts.par_iter().map(|text| self.of(text)).collect()
    }
}

/// Returns a word that is unknown to any tokenizer of this vocabulary: letters that are in none of its tokens.
fn unknown_word(vocabulary: &std::collections::HashMap<String, u32>) -> String {
    let known: std::collections::BTreeSet<char> =
        vocabulary.keys().flat_map(|token| token.chars()).filter(|c| *c >= '\u{1400}').collect();
    // Cuneiform and hieroglyphs: every normalizer keeps them as letters.
    ('\u{12000}'..='\u{12399}')
        .chain('\u{13000}'..='\u{1342f}')
        .filter(|letter| !known.contains(letter))
        .take(2)
        .collect()
}

fn of_another_model(problem: &str) -> Fault {
    refused(problem)
        .hint("copy tokenizer.json and model.safetensors again, both from the same model")
}

/// Returns the fault of a `json` that is not a tokenizer.
fn unreadable(json: &[u8]) -> Fault {
    match serde_json::from_slice::<serde::de::IgnoredAny>(json) {
        Err(error) => {
            let problem = if error.is_eof() { "is truncated" } else { "is not JSON" };
            let fault = refused(problem);
            let (line, column) = (Some(error.line() as u64), Some(error.column() as u64));
            let place = Place { line, column, ..fault.place().clone() };
            fault.at(place).hint("the file was truncated or altered: copy or download it again")
        }
        Ok(_) => refused("is JSON, but not a tokenizer").hint(
            "use the tokenizer.json beside the encoder's model.safetensors; convert one of an older format in Python with \
             `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`",
        ),
    }
}

fn refused(problem: &str) -> Fault {
    Fault::data("BOT-7024", format!("the encoder's tokenizer {problem}")).file("tokenizer.json")
}
