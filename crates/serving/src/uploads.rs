//! `POST /admin/v1/knowledge/{name}/documents`: files become blobs and a job.
//!
//! The body is read as it comes, and refused as soon as it is over a limit: memory holds one file. Files are stored as data,
//! named by their digests, and never sent to a browser; the index keeps only their text. The kind of a file is that of its
//! content.

use super::{
    admin_jobs::Accepted,
    admin_request::{Options, Requesting, idempotency_key, read_mode},
    admin_shared::{Admin, Shared},
    app::App,
    authorization::Caller,
    canary::{Mode, request_key},
    exchange::Exchange,
    knowledge_work::{KIND, KnowledgeOrder, UploadedFile},
    problem::Problem,
    upload_settings::UploadSettings,
};
use axum::{
    Extension,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use botops_access::Identity;
use botops_digest::Digest;
use botops_documents::{Declared, DocumentFormat};
use botops_findings::{Fault, Result};
use botops_jobs::{JobRequest, RequestKey};
use botops_knowledge::store::check_name;
use botops_store::Store;
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The largest part without a file name, in bytes.
const MAX_FIELD_BYTES: u64 = 4 << 10;
/// The longest name of a file, in bytes.
const MAX_NAME_BYTES: usize = 400;
/// The bytes that the boundaries and the headers of a part may add.
const PART_OVERHEAD: u64 = 1 << 10;
/// The time after which a client may try again while other uploads run.
const PAUSE: Duration = Duration::from_secs(5);

/// The parts of an upload.
#[derive(Default)]
struct Parts {
    actor: Option<String>,
    reason: String,
    declared: Declared,
    files: Vec<UploadedFile>,
}

/// Takes an upload.
pub(super) async fn upload(
    State(admin): Shared,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let by = caller.who.identity;
    match take(&admin, &exchange, &name, by, request).await {
        Ok(response) => response,
        Err(problem) => exchange.refuse(problem, None),
    }
}

async fn take(
    admin: &Arc<Admin>,
    exchange: &Exchange<'_>,
    name: &str,
    by: Identity,
    request: Request,
) -> Result<Response, Problem> {
    let service = admin.jobs()?;
    check_name(name)?;
    let mode = read_mode(Query::<Options>::try_from_uri(request.uri()))?;
    let key = idempotency_key(request.headers())?.map(|key| request_key(&by, key));
    let settings = &service.uploads;
    check_length(request.headers(), settings)?;
    let boundary = boundary(request.headers())?;
    let Ok(_place) = service.uploading.try_acquire() else {
        let fault = Fault::unreachable("BOT-6110", "the server takes other uploads in")
            .hint("try again in a moment");
        return Err(Problem::from(fault).retry_after(PAUSE));
    };
    let path = request.uri().path().to_owned();
    let store = matches!(mode, Mode::Real).then_some(&service.store);
    let reading = read_parts(request, boundary, settings, store);
    let parts = tokio::time::timeout(settings.patience, reading).await.map_err(|_| {
        Fault::usage("BOT-7410", "the upload took too long")
            .hint("send fewer files at a time, over a faster connection")
    })??;
    let requester = Requesting { by: &by, actor: parts.actor.as_deref() }.checked(&parts.reason)?;
    let mut order = KnowledgeOrder::new(&requester.reason);
    (order.put, order.declared) = (parts.files, parts.declared);
    let mut job = JobRequest::new(KIND, name, requester.by.label(), order.to_json());
    job.key =
        key.map(|key| RequestKey { key, body: Digest::of_json(&("POST", &path, &job.order)) });
    if matches!(mode, Mode::Dry) {
        return Ok(exchange.reply(StatusCode::OK, &Accepted::would(&order.put)));
    }
    submit(&admin.app, exchange, service, job).await
}

/// Submits a job, and answers with it.
///
/// # Errors
/// Those of [`botops_jobs::Jobs::submit`].
pub(super) async fn submit(
    app: &App,
    exchange: &Exchange<'_>,
    service: &super::job_service::JobService,
    job: JobRequest,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let submitted = service.jobs.submit(job, now).await?;
    let job = submitted.job;
    if submitted.is_new {
        let message = format!("job {} for knowledge `{}` by {}", job.id, job.subject, job.by);
        app.log.event(now, "info", "job", message);
        service.wake();
    }
    let location = format!("/admin/v1/jobs/{}", job.id);
    let mut response = exchange.reply(StatusCode::ACCEPTED, &Accepted::of(job));
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Refuses an upload that is too large by its own account, before any of it is read.
fn check_length(headers: &HeaderMap, settings: &UploadSettings) -> Result<()> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    let length: Option<u64> = length.and_then(|it| it.parse().ok());
    match length {
        Some(length) if length > most(settings) => Err(too_large(settings)),
        _ => Ok(()),
    }
}

/// Returns the most bytes of the body of an upload.
fn most(settings: &UploadSettings) -> u64 {
    settings.total_bytes + (settings.files as u64 + 16) * PART_OVERHEAD
}

fn boundary(headers: &HeaderMap) -> Result<String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let boundary = kind.and_then(|kind| multer::parse_boundary(kind).ok());
    boundary
        .ok_or_else(|| malformed("the `Content-Type` is not `multipart/form-data` with a boundary"))
}

/// Reads the parts, and stores their files in `store`; `None` stores nothing.
async fn read_parts(
    request: Request,
    boundary: String,
    settings: &UploadSettings,
    store: Option<&Store>,
) -> Result<Parts> {
    let limit = SizeLimit::new().whole_stream(most(settings)).per_field(settings.file_bytes);
    let body = request.into_body().into_data_stream();
    let constraints = Constraints::new().size_limit(limit);
    let mut multipart = Multipart::with_constraints(body, boundary, constraints);
    let (mut parts, mut names, mut total) = (Parts::default(), BTreeSet::new(), 0_u64);
    let unread = |error: multer::Error| fault_of(&error, settings);
    while let Some(field) = multipart.next_field().await.map_err(unread)? {
        let Some(file) = field.file_name().map(str::to_owned) else {
            read_field(field, &mut parts, settings).await?;
            continue;
        };
        if parts.files.len() == settings.files {
            return Err(too_large(settings));
        }
        check_file_name(&file)?;
        if !names.insert(file.clone()) {
            return Err(unfit(format!("two files have the name `{}`", shown(&file))));
        }
        let bytes = field.bytes().await.map_err(unread)?;
        total += bytes.len() as u64;
        if total > settings.total_bytes {
            return Err(too_large(settings));
        }
        if bytes.is_empty() {
            return Err(unfit(format!("`{}` is empty", shown(&file))));
        }
        if DocumentFormat::of(&file, &bytes).is_none() {
            let message =
                format!("`{}` is a binary file of a format that is not read", shown(&file));
            return Err(Fault::usage("BOT-7414", message).hint(
                "upload Markdown, HTML, plain text, PDF, DOCX, or CSV or JSON Lines with questions and answers",
            ));
        }
        let size_bytes = bytes.len() as u64;
        let digest = match store {
            Some(store) => store.put_blob(bytes).await?,
            None => Digest::of(&bytes),
        };
        parts.files.push(UploadedFile { name: file, digest, size_bytes });
    }
    if parts.files.is_empty() {
        return Err(unfit("the upload has no file: each is a part with a file name".to_owned()));
    }
    if parts.declared.url.is_some() && parts.files.len() > 1 {
        return Err(unfit(
            "`url` is the address of one file, and the upload has several".to_owned(),
        ));
    }
    Ok(parts)
}

/// Reads a part that is not a file: metadata of all files, or the author.
async fn read_field(
    mut field: Field<'_>,
    parts: &mut Parts,
    settings: &UploadSettings,
) -> Result<()> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| fault_of(&error, settings))? {
        if (bytes.len() + chunk.len()) as u64 > MAX_FIELD_BYTES {
            let message =
                format!("the part `{}` has more than {MAX_FIELD_BYTES} bytes", shown(&name));
            return Err(unfit(message));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| unfit(format!("the part `{}` is not UTF-8", shown(&name))))?;
    match name.as_str() {
        "actor" => parts.actor = Some(text),
        "reason" => parts.reason = text,
        "language" => parts.declared.language = Some(text),
        "url" => parts.declared.url = Some(text),
        "access" => {
            parts.declared.access.insert(text);
        }
        _ => {
            return Err(unfit(format!(
                "the part `{}` has no file name, and is not `actor`, `reason`, `language`, `url` or `access`",
                shown(&name)
            )));
        }
    }
    Ok(())
}

/// Checks that a name is a relative path that leads nowhere else.
fn check_file_name(name: &str) -> Result<()> {
    let is_fit = (1..=MAX_NAME_BYTES).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || c == '\\')
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    match is_fit {
        true => Ok(()),
        false => Err(unfit(format!("`{}` cannot be the name of a document", shown(name)))),
    }
}

fn shown(text: &str) -> String {
    botops_text::display(text, 120)
}

fn malformed(problem: &str) -> Fault {
    Fault::usage("BOT-7410", format!("the upload cannot be read: {problem}")).hint(
        "send each file as a part of `multipart/form-data`, as `curl -F file=@handbook.pdf` does",
    )
}

fn unfit(problem: String) -> Fault {
    Fault::usage("BOT-7412", problem)
        .hint("give each file a relative name of its own, such as `returns/policy.md`")
}

fn too_large(settings: &UploadSettings) -> Fault {
    let UploadSettings { file_bytes, total_bytes, files, .. } = settings;
    let message = format!(
        "the upload is too large: at most {files} files of {file_bytes} bytes, and {total_bytes} bytes together"
    );
    Fault::usage("BOT-7411", message)
        .hint("send it in parts, or run `botops knowledge import DIR --into NAME --merge` beside the store")
}

/// Returns the fault of a body that cannot be read. It repeats nothing of the body.
fn fault_of(error: &multer::Error, settings: &UploadSettings) -> Fault {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
            too_large(settings)
        }
        multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders
        | multer::Error::StreamReadFailed(_) => malformed("it ends too early"),
        _ => malformed("it is not well-formed `multipart/form-data`"),
    }
}
