//! Knowledge in pipelines: documents imported as a version of a knowledge base, evaluated beside a model, and registered with it.

use super::{
    files::{read_json, write_json, write_text},
    work::{Ended, Work},
};
use crate::{
    knowledge_input::{KnowledgeInput, KnowledgeSource},
    spec::KnowledgeImportStage,
    state::StageVerdict,
};
use botops_digest::Digest;
use botops_documents::{Declared, Limits};
use botops_evaluation::knowledge::{
    IndexAnswerer, KnowledgeComparison, KnowledgeReport, QuestionOutcome, QuestionSet, ask_all,
    compare_knowledge, read_questions,
};
use botops_findings::{Fault, Finding, Result};
use botops_knowledge::{
    KnowledgeIndex, Mode,
    store::{
        Change, Gathered, ImportAct, ImportMode, ImportRequest, KnowledgeReference, KnowledgeStore,
        SettingsChange, Unreadable,
    },
};
use botops_registry::knowledge_path;
use botops_report as report;
use botops_text::counted;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
};

/// The file of an import stage.
const IMPORTED: &str = "import.json";
/// The schema of [`ImportedKnowledge`].
const SCHEMA: &str = "botops.knowledge-import/1";
/// The beginning of the name of an evaluation of knowledge.
const EVALUATION: &str = "knowledge-evaluation.";
/// The beginning of the name of a comparison with the knowledge of the champion.
const COMPARISON: &str = "knowledge-comparison.";
/// The most bytes of a question file.
const MOST_QUESTION_BYTES: u64 = 1 << 30;

/// The content of `import.json`: the version of a knowledge base that holds the documents.
#[derive(Debug, Serialize, Deserialize)]
struct ImportedKnowledge {
    schema: String,
    /// The name of the knowledge base.
    name: String,
    /// The version, such as `help@3`.
    reference: String,
    /// The digest of its manifest.
    manifest: Digest,
    /// The digest of its index.
    index: Digest,
}

/// Returns the digest of the documents of an import stage: their names and their bytes.
///
/// # Errors
/// Those of [`Gathered::of`]; `BOT-1001` (exit 2) a file cannot be read.
pub(crate) fn documents(root: &Path, stage: &KnowledgeImportStage) -> Result<Digest> {
    let gathered = Gathered::of(&[root.join(&stage.documents)])?;
    let mut digests = Vec::with_capacity(gathered.files.len());
    for (name, path) in &gathered.files {
        let digest = File::open(path)
            .and_then(Digest::of_reader)
            .map_err(|error| botops_spec::unreadable(path, &error))?;
        digests.push((name.clone(), digest));
    }
    Ok(Digest::of_json(&digests))
}

/// Imports the documents of a stage, which replace those of the knowledge base. The bytes are those of the input
/// `file:documents`.
pub(super) async fn import(
    work: &Work<'_>,
    stage: &KnowledgeImportStage,
    inputs: &BTreeMap<String, Digest>,
    made: &Path,
) -> Result<(Ended, Vec<Finding>)> {
    let services = work.services;
    let gathered = Gathered::of(&[services.root.join(&stage.documents)])?;
    let limits = Limits::default();
    let declared = Declared { language: stage.language.clone(), ..Declared::default() };
    let changes = gathered.changes(&declared, &limits, &|| {})?;
    let read = changes.iter().filter_map(|change| match change {
        Change::Put(file) => Some((file.id.clone(), Digest::of(&file.bytes))),
        Change::Remove(_) => None,
    });
    // A file over the limit is read in part, and the import refuses it.
    let is_whole = changes.iter().all(|change| match change {
        Change::Put(file) => file.bytes.len() <= limits.file_bytes,
        Change::Remove(_) => true,
    });
    let read = Digest::of_json(&read.collect::<Vec<_>>());
    if is_whole && inputs.get("file:documents") != Some(&read) {
        return Err(Fault::conflict("BOT-2218", "the documents changed while they were read")
            .file(&stage.documents)
            .hint("wait until they are complete, then run the pipeline again"));
    }
    let act = services.act(format!("pipeline {}", work.plan.spec.name))?;
    let request = ImportRequest {
        name: stage.into.clone(),
        changes,
        mode: ImportMode::Replace,
        settings: SettingsChange {
            chunk_tokens: stage.chunk_tokens,
            overlap: stage.overlap,
            ..SettingsChange::default()
        },
        unreadable: if stage.skip_unreadable { Unreadable::Skip } else { Unreadable::Stop },
        limits,
        pdf: services.pdf.clone(),
        act: ImportAct { at: act.at, actor: act.actor, reason: act.reason },
        dry_run: false,
    };
    let imported = store(work).import(&request).await?;
    let (reference, manifest) = (imported.reference(&stage.into), imported.digest);
    let n_documents = (imported.added.len() + imported.changed.len()) as u64 + imported.unchanged;
    let warned = match imported.findings.len() as u64 {
        0 => String::new(),
        n => format!("; {}", counted(n, "warning", "warnings")),
    };
    let summary = format!(
        "{reference} ({}): {}, {} added, {} changed, {} removed{warned}",
        manifest.short(),
        counted(n_documents, "document", "documents"),
        imported.added.len(),
        imported.changed.len(),
        imported.removed.len()
    );
    let content = ImportedKnowledge {
        schema: SCHEMA.to_owned(),
        name: stage.into.clone(),
        reference,
        manifest,
        index: imported.index,
    };
    write_json(made, IMPORTED, &content)?;
    let verdict = match imported.findings.is_empty() {
        true => StageVerdict::Passed,
        false => StageVerdict::Warned,
    };
    Ok(((verdict, summary), imported.findings))
}

/// Checks that the store still has the version that the import stage `stage` made.
///
/// # Errors
/// `BOT-8031` (exit 3) it has not; those of the store.
pub(super) async fn recall(work: &Work<'_>, stage: &str) -> Result<()> {
    let imported: ImportedKnowledge = read_json(work, stage, IMPORTED)?;
    if store(work).store().has_blob(&imported.index).await? {
        return Ok(());
    }
    let message = format!("the documents that stage `{stage}` imported are no longer in the store");
    Err(Fault::data("BOT-8031", message).file(work.services.registry.store().url()).hint(format!(
        "to import them again: remove {} and run again",
        work.folder.stage(stage).display()
    )))
}

fn store(work: &Work<'_>) -> KnowledgeStore {
    KnowledgeStore::open(work.services.registry.store().clone())
}

/// Returns the name of the knowledge base of `input`, and the digest of its index.
async fn resolve(work: &Work<'_>, input: &KnowledgeInput) -> Result<(String, Digest)> {
    let reference: KnowledgeReference = match input.source()? {
        KnowledgeSource::Stage(stage) => {
            let imported: ImportedKnowledge = read_json(work, stage, IMPORTED)?;
            return Ok((imported.name, imported.index));
        }
        KnowledgeSource::Registry(reference) => reference,
    };
    let version = store(work).resolve(&reference).await?;
    Ok((version.manifest.name.clone(), version.manifest.index))
}

/// Adds the knowledge of an evaluation and its questions to `inputs`. Returns the digests of the indexes by name.
///
/// # Errors
/// `BOT-7265` (exit 2) two have one name; those of the store; `BOT-1001` (exit 2) questions cannot be read.
pub(crate) async fn inputs(
    work: &Work<'_>,
    knowledge: &[KnowledgeInput],
    inputs: &mut BTreeMap<String, Digest>,
) -> Result<BTreeMap<String, Digest>> {
    let mut held = BTreeMap::new();
    for input in knowledge {
        let (name, digest) = resolve(work, input).await?;
        let path = work.services.root.join(&input.questions);
        let questions = File::open(&path)
            .and_then(Digest::of_reader)
            .map_err(|error| botops_spec::unreadable(&path, &error))?;
        inputs.insert(format!("file:questions.{name}"), questions);
        inputs.insert(format!("knowledge.{name}"), digest);
        if held.insert(name.clone(), digest).is_some() {
            let message = format!("two knowledge bases are called `{name}`");
            return Err(Fault::usage("BOT-7265", message)
                .file(&work.plan.file)
                .hint("a version has one of each name: remove one under `knowledge:`"));
        }
    }
    Ok(held)
}

/// Reads the knowledge of `knowledge`, by name.
///
/// # Errors
/// Those of the store.
pub(super) async fn files(
    work: &Work<'_>,
    knowledge: &[KnowledgeInput],
) -> Result<Vec<(String, Bytes)>> {
    let mut files = Vec::new();
    for input in knowledge {
        let (name, digest) = resolve(work, input).await?;
        files.push((name, work.services.registry.store().blob(&digest).await?));
    }
    Ok(files)
}

/// Returns the name of the evaluation of the knowledge `name` among the files of a stage and of a version.
pub(super) fn evaluation_file(name: &str) -> String {
    format!("{EVALUATION}{name}.json")
}

fn comparison_file(name: &str) -> String {
    format!("{COMPARISON}{name}.json")
}

/// Evaluates each knowledge base on its questions, compares it with that of the champion of its name, and writes reports and pages.
/// Returns the numbers in one line, and the warnings on questions.
pub(super) async fn evaluate(
    work: &Work<'_>,
    knowledge: &[KnowledgeInput],
    made: &Path,
) -> Result<(String, Vec<Finding>)> {
    let (mut line, mut findings) = (String::new(), Vec::new());
    for input in knowledge {
        let (name, digest) = resolve(work, input).await?;
        let index =
            KnowledgeIndex::from_bytes(&work.services.registry.store().blob(&digest).await?)?;
        let set = questions(work, input)?;
        let mut answerer = IndexAnswerer::new(&index, Mode::Hybrid);
        findings.extend(set.duplicates());
        findings.extend(answerer.unknown_documents(&set));
        let outcomes = ask_all(&set, &mut answerer);
        let judged = KnowledgeReport::of(answerer.subject(), &set, &outcomes)?;
        let comparison = compared(work, &name, (digest, &outcomes), &set).await?;
        write_json(made, &evaluation_file(&name), &judged)?;
        if let Some(comparison) = &comparison {
            write_json(made, &comparison_file(&name), comparison)?;
        }
        let page = report::knowledge_html(&judged, comparison.as_ref());
        write_text(made, &format!("knowledge.{name}.html"), &page)?;
        let short = report::knowledge_markdown(&judged, comparison.as_ref());
        write_text(made, &format!("knowledge.{name}.md"), &short)?;
        line.push_str(&format!("; {name}: {}", headline(&judged)));
    }
    Ok((line, findings))
}

/// Compares the outcomes of a knowledge base with those of the champion's of its name; `None` if the champion has none.
async fn compared(
    work: &Work<'_>,
    name: &str,
    challenger: (Digest, &[QuestionOutcome]),
    set: &QuestionSet,
) -> Result<Option<KnowledgeComparison>> {
    let path = knowledge_path(name);
    let Some(champion) = work.champion.as_ref().filter(|it| it.manifest.file(&path).is_some())
    else {
        return Ok(None);
    };
    let index = KnowledgeIndex::from_bytes(&work.services.registry.file(champion, &path).await?)?;
    let earlier = ask_all(set, &mut IndexAnswerer::new(&index, Mode::Hybrid));
    compare_knowledge(set, (index.digest(), &earlier), challenger).map(Some)
}

fn questions(work: &Work<'_>, input: &KnowledgeInput) -> Result<QuestionSet> {
    let path = work.services.root.join(&input.questions);
    let unreadable = |error: std::io::Error| botops_spec::unreadable(&path, &error);
    let size = fs::metadata(&path).map_err(unreadable)?.len();
    if size > MOST_QUESTION_BYTES {
        let message =
            format!("the question file has {size} bytes, more than {MOST_QUESTION_BYTES}");
        return Err(Fault::data("BOT-7260", message).file(&input.questions));
    }
    let bytes = fs::read(&path).map_err(unreadable)?;
    read_questions(&input.questions.display().to_string(), &bytes, None)
}

/// Returns the main metrics in one line.
fn headline(report: &KnowledgeReport) -> String {
    let shown = ["recall_at_5", "mrr", "token_f1"].into_iter().filter_map(|name| {
        let metric = report.metrics.get(name)?;
        Some(format!("{name} {:.3} [{:.3}, {:.3}]", metric.value, metric.ci95[0], metric.ci95[1]))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Returns the names of the files of the stage `evaluate` that a gate reads about knowledge, sorted.
pub(crate) fn judgements(work: &Work<'_>, evaluate: &str) -> Vec<String> {
    let Some(record) = work.folder.record(evaluate) else { return Vec::new() };
    let is_one = |name: &String| name.starts_with(EVALUATION) || name.starts_with(COMPARISON);
    record.outputs.into_keys().filter(is_one).collect()
}

/// Returns the names of the knowledge bases that the stage `evaluate` judged, sorted.
fn names(work: &Work<'_>, evaluate: &str) -> Vec<String> {
    let name =
        |file: &String| Some(file.strip_prefix(EVALUATION)?.strip_suffix(".json")?.to_owned());
    judgements(work, evaluate).iter().filter_map(name).collect()
}

/// Reads the evaluations of the stage `evaluate`, each with its comparison, if there was one.
pub(super) fn judged(
    work: &Work<'_>,
    evaluate: &str,
) -> Result<Vec<(KnowledgeReport, Option<KnowledgeComparison>)>> {
    let mut judged = Vec::new();
    for name in names(work, evaluate) {
        let report = read_json(work, evaluate, &evaluation_file(&name))?;
        let comparison = match work.folder.file(evaluate, &comparison_file(&name)).exists() {
            true => Some(read_json(work, evaluate, &comparison_file(&name))?),
            false => None,
        };
        judged.push((report, comparison));
    }
    Ok(judged)
}

/// Reads the knowledge that the stage `evaluate` judged, by name: the bytes with the digests of its reports.
pub(super) async fn evaluated_files(
    work: &Work<'_>,
    evaluate: &str,
) -> Result<Vec<(String, Bytes)>> {
    let mut files = Vec::new();
    for name in names(work, evaluate) {
        let report: KnowledgeReport = read_json(work, evaluate, &evaluation_file(&name))?;
        let digest = report.knowledge.digest;
        files.push((name, work.services.registry.store().blob(&digest).await?));
    }
    Ok(files)
}
