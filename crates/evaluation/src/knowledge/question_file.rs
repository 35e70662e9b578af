//! Question files: JSONL with one question a line, or one JSON document in the format of SQuAD.

use super::{
    question::{MOST_QUESTIONS, Question, QuestionSet, unreadable},
    squad,
};
use botops_digest::Digest;
use botops_findings::Result;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most bytes of a question file.
const MOST_BYTES: usize = 256 << 20;
/// The most bytes of one question, and of one answer.
const MOST_TEXT: usize = 8_192;
/// The most answers, documents or chunks of one question.
const MOST_VALUES: usize = 1_000;

/// One line of a question file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Option<String>,
    question: String,
    #[serde(default)]
    answers: Vec<String>,
    #[serde(default)]
    documents: Vec<String>,
    #[serde(default)]
    chunks: Vec<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default, alias = "lang")]
    language: Option<String>,
    #[serde(default)]
    unanswerable: bool,
    /// The part of the data that the question belongs to; it is read and not used.
    #[serde(default, rename = "split")]
    _split: Option<String>,
}

/// Reads the questions of the file `name`: JSONL, or one JSON document in the format of SQuAD 1.1 or 2.0, as XQuAD and MLQA are.
///
/// `language` is that of questions that declare none. Questions without an id get that of their line.
///
/// # Errors
/// `BOT-7260` (exit 3) it cannot be read, has no question, or two questions with one id; the message names the line.
pub fn read_questions(name: &str, bytes: &[u8], language: Option<&str>) -> Result<QuestionSet> {
    if bytes.len() > MOST_BYTES {
        let message = format!("it has {} bytes, more than {MOST_BYTES}", bytes.len());
        return Err(unreadable(name, None, message));
    }
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|error| unreadable(name, None, "it is not UTF-8".to_owned()).caused_by(error))?;
    let questions = match squad::is_squad(text) {
        true => squad::read(name, text)?,
        false => lines(name, text)?,
    };
    let mut ids: BTreeMap<&str, u64> = BTreeMap::new();
    for question in &questions {
        check(name, question)?;
        if ids.insert(&question.id, question.line).is_some() {
            let id = botops_text::display(&question.id, 80);
            let message = format!("the id `{id}` is used twice");
            return Err(unreadable(name, Some(question.line), message));
        }
    }
    if questions.is_empty() {
        return Err(unreadable(name, None, "it has no question".to_owned()));
    }
    let questions = questions
        .into_iter()
        .map(|question| Question {
            language: question.language.or_else(|| language.map(str::to_owned)),
            ..question
        })
        .collect();
    Ok(QuestionSet { name: name.to_owned(), digest: Digest::of(bytes), questions })
}

fn lines(name: &str, text: &str) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for (number, line) in (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        if questions.len() == MOST_QUESTIONS {
            let message = format!("it has more than {MOST_QUESTIONS} questions");
            return Err(unreadable(name, Some(number), message));
        }
        let line: Line = serde_json::from_str(line)
            .map_err(|error| unreadable(name, Some(number), error.to_string()).caused_by(error))?;
        questions.push(Question {
            id: line.id.unwrap_or_else(|| format!("line-{number}")),
            line: number,
            text: line.question,
            answers: line.answers,
            documents: line.documents,
            chunks: line.chunks,
            context: line.context,
            language: line.language,
            is_unanswerable: line.unanswerable,
        });
    }
    Ok(questions)
}

fn check(name: &str, question: &Question) -> Result<()> {
    let defect = |problem: &str| {
        let id = botops_text::display(&question.id, 80);
        Err(unreadable(name, Some(question.line), format!("question `{id}` {problem}")))
    };
    let values = [&question.answers, &question.documents, &question.chunks];
    if question.text.trim().is_empty() {
        return defect("has no text");
    }
    if question.text.len() > MOST_TEXT || question.id.len() > MOST_TEXT {
        return defect("has a text of more than 8,192 bytes");
    }
    if values.iter().any(|values| values.len() > MOST_VALUES) {
        return defect("has more than 1,000 answers, documents or chunks");
    }
    if question.answers.iter().any(|answer| answer.len() > MOST_TEXT) {
        return defect("has an answer of more than 8,192 bytes");
    }
    if question.is_unanswerable && values.iter().any(|values| !values.is_empty()) {
        return defect("is unanswerable, and names answers or documents");
    }
    if !question.has_truth() {
        return defect(
            "has neither `answers`, `documents`, `chunks`, `context` nor `unanswerable: true`",
        );
    }
    Ok(())
}
