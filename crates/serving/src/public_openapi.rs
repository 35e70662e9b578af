//! The public API as an OpenAPI 3.1 document: what each endpoint of [`ENDPOINTS`] takes and answers; and as a page.

use crate::{
    app::App,
    chat_message::Request as ChatRequest,
    chat_page::page_answer,
    exchange::Exchange,
    feedback,
    media_type::{LINES, TENSORS},
    open_inference::InferRequest,
    openapi::{
        Api, Described, Operation, Schemas, document, json, or_events, parameter, text, text_of,
    },
    predict,
    public_endpoints::{ENDPOINTS, PublicCall, PublicEndpoint},
    rasa::{BotMessage, ParseAnswer, ParseRequest, WebhookRequest},
    readiness::{Health, Ready},
    search,
    turn_answer::Answer as ChatAnswer,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use botops_console::{Page, api_page};
use serde_json::json;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::{
    ArrayBuilder, Content, ObjectBuilder, RefOr, Required, ResponseBuilder, Schema, Type,
    path::ParameterIn,
};

/// The document as JSON, built once.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut schemas = Schemas::default();
    let operations = ENDPOINTS
        .iter()
        .map(|endpoint| Operation {
            method: endpoint.method.clone(),
            path: endpoint.path,
            any_of: endpoint.any_of.iter().map(|scope| scope.name().to_owned()).collect(),
            described: described(endpoint, &mut schemas),
        })
        .collect();
    let api = Api {
        title: "botops public API",
        description: DESCRIPTION.to_owned(),
        bearer: "A key of `botops keys`, or a token of an OIDC issuer that the server trusts. An open server answers without.",
    };
    let document = document(&api, operations, schemas);
    serde_json::to_string_pretty(&document).expect("a document can be written as JSON") + "\n"
});

const DESCRIPTION: &str = "Predictions, conversations and feedback, on the public listener of each server of an environment. \
Errors are problem documents (RFC 9457) whose `code` `botops explain` describes. A request with an unknown key is refused. \
The array of a security requirement names a scope that the caller needs. A body may be packed with \
`Content-Encoding: gzip` where a text is classified.";

/// Returns the OpenAPI 3.1 document of the public API, as JSON that ends with a line break. The same program returns the same
/// bytes.
#[must_use]
pub fn public_openapi() -> &'static str {
    &DOCUMENT
}

/// Answers `GET /openapi.json`.
pub(super) async fn openapi(State(app): State<Arc<App>>) -> Response {
    Exchange::begin(&app, "docs").reply_with(DOCUMENT.as_bytes())
}

/// Answers `GET /docs`: the document as a page.
pub(super) async fn docs(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    static PAGE: LazyLock<Page> = LazyLock::new(|| api_page(&DOCUMENT));
    Exchange::begin(&app, "docs").send(page_answer(&PAGE, &headers))
}

/// Describes an endpoint. A new row of [`ENDPOINTS`] needs its description here.
fn described(endpoint: &PublicEndpoint, schemas: &mut Schemas) -> Described {
    let described = match endpoint.call {
        PublicCall::Predict => predict(schemas),
        PublicCall::Chat => {
            let body = schemas.of::<ChatRequest<'static>>();
            let example = json!({"conversation_id": "7f1c", "message_id": "m1", "text": "where is order 20447"});
            let answer = json("The answer.", schemas.of::<ChatAnswer>());
            let names = ["sentence", "unstored", "answer", "error"];
            let data = "An object with the `text` of a sentence; the answer; or a problem. `answer` or `error` is last.";
            Described::new("chat", "Answer one message of a conversation")
                .body(Required::True, body, example)
                .answer(StatusCode::OK, or_events(answer, &names, data).build())
                .problems(&[StatusCode::CONFLICT])
        }
        PublicCall::Feedback => {
            let body = schemas.of::<feedback::Request<'static>>();
            let answer = json("Read, whether or not it counts.", schemas.of::<feedback::Answer>());
            let summary = "Report the intent that a message turned out to have, or whether an answer was right";
            Described::new("giveFeedback", summary)
                .body(Required::True, body, json!({"conversation_id": "7f1c", "intent": "refund"}))
                .answer(StatusCode::ACCEPTED, answer.build())
        }
        PublicCall::Search => {
            let body = schemas.of::<search::Request<'static>>();
            let answer = json("The passages.", schemas.of::<search::Answer<'static>>());
            Described::new("search", "Find the passages of documents that fit a question")
                .body(Required::True, body, json!({"query": "how long does a refund take", "k": 3}))
                .answer(StatusCode::OK, answer.build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        PublicCall::ChannelChallenge => {
            let summary = "Answer the challenge of a messaging platform";
            Described::new("answerChallenge", summary)
                .parameter(channel())
                .answer(StatusCode::OK, text_of("The challenge.", "text/plain").build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        PublicCall::Channel => {
            let schema = || RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::Object)));
            let summary =
                "Take messages of a platform, signed as it signs; 200 once they are stored";
            Described::new("receiveMessages", summary)
                .parameter(channel())
                .body(Required::True, schema(), json!({"object": "whatsapp_business_account"}))
                .answer(StatusCode::OK, json("Stored.", schema()).build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        PublicCall::Health => {
            let answer = json("It lives.", schemas.of::<Health>());
            Described::new(of_path(endpoint, "health", "livez"), "Whether the process is alive")
                .answer(StatusCode::OK, answer.build())
        }
        PublicCall::Readiness => {
            let answer = json("It can answer.", schemas.of::<Ready<'static>>());
            let id = of_path(endpoint, "readiness", "readyz");
            Described::new(id, "Whether the server can answer")
                .answer(StatusCode::OK, answer.build())
        }
        PublicCall::Metrics => {
            let answer = text_of("OpenMetrics text.", "application/openmetrics-text");
            Described::new("getMetrics", "Read the metrics, with `server.metrics: open`")
                .answer(StatusCode::OK, answer.build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        PublicCall::ChatPage => {
            Described::new("chatPage", "The chat page, with `server.chat_page: true`")
                .answer(StatusCode::OK, text_of("The page.", "text/html").build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        PublicCall::Widget => {
            let summary =
                "The script that shows the chat page on the sites of `server.cors.origins`";
            Described::new("widget", summary)
                .answer(StatusCode::OK, text_of("The script.", "text/javascript").build())
                .problems(&[StatusCode::NOT_FOUND])
        }
        PublicCall::OpenApi => {
            let document = json("OpenAPI 3.1.", object("An OpenAPI document."));
            Described::new("getOpenApi", "Show this document")
                .answer(StatusCode::OK, document.build())
        }
        PublicCall::Docs => Described::new("docs", "Show this document as a page")
            .answer(StatusCode::OK, text_of("The page.", "text/html").build()),
        PublicCall::WebSocket => {
            let summary = "Talk over a WebSocket: frames `hello` and `message` in, `ready`, `sentence`, `answer` and `error` out";
            let switched = ResponseBuilder::new().description("The connection speaks WebSocket.");
            Described::new("webSocket", summary)
                .answer(StatusCode::SWITCHING_PROTOCOLS, switched.build())
                .problems(&[StatusCode::UPGRADE_REQUIRED])
        }
        PublicCall::RasaParse | PublicCall::RasaWebhook => rasa(endpoint.call, schemas),
        _ => open_inference(endpoint, schemas),
    };
    let described = match endpoint.any_of {
        [] => described,
        _ => described.open(),
    };
    described.problems(&[StatusCode::TOO_MANY_REQUESTS])
}

fn predict(schemas: &mut Schemas) -> Described {
    let body = schemas.of::<predict::Request<'static>>();
    let answer = schemas.of::<predict::Answer<'static>>();
    let lines = ObjectBuilder::new().schema_type(Type::String).description(Some(
        "A line with a `PredictRequest` for each answer; the answers have a `PredictAnswer` or a `Problem` a line, in order.",
    ));
    let lines = RefOr::T(Schema::from(lines));
    let answer = json("The predictions; for lines, one such object a line.", answer)
        .content(LINES, Content::new(Some(lines.clone())));
    Described::new("predict", "Classify one `text`, several `texts`, or a batch of lines")
        .body(Required::True, body, json!({"text": "where is my parcel", "top_k": 3}))
        .or_body(LINES, lines)
        .answer(StatusCode::OK, answer.build())
}

fn rasa(call: PublicCall, schemas: &mut Schemas) -> Described {
    if call == PublicCall::RasaParse {
        let answer = json("Intent and entities.", schemas.of::<ParseAnswer<'static>>());
        let body = schemas.of::<ParseRequest>();
        return Described::new("parseMessage", "Classify one text, in the shape of Rasa")
            .body(Required::True, body, json!({"text": "where is my parcel"}))
            .answer(StatusCode::OK, answer.build());
    }
    let messages = ArrayBuilder::new().items(schemas.of::<BotMessage>());
    let body = schemas.of::<WebhookRequest>();
    Described::new("webhook", "Answer one message, in the shape of the REST channel of Rasa")
        .body(Required::True, body, json!({"sender": "7f1c", "message": "where is my parcel"}))
        .answer(StatusCode::OK, json("The messages of the bot.", messages.into()).build())
        .problems(&[StatusCode::CONFLICT])
}

/// Describes an endpoint of the Open Inference Protocol.
fn open_inference(endpoint: &PublicEndpoint, schemas: &mut Schemas) -> Described {
    let has_version = endpoint.path.contains("{version}");
    let id = |plain, versioned| if has_version { versioned } else { plain };
    let described = match endpoint.call {
        PublicCall::V2Server => Described::new("v2Server", "The server (Open Inference Protocol)")
            .answer(
                StatusCode::OK,
                json("The server.", object("`name`, `version`, `extensions`.")).build(),
            ),
        PublicCall::V2Live => {
            Described::new("v2Live", "Whether the process is alive (Open Inference Protocol)")
                .answer(StatusCode::OK, json("It lives.", object("`live`.")).build())
        }
        PublicCall::V2Ready => {
            Described::new("v2Ready", "Whether the server can answer (Open Inference Protocol)")
                .answer(StatusCode::OK, json("It can.", object("`ready`.")).build())
        }
        PublicCall::V2Model => {
            let summary = "The tensors of the model (Open Inference Protocol)";
            Described::new(id("v2Model", "v2ModelVersion"), summary).answer(
                StatusCode::OK,
                json("The model.", object("`name`, `inputs`, `outputs`.")).build(),
            )
        }
        PublicCall::V2ModelReady => {
            let summary = "Whether the model can answer (Open Inference Protocol)";
            Described::new(id("v2ModelReady", "v2ModelVersionReady"), summary)
                .answer(StatusCode::OK, json("It can.", object("`name`, `ready`.")).build())
        }
        _ => {
            let summary = "Classify the texts of the tensor `text` (Open Inference Protocol)";
            let answer = json("The tensors.", object("`model_name`, `outputs`, `parameters`."));
            let binary = ObjectBuilder::new().schema_type(Type::String);
            let answer =
                answer.content(TENSORS, Content::new(Some(RefOr::T(Schema::from(binary)))));
            let example = json!({
                "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["where is my parcel"]}],
            });
            Described::new(id("v2Infer", "v2InferVersion"), summary)
                .body(Required::True, schemas.of::<InferRequest>(), example)
                .answer(StatusCode::OK, answer.build())
        }
    };
    let described = match endpoint.path.contains("{model}") {
        true => described.problems(&[StatusCode::NOT_FOUND]).parameter(parameter(
            (ParameterIn::Path, "model"),
            text("^[^/]+$"),
            "The name of the model.",
            "support",
        )),
        false => described,
    };
    match has_version {
        true => described.parameter(parameter(
            (ParameterIn::Path, "version"),
            text("^[^/]+$"),
            "The number of a version; needs the scope `read`.",
            "3",
        )),
        false => described,
    }
}

/// Returns the name of an endpoint with two paths: `second` for the path that ends with it.
fn of_path(endpoint: &PublicEndpoint, first: &'static str, second: &'static str) -> &'static str {
    if endpoint.path.ends_with(second) { second } else { first }
}

fn object(description: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(description));
    RefOr::T(Schema::from(object))
}

fn channel() -> utoipa::openapi::path::Parameter {
    let schema = RefOr::T(Schema::from(ObjectBuilder::new().schema_type(Type::String)));
    let description = "The name of the channel in botops.yaml.";
    parameter((ParameterIn::Path, "name"), schema, description, "whatsapp")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_every_endpoint_with_its_scopes_and_no_other() {
        let document: Value = serde_json::from_str(public_openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let (mut found, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} at {path}");
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
                let scopes: Vec<String> = operation["security"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|one| one["bearer"][0].as_str())
                    .map(str::to_owned)
                    .collect();
                let body = &operation["requestBody"]["content"]["application/json"];
                assert_eq!(body.is_null(), method == "get", "{name}");
                assert!(body.is_null() || body["example"].is_object(), "{name}");
                assert!(found.insert((method.to_uppercase(), path.clone(), scopes)), "{path}");
            }
        }
        let expected = ENDPOINTS.into_iter().map(|endpoint| {
            let scopes = endpoint.any_of.iter().map(|scope| scope.name().to_owned()).collect();
            (endpoint.method.to_string(), endpoint.path.to_owned(), scopes)
        });
        assert_eq!(found, expected.collect());
    }

    #[test]
    fn the_page_shows_every_endpoint_and_nothing_from_elsewhere() {
        let page = api_page(public_openapi());
        for endpoint in &ENDPOINTS {
            assert!(
                page.html().contains(&format!("<code>{}</code>", endpoint.path)),
                "{}",
                endpoint.path
            );
        }
        for text in ["ChatAnswer", "feedback_token", "The number of the turn in its conversation"] {
            assert!(page.html().contains(text), "{text}");
        }
        for outside in ["http://", "https://", "<script", "src=", "url("] {
            assert!(!page.html().contains(outside), "{outside}");
        }
    }
}
