//! The Open Inference Protocol, version 2, as KServe and Triton speak it: `/v2`.
//!
//! The model has one input, `text`, and the outputs `intent`, `confidence` and `fallback`; `probabilities` is given if the
//! request names it. A rollout decides which version answers; a request that names another one is refused.

use crate::{
    app::App,
    attempt::Refusal,
    exchange::{Exchange, MAX_ID_BYTES, parse_within, unfit},
    open_inference_tensors::{InputTensor, OutputData, OutputTensor},
    pointer::Field,
    predict::{Asked, Classified, check_version, classify, whole_body},
    problem::Problem,
    routing::Served,
};
use axum::{
    Extension, Json,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use botops_access::PublicCaller;
use botops_findings::Fault;
use botops_models::Prediction;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// The length of the JSON, if tensors follow it.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// The only input.
const TEXT: &str = "text";
const INPUTS: Field = Field::Named("inputs");
/// The outputs, in the order in which they are given.
const OUTPUTS: [&str; 4] = ["intent", "confidence", "fallback", "probabilities"];

/// A request of the protocol: `POST /v2/models/{model}/infer`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InferRequest {
    /// The client's id of the request, which the answer repeats.
    #[serde(default)]
    id: Option<String>,
    /// `conversation_id`, which decides the arm of a rollout, and `binary_data_output`.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// One tensor: `text`, of `BYTES`.
    inputs: Vec<InputTensor>,
    /// The wanted outputs; without it, all but `probabilities`.
    #[serde(default)]
    outputs: Option<Vec<WantedOutput>>,
}

/// An output that a request wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedOutput {
    /// `intent`, `confidence`, `fallback` or `probabilities`.
    name: String,
    /// `binary_data`.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
}

/// The model, and the version, that a path names.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    model: String,
    #[serde(default)]
    version: Option<String>,
}

/// Answers `GET /v2`: the server.
pub(super) async fn server() -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({"name": "botops", "version": version, "extensions": ["binary_tensor_data"]}))
}

/// Answers `GET /v2/health/live`.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// Answers `GET /v2/health/ready`.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let exchange = Exchange::begin(&app, "readiness");
    match exchange.routing() {
        Ok(_) => Json(json!({"ready": true})).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Answers `GET /v2/models/{model}`, and with a version: its inputs and outputs.
pub(super) async fn model(
    state: State<Arc<App>>,
    caller: Extension<PublicCaller>,
    named: Path<Named>,
) -> Response {
    describe(state, caller, named, |served, exchange, model| {
        let tensor = |name: &str, kind: &str, shape: Value| {
            json!({"name": name, "datatype": kind, "shape": shape})
        };
        let mut metadata = json!({
            "name": model,
            "platform": "botops",
            "inputs": [tensor(TEXT, "BYTES", json!([-1]))],
            "outputs": [
                tensor("intent", "BYTES", json!([-1])),
                tensor("confidence", "FP64", json!([-1])),
                tensor("fallback", "BOOL", json!([-1])),
                tensor("probabilities", "FP64", json!([-1, served.intents.len()])),
            ],
            "parameters": {"intents": served.intents.iter().map(|it| &**it).collect::<Vec<_>>()},
        });
        let version = served.version.as_ref().and_then(|version| exchange.shown(version.number));
        if let Some(number) = version {
            metadata["versions"] = json!([number.to_string()]);
        }
        metadata
    })
    .await
}

/// Answers `GET /v2/models/{model}/ready`, and with a version.
pub(super) async fn model_ready(
    state: State<Arc<App>>,
    caller: Extension<PublicCaller>,
    named: Path<Named>,
) -> Response {
    describe(state, caller, named, |_, _, model| json!({"name": model, "ready": true})).await
}

/// Answers with what `write` makes of the champion, if the path names it.
async fn describe(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    Path(named): Path<Named>,
    write: impl FnOnce(&Served, &Exchange<'_>, &str) -> Value,
) -> Response {
    let exchange = Exchange::with(&app, "predict", &caller);
    let found = check_named(&exchange, &named).and_then(|()| {
        let routing = exchange.routing()?;
        if let Some(version) = &named.version {
            check_version(&routing.primary, version)?;
        }
        Ok(write(&routing.primary, &exchange, &named.model))
    });
    match found {
        Ok(value) => exchange.reply(StatusCode::OK, &value),
        Err(problem) => exchange.refuse(problem, None),
    }
}

/// Answers `POST /v2/models/{model}/infer`, and with a version.
pub(super) async fn infer(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    Path(named): Path<Named>,
    request: Request,
) -> Response {
    let exchange = Exchange::with(&app, "predict", &caller);
    let answered = async {
        check_named(&exchange, &named)?;
        let json_length = json_length(request.headers())?;
        let body = whole_body(request, app.sizes.body("predict")).await?;
        answer(&exchange, &named, &body, json_length).await
    };
    match answered.await {
        Ok(response) => response,
        Err(Refusal(problem, arm)) => exchange.refuse(problem, arm),
    }
}

/// Checks that a path names the model of this server, and a version only for callers who may see versions.
fn check_named(exchange: &Exchange<'_>, named: &Named) -> Result<(), Problem> {
    if named.model != exchange.app.model {
        let shown = botops_text::display(&named.model, 80);
        let fault = Fault::usage("BOT-6170", format!("this server has no model `{shown}`"))
            .hint(format!("its model is `{}`", exchange.app.model));
        return Err(Problem::new(StatusCode::NOT_FOUND, fault));
    }
    if named.version.is_some() && exchange.shown(()).is_none() {
        let message = "to name a version needs the scope `read`";
        return Err(Fault::policy("BOT-1046", message).hint("leave the version out").into());
    }
    Ok(())
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    let Some(sent) = headers.get(JSON_LENGTH) else { return Ok(None) };
    let length = sent.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| {
        let fault = Fault::usage("BOT-6173", "`Inference-Header-Content-Length` is not a number");
        Problem::new(StatusCode::BAD_REQUEST, fault)
    })
}

async fn answer(
    exchange: &Exchange<'_>,
    named: &Named,
    body: &[u8],
    json_length: Option<usize>,
) -> Result<Response, Refusal> {
    let (json, mut after) =
        body.split_at_checked(json_length.unwrap_or(body.len())).ok_or_else(|| {
            unfit(
                "BOT-6173",
                Field::Body,
                "the body is shorter than `Inference-Header-Content-Length`",
            )
        })?;
    let request: InferRequest = parse_within(json, exchange.app.sizes.depth)?;
    if let Some(key) = request
        .parameters
        .keys()
        .find(|key| !["conversation_id", "binary_data_output"].contains(&key.as_str()))
    {
        let shown = botops_text::display(key, 40);
        let message = format!("the parameter `{shown}` is not supported");
        return Err(unfit("BOT-6173", Field::Named("parameters"), message).into());
    }
    let conversation = request.parameters.get("conversation_id");
    let conversation = conversation.map(|id| {
        let message = format!("`conversation_id` is not a text of 1 to {MAX_ID_BYTES} bytes");
        id.as_str().ok_or_else(|| unfit("BOT-6173", Field::Named("parameters"), message))
    });
    let conversation = conversation.transpose()?;
    let wanted = wanted(&request)?;
    let [input] = &request.inputs[..] else {
        return Err(unfit("BOT-6173", INPUTS, "the model has one input: `text`").into());
    };
    if input.name != TEXT {
        return Err(unfit("BOT-6173", INPUTS, "the input of the model is `text`").into());
    }
    let texts = input.texts(&mut after).map_err(|message| unfit("BOT-6173", INPUTS, message))?;
    if !after.is_empty() {
        let message = "there is more data after the JSON than the inputs have";
        return Err(unfit("BOT-6173", INPUTS, message).into());
    }
    let most = exchange.app.sizes.texts;
    if texts.is_empty() {
        return Err(unfit("BOT-6015", INPUTS, "`text` is empty").into());
    }
    if texts.len() > most {
        let message = format!("`text` holds more than {most} texts");
        return Err(unfit("BOT-6014", INPUTS, message).into());
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let asked = Asked {
        texts: &texts,
        whole: INPUTS,
        place: &|_| INPUTS,
        conversation,
        version: named.version.as_deref(),
    };
    let all = wanted.iter().any(|(name, _)| *name == "probabilities");
    let read = |_: &Served, _: &Prediction, proba: &[f64]| all.then(|| proba.to_vec());
    let mut length = None;
    let write = |classified: &Classified<'_, _>| {
        let (json, after) = written(classified, (named, request.id.as_deref()), &wanted);
        length = after.as_ref().map(|_| json.len());
        [json, after.unwrap_or_default()].concat()
    };
    let mut response = classify(exchange, &asked, read, write).await?;
    if let Some(length) = length {
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static(crate::media_type::TENSORS);
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(JSON_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

/// Returns the wanted outputs, each with whether its data comes after the JSON.
fn wanted(request: &InferRequest) -> Result<Vec<(&'static str, bool)>, Problem> {
    let at = Field::Named("outputs");
    let truth = |parameters: &Map<String, Value>, name: &str, place| match parameters.get(name) {
        None => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(*truth)),
        Some(_) => Err(unfit("BOT-6173", place, format!("`{name}` is neither `true` nor `false`"))),
    };
    let all = truth(&request.parameters, "binary_data_output", Field::Named("parameters"))?;
    let all = all.unwrap_or_default();
    let Some(outputs) = &request.outputs else {
        return Ok(OUTPUTS[..3].iter().map(|name| (*name, all)).collect());
    };
    let mut wanted: Vec<(&'static str, bool)> = Vec::new();
    for output in outputs {
        let shown = botops_text::display(&output.name, 40);
        let Some(name) = OUTPUTS.into_iter().find(|name| *name == output.name) else {
            let message = format!(
                "the model has no output `{shown}`: it has `intent`, `confidence`, `fallback` and `probabilities`"
            );
            return Err(unfit("BOT-6173", at, message));
        };
        if wanted.iter().any(|(known, _)| *known == name) {
            return Err(unfit("BOT-6173", at, format!("the output `{shown}` is named twice")));
        }
        if let Some(key) = output.parameters.keys().find(|key| *key != "binary_data") {
            let key = botops_text::display(key, 40);
            let message = format!("the output `{shown}` has no parameter `{key}`");
            return Err(unfit("BOT-6173", at, message));
        }
        wanted.push((name, truth(&output.parameters, "binary_data", at)?.unwrap_or(all)));
    }
    Ok(wanted)
}

/// Returns the answer: its JSON, and the data after it, if an output wants that.
fn written(
    classified: &Classified<'_, Option<Vec<f64>>>,
    (named, id): (&Named, Option<&str>),
    wanted: &[(&'static str, bool)],
) -> (Vec<u8>, Option<Vec<u8>>) {
    let exchange = classified.attempt.exchange;
    let served = classified.attempt.choice.served;
    let all = &classified.predictions;
    let mut after = wanted.iter().any(|(_, is_binary)| *is_binary).then(Vec::new);
    let tensor = |name: &'static str| {
        let mut parameters = Map::new();
        let mut shape = vec![all.len()];
        let data = match name {
            "intent" => {
                let name = |(it, _): &(Prediction, _)| served.intents[it.intent].to_string();
                OutputData::Bytes(all.iter().map(name).collect())
            }
            "confidence" => OutputData::Fp64(all.iter().map(|(it, _)| it.confidence).collect()),
            "fallback" => OutputData::Bool(all.iter().map(|(it, _)| it.fallback).collect()),
            _ => {
                shape.push(served.intents.len());
                let names: Vec<&str> = served.intents.iter().map(|it| &**it).collect();
                parameters.insert("intents".to_owned(), json!(names));
                let rows = all.iter().filter_map(|(_, proba)| proba.as_deref());
                OutputData::Fp64(rows.flatten().copied().collect())
            }
        };
        OutputTensor { name, shape, data, parameters }
    };
    let outputs: Vec<Value> = wanted
        .iter()
        .map(|(name, is_binary)| tensor(name).write(after.as_mut().filter(|_| *is_binary)))
        .collect();
    let mut parameters = json!({"request_id": exchange.id.to_string()});
    if let Some(token) = &classified.feedback_token {
        parameters["feedback_token"] = json!(token);
    }
    let mut answer =
        json!({"model_name": named.model, "outputs": outputs, "parameters": parameters});
    if let Some(id) = id {
        answer["id"] = json!(id);
    }
    let version = served.version.as_ref().and_then(|version| exchange.shown(version.number));
    if let Some(number) = version {
        answer["model_version"] = json!(number.to_string());
    }
    (serde_json::to_vec(&answer).expect("an answer can be written as JSON"), after)
}

/// Adds the member `error` of the protocol to an answer with a problem document.
pub(super) async fn with_error(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/problem+json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut document: Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
    let detail = document.get("detail").cloned().unwrap_or_default();
    document.insert("error".to_owned(), detail);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::Object(document).to_string()))
}
