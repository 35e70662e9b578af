//! Chat turns that documents answer.

use crate::{
    Outcome,
    load::{Connection, Load, measure, request},
    report, runtime, serve, small, trained_as,
    zipf::Numbers,
};
use botops_digest::Digest;
use botops_documents::{Block, BlockKind, ChunkSpec, Document};
use botops_knowledge::{IndexSpec, IndexedDocument, KnowledgeIndex};
use botops_models::{FallbackSpec, ModelSpec};
use botops_serving::{KnowledgeFile, KnowledgeSettings};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// The turns a second that a server with a lexical index should answer on 2 cores, with the load beside it.
const ASKED: f64 = 5_000.0;
/// The different questions to the invented documents.
const N_QUESTIONS: usize = 1_000;
/// The words of an invented sentence, and the sentences of a paragraph.
const WORDS: usize = 15;
const SENTENCES: usize = 8;

/// Documents, and questions to them.
struct Corpus {
    name: &'static str,
    documents: Vec<Document>,
    questions: Vec<String>,
}

/// Measures each corpus. Returns the number of failed answers.
pub(crate) fn run(load: &Load, threads: usize, n_chunks: usize) -> Outcome<u64> {
    let mut failures = 0;
    match std::env::var_os("BOTOPS_XQUAD_DIR") {
        Some(folder) => failures += turns(&xquad(PathBuf::from(folder))?, load, threads)?,
        None => println!("XQuAD is skipped: BOTOPS_XQUAD_DIR names no folder"),
    }
    Ok(failures + turns(&invented(n_chunks), load, threads)?)
}

/// Measures the turns of one corpus. The load has a thread of its own, so that its CPU time is known.
fn turns(corpus: &Corpus, load: &Load, threads: usize) -> Outcome<u64> {
    // Only a message that no intent claims goes to the documents, so the model declines everything.
    let fallback = FallbackSpec { threshold: 1.0, ..FallbackSpec::default() };
    let model = trained_as(ModelSpec { fallback, ..ModelSpec::default() }, &small())?;
    if let Some(text) = corpus.questions.iter().find(|text| !model.predict(text).fallback) {
        return Err(format!("an intent claims `{text}`, so it does not reach the documents").into());
    }
    let requests: Vec<Vec<u8>> =
        corpus.questions.iter().map(|text| request("/v1/chat", text)).collect();
    let (file, n_chunks) = file(&corpus.documents)?;
    let server = runtime(threads)?;
    let running = serve(&server, model, settings(file))?;
    let load_thread = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = running.address();
    let n_answered = load_thread.block_on(answered(address, &requests))?;
    let n_requests = requests.len();
    let measured = load_thread.block_on(measure(address, requests, load))?;
    server.block_on(running.shutdown());
    println!(
        "{}: {n_chunks} chunks, {} connections, {threads} threads, {:.1} s; documents answer {n_answered} of {n_requests} \
         questions",
        corpus.name,
        load.connections,
        measured.wall.as_secs_f64()
    );
    report(&measured, "turns");
    let n = measured.nanos.len().max(1) as f64;
    println!(
        "{:.1} microseconds of CPU a turn, {:.1} of them for the load; {:.0} turns/s asked",
        measured.cpu_seconds * 1e6 / n,
        measured.thread_cpu_seconds * 1e6 / n,
        ASKED
    );
    Ok(measured.failures)
}

/// Asks each question once, and returns the number of those that documents answer.
///
/// # Errors
/// A question fails, or none is answered: then the figures would not be those of answers.
async fn answered(address: SocketAddr, requests: &[Vec<u8>]) -> Outcome<usize> {
    const ANSWERED: &[u8] = br#""answered_by":"knowledge""#;
    let mut connection = Connection::open(address).await?;
    let mut n = 0;
    for request in requests {
        let answer = connection.ask(request).await?.ok_or("a question failed")?;
        n += usize::from(answer.windows(ANSWERED.len()).any(|window| window == ANSWERED));
    }
    if n == 0 { Err("the documents answer no question".into()) } else { Ok(n) }
}

/// Indexes `documents` by words. Returns the bytes of the file, and its number of chunks.
fn file(documents: &[Document]) -> Outcome<(Vec<u8>, usize)> {
    let indexed: Vec<IndexedDocument<'_>> = documents
        .iter()
        .map(|document| IndexedDocument { document, source: Digest::of(document.id.as_bytes()) })
        .collect();
    // A paragraph is one passage.
    let spec = IndexSpec { chunk: ChunkSpec { tokens: 2_000, overlap: 0 }, ..IndexSpec::default() };
    let index = KnowledgeIndex::build("bench", &indexed, &spec, None, None)?;
    Ok((index.to_bytes(), index.n_chunks()))
}

fn settings(bytes: Vec<u8>) -> KnowledgeSettings {
    let file = KnowledgeFile { name: "bench.knowledge".to_owned(), bytes: bytes.into() };
    KnowledgeSettings { files: vec![file], ..KnowledgeSettings::default() }
}

fn document(id: String, title: &str, text: String) -> Document {
    Document {
        id,
        title: title.to_owned(),
        url: None,
        language: Some("en".to_owned()),
        updated_at: None,
        access: Default::default(),
        metadata: BTreeMap::new(),
        blocks: vec![Block { kind: BlockKind::Paragraph, text, page: None }],
    }
}

/// Reads XQuAD English: each paragraph is a document with the title of its article.
fn xquad(folder: PathBuf) -> Outcome<Corpus> {
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("xquad.en.json"))?)?;
    let list = |value: &serde_json::Value, name: &str| {
        value[name].as_array().cloned().ok_or(format!("`{name}` is no list"))
    };
    let text = |value: &serde_json::Value, name: &str| {
        value[name].as_str().map(str::to_owned).ok_or(format!("`{name}` is no text"))
    };
    let (mut documents, mut questions) = (Vec::new(), Vec::new());
    for article in list(&json, "data")? {
        let title = text(&article, "title").unwrap_or_default().replace('_', " ");
        for paragraph in list(&article, "paragraphs")? {
            let id = format!("{:03}", documents.len());
            documents.push(document(id, &title, text(&paragraph, "context")?));
            for question in list(&paragraph, "qas")? {
                questions.push(text(&question, "question")?);
            }
        }
    }
    Ok(Corpus { name: "XQuAD English", documents, questions })
}

/// Invents `n` paragraphs of words whose frequencies are those of a language. A question repeats words of one sentence.
fn invented(n: usize) -> Corpus {
    let mut numbers = Numbers(17);
    let mut sentence = || numbers.words(WORDS);
    let paragraphs: Vec<Vec<String>> =
        (0..n).map(|_| (0..SENTENCES).map(|_| sentence()).collect()).collect();
    let mut below = |n: usize| usize::try_from(numbers.next() % n as u64).unwrap_or_default();
    let questions = (0..N_QUESTIONS)
        .map(|_| {
            let asked = &paragraphs[below(n)][below(SENTENCES)];
            let words: Vec<&str> = asked.split(' ').collect();
            let first = below(WORDS - 8);
            format!("what is {}?", words[first..first + 8].join(" "))
        })
        .collect();
    let documents = paragraphs
        .iter()
        .enumerate()
        .map(|(at, sentences)| {
            document(format!("{at:07}"), "", format!("{}.", sentences.join(". ")))
        })
        .collect();
    Corpus { name: "invented", documents, questions }
}
