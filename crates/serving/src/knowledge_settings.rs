//! How a server answers from documents.

use crate::served_knowledge::KnowledgeFile;
use botops_access::{CallerKind, PublicCaller};
use botops_findings::Result;
use botops_generation::{FailureKind, GenerationSettings, Generator};
use botops_workspace::{AnswerMode, Knowledge};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// How a server answers from documents.
#[derive(Debug, Clone, Default)]
pub struct KnowledgeSettings {
    /// The rules of the workspace.
    pub rules: Knowledge,
    /// The knowledge beside a model file. A version of a registry has its own.
    pub files: Vec<KnowledgeFile>,
}

/// The rules of answers from documents, ready to use.
pub(super) struct AnswerRules {
    /// The passages that an answer may be taken from.
    pub(super) top_k: usize,
    /// The least confidence, instead of the threshold of an index.
    pub(super) min_confidence: Option<f64>,
    /// The access tags of clients, by name.
    access: BTreeMap<String, BTreeSet<String>>,
    /// The language model that writes answers; `None` for quotes only.
    pub(super) generator: Option<Generator>,
    /// The further rules for it.
    pub(super) rules: String,
    /// The failure of the last generated answer.
    trouble: Mutex<Option<FailureKind>>,
}

impl AnswerRules {
    /// Checks the rules, and reads the key of the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// Those of [`GenerationSettings::check`] and [`Generator::new`].
    pub(super) fn new(rules: &Knowledge) -> Result<Self> {
        let generation = match rules.answer {
            AnswerMode::Extractive => None,
            AnswerMode::Generated => rules.generation.as_ref(),
        };
        let generator = generation
            .map(|generation| Generator::new(GenerationSettings::check(generation)?))
            .transpose()?;
        Ok(Self {
            top_k: rules.top_k,
            min_confidence: rules.min_confidence,
            access: rules.access.clone(),
            generator,
            rules: generation.map(|generation| generation.rules.clone()).unwrap_or_default(),
            trouble: Mutex::default(),
        })
    }

    /// Returns the access tags of a caller: those of the settings for its key, or for the subject of its token. A caller who is
    /// not known has none.
    pub(super) fn access_of(&self, caller: Option<&PublicCaller>) -> BTreeSet<String> {
        let is_named = |it: &&PublicCaller| matches!(it.kind, CallerKind::Key | CallerKind::Token);
        let tags = caller.filter(is_named).and_then(|caller| self.access.get(&*caller.id));
        tags.cloned().unwrap_or_default()
    }

    /// Notes how the last generated answer ended. Returns whether that is a change.
    pub(super) fn ended(&self, failure: Option<FailureKind>) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *trouble, failure) != failure
    }
}
