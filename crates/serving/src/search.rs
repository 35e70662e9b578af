//! `POST /v1/search`: the passages of documents that fit a question.

use crate::{
    app::App,
    attempt::{Attempt, Refusal},
    exchange::{Exchange, Text, check_conversation, parse_within, read_body, unfit},
    knowledge_filter::{KnowledgeUse, MetadataFilter},
    pointer::Field,
    problem::{Problem, internal},
    request_id::RequestId,
    served_knowledge::{FoundPassage, Question},
};
use axum::{
    Extension,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::Response,
};
use botops_access::PublicCaller;
use botops_findings::Fault;
use botops_knowledge::{Filters, Mode, Source};
use botops_text::display;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The passages of an answer unless the request says otherwise, and the most of them.
const DEFAULT_K: usize = 5;
const MOST_K: usize = 50;

#[derive(Deserialize, ToSchema)]
#[schema(as = SearchRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<'a> {
    /// The question.
    #[serde(borrow)]
    query: Text<'a>,
    /// The knowledge base; every one of the version without it.
    #[serde(borrow, default)]
    knowledge: Option<Text<'a>>,
    /// The most passages, from 1 to 50; 5 by default.
    #[serde(default)]
    k: Option<usize>,
    /// The scores that passages are ranked by; `hybrid` by default, which is `lexical` in a base without vectors.
    #[serde(default)]
    mode: Option<Ranking>,
    /// The metadata that a document must have, by key: a value, or a list of which it must have one. `language` and `document`
    /// are keys, too. At most 16 keys.
    #[serde(default)]
    metadata: Option<MetadataFilter>,
    /// The conversation: it decides the arm of a rollout.
    #[serde(borrow, default)]
    conversation_id: Option<Text<'a>>,
}

/// The scores that passages are ranked by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Ranking {
    /// Words.
    Lexical,
    /// The cosine of embeddings.
    Dense,
    /// Both.
    Hybrid,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SearchAnswer)]
pub(super) struct Answer<'a> {
    /// The id of this request.
    request_id: RequestId,
    /// The version that answered, such as `support@3`; only for callers with the scope `read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// The passages, best first in each knowledge base.
    passages: Vec<Passage>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SearchPassage)]
pub(super) struct Passage {
    /// The knowledge base.
    knowledge: String,
    /// Its place; `quote` is the text of the passage.
    #[serde(flatten)]
    source: Source,
    /// The language of the document.
    language: Option<String>,
}

/// Answers `POST /v1/search`.
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let exchange = Exchange::with(&app, "search", &caller);
    let answered = async {
        let body = read_body(body, app.sizes.body("search"))?;
        answer(&exchange, &body).await
    };
    match answered.await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}

async fn answer(exchange: &Exchange<'_>, body: &[u8]) -> Result<Response, Refusal> {
    let sizes = &exchange.app.sizes;
    let request: Request<'_> = parse_within(body, sizes.depth)?;
    let query = Field::Named("query");
    sizes.check_text(&request.query.0, query)?;
    let conversation = request.conversation_id.as_ref().map(|id| &*id.0);
    check_conversation(conversation)?;
    let k = request.k.unwrap_or(DEFAULT_K);
    if !(1..=MOST_K).contains(&k) {
        let message = format!("`k` must be from 1 to {MOST_K}");
        return Err(unfit("BOT-6013", Field::Named("k"), message).into());
    }
    let uses = KnowledgeUse::of(None, request.metadata.as_ref())?;
    let filters = Filters {
        metadata: uses.metadata().clone(),
        access: exchange.app.answers.access_of(exchange.caller),
    };
    let mode = match request.mode {
        Some(Ranking::Lexical) => Mode::Lexical,
        Some(Ranking::Dense) => Mode::Dense,
        None | Some(Ranking::Hybrid) => Mode::Hybrid,
    };
    let routing = exchange.routing()?;
    let attempt = Attempt::new(exchange, &routing, conversation);
    let served = attempt.choice.served;
    let base = request.knowledge.as_ref().map(|name| &*name.0);
    let bases = match base {
        None => served.knowledge.bases(),
        Some(name) => served.knowledge.named(name).map(std::slice::from_ref).unwrap_or_default(),
    };
    if bases.is_empty() {
        return Err(absent(base, served.knowledge.names()).into());
    }
    let question = Question { text: &request.query.0, filters: &filters, k, mode };
    let work = || {
        sizes.check_normal_forms("search", &[question.text], query, |_| query)?;
        let mut passages = Vec::new();
        for base in bases {
            let found = served.knowledge.search(base, &question);
            let found = found.map_err(|_| Problem::from(internal()))?;
            passages.extend(found.into_iter().map(|passage| shown(base.name(), passage)));
        }
        Ok::<_, Problem>(passages)
    };
    let cost = question.text.len() + served.knowledge.cost_in_bytes();
    let passages = exchange.take_turn(served.knowledge.speed(), cost, work).await??;
    exchange.app.metrics.knowledge.searched.inc();
    let answer =
        Answer { request_id: exchange.id, model: exchange.shown(&*served.reference), passages };
    Ok(exchange.reply(StatusCode::OK, &answer))
}

fn shown(knowledge: &str, passage: FoundPassage) -> Passage {
    let FoundPassage { source, text, language } = passage;
    Passage { knowledge: knowledge.to_owned(), source: Source { quote: text, ..source }, language }
}

/// The problem of a version without the knowledge that the request names.
fn absent<'a>(base: Option<&str>, mut names: impl Iterator<Item = &'a str>) -> Problem {
    let message = match base {
        Some(name) => format!("there is no knowledge `{}`", display(name, 60)),
        None => "the version that answers has no knowledge".to_owned(),
    };
    let known = names.next().map(|first| format!("leave `knowledge` out, or write `{first}`"));
    let push = "push a version with it: `botops push MODEL --knowledge NAME --questions FILE`";
    let hint = known.unwrap_or_else(|| push.to_owned());
    Problem::new(StatusCode::NOT_FOUND, Fault::usage("BOT-6177", message).hint(hint))
}
