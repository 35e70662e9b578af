//! Knowledge bases stored by content: imported as versions, listed, compared, written back, verified.
//!
//! In: files with documents, and a [`botops_store::Store`]. Out: numbered versions, each with its documents as they were and
//! the index made of them.
//!
//! - an original file is a blob, and so is the index (`NAME.knowledge`)
//! - a version is a [`KnowledgeManifest`]: a blob in canonical JSON that lists the files, the settings and the index
//! - a knowledge base is one log, `knowledge/<name>/log`; appending the entry is the commit: the blobs are stored before it,
//!   so that a crash leaves only blobs without a reference. Entries hold digests and numbers, never names of documents
//! - a file that did not change is neither read nor embedded again

mod change;
mod comparing;
mod gathering;
mod importing;
mod indexer;
mod knowledge_indexer;
#[cfg(test)]
mod knowledge_indexer_tests;
mod log;
mod manifest;
mod planning;
mod reference;
mod searching;
#[cfg(test)]
mod tests;
mod verification;

pub use change::{
    Change, EncoderChoice, ImportAct, ImportMode, ImportRequest, Imported, PutFile, SettingsChange,
    Unreadable,
};
pub use comparing::{ChangedFile, KnowledgeDiff};
pub use gathering::Gathered;
pub use indexer::{
    IndexFile, IndexRequest, Indexer, OutlinedDocument, OutlinedPassage, RequestedEncoder,
};
pub use knowledge_indexer::KnowledgeIndexer;
pub use log::{KnowledgeAction, KnowledgeEvent, KnowledgeStore, KnowledgeVersion};
pub use manifest::{KnowledgeFile, KnowledgeManifest, KnowledgeSettings, UsedEncoder};
pub use reference::{KnowledgeReference, KnowledgeSelector, check_name};
pub use verification::KnowledgeVerification;
