//! The knowledge of a version that is judged or pushed, and its questions.

use super::{
    context::Context,
    knowledge_source::{self, LoadedKnowledge},
};
use botops_digest::Digest;
use botops_evaluation::{
    GateSpec, JudgedKnowledge,
    knowledge::{KnowledgeComparison, KnowledgeReport, QuestionSet, compare_knowledge},
};
use botops_findings::{Fault, Finding, Result};
use botops_knowledge::Mode;
use botops_registry::{Registry, Version};
use botops_spec::Checked;
use std::{collections::BTreeMap, path::Path};

/// The knowledge of the version, each with the questions that judge it.
pub(crate) struct Knowledge {
    pub(crate) bases: Vec<(LoadedKnowledge, Option<QuestionSet>)>,
}

impl Knowledge {
    /// Reads the knowledge that `names` name, and the `questions`.
    ///
    /// # Errors
    /// `BOT-7265` (exit 2) knowledge twice, questions for none, or rules that judge the model and not the knowledge.
    pub(crate) fn read(
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

    /// Evaluates each knowledge base that has questions, and compares it with that of its name in the version `champion`.
    ///
    /// # Errors
    /// Those of the store, of an index and of an evaluation.
    pub(crate) fn judge(
        &self,
        (context, registry): (&Context, &Registry),
        champion: Option<&Version>,
        warnings: &mut Vec<Finding>,
    ) -> Result<Vec<JudgedBase>> {
        let mut judged = Vec::new();
        for (loaded, questions) in &self.bases {
            let Some(set) = questions else { continue };
            let (report, outcomes, found) = knowledge_source::evaluate(loaded, set, Mode::Hybrid)?;
            warnings.extend(found);
            let before = match champion {
                Some(champion) => {
                    knowledge_source::of_version(context, registry, champion, &loaded.name)?
                }
                None => None,
            };
            let comparison = match before {
                Some(before) => {
                    let (_, earlier, _) = knowledge_source::evaluate(&before, set, Mode::Hybrid)?;
                    let champion = (before.index.digest(), earlier.as_slice());
                    let challenger = (loaded.index.digest(), outcomes.as_slice());
                    Some(compare_knowledge(set, champion, challenger)?)
                }
                None => None,
            };
            judged.push(JudgedBase { report, comparison });
        }
        Ok(judged)
    }

    /// Returns the digests of the files, by name.
    pub(crate) fn digests(&self) -> BTreeMap<String, Digest> {
        self.bases.iter().map(|(it, _)| (it.name.clone(), Digest::of(&it.bytes))).collect()
    }
}

/// The evaluation of a knowledge base, and its comparison with that of the champion, if it has one of this name.
pub(crate) struct JudgedBase {
    pub(crate) report: KnowledgeReport,
    pub(crate) comparison: Option<KnowledgeComparison>,
}

impl JudgedBase {
    /// Returns the evidence for gates.
    pub(crate) fn evidence(judged: &[Self]) -> Vec<JudgedKnowledge<'_>> {
        let evidence = judged.iter().map(|Self { report, comparison }| JudgedKnowledge {
            report,
            comparison: comparison.as_ref(),
        });
        evidence.collect()
    }
}

fn unjudged(message: String) -> Fault {
    Fault::usage("BOT-7265", message)
        .hint("write rules on it, such as `knowledge: {recall_at_5: {min: 0.9}}`")
        .hint("name its questions: `botops push MODEL --knowledge help --questions questions.jsonl --test test.csv --rules gates.yaml`")
}
