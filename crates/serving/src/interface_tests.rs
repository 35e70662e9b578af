//! Other protocols and batches: packed bodies, lines, the Open Inference Protocol, and the shapes of Rasa.

use super::{
    PublicSettings, Running, ServerSettings, Sizes, Source,
    client::http,
    start,
    tests::{model, settings},
};
use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::{io::Write as _, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

async fn serve(sizes: Sizes) -> Running {
    let public = PublicSettings { sizes, ..PublicSettings::default() };
    serve_with(ServerSettings { public, ..settings() }).await
}

async fn serve_with(settings: ServerSettings) -> Running {
    let model = model();
    let digest = Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support".to_owned() };
    start(settings, source).await.unwrap()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Posts `body` and returns the status, the content type and the body of the answer.
async fn post(
    running: &Running,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> (u16, String, Vec<u8>) {
    let mut request = http().unwrap().post(format!("{}{path}", running.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(body.into()).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind, answer.bytes().await.unwrap().to_vec())
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn lines_of(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the confidence of the intent of `text`, as the model gives it.
fn confidence(model: &IntentModel, text: &str) -> f64 {
    model.predict(text).confidence
}

#[tokio::test]
async fn a_packed_body_gets_the_answer_of_a_plain_one() {
    let running = serve(Sizes::default()).await;
    let text = r#"{"texts": ["red apple", "a bus"]}"#;
    let (status, _, plain) = post(&running, "/v1/predict", &[], text).await;
    assert_eq!(status, 200);
    let gzip = [("content-encoding", "gzip")];
    let (status, _, answer) = post(&running, "/v1/predict", &gzip, packed(text)).await;
    assert_eq!(status, 200);
    assert_eq!(json_of(&answer)["predictions"], json_of(&plain)["predictions"]);
    let bomb = packed(&" ".repeat(1 << 20));
    assert!(bomb.len() < 60_000);
    let (status, _, answer) = post(&running, "/v1/predict", &gzip, bomb).await;
    assert_eq!((status, &json_of(&answer)["code"]), (413, &json!("BOT-6014")));
    let (status, _, answer) = post(&running, "/v1/predict", &gzip, text).await;
    assert_eq!((status, &json_of(&answer)["code"]), (400, &json!("BOT-6012")));
    let other = [("content-encoding", "br")];
    let (status, _, answer) = post(&running, "/v1/predict", &other, text).await;
    assert_eq!((status, &json_of(&answer)["code"]), (415, &json!("BOT-6171")));
    running.shutdown().await;
}

#[tokio::test]
async fn each_line_of_a_batch_is_answered_in_order_and_a_wrong_one_does_not_end_it() {
    let running = serve(Sizes { body_bytes: [("predict".into(), 64)].into(), ..Sizes::default() });
    let running = running.await;
    let long = format!(r#"{{"text": "{}"}}"#, "a".repeat(100));
    let batch = [
        r#"{"text": "red apple"}"#,
        "",
        "{",
        r#"{"text": "a bus", "top_k": 1}"#,
        &long,
        r#"{"txt": "a"}"#,
        r#"  {"texts": ["a car", "red fig"]}  "#,
    ];
    let model = model();
    let lines = [("content-type", "application/x-ndjson")];
    let packed_lines = [lines[0], ("content-encoding", "gzip")];
    for end in ["", "\n", "\r\n\r\n"] {
        let text = batch.join("\n") + end;
        for (headers, body) in
            [(&lines[..], text.clone().into_bytes()), (&packed_lines[..], packed(&text))]
        {
            let (status, kind, answer) = post(&running, "/v1/predict", headers, body).await;
            assert_eq!((status, kind.as_str()), (200, "application/x-ndjson"));
            let answers = lines_of(&answer);
            let seen: Vec<_> = answers
                .iter()
                .map(|one| (one["line"].as_u64(), one["code"].as_str().unwrap_or_default()))
                .collect();
            let expected = [
                (None, ""),
                (Some(3), "BOT-6012"),
                (None, ""),
                (Some(5), "BOT-6014"),
                (Some(6), "BOT-6013"),
                (None, ""),
            ];
            assert_eq!(seen, expected, "{answers:?}");
            let of = |answer: usize, text: usize| {
                answers[answer]["predictions"][text]["confidence"].as_f64().unwrap()
            };
            assert_eq!(of(0, 0), confidence(&model, "red apple"));
            assert_eq!(of(5, 1), confidence(&model, "red fig"));
            assert_eq!(answers[2]["predictions"][0]["scores"][0]["intent"], "vehicle");
            assert_ne!(answers[0]["request_id"], answers[2]["request_id"]);
            assert!(answers[0]["feedback_token"].is_string());
        }
    }
    let broken = &packed(&batch.join("\n"))[..60];
    let (_, _, answer) = post(&running, "/v1/predict", &packed_lines, broken).await;
    assert_eq!(lines_of(&answer).last().unwrap()["code"], "BOT-6012", "it is cut off");
    let (status, ..) = post(&running, "/v1/chat", &lines, r#"{"text": "red apple"}"#).await;
    assert_eq!(status, 415, "lines are for predictions");
    running.shutdown().await;
}

#[tokio::test]
async fn the_lines_of_a_batch_are_answered_while_it_is_sent() {
    let running = serve(Sizes::default()).await;
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let head = "POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    for n in 1..=3 {
        let line = format!("{{\"text\": \"red apple {n}\"}}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        stream.write_all(chunk.as_bytes()).await.unwrap();
        while seen.matches("request_id").count() < n {
            let mut buffer = [0; 4_096];
            let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
            let read = read.expect("an answer comes before the next line").unwrap();
            assert!(read > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    // The connection is used again.
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    stream.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen.matches("HTTP/1.1 200").count(), 2, "{seen}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_no_answers_is_not_read_from() {
    let running = serve(Sizes::default()).await;
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let head = "POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let lines = "{\"text\": \"red apple\"}\n".repeat(1_000);
    let chunk = format!("{:x}\r\n{lines}\r\n", lines.len());
    // Far more than the buffers of the system, in both directions.
    let mut sent = 0;
    let stuck = loop {
        if timeout(Duration::from_secs(2), stream.write_all(chunk.as_bytes())).await.is_err() {
            break true;
        }
        sent += lines.len();
        if sent > 64 << 20 {
            break false;
        }
    };
    assert!(stuck, "{sent} bytes were read");
    drop(stream);
    running.shutdown().await;
}

fn infer(extra: Value) -> Value {
    let mut request = json!({
        "inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["red apple", "a bus"]}],
    });
    let Value::Object(members) = extra else { panic!("an object") };
    request.as_object_mut().unwrap().extend(members);
    request
}

#[tokio::test]
async fn the_open_inference_protocol_gives_the_predictions_of_the_model() {
    let running = serve(Sizes::default()).await;
    let get = async |path: &str| {
        let answer = http().unwrap().get(format!("{}{path}", running.url())).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(get("/v2").await.1["name"], "botops");
    assert_eq!(get("/v2/health/live").await, (200, json!({"live": true})));
    assert_eq!(get("/v2/health/ready").await, (200, json!({"ready": true})));
    assert_eq!(get("/v2/models/support/ready").await.0, 200);
    let (status, metadata) = get("/v2/models/support").await;
    assert_eq!((status, &metadata["outputs"][3]["shape"]), (200, &json!([-1, 2])));
    assert!(metadata.get("versions").is_none(), "everyone is no reader of versions");
    let (status, problem) = get("/v2/models/other").await;
    assert_eq!((status, &problem["code"]), (404, &json!("BOT-6170")));
    assert_eq!(problem["error"], problem["detail"]);
    assert_eq!(get("/v2/models/support/versions/1").await.0, 403);

    let path = "/v2/models/support/infer";
    let (status, _, answer) =
        post(&running, path, &[], infer(json!({"id": "7"})).to_string()).await;
    let answer = json_of(&answer);
    assert_eq!((status, &answer["id"]), (200, &json!("7")));
    assert_eq!(answer["model_name"], "support");
    let model = model();
    let expected = [confidence(&model, "red apple"), confidence(&model, "a bus")];
    let output = |name: &str| {
        let outputs = answer["outputs"].as_array().unwrap().clone();
        outputs.into_iter().find(|output| output["name"] == name)
    };
    assert_eq!(output("intent").unwrap()["data"], json!(["fruit", "vehicle"]));
    assert_eq!(output("confidence").unwrap()["data"], json!(expected));
    assert_eq!(output("probabilities"), None, "only if it is asked for");

    let wanted = json!({"outputs": [{"name": "probabilities", "parameters": {"binary_data": true}}, {"name": "intent"}]});
    let (_, kind, answer) = post(&running, path, &[], infer(wanted).to_string()).await;
    assert_eq!(kind, "application/octet-stream");
    let json = json_of(&answer[..answer.len() - 32]);
    assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 32);
    assert_eq!(json["outputs"][0]["parameters"]["intents"], json!(["fruit", "vehicle"]));
    let first = f64::from_le_bytes(answer[answer.len() - 32..][..8].try_into().unwrap());
    assert_eq!(first, expected[0]);
    running.shutdown().await;
}

#[tokio::test]
async fn a_request_of_the_protocol_that_cannot_be_answered_names_the_reason() {
    let running = serve(Sizes { texts: 2, ..Sizes::default() }).await;
    let path = "/v2/models/support/infer";
    let text = |data: Value| json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": data}]});
    for (request, status, code) in [
        (infer(json!({"parameters": {"sequence_id": 3}})), 422, "BOT-6173"),
        (infer(json!({"parameters": {"conversation_id": 3}})), 422, "BOT-6173"),
        (infer(json!({"outputs": [{"name": "label"}]})), 422, "BOT-6173"),
        (infer(json!({"outputs": [{"name": "intent"}, {"name": "intent"}]})), 422, "BOT-6173"),
        (
            infer(json!({"outputs": [{"name": "intent", "parameters": {"classification": 2}}]})),
            422,
            "BOT-6173",
        ),
        (infer(json!({"inputs": []})), 422, "BOT-6173"),
        (infer(json!({"other": 1})), 422, "BOT-6013"),
        (text(json!([""])), 422, "BOT-6015"),
        (text(json!([1])), 422, "BOT-6173"),
        (
            json!({"inputs": [{"name": "text", "shape": [0], "datatype": "BYTES", "data": []}]}),
            422,
            "BOT-6015",
        ),
        (
            json!({"inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": ["a", "b", "c"]}]}),
            422,
            "BOT-6014",
        ),
        (
            json!({"inputs": [{"name": "text", "shape": [1], "datatype": "FP32", "data": [1]}]}),
            422,
            "BOT-6173",
        ),
    ] {
        let (found, _, answer) = post(&running, path, &[], request.to_string()).await;
        let answer = json_of(&answer);
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{request} {answer}");
        assert_eq!(answer["error"], answer["detail"]);
    }
    let header = [("inference-header-content-length", "9999")];
    let (status, ..) = post(&running, path, &header, infer(json!({})).to_string()).await;
    assert_eq!(status, 422);
    let (status, _, answer) = post(&running, "/v2/models/other/infer", &[], "{}").await;
    assert_eq!((status, &json_of(&answer)["code"]), (404, &json!("BOT-6170")));
    running.shutdown().await;
}

#[tokio::test]
async fn a_client_of_rasa_gets_intents_and_a_ranking() {
    let running = serve(Sizes::default()).await;
    let request = json!({"text": "red apple", "message_id": "m"});
    let (status, _, answer) = post(&running, "/model/parse", &[], request.to_string()).await;
    let answer = json_of(&answer);
    assert_eq!(status, 200, "{answer}");
    let expected = confidence(&model(), "red apple");
    assert_eq!(answer["intent"], json!({"name": "fruit", "confidence": expected}));
    assert_eq!(answer["intent_ranking"][0], answer["intent"]);
    assert_eq!(answer["intent_ranking"].as_array().unwrap().len(), 2);
    assert_eq!((&answer["text"], &answer["entities"]), (&json!("red apple"), &json!([])));
    assert_eq!(answer["message_id"], "m");
    let (_, _, answer) = post(&running, "/model/parse", &[], r#"{"text": "xyzzy"}"#).await;
    let answer = json_of(&answer);
    assert_eq!(answer["intent"]["name"], "nlu_fallback", "{answer}");
    assert_eq!(answer["intent_ranking"].as_array().unwrap().len(), 3);
    for (path, body, status) in [
        ("/model/parse?emulation_mode=LUIS", r#"{"text": "a"}"#, 422),
        ("/model/parse", r#"{"text": ""}"#, 422),
        ("/model/parse", r#"{"text": "a", "x": 1}"#, 422),
    ] {
        assert_eq!(post(&running, path, &[], body).await.0, status, "{path} {body}");
    }
    running.shutdown().await;
}

/// A bot whose response to `fruit` has a button for `vehicle`.
fn with_buttons() -> IntentModel {
    let fruit = ["red apple", "red pear", "red plum", "red fig", "red lime", "red kiwi"];
    let vehicle = ["a car", "a bus", "a van", "a bike", "a tram", "a ship"];
    let samples: Vec<Sample<'_>> = fruit
        .iter()
        .map(|text| Sample { text, intent: "fruit" })
        .chain(vehicle.iter().map(|text| Sample { text, intent: "vehicle" }))
        .collect();
    let dialogue: DialogueSpec = serde_json::from_value(json!({
        "responses": {
            "fruit": {"en": [{"text": "Ripe!", "buttons": [{"title": "Drive", "payload": "vehicle"}]}]},
            "vehicle": {"en": "It drives."},
        },
        "fallback": {"en": "Sorry?"},
    }))
    .unwrap();
    let spec = ModelSpec::default().check().unwrap();
    let input = TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) };
    train(input, &Silent).unwrap()
}

#[tokio::test]
async fn the_rest_channel_of_rasa_gets_messages_with_buttons_and_sends_their_payloads() {
    let source = Source::File {
        model: Box::new(with_buttons()),
        digest: Digest::of(b"a"),
        name: "support".to_owned(),
    };
    let running = start(settings(), source).await.unwrap();
    let path = "/webhooks/rest/webhook";
    let send = async |message: &str| {
        let body = json!({"sender": "c", "message": message}).to_string();
        let (status, _, answer) = post(&running, path, &[], body).await;
        assert_eq!(status, 200, "{}", json_of(&answer));
        json_of(&answer)
    };
    let buttons = json!([{"title": "Drive", "payload": "/vehicle"}]);
    let expected = json!([{"recipient_id": "c", "text": "Ripe!", "buttons": buttons}]);
    assert_eq!(send("red apple").await, expected);
    assert_eq!(send("/vehicle").await, json!([{"recipient_id": "c", "text": "It drives."}]));
    assert_eq!(send("xyzzy").await, json!([{"recipient_id": "c", "text": "Sorry?"}]));
    for (path, body, status) in [
        ("/webhooks/rest/webhook?stream=true", r#"{"sender": "c", "message": "hi"}"#, 422),
        (path, r#"{"sender": "", "message": "hi"}"#, 422),
        (path, r#"{"sender": "c", "message": ""}"#, 422),
        (path, r#"{"sender": "c"}"#, 422),
    ] {
        assert_eq!(post(&running, path, &[], body).await.0, status, "{path} {body}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let running = serve(Sizes::default()).await;
    let get = async |path: &str| {
        http().unwrap().get(format!("{}{path}", running.url())).send().await.unwrap()
    };
    let document = get("/openapi.json").await;
    assert_eq!(document.headers()["content-type"], "application/json");
    assert_eq!(document.text().await.unwrap(), crate::public_openapi());
    let page = get("/docs").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(page.text().await.unwrap().contains("<code>/v1/predict</code>"));
    running.shutdown().await;
}
