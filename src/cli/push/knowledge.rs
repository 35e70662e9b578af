//! The knowledge of a version that is pushed, and its questions.

use crate::cli::session::{
    context::Context,
    knowledge_source::{self, LoadedKnowledge},
};
use botops_digest::Digest;
use botops_evaluation::{GateSpec, knowledge::QuestionSet};
use botops_findings::{Fault, Result};
use botops_spec::Checked;
use std::{collections::BTreeMap, path::Path};

/// The knowledge of the version, each with the questions that judge it.
pub(super) struct Knowledge {
    pub(super) bases: Vec<(LoadedKnowledge, Option<QuestionSet>)>,
}

impl Knowledge {
    /// Reads the knowledge that `names` name, and the `questions`.
    ///
    /// # Errors
    /// `BOT-7265` (exit 2) knowledge twice, questions for none, or rules that judge the model and not the knowledge.
    pub(super) fn read(
        (names, questions): (&[String], &[String]),
        context: &Context,
        rules: Option<&Checked<GateSpec>>,
    ) -> Result<Self> {
        let mut bases: Vec<(LoadedKnowledge, Option<QuestionSet>)> = Vec::new();
        for text in names {
            let loaded = knowledge_source::load(context, text)?;
            if bases.iter().any(|(other, _)| other.name == loaded.name) {
                let message = format!("two knowledge bases are called `{}`", loaded.name);
                return Err(unjudged(message));
            }
            bases.push((loaded, None));
        }
        for text in questions {
            let named = text
                .split_once('=')
                .filter(|(name, _)| bases.iter().any(|(loaded, _)| loaded.name == *name));
            let (base, path) = match (named, bases.as_mut_slice()) {
                (Some((name, path)), bases) => {
                    (bases.iter_mut().find(|(loaded, _)| loaded.name == name), path)
                }
                (None, [base]) => (Some(base), text.as_str()),
                (None, _) => (None, text.as_str()),
            };
            let Some((_, questions)) = base.filter(|(_, questions)| questions.is_none()) else {
                let message =
                    format!("`{text}` has the questions of no knowledge base, or of one twice");
                return Err(unjudged(message));
            };
            *questions = Some(knowledge_source::questions(Path::new(path), None)?);
        }
        let knowledge = Self { bases };
        match (knowledge.bases.iter().find(|(_, questions)| questions.is_none()), rules) {
            (Some((loaded, _)), Some(_)) => {
                let message = format!("no questions judge the knowledge `{}`", loaded.shown);
                Err(unjudged(message))
            }
            (None, Some(rules)) if !knowledge.bases.is_empty() && rules.knowledge.is_none() => {
                let message = "the rules have no `knowledge`, so nothing judges the knowledge";
                Err(unjudged(message.to_owned()))
            }
            _ => Ok(knowledge),
        }
    }

    /// Returns the digests of the files, by name.
    pub(super) fn digests(&self) -> BTreeMap<String, Digest> {
        self.bases.iter().map(|(it, _)| (it.name.clone(), Digest::of(&it.bytes))).collect()
    }
}

fn unjudged(message: String) -> Fault {
    Fault::usage("BOT-7265", message)
        .hint("write rules on it, such as `knowledge: {recall_at_5: {min: 0.9}}`")
        .hint("name its questions: `botops push MODEL --knowledge help --questions questions.jsonl --test test.csv --rules gates.yaml`")
}
