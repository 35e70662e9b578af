//! The config of an encoder: the content of `config.json`, in the same form for every family.

use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// The families of encoders; MiniLM has the architecture of BERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// BERT and MiniLM: word, position and token-type embeddings.
    Bert,
    /// DistilBERT: no token types.
    DistilBert,
}

/// The activation between the two layers of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x Phi(x) with the exact error function: `gelu`.
    GeluErf,
    /// GELU approximated by tanh: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// max(x, 0): `relu`.
    Relu,
}

/// The sizes and settings of an encoder.
///
/// - every size is at least 1; `type_vocab_size` is 0 for DistilBERT
/// - `n_heads` divides `hidden_size`
/// - `layer_norm_eps` is positive; both dropouts are in [0, 1)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// The family.
    pub architecture: Architecture,
    /// The length of a token's vector, and of an embedding.
    pub hidden_size: usize,
    /// The number of transformer layers.
    pub n_layers: usize,
    /// The number of attention heads in a layer.
    pub n_heads: usize,
    /// The width of the feed-forward block.
    pub intermediate_size: usize,
    /// The number of tokens with an embedding.
    pub vocab_size: usize,
    /// The number of positions with an embedding: the length of the longest text, in tokens.
    pub max_positions: usize,
    /// The number of token types with an embedding; 0 if the family has none.
    pub type_vocab_size: usize,
    /// The number that layer norms add to the variance.
    pub layer_norm_eps: f64,
    /// The activation of the feed-forward block.
    pub activation: Activation,
    /// The share of hidden values dropped in fine-tuning.
    pub dropout: f64,
    /// The share of attention weights dropped in fine-tuning.
    pub attention_dropout: f64,
}

/// The largest size, larger than that of any encoder; a greater one is a damaged file, whose sizes could overflow
/// when multiplied.
const LARGEST: usize = 1 << 24;

#[derive(Deserialize)]
struct Family {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
}

#[derive(Deserialize)]
struct BertJson {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "small")]
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "tenth")]
    hidden_dropout_prob: f64,
    #[serde(default = "tenth")]
    attention_probs_dropout_prob: f64,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

#[derive(Deserialize)]
struct DistilBertJson {
    dim: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_dim: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "gelu")]
    activation: String,
    #[serde(default = "tenth")]
    dropout: f64,
    #[serde(default = "tenth")]
    attention_dropout: f64,
}

// The defaults of the Python library transformers for missing keys.
const fn two() -> usize {
    2
}
const fn small() -> f64 {
    1e-12
}
const fn tenth() -> f64 {
    0.1
}
fn gelu() -> String {
    "gelu".to_owned()
}

impl EncoderConfig {
    /// Reads a `config.json` of one of the supported families, and checks it.
    ///
    /// # Errors
    /// `BOT-7021` (exit 3) if it is not JSON, is of another family, or has a missing or invalid size.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let value: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|error| refused(&format!("is not JSON: {error}")).caused_by(error))?;
        let read = |error: serde_json::Error| {
            refused(&format!("cannot be read: {error}")).caused_by(error)
        };
        let family: Family = Family::deserialize(&value).map_err(read)?;
        let config = match architecture(&family)? {
            Architecture::Bert => {
                let json = BertJson::deserialize(&value).map_err(read)?;
                if let Some(kind) = json.position_embedding_type.filter(|kind| kind != "absolute") {
                    return Err(refused(&format!(
                        "uses `{}` positions; botops supports `absolute`",
                        botops_text::display(&kind, 40)
                    )));
                }
                if json.is_decoder {
                    return Err(refused("is that of a decoder; botops supports encoders"));
                }
                Self {
                    architecture: Architecture::Bert,
                    hidden_size: json.hidden_size,
                    n_layers: json.num_hidden_layers,
                    n_heads: json.num_attention_heads,
                    intermediate_size: json.intermediate_size,
                    vocab_size: json.vocab_size,
                    max_positions: json.max_position_embeddings,
                    type_vocab_size: json.type_vocab_size,
                    layer_norm_eps: json.layer_norm_eps,
                    activation: activation(&json.hidden_act)?,
                    dropout: json.hidden_dropout_prob,
                    attention_dropout: json.attention_probs_dropout_prob,
                }
            }
            Architecture::DistilBert => {
                let json = DistilBertJson::deserialize(&value).map_err(read)?;
                Self {
                    architecture: Architecture::DistilBert,
                    hidden_size: json.dim,
                    n_layers: json.n_layers,
                    n_heads: json.n_heads,
                    intermediate_size: json.hidden_dim,
                    vocab_size: json.vocab_size,
                    max_positions: json.max_position_embeddings,
                    type_vocab_size: 0,
                    // DistilBERT has no key for it: transformers has 1e-12 in the code.
                    layer_norm_eps: 1e-12,
                    activation: activation(&json.activation)?,
                    dropout: json.dropout,
                    attention_dropout: json.attention_dropout,
                }
            }
        };
        config.check()?;
        Ok(config)
    }

    /// Checks the invariants of the type.
    ///
    /// # Errors
    /// `BOT-7021` (exit 3); the message names the first invalid value.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("hidden size", self.hidden_size),
            ("number of layers", self.n_layers),
            ("number of attention heads", self.n_heads),
            ("intermediate size", self.intermediate_size),
            ("vocabulary size", self.vocab_size),
            ("number of positions", self.max_positions),
        ];
        if let Some((name, size)) =
            sizes.into_iter().find(|(_, size)| !(1..=LARGEST).contains(size))
        {
            return Err(refused(&format!("has a {name} of {size}")));
        }
        let allowed = match self.architecture {
            Architecture::Bert => 1..=LARGEST,
            Architecture::DistilBert => 0..=0,
        };
        if !allowed.contains(&self.type_vocab_size) {
            return Err(refused(&format!("has {} token types", self.type_vocab_size)));
        }
        if !self.hidden_size.is_multiple_of(self.n_heads) {
            return Err(refused(&format!(
                "has {} attention heads, which do not divide its hidden size of {}",
                self.n_heads, self.hidden_size
            )));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(refused(&format!("has a `layer_norm_eps` of {}", self.layer_norm_eps)));
        }
        for (name, share) in
            [("dropout", self.dropout), ("attention dropout", self.attention_dropout)]
        {
            if !(0.0..1.0).contains(&share) {
                return Err(refused(&format!(
                    "has a {name} of {share}; expected at least 0 and less than 1"
                )));
            }
        }
        Ok(())
    }

    /// Returns the length of one attention head's vectors.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.n_heads
    }
}

fn refused(problem: &str) -> Fault {
    Fault::data("BOT-7021", format!("the encoder's config {problem}")).file("config.json")
}

fn architecture(family: &Family) -> Result<Architecture> {
    let name = match (&family.model_type, family.architectures.first()) {
        (Some(name), _) => name.as_str(),
        (None, Some(class)) if class.starts_with("Bert") => "bert",
        (None, Some(class)) if class.starts_with("DistilBert") => "distilbert",
        (None, Some(class)) => class.as_str(),
        (None, None) => {
            return Err(
                refused("has no `model_type`").hint("for MiniLM, add `\"model_type\": \"bert\"`")
            );
        }
    };
    match name {
        "bert" => Ok(Architecture::Bert),
        "distilbert" => Ok(Architecture::DistilBert),
        other => Err(refused(&format!(
            "has the family `{}`; botops supports `bert` (BERT, MiniLM) and `distilbert`",
            botops_text::display(other, 40)
        ))
        .hint("use an encoder of the family `bert`, such as sentence-transformers/all-MiniLM-L6-v2 or paraphrase-multilingual-MiniLM-L12-v2")),
    }
}

fn activation(name: &str) -> Result<Activation> {
    match name {
        "gelu" | "gelu_python" => Ok(Activation::GeluErf),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(refused(&format!(
            "uses the activation `{}`; botops supports `gelu`, `gelu_new` and `relu`",
            botops_text::display(other, 40)
        ))),
    }
}
