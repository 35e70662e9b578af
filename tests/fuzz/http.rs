// The check of the public routes on any body: the first byte chooses the route, the rest is the body.

use botops_dialogue::DialogueSpec;
use botops_digest::Digest;
use botops_models::{IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_serving::{
    AccessSettings, Replication, RequestLog, Running, ServerSettings, Source, start,
};
use botops_spec::Spec as _;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::LazyLock,
    time::Duration,
};
use tokio::runtime::Runtime;

const ROUTES: [&str; 3] = ["/v1/predict", "/v1/chat", "/v1/feedback"];
/// The longest time for an answer.
const LONGEST: Duration = Duration::from_secs(10);

/// A server on a free port of this machine, for all inputs.
static SERVER: LazyLock<(Runtime, Running)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime can be started");
    let running = runtime.block_on(async {
        let model = Box::new(model());
        let digest = Digest::of(&model.to_bytes());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = ServerSettings {
            listen: anywhere,
            admin_listen: anywhere,
            admin_token: None,
            environment: "fuzz".to_owned(),
            allowed_hosts: Vec::new(),
            request_log: RequestLog::Off,
            access: AccessSettings::default(),
            listeners: botops_serving::ListenerSettings::default(),
            replication: Replication::default(),
            webhooks: Vec::new(),
            public: botops_serving::PublicSettings::default(),
            conversations: None,
            actions: None,
            predictions: None,
            monitoring: None,
            disks: std::collections::BTreeMap::new(),
            knowledge: Default::default(),
            uploads: Default::default(),
            channels: Default::default(),
            telemetry: Default::default(),
        };
        start(settings, Source::File { model, digest, name: "fuzz".to_owned() }).await
    });
    (runtime, running.expect("the server starts"))
});

fn model() -> IntentModel {
    let texts = ["red apple", "red pear", "red plum", "red fig", "red lime"];
    let others = ["a car", "a bus", "a van", "a bike", "a tram"];
    let fruit = texts.into_iter().map(|text| Sample { text, intent: "fruit" });
    let vehicles = others.into_iter().map(|text| Sample { text, intent: "vehicle" });
    let samples: Vec<Sample<'_>> = fruit.chain(vehicles).collect();
    let dialogue = DialogueSpec {
        entities: [("number".to_owned(), r"\b\d+\b|#(\w+)".into())].into(),
        ..DialogueSpec::default()
    };
    let spec = ModelSpec::default().check().expect("the settings are in range");
    train(TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) }, &Silent)
        .expect("the samples can be learned")
}

/// Sends `bytes` to the server.
///
/// # Panics
/// When there is no answer, the answer is not JSON, or it reports an internal error.
pub(crate) fn send(bytes: &[u8]) {
    let Some((route, body)) = bytes.split_first() else { return };
    let route = ROUTES[usize::from(*route) % ROUTES.len()];
    let at = SERVER.1.address();
    let mut stream = TcpStream::connect(at).expect("the server listens");
    stream.set_read_timeout(Some(LONGEST)).expect("a time-out can be set");
    let head = format!(
        "POST {route} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A body that is too long is refused before it was read.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    if stream.read_to_end(&mut answer).is_err() {
        assert!(body.len() > 64 << 10, "no answer to a body of {} bytes", body.len());
        return;
    }
    let answer = String::from_utf8(answer).expect("an answer is UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).unwrap_or_default();
    assert!(["200", "202", "400", "413", "422"].contains(&status), "{answer}");
    let body: Value = serde_json::from_str(body).expect("an answer is JSON");
    // A number that is infinite or not a number would be written as null.
    for prediction in [body.get("confidence"), body["predictions"][0].get("confidence")] {
        assert!(prediction.is_none_or(Value::is_number), "{answer}");
    }
}
