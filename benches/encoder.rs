//! Embedding the training texts of BANKING77: CPU time per utterance on one thread and on all cores, and the latency
//! of one utterance. `BOTOPS_BANKING77_DIR` names the folder of the data, `BOTOPS_ENCODER_DIR` that of an encoder.
//!
//! `cargo bench --bench encoder -- figures` prints only these numbers. Otherwise criterion also measures the latency.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;

use botops_features::{Encoder, EncoderFiles, EncoderScratch, EncoderSpec};
use cpu::cpu_seconds;
use criterion::Criterion;
use std::{
    env,
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};

/// Runs `work` and returns its result, with the CPU seconds and the wall-clock seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64, f64) {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let made = work();
    (made, cpu_seconds() - cpu, started.elapsed().as_secs_f64())
}

fn texts(folder: &Path) -> Vec<String> {
    let mut reader =
        csv::Reader::from_path(folder.join("train.csv")).expect("the data set is readable");
    reader
        .records()
        .map(|record| record.expect("the data set is well-formed")[0].to_owned())
        .collect()
}

fn main() {
    let (Some(data), Some(folder)) =
        (env::var_os("BOTOPS_BANKING77_DIR"), env::var_os("BOTOPS_ENCODER_DIR"))
    else {
        println!("skipped: BOTOPS_BANKING77_DIR and BOTOPS_ENCODER_DIR do not both name a folder");
        return;
    };
    let texts = texts(&PathBuf::from(data));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let folder = PathBuf::from(folder);
    let (encoder, cpu, wall) = timed(|| {
        let files = EncoderFiles::read(&folder).expect("the encoder's folder is complete");
        Encoder::new(&files, &EncoderSpec::new(folder.display().to_string()))
            .expect("the encoder is sound")
    });
    println!("read and checked in {:.0} ms ({:.0} ms of CPU)", wall * 1e3, cpu * 1e3);

    let n = texts.len() as f64;
    let (tokens, cpu, _) = timed(|| encoder.tokenise(&texts));
    let n_tokens = tokens.iter().map(Vec::len).sum::<usize>() as f64;
    println!(
        "{n} utterances, {:.1} tokens each, tokenised in {:.3} ms of CPU each",
        n_tokens / n,
        cpu / n * 1e3
    );
    // Multiplications and additions of the linear layers. Attention adds about 1 % at these lengths.
    let config = encoder.config();
    let a_layer = 4 * config.hidden_size * config.hidden_size
        + 2 * config.hidden_size * config.intermediate_size;
    let flops = 2.0 * (config.n_layers * a_layer) as f64 * n_tokens;
    let mut first: Option<Vec<f32>> = None;
    for n_threads in [1, std::thread::available_parallelism().map_or(2, usize::from)] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .expect("threads can be started");
        let (embeddings, cpu, wall) = timed(|| pool.install(|| encoder.embed(&texts, &|_| ())));
        println!(
            "{n_threads} threads: {:.2} ms of CPU and {:.2} ms an utterance, {:.0} a second; {:.1} GFLOP a CPU second",
            cpu / n * 1e3,
            wall / n * 1e3,
            n / wall,
            flops / cpu / 1e9,
        );
        assert!(
            first
                .get_or_insert_with(|| embeddings.clone())
                .iter()
                .zip(&embeddings)
                .all(|(a, b)| a.to_bits() == b.to_bits()),
            "another number of threads, other embeddings"
        );
    }
    let mut scratch = EncoderScratch::default();
    let mut times: Vec<f64> = Vec::with_capacity(1_000);
    let (_, cpu, _) = timed(|| {
        for text in texts.iter().step_by(texts.len() / 1_000 + 1) {
            let started = Instant::now();
            black_box(encoder.embed_one(text, &mut scratch));
            times.push(started.elapsed().as_secs_f64());
        }
    });
    times.sort_unstable_by(f64::total_cmp);
    println!(
        "one at a time: median {:.2} ms, p99 {:.2} ms; {:.2} ms of CPU",
        times[times.len() / 2] * 1e3,
        times[times.len() * 99 / 100] * 1e3,
        cpu / times.len() as f64 * 1e3
    );
    if env::args().any(|argument| argument == "figures") {
        return;
    }
    let mut criterion = Criterion::default().sample_size(50);
    let mut texts = texts.iter().cycle();
    criterion.bench_function("embed one utterance", |bencher| {
        bencher.iter(|| {
            let text = texts.next().expect("the data set is not empty");
            black_box(encoder.embed_one(text, &mut scratch));
        });
    });
    criterion.final_summary();
}
