//! The server over real HTTP: answers, problems, the admin API, swaps, rollouts, rehearsals.

mod admin;
mod audit;
pub(crate) mod clock_jumps;
mod connections;
mod durability;
mod interfaces;
mod oidc;
mod openapi;
mod prediction_log;
mod prediction_loss;
mod public;
mod rehearsal;
mod rollback;
mod rollout_verbs;
pub(crate) mod server_process;
mod succession;
mod swaps;

use botops_dialogue::DialogueSpec;
use botops_digest::{Digest, canonical_json};
use botops_evaluation::{GateReport, GateResult, PassedGates, VersionSet};
use botops_http::PlainHttp;
use botops_models::{FallbackSpec, IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_registry::{
    Act, Deployment, KNOWLEDGE_MEDIA_TYPE, Manifest, ManifestFile, Registry, Version,
    deployment_log, knowledge_path,
};
use botops_rollout::{RolloutSpec, StepSpec};
use botops_serving::{
    AccessSettings, AdminClient, ReplayTarget, Replication, RequestLog, Running, ServerSettings,
    Source, start,
};
use botops_spec::Spec as _;
use botops_stats::random::Random;
use botops_store::{Entry, Store};
use botops_workspace::Secret;
use chrono::{DateTime, Utc};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

/// By what number the waits for other servers are divided: a higher share takes effect after 1.25 s.
const TIMES: u32 = 4;

/// The admin token of every server in these tests.
pub(crate) const TOKEN: &str = "correct horse battery staple, twice";

const WORDS: [(&str, [&str; 6]); 4] = [
    ("invoice", ["invoice", "charged", "bill", "payment", "receipt", "amount"]),
    ("login", ["password", "login", "account", "locked", "reset", "username"]),
    ("parcel", ["parcel", "delivery", "tracking", "courier", "arrived", "shipped"]),
    ("refund", ["refund", "return", "money", "exchange", "broken", "damaged"]),
];
const FILLER: [&str; 8] = ["please", "hello", "my", "the", "today", "about", "again", "still"];

/// Returns `n` utterances with their intents.
pub(crate) fn corpus(n: usize, seed: u64) -> Vec<(String, &'static str)> {
    let mut random = Random::new(seed);
    (0..n)
        .map(|index| {
            let (intent, words) = WORDS[index % WORDS.len()];
            let mut text = String::new();
            for _ in 0..2 + random.below(2) {
                text += FILLER[random.below(FILLER.len())];
                text += " ";
                text += words[random.below(words.len())];
                text += " ";
            }
            (format!("{text}{index}"), intent)
        })
        .collect()
}

/// Trains on `n` utterances, with intents renamed by `rename`.
pub(crate) fn model(n: usize, seed: u64, rename: fn(&'static str) -> &'static str) -> IntentModel {
    let corpus = corpus(n, seed);
    let samples: Vec<Sample<'_>> =
        corpus.iter().map(|(text, intent)| Sample { text, intent: rename(intent) }).collect();
    let responses = [("parcel", "Your parcel is on its way."), ("refund", "You get it back.")];
    let dialogue = DialogueSpec {
        entities: [("order".to_owned(), "#([0-9]+)".into())].into(),
        responses: responses
            .into_iter()
            .map(|(intent, text)| (intent.to_owned(), [("en".to_owned(), text.into())].into()))
            .collect(),
        fallback: [("en".to_owned(), "Sorry?".into())].into(),
        default_language: Some("en".to_owned()),
        ..DialogueSpec::default()
    };
    // With such a small vocabulary, a model has high confidence.
    let fallback = FallbackSpec { threshold: 0.95, ..FallbackSpec::default() };
    let spec = ModelSpec { goldens: 8, fallback, ..ModelSpec::default() };
    let spec = spec.check().unwrap();
    train(TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) }, &Silent).unwrap()
}

/// Leaves intents unchanged.
pub(crate) fn unchanged(intent: &'static str) -> &'static str {
    intent
}

/// Swaps two of the four intents: wrong half of the time.
pub(crate) fn swapped(intent: &'static str) -> &'static str {
    match intent {
        "parcel" => "refund",
        "refund" => "parcel",
        other => other,
    }
}

/// Asserts that a JSON number is `want`, up to the last bits.
pub(crate) fn assert_number(got: &Value, want: f64, place: &str) {
    let got = got.as_f64().unwrap();
    assert!((got - want).abs() < 1e-12, "{place}: {got} is not {want}");
}

pub(crate) fn settings(admin: bool) -> ServerSettings {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ServerSettings {
        listen: anywhere,
        admin_listen: anywhere,
        admin_token: admin.then(|| Secret::new(TOKEN)),
        allowed_hosts: Vec::new(),
        environment: "test".to_owned(),
        request_log: RequestLog::Off,
        access: AccessSettings::default(),
        listeners: botops_serving::ListenerSettings {
            metrics: botops_serving::MetricsAccess::Open,
            ..Default::default()
        },
        replication: Replication {
            identity_key: Some(Secret::new("the identity key of every server in these tests")),
            times: TIMES,
            ..Replication::default()
        },
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
    }
}

pub(crate) fn act() -> Act {
    Act::claimed("ada", "a test", DateTime::<Utc>::UNIX_EPOCH)
}

/// Registers a model with a gate report, so that it can be promoted.
pub(crate) async fn register(registry: &Registry, model: &IntentModel) -> (Version, PassedGates) {
    register_with(registry, model, &[]).await
}

/// Registers a model with knowledge files, each with the name of its knowledge base, and with a gate report.
pub(crate) async fn register_with(
    registry: &Registry,
    model: &IntentModel,
    knowledge: &[(&str, Vec<u8>)],
) -> (Version, PassedGates) {
    let bytes = model.to_bytes();
    let digest = Digest::of(&bytes);
    let report = GateReport {
        schema: "botops.gate/1".to_owned(),
        model: digest,
        evidence: "golden-self-test".to_owned(),
        results: vec![GateResult {
            rule: "golden self-test".to_owned(),
            observed: "8 of 8".to_owned(),
            passed: true,
        }],
        passed: true,
        knowledge: std::collections::BTreeMap::new(),
        basis: None,
    };
    let held = knowledge.iter().map(|(name, bytes)| ((*name).to_owned(), Digest::of(bytes)));
    let set = VersionSet { model: digest, knowledge: held.collect() };
    let report = report.with_knowledge(set.knowledge.clone());
    let gate = canonical_json(&report);
    let file = |path: &str, bytes: &[u8], media_type: &str| ManifestFile {
        path: path.to_owned(),
        digest: Digest::of(bytes),
        size_bytes: bytes.len() as u64,
        media_type: media_type.to_owned(),
    };
    let mut files = vec![file("gate.json", &gate, "application/json")];
    for (name, bytes) in knowledge {
        files.push(file(&knowledge_path(name), bytes, KNOWLEDGE_MEDIA_TYPE));
    }
    files.push(file("model.botops", &bytes, "application/vnd.botops.model"));
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: "support".to_owned(),
        files,
        run: None,
        data: None,
        params: [].into(),
        metrics: [].into(),
        gates: Some(Digest::of(&gate)),
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: "ada".to_owned(),
        intents: model.labels().iter().map(str::to_owned).collect(),
    };
    let proof = PassedGates::from_evidence(&gate, Digest::of(&gate), set).unwrap();
    let mut files =
        vec![("gate.json".to_owned(), gate.into()), ("model.botops".to_owned(), bytes.into())];
    let held = knowledge.iter().map(|(name, bytes)| (knowledge_path(name), bytes.clone().into()));
    files.extend(held);
    (registry.register(manifest, files, &act()).await.unwrap().version, proof)
}

/// Returns a registry with the given models as versions 1, 2, and so on. The first is the champion in `test`.
pub(crate) async fn registry(models: &[&IntentModel]) -> (Registry, Vec<Version>) {
    registry_in(Store::in_memory(), models).await
}

/// Returns the registry in `store`, filled as by [`registry`].
pub(crate) async fn registry_in(store: Store, models: &[&IntentModel]) -> (Registry, Vec<Version>) {
    let registry = Registry::open(store).in_environment("test").unwrap();
    let mut versions = Vec::new();
    for model in models {
        let (version, proof) = register(&registry, model).await;
        if versions.is_empty() {
            registry.promote(&version, None, &proof, &act()).await.unwrap();
        }
        versions.push(version);
    }
    (registry, versions)
}

pub(crate) async fn serve(registry: &Registry) -> Running {
    let source =
        Source::Registry { registry: registry.clone(), model: "support".to_owned(), pinned: None };
    start(settings(true), source).await.unwrap()
}

pub(crate) async fn serve_file(model: IntentModel) -> (Running, Digest) {
    let digest = Digest::of(&model.to_bytes());
    let source = Source::File { model: Box::new(model), digest, name: "support.botops".to_owned() };
    (start(settings(true), source).await.unwrap(), digest)
}

pub(crate) fn admin(running: &Running) -> AdminClient {
    let url = format!("http://{}", running.admin_address().unwrap());
    AdminClient::new(&url, Some(&Secret::new(TOKEN))).unwrap()
}

/// Returns the server at `url` as one that asks for no key.
pub(crate) fn target(url: String) -> ReplayTarget {
    ReplayTarget { url, key: None, plain_http: PlainHttp::Loopback }
}

pub(crate) fn http() -> Client {
    // Another test may have installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn post(running: &Running, path: &str, body: &Value) -> Response {
    let url = format!("http://{}{path}", running.address());
    http().post(url).json(body).send().await.unwrap()
}

/// Like [`post`], with the scope `read`: the answer shows which version made it.
pub(crate) async fn post_seeing(running: &Running, path: &str, body: &Value) -> Response {
    let url = format!("http://{}{path}", running.address());
    http().post(url).bearer_auth(TOKEN).json(body).send().await.unwrap()
}

/// Returns the JSON of `/readiness` with the scope `read`.
pub(crate) async fn readiness(running: &Running) -> Value {
    let url = format!("http://{}/readiness", running.address());
    let answer = http().get(url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

pub(crate) async fn get(running: &Running, path: &str) -> (StatusCode, String) {
    let url = format!("http://{}{path}", running.address());
    let answer = http().get(url).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Returns a plan of one step with a short interval.
pub(crate) fn plan(weight: f64, min_units: u64) -> RolloutSpec {
    RolloutSpec {
        steps: vec![StepSpec {
            weight,
            min_time: None,
            min_units: Some(min_units),
            deadline: "1h".to_owned(),
            require: None,
        }],
        interval: "30ms".to_owned(),
        stale_after: "1m".to_owned(),
        ..RolloutSpec::default()
    }
}

/// Returns the entries of the deployment log of `test`.
pub(crate) async fn deployments(registry: &Registry) -> Vec<Entry<Deployment>> {
    deployment_log(registry.store(), "test").entries().await.unwrap()
}

/// Returns the phase of the rollout after an entry; empty for an entry that is no step of one.
pub(crate) fn phase(entry: &Entry<Deployment>) -> &'static str {
    entry.payload.rollout().map_or("", |rollout| rollout.phase.name())
}

/// Returns the steps of rollouts that were decided, and not only counted.
pub(crate) async fn decisions(registry: &Registry) -> Vec<Entry<Deployment>> {
    let mut log = deployments(registry).await;
    log.retain(|entry| entry.payload.step().is_some() && !entry.payload.reason.is_empty());
    log
}

/// Waits until requests reach the challenger: only conversations that begin from then on are judged.
pub(crate) async fn wait_for_challenger(running: &Running) {
    let begun = std::time::Instant::now();
    loop {
        // Without a conversation, it is not counted.
        let body = json!({"text": "where is my parcel"});
        let answer = post_seeing(running, "/v1/predict", &body).await;
        if answer.headers()["x-botops-arm"] == "canary" {
            return;
        }
        assert!(begun.elapsed().as_secs() < 20, "no request reaches the challenger");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Sends one message in each of `n` conversations. Returns `(conversation, arm, digest)`.
pub(crate) async fn converse(
    running: &Running,
    from: usize,
    n: usize,
) -> Vec<(String, String, String)> {
    let client = http();
    let url = format!("http://{}/v1/predict", running.address());
    let mut answers = Vec::new();
    for (index, (text, _)) in corpus(n, 99).into_iter().enumerate() {
        let conversation = format!("conversation-{}", from + index);
        let body = json!({"text": text, "conversation_id": conversation});
        let request = client.post(&url).bearer_auth(TOKEN).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        answers.push((conversation, header("x-botops-arm"), header("x-botops-digest")));
    }
    answers
}

/// Waits until the state of the rollout satisfies `wanted`, at most 20 s.
pub(crate) async fn wait_for(
    client: &AdminClient,
    wanted: impl Fn(&botops_serving::RolloutStatus) -> bool,
) -> botops_serving::RolloutStatus {
    let begun = std::time::Instant::now();
    loop {
        let status = client.rollout("support", None).await.unwrap();
        if wanted(&status) {
            return status;
        }
        assert!(begun.elapsed().as_secs() < 20, "still {:?}", status.rollout.phase);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Returns the models that several tests share, because training takes longer than serving.
pub(crate) fn models() -> [Arc<IntentModel>; 3] {
    use std::sync::OnceLock;
    static MODELS: OnceLock<[Arc<IntentModel>; 3]> = OnceLock::new();
    MODELS
        .get_or_init(|| {
            [model(160, 1, unchanged), model(240, 2, unchanged), model(160, 3, swapped)]
                .map(Arc::new)
        })
        .clone()
}
