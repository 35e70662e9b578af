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
    session::context::{self, Context},
};
use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_text::shell_line;
use explain::Explained;
use serde::Serialize;
use std::{io, path::PathBuf};

/// Classify utterances.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Utterances; a first one that is a `.botops` file or a reference such as support@2 is the model
    #[arg(value_name = "MODEL|TEXT")]
    words: Vec<String>,
    /// Classify the texts of this file: CSV, TSV, JSONL or Parquet, or a file of a snapshot; with `--explain` and utterances, the file the
    /// model learned from, of which the nearest records are shown
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Show which terms speak for the winner and the runner-up, and the nearest records the model learned from
    #[arg(long)]
    explain: bool,
    /// How many intents to show of each utterance, the likeliest first
    #[arg(long, value_name = "K", default_value_t = 3)]
    top: usize,
    /// Write the predictions of `--data` here: JSONL for `.jsonl`, else CSV
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

/// An utterance and what the model says of it.
#[derive(Debug, Serialize)]
struct Classified {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<String>,
    intent: String,
    confidence: f64,
    /// What was held against the threshold: confidence, unless the model uses another score.
    score: f64,
    fallback: bool,
    /// The intents it may have with the probability stated in training, where the model makes such sets.
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
struct Asked {
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
                    "give one: `{}`",
                    shell_line(["botops", "predict", name, "where is my parcel?", "--explain"])
                )));
            }
            context::distinct(args.out.as_deref(), &[Some(path)])?;
            let found = model_arg::load_or_champion(context, model)?;
            return file::classify_file(args, context, &found, path);
        }
        (Some(path), [first, ..]) if !args.explain => {
            let path = path.display().to_string();
            return Err(Fault::usage(
                "BOT-1003",
                format!("`{first}` was given beside `--data {path}`"),
            )
            .hint(format!(
                "for the file: `{}`",
                shell_line(["botops", "predict", name, "--data", &path])
            )));
        }
        (None, []) => {
            return Err(Fault::usage("BOT-1003", "no utterance was given")
                .hint(format!(
                    "give one: `{}`",
                    shell_line(["botops", "predict", name, "where is my parcel?"])
                ))
                .hint(format!(
                    "or a line each on standard input: `{}`",
                    shell_line(["botops", "predict", name, "-"])
                )));
        }
        _ => {}
    }
    if args.out.is_some() {
        return Err(Fault::usage("BOT-1003", "`--out` is for the predictions of a file")
            .hint("name the file with `--data`"));
    }
    let asked = asked(words)?;
    let found = model_arg::load_or_champion(context, model)?;
    let mut predictions = classify(&found, asked, args.top);
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

/// Tells the model, when the first word names one, from the utterances.
fn split(words: &[String]) -> (Option<&str>, &[String]) {
    match words.split_first() {
        Some((first, rest)) if model_arg::names_model(first) => (Some(first), rest),
        _ => (None, words),
    }
}

/// Gathers the utterances: words, and the lines of standard input for `-`.
fn asked(words: &[String]) -> Result<Vec<Asked>> {
    let mut asked = Vec::with_capacity(words.len());
    for word in words {
        if word == "-" {
            asked.extend(lines(io::stdin().lock())?);
        } else {
            asked.push(Asked { text: word.clone(), ..Asked::default() });
        }
    }
    Ok(asked)
}

/// Reads an utterance from each line that is not empty.
fn lines(mut input: impl io::BufRead) -> Result<Vec<Asked>> {
    let mut asked = Vec::new();
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
            asked.push(Asked { text: text.to_owned(), ..Asked::default() });
        }
    }
    Ok(asked)
}

/// Classifies on all threads.
fn classify(found: &Found, asked: Vec<Asked>, top: usize) -> Vec<Classified> {
    let labels = found.model.labels();
    let texts: Vec<&str> = asked.iter().map(|asked| asked.text.as_str()).collect();
    let (predictions, proba) = found.model.predict_many(&texts);
    let told = asked.into_iter().zip(predictions).zip(proba);
    told.map(|((asked, prediction), proba)| Classified {
        record: asked.record,
        text: asked.text,
        truth: asked.truth,
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
    fn a_first_word_is_a_model_only_if_it_names_one() {
        let words = ["intents.botops".to_owned(), "hello".to_owned()];
        assert_eq!(split(&words), (Some("intents.botops"), &words[1..]));
        assert_eq!(split(&words[1..]), (None, &words[1..]));
        assert_eq!(split(&[]), (None, &[][..]));
    }

    #[test]
    fn lines_are_utterances_and_empty_ones_are_skipped() {
        let asked = lines(&b"hello\r\n\n  \n where is it?"[..]).unwrap();
        let texts: Vec<&str> = asked.iter().map(|asked| asked.text.as_str()).collect();
        assert_eq!(texts, ["hello", " where is it?"]);
    }
}
