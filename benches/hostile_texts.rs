//! The cost of hostile texts against that of plain text, per byte: what a request of the longest text takes.
//!
//! `cargo bench --bench hostile_texts` trains on `datasets/support` and prints, for each generated text that a server
//! accepts, the time of each step and the cost per byte as a multiple of that of plain text. At most 20 is allowed.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/hostile_texts.rs"]
mod hostile_texts;

use botops_dialogue::{Dialogue, Moment};
use botops_models::{IntentModel, ModelSpec, Sample, Scratch, Silent, TrainingInput, train};
use botops_pipelines::read_dialogue;
use botops_spec::Spec as _;
use botops_text::{LanguageGuesser, length_within};
use hostile_texts::{PLAIN, hostile_texts, within};
use std::{hint::black_box, path::Path, time::Instant};

/// The longest text that a server accepts, in characters.
const LONGEST: usize = 5_000;

fn model() -> IntentModel {
    let mut reader =
        csv::Reader::from_path("datasets/support/utterances.csv").expect("the data is there");
    let rows: Vec<(String, String)> = reader
        .records()
        .map(|record| record.expect("the data set is well-formed"))
        .map(|record| (record[0].to_owned(), record[1].to_owned()))
        .collect();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let spec = ModelSpec::default().check().expect("the settings are in range");
    train(TrainingInput::new(&samples, &spec), &Silent).expect("the data can be learned")
}

/// Returns the fewest seconds of five runs of `work`.
fn seconds(mut work: impl FnMut()) -> f64 {
    let one = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    };
    (0..5).map(one).fold(f64::INFINITY, f64::min)
}

fn main() {
    let model = model();
    let spec = read_dialogue(Path::new("datasets/support/dialogue.yaml")).expect("it is valid");
    let dialogue = Dialogue::compile(&spec).expect("the dialogue compiles");
    let moment = Moment::new(chrono::DateTime::UNIX_EPOCH, Some("en"));
    let mut scratch = Scratch::default();
    let guesser = LanguageGuesser::among(dialogue.languages());
    let mut cost = |text: &str| {
        [
            seconds(|| _ = black_box(length_within(text, LONGEST))),
            seconds(|| _ = black_box(model.predict_with(text, &mut scratch))),
            seconds(|| _ = black_box(guesser.guess(text))),
            seconds(|| _ = black_box(dialogue.entities(text, &moment, Vec::new()))),
        ]
    };
    let plain: String = PLAIN.chars().cycle().take(LONGEST).collect();
    let per_byte = cost(&plain).iter().sum::<f64>() / plain.len() as f64;
    println!("plain text: {:.0} ns per byte", per_byte * 1e9);
    println!(
        "{:28} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}  ratio",
        "text", "bytes", "length", "predict", "language", "entities", "all us"
    );
    let mut worst = 0.0_f64;
    for (name, text) in hostile_texts(LONGEST) {
        let text = within(&text, LONGEST);
        let steps = cost(&text);
        let all: f64 = steps.iter().sum();
        let ratio = all / text.len() as f64 / per_byte;
        worst = worst.max(ratio);
        let [length, predict, language, entities] = steps.map(|step| step * 1e6);
        println!(
            "{name:28} {:6} {length:8.0} {predict:8.0} {language:8.0} {entities:8.0} {:8.0}  {ratio:.1}",
            text.len(),
            all * 1e6
        );
    }
    println!("the largest ratio: {worst:.1}");
}
