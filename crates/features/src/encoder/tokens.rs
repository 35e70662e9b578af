//! Text to token numbers, as the encoder's own tokenizer makes them.

use super::spec::SPECIAL_TOKENS;
use botops_findings::{Fault, Place, Result};
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

/// A tokenizer that was tried, and cannot fail on any text.
///
/// - every number it gives is below the `vocab_size` it was read with
/// - it puts exactly two special tokens around a text
/// - an unknown word has a token
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    json: Vec<u8>,
}

/// A tokenizer that knows fewer than nine tenths of the embeddings is that of another model: tables are padded
/// to a multiple of 8 to 128 rows, no further.
const LEAST_SHARE: (usize, usize) = (9, 10);

impl Tokens {
    /// Reads a `tokenizer.json`; its own padding and truncation give way to `max_tokens`.
    ///
    /// # Errors
    /// `BOT-7024` (exit 3) when it is malformed, of another vocabulary, without special tokens, or without a
    /// token for unknown words.
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
                "numbers `{}` {id}, and the encoder has {vocab_size} embeddings",
                botops_text::display(token, 40)
            )));
        }
        if vocabulary.len() * LEAST_SHARE.1 < vocab_size * LEAST_SHARE.0 {
            return Err(of_another_model(&format!(
                "knows {} tokens, and the encoder has {vocab_size} embeddings",
                vocabulary.len()
            )));
        }
        tokenizer.with_padding(None);
        let n_added = tokenizer.encode_fast("", true).map_or(0, |empty| empty.len());
        if n_added != SPECIAL_TOKENS {
            return Err(refused(&format!(
                "puts {n_added} special tokens around a text where the encoder was trained with {SPECIAL_TOKENS}"
            ))
            .hint("a BERT tokenizer has a `post_processor` that adds [CLS] and [SEP]: save it again with a recent transformers"));
        }
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length: max_tokens,
                ..TruncationParams::default()
            }))
            .map_err(|error| refused(&format!("cannot cut texts: {error}")).caused_by(error))?;
        // Encoding fails on one thing only: a word it does not know, without a token for such.
        tokenizer.encode_fast(unknown(&vocabulary), true).map_err(|error| {
            refused(&format!("has no token for unknown words: {error}")).caused_by(error)
        })?;
        Ok(Self { tokenizer, json: json.to_vec() })
    }

    /// Returns the bytes it was read from.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Returns the numbers of the tokens of `text`: 2 to `max_tokens`, the special ones included.
    pub(super) fn of(&self, text: &str) -> Vec<u32> {
        self.tokenizer
            .encode_fast(text, true)
            .expect("an unknown word was tried when the tokenizer was read")
            .get_ids()
            .to_vec()
    }

    /// Returns whether one of `tokens` stands for something of a text: it is none of those that mark its ends, fill
    /// it up, or stand for what is unknown.
    pub(super) fn say_something(&self, tokens: &[u32]) -> bool {
        let added = self.tokenizer.get_added_tokens_decoder();
        tokens.iter().any(|token| !added.get(token).is_some_and(|token| token.special))
    }

    /// Returns the tokens of each of `texts`, in their order.
    pub(super) fn of_many(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        texts.par_iter().map(|text| self.of(text)).collect()
    }
}

/// Returns a word that no tokenizer of this vocabulary knows: letters that none of its tokens holds.
fn unknown(vocabulary: &std::collections::HashMap<String, u32>) -> String {
    let known: std::collections::BTreeSet<char> =
        vocabulary.keys().flat_map(|token| token.chars()).filter(|c| *c >= '\u{1400}').collect();
    // Cuneiform and hieroglyphs: letters to every normaliser.
    ('\u{12000}'..='\u{12399}')
        .chain('\u{13000}'..='\u{1342f}')
        .filter(|letter| !known.contains(letter))
        .take(2)
        .collect()
}

fn of_another_model(what: &str) -> Fault {
    refused(what)
        .hint("tokenizer.json and model.safetensors are not of the same model: copy both again")
}

/// Says why `json` is no tokenizer.
fn unreadable(json: &[u8]) -> Fault {
    match serde_json::from_slice::<serde::de::IgnoredAny>(json) {
        Err(error) => {
            let what = if error.is_eof() { "breaks off" } else { "is no JSON" };
            let fault = refused(what);
            let (line, column) = (Some(error.line() as u64), Some(error.column() as u64));
            let place = Place { line, column, ..fault.place().clone() };
            fault.at(place).hint("the file was cut short or altered on its way: copy or download it again")
        }
        Ok(_) => refused("is JSON, but not that of a tokenizer").hint(
            "take the tokenizer.json that lies beside the encoder's model.safetensors; one of an older kind is written anew by \
             `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)` in Python's transformers",
        ),
    }
}

fn refused(what: &str) -> Fault {
    Fault::data("BOT-7024", format!("the encoder's tokenizer {what}")).file("tokenizer.json")
}
