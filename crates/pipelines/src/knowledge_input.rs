//! The knowledge that an evaluate stage judges beside its model.

use botops_findings::{Fault, Result};
use botops_knowledge::store::KnowledgeReference;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A knowledge base of the version, and the questions that judge it. It has either `from` or `base`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeInput {
    /// The `knowledge_import` stage that imports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A knowledge base of the registry, such as `help` for its newest version, or `help@3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The questions: JSONL, or JSON in the format of SQuAD.
    pub questions: PathBuf,
}

/// The source of a knowledge base.
pub(crate) enum KnowledgeSource<'a> {
    /// A stage.
    Stage(&'a str),
    /// A version in the registry.
    Registry(KnowledgeReference),
}

impl KnowledgeInput {
    /// Returns the source.
    ///
    /// # Errors
    /// `BOT-8001` (exit 2) there are two, or none; `BOT-7230` (exit 2) `base` is no reference.
    pub(crate) fn source(&self) -> Result<KnowledgeSource<'_>> {
        match (&self.from, &self.base) {
            (Some(stage), None) => Ok(KnowledgeSource::Stage(stage)),
            (None, Some(base)) => Ok(KnowledgeSource::Registry(base.parse()?)),
            (Some(_), Some(_)) => {
                Err(Fault::usage("BOT-8001", "a knowledge base has one source: `from` or `base`")
                    .hint("remove one"))
            }
            (None, None) => Err(Fault::usage("BOT-8001", "a knowledge base has no source").hint(
                "name its stage (`from: knowledge_import`) or its name in the registry (`base: help`)",
            )),
        }
    }
}
