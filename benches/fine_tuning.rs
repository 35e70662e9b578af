//! Fine-tuning an encoder on BANKING77: CPU seconds per epoch, held-out accuracy, peak memory.
//!
//! `BOTOPS_BANKING77_DIR` names the folder of train.csv, `BOTOPS_ENCODER_DIR` that of the encoder. `cargo bench
//! --bench fine_tuning -- '{"epochs": 2}'` takes settings of `FineTuningSpec` as JSON. With `test` after them, it
//! also prints the accuracy on test.csv: use this only for final settings.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "process/memory.rs"]
mod memory;

use botops_features::{Encoder, EncoderFiles, EncoderSpec};
use botops_models::{FineTuningInput, FineTuningSpec, Progress, fine_tune};
use cpu::cpu_seconds;
use memory::peak_mb;
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Instant,
};

/// Prints the time of every 50 steps.
struct Pace(Mutex<(u64, u64, f64, Instant)>);

impl Progress for Pace {
    fn begin(&self, phase: &'static str, total: u64) {
        println!("{phase}: {total} steps");
        *self.0.lock().expect("nobody panics") = (0, total, cpu_seconds(), Instant::now());
    }

    fn advance(&self, done: u64) {
        let mut pace = self.0.lock().expect("nobody panics");
        pace.0 += done;
        if pace.0.is_multiple_of(50) && done == 1 {
            let (steps, total, cpu, started) = *pace;
            let (cpu, wall) = (cpu_seconds() - cpu, started.elapsed().as_secs_f64());
            println!(
                "  step {steps} of {total}: {:.3} s of CPU, {:.3} s a step",
                cpu / steps as f64,
                wall / steps as f64
            );
        }
    }

    fn finish(&self) {}
}

fn folder(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_dir())
}

fn read(path: &Path) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_path(path).expect("the data set is readable");
    reader
        .records()
        .map(|record| {
            let record = record.expect("the data set is well-formed");
            (record[0].to_owned(), record[1].to_owned())
        })
        .collect()
}

fn main() {
    let (Some(data), Some(encoder)) =
        (folder("BOTOPS_BANKING77_DIR"), folder("BOTOPS_ENCODER_DIR"))
    else {
        println!("name BANKING77 by BOTOPS_BANKING77_DIR and an encoder by BOTOPS_ENCODER_DIR");
        return;
    };
    let settings = env::args().skip(1).find(|argument| argument.starts_with('{'));
    let spec: FineTuningSpec =
        serde_json::from_str(settings.as_deref().unwrap_or("{}")).expect("the settings are JSON");
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(17);
    let rows = read(&data.join("train.csv"));
    let intents: BTreeSet<&str> = rows.iter().map(|(_, intent)| intent.as_str()).collect();
    let intents: Vec<&str> = intents.into_iter().collect();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let number = |intent: &str| intents.binary_search(&intent).expect("intents are sorted") as u32;
    let y: Vec<u32> = rows.iter().map(|(_, intent)| number(intent)).collect();
    let files = EncoderFiles::read(&encoder).expect("the encoder is readable");
    let encoder =
        Encoder::new(&files, &EncoderSpec::new("encoder")).expect("the encoder is well-formed");
    drop(files);
    println!("{spec:?}");
    let (cpu, started) = (cpu_seconds(), Instant::now());
    let pace = Pace(Mutex::new((0, 0, 0.0, started)));
    let input = FineTuningInput {
        encoder: &encoder,
        texts: &texts,
        y: &y,
        n_classes: intents.len(),
        spec: &spec,
        seed,
        checkpoints: None,
    };
    let tuned = fine_tune(&input, &pace).expect("the encoder is fine-tuned");
    let (cpu, wall) = (cpu_seconds() - cpu, started.elapsed().as_secs_f64());
    let epochs = tuned.history.len() as f64;
    for epoch in &tuned.history {
        println!("{epoch:?}");
    }
    println!(
        "{} held out; {:.1} s of CPU and {:.1} s an epoch on {}; peak {:.0} MB",
        tuned.held_out.rows.len(),
        cpu / epochs,
        wall / epochs,
        tuned.device,
        peak_mb(),
    );
    if env::args().any(|argument| argument == "test") {
        let test = read(&data.join("test.csv"));
        let texts: Vec<&str> = test.iter().map(|(text, _)| text.as_str()).collect();
        let embeddings = tuned.encoder.embed(&texts, &|_| ());
        let right =
            test.iter().zip(embeddings.chunks(tuned.encoder.dim())).filter(|((_, intent), x)| {
                let weights = tuned.weights.chunks(x.len()).zip(&tuned.bias);
                let score = |(w, bias): (&[f32], &f32)| {
                    bias + w.iter().zip(*x).map(|(w, x)| w * x).sum::<f32>()
                };
                let scores: Vec<f32> = weights.map(score).collect();
                let best = (1..scores.len())
                    .fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
                best as u32 == number(intent)
            });
        println!("accuracy on the test set {:.4}", right.count() as f64 / test.len() as f64);
    }
}
