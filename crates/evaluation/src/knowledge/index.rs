//! One loaded index as the answerer of questions.

use super::{
    outcome::{Answerer, Asked, DEPTH, Found},
    question::{Question, QuestionSet},
    report::KnowledgeSubject,
};
use botops_findings::{Finding, Place, Severity};
use botops_knowledge::{
    Abstention, Filters, KnowledgeIndex, Mode, Query, SearchScratch,
    answer::{AnswerSpec, Answered, Candidate, extract},
};
use std::collections::{BTreeMap, BTreeSet};

/// The passages that an answer is taken from, those that a server reads.
const ANSWERED_FROM: usize = 5;

/// Answers questions from one index, without filters: all documents, those with access tags too.
pub struct IndexAnswerer<'a> {
    index: &'a KnowledgeIndex,
    mode: Mode,
    filters: Filters,
    scratch: SearchScratch,
    abstention: Abstention,
}

impl<'a> IndexAnswerer<'a> {
    /// Makes the answerer of `index`, which ranks in `mode`; by words if it has no vectors.
    #[must_use]
    pub fn new(index: &'a KnowledgeIndex, mode: Mode) -> Self {
        let access = index.documents().iter().flat_map(|document| document.access.iter().cloned());
        let filters = Filters { metadata: BTreeMap::new(), access: access.collect() };
        Self {
            index,
            mode: index.effective_mode(mode),
            filters,
            scratch: SearchScratch::default(),
            abstention: index.spec().abstention.unwrap_or_default(),
        }
    }

    /// Returns the description of the index for a report.
    #[must_use]
    pub fn subject(&self) -> KnowledgeSubject {
        let mode = match self.mode {
            Mode::Lexical => "lexical",
            Mode::Dense => "dense",
            Mode::Hybrid => "hybrid",
        };
        KnowledgeSubject {
            name: self.index.name().to_owned(),
            digest: self.index.digest(),
            n_documents: self.index.n_documents() as u64,
            n_chunks: self.index.n_chunks() as u64,
            mode: mode.to_owned(),
        }
    }

    /// Returns a finding for each question that names a document that the index does not have.
    #[must_use]
    pub fn unknown_documents(&self, set: &QuestionSet) -> Vec<Finding> {
        let known: BTreeSet<&str> =
            self.index.documents().iter().map(|document| document.id.as_str()).collect();
        let mut found = Vec::new();
        for question in &set.questions {
            let unknown = question.documents.iter().filter(|id| !known.contains(id.as_str()));
            for id in unknown {
                let message = format!(
                    "question `{}` names the document `{}`, which `{}` does not have",
                    botops_text::display(&question.id, 80),
                    botops_text::display(id, 80),
                    self.index.name()
                );
                let line = (question.line > 0).then_some(question.line);
                let place = Place { file: Some(set.name.clone()), line, ..Place::default() };
                let help = help(id, &known);
                found.push(Finding::new("BOT-7262", Severity::Warning, message, help).at(place));
            }
        }
        found
    }
}

/// Returns the remedy for a question that names the document `id`, which is not one of `known`.
fn help(id: &str, known: &BTreeSet<&str>) -> String {
    // A table is no document: its rows are.
    let row = format!("{id}#");
    match known.range(row.as_str()..).next().filter(|known| known.starts_with(&row)) {
        Some(row) => {
            let row = botops_text::display(row, 80);
            format!(
                "name the row of the table that answers, such as `{row}`; the question counts as missed"
            )
        }
        None => "import the document, or correct its id; the question counts as missed".to_owned(),
    }
}

impl Answerer for IndexAnswerer<'_> {
    fn ask(&mut self, question: &Question) -> Asked {
        let query = Query {
            text: &question.text,
            k: DEPTH,
            filters: &self.filters,
            mode: self.mode,
            embedding: None,
        };
        let hits = self.index.search(&query, &mut self.scratch);
        let passages: Vec<_> =
            hits.iter().map(|hit| (hit, self.index.passage(hit.chunk))).collect();
        let ids: Vec<String> = passages.iter().map(|(_, passage)| passage.id.to_string()).collect();
        let candidates: Vec<Candidate<'_>> = passages
            .iter()
            .zip(&ids)
            .take(ANSWERED_FROM)
            .map(|((hit, passage), id)| Candidate {
                chunk: id,
                title: passage.title,
                section: passage.section,
                url: passage.url,
                page: passage.page,
                language: passage.language,
                text: passage.text,
                score: hit.score,
                cosine: hit.dense,
            })
            .collect();
        // Every answer is wanted, so that those that are not given can be judged: the threshold is applied here.
        let spec = AnswerSpec { abstention: &self.abstention, min_confidence: Some(0.0) };
        let answered = extract(&question.text, &candidates, &spec);
        let confidence = answered.confidence();
        let least = self.abstention.threshold();
        let (answer, quote, chunk) = match &answered {
            Answered::Extract(extract) => {
                let chunk = extract.sources.first().map(|source| source.chunk.clone());
                (extract.short_answer().to_owned(), extract.quote.clone(), chunk)
            }
            Answered::Abstained { .. } => (String::new(), String::new(), None),
        };
        let found = passages.iter().zip(ids).map(|((_, passage), chunk)| Found {
            document: passage.document.to_owned(),
            chunk,
            text: passage.text.to_owned(),
        });
        Asked {
            found: found.collect(),
            is_answered: !answer.is_empty() && confidence >= least,
            answer,
            quote,
            chunk,
            confidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_table_are_named_where_a_question_names_the_table() {
        let known = BTreeSet::from(["a.md", "faq.csv#1", "faq.csv#2", "faq.csv.md"]);
        assert!(help("faq.csv", &known).contains("such as `faq.csv#1`;"));
        assert!(help("faq", &known).starts_with("import the document"));
        assert!(help("z.csv", &known).starts_with("import the document"));
    }
}
