//! Which encoder, as written in YAML.

use crate::findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// Which encoder, as written in YAML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// A folder in the Hugging Face layout, or `hf://owner/name`, perhaps with `@revision`.
    pub source: String,
    /// How the vectors of the tokens become one; none: what the folder says, else the mean.
    #[serde(default)]
    pub pooling: Option<Pooling>,
    /// Tokens of a text beyond this are left out; the marks at both ends count.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
}

/// How the vectors of the tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first, the mark at the beginning.
    Cls,
}

fn default_max_tokens() -> usize {
    128
}

impl EncoderSpec {
    /// Checks what can be checked without the encoder.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key.
    pub fn check(&self) -> Result<()> {
        if self.source.trim().is_empty() {
            return Err(Fault::usage("BOT-7010", "`features.encoder.source` is empty")
                .hint("name a folder, or `hf://owner/name`"));
        }
        // Two are the marks at both ends.
        if !(3..=8_192).contains(&self.max_tokens) {
            return Err(Fault::usage("BOT-7010", "`features.encoder.max_tokens` is out of range")
                .hint("`max_tokens` may be from 3 to 8192, and no more than the encoder has positions"));
        }
        Ok(())
    }
}
