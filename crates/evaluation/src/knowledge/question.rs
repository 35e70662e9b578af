//! Questions whose documents and answers are known.

use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Severity};
use botops_text::fold;
use std::collections::BTreeMap;

/// The most questions of a file.
pub(super) const MOST_QUESTIONS: usize = 200_000;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id, unique in the file.
    pub id: String,
    /// The line of the file, from 1; 0 in files of the SQuAD format.
    pub line: u64,
    /// The text.
    pub text: String,
    /// The accepted answers; empty if only the documents are known.
    pub answers: Vec<String>,
    /// The documents that answer it, by id.
    pub documents: Vec<String>,
    /// The chunks that answer it, by id.
    pub chunks: Vec<String>,
    /// The text of the passage that answers it.
    pub context: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// Whether the documents do not answer it, so that the right answer is none.
    pub is_unanswerable: bool,
}

impl Question {
    /// Returns whether the place of the answer is known, so that retrieval can be judged.
    #[must_use]
    pub fn has_place(&self) -> bool {
        !self.is_unanswerable
            && (!self.documents.is_empty() || !self.chunks.is_empty() || self.context.is_some())
    }

    /// Returns whether an answer can be judged.
    #[must_use]
    pub fn has_truth(&self) -> bool {
        self.is_unanswerable || !self.answers.is_empty() || self.has_place()
    }
}

/// The questions of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionSet {
    /// The name of the file, as given.
    pub name: String,
    /// The digest of the file.
    pub digest: Digest,
    /// The questions, in the order of the file.
    pub questions: Vec<Question>,
}

impl QuestionSet {
    /// Returns a finding for each question that an earlier one repeats: after folding, in the same language.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Finding> {
        let mut first: BTreeMap<(String, Option<&str>), &str> = BTreeMap::new();
        let mut found = Vec::new();
        for question in &self.questions {
            let key = (fold(&question.text), question.language.as_deref());
            match first.get(&key) {
                None => {
                    first.insert(key, &question.id);
                }
                Some(earlier) => {
                    let shown = |id: &str| botops_text::display(id, 80);
                    let message = format!(
                        "question `{}` repeats question `{}`: it counts twice in every metric",
                        shown(&question.id),
                        shown(earlier)
                    );
                    let line = (question.line > 0).then_some(question.line);
                    let place = Place { file: Some(self.name.clone()), line, ..Place::default() };
                    let help = "remove one of them, or join their documents and answers";
                    found
                        .push(Finding::new("BOT-7263", Severity::Warning, message, help).at(place));
                }
            }
        }
        found
    }
}

/// Returns the fault of a question file, at `line` if it is one of its lines.
pub(super) fn unreadable(name: &str, line: Option<u64>, problem: String) -> Fault {
    let line = line.filter(|line| *line > 0);
    let message = format!("the questions cannot be read: {problem}");
    Fault::data("BOT-7260", message)
        .at(Place { file: Some(name.to_owned()), line, ..Place::default() })
        .hint(r#"write one question a line: `{"id": "q1", "question": "…", "answers": ["…"], "documents": ["faq.md"]}`"#)
        .hint("or give a JSON file in the format of SQuAD")
}
