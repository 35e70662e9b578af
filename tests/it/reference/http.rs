//! The page of HTTP paths: the routes that the server registers, with their bodies.

use super::{keys::Page, rust_types::Types};
use regex::Regex;
use std::{collections::BTreeSet, fs};

/// One route: method, path, the type of the request body, the type of the answer, the meaning.
///
/// A body is `file:Type` of the room `serving`, or a few words. Empty: there is none.
type Route = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// The public listener.
const PUBLIC: [Route; 27] = [
    (
        "POST",
        "/v1/predict",
        "predict.rs:Request",
        "predict.rs:Answer",
        "Classify one `text` or up to 1,024 `texts`; as `application/x-ndjson`, one such body a line",
    ),
    (
        "POST",
        "/v1/chat",
        "chat_message.rs:Request",
        "turn_answer.rs:Answer",
        "Answer one message: intent, entities, and a response in the user's language; with `Accept: text/event-stream`, the sentences of a generated answer first",
    ),
    (
        "POST",
        "/v1/search",
        "search.rs:Request",
        "search.rs:Answer",
        "Find the passages of documents that fit a question",
    ),
    (
        "POST",
        "/v1/feedback",
        "feedback.rs:Request",
        "feedback.rs:Answer",
        "Report the intent that a message turned out to have",
    ),
    ("GET", "/health", "", "readiness.rs:Health", "Whether the process is alive"),
    (
        "GET",
        "/readiness",
        "",
        "readiness.rs:Ready",
        "Whether the model passed its golden self-test",
    ),
    ("GET", "/livez", "", "", "The same as `/health`"),
    ("GET", "/readyz", "", "", "The same as `/readiness`"),
    (
        "GET",
        "/metrics",
        "",
        "OpenMetrics text",
        "Metrics for Prometheus, with `server.metrics: open`",
    ),
    ("GET", "/", "", "HTML", "The chat page, with `server.chat_page: true`"),
    (
        "GET",
        "/widget.js",
        "",
        "JavaScript",
        "The chat page for pages of the sites in `server.cors.origins`",
    ),
    ("GET", "/v2", "", "name, version", "The server (Open Inference Protocol)"),
    ("GET", "/v2/health/live", "", "live", "Whether the process is alive"),
    ("GET", "/v2/health/ready", "", "ready", "Whether the model passed its golden self-test"),
    ("GET", "/v2/models/{model}", "", "inputs, outputs", "The tensors of the model"),
    ("GET", "/v2/models/{model}/ready", "", "name, ready", "Whether the model can answer"),
    (
        "POST",
        "/v2/models/{model}/infer",
        "open_inference.rs:InferRequest",
        "tensors, as JSON or binary",
        "Classify the texts of the tensor `text`",
    ),
    (
        "GET",
        "/v2/models/{model}/versions/{version}",
        "",
        "inputs, outputs",
        "The same, of a version",
    ),
    (
        "GET",
        "/v2/models/{model}/versions/{version}/ready",
        "",
        "name, ready",
        "Whether the version is the one that answers",
    ),
    (
        "POST",
        "/v2/models/{model}/versions/{version}/infer",
        "",
        "tensors, as JSON or binary",
        "The same as without the version, refused if another version answers",
    ),
    (
        "POST",
        "/model/parse",
        "rasa.rs:ParseRequest",
        "rasa.rs:ParseAnswer",
        "The intent and the entities of one text, in the shape of Rasa",
    ),
    (
        "POST",
        "/webhooks/rest/webhook",
        "rasa.rs:WebhookRequest",
        "rasa.rs:BotMessage",
        "Answer one message, in the shape of the REST channel of Rasa: a list of messages",
    ),
    ("GET", "/openapi.json", "", "OpenAPI 3.1", "The document of this API"),
    ("GET", "/docs", "", "HTML", "The same, to read"),
    (
        "GET",
        "/v1/ws",
        "WebSocket frames",
        "WebSocket frames",
        "The messages and answers of `/v1/chat` over a WebSocket",
    ),
    ("GET", "/channels/{name}", "", "", "Answer the challenge of a messaging platform"),
    (
        "POST",
        "/channels/{name}",
        "",
        "",
        "Take messages of a platform, signed as it signs; 200 once they are stored",
    ),
];

/// The admin listener, with a token or key as `Authorization: Bearer`.
const ADMIN: [Route; 35] = [
    (
        "GET",
        "/admin/v1/models",
        "",
        "admin_answers.rs:ModelStatus",
        "List of the models that this server serves",
    ),
    ("GET", "/admin/v1/models/{model}", "", "admin_answers.rs:ModelStatus", "One model"),
    (
        "POST",
        "/admin/v1/models/{model}/rollouts",
        "admin_changes.rs:StartRequest",
        "lib.rs:RolloutStatus",
        "Start a rollout, or join the one that runs",
    ),
    (
        "POST",
        "/admin/v1/models/{model}/rollback",
        "admin_changes.rs:RollbackRequest",
        "state.rs:Restored",
        "End the open rollout and keep the champion; without one, or with `version`, go back to a former champion; `reason` is required",
    ),
    (
        "GET",
        "/admin/v1/rollouts/{id}",
        "",
        "lib.rs:RolloutStatus",
        "One rollout; `latest` is an id too; `?wait=30s&since=REVISION` answers once the revision is another one",
    ),
    (
        "GET",
        "/admin/v1/rollouts/{id}/decision",
        "",
        "the decision record",
        "The numbers that the next decision would cite",
    ),
    (
        "GET",
        "/admin/v1/rollouts/{id}/events",
        "",
        "log_event.rs:LogEvent",
        "The decisions as server-sent events, from `Last-Event-ID` on",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/pause",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Pause at the current weight",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/resume",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Continue after a pause",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/advance",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Take the next step now",
    ),
    (
        "PUT",
        "/admin/v1/rollouts/{id}/weight",
        "admin_changes.rs:WeightRequest",
        "lib.rs:RolloutStatus",
        "Set the share within the step",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/promote",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Promote now",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/rollback",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Roll back; a stale `If-Match` does not stop it",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/approve",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Approve the promotion",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/reject",
        "admin_changes.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "Reject the promotion, and roll back",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/approvals",
        "admin_changes.rs:ApprovalRequest",
        "lib.rs:RolloutStatus",
        "Approve or reject",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/{command}",
        "admin_changes.rs:CommandRequest",
        "",
        "Any other word is refused",
    ),
    (
        "PUT",
        "/admin/v1/freeze",
        "admin_changes.rs:FreezeRequest",
        "the freeze",
        "Freeze the environment",
    ),
    (
        "DELETE",
        "/admin/v1/freeze",
        "admin_changes.rs:UnfreezeRequest",
        "the freeze",
        "End the freeze",
    ),
    (
        "GET",
        "/admin/v1/audit",
        "",
        "admin_follow.rs:AuditPage",
        "The entries of the deployment log after `?since=NUMBER`",
    ),
    (
        "GET",
        "/admin/v1/selftest",
        "",
        "admin_answers.rs:Tested",
        "Run the golden self-test of every model in service now",
    ),
    ("GET", "/admin/v1/openapi.json", "", "OpenAPI 3.1", "The document of this API"),
    ("GET", "/metrics", "", "OpenMetrics text", "Metrics for Prometheus"),
    (
        "POST",
        "/admin/v1/plan",
        "admin_plan.rs:PlanRequest",
        "admin_plan.rs:PlanAnswer",
        "Forecast a plan, at the traffic of the current or the last rollout unless it is given",
    ),
    (
        "POST",
        "/admin/v1/reload",
        "admin_reload.rs:ReloadRequest",
        "lib.rs:Reloaded",
        "Read the settings again, and apply those that need no restart",
    ),
    (
        "PUT",
        "/admin/v1/models/{model}/shadow",
        "admin_shadow.rs:ShadowRequest",
        "lib.rs:RolloutStatus",
        "Put a version on mirror only, or join its run",
    ),
    (
        "GET",
        "/admin/v1/rollouts/{id}/disagreements",
        "",
        "disagreements.rs:Disagreements",
        "The last messages on which the challenger disagreed, redacted, of this server",
    ),
    (
        "GET",
        "/admin/v1/knowledge",
        "",
        "admin_knowledge.rs:KnowledgeList",
        "The knowledge bases, each with its newest version",
    ),
    (
        "GET",
        "/admin/v1/knowledge/{name}",
        "",
        "admin_knowledge.rs:KnowledgeStatus",
        "The newest version of a knowledge base, with its files",
    ),
    (
        "POST",
        "/admin/v1/knowledge/{name}/documents",
        "",
        "admin_jobs.rs:Accepted",
        "Upload files as `multipart/form-data`; a job makes a version, which is not served before a rollout",
    ),
    (
        "DELETE",
        "/admin/v1/knowledge/{name}/documents/{id}",
        "admin_jobs.rs:JobRequest",
        "admin_jobs.rs:Accepted",
        "Make a version without a file",
    ),
    (
        "GET",
        "/admin/v1/jobs",
        "",
        "admin_jobs.rs:JobList",
        "Open background jobs, or with `all=true` the newest ones",
    ),
    ("GET", "/admin/v1/jobs/{id}", "", "", "A background job"),
    (
        "POST",
        "/admin/v1/jobs/{id}/cancel",
        "admin_jobs.rs:JobRequest",
        "",
        "Cancel a background job",
    ),
    (
        "POST",
        "/admin/v1/jobs/{id}/retry",
        "admin_jobs.rs:JobRequest",
        "",
        "Try a job again that failed or was cancelled",
    ),
];

/// Returns the page without its title.
pub(crate) fn page(types: &Types) -> String {
    for (found, routes) in [(public(), &PUBLIC[..]), (endpoints(), &ADMIN[..])] {
        let known: BTreeSet<(String, String)> =
            routes.iter().map(|route| (route.0.to_owned(), route.1.to_owned())).collect();
        assert_eq!(found, known, "left: the routes of the server; right: the page of HTTP");
    }
    let mut page = Page::new(
        types,
        "Bodies are JSON. A request with an unknown key is refused. Mutating admin requests take `?dry_run=true`, which runs \
         the same checks and changes nothing, and `Idempotency-Key`: the same key and body are carried out once in 24 hours. \
         `If-Match` takes the revision of `ETag`.\n",
    );
    for (title, routes) in [("Public", &PUBLIC[..]), ("Admin", &ADMIN[..])] {
        page.push(&format!(
            "\n## {title}\n\n| path | request | answer | meaning |\n|---|---|---|---|\n"
        ));
        for (method, path, request, answer, meaning) in routes {
            page.push(&format!(
                "| `{method} {path}` | {} | {} | {meaning} |\n",
                body(request),
                body(answer)
            ));
        }
    }
    page.push("\n## Errors\n\nEvery error is `application/problem+json` (RFC 9457).\n");
    page.answer("serving", Some("problem.rs"), "Document");
    page.push("\n## Bodies of requests\n");
    for (method, path, request, _, _) in PUBLIC.iter().chain(&ADMIN) {
        if let Some((file, name)) = request.split_once(':') {
            page.titled(
                &format!("Request of `{method} {path}`"),
                "serving",
                Some(file),
                name,
                true,
            );
        }
    }
    page.push("\n## Bodies of answers\n");
    for (method, path, _, answer, _) in PUBLIC.iter().chain(&ADMIN) {
        if let Some((file, name)) = answer.split_once(':') {
            page.titled(
                &format!("Answer of `{method} {path}`"),
                "serving",
                Some(file),
                name,
                false,
            );
        }
    }
    page.finish()
}

fn body(of: &str) -> &str {
    if of.contains(':') { "see below" } else { of }
}

/// Returns the endpoints of the public API: method and path. Its router is built from this table.
fn public() -> BTreeSet<(String, String)> {
    let path = crate::support::repository().join("crates/serving/src/public_endpoints.rs");
    let source = fs::read_to_string(path).unwrap();
    let table = source.split("const ENDPOINTS").nth(1).unwrap();
    let table = &table[..table.find("];").unwrap()];
    let row = Regex::new(r#"(send|look|connect)\(\s*"([^"]+)""#).unwrap();
    let method = |word: &str| if word == "send" { "POST" } else { "GET" };
    let found = row.captures_iter(table);
    found.map(|found| (method(&found[1]).to_owned(), found[2].to_owned())).collect()
}

/// Returns the endpoints of the admin API: method and path. Its router is built from this table.
fn endpoints() -> BTreeSet<(String, String)> {
    let path = crate::support::repository().join("crates/serving/src/authorization.rs");
    let source = fs::read_to_string(path).unwrap();
    let table = source.split("const ENDPOINTS").nth(1).unwrap();
    let table = &table[..table.find("];").unwrap()];
    let row = Regex::new(
        r#"(?:(read|follow)|(operate|approve|go_back)|administer|inform|Endpoint\s*)[({]\s*(?:method:\s*)?(?:Method::(\w+),)?\s*(?:path:\s*)?"([^"]+)""#,
    )
    .unwrap();
    let method = |found: &regex::Captures<'_>| match (found.get(1), found.get(2), found.get(3)) {
        (Some(_), ..) => "GET".to_owned(),
        (_, Some(_), _) => "POST".to_owned(),
        (_, _, named) => named.expect("a row names its method").as_str().to_owned(),
    };
    row.captures_iter(table).map(|found| (method(&found), found[4].to_owned())).collect()
}
