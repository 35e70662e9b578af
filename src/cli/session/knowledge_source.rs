//! Knowledge that a verb names: a knowledge base of the registry's store, or a `.knowledge` file; and its questions.

use super::context::Context;
use botops_evaluation::knowledge::{
    IndexAnswerer, KnowledgeReport, QuestionOutcome, QuestionSet, ask_all, read_questions,
};
use botops_findings::{Fault, Finding, Result};
use botops_knowledge::{
    KnowledgeIndex, Mode,
    store::{KnowledgeReference, check_name},
};
use botops_registry::{Registry, Version, knowledge_path};
use bytes::Bytes;
use std::path::Path;

/// The extension of a knowledge file.
const EXTENSION: &str = ".knowledge";
/// The most bytes of a knowledge file that is read.
const MOST_BYTES: u64 = 4 << 30;

/// A loaded knowledge base.
pub(crate) struct LoadedKnowledge {
    /// The name, as answers and files name it.
    pub(crate) name: String,
    /// The name as given, such as `help@3`.
    pub(crate) shown: String,
    /// The file.
    pub(crate) bytes: Bytes,
    /// The index.
    pub(crate) index: KnowledgeIndex,
}

/// Loads the knowledge that `text` names: a file that ends in `.knowledge`, or a reference such as `help` or `help@3`.
///
/// # Errors
/// Those of the file, of the store and of the index.
pub(crate) fn load(context: &Context, text: &str) -> Result<LoadedKnowledge> {
    let bytes = match text.ends_with(EXTENSION) {
        true => Bytes::from(read_file(Path::new(text))?),
        false => {
            let reference: KnowledgeReference = text.parse()?;
            let store = context.knowledge()?;
            context.wait(async {
                let version = store.resolve(&reference).await?;
                store.index(&version).await
            })??
        }
    };
    of_bytes(text.to_owned(), bytes)
}

/// Loads the knowledge `name` of a registered version; `None` if it has none of this name.
///
/// # Errors
/// Those of the store and of the index.
pub(crate) fn of_version(
    context: &Context,
    registry: &Registry,
    version: &Version,
    name: &str,
) -> Result<Option<LoadedKnowledge>> {
    let path = knowledge_path(name);
    if version.manifest.file(&path).is_none() {
        return Ok(None);
    }
    let bytes = context.wait(registry.file(version, &path))??;
    of_bytes(version.reference(), bytes).map(Some)
}

fn of_bytes(shown: String, bytes: Bytes) -> Result<LoadedKnowledge> {
    let index = KnowledgeIndex::from_bytes(&bytes)?;
    let name = index.name().to_owned();
    check_name(&name)?;
    Ok(LoadedKnowledge { name, shown, bytes, index })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        Fault::usage("BOT-1004", format!("`{}` cannot be read", path.display()))
            .file(path)
            .caused_by(error)
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        let message = format!("the knowledge file has {size} bytes, more than {MOST_BYTES}");
        return Err(Fault::data("BOT-7202", message).file(path));
    }
    std::fs::read(path).map_err(unreadable)
}

/// Reads the question file at `path`.
///
/// # Errors
/// `BOT-1004` it cannot be read; `BOT-7260`.
pub(crate) fn questions(path: &Path, language: Option<&str>) -> Result<QuestionSet> {
    read_questions(&path.display().to_string(), &read_file(path)?, language)
}

/// Asks `knowledge` every question. Returns the report, the outcomes and the warnings.
///
/// # Errors
/// `BOT-7261` (exit 4) too few questions.
pub(crate) fn evaluate(
    knowledge: &LoadedKnowledge,
    set: &QuestionSet,
    mode: Mode,
) -> Result<(KnowledgeReport, Vec<QuestionOutcome>, Vec<Finding>)> {
    let mut answerer = IndexAnswerer::new(&knowledge.index, mode);
    let mut warnings = set.duplicates();
    warnings.extend(answerer.unknown_documents(set));
    let outcomes = ask_all(set, &mut answerer);
    let report = KnowledgeReport::of(answerer.subject(), set, &outcomes)?;
    Ok((report, outcomes, warnings))
}
