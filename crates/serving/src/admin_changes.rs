//! The requests of the admin API that change something.

use super::{
    admin_request::{Asked, Asking},
    admin_shared::{Admin, Shared, reply_as_before, reply_with_rollout, run_to_end},
    canary::{Canary, Mode, Requester, StartRequest as Start, Started, drill_plan},
    exchange::{Exchange, parse, unfit},
    pointer::Field,
    problem::Problem,
};
use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use botops_findings::{Fault, Result};
use botops_registry::check_reasoned;
use botops_rollout::{Command, RolloutSpec};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Schema, Type, schema::SchemaType},
};

/// The time that an answer waits for the record of an abort, which is in effect before.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);

/// Returns the schema of names in the audit trail, as [`botops_registry::check_author`] has them: no control characters.
fn actor() -> Schema {
    let types = SchemaType::Array(vec![Type::String, Type::Null]);
    author(types, r"^[^\u0000-\u001f\u007f-\u009f]*$")
        .description(Some("The person or job on whose behalf the request is made, for the audit trail; at most 256 bytes."))
        .into()
}

/// Returns the schema of reasons in the audit trail, which may have several lines.
fn reason() -> Schema {
    author(Type::String.into(), r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")
        .description(Some("The reason, for the audit trail; at most 4 KiB."))
        .into()
}

fn author(types: SchemaType, pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(types).pattern(Some(pattern))
}

/// The body of a request for a rollout.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartRequest {
    /// The version to promote, such as `support@3`.
    version: String,
    /// The rollout plan; without it, the default one.
    #[serde(default)]
    plan: Option<RolloutSpec>,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = reason)]
    reason: String,
    /// Whether a rollout that is under way is rolled back first.
    #[serde(default)]
    supersede: bool,
    /// Whether to start although the version adds or removes intents, or cannot answer some.
    #[serde(default)]
    accept_labels: bool,
    /// Whether to roll out the champion's own version, to prove that it can be rolled back. It takes no `plan`, and promotes
    /// nothing.
    #[serde(default)]
    drill: bool,
}

/// The body of a command.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandRequest {
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = reason)]
    reason: String,
}

/// The body of a rollback of a model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackRequest {
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[schema(schema_with = reason)]
    reason: String,
    /// The version to go back to; without it, the previous champion.
    #[serde(default)]
    version: Option<String>,
}

/// Starts a rollout, or joins one.
pub(super) async fn start(
    State(admin): Shared,
    Path(name): Path<String>,
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        admin.check_model(&name)?;
        let asking = asked.read()?;
        let mode = asking.mode;
        let request: StartRequest = parse(&asking.body)?;
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let StartRequest { version, plan, supersede, accept_labels, drill, .. } = request;
        let plan = match (plan, drill) {
            (Some(_), true) => {
                let message = "a drill takes no `plan`: the server makes it";
                return Err(unfit("BOT-6013", Field::Named("plan"), message));
            }
            (None, true) => drill_plan(),
            (plan, false) => plan.unwrap_or_default(),
        };
        let start = Start { version, plan, supersede, accept_labels, drill };
        reply_to_start((&exchange, &admin), start, requester, mode).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Starts a rollout, or joins one, and answers with it; a dry run answers with its first transition.
pub(super) async fn reply_to_start(
    (exchange, admin): (&Exchange<'_>, &Admin),
    start: Start,
    requester: Requester,
    mode: Mode,
) -> Result<Response, Problem> {
    let canary = admin.canary()?;
    let driver = Arc::clone(canary);
    let (transition, started) =
        run_to_end(async move { driver.start(&start, requester, mode).await }).await?;
    if matches!(mode, Mode::Dry) {
        return Ok(exchange.reply(StatusCode::OK, &transition));
    }
    let status = match started {
        Started::New | Started::Repeated => StatusCode::CREATED,
        Started::Joined => StatusCode::OK,
    };
    let id = transition.next.id.clone();
    let mut response = match started {
        Started::Repeated => reply_as_before(exchange, canary, transition.next, status),
        _ => reply_with_rollout(exchange, canary, &id, status).await?,
    };
    let location = HeaderValue::from_str(&format!("/admin/v1/rollouts/{id}"))
        .expect("the id of a rollout is ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Answers a command that is in effect: with 202 while the deployment log does not record it.
async fn reply_to_command(
    exchange: &Exchange<'_>,
    canary: &Canary,
    id: &str,
) -> Result<Response, Problem> {
    let durable = canary.read(id, |view, _| view.durable)?;
    let status = if durable { StatusCode::OK } else { StatusCode::ACCEPTED };
    reply_with_rollout(exchange, canary, id, status).await
}

/// The body of a weight.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightRequest {
    /// The share of the challenger in percent, above 0 and at most that of the step.
    #[schema(exclusive_minimum = 0, maximum = 100)]
    percent: f64,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
    /// The reason, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = reason)]
    reason: String,
}

/// Gives the rollout `id` the command `word`.
pub(super) async fn command(
    State(admin): Shared,
    (id, word): (String, String),
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking = asked.read()?;
        let request: CommandRequest =
            if asking.body.is_empty() { CommandRequest::default() } else { parse(&asking.body)? };
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let command = command_of(&word, &requester)?;
        carry_out((&exchange, admin.canary()?), &id, command, requester, &asking).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Returns the command that a word of a path names.
fn command_of(word: &str, requester: &Requester) -> Result<Command> {
    let (by, comment) = (requester.by.name.clone(), requester.reason.clone());
    Ok(match word {
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "advance" => Command::Advance,
        "promote" => Command::Promote,
        "approve" => Command::Approve { by, comment },
        "reject" => Command::Reject { by, comment },
        "rollback" => Command::Abort {
            reason: if comment.is_empty() {
                format!("asked for by `{}`", requester.by.label())
            } else {
                format!("asked for by `{}`: {comment}", requester.by.label())
            },
        },
        other => {
            let message = format!("`{}` is not a rollout command", botops_text::display(other, 80));
            return Err(Fault::usage("BOT-6016", message).hint("the commands are `pause`, `resume`, `advance`, `promote`, `approve`, `reject` and `rollback`"));
        }
    })
}

/// Carries a command out, and answers with the rollout; a dry run answers with the transition.
async fn carry_out(
    (exchange, canary): (&Exchange<'_>, &Arc<Canary>),
    id: &str,
    command: Command,
    requester: Requester,
    asking: &Asking,
) -> Result<Response, Problem> {
    let if_match = asking.if_match;
    if matches!(asking.mode, Mode::Dry) {
        let transition = canary.preview(id, &command, &requester, if_match).await?;
        return Ok(exchange.reply(StatusCode::OK, &transition));
    }
    let (driver, rollout) = (Arc::clone(canary), id.to_owned());
    let before = if let Command::Abort { reason } = command {
        let work =
            run_to_end(async move { driver.abort(&rollout, reason, requester, if_match).await });
        // An abort is in effect before it is recorded, and the store may hang.
        tokio::time::timeout(RECORDED_WITHIN, work).await.unwrap_or(Ok(None))?
    } else {
        run_to_end(async move { driver.command(&rollout, &command, &requester, if_match).await })
            .await?
    };
    if let Some(before) = before {
        return Ok(reply_as_before(exchange, canary, before, StatusCode::OK));
    }
    reply_to_command(exchange, canary, id).await
}

/// Gives the challenger another share.
pub(super) async fn weight(State(admin): Shared, Path(id): Path<String>, asked: Asked) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking = asked.read()?;
        let request: WeightRequest = parse(&asking.body)?;
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let command = Command::SetWeight { percent: request.percent };
        carry_out((&exchange, admin.canary()?), &id, command, requester, &asking).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// The body of an approval.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalRequest {
    /// The decision on the promotion.
    decision: ApprovalDecision,
    /// The comment, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = reason)]
    comment: String,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
}

/// The decision on a promotion.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ApprovalDecision {
    /// Approve it.
    Approve,
    /// Reject it, and roll back.
    Reject,
}

/// Approves or rejects a promotion: the commands `approve` and `reject`, with the decision in the body.
pub(super) async fn approvals(
    State(admin): Shared,
    Path(id): Path<String>,
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking = asked.read()?;
        let request: ApprovalRequest = parse(&asking.body)?;
        let requester = asking.requester(request.actor.as_deref(), &request.comment)?;
        let word = match request.decision {
            ApprovalDecision::Approve => "approve",
            ApprovalDecision::Reject => "reject",
        };
        let command = command_of(word, &requester)?;
        carry_out((&exchange, admin.canary()?), &id, command, requester, &asking).await
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// The body of a freeze.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FreezeRequest {
    /// The end of the freeze; without it, until somebody ends it.
    #[serde(default)]
    until: Option<DateTime<Utc>>,
    /// The reason, for the audit trail.
    #[schema(schema_with = reason)]
    reason: String,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
}

/// The body of the end of a freeze.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnfreezeRequest {
    /// The reason, for the audit trail.
    #[schema(schema_with = reason)]
    reason: String,
    /// The person or job on whose behalf the request is made, for the audit trail.
    #[serde(default)]
    #[schema(schema_with = actor)]
    actor: Option<String>,
}

/// The freeze of the environment after a request.
#[derive(Serialize, ToSchema)]
pub(super) struct FreezeStatus {
    /// Whether the environment is frozen.
    frozen: bool,
    /// The end of the freeze, if it has one.
    until: Option<DateTime<Utc>>,
}

/// Freezes the environment.
pub(super) async fn freeze(admin: Shared, asked: Asked) -> Response {
    change_freeze(admin, asked, true).await
}

/// Ends the freeze of the environment.
pub(super) async fn unfreeze(admin: Shared, asked: Asked) -> Response {
    change_freeze(admin, asked, false).await
}

/// Freezes the environment, or ends its freeze.
async fn change_freeze(State(admin): Shared, asked: Asked, frozen: bool) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking = asked.read()?;
        let mode = asking.mode;
        let request: FreezeRequest = match frozen {
            true => parse(&asking.body)?,
            false => {
                let UnfreezeRequest { reason, actor } = parse(&asking.body)?;
                FreezeRequest { until: None, reason, actor }
            }
        };
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let subject = if frozen { "a freeze" } else { "the end of a freeze" };
        check_reasoned(subject, &requester.by.label(), &requester.reason)?;
        let driver = Arc::clone(admin.canary()?);
        let until = request.until;
        run_to_end(async move { driver.freeze((frozen, until), requester, mode).await }).await?;
        let frozen = frozen && matches!(mode, Mode::Real);
        Ok(exchange.reply(StatusCode::OK, &FreezeStatus { frozen, until }))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Rolls the model back.
pub(super) async fn roll_back(
    State(admin): Shared,
    Path(name): Path<String>,
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        admin.check_model(&name)?;
        let asking = asked.read()?;
        let mode = asking.mode;
        let request: RollbackRequest = parse(&asking.body)?;
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        check_reasoned("a rollback", &requester.by.label(), &requester.reason)?;
        let driver = Arc::clone(admin.canary()?);
        let restored = run_to_end(async move {
            driver.roll_back_model(request.version.as_deref(), &requester, mode).await
        })
        .await?;
        let status = if restored.durable { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(exchange.reply(status, &restored))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}
