//! The public listener: predict, chat, feedback, health, metrics, and refusals.

use super::{
    assert_number, corpus, get, http, model, post, post_seeing, readiness, serve_file, settings,
    unchanged,
};
use crate::confidence::messages;
use botops_findings::FaultKind;
use botops_models::{
    ConformalSpec, FallbackSpec, IntentModel, ModelSpec, Sample, Scratch, Silent, TrainingInput,
    confidence::ScoreChoice, train,
};
use botops_serving::{Source, start};
use botops_spec::Spec as _;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_text_and_many_get_the_predictions_of_the_model() {
    let (running, digest) = serve_file(model(160, 1, unchanged)).await;
    let model = model(160, 1, unchanged);
    let texts: Vec<String> = corpus(40, 7).into_iter().map(|(text, _)| text).collect();
    let request = json!({"texts": texts, "top_k": 3});
    let answer = post_seeing(&running, "/v1/predict", &request).await;
    assert_eq!(answer.headers()["x-botops-model"], "support.botops");
    assert_eq!(answer.headers()["x-botops-arm"], "primary");
    assert_eq!(answer.headers()["x-botops-digest"], digest.to_string().as_str());
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["request_id"], id);
    assert_eq!(body["digest"], digest.to_string());
    let predictions = body["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), texts.len());
    for (text, got) in texts.iter().zip(predictions) {
        let want = model.predict(text);
        assert_eq!(got["intent"], model.labels().name(want.intent));
        assert_number(&got["confidence"], want.confidence, text);
        assert_eq!(got["fallback"], want.fallback);
        let scores = got["scores"].as_array().unwrap();
        assert_eq!(scores.len(), 3);
        assert_eq!(scores[0]["intent"], got["intent"]);
        assert!(scores[1]["confidence"].as_f64() >= scores[2]["confidence"].as_f64());
    }
    let one: Value =
        post(&running, "/v1/predict", &json!({"text": texts[0]})).await.json().await.unwrap();
    assert_eq!(one["predictions"][0]["confidence"], predictions[0]["confidence"]);
    assert!(one["predictions"][0].get("scores").is_none());
    assert_ne!(one["request_id"], id);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_applies_the_threshold_and_the_sets_from_training() {
    let learned = messages(160, 1);
    let samples: Vec<Sample<'_>> =
        learned.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let fallback = FallbackSpec {
        target_accuracy: Some(0.85),
        score: ScoreChoice::OosClass,
        ..FallbackSpec::default()
    };
    let conformal = Some(ConformalSpec { alpha: 0.2, ..ConformalSpec::default() });
    let spec = ModelSpec { fallback, conformal, ..ModelSpec::default() };
    let model = train(TrainingInput::new(&samples, &spec.check().unwrap()), &Silent);
    // The server gets a model that was read back from its file.
    let model = IntentModel::from_bytes(&model.unwrap().to_bytes()).unwrap();
    let served = IntentModel::from_bytes(&model.to_bytes()).unwrap();
    let rule = model.fallback();
    let (running, _) = serve_file(served).await;
    let texts: Vec<String> = messages(60, 2).into_iter().map(|(text, _)| text).collect();
    let body: Value =
        post(&running, "/v1/predict", &json!({"texts": texts})).await.json().await.unwrap();
    let mut scratch = Scratch::default();
    let (mut declined_though_sure, mut sizes) = (0, std::collections::BTreeSet::new());
    for (text, got) in texts.iter().zip(body["predictions"].as_array().unwrap()) {
        let want = model.predict_with(text, &mut scratch);
        assert_eq!(got["fallback"], want.score < rule.threshold, "{text}");
        declined_though_sure += u32::from(want.fallback && want.confidence >= 0.35);
        let set = model.prediction_set(scratch.proba()).unwrap();
        let names: Vec<&str> = set.into_iter().map(|i| model.labels().name(i)).collect();
        assert_eq!(got["prediction_set"], json!(names), "{text}");
        sizes.insert(names.len());
        let chat: Value =
            post(&running, "/v1/chat", &json!({"text": text})).await.json().await.unwrap();
        assert_eq!(chat["fallback"], want.fallback, "{text}");
    }
    assert!(declined_though_sure > 10, "{declined_though_sure}");
    assert!(sizes.len() > 1, "{sizes:?}");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_gets_a_response_with_its_entities() {
    let (running, _) = serve_file(model(160, 1, unchanged)).await;
    let message = json!({"conversation_id": "c", "text": "my parcel #4711 delivery tracking"});
    let answer: Value = post(&running, "/v1/chat", &message).await.json().await.unwrap();
    assert_eq!(answer["intent"], "parcel");
    assert_eq!(answer["response"], "Your parcel is on its way.");
    assert_eq!(answer["language"], "en");
    assert_eq!(answer["fallback"], false);
    assert_eq!(answer["entities"][0]["entity"], "order");
    assert_eq!(answer["entities"][0]["value"], "4711");
    let gibberish = json!({"text": "xyzzy"});
    let answer: Value = post(&running, "/v1/chat", &gibberish).await.json().await.unwrap();
    assert_eq!((&answer["fallback"], &answer["response"]), (&json!(true), &json!("Sorry?")));
    // An intent that was understood and has no response is not a fallback.
    let silent = json!({"text": "my invoice charged bill payment receipt amount"});
    let silent: Value = post(&running, "/v1/chat", &silent).await.json().await.unwrap();
    assert_eq!((&silent["intent"], &silent["fallback"]), (&json!("invoice"), &json!(false)));
    assert_eq!((&silent["response"], &silent["language"]), (&Value::Null, &Value::Null));
    // Without a canary there is nothing to judge. Nobody else can make a token.
    let token = answer["feedback_token"].as_str().unwrap();
    for (feedback, outcome) in [
        (json!({"token": token, "intent": "parcel"}), "noted"),
        (json!({"token": token.to_lowercase(), "intent": "parcel"}), "unknown"),
        (json!({"token": token, "correct": false}), "noted"),
        (json!({"token": token.to_lowercase(), "correct": true}), "unknown"),
        (json!({"request_id": answer["request_id"], "intent": "parcel"}), "noted"),
        (json!({"conversation_id": "c", "intent": "parcel"}), "noted"),
    ] {
        let answer = post(&running, "/v1/feedback", &feedback).await;
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.json::<Value>().await.unwrap()["outcome"], outcome, "{feedback}");
    }
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_gets_a_problem_document() {
    let (running, _) = serve_file(model(160, 1, unchanged)).await;
    let url = |path: &str| format!("http://{}{path}", running.address());
    let client = http();
    let long = "a".repeat(5_001);
    let large = format!("{{\"text\": \"{}\"}}", "a".repeat(70 << 10));
    let cases: [(&str, String, u16, &str, Option<&str>); 14] = [
        ("/v1/predict", "{\"text\": ".to_owned(), 400, "BOT-6012", None),
        ("/v1/predict", String::new(), 400, "BOT-6012", None),
        ("/v1/predict", "\u{1}".to_owned(), 400, "BOT-6012", None),
        ("/v1/predict", "{\"text\": 3}".to_owned(), 422, "BOT-6013", Some("/text")),
        ("/v1/predict", "{\"txt\": \"a\"}".to_owned(), 422, "BOT-6013", Some("/txt")),
        ("/v1/predict", "{}".to_owned(), 422, "BOT-6013", Some("")),
        ("/v1/predict", "{\"text\": \"a\", \"texts\": []}".to_owned(), 422, "BOT-6013", Some("")),
        ("/v1/predict", "{\"texts\": []}".to_owned(), 422, "BOT-6015", Some("/texts")),
        ("/v1/predict", "{\"text\": \" \\n\"}".to_owned(), 422, "BOT-6015", Some("/text")),
        ("/v1/chat", json!({"text": long}).to_string(), 422, "BOT-6015", Some("/text")),
        (
            "/v1/chat",
            json!({"text": "a", "conversation_id": ""}).to_string(),
            422,
            "BOT-6013",
            Some("/conversation_id"),
        ),
        ("/v1/feedback", "{\"intent\": \"oos\"}".to_owned(), 422, "BOT-6013", Some("")),
        ("/v1/predict", "{\"texts\": [\"a\", \"\"]}".to_owned(), 422, "BOT-6015", Some("/texts/1")),
        ("/v1/predict", large, 413, "BOT-6014", None),
    ];
    for (path, body, status, code, pointer) in cases {
        let answer = client.post(url(path)).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {body:.40}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(answer.headers().contains_key("x-request-id"));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{path} {body:.40}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:botops:{code}"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert_eq!(problem["errors"][0]["pointer"].as_str(), pointer, "{path} {body:.40}");
        assert_eq!(
            problem["errors"][0]["message"].as_str(),
            pointer.and(problem["detail"].as_str())
        );
    }
    let answer = client.get(url("/v1/nothing")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-6016");
    let answer = client.get(url("/v1/predict")).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-6017");
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_well_formed_and_contain_no_user_text() {
    let (running, digest) = serve_file(model(160, 1, unchanged)).await;
    for text in ["zanzibar parcel delivery", "xyzzy"] {
        let body = json!({"text": text, "conversation_id": "quetzal"});
        assert_eq!(post(&running, "/v1/predict", &body).await.status(), 200);
    }
    post(&running, "/v1/predict", &json!({"text": ""})).await;
    let (status, text) = get(&running, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"));
    let mut types = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            assert!(types.insert(declared.split(' ').next().unwrap()), "{line} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = name.split('{').next().unwrap();
            let known = types.iter().any(|declared| name.starts_with(declared));
            assert!(known && name.starts_with("botops_"), "{line} was not declared");
        }
    }
    for line in [
        "botops_requests_total{model=\"support.botops\",arm=\"primary\",code=\"200\"} 2".to_owned(),
        "botops_requests_total{model=\"support.botops\",arm=\"none\",code=\"422\"} 1".to_owned(),
        "botops_request_seconds_count{model=\"support.botops\",arm=\"primary\"} 2".to_owned(),
        "botops_fallback_total{model=\"support.botops\",arm=\"primary\"} 1".to_owned(),
        format!("arm=\"primary\",digest=\"{digest}\"}} 1"),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("zanzibar") && !text.contains("quetzal"));
    assert_eq!(get(&running, "/health").await.0, 200);
    let (status, ready) = get(&running, "/readiness").await;
    assert_eq!(status, 200);
    assert!(!ready.contains(&digest.to_string()), "{ready}");
    assert_eq!(readiness(&running).await["digest"], digest.to_string());
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let (running, digest) = serve_file(model(160, 1, unchanged)).await;
    let taken = running.address();
    let mut settings = settings(false);
    settings.listen = taken;
    let source = Source::File {
        model: Box::new(model(160, 1, unchanged)),
        digest,
        name: "again".to_owned(),
    };
    let fault = start(settings, source).await.err().unwrap();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6010", FaultKind::Internal));
    assert!(fault.message().contains(&taken.to_string()));
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_reaches_no_endpoint() {
    let (running, _) = serve_file(model(160, 1, unchanged)).await;
    let body = "{\"text\": \"where is my parcel\"}";
    let public = format!("http://{}/v1/chat", running.address());
    let admin = format!(
        "http://{}/admin/v1/models/support.botops/rollback",
        running.admin_address().unwrap()
    );
    for url in [&public, &admin] {
        // The types that a browser sends without asking the server first.
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let request = http().post(url).header("content-type", kind).body(body);
            let answer = request.bearer_auth(super::TOKEN).send().await.unwrap();
            assert_eq!(answer.status(), 415, "{kind}");
            assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-1036");
        }
        let request = http().post(url).header("origin", "https://evil.example").body(body);
        assert_eq!(request.send().await.unwrap().status(), 415, "no type, but from a page");
        // A name of the page that points to this machine.
        let request = http().post(url).header("host", "evil.example:8080");
        let answer = request.json(&json!({"text": "a"})).send().await.unwrap();
        assert_eq!(answer.status(), 421);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "BOT-1035");
    }
    let request = http().post(&public).header("content-type", "application/json; charset=utf-8");
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    running.shutdown().await;

    let named = botops_serving::ServerSettings {
        allowed_hosts: vec!["Bots.example".to_owned()],
        ..settings(false)
    };
    let model = model(160, 1, unchanged);
    let digest = botops_digest::Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support".to_owned() };
    let running = start(named, source).await.unwrap();
    let url = format!("http://{}/health", running.address());
    for (host, status) in [("bots.example", 200), ("localhost:1", 200), ("other.example", 421)] {
        let answer = http().get(&url).header("host", host).send().await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
    running.shutdown().await;
}

#[test]
fn clients_see_the_name_of_a_served_file_and_not_its_path() {
    let folder = crate::support::Folder::empty();
    folder.write("private-place/support.botops", super::models()[0].to_bytes());
    let path = folder.path().join("private-place/support.botops");
    let anywhere = "127.0.0.1:0";
    let arguments =
        ["serve", path.to_str().unwrap(), "--listen", anywhere, "--admin-listen", anywhere];
    let mut command = folder.botops(arguments);
    let mut server =
        command.env("BOTOPS_ADMIN_TOKEN", super::TOKEN).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit("http://").next().unwrap().to_owned();
    let body = "{\"text\": \"where is my parcel\"}";
    let mut shown = String::new();
    for request in [
        "GET /readiness HTTP/1.0\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.0\r\n\r\n".to_owned(),
        format!(
            "POST /v1/predict HTTP/1.0\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            super::TOKEN,
            body.len()
        ),
    ] {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        std::io::Read::read_to_string(&mut stream, &mut shown).unwrap();
    }
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(shown.contains("\"model\":\"support.botops\""), "{shown}");
    assert!(!shown.contains("private-place"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_method_is_not_repeated() {
    let (running, _) = serve_file(model(160, 1, unchanged)).await;
    let method = reqwest::Method::from_bytes("M".repeat(70_000).as_bytes()).unwrap();
    let url = format!("http://{}/v1/predict", running.address());
    let answer = http().request(method, url).send().await.unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    assert!(answer.text().await.unwrap().len() < 1_000);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_finishes_the_request_in_flight_and_accepts_no_other() {
    let (running, _) = serve_file(model(160, 1, unchanged)).await;
    let address = running.address();
    let body = "{\"text\": \"where is my parcel\"}";
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let shutdown = tokio::spawn(running.shutdown());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!shutdown.is_finished(), "a request is still in flight");
    assert!(TcpStream::connect(address).await.is_err(), "it still accepts");
    stream.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"intent\":\"parcel\""), "{answer}");
    tokio::time::timeout(std::time::Duration::from_secs(5), shutdown).await.unwrap().unwrap();
    // A connection without a request is closed at once.
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_is_no_body_of_a_request() {
    let (running, _) = serve_file(model(160, 1, unchanged)).await;
    for (path, body) in [
        ("/v1/predict", json!(["refund me"])),
        ("/v1/predict", json!([null, ["refund me"], "c1", 3])),
        ("/v1/chat", json!(["c1", "refund me", "en"])),
        ("/v1/feedback", json!([null, "c1", "refund"])),
        ("/v1/predict", json!("refund me")),
        ("/v1/predict", json!(null)),
    ] {
        let answer = post(&running, path, &body).await;
        assert_eq!(answer.status(), 422, "{path} {body}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "BOT-6013", "{path} {body}");
        assert!(problem["detail"].as_str().unwrap().contains("expected an object"), "{problem}");
    }
    running.shutdown().await;
}
