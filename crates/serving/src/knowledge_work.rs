//! The work of the jobs that change a knowledge base: uploaded files are put into a new version, others are removed.
//!
//! A new version is not served. It is a candidate, as a model is: it is pushed with a model, judged by the gates, and rolled
//! out.

use crate::work::Work;
use async_trait::async_trait;
use botops_digest::Digest;
use botops_documents::{Declared, Limits, PdfReader};
use botops_findings::{Fault, Finding, Result};
use botops_jobs::Job;
use botops_knowledge::store::{
    Change, ImportAct, ImportMode, ImportRequest, KnowledgeStore, PutFile, SettingsChange,
    Unreadable,
};
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The kind of these jobs.
pub(super) const KIND: &str = "knowledge";
const SCHEMA: &str = "botops.knowledge-job/1";
/// The most findings of a result.
const FINDINGS: usize = 20;
/// The most files that a failure names.
const NAMED_FILES: usize = 10;

/// The order of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnowledgeOrder {
    /// `botops.knowledge-job/1`.
    schema: String,
    /// The reason that the author gave.
    pub(super) reason: String,
    /// The files to put, as blobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) put: Vec<UploadedFile>,
    /// The names of the files to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) remove: Vec<String>,
    /// The metadata of all files.
    #[serde(default)]
    pub(super) declared: Declared,
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadedFile {
    /// Its name in the knowledge base.
    pub(super) name: String,
    /// The digest of its bytes, which are a blob.
    pub(super) digest: Digest,
    /// Its size.
    pub(super) size_bytes: u64,
}

impl KnowledgeOrder {
    /// Makes an order.
    pub(super) fn new(reason: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            reason: reason.to_owned(),
            put: Vec::new(),
            remove: Vec::new(),
            declared: Declared::default(),
        }
    }

    /// Returns the order as JSON.
    pub(super) fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("an order can be written as JSON")
    }

    fn of(job: &Job) -> Result<Self> {
        let schema = job.order.get("schema").and_then(Value::as_str).unwrap_or_default();
        if schema != SCHEMA {
            let shown = botops_text::display(schema, 60);
            let message = format!("job `{}` has the format `{shown}`", job.id);
            return Err(Fault::policy("BOT-7415", message)
                .hint("update all servers of this store to the same version of botops"));
        }
        serde_json::from_value(job.order.clone()).map_err(|error| {
            Fault::data("BOT-7401", format!("the order of job `{}` cannot be read", job.id))
                .hint("submit the work again")
                .caused_by(error)
        })
    }
}

/// Names the files of an upload that cannot be read, which a job keeps in its message only, with hints for an upload.
fn of_upload(fault: Fault) -> Fault {
    if fault.code() != "BOT-7234" {
        return fault;
    }
    let unread = fault.findings();
    let mut files: Vec<String> = unread
        .iter()
        .take(NAMED_FILES)
        .map(|finding| {
            let named = finding.place.file.as_deref().map(|file| botops_text::display(file, 120));
            let message = match named.filter(|name| !finding.message.contains(name.as_str())) {
                Some(name) => format!("`{name}`: {}", finding.message),
                None => finding.message.clone(),
            };
            format!("{message} ({})", finding.code)
        })
        .collect();
    if unread.len() > NAMED_FILES {
        files.push(format!("and {} more", unread.len() - NAMED_FILES));
    }
    let message = format!("nothing was imported: {}", files.join("; "));
    let help = unread.first().map(|finding| finding.help.clone()).filter(|help| !help.is_empty());
    let fault = help.into_iter().fold(Fault::data("BOT-7234", message), Fault::hint);
    fault.hint("correct these files or leave them out, and send the upload again")
}

/// The work on the knowledge bases of a store.
pub(super) struct KnowledgeWork {
    /// The knowledge bases.
    pub(super) knowledge: KnowledgeStore,
    /// The reader of PDF files.
    pub(super) pdf: Arc<dyn PdfReader>,
    /// Returns the time.
    pub(super) now: fn() -> DateTime<Utc>,
}

#[async_trait]
impl Work for KnowledgeWork {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn run(&self, job: &Job) -> Result<Value> {
        let order = KnowledgeOrder::of(job)?;
        let mut changes: Vec<Change> = order.remove.into_iter().map(Change::Remove).collect();
        for file in order.put {
            let bytes = blob(self.knowledge.store(), &file).await?;
            let declared = order.declared.clone();
            changes.push(Change::Put(PutFile { id: file.name, bytes, declared }));
        }
        let request = ImportRequest {
            name: job.subject.clone(),
            changes,
            mode: ImportMode::Merge,
            settings: SettingsChange::default(),
            // Nothing is half imported: the failure names the file.
            unreadable: Unreadable::Stop,
            limits: Limits::default(),
            pdf: Arc::clone(&self.pdf),
            act: ImportAct { at: (self.now)(), actor: job.by.clone(), reason: order.reason },
            dry_run: false,
        };
        let imported = self.knowledge.import(&request).await.map_err(of_upload)?;
        let reference = imported.reference(&job.subject);
        let findings: Vec<&Finding> = imported.findings.iter().take(FINDINGS).collect();
        Ok(json!({
            "version": reference,
            "imported": imported,
            "findings": findings,
            "n_findings": imported.findings.len(),
            "next": format!("the servers answer as before; roll the documents out with `botops push MODEL --knowledge {reference}`"),
        }))
    }
}

/// Reads an uploaded file.
async fn blob(store: &Store, file: &UploadedFile) -> Result<bytes::Bytes> {
    store.blob(&file.digest).await.map_err(|fault| match fault.code() {
        "BOT-5130" | "BOT-5004" => {
            let name = botops_text::display(&file.name, 120);
            Fault::data("BOT-7416", format!("the uploaded file `{name}` is no longer stored"))
                .hint("upload it again")
        }
        _ => fault,
    })
}

/// The reader of a server that reads no PDF files.
pub(super) struct NoPdf;

impl PdfReader for NoPdf {
    fn pages(&self, _: &[u8]) -> Result<Vec<String>> {
        Err(Fault::usage("BOT-7414", "this server reads no PDF files")
            .hint("upload the text of the file, as Markdown or plain text"))
    }
}
