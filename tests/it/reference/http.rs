//! The page of HTTP paths: the routes that the server registers, with their bodies.

use super::{keys::Page, rust_types::Types};
use regex::Regex;
use std::{collections::BTreeSet, fs};

/// One route: method, path, the type of the request body, the type of the answer, the meaning.
///
/// A body is `file:Type` of the room `serving`, or a few words. Empty: there is none.
type Route = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// The public listener.
const PUBLIC: [Route; 6] = [
    (
        "POST",
        "/v1/predict",
        "predict.rs:Request",
        "predict.rs:Answer",
        "Classify one `text` or up to 1,024 `texts`",
    ),
    (
        "POST",
        "/v1/chat",
        "chat.rs:Request",
        "chat.rs:Answer",
        "Answer one message: intent, entities, and a response in the user's language",
    ),
    (
        "POST",
        "/v1/feedback",
        "feedback.rs:Request",
        "feedback.rs:Answer",
        "Report the intent that a message turned out to have",
    ),
    ("GET", "/health", "", "server.rs:Health", "Whether the process is alive"),
    ("GET", "/readiness", "", "server.rs:Ready", "Whether the model passed its golden self-test"),
    ("GET", "/metrics", "", "OpenMetrics text", "Metrics for Prometheus"),
];

/// The admin listener, with the token as `Authorization: Bearer`.
const ADMIN: [Route; 8] = [
    (
        "GET",
        "/admin/v1/models",
        "",
        "admin.rs:ModelStatus",
        "List of the models that this server serves",
    ),
    ("GET", "/admin/v1/models/{model}", "", "admin.rs:ModelStatus", "One model"),
    (
        "POST",
        "/admin/v1/models/{model}/rollouts",
        "admin.rs:StartRequest",
        "lib.rs:RolloutStatus",
        "Start a rollout, or join the one that runs",
    ),
    (
        "POST",
        "/admin/v1/models/{model}/rollback",
        "admin.rs:CommandRequest",
        "rollback.rs:Restored",
        "End the open rollout and keep the champion; without one, or with `version`, go back to a former champion; `reason` is required",
    ),
    (
        "GET",
        "/admin/v1/rollouts/{id}",
        "",
        "lib.rs:RolloutStatus",
        "One rollout; `latest` is an id too",
    ),
    (
        "GET",
        "/admin/v1/rollouts/{id}/decision",
        "",
        "the decision record",
        "The numbers that the next decision would cite",
    ),
    (
        "POST",
        "/admin/v1/rollouts/{id}/{command}",
        "admin.rs:CommandRequest",
        "lib.rs:RolloutStatus",
        "`pause`, `resume`, `promote` or `rollback`; `If-Match` takes the revision of `ETag`",
    ),
    (
        "GET",
        "/admin/v1/selftest",
        "",
        "admin.rs:Tested",
        "Run the golden self-test of every model in service now",
    ),
];

/// Returns the page without its title.
pub(crate) fn page(types: &Types) -> String {
    for (file, routes) in [("server.rs", &PUBLIC[..]), ("admin.rs", &ADMIN[..])] {
        let known: BTreeSet<(String, String)> =
            routes.iter().map(|route| (route.0.to_owned(), route.1.to_owned())).collect();
        assert_eq!(registered(file), known, "left: the routes of {file}; right: the page of HTTP");
    }
    let mut page = Page::new(
        types,
        "Bodies are JSON. A request with an unknown key is refused. Mutating admin requests take `?dry_run=true`, which runs \
         the same checks and changes nothing. `Idempotency-Key` is not supported yet.\n",
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

/// Returns the routes that `file` of the room `serving` registers: method and path.
fn registered(file: &str) -> BTreeSet<(String, String)> {
    let path = crate::support::repository().join("crates/serving/src").join(file);
    let source = fs::read_to_string(path).unwrap();
    let route =
        Regex::new(r#"\.route\(\s*"([^"]+)",\s*((?:\.?(?:get|post|put|delete|patch)\([^)]*\))+)"#)
            .unwrap();
    let method = Regex::new(r"(get|post|put|delete|patch)\(").unwrap();
    let mut found = BTreeSet::new();
    for matched in route.captures_iter(&source) {
        for of in method.captures_iter(&matched[2]) {
            found.insert((of[1].to_uppercase(), matched[1].to_owned()));
        }
    }
    assert!(!found.is_empty(), "no route was found in {file}");
    found
}
