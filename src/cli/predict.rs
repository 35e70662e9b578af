//! `botops predict`.

mod arguments;
mod classification;
mod explain;
mod explained;
mod file;
mod text;

pub(crate) use arguments::Args;

use super::Outcome;
use crate::cli::{
    arguments::model_arg,
    session::{context::Context, outputs},
};
use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_text::shell_line;
use classification::{Classified, Request, classify};
use serde::Serialize;
use std::{io, path::Path};

#[derive(Serialize)]
struct Answer {
    model: String,
    digest: Digest,
    predictions: Vec<Classified>,
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
            outputs::distinct(args.out.as_deref(), &[Some(path), model.map(Path::new)])?;
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
