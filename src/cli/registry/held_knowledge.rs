//! The knowledge bases of versions: their documents, passages and languages, and the changes between two versions.

use crate::cli::{
    session::{context::Context, knowledge_source},
    terminal::tables,
};
use botops_digest::Digest;
use botops_knowledge::DocumentEntry;
use botops_registry::{Registry, Version};
use botops_text as text;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most documents that a line of a difference names; the others are counted.
const MOST_NAMED: usize = 10;

/// A knowledge base of a version.
#[derive(Debug, Serialize)]
pub(super) struct HeldKnowledge {
    pub(super) name: String,
    /// The digest of its file.
    digest: Digest,
    /// The size of its file.
    size_bytes: u64,
    /// Its numbers; `None` if the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    /// Why the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip)]
    documents: Vec<DocumentEntry>,
}

/// The numbers of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Counts {
    documents: u64,
    passages: u64,
    /// The languages of its documents, as far as they are known.
    languages: Vec<String>,
    /// Whether it has vectors of an encoder.
    encoder: bool,
}

/// Reads the knowledge of `version`. A file that cannot be read, such as an erased one, is described by the reason.
pub(super) fn of_version(
    context: &Context,
    registry: &Registry,
    version: &Version,
) -> Vec<HeldKnowledge> {
    let held = version.knowledge().into_iter().map(|(name, digest)| {
        let file = version.manifest.file(&botops_registry::knowledge_path(&name));
        let size_bytes = file.map_or(0, |file| file.size_bytes);
        let none = HeldKnowledge {
            digest,
            size_bytes,
            counts: None,
            problem: None,
            documents: Vec::new(),
            name: name.clone(),
        };
        match knowledge_source::of_version(context, registry, version, &name) {
            Ok(Some(loaded)) => {
                let index = &loaded.index;
                let counts = Counts {
                    documents: index.n_documents() as u64,
                    passages: index.n_chunks() as u64,
                    languages: index.languages().into_iter().map(str::to_owned).collect(),
                    encoder: index.encoder().is_some(),
                };
                let documents = index.documents().to_vec();
                HeldKnowledge { counts: Some(counts), documents, ..none }
            }
            Ok(None) => none,
            Err(fault) => {
                let problem = format!("{} [{}]", fault.message(), fault.code());
                HeldKnowledge { problem: Some(problem), ..none }
            }
        }
    });
    held.collect()
}

impl HeldKnowledge {
    /// Renders the knowledge as a line of `registry show`.
    pub(super) fn line(&self) -> String {
        let about = match (&self.counts, &self.problem) {
            (Some(counts), _) => counts.text(),
            (None, problem) => {
                let problem = problem.as_deref().unwrap_or("it is not in the store");
                format!("not readable: {}", text::display(problem, 200))
            }
        };
        format!("knowledge {} ({}): {about}\n", text::display(&self.name, 64), self.digest.short())
    }
}

impl Counts {
    fn text(&self) -> String {
        let languages = match self.languages.is_empty() {
            true => "language unknown".to_owned(),
            false => format!("language {}", self.languages.join(", ")),
        };
        let ranked = if self.encoder { "words and vectors" } else { "words" };
        format!(
            "{}, {}, {languages}, ranked by {ranked}",
            tables::counted(self.documents, "document", "documents"),
            tables::counted(self.passages, "passage", "passages"),
        )
    }
}

/// The change of a knowledge base between two versions.
#[derive(Debug, Serialize)]
pub(super) struct KnowledgeChange {
    name: String,
    /// The numbers in both versions; `None` where a version has none of this name, or its file cannot be read.
    counts: [Option<Counts>; 2],
    /// Documents that only the second version has.
    added: Vec<String>,
    /// Documents of both versions whose file or declared metadata differ.
    changed: Vec<String>,
    /// Documents that only the first version has.
    removed: Vec<String>,
    unchanged: u64,
}

/// Compares the knowledge of two versions, by name. Bases with the same file are left out.
pub(super) fn changes(a: Vec<HeldKnowledge>, b: Vec<HeldKnowledge>) -> Vec<KnowledgeChange> {
    let by_name = |held: Vec<HeldKnowledge>| -> BTreeMap<String, HeldKnowledge> {
        held.into_iter().map(|it| (it.name.clone(), it)).collect()
    };
    let [mut a, mut b] = [by_name(a), by_name(b)];
    let names: BTreeSet<String> = a.keys().chain(b.keys()).cloned().collect();
    let pairs = names.into_iter().map(|name| (a.remove(&name), b.remove(&name), name));
    let differ =
        pairs.filter(|(a, b, _)| a.as_ref().map(|it| it.digest) != b.as_ref().map(|it| it.digest));
    differ.map(|(a, b, name)| change(name, [a, b])).collect()
}

fn change(name: String, sides: [Option<HeldKnowledge>; 2]) -> KnowledgeChange {
    let counts = [0, 1].map(|side| sides[side].as_ref().and_then(|it| it.counts.clone()));
    let sources = |side: &Option<HeldKnowledge>| -> BTreeMap<String, Digest> {
        let documents = side.iter().flat_map(|it| &it.documents);
        documents.map(|document| (document.id.clone(), document.source)).collect()
    };
    let [old, new] = [sources(&sides[0]), sources(&sides[1])];
    let only = |one: &BTreeMap<String, Digest>, other: &BTreeMap<String, Digest>| {
        one.keys().filter(|id| !other.contains_key(*id)).cloned().collect::<Vec<_>>()
    };
    let is_changed =
        |(id, source): &(&String, &Digest)| old.get(*id).is_some_and(|before| before != *source);
    let changed: Vec<String> = new.iter().filter(is_changed).map(|(id, _)| id.clone()).collect();
    let added = only(&new, &old);
    let unchanged = (new.len() - added.len() - changed.len()) as u64;
    KnowledgeChange { name, counts, removed: only(&old, &new), added, changed, unchanged }
}

impl KnowledgeChange {
    /// Renders the change as a block of `registry diff`.
    pub(super) fn text(&self) -> String {
        let side = |counts: &Option<Counts>| {
            counts.as_ref().map_or_else(|| "none".to_owned(), Counts::text)
        };
        let mut out = format!(
            "\nknowledge {}: {} added, {} changed, {} removed, {} unchanged\n  {}\n  -> {}\n",
            text::display(&self.name, 64),
            self.added.len(),
            self.changed.len(),
            self.removed.len(),
            self.unchanged,
            side(&self.counts[0]),
            side(&self.counts[1]),
        );
        let all = [('-', &self.removed), ('+', &self.added), ('~', &self.changed)];
        for (sign, documents) in all {
            for id in documents.iter().take(MOST_NAMED) {
                out.push_str(&format!("  {sign} {}\n", text::display(id, 200)));
            }
            if let Some(more) = documents.len().checked_sub(MOST_NAMED).filter(|n| *n > 0) {
                out.push_str(&format!("  {sign} and {more} more\n"));
            }
        }
        out
    }
}
