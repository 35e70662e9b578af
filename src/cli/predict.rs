//! `botops predict`.

pub(crate) mod explain;

mod file;
mod text;

use super::Outcome;
use crate::cli::{
    arguments::{
        data_args::DataArgs,
        model_arg::{self, Found},
    },
    session::{context::Context, outputs},
};
use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_text::shell_line;
use explain::Explained;
use serde::Serialize;
use std::{io, path::PathBuf};

/// Classify utterances
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Utterances; if the first is a `.botops` file or a reference such as support@2, it is the model
    #[arg(value_name = "MODEL|TEXT")]
    words: Vec<String>,
    /// Classify the texts of this file: CSV, TSV, JSONL or Parquet, or a file of a snapshot; with --explain and
    /// utterances, the training data, whose nearest records are shown
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Show the terms that support the winner and the runner-up, and the nearest records of the training data
    #[arg(long)]
    explain: bool,
    /// Show the K most likely intents of each utterance
    #[arg(long, value_name = "K", default_value_t = 3)]
    top: usize,
    /// Write the predictions of --data to this file: JSONL for .jsonl, else CSV
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer {
    model: String,
    digest: Digest,
    predictions: Vec<Classified>,
}

/// An utterance and its prediction.
#[derive(Debug, Serialize)]
struct Classified {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<String>,
    intent: String,
    confidence: f64,
    /// The score compared with the threshold: the confidence, unless the model uses another score.
    score: f64,
    fallback: bool,
    /// The intents that hold the truth with the probability stated in training, if the model has prediction sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_set: Option<Vec<String>>,
    scores: Vec<Score>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explained>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Score {
    intent: String,
    probability: f64,
}

/// An utterance to classify.
#[derive(Debug, Default)]
struct Request {
    record: Option<u64>,
    text: String,
    truth: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (model, words) = split(&args.words);
    let name = model.unwrap_or("intents.botops");
    match (&args.data, words) {
        (Some(path), []) => {
            if args.explain {
                return Err(Fault::usage(
                    "BOT-1003",
                    "`--explain` explains utterances, not a file",
                )
                .hint(format!(
                    "add an utterance: `{}`",
                    shell_line(["botops", "predict", name, "where is my parcel?", "--explain"])
                )));
            }
            outputs::distinct(args.out.as_deref(), &[Some(path)])?;
            let found = model_arg::load_or_champion(context, model)?;
            return file::classify_file(args, context, &found, path);
        }
        (Some(path), [first, ..]) if !args.explain => {
            let path = path.display().to_string();
            return Err(Fault::usage(
                "BOT-1003",
                format!("the utterance `{first}` cannot be combined with `--data {path}`"),
            )
            .hint(format!(
                "to classify the file: `{}`",
                shell_line(["botops", "predict", name, "--data", &path])
            )));
        }
        (None, []) => {
            return Err(Fault::usage("BOT-1003", "there is no utterance to classify")
                .hint(format!(
                    "add one: `{}`",
                    shell_line(["botops", "predict", name, "where is my parcel?"])
                ))
                .hint(format!(
                    "or read one from each line of standard input: `{}`",
                    shell_line(["botops", "predict", name, "-"])
                )));
        }
        _ => {}
    }
    if args.out.is_some() {
        return Err(Fault::usage("BOT-1003", "`--out` is for the predictions of a file")
            .hint("name the file with `--data`"));
    }
    let requests = requests(words)?;
    let found = model_arg::load_or_champion(context, model)?;
    let mut predictions = classify(&found, requests, args.top);
    if args.explain {
        explain::explain(args, context, &found, &mut predictions)?;
    }
    let rule = found.model.fallback();
    let text = match predictions.as_slice() {
        [one] => text::single(one, rule),
        several if args.explain => several
            .iter()
            .map(|one| format!("{}\n{}", one.text, text::single(one, rule)))
            .collect::<Vec<_>>()
            .join("\n"),
        several => text::many(several),
    };
    let answer = Answer { model: found.name, digest: found.digest, predictions };
    Ok(Outcome::done(&answer, text))
}

/// Splits the words into the model, if the first word names one, and the utterances.
fn split(words: &[String]) -> (Option<&str>, &[String]) {
    match words.split_first() {
        Some((first, rest)) if model_arg::names_model(first) => (Some(first), rest),
        _ => (None, words),
    }
}

/// Collects the utterances: the words, and the lines of standard input in the place of `-`.
fn requests(words: &[String]) -> Result<Vec<Request>> {
    let mut requests = Vec::with_capacity(words.len());
    for word in words {
        if word == "-" {
            requests.extend(lines(io::stdin().lock())?);
        } else {
            requests.push(Request { text: word.clone(), ..Request::default() });
        }
    }
    Ok(requests)
}

/// Reads an utterance from each line; blank lines are skipped.
fn lines(mut input: impl io::BufRead) -> Result<Vec<Request>> {
    let mut requests = Vec::new();
    let mut bytes = Vec::new();
    let place = |line: u64| Place {
        file: Some("standard input".to_owned()),
        line: Some(line),
        ..Place::default()
    };
    for line in 1.. {
        bytes.clear();
        let n = input.by_ref().read_until(b'\n', &mut bytes).map_err(|error| {
            Fault::internal("BOT-1017", "standard input cannot be read")
                .at(place(line))
                .caused_by(error)
        })?;
        if n == 0 {
            break;
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Fault::data("BOT-2104", "the line is not valid UTF-8")
                .at(place(line))
                .hint("convert it with `iconv -t UTF-8`")
        })?;
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() {
            requests.push(Request { text: text.to_owned(), ..Request::default() });
        }
    }
    Ok(requests)
}

/// Classifies in parallel.
fn classify(found: &Found, requests: Vec<Request>, top: usize) -> Vec<Classified> {
    let labels = found.model.labels();
    let texts: Vec<&str> = requests.iter().map(|request| request.text.as_str()).collect();
    let (predictions, proba) = found.model.predict_many(&texts);
    let judged = requests.into_iter().zip(predictions).zip(proba);
    judged
        .map(|((request, prediction), proba)| Classified {
            record: request.record,
            text: request.text,
            truth: request.truth,
            intent: labels.name(prediction.intent).to_owned(),
            confidence: prediction.confidence,
            score: prediction.score,
            fallback: prediction.fallback,
            prediction_set: found
                .model
                .prediction_set(&proba)
                .map(|set| set.into_iter().map(|i| labels.name(i).to_owned()).collect()),
            scores: prediction
                .likeliest(&proba, top)
                .into_iter()
                .map(|i| Score { intent: labels.name(i).to_owned(), probability: proba[i] })
                .collect(),
            explanation: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_a_model_only_if_it_names_one() {
        let words = ["intents.botops".to_owned(), "hello".to_owned()];
        assert_eq!(split(&words), (Some("intents.botops"), &words[1..]));
        assert_eq!(split(&words[1..]), (None, &words[1..]));
        assert_eq!(split(&[]), (None, &[][..]));
    }

    #[test]
    fn blank_lines_are_skipped() {
        let requests = lines(&b"hello\r\n\n  \n where is it?"[..]).unwrap();
        let texts: Vec<&str> = requests.iter().map(|request| request.text.as_str()).collect();
        assert_eq!(texts, ["hello", " where is it?"]);
    }
}
