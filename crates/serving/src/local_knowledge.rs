//! The knowledge of a model that talks in this process, without a server.

use crate::served_knowledge::{KnowledgeFile, LookedUp, Question, ServedKnowledge};
use botops_dialogue::Lookup;
use botops_findings::{Fault, Result};
use botops_knowledge::{Filters, Mode, PastQuestion, Source, complete};
use botops_models::IntentModel;
use botops_workspace::Knowledge;

/// The knowledge of a model, which answers in this process as that of a server does, by quotes.
///
/// It sees the documents that a client without a key sees: those without access tags.
pub struct LocalKnowledge {
    knowledge: ServedKnowledge,
    top_k: usize,
    min_confidence: Option<f64>,
}

/// An answer of [`LocalKnowledge`].
#[derive(Debug, Clone)]
pub struct LocalAnswer {
    /// The quote.
    pub text: String,
    /// The language of its document.
    pub language: Option<String>,
    /// The question, completed from the one before.
    pub question: String,
    /// The passages that say so, best first.
    pub sources: Vec<Source>,
}

impl LocalKnowledge {
    /// Reads `files` for `model`; `rules` are those of the workspace.
    ///
    /// # Errors
    /// Those of a knowledge file; `BOT-6176` (exit 3) two files have one name, the dialogue names another base, or there are too
    /// many files.
    pub fn read(rules: &Knowledge, files: &[KnowledgeFile], model: &IntentModel) -> Result<Self> {
        Ok(Self {
            knowledge: ServedKnowledge::read(files, model)?,
            top_k: rules.top_k,
            min_confidence: rules.min_confidence,
        })
    }

    /// Answers `text`, which follows the question `before`, from the bases of `lookup`; `None` without an answer of enough
    /// confidence.
    ///
    /// # Errors
    /// `BOT-6018` (exit 1) the search panicked.
    pub fn answer(
        &self,
        lookup: &Lookup,
        text: &str,
        before: Option<&str>,
    ) -> Result<Option<LocalAnswer>> {
        if self.knowledge.is_empty() {
            return Ok(None);
        }
        let past = before.map(|text| PastQuestion { text, is_answered: true });
        let question = complete(text, past.as_slice()).question;
        let filters = Filters::default();
        let asked =
            Question { text: &question, filters: &filters, k: self.top_k, mode: Mode::Hybrid };
        let found = self.knowledge.answer(lookup, &asked, self.min_confidence);
        let found = found.map_err(|_| Fault::internal("BOT-6018", "the search panicked"));
        Ok(match found? {
            LookedUp::Abstained(_) => None,
            LookedUp::Answered(answer) => Some(LocalAnswer {
                text: answer.text,
                language: answer.language,
                question,
                sources: answer.sources,
            }),
        })
    }
}
