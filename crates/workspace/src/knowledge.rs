//! How a server answers from documents: the block `knowledge`.

use crate::secret::{Secret, SecretSource};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The block `knowledge:` of `botops.yaml` or of a profile; the block of a profile replaces that of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgeSpec {
    /// Who writes the answers: `extractive` (default) quotes the documents, `generated` asks a language model and checks its
    /// answer against the passages.
    pub answer: Option<AnswerMode>,
    /// The least confidence, between 0 and 1, of an answer that is given. It replaces the threshold of the index.
    pub min_confidence: Option<f64>,
    /// The passages that an answer may be taken from, from 1 to 50 (default 5).
    pub top_k: Option<u32>,
    /// The language model of `answer: generated`.
    pub generation: Option<GenerationSpec>,
    /// The access tags of clients, by the name of the client. A client that is not listed sees public documents only.
    pub access: BTreeMap<String, Vec<String>>,
}

/// Who writes an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerMode {
    /// The documents: the answer is a quote.
    #[default]
    Extractive,
    /// A language model; each of its sentences must be supported by a passage that it cites.
    Generated,
}

/// The block `knowledge.generation`: an endpoint that speaks the chat protocol of OpenAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationSpec {
    /// The address that `/chat/completions` is added to, such as `https://llm.example.com/v1`.
    pub url: String,
    /// The name of the model.
    pub model: String,
    /// The name by which answers of the endpoint call the model, where it is another one. An answer of any other model is
    /// refused.
    #[serde(default)]
    pub served_as: Option<String>,
    /// The key, by reference: `${env:NAME}` or `${file:PATH}`. Without it, requests carry none.
    #[serde(default)]
    pub key: Option<String>,
    /// Further rules for the language model, such as the tone of its answers; at most 8,000 characters.
    #[serde(default)]
    pub rules: Option<String>,
    /// The longest time to a whole answer, with all tries and the completion of a follow-up question (default `30s`).
    #[serde(default)]
    pub timeout: Option<String>,
    /// The longest time to the first piece of an answer, and to the completion of a follow-up question (default `10s`).
    #[serde(default)]
    pub first_token_timeout: Option<String>,
    /// The most tokens of an answer (default 512).
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// The further tries after a connection that failed, or an answer of 429 or 5xx, from 0 to 5 (default 2).
    #[serde(default)]
    pub retries: Option<u32>,
    /// Whether answers come in pieces (default true).
    #[serde(default)]
    pub stream: Option<bool>,
    /// Whether `http://` may be used to another machine, where everyone on the way can read questions, passages and the key.
    #[serde(default)]
    pub allow_http: bool,
    /// The most that may be spent.
    #[serde(default)]
    pub budget: GenerationBudget,
    /// The price of tokens, from which costs are computed.
    #[serde(default)]
    pub price: Option<GenerationPrice>,
}

/// The block `knowledge.generation.budget`: each server counts for itself, by days of UTC, and from zero when it starts.
/// An answer beyond it is extractive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerationBudget {
    /// The most tokens of a day, of requests and answers together.
    pub tokens_per_day: Option<u64>,
    /// The most tokens of one request and its answer.
    pub tokens_per_request: Option<u64>,
    /// The largest cost of a day, in the currency of `price`.
    pub cost_per_day: Option<f64>,
    /// The largest cost of one request and its answer.
    pub cost_per_request: Option<f64>,
}

/// The block `knowledge.generation.price`, in any currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationPrice {
    /// The price of 1,000,000 tokens of requests.
    pub input_per_million: f64,
    /// The price of 1,000,000 tokens of answers.
    pub output_per_million: f64,
}

/// How a server answers from documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Knowledge {
    /// Who writes the answers.
    pub answer: AnswerMode,
    /// The least confidence, in [0, 1]; `None` for the threshold of the index.
    pub min_confidence: Option<f64>,
    /// The passages that an answer may be taken from, at least 1.
    pub top_k: usize,
    /// The language model; set if `answer` is [`AnswerMode::Generated`].
    pub generation: Option<Generation>,
    /// The access tags of clients, by name.
    pub access: BTreeMap<String, BTreeSet<String>>,
}

/// The passages that an answer may be taken from where nobody sets their number.
const TOP_K: usize = 5;

impl Default for Knowledge {
    fn default() -> Self {
        Self {
            answer: AnswerMode::Extractive,
            min_confidence: None,
            top_k: TOP_K,
            generation: None,
            access: BTreeMap::new(),
        }
    }
}

/// An endpoint that speaks the chat protocol of OpenAI.
///
/// - every time-out is longer than 0
/// - `max_tokens` is at least 1
/// - amounts and prices are finite and not negative; a limit on costs has a price
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generation {
    /// The address that `/chat/completions` is added to, without a `/` at its end.
    pub url: String,
    /// The name of the model.
    pub model: String,
    /// The name by which answers call the model, where it is another one.
    pub served_as: Option<String>,
    /// The key.
    #[serde(skip)]
    pub key: GenerationKey,
    /// Further rules for the language model; may be empty.
    pub rules: String,
    /// The longest time to a whole answer, with all tries and the completion of a follow-up question.
    pub timeout: Duration,
    /// The longest time to the first piece of an answer.
    pub first_token_timeout: Duration,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// The further tries.
    pub retries: u32,
    /// Whether answers come in pieces.
    pub stream: bool,
    /// Whether `http://` may be used to another machine.
    pub allow_http: bool,
    /// The most that may be spent.
    pub budget: GenerationBudget,
    /// The price of tokens.
    pub price: Option<GenerationPrice>,
}

/// The key of an endpoint, read when it is needed. Two keys are equal if both are set or none is.
#[derive(Debug, Clone, Default)]
pub struct GenerationKey(pub SecretSource);

impl GenerationKey {
    /// Makes the key of a secret that is known.
    #[must_use]
    pub fn known(secret: Secret) -> Self {
        Self(SecretSource::given(secret))
    }
}

impl PartialEq for GenerationKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_set() == other.0.is_set()
    }
}
