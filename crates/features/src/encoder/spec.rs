//! The settings of an encoder, as written in YAML.

use super::EncoderConfig;
use botops_findings::{Fault, Result};
use botops_spec::Spec;
use serde::{Deserialize, Serialize};

/// The source of an encoder, and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// A folder in the Hugging Face layout, or `hf://owner/name[@revision]`.
    pub source: String,
    /// The pooling of token vectors; `None` for that of the folder (`1_Pooling/config.json`), else the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The most tokens read from a text, including the two special tokens; the rest is cut off.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
}

/// Utterances are short: the longest of the 10,003 in BANKING77 has 98 tokens.
const fn default_max_tokens() -> usize {
    128
}

impl EncoderSpec {
    /// Makes a spec of the encoder at `source` with default settings.
    #[must_use]
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), pooling: None, max_tokens: default_max_tokens() }
    }
}

impl Spec for EncoderSpec {
    /// Checks the settings that do not depend on the encoder.
    ///
    /// # Errors
    /// `BOT-7025` (exit 2) for an empty source, or `max_tokens` below 2.
    fn check_ranges(&self) -> Result<()> {
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
            .hint("write at least 2, or remove `max_tokens` for the default of 128"));
        }
        Ok(())
    }
}

/// The number of tokens that the tokenizers of all supported families add to a text: `[CLS]` and `[SEP]`.
pub(super) const SPECIAL_TOKENS: usize = 2;

/// Checks `max_tokens` against the number of positions of an encoder.
pub(super) fn check_max_tokens(max_tokens: usize, config: &EncoderConfig) -> Result<()> {
    if (SPECIAL_TOKENS..=config.max_positions).contains(&max_tokens) {
        return Ok(());
    }
    Err(Fault::usage(
        "BOT-7025",
        format!(
            "`max_tokens: {max_tokens}` is not from {SPECIAL_TOKENS} to {}, the number of positions of this encoder",
            config.max_positions
        ),
    )
    .hint(format!("write `max_tokens: {}` or less", config.max_positions)))
}

/// The pooling of a text's token vectors into one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over all tokens, including the special tokens, as in sentence-transformers.
    Mean,
    /// The vector of the first token, `[CLS]`.
    Cls,
}

impl Pooling {
    /// Reads a `1_Pooling/config.json`, which has flags (`pooling_mode_mean_tokens: true`) or a name
    /// (`pooling_mode: mean`).
    ///
    /// # Errors
    /// `BOT-7021` (exit 3) if it is not JSON, or asks for anything but the mean or the first token.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self> {
        let malformed = |message: &str| {
            Fault::data("BOT-7021", message)
                .file("1_Pooling/config.json")
                .hint("choose one yourself: set `pooling: mean` or `pooling: cls` under `encoder:`")
        };
        let value: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|error| malformed("the encoder's pooling is not JSON").caused_by(error))?;
        let keys = value
            .as_object()
            .ok_or_else(|| malformed("the encoder's pooling is not a JSON object"))?;
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
            [] => Err(malformed("the encoder's pooling has no mode")),
            others => Err(malformed(&format!(
                "the encoder's pooling is {}; botops supports `mean` and `cls`",
                others
                    .iter()
                    .map(|mode| format!("`{}`", botops_text::display(mode, 40)))
                    .collect::<Vec<_>>()
                    .join(" and ")
            ))),
        }
    }
}
