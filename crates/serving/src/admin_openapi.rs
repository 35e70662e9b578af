//! The admin API as an OpenAPI 3.1 document: what each endpoint of [`ENDPOINTS`] takes and answers.

use crate::{
    Disagreements, Reloaded, RolloutStatus,
    admin_answers::{ModelStatus, Tested},
    admin_changes::{
        ApprovalRequest, CommandRequest, FreezeRequest, FreezeStatus, RollbackRequest,
        StartRequest, UnfreezeRequest, WeightRequest,
    },
    admin_follow::AuditPage,
    admin_jobs::{Accepted, JobList, JobRequest},
    admin_knowledge::{KnowledgeList, KnowledgeStatus},
    admin_plan::{PlanAnswer, PlanRequest},
    admin_reload::ReloadRequest,
    admin_shadow::ShadowRequest,
    authorization::{Call, ENDPOINTS},
    canary::Restored,
    job_command::JobCommand,
    log_event::LogEvent,
    openapi::{
        self, Api, Described, Operation, Schemas, document, either, header, json, number,
        parameter, problem_content, text,
    },
};
use axum::http::StatusCode;
use botops_jobs::Job;
use botops_rollout::{Decision, Transition};
use serde_json::{Value, json};
use std::sync::LazyLock;
use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, RefOr, Required, Schema, Type,
    path::{Parameter, ParameterIn},
};

/// The pattern of ids of rollouts in a path.
const ID: &str = "^(latest|[0-9A-HJKMNP-TV-Z]{26})$";

/// The document as JSON, built once.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut schemas = Schemas::default();
    let operations = ENDPOINTS
        .iter()
        .map(|endpoint| Operation {
            method: endpoint.method.clone(),
            path: endpoint.path,
            any_of: endpoint.any_of.iter().map(|scope| scope.name().to_owned()).collect(),
            described: described(endpoint.call, &mut schemas),
        })
        .collect();
    let api = Api {
        title: "botops admin API",
        description: DESCRIPTION.to_owned(),
        bearer: "The shared token, a key of `botops keys`, or a token of an OIDC issuer that the server trusts. On the Unix \
                 socket it may be left out: the kernel names the user.",
    };
    let document = document(&api, operations, schemas);
    serde_json::to_string_pretty(&document).expect("a document can be written as JSON") + "\n"
});

const DESCRIPTION: &str = "Rollouts, rollbacks, approvals and freezes of one environment, on the admin listener of each of \
its servers; any server takes any request. Errors are problem documents (RFC 9457) whose `code` `botops explain` describes. A \
request that changes something takes `dry_run=true`, which runs the same checks and changes nothing. With an \
`Idempotency-Key`, it is carried out once in 24 hours. The array of a security requirement names a scope that the caller \
needs; the scope `admin` stands for each.";

/// Returns the OpenAPI 3.1 document of the admin API, as JSON that ends with a line break. The same program returns the same
/// bytes.
#[must_use]
pub fn admin_openapi() -> &'static str {
    &DOCUMENT
}

/// Describes an endpoint. A new row of [`ENDPOINTS`] needs its description here.
fn described(call: Call, schemas: &mut Schemas) -> Described {
    match call {
        Call::Models => {
            let schema = ArrayBuilder::new().items(schemas.of::<ModelStatus<'static>>());
            Described::new("listModels", "List the models that this server serves")
                .answer(StatusCode::OK, json("The models.", schema.into()).build())
        }
        Call::Model => {
            let schema = schemas.of::<ModelStatus<'static>>();
            Described::new("getModel", "Show one model")
                .parameter(model())
                .answer(StatusCode::OK, json("The model.", schema).build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        Call::Start => start(schemas),
        Call::RollBackModel => roll_back_model(schemas),
        Call::Rollout => {
            let answer = json("The rollout.", schemas.of::<RolloutStatus>());
            Described::new("getRollout", "Show a rollout, or wait for its next revision")
                .parameter(id())
                .parameter(wait())
                .parameter(parameter(
                    (ParameterIn::Query, "since"),
                    number(),
                    "With `wait`: the revision that the client has.",
                    7,
                ))
                .answer(StatusCode::OK, answer.header("ETag", tag()).build())
                .problems(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT])
        }
        Call::Decision => {
            let answer = json("The decision so far.", schemas.of::<Decision>());
            Described::new("getDecision", "Show the numbers that the next decision would cite")
                .parameter(id())
                .answer(StatusCode::OK, answer.header("ETag", tag()).build())
                .problems(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT])
        }
        Call::Events => events(schemas),
        Call::Audit => audit(schemas),
        Call::Command(word) => command(word, schemas),
        Call::Weight => {
            let summary = "Set the share of the challenger, up to that of the step";
            let body = schemas.of::<WeightRequest>();
            let example = json!({"percent": 5, "reason": "look closer"});
            of_rollout(Described::new("setWeight", summary), schemas).body(
                Required::True,
                body,
                example,
            )
        }
        Call::Approvals => {
            let body = schemas.of::<ApprovalRequest>();
            let example = json!({"decision": "approve", "comment": "numbers are fine"});
            of_rollout(Described::new("decideApproval", "Approve or reject the promotion"), schemas)
                .body(Required::True, body, example)
        }
        Call::Freeze => {
            let body = schemas.of::<FreezeRequest>();
            let example = json!({"reason": "holidays", "until": "2027-01-02T08:00:00Z"});
            freeze("freeze", "Freeze the environment: nothing advances", schemas).body(
                Required::True,
                body,
                example,
            )
        }
        Call::Unfreeze => {
            let body = schemas.of::<UnfreezeRequest>();
            freeze("unfreeze", "End the freeze of the environment", schemas).body(
                Required::True,
                body,
                json!({"reason": "we are back"}),
            )
        }
        Call::OtherCommand => {
            let body = schemas.of::<CommandRequest>();
            Described::new("otherCommand", "Refuse a command that does not exist")
                .parameter(id())
                .parameter(parameter(
                    (ParameterIn::Path, "command"),
                    text("^[a-z]+-[a-z]+$"),
                    "A word that is not a command.",
                    "speed-up",
                ))
                .parameter(dry_run())
                .parameter(if_match())
                .parameter(idempotency_key())
                .body(Required::False, body, json!({"reason": "a typo"}))
                .problems(&[StatusCode::NOT_FOUND])
        }
        Call::SelfTest => {
            let schema = RefOr::T(ArrayBuilder::new().items(schemas.of::<Tested>()).into());
            let (kind, problem) = problem_content(schemas);
            let summary = "Run the golden self-test of every model in service now";
            let failed = json("A model failed its test, or the server failed.", schema.clone());
            Described::new("selfTest", summary)
                .answer(StatusCode::OK, json("Every model passed.", schema).build())
                .answer(StatusCode::INTERNAL_SERVER_ERROR, failed.content(kind, problem).build())
        }
        Call::Reload => {
            let summary = "Read the settings again, and apply those that need no restart";
            let body = schemas.of::<ReloadRequest>();
            let answer = json("The settings that changed, or would.", schemas.of::<Reloaded>());
            changing(Described::new("reload", summary))
                .body(Required::False, body, json!({"reason": "another receiver of webhooks"}))
                .answer(StatusCode::OK, answer.build())
        }
        Call::Shadow => started(
            Described::new("startShadow", "Put a version on mirror only, or join its run"),
            schemas,
        )
        .body(
            Required::True,
            schemas.of::<ShadowRequest>(),
            json!({"version": "support@3", "percent": 10, "for": "24h", "reason": "a look at it"}),
        ),
        Call::Disagreements => {
            let summary = "Show the last messages on which the challenger in shadow disagreed";
            let schema = schemas.of::<Disagreements>();
            Described::new("listDisagreements", summary)
                .parameter(id())
                .answer(StatusCode::OK, json("Those of this server, redacted.", schema).build())
                .problems(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT])
        }
        Call::Metrics => Described::new("getMetrics", "Read the metrics, for Prometheus").answer(
            StatusCode::OK,
            openapi::text_of("OpenMetrics text.", "application/openmetrics-text").build(),
        ),
        Call::KnowledgeBases => {
            let schema = schemas.of::<KnowledgeList>();
            Described::new(
                "listKnowledge",
                "List the knowledge bases, each with its newest version",
            )
            .answer(StatusCode::OK, json("The knowledge bases.", schema).build())
        }
        Call::KnowledgeBase => {
            let schema = schemas.of::<KnowledgeStatus>();
            Described::new("getKnowledge", "Show the newest version of a knowledge base")
                .parameter(knowledge())
                .answer(StatusCode::OK, json("The version, with its files.", schema).build())
                .problems(&[StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY])
        }
        Call::Upload => upload(schemas),
        Call::RemoveDocument => {
            let file = parameter(
                (ParameterIn::Path, "id"),
                string(),
                "The name of the file.",
                "returns.md",
            );
            let summary = "Make a version without a file; the servers answer as before";
            accepted(Described::new("removeDocument", summary), schemas)
                .parameter(knowledge())
                .parameter(file)
                .body(Required::False, schemas.of::<JobRequest>(), json!({"reason": "out of date"}))
        }
        Call::Jobs => {
            let boolean = RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::Boolean)));
            let all = "Whether to list jobs that are over, too.";
            let limit = "The most jobs: 1 to 500.";
            Described::new("listJobs", "List background jobs, the newest first")
                .parameter(parameter((ParameterIn::Query, "all"), boolean, all, true))
                .parameter(parameter((ParameterIn::Query, "limit"), number(), limit, 50))
                .answer(StatusCode::OK, json("The jobs.", schemas.of::<JobList>()).build())
                .problems(&[StatusCode::UNPROCESSABLE_ENTITY])
        }
        Call::Job => Described::new("getJob", "Show a background job")
            .parameter(job_id())
            .answer(StatusCode::OK, json("The job.", schemas.of::<Job>()).build())
            .problems(&[StatusCode::NOT_FOUND]),
        Call::JobCommand(command) => {
            let (id, summary) = match command {
                JobCommand::Cancel => ("cancelJob", "Cancel a background job"),
                JobCommand::Retry => ("retryJob", "Try a job again that failed or was cancelled"),
            };
            changing(Described::new(id, summary))
                .parameter(job_id())
                .body(Required::False, schemas.of::<JobRequest>(), json!({"reason": "look closer"}))
                .answer(StatusCode::OK, json("The job afterwards.", schemas.of::<Job>()).build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        Call::Plan => {
            let body = schemas.of::<PlanRequest>();
            let example = json!({
                "conversations_per_hour": 120,
                "failures": {
                    "error": {"rate": 0.01, "measured": 1},
                    "fallback": {"rate": 0.08, "measured": 1},
                    "wrong": {"rate": 0.03, "measured": 0.2},
                },
            });
            let summary = "Forecast a plan: how long its steps take, and what they can show";
            let answer = json("The forecast.", schemas.of::<PlanAnswer>());
            Described::new("forecastPlan", summary)
                .body(Required::False, body, example)
                .answer(StatusCode::OK, answer.build())
                .problems(&[StatusCode::CONFLICT])
        }
        Call::OpenApi => {
            let schema = ObjectBuilder::new().schema_type(Type::Object);
            Described::new("getOpenApi", "Show this document").answer(
                StatusCode::OK,
                json("OpenAPI 3.1.", RefOr::T(Schema::from(schema))).build(),
            )
        }
    }
}

fn upload(schemas: &mut Schemas) -> Described {
    let text = || RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)));
    let form = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("file", ArrayBuilder::new().items(text()))
        .property("language", text())
        .property("url", text())
        .property("access", ArrayBuilder::new().items(text()))
        .property("actor", text())
        .property("reason", text());
    let summary = "Make a version with more files, or other ones; the servers answer as before";
    accepted(Described::new("uploadDocuments", summary), schemas)
        .parameter(knowledge())
        .form(RefOr::T(Schema::from(form)))
        .problems(&[StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE])
}

/// Adds what the requests share that make a job.
fn accepted(described: Described, schemas: &mut Schemas) -> Described {
    let schema = schemas.of::<Accepted>();
    let location = header(text("^/admin/v1/jobs/[0-9A-HJKMNP-TV-Z]{26}$"), "The path of the job.");
    let taken = json("The job, which any server of the store works on.", schema.clone());
    changing(described)
        .answer(StatusCode::OK, json("Dry run: nothing was stored.", schema).build())
        .answer(StatusCode::ACCEPTED, taken.header("Location", location).build())
        .problems(&[StatusCode::NOT_FOUND])
}

fn string() -> RefOr<Schema> {
    RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)))
}

fn knowledge() -> Parameter {
    let description = "The name of the knowledge base.";
    parameter((ParameterIn::Path, "name"), string(), description, "help")
}

fn job_id() -> Parameter {
    let description = "The id of the job.";
    let example = "01JD4Z6X7Y8V9W0K1M2N3P4Q5R";
    parameter((ParameterIn::Path, "id"), string(), description, example)
}

fn start(schemas: &mut Schemas) -> Described {
    let body = schemas.of::<StartRequest>();
    let example = json!({
        "version": "support@2",
        "reason": "weekly model",
        "plan": {
            "steps": [
                {"weight": 5, "min_time": "30m", "min_units": 300, "deadline": "12h"},
                {"weight": 50, "deadline": "2d", "require": "promote-evidence"},
            ],
        },
    });
    let summary = "Start a rollout, or join the one that runs";
    started(Described::new("startRollout", summary), schemas).body(Required::True, body, example)
}

/// Adds what the requests share that start a rollout.
fn started(described: Described, schemas: &mut Schemas) -> Described {
    let location =
        header(text("^/admin/v1/rollouts/[0-9A-HJKMNP-TV-Z]{26}$"), "The path of the rollout.");
    let status = schemas.of::<RolloutStatus>();
    let joined = either(status.clone(), schemas.of::<Transition>());
    let joined =
        json("It joined a rollout of this version; dry run: the first transition.", joined);
    let created = json("The rollout began.", status).header("ETag", tag());
    changing(described)
        .parameter(model())
        .answer(
            StatusCode::OK,
            joined.header("ETag", tag()).header("Location", location.clone()).build(),
        )
        .answer(StatusCode::CREATED, created.header("Location", location).build())
        .problems(&[StatusCode::NOT_FOUND])
}

fn roll_back_model(schemas: &mut Schemas) -> Described {
    let summary = "End the open rollout and keep the champion; without one, or with `version`, go back to a former champion";
    let restored = schemas.of::<Restored>();
    let body = schemas.of::<RollbackRequest>();
    let example = json!({"reason": "wrong answers about refunds"});
    changing(Described::new("rollBackModel", summary))
        .parameter(model())
        .body(Required::True, body, example)
        .answer(StatusCode::OK, json("In effect and recorded.", restored.clone()).build())
        .answer(StatusCode::ACCEPTED, json("In effect, and not recorded yet.", restored).build())
        .problems(&[StatusCode::NOT_FOUND])
}

fn events(schemas: &mut Schemas) -> Described {
    schemas.of::<LogEvent>();
    let answer = openapi::events(
        "The state at the begin, then each decision, with the number of its log entry as `id`.",
        &["state", "decision"],
        "A `LogEvent`.",
    );
    Described::new("streamEvents", "Stream the decisions of a rollout until it is over")
        .parameter(id())
        .parameter(parameter(
            (ParameterIn::Header, "Last-Event-ID"),
            number(),
            "The `id` of the last event that the client has.",
            12,
        ))
        .answer(StatusCode::OK, answer.build())
        .problems(&[StatusCode::NOT_FOUND, StatusCode::CONFLICT])
}

fn audit(schemas: &mut Schemas) -> Described {
    let answer = json("A page of entries, the oldest first.", schemas.of::<AuditPage>());
    Described::new("listAudit", "Show the entries of the deployment log, with their authors")
        .parameter(parameter(
            (ParameterIn::Query, "since"),
            number(),
            "The number of the last entry that the client has.",
            120,
        ))
        .answer(StatusCode::OK, answer.build())
        .problems(&[StatusCode::CONFLICT])
}

/// Describes a command of a rollout.
///
/// # Panics
/// If the word has no description; a test describes every row.
fn command(word: &'static str, schemas: &mut Schemas) -> Described {
    let (id, summary) = match word {
        "pause" => ("pauseRollout", "Pause at the current weight"),
        "resume" => ("resumeRollout", "Continue after a pause"),
        "advance" => ("advanceRollout", "Take the next step now"),
        "promote" => ("promoteRollout", "Promote now"),
        "rollback" => ("rollBackRollout", "Roll back; a stale `If-Match` does not stop it"),
        "approve" => ("approveRollout", "Approve the promotion"),
        "reject" => ("rejectRollout", "Reject the promotion, and roll back"),
        other => panic!("the command `{other}` has no description"),
    };
    let body = schemas.of::<CommandRequest>();
    of_rollout(Described::new(id, summary), schemas).body(
        Required::False,
        body,
        json!({"reason": "look closer"}),
    )
}

/// Adds what the commands of a rollout share.
fn of_rollout(described: Described, schemas: &mut Schemas) -> Described {
    let status = schemas.of::<RolloutStatus>();
    let either = either(status.clone(), schemas.of::<Transition>());
    let done = json("The rollout afterwards; dry run: the transition.", either);
    let accepted = json("In effect, and not recorded yet.", status);
    changing(described)
        .parameter(self::id())
        .parameter(if_match())
        .answer(StatusCode::OK, done.header("ETag", tag()).build())
        .answer(StatusCode::ACCEPTED, accepted.header("ETag", tag()).build())
        .problems(&[StatusCode::NOT_FOUND, StatusCode::PRECONDITION_FAILED])
}

fn freeze(id: &'static str, summary: &'static str, schemas: &mut Schemas) -> Described {
    let answer = json("The freeze afterwards; dry run: as it is.", schemas.of::<FreezeStatus>());
    changing(Described::new(id, summary)).answer(StatusCode::OK, answer.build())
}

/// Adds what all requests share that change something.
fn changing(described: Described) -> Described {
    described.parameter(dry_run()).parameter(idempotency_key()).problems(&[StatusCode::CONFLICT])
}

fn model() -> Parameter {
    let schema = RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)));
    parameter((ParameterIn::Path, "model"), schema, "The name of the model.", "support")
}

fn id() -> Parameter {
    let description = "The id of the rollout; `latest` for the current or the last one.";
    parameter((ParameterIn::Path, "id"), text(ID), description, "latest")
}

fn wait() -> Parameter {
    let description =
        "How long to wait for another revision than `since`: 0 to 60 whole seconds, such as `30s`.";
    parameter((ParameterIn::Query, "wait"), text("^([0-9]|[1-5][0-9]|60)s$"), description, "0s")
}

fn dry_run() -> Parameter {
    let schema = RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::Boolean)));
    let description = "Whether to run the same checks and change nothing.";
    parameter((ParameterIn::Query, "dry_run"), schema, description, true)
}

fn if_match() -> Parameter {
    let description = "The revision that the request was decided on, from `ETag`; `*` for any.";
    let schema = text(r#"^(\*|[0-9]{1,19}|"[0-9]{1,19}")$"#);
    parameter((ParameterIn::Header, "If-Match"), schema, description, "*")
}

fn idempotency_key() -> Parameter {
    let description = "A random text by which a repeated request is known for 24 hours.";
    let example = Value::from("8e03978e-40d5-43e8-bc93-6894a57f9324");
    let schema = text("^[!-~]{1,255}$");
    parameter((ParameterIn::Header, "Idempotency-Key"), schema, description, example)
}

fn tag() -> utoipa::openapi::Header {
    header(text(r#"^"[0-9]+"$"#), "The revision of the rollout, for `If-Match`.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_every_endpoint_with_its_scopes_and_no_other() {
        let document: Value = serde_json::from_str(admin_openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut found = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let scopes = operation["security"].as_array().unwrap().iter();
                let scopes = scopes.map(|one| one["bearer"][0].as_str().unwrap().to_owned());
                let row = (method.to_uppercase(), path.clone(), scopes.collect::<Vec<_>>());
                assert!(found.insert(row), "{path}");
            }
        }
        let expected = ENDPOINTS.into_iter().map(|endpoint| {
            let scopes = endpoint.any_of.iter().map(|scope| scope.name().to_owned()).collect();
            (endpoint.method.to_string(), endpoint.path.to_owned(), scopes)
        });
        assert_eq!(found, expected.collect());
    }

    #[test]
    fn every_endpoint_has_a_name_of_its_own_its_parameters_and_an_example_of_its_body() {
        let document: Value = serde_json::from_str(admin_openapi()).unwrap();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name}");
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
                let no_parameters = Vec::new();
                let parameters = operation["parameters"].as_array().unwrap_or(&no_parameters);
                let in_path: BTreeSet<&str> = parameters
                    .iter()
                    .filter(|one| one["in"] == "path")
                    .map(|one| one["name"].as_str().unwrap())
                    .collect();
                let of_path = path.split('/').filter_map(|part| part.strip_prefix('{'));
                assert_eq!(in_path, of_path.map(|part| part.trim_end_matches('}')).collect());
                let body = &operation["requestBody"]["content"]["application/json"];
                let is_form = name == "uploadDocuments";
                assert_eq!(body.is_null(), method == "get" || is_form, "{name}");
                assert!(body.is_null() || body["example"].is_object(), "{name}");
                let has = |named: &str| parameters.iter().any(|one| one["name"] == named);
                let changes = method != "get" && name != "forecastPlan";
                assert_eq!(has("dry_run") && has("Idempotency-Key"), changes, "{name}");
            }
        }
    }
}
