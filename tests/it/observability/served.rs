//! A server with everything that dashboards show: a rollout, a judged window, backups, TLS, documents, a channel, and load.

use super::endpoints::Endpoints;
use crate::{
    serving::{models, register_with, registry_in},
    support::Folder,
};
use botops_digest::Digest;
use botops_http::SigningKey;
use botops_predictions::{HourKey, Record, SegmentWriter, SourceClass, Verdict, record_verdicts};
use botops_rollout::{RolloutSpec, StepSpec};
use botops_serving::AdminClient;
use botops_store::{BackupRecord, DrillRecord, Store};
use botops_workspace::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// The admin token of the server.
pub(super) const TOKEN: &str = "a token of thirty-two characters!!";
/// The messages of each judged window.
const MESSAGES: i64 = 300;

/// The secret of the channel.
const CHANNEL_SECRET: &str = "a-webhook-secret-of-this-test-alone";

/// Returns the settings; `endpoints` is the address of the language model and of the receiver of answers.
fn settings(endpoints: &str) -> String {
    format!(
        "version: 1
model: support
environment: test
server:
  tls: {{ certificate: server.pem, key: server.key }}
limits: {{ per_conversation: 2/s burst 10 }}
monitoring: {{ every: 1h, window: 7d, reference_window: 7d, min_rows: 50 }}
knowledge:
  answer: generated
  min_confidence: 0.01
  generation:
    url: {endpoints}/v1
    model: small
    stream: false
    retries: 0
    price: {{ input_per_million: 0.5, output_per_million: 1.5 }}
channels:
  crm:
    webhook: {{ secret: '${{env:CRM_SECRET}}', url: '{endpoints}/answers' }}
    allow_private: [127.0.0.0/8]
"
    )
}

/// A server in its own process. Killed when dropped.
pub(super) struct Served {
    process: Child,
    /// The URL of the public listener.
    pub(super) url: String,
    /// The URL of the admin listener.
    pub(super) admin_url: String,
    /// The workspace, removed with this.
    _folder: Folder,
    _endpoints: Endpoints,
}

impl Served {
    /// Starts a server of two versions whose last window has drifted.
    pub(super) async fn start() -> Self {
        let folder = Folder::empty();
        let endpoints = Endpoints::start().await;
        folder.write("botops.yaml", settings(&endpoints.url));
        certificate(&folder);
        let place = folder.path().join("registry");
        let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
        let [champion, challenger, _] = models();
        let (registry, _) = registry_in(store.clone(), &[&champion]).await;
        let knowledge = knowledge(&folder);
        register_with(&registry, &challenger, &[("help", knowledge)]).await;
        let digest = Digest::of(&champion.to_bytes()).to_string();
        let now = Utc::now();
        let midnight = now.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
        log(&folder, &digest, midnight - TimeDelta::days(14), &["parcel", "refund", "login"]);
        log(&folder, &digest, midnight - TimeDelta::days(7), &["invoice"]);
        judge(&store, midnight - TimeDelta::days(7), now).await;
        back_up(&store, now).await;
        let (process, url, admin_url) = serve(&folder);
        Self { process, url, admin_url, _folder: folder, _endpoints: endpoints }
    }

    /// Starts a rollout that stays in its first step.
    pub(super) async fn start_rollout(&self) {
        let client = AdminClient::new(&self.admin_url, Some(&Secret::new(TOKEN))).unwrap();
        let plan = RolloutSpec {
            steps: vec![StepSpec {
                weight: 50.0,
                min_time: None,
                min_units: Some(1_000_000),
                deadline: "1h".to_owned(),
                require: None,
            }],
            interval: "100ms".to_owned(),
            stale_after: "1m".to_owned(),
            ..RolloutSpec::default()
        };
        client.start("support", "support@2", &plan, "ada", "weekly").await.unwrap();
    }

    /// Returns the metrics.
    pub(super) async fn metrics(&self) -> String {
        let request = client().get(format!("{}/metrics", self.admin_url)).bearer_auth(TOKEN);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }

    /// Sends messages until the result is dropped.
    pub(super) fn load(&self) -> Load {
        let stopped = Arc::new(AtomicBool::new(false));
        let (url, ends) = (self.url.clone(), Arc::clone(&stopped));
        let sending = tokio::spawn(async move {
            let client = client();
            for n in 0_u64.. {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                // One conversation talks more than its limit allows, the others are short.
                let conversation =
                    if n % 2 == 0 { "hot".to_owned() } else { format!("c-{}", n / 8) };
                let texts =
                    ["where is my parcel", "i want my money back", "qwertz", QUESTION, QUESTION];
                let text = texts[n as usize % texts.len()];
                if n % 16 == 1 {
                    deliver(&client, &url, n).await;
                }
                let body = json!({"text": text, "conversation_id": conversation});
                let endpoint = if n % 4 == 3 { "predict" } else { "chat" };
                let request = client.post(format!("{url}/v1/{endpoint}")).json(&body);
                // The server may be killed at any time.
                let _ = request.send().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Load { stopped, sending }
    }

    /// Kills the server.
    pub(super) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Messages that are being sent.
pub(super) struct Load {
    stopped: Arc<AtomicBool>,
    sending: JoinHandle<()>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.sending.abort();
    }
}

/// Returns a client that trusts the certificate of the test.
pub(super) fn client() -> reqwest::Client {
    // Another test may have installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

/// The question that the documents of the challenger answer, and no intent.
const QUESTION: &str = "When does the shop open?";

/// Imports a document, and returns the bytes of its index.
fn knowledge(folder: &Folder) -> Vec<u8> {
    folder.write("pages/hours.md", "# Hours\n\nThe shop opens at nine in the morning.\n");
    let arguments = ["knowledge", "import", "pages", "--into", "help", "--out", "help.knowledge"];
    let output = folder.botops(arguments).env("CRM_SECRET", CHANNEL_SECRET).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(folder.path().join("help.knowledge")).unwrap()
}

/// Sends a signed message to the channel, in a conversation of its own.
async fn deliver(client: &reqwest::Client, url: &str, n: u64) {
    let (id, at) = (format!("m-{n}"), Utc::now().timestamp());
    let body = json!({"conversation_id": format!("w-{n}"), "message_id": id, "text": QUESTION});
    let body = body.to_string();
    let signature = SigningKey::new(CHANNEL_SECRET).unwrap().sign(&id, at, &body);
    let request = client
        .post(format!("{url}/channels/crm"))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", signature);
    // The server may be killed at any time.
    let _ = request.body(body).send().await;
}

fn certificate(folder: &Folder) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let mut of = rcgen::CertificateParams::new(names).unwrap();
    let end = Utc::now() + TimeDelta::days(10);
    of.not_after = std::time::SystemTime::from(end).into();
    let certificate = of.self_signed(&key).unwrap();
    folder.write("server.pem", certificate.pem()).write("server.key", key.serialize_pem());
}

/// Logs messages of the week from `begin`, with these intents in turn.
fn log(folder: &Folder, digest: &str, begin: DateTime<Utc>, intents: &[&str]) {
    let mut hours = BTreeMap::<HourKey, Vec<u8>>::new();
    for i in 0..MESSAGES {
        let at = begin.timestamp_millis() + i * (7 * 86_400_000 / MESSAGES);
        let record = Record {
            at,
            request_id: request(begin, i),
            endpoint: "chat".to_owned(),
            conversation: Some(format!("c{}", i / 3)),
            text: Some(format!("parcel arrives today {}", i % 9)),
            n_chars: 22,
            digest: digest.to_owned(),
            arm: "primary".to_owned(),
            intent: intents[i as usize % intents.len()].to_owned(),
            confidence: 0.9,
            latency_us: 400,
            ..Record::default()
        };
        assert!(record.write_line(hours.entry(HourKey::of_millis(at)).or_default()));
    }
    for (hour, lines) in hours {
        let folder = folder.path().join(format!("registry/predictions/test/{hour}"));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.jsonl.zst");
        SegmentWriter::create(&path).unwrap().append(&lines).unwrap();
    }
}

fn request(begin: DateTime<Utc>, i: i64) -> String {
    format!("r{}-{i}", begin.timestamp())
}

/// Stores verdicts of a reviewer on every other message of the week from `begin`.
async fn judge(store: &Store, begin: DateTime<Utc>, now: DateTime<Utc>) {
    let verdicts: Vec<Verdict> = (0..MESSAGES)
        .step_by(2)
        .map(|i| Verdict {
            at: begin.timestamp_millis() + i * (7 * 86_400_000 / MESSAGES) + 3_600_000,
            request_id: request(begin, i),
            index: 0,
            intent: Some(if i % 8 == 0 { "refund" } else { "invoice" }.to_owned()),
            source: SourceClass::Reviewer,
            satisfaction: None,
        })
        .collect();
    record_verdicts(store, "test", &verdicts, now).await.unwrap();
}

/// Records that a backup and a drill succeeded an hour ago.
async fn back_up(store: &Store, now: DateTime<Utc>) {
    let (at, backup) = (now - TimeDelta::hours(1), "b-1".to_owned());
    let record = BackupRecord {
        schema: BackupRecord::SCHEMA.to_owned(),
        backup: backup.clone(),
        at,
        objects: 3,
        bytes: 4,
    };
    store.record_backup(record).await.unwrap();
    let drill = DrillRecord {
        schema: DrillRecord::SCHEMA.to_owned(),
        backup,
        at,
        passed: true,
        rto_seconds: 1.5,
        rpo_seconds: 60.0,
        objects: 3,
        models: 1,
        conversations: 0,
        problems: 0,
    };
    store.record_drill(drill).await.unwrap();
}

/// Starts `botops serve`, and waits until it is ready. Returns it with its public and its admin URL.
fn serve(folder: &Folder) -> (Child, String, String) {
    let arguments =
        ["serve", "support", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut command = folder.botops(arguments);
    command
        .env("BOTOPS_ADMIN_TOKEN", TOKEN)
        .env("CRM_SECRET", CHANNEL_SECRET)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let mut after = |start: &str| loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
        if let Some(rest) = line.strip_prefix(start) {
            break rest.to_owned();
        }
        said += &line;
    };
    let (url, admin_url) = (after("serving support on "), after("admin API on "));
    // The server continues to write. Without a reader, a full pipe would block it.
    std::thread::spawn(move || lines.for_each(drop));
    (process, url, admin_url)
}
