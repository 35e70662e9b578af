//! `botops predict`.

use super::{
    Outcome,
    context::{self, Context},
    data_args::DataArgs,
    model_arg::{self, Found},
    paste,
    progress::bar,
    tables,
};
use crate::{
    datasets::{self, Presence},
    digest::Digest,
    findings::{Fault, Place, Result},
    models::confidence::{FallbackRule, OosScore},
    text::display,
};
use serde::Serialize;
use std::{collections::BTreeMap, io, path::PathBuf};

/// Utterances classified at a time: enough for all threads, little to hold.
const AT_ONCE: usize = 8_192;

/// Classify utterances.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Utterances; a first one that is a `.botops` file or a reference such as support@2 is the model
    #[arg(value_name = "MODEL|TEXT")]
    words: Vec<String>,
    /// Classify the texts of this file: CSV, TSV, JSONL or Parquet
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// How many intents to show of each utterance, the likeliest first
    #[arg(long, value_name = "K", default_value_t = 3)]
    top: usize,
    /// Write the predictions here, as CSV
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
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
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
    /// The intents it may have with the probability stated in training; none for a model of before there were sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction_set: Option<Vec<String>>,
    scores: Vec<Score>,
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
    let asked = asked(args, model, words)?;
    let found = model_arg::load_or_champion(context, model)?;
    let predictions = classify(context, &found, asked, args.top);
    let out = args.out.as_ref().filter(|_| !args.dry_run);
    if let Some(path) = out {
        context::distinct(Some(path), &[args.data.as_deref()])?;
        context::write_file(path, &csv(&predictions))?;
    }
    let rule = found.model.fallback();
    let text = match (predictions.as_slice(), out) {
        (predictions, Some(path)) => {
            format!(
                "{}: {} predictions\n{}",
                path.display(),
                tables::count(predictions.len() as u64),
                by_intent(predictions)
            )
        }
        ([one], None) if args.data.is_none() => single(one, rule),
        (predictions, None) => many(predictions),
    };
    let answer = Answer {
        model: found.name,
        digest: found.digest,
        predictions,
        out: out.map(|path| path.display().to_string()),
    };
    Ok(Outcome::done(&answer, text))
}

/// Tells the model, when the first word names one, from the utterances.
fn split(words: &[String]) -> (Option<&str>, &[String]) {
    match words.split_first() {
        Some((first, rest)) if model_arg::names_model(first) => (Some(first), rest),
        _ => (None, words),
    }
}

/// Gathers the utterances: from the command line, standard input (`-`), or a file.
fn asked(args: &Args, model: Option<&str>, words: &[String]) -> Result<Vec<Asked>> {
    let name = model.unwrap_or("intents.botops");
    match (&args.data, words) {
        (Some(path), []) => {
            let data = datasets::read(path, &args.columns.options(Presence::Optional))?;
            let asked = |record: datasets::Record| Asked {
                record: Some(record.record),
                text: record.text,
                truth: record.intent,
            };
            Ok(data.records.into_iter().map(asked).collect())
        }
        (Some(path), [first, ..]) => {
            let path = path.display().to_string();
            Err(Fault::usage("BOT-1003", format!("`{first}` was given beside `--data {path}`"))
                .hint(format!(
                    "for the file: `{}`",
                    paste::line(["botops", "predict", name, "--data", &path])
                )))
        }
        (None, []) => Err(Fault::usage("BOT-1003", "no utterance was given")
            .hint(format!(
                "give one: `{}`",
                paste::line(["botops", "predict", name, "where is my parcel?"])
            ))
            .hint(format!(
                "or a line each on standard input: `{}`",
                paste::line(["botops", "predict", name, "-"])
            ))),
        (None, words) => {
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
    }
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
            Fault::internal("BOT-1001", "standard input cannot be read")
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

fn classify(context: &Context, found: &Found, asked: Vec<Asked>, top: usize) -> Vec<Classified> {
    let labels = found.model.labels();
    let bar = bar(&context.printer, "utterances", asked.len() as u64);
    let mut classified = Vec::with_capacity(asked.len());
    let mut asked = asked.into_iter().peekable();
    while asked.peek().is_some() {
        let some: Vec<Asked> = asked.by_ref().take(AT_ONCE).collect();
        let texts: Vec<&str> = some.iter().map(|asked| asked.text.as_str()).collect();
        let (predictions, proba) = found.model.predict_many(&texts);
        bar.inc(some.len() as u64);
        for ((asked, prediction), proba) in some.into_iter().zip(predictions).zip(proba) {
            classified.push(Classified {
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
                scores: likeliest(&proba, top)
                    .map(|i| Score { intent: labels.name(i).to_owned(), probability: proba[i] })
                    .collect(),
            });
        }
    }
    bar.finish_and_clear();
    classified
}

/// Iterates over the indices of the `top` largest of `proba`; ties go to the lowest index.
fn likeliest(proba: &[f64], top: usize) -> impl Iterator<Item = usize> {
    let mut order: Vec<usize> = (0..proba.len()).collect();
    order.sort_by(|&a, &b| proba[b].total_cmp(&proba[a]).then(a.cmp(&b)));
    order.into_iter().take(top)
}

/// Draws one utterance: what it means, how sure the model is, and what else it might be.
fn single(one: &Classified, rule: FallbackRule) -> String {
    let FallbackRule { score, threshold, .. } = rule;
    let mut out = if !one.fallback {
        format!("{} {:.3}\n", one.intent, one.confidence)
    } else if one.score >= threshold {
        format!("fallback: no word or part of one is known; the best guess is {}\n", one.intent)
    } else if score == OosScore::MaxProbability {
        format!(
            "fallback: confidence {:.3} is below {threshold:.3}; the best guess is {}\n",
            one.confidence, one.intent
        )
    } else {
        format!(
            "fallback: {} {:.3} is below {threshold:.3}; the best guess is {} {:.3}\n",
            score.name(),
            one.score,
            one.intent,
            one.confidence
        )
    };
    let others: Vec<String> = one
        .scores
        .iter()
        .filter(|score| score.intent != one.intent)
        .map(|score| format!("{} {:.3}", score.intent, score.probability))
        .collect();
    if !others.is_empty() {
        out.push_str(&format!("  then {}\n", others.join(", ")));
    }
    out
}

fn many(predictions: &[Classified]) -> String {
    let recorded = predictions.iter().any(|one| one.record.is_some());
    let rows = predictions.iter().map(|one| {
        let mut row = vec![
            one.intent.clone(),
            format!("{:.3}", one.confidence),
            if one.fallback { "yes" } else { "" }.to_owned(),
            display(&one.text, 80),
        ];
        if recorded {
            row.insert(0, one.record.map(|record| record.to_string()).unwrap_or_default());
        }
        row
    });
    if recorded {
        tables::table(&["record", "intent", "confidence", "fallback", "text"], rows, &[0, 2])
    } else {
        tables::table(&["intent", "confidence", "fallback", "text"], rows, &[1])
    }
}

/// Counts predictions by intent, and those that fall back.
fn by_intent(predictions: &[Classified]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for one in predictions {
        *counts.entry(if one.fallback { "fallback" } else { &one.intent }).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rows = counts.into_iter().map(|(intent, n)| {
        vec![
            intent.to_owned(),
            tables::count(n),
            format!("{:.1} %", 100.0 * n as f64 / predictions.len() as f64),
        ]
    });
    tables::table(&["predicted", "n", "share"], rows, &[1, 2])
}

/// Writes predictions as CSV, safe to open in a spreadsheet; record and truth where there are any.
fn csv(predictions: &[Classified]) -> Vec<u8> {
    let recorded = predictions.iter().any(|one| one.record.is_some());
    let labelled = predictions.iter().any(|one| one.truth.is_some());
    let mut rows = Vec::with_capacity(predictions.len() + 1);
    let row = |record: String, text: String, truth: String, rest: [String; 3]| {
        let mut row = Vec::with_capacity(6);
        if recorded {
            row.push(record);
        }
        row.push(text);
        if labelled {
            row.push(truth);
        }
        row.extend(rest);
        row
    };
    rows.push(row(
        "record".into(),
        "text".into(),
        "truth".into(),
        ["intent", "confidence", "fallback"].map(str::to_owned),
    ));
    for one in predictions {
        let record = one.record.map(|record| record.to_string()).unwrap_or_default();
        let rest = [one.intent.clone(), format!("{:.6}", one.confidence), one.fallback.to_string()];
        rows.push(row(record, one.text.clone(), one.truth.clone().unwrap_or_default(), rest));
    }
    datasets::spreadsheet_csv(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(intent: &str, confidence: f64, fallback: bool) -> Classified {
        let score = |intent: &str, probability| Score { intent: intent.to_owned(), probability };
        Classified {
            record: None,
            text: "where is it?".to_owned(),
            truth: None,
            intent: intent.to_owned(),
            confidence,
            score: confidence,
            fallback,
            prediction_set: None,
            scores: vec![score(intent, confidence), score("complaint", 0.125)],
        }
    }

    #[test]
    fn a_first_word_is_a_model_only_if_it_names_one() {
        let words = ["intents.botops".to_owned(), "hello".to_owned()];
        assert_eq!(split(&words), (Some("intents.botops"), &words[1..]));
        assert_eq!(split(&words[1..]), (None, &words[1..]));
        assert_eq!(split(&[]), (None, &[][..]));
    }

    #[test]
    fn the_likeliest_come_first_and_ties_go_to_the_lowest_index() {
        assert_eq!(likeliest(&[0.2, 0.4, 0.2, 0.2], 3).collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(likeliest(&[0.6, 0.4], 5).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(likeliest(&[0.6, 0.4], 0).count(), 0);
    }

    #[test]
    fn lines_are_utterances_and_empty_ones_are_skipped() {
        let asked = lines(&b"hello\r\n\n  \n where is it?"[..]).unwrap();
        let texts: Vec<&str> = asked.iter().map(|asked| asked.text.as_str()).collect();
        assert_eq!(texts, ["hello", " where is it?"]);
    }

    #[test]
    fn one_utterance_shows_its_runner_ups_without_itself() {
        let rule =
            FallbackRule { score: OosScore::MaxProbability, threshold: 0.35, guarantee: None };
        assert_eq!(
            single(&classified("order_status", 0.75, false), rule),
            "order_status 0.750\n  then complaint 0.125\n"
        );
        let fallback = single(&classified("order_status", 0.25, true), rule);
        assert_eq!(
            fallback,
            "fallback: confidence 0.250 is below 0.350; the best guess is order_status\n  then complaint 0.125\n"
        );
        let centroid = FallbackRule { score: OosScore::Centroid, threshold: 0.5, guarantee: None };
        let far = Classified {
            score: 0.125,
            scores: Vec::new(),
            ..classified("order_status", 0.75, true)
        };
        assert_eq!(
            single(&far, centroid),
            "fallback: centroid 0.125 is below 0.500; the best guess is order_status 0.750\n"
        );
        let unknown = Classified { scores: Vec::new(), ..classified("order_status", 0.5, true) };
        assert_eq!(
            single(&unknown, rule),
            "fallback: no word or part of one is known; the best guess is order_status\n"
        );
    }
}
