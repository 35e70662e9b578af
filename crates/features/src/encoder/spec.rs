//! What is asked of an encoder.

use super::EncoderConfig;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// Which encoder, and how it makes one vector of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// A folder in the Hugging Face layout, or `hf://owner/name[@revision]`.
    pub source: String,
    /// How token vectors become one; none: what the folder says (`1_Pooling/config.json`), else the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The most tokens of a text that are read, the two special ones included; the rest is cut off.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
}

/// Utterances are short: of BANKING77's 10,003 the longest has 98 tokens.
const fn default_max_tokens() -> usize {
    128
}

impl EncoderSpec {
    /// Asks for the encoder at `source` with every default.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), pooling: None, max_tokens: default_max_tokens() }
    }

    /// Checks what can be checked without the encoder.
    ///
    /// # Errors
    /// `BOT-7025` (exit 2) for an empty source, or `max_tokens` below 2.
    pub fn check(&self) -> Result<()> {
        if self.source.trim().is_empty() {
            return Err(Fault::usage("BOT-7025", "the encoder has no `source`").hint(
                "name a folder with config.json, tokenizer.json and model.safetensors, or `hf://owner/name`",
            ));
        }
        if self.max_tokens < SPECIAL_TOKENS {
            return Err(Fault::usage(
                "BOT-7025",
                format!("`max_tokens: {}` leaves no room for the special tokens", self.max_tokens),
            )
            .hint("`max_tokens` is at least 2; leave it out for 128"));
        }
        Ok(())
    }
}

/// The tokens that the tokenizer of every supported family puts around a text: `[CLS]` and `[SEP]`.
pub(super) const SPECIAL_TOKENS: usize = 2;

/// Checks `max_tokens` against the positions that an encoder has learnt.
pub(super) fn check_max_tokens(max_tokens: usize, config: &EncoderConfig) -> Result<()> {
    if (SPECIAL_TOKENS..=config.max_positions).contains(&max_tokens) {
        return Ok(());
    }
    Err(Fault::usage(
        "BOT-7025",
        format!(
            "`max_tokens: {max_tokens}` is not from {SPECIAL_TOKENS} to {}, the positions that this encoder knows",
            config.max_positions
        ),
    )
    .hint(format!("write `max_tokens: {}` or less", config.max_positions)))
}

/// How the vectors of a text's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over all tokens, the special ones included, as sentence-transformers takes it.
    Mean,
    /// The vector of the first token, `[CLS]`.
    Cls,
}

impl Pooling {
    /// Reads a `1_Pooling/config.json`, in the form of flags (`pooling_mode_mean_tokens: true`) or of a name
    /// (`pooling_mode: mean`).
    ///
    /// # Errors
    /// `BOT-7021` (exit 3) when it is no JSON, or asks for anything else than the mean or the first token.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self> {
        let malformed = |message: &str| {
            Fault::data("BOT-7021", message).file("1_Pooling/config.json").hint(
                "set `pooling: mean` or `pooling: cls` under `encoder:` to decide it yourself",
            )
        };
        let value: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|error| malformed("the encoder's pooling is no JSON").caused_by(error))?;
        let keys =
            value.as_object().ok_or_else(|| malformed("the encoder's pooling is no object"))?;
        let mut modes: Vec<&str> = keys
            .iter()
            .filter(|(_, value)| value.as_bool() == Some(true))
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
            .collect();
        match keys.get("pooling_mode") {
            Some(serde_json::Value::String(name)) => modes.push(name),
            Some(serde_json::Value::Array(names)) => {
                modes.extend(names.iter().filter_map(serde_json::Value::as_str));
            }
            _ => {}
        }
        match modes.as_slice() {
            ["mean_tokens" | "mean"] => Ok(Self::Mean),
            ["cls_token" | "cls"] => Ok(Self::Cls),
            [] => Err(malformed("the encoder's pooling names no mode")),
            others => Err(malformed(&format!(
                "the encoder pools by {}; botops pools by `mean` or `cls`",
                others
                    .iter()
                    .map(|mode| format!("`{}`", botops_text::display(mode, 40)))
                    .collect::<Vec<_>>()
                    .join(" and ")
            ))),
        }
    }
}
