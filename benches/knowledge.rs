//! Retrieval: its quality on XQuAD English, and its cost on many chunks.
//!
//! - `cargo bench --bench knowledge -- xquad [--default-chunks] [--titles QUARTERS]`: recall@1, recall@5 and MRR@10 of each mode.
//!   `BOTOPS_XQUAD_DIR` names the folder of `xquad.en.json`, `BOTOPS_ENCODER_DIR` that of an encoder (without it, words
//!   only). The questions of the passages whose SHA-256 begins with an even digit chose the settings; the others are the
//!   figure. `--ranks FILE` writes the rank of each question, for paired tests. With `--titles 4`, a document has the title of its
//!   article, whose words weigh 4 quarters of those of the text.
//! - `cargo bench --bench knowledge -- scale 100000`: CPU seconds of a build, memory without and with vectors, latencies, and the
//!   time after an edit of one document. Texts are drawn from a Zipf distribution of invented words.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "knowledge/zipf.rs"]
mod zipf;

use botops_digest::Digest;
use botops_documents::{Block, BlockKind, ChunkSpec, Document};
use botops_features::{Encoder, EncoderFiles, EncoderSpec};
use botops_knowledge::{
    FieldWeights, Filters, IndexSpec, IndexedDocument, KnowledgeIndex, Mode, Query, SearchScratch,
};
use cpu::cpu_seconds;
use std::{
    collections::BTreeMap, env, fmt::Write as _, fs, path::PathBuf, sync::Arc, time::Instant,
};
use zipf::Numbers;

fn main() {
    let arguments: Vec<String> =
        env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["scale", n] => scale(n.parse().expect("a number of chunks")),
        ["resident", file] => resident(file),
        ["xquad", rest @ ..] => xquad(rest),
        _ => println!("skipped: name `xquad` or `scale N`"),
    }
}

/// Returns the encoder of `BOTOPS_ENCODER_DIR`.
fn encoder() -> Option<Arc<Encoder>> {
    let folder = PathBuf::from(env::var_os("BOTOPS_ENCODER_DIR")?);
    let files = EncoderFiles::read(&folder).expect("the encoder's folder is complete");
    let spec = EncoderSpec { max_tokens: 256, ..EncoderSpec::new(folder.display().to_string()) };
    Some(Arc::new(Encoder::new(&files, &spec).expect("the encoder is sound")))
}

fn document(id: String, text: &str) -> Document {
    Document {
        id,
        title: String::new(),
        url: None,
        language: Some("en".to_owned()),
        updated_at: None,
        access: Default::default(),
        metadata: BTreeMap::new(),
        blocks: vec![Block { kind: BlockKind::Paragraph, text: text.to_owned(), page: None }],
    }
}

fn build(
    documents: &[Document],
    spec: &IndexSpec,
    encoder: Option<Arc<Encoder>>,
    previous: Option<&KnowledgeIndex>,
) -> KnowledgeIndex {
    let indexed: Vec<IndexedDocument<'_>> = documents
        .iter()
        .map(|document| {
            let text = document.blocks.first().map_or("", |block| block.text.as_str());
            IndexedDocument { document, source: Digest::of(text.as_bytes()) }
        })
        .collect();
    KnowledgeIndex::build("bench", &indexed, spec, encoder, previous)
        .expect("the documents are sound")
}

/// Prints the quality on XQuAD: one document for each passage.
fn xquad(arguments: &[&str]) {
    let Some(folder) = env::var_os("BOTOPS_XQUAD_DIR") else {
        return println!("skipped: BOTOPS_XQUAD_DIR names no folder");
    };
    let json =
        fs::read(PathBuf::from(folder).join("xquad.en.json")).expect("the data set is readable");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("the data set is JSON");
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| *argument == name)?;
        Some(*arguments.get(at + 1).expect("the argument has a value"))
    };
    let titles = after("--titles").map(|quarters| quarters.parse().expect("a number of quarters"));
    let mut documents = Vec::new();
    let mut questions: Vec<(String, String, bool)> = Vec::new();
    for article in json["data"].as_array().expect("a list of articles") {
        for paragraph in article["paragraphs"].as_array().expect("a list of paragraphs") {
            let text = paragraph["context"].as_str().expect("a text");
            let id = format!("{:03}", documents.len());
            let chooses = Digest::of(text.as_bytes()).as_bytes()[0] >> 4 & 1 == 0;
            for question in paragraph["qas"].as_array().expect("a list of questions") {
                let question = question["question"].as_str().expect("a text").to_owned();
                questions.push((question, id.clone(), chooses));
            }
            let mut paragraph = document(id, text);
            if titles.is_some() {
                let title = article["title"].as_str().expect("a title");
                paragraph.title = title.replace('_', " ");
            }
            documents.push(paragraph);
        }
    }
    let whole = !arguments.contains(&"--default-chunks");
    let chunk = if whole { ChunkSpec { tokens: 2_000, overlap: 0 } } else { ChunkSpec::default() };
    let encoder = encoder();
    let usual = FieldWeights::default();
    let weights = FieldWeights { title: titles.unwrap_or(usual.title), ..usual };
    let index = build(
        &documents,
        &IndexSpec { chunk, weights, ..IndexSpec::default() },
        encoder.clone(),
        None,
    );
    println!(
        "{} passages in {} chunks, {} questions",
        index.n_documents(),
        index.n_chunks(),
        questions.len()
    );
    let modes = match encoder {
        Some(_) => &[Mode::Lexical, Mode::Dense, Mode::Hybrid][..],
        None => &[Mode::Lexical],
    };
    let mut lines = String::new();
    for mode in modes {
        let (filters, mut scratch) = (Filters::default(), SearchScratch::default());
        let cpu = cpu_seconds();
        let ranks: Vec<usize> = questions
            .iter()
            .map(|(text, passage, _)| {
                let query = Query { text, k: 30, filters: &filters, mode: *mode, embedding: None };
                let hits = index.search(&query, &mut scratch);
                let mut seen: Vec<&str> = Vec::new();
                for hit in hits {
                    let found = index.passage(hit.chunk).document;
                    if !seen.contains(&found) {
                        seen.push(found);
                    }
                }
                seen.iter().position(|found| found == passage).map_or(usize::MAX, |at| at + 1)
            })
            .collect();
        let cpu = cpu_seconds() - cpu;
        for (name, keep) in [("chosen on", true), ("held out", false)] {
            let of = || ranks.iter().zip(&questions).filter(|(_, (_, _, half))| *half == keep);
            let n = of().count() as f64;
            let recall = |k: usize| of().filter(|(rank, _)| **rank <= k).count() as f64 / n;
            let mrr: f64 =
                of().filter(|(rank, _)| **rank <= 10).map(|(rank, _)| 1.0 / *rank as f64).sum();
            println!(
                "{mode:?} {name}: {n} questions, recall@1 {:.4}, recall@5 {:.4}, MRR@10 {:.4}",
                recall(1),
                recall(5),
                mrr / n
            );
        }
        println!("{mode:?}: {cpu:.2} CPU s for all questions");
        for (rank, (text, ..)) in ranks.iter().zip(&questions) {
            writeln!(lines, "{mode:?}\t{rank}\t{text}").expect("a string can be written");
        }
    }
    if let Some(file) = after("--ranks") {
        fs::write(file, lines).expect("the file can be written");
    }
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .map_or(f64::NAN, |kib| kib / 1024.0)
}

/// Prints the memory that the index in a file of `bytes` takes, in a process of its own: memory that the build freed would
/// hide what reading takes.
fn resident_apart(bytes: &[u8]) {
    let file = env::temp_dir().join(format!("botops-bench-{}.knowledge", std::process::id()));
    fs::write(&file, bytes).expect("the file can be written");
    let program = env::current_exe().expect("the bench is a file");
    let status = std::process::Command::new(program).arg("resident").arg(&file).status();
    assert!(status.expect("the bench starts").success(), "the file is read");
    fs::remove_file(&file).expect("the file exists");
}

/// Prints the memory that the index in `file` takes.
fn resident(file: &str) {
    let before = resident_mib();
    let index = KnowledgeIndex::from_bytes(&fs::read(file).expect("the file is readable"));
    let index = index.expect("the file is sound");
    println!("{} chunks resident in {:.0} MiB", index.n_chunks(), resident_mib() - before);
}

/// Prints the cost of `n` chunks of 120 words, two in a document.
fn scale(n: usize) {
    let mut numbers = Numbers(17);
    let text = |numbers: &mut Numbers| format!("{}. {}.", numbers.words(120), numbers.words(120));
    let mut documents: Vec<Document> =
        (0..n / 2).map(|at| document(format!("{at:07}"), &text(&mut numbers))).collect();
    let spec = IndexSpec { chunk: ChunkSpec { tokens: 120, overlap: 0 }, ..IndexSpec::default() };
    let text_mib = documents.iter().map(|document| document.blocks[0].text.len()).sum::<usize>()
        as f64
        / f64::from(1 << 20);
    let (cpu, started) = (cpu_seconds(), Instant::now());
    let index = build(&documents, &spec, None, None);
    println!(
        "{} chunks, {text_mib:.0} MiB of text: built in {:.1} CPU s, {:.1} s",
        index.n_chunks(),
        cpu_seconds() - cpu,
        started.elapsed().as_secs_f64()
    );
    documents[n / 4] = document(documents[n / 4].id.clone(), &text(&mut numbers));
    let started = Instant::now();
    let edited = build(&documents, &spec, None, Some(&index));
    let built = started.elapsed().as_secs_f64();
    let bytes = edited.to_bytes();
    println!(
        "one document edited: {built:.2} s, {:.2} s with the file of {:.0} MiB written",
        started.elapsed().as_secs_f64(),
        bytes.len() as f64 / f64::from(1 << 20)
    );
    drop((index, edited));
    resident_apart(&bytes);
    let started = Instant::now();
    let index = KnowledgeIndex::from_bytes(&bytes).expect("the file is sound");
    println!("read in {:.2} s", started.elapsed().as_secs_f64());
    let filters = Filters::default();
    let mut scratch = SearchScratch::default();
    let questions: Vec<String> =
        (0..1_000).map(|_| format!("{} {}", numbers.words(8), "ba da fa ga")).collect();
    let mut times: Vec<f64> = questions
        .iter()
        .map(|text| {
            let query =
                Query { text, k: 10, filters: &filters, mode: Mode::Lexical, embedding: None };
            let started = Instant::now();
            assert!(!index.search(&query, &mut scratch).is_empty(), "common words are found");
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("lexical: p50 {:.2} ms, p99 {:.2} ms", times[500], times[990]);
    hybrid(&documents, &spec);
}

/// Prints the latency of both rankings, without the embedding of the question.
///
/// The encoder has the 384 dimensions of MiniLM, one layer, random weights, and reads 6 word pieces, so that the chunks are
/// embedded in seconds: the time of a comparison does not depend on the values.
fn hybrid(documents: &[Document], spec: &IndexSpec) {
    let tiny = botops_tiny_encoder::Tiny {
        hidden_size: 384,
        n_layers: 1,
        ..botops_tiny_encoder::Tiny::bert()
    };
    let files = tiny.files();
    let files = EncoderFiles {
        config: files["config.json"].clone(),
        tokenizer: files["tokenizer.json"].clone(),
        weights: files["model.safetensors"].clone(),
        pooling: None,
    };
    let spec_of = EncoderSpec { max_tokens: 8, ..EncoderSpec::new("tiny") };
    let encoder = Arc::new(Encoder::new(&files, &spec_of).expect("the encoder is sound"));
    let index = build(documents, spec, Some(Arc::clone(&encoder)), None);
    let filters = Filters::default();
    let mut scratch = SearchScratch::default();
    let mut numbers = Numbers(19);
    let mut times: Vec<f64> = (0..300)
        .map(|_| {
            let text = format!("{} ba da fa ga", numbers.words(8));
            let embedding = encoder.embed(&[&text], &|_| ());
            let query = Query {
                text: &text,
                k: 10,
                filters: &filters,
                mode: Mode::Hybrid,
                embedding: Some(&embedding),
            };
            let started = Instant::now();
            assert_eq!(index.search(&query, &mut scratch).len(), 10);
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("hybrid without the encoder: p50 {:.2} ms, p99 {:.2} ms", times[150], times[297]);
    let bytes = index.to_bytes();
    println!("the file with vectors: {:.0} MiB", bytes.len() as f64 / f64::from(1 << 20));
    drop(index);
    resident_apart(&bytes);
}
