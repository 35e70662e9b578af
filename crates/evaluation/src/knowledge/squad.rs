//! Questions in the format of SQuAD 1.1 and 2.0, which XQuAD and MLQA share.

use super::question::{MOST_QUESTIONS, Question, unreadable};
use botops_findings::Result;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    question: String,
    #[serde(default)]
    answers: Vec<Accepted>,
    #[serde(default)]
    is_impossible: bool,
}

#[derive(Deserialize)]
struct Accepted {
    text: String,
}

/// Returns whether the text is one JSON document with `data`, and not lines of questions.
pub(super) fn is_squad(text: &str) -> bool {
    let start: String = text.chars().filter(|c| !c.is_whitespace()).take(9).collect();
    start.starts_with("{\"data\":") || start.starts_with("{\"version")
}

/// Reads the questions of every paragraph, with the paragraph as their context.
///
/// # Errors
/// `BOT-7260`.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Question>> {
    let file: File = serde_json::from_str(text).map_err(|error| {
        let line = error.line() as u64;
        unreadable(name, Some(line), format!("as SQuAD: {error}")).caused_by(error)
    })?;
    let mut questions = Vec::new();
    for paragraph in file.data.into_iter().flat_map(|article| article.paragraphs) {
        for item in paragraph.qas {
            if questions.len() == MOST_QUESTIONS {
                let message = format!("it has more than {MOST_QUESTIONS} questions");
                return Err(unreadable(name, None, message));
            }
            let answers = item.answers.into_iter().map(|answer| answer.text).collect();
            questions.push(Question {
                id: item.id,
                line: 0,
                text: item.question,
                answers: if item.is_impossible { Vec::new() } else { answers },
                documents: Vec::new(),
                chunks: Vec::new(),
                context: (!item.is_impossible).then(|| paragraph.context.clone()),
                language: None,
                is_unanswerable: item.is_impossible,
            });
        }
    }
    Ok(questions)
}
