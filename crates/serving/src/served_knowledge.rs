//! The knowledge of a version in memory: the indexes that answer questions, read beside its model.
//!
//! Everything here is pure: the same version, question and filters give the same answer on every server.

use crate::speed::{Panicked, Speed};
use botops_dialogue::{DialogueSpec, Lookup};
use botops_findings::{Fault, Result};
use botops_http::Url;
use botops_knowledge::{
    Filters, Hit, KnowledgeIndex, Mode, Query, SearchScratch, Source,
    answer::{AnswerSpec, Answered, Candidate, extract},
};
use botops_models::IntentModel;
use botops_text::{display, shell_line};
use bytes::Bytes;
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The most knowledge bases of a server.
const MOST_BASES: usize = 64;
/// The number of chunks whose search costs as much as to classify one byte of text: 512 bytes run on the thread of a connection,
/// and 8,192 chunks are searched in well below a millisecond.
const CHUNKS_OF_A_BYTE: usize = 16;

thread_local! {
    static SCRATCH: RefCell<SearchScratch> = RefCell::new(SearchScratch::default());
}

/// A file of knowledge, as it was read.
#[derive(Debug, Clone)]
pub struct KnowledgeFile {
    /// Where it came from, for messages.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The knowledge of a version.
#[derive(Default)]
pub(super) struct ServedKnowledge {
    /// By name.
    bases: Vec<Arc<KnowledgeIndex>>,
    has_encoder: bool,
    n_chunks: usize,
}

/// A question to knowledge.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// The question, completed from its conversation.
    pub(super) text: &'a str,
    /// The documents that it may see.
    pub(super) filters: &'a Filters,
    /// The number of passages.
    pub(super) k: usize,
    /// How passages are ranked.
    pub(super) mode: Mode,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundPassage {
    /// Where it is, without a quote.
    pub(super) source: Source,
    /// The text.
    pub(super) text: String,
    /// The language of its document.
    pub(super) language: Option<String>,
}

/// An answer from knowledge.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KnowledgeAnswer {
    /// The base that answers.
    pub(super) base: String,
    /// The quote.
    pub(super) text: String,
    /// The language of its document.
    pub(super) language: Option<String>,
    /// The passages that say so, best first.
    pub(super) sources: Vec<Source>,
    /// The probability that the answer is right, in [0, 1].
    pub(super) confidence: f64,
    /// All passages that were found in the base, best first.
    pub(super) passages: Vec<FoundPassage>,
}

/// The outcome of a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LookedUp {
    /// A quote answers.
    Answered(Box<KnowledgeAnswer>),
    /// No base answers with enough confidence; that of the best quote.
    Abstained(f64),
}

impl ServedKnowledge {
    /// Reads the knowledge of `model`, and checks that it has every base that the dialogue names.
    ///
    /// An encoder with the digest of another one is kept once, also where it is that of the model.
    ///
    /// # Errors
    /// Those of a knowledge file; `BOT-6176` (exit 3) two files have one name, the dialogue names another base, or there are
    /// too many files.
    pub(super) fn read(files: &[KnowledgeFile], model: &IntentModel) -> Result<Self> {
        if files.len() > MOST_BASES {
            let message = format!("{} knowledge bases are more than {MOST_BASES}", files.len());
            return Err(Fault::data("BOT-6176", message)
                .hint("import the documents of several bases into one"));
        }
        let mut encoders = Vec::from_iter(model.encoder().cloned());
        let mut bases: Vec<Arc<KnowledgeIndex>> = Vec::with_capacity(files.len());
        for file in files {
            let mut index = KnowledgeIndex::from_bytes(&file.bytes)
                .map_err(|fault| in_file(&file.name, &fault))?;
            if let Some(own) = index.encoder().cloned() {
                match encoders.iter().find(|it| it.digest() == own.digest()) {
                    Some(shared) => index.adopt_encoder(Arc::clone(shared))?,
                    None => encoders.push(own),
                }
            }
            if bases.iter().any(|base| base.name() == index.name()) {
                let shown = display(index.name(), 60);
                let message = format!("two knowledge files have the name `{shown}`");
                return Err(Fault::data("BOT-6176", message).hint("serve one of them"));
            }
            bases.push(Arc::new(index));
        }
        bases.sort_by(|a, b| a.name().cmp(b.name()));
        let knowledge = Self {
            has_encoder: bases.iter().any(|base| base.encoder().is_some()),
            n_chunks: bases.iter().map(|base| base.n_chunks()).sum(),
            bases,
        };
        knowledge.check(model.dialogue())?;
        Ok(knowledge)
    }

    /// Checks that there is a base for every intent that names one.
    fn check(&self, dialogue: &DialogueSpec) -> Result<()> {
        let missing = dialogue.answered_from().find(|(_, base)| self.named(base).is_none());
        let Some((intent, base)) = missing else { return Ok(()) };
        let (intent, base) = (display(intent, 60), display(base, 60));
        let message = format!(
            "the intent `{intent}` is answered from `{base}`, which the version does not have"
        );
        let push = shell_line(["botops", "push", "MODEL", "--knowledge", &base]);
        Err(Fault::data("BOT-6176", message).hint(format!(
            "make a version with it: `{push}`, or change `answer_from` of the intent"
        )))
    }

    /// Returns whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.bases.is_empty()
    }

    /// Returns the base of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<KnowledgeIndex>> {
        self.bases.iter().find(|base| base.name() == name)
    }

    /// Returns the names of the bases, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(|base| base.name())
    }

    /// Returns how long one search takes: one with an encoder embeds the question.
    pub(super) fn speed(&self) -> Speed {
        if self.has_encoder { Speed::Slow } else { Speed::Fast }
    }

    /// Returns the cost of searching every base, in bytes that the classifier could read instead.
    pub(super) fn cost_in_bytes(&self) -> usize {
        self.n_chunks / CHUNKS_OF_A_BYTE
    }

    /// Returns the speed and the cost in bytes of searching every base for `text`.
    pub(super) fn cost(&self, text: &str) -> (Speed, usize) {
        (self.speed(), self.cost_in_bytes().max(text.len()))
    }

    /// Answers `question` from the bases of `lookup`: by the quote of the highest confidence, and by the first base of those
    /// with the same. `min_confidence` replaces the thresholds of the indexes.
    ///
    /// # Errors
    /// [`Panicked`], because of a bug. Only this request fails.
    pub(super) fn answer(
        &self,
        lookup: &Lookup,
        question: &Question<'_>,
        min_confidence: Option<f64>,
    ) -> std::result::Result<LookedUp, Panicked> {
        let asked = self.bases.iter().filter(|base| match lookup {
            Lookup::Any => true,
            Lookup::Base(name) => base.name() == name,
        });
        let mut best = LookedUp::Abstained(0.0);
        for base in asked {
            let found = guarded(|scratch| answer_from(base, question, min_confidence, scratch))?;
            if is_better(&found, &best) {
                best = found;
            }
        }
        Ok(best)
    }

    /// Returns the passages of `base` that fit `question` best.
    ///
    /// # Errors
    /// [`Panicked`], because of a bug.
    pub(super) fn search(
        &self,
        base: &Arc<KnowledgeIndex>,
        question: &Question<'_>,
    ) -> std::result::Result<Vec<FoundPassage>, Panicked> {
        guarded(|scratch| {
            let hits = hits(base, question, scratch);
            hits.iter().map(|hit| passage(base, hit)).collect()
        })
    }

    /// Makes every search take a turn, as one with an encoder does.
    #[cfg(test)]
    pub(super) fn slowed(self) -> Self {
        Self { has_encoder: true, ..self }
    }

    /// Returns every base.
    pub(super) fn bases(&self) -> &[Arc<KnowledgeIndex>] {
        &self.bases
    }
}

/// Runs `search` in memory that this thread reuses.
fn guarded<T>(search: impl FnOnce(&mut SearchScratch) -> T) -> std::result::Result<T, Panicked> {
    SCRATCH.with(|scratch| {
        let found = catch_unwind(AssertUnwindSafe(|| search(&mut scratch.borrow_mut())));
        found.map_err(|_| {
            // The next request must not read half-written memory.
            scratch.replace(SearchScratch::default());
            Panicked
        })
    })
}

fn is_better(found: &LookedUp, best: &LookedUp) -> bool {
    match (found, best) {
        (LookedUp::Answered(found), LookedUp::Answered(best)) => found.confidence > best.confidence,
        (LookedUp::Answered(_), LookedUp::Abstained(_)) => true,
        (LookedUp::Abstained(_), LookedUp::Answered(_)) => false,
        (LookedUp::Abstained(found), LookedUp::Abstained(best)) => found > best,
    }
}

fn hits(base: &KnowledgeIndex, question: &Question<'_>, scratch: &mut SearchScratch) -> Vec<Hit> {
    let &Question { text, filters, k, mode } = question;
    base.search(&Query { text, k, filters, mode, embedding: None }, scratch)
}

/// Returns whether a client may show `url` as a link. Imports keep no other addresses, but a file may come from elsewhere.
fn is_web_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn passage(base: &KnowledgeIndex, hit: &Hit) -> FoundPassage {
    let passage = base.passage(hit.chunk);
    FoundPassage {
        source: Source {
            title: passage.title.to_owned(),
            section: passage.section.to_owned(),
            url: passage.url.filter(|url| is_web_address(url)).map(str::to_owned),
            page: passage.page,
            chunk: passage.id.to_string(),
            score: hit.score,
            quote: String::new(),
        },
        text: passage.text.to_owned(),
        language: passage.language.map(str::to_owned),
    }
}

fn answer_from(
    base: &KnowledgeIndex,
    question: &Question<'_>,
    min_confidence: Option<f64>,
    scratch: &mut SearchScratch,
) -> LookedUp {
    let hits = hits(base, question, scratch);
    let passages: Vec<FoundPassage> = hits.iter().map(|hit| passage(base, hit)).collect();
    let candidates: Vec<Candidate<'_>> = passages
        .iter()
        .zip(&hits)
        .map(|(passage, hit)| Candidate {
            chunk: &passage.source.chunk,
            title: &passage.source.title,
            section: &passage.source.section,
            url: passage.source.url.as_deref(),
            page: passage.source.page,
            language: passage.language.as_deref(),
            text: &passage.text,
            score: hit.score,
            cosine: hit.dense,
        })
        .collect();
    let abstention = base.spec().abstention.unwrap_or_default();
    let spec = AnswerSpec { abstention: &abstention, min_confidence };
    match extract(question.text, &candidates, &spec) {
        Answered::Extract(extract) => {
            let first = extract.sources.first().map(|source| source.chunk.as_str());
            let of = passages.iter().find(|it| Some(it.source.chunk.as_str()) == first);
            let language = of.and_then(|passage| passage.language.clone());
            LookedUp::Answered(Box::new(KnowledgeAnswer {
                base: base.name().to_owned(),
                text: extract.quote,
                language,
                sources: extract.sources,
                confidence: extract.confidence,
                passages,
            }))
        }
        Answered::Abstained { confidence, .. } => LookedUp::Abstained(confidence),
    }
}

/// Returns `fault` with the name of the file.
fn in_file(name: &str, fault: &Fault) -> Fault {
    let message = format!("`{}`: {}", display(name, 80), fault.message());
    let outer = Fault::new(fault.kind(), fault.code(), message);
    fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint))
}
