//! The requests of the admin API about knowledge bases.

use super::{
    admin_request::Asked,
    admin_shared::Shared,
    canary::Mode,
    exchange::{Exchange, parse},
    job_service::JobService,
    knowledge_work::{KIND, KnowledgeOrder},
    problem::Problem,
    uploads::submit,
};
use crate::admin_jobs::{Accepted, JobRequest as RemovalRequest};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_jobs::{JobRequest, RequestKey};
use botops_knowledge::store::{KnowledgeReference, KnowledgeSelector, KnowledgeVersion};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A knowledge base.
#[derive(Serialize, ToSchema)]
pub(super) struct KnowledgeLine {
    /// Its name.
    name: String,
    /// The newest version, such as `help@3`.
    version: String,
    /// The digest of the version.
    digest: Digest,
    /// The time when it was made.
    at: DateTime<Utc>,
    /// The person or program that made it.
    actor: String,
    /// The number of its files.
    files: usize,
    /// The size of its files.
    size_bytes: u64,
}

/// The knowledge bases of the store.
#[derive(Serialize, ToSchema)]
pub(super) struct KnowledgeList {
    /// The knowledge bases.
    knowledge: Vec<KnowledgeLine>,
}

/// The newest version of a knowledge base, with its files.
#[derive(Serialize, ToSchema)]
pub(super) struct KnowledgeStatus {
    /// The version.
    #[serde(flatten)]
    line: KnowledgeLine,
    /// The digest of its index.
    index: Digest,
    /// Its files.
    documents: Vec<KnowledgeDocument>,
}

/// A file of a knowledge base.
#[derive(Serialize, ToSchema)]
pub(super) struct KnowledgeDocument {
    /// Its name.
    id: String,
    /// The digest of its bytes.
    digest: Digest,
    /// Its size.
    size_bytes: u64,
    /// The media type, by its content.
    media_type: String,
    /// The address that a source links to.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl KnowledgeLine {
    fn of(version: &KnowledgeVersion) -> Self {
        Self {
            name: version.name.clone(),
            version: version.reference(),
            digest: version.digest,
            at: version.at,
            actor: version.actor.clone(),
            files: version.manifest.files.len(),
            size_bytes: version.manifest.size_bytes(),
        }
    }
}

async fn newest(service: &JobService, name: &str) -> Result<KnowledgeVersion> {
    let selector = KnowledgeSelector::Latest;
    service.knowledge.resolve(&KnowledgeReference { name: name.to_owned(), selector }).await
}

/// Lists the knowledge bases.
pub(super) async fn knowledge_bases(State(admin): Shared) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let service = admin.jobs()?;
        let mut knowledge = Vec::new();
        for name in service.knowledge.names().await? {
            knowledge.push(KnowledgeLine::of(&newest(service, &name).await?));
        }
        Ok(exchange.reply(StatusCode::OK, &KnowledgeList { knowledge }))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Shows the newest version of a knowledge base.
pub(super) async fn knowledge_base(State(admin): Shared, Path(name): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let version = newest(admin.jobs()?, &name).await?;
        let documents = version.manifest.files.iter().map(|file| KnowledgeDocument {
            id: file.id.clone(),
            digest: file.digest,
            size_bytes: file.size_bytes,
            media_type: file.media_type.clone(),
            url: file.declared.url.clone(),
        });
        let status = KnowledgeStatus {
            line: KnowledgeLine::of(&version),
            index: version.manifest.index,
            documents: documents.collect(),
        };
        Ok(exchange.reply(StatusCode::OK, &status))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Removes a file of a knowledge base, by a job that makes a version without it.
pub(super) async fn remove_document(
    State(admin): Shared,
    Path((name, id)): Path<(String, String)>,
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking = asked.read()?;
        let request: RemovalRequest =
            if asking.body.is_empty() { RemovalRequest::default() } else { parse(&asking.body)? };
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let service = admin.jobs()?;
        let version = newest(service, &name).await?;
        if version.manifest.file(&id).is_none() {
            let shown = botops_text::display(&id, 120);
            let message = format!("`{}` has no file `{shown}`", version.reference());
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                Fault::usage("BOT-7417", message)
                    .hint(format!("list its files: `GET /admin/v1/knowledge/{name}`")),
            ));
        }
        if matches!(asking.mode, Mode::Dry) {
            return Ok(exchange.reply(StatusCode::OK, &Accepted::would(&[])));
        }
        let mut order = KnowledgeOrder::new(&requester.reason);
        order.remove = vec![id];
        let mut job = JobRequest::new(KIND, &*name, requester.by.label(), order.to_json());
        job.key = asking.mark.map(|mark| RequestKey { key: mark.key, body: mark.body });
        submit(&admin.app, &exchange, service, job).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}
