//! `botops predict`.

mod arguments;
mod classification;
mod entities;
mod explain;
mod explained;
mod file;
mod lines;
mod mistaken;
mod rows;
mod text;

pub(crate) use arguments::Args;

use super::Outcome;
use crate::cli::{
    arguments::model_arg::{self, Found},
    session::{context::Context, outputs},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_text::shell_line;
use classification::{Classified, Request, Wanted, classify};
use entities::EntityFinder;
use lines::Lines;
use rows::{Origin, Rows};
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
            let format = file::check(args, context)?;
            let found = model_arg::load_or_champion(context, model)?;
            return file::classify_file(args, context, &found, path, format);
        }
        (Some(path), [first, ..]) if !args.explain => {
            mistaken::check_name(first, context)?;
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
    check_flags_for_utterances(args)?;
    if model.is_none() {
        mistaken::check(words, context)?;
    }
    if words == ["-"] && !args.explain && !context.printer.is_json() {
        return answer_lines(args, context, &model_arg::load_or_champion(context, model)?);
    }
    let requests = requests(words)?;
    let found = model_arg::load_or_champion(context, model)?;
    let mut predictions = classify(&found, requests, Wanted::of(args, &found));
    if let Some(finder) = EntityFinder::of(&found.model)? {
        finder.add(&mut predictions)?;
    }
    if args.explain {
        explain::explain(args, context, &found, &mut predictions)?;
    }
    let rule = found.model.fallback();
    let text = match predictions.as_slice() {
        [one] => text::single(one, rule),
        several if args.explain || args.top.is_some() => several
            .iter()
            .map(|one| format!("{}\n{}", one.text, text::single(one, rule)))
            .collect::<Vec<_>>()
            .join("\n"),
        several => text::many(several),
    };
    let answer = Answer { model: found.name, digest: found.digest, predictions };
    Ok(Outcome::done(&answer, text))
}

/// Refuses flags for the predictions of a file.
fn check_flags_for_utterances(args: &Args) -> Result<()> {
    let given = [
        ("--out", args.out.is_some()),
        ("--probabilities", args.probabilities),
        ("--spreadsheet", args.spreadsheet),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => {
            Err(Fault::usage("BOT-1003", format!("`{flag}` is for the predictions of a file"))
                .hint("name the file with `--data`; `--data -` reads a table from standard input"))
        }
    }
}

/// Answers each line of standard input when it arrives.
fn answer_lines(args: &Args, context: &Context, found: &Found) -> Result<Outcome> {
    let mut lines = Lines::of(io::stdin().lock());
    let others = args.top.is_some();
    let mut rows = Rows::begin(&context.printer, &found.model, Origin::Lines, others);
    // The rows of a table have no place for entities.
    let finder = if others { EntityFinder::of(&found.model)? } else { None };
    loop {
        let requests = lines.arrived()?;
        let is_end = requests.is_empty();
        let mut predictions = classify(found, requests, Wanted::of(args, found));
        if let Some(finder) = &finder {
            finder.add(&mut predictions)?;
        }
        if is_end || !rows.print(&predictions)? {
            return Ok(Outcome::done(&(), ""));
        }
    }
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
            requests.extend(Lines::of(io::stdin().lock()).all()?);
        } else {
            requests.push(Request { text: word.clone(), ..Request::default() });
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
}
