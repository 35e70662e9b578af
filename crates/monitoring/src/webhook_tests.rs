//! Webhooks, against a receiver on this machine that answers, fails, hangs and redirects.

use crate::{
    history::MonitorLog,
    monitored_model::MonitoredModel,
    report::{MonitorReport, MonitorState, Reason, Volume},
    webhook::{WebhookKind, WebhookPace, WebhookSpec, Webhooks},
    window::Window,
};
use botops_findings::Finding;
use botops_http::SigningKey;
use botops_store::Store;
use chrono::{DateTime, TimeDelta};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An answer of the receiver.
#[derive(Clone, Copy)]
enum Answer {
    Status(&'static str),
    Hang,
}

/// A receiver on this machine: it gives the answers of a list, the last one for ever, and keeps the requests.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            for n in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = answers[n.min(answers.len() - 1)];
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    kept.lock().unwrap().push(request);
                    match answer {
                        Answer::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
                        Answer::Status(status) => {
                            let location = "location: http://127.0.0.1:9/elsewhere\r\n";
                            let text = format!(
                                "HTTP/1.1 {status}\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n"
                            );
                            let _ = stream.write_all(text.as_bytes()).await;
                        }
                    }
                });
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn webhooks(&self, kind: WebhookKind) -> Webhooks {
        let spec = WebhookSpec {
            url: format!("http://127.0.0.1:{}/hook/secret-path", self.port),
            kind,
            secret: (kind == WebhookKind::Generic).then(|| SECRET.to_owned()),
        };
        let pace = WebhookPace {
            answer: Duration::from_millis(300),
            pause: Duration::from_millis(10),
            attempts: 3,
        };
        Webhooks::new(&[spec], &["127.0.0.1".to_owned()], pace).unwrap()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let n = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if n == 0 {
            return text;
        }
    }
}

fn report(day: i64, state: MonitorState) -> MonitorReport {
    let end = DateTime::from_timestamp(1_796_083_200, 0).unwrap() + TimeDelta::days(day);
    let window = Window { start: end - TimeDelta::days(7), end };
    MonitorReport {
        environment: "production".to_owned(),
        model: MonitoredModel {
            name: "bot".into(),
            version: 3,
            digest: "sha256:ab".into(),
            manifest: None,
        },
        at: end,
        state,
        reasons: vec![Reason { code: "BOT-6253".into(), message: "intent <b> drifted".into() }],
        volume: Volume { records: 500, ..Volume::default() },
        ..MonitorReport::empty(window)
    }
}

async fn recorded(store: &Store, states: &[MonitorState]) -> MonitorLog {
    let mut log = MonitorLog::read(store, "production").await.unwrap();
    let first = log.entries().len() as i64;
    for (n, state) in states.iter().enumerate() {
        log.record(&report(first + n as i64, *state)).await.unwrap();
    }
    log
}

async fn delivered(webhooks: &Webhooks, store: &Store, log: &MonitorLog) -> Vec<Finding> {
    webhooks.deliver(store, "production", log, || 1_700_000_000).await.unwrap()
}

#[tokio::test]
async fn a_change_is_sent_once_signed_and_a_restart_does_not_repeat_it() {
    use MonitorState::{Drift, Healthy};
    let store = Store::in_memory();
    let server = Server::start(vec![Answer::Status("200 OK")]).await;
    let webhooks = server.webhooks(WebhookKind::Generic);
    let log = recorded(&store, &[Healthy]).await;
    assert!(delivered(&webhooks, &store, &log).await.is_empty());
    assert!(server.requests().is_empty(), "a first healthy report changes nothing");
    let log = recorded(&store, &[Drift]).await;
    assert!(delivered(&webhooks, &store, &log).await.is_empty());
    // Another process, with what the store says.
    let log = recorded(&store, &[Drift]).await;
    assert!(delivered(&server.webhooks(WebhookKind::Generic), &store, &log).await.is_empty());
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook/secret-path HTTP/1.1"), "{head}");
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap().to_owned()
    };
    assert_eq!(header("webhook-id"), "production-monitor-2");
    let signature =
        SigningKey::new(SECRET).unwrap().sign("production-monitor-2", 1_700_000_000, body);
    assert_eq!(header("webhook-signature"), signature);
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&event["state"], &event["number"]), (&json!("drift"), &json!(2)));
    // Back to healthy is a change, too.
    let log = recorded(&store, &[Healthy]).await;
    assert!(delivered(&webhooks, &store, &log).await.is_empty());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_fails_hangs_or_redirects_is_owed_the_message() {
    use MonitorState::{Drift, Healthy};
    for (answer, word, attempts) in [
        (Answer::Status("500 Internal Server Error"), "500", 3),
        (Answer::Status("302 Found"), "redirect 302", 3),
        (Answer::Hang, "does not answer in time", 3),
    ] {
        let store = Store::in_memory();
        let server = Server::start(vec![answer]).await;
        let log = recorded(&store, &[Healthy, Drift]).await;
        let owed = delivered(&server.webhooks(WebhookKind::Generic), &store, &log).await;
        assert_eq!(owed.len(), 1);
        assert_eq!(owed[0].code, "BOT-6259");
        assert!(owed[0].message.contains(word), "{}", owed[0].message);
        assert!(!owed[0].message.contains("secret-path"));
        assert_eq!(server.requests().len(), attempts);
        // Nothing of it is lost, and nothing is repeated once it has arrived.
        let again = delivered(&server.webhooks(WebhookKind::Generic), &store, &log).await;
        assert_eq!(again.len(), 1);
    }
    let store = Store::in_memory();
    let answers = [Answer::Status("503 Busy"), Answer::Hang, Answer::Status("204 No Content")];
    let server = Server::start(answers.to_vec()).await;
    let log = recorded(&store, &[Healthy, Drift]).await;
    assert!(delivered(&server.webhooks(WebhookKind::Generic), &store, &log).await.is_empty());
    let ids = |text: &String| text.contains("webhook-id: production-monitor-2");
    assert_eq!(server.requests().iter().filter(|text| ids(text)).count(), 3);
    assert!(delivered(&server.webhooks(WebhookKind::Generic), &store, &log).await.is_empty());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn slack_gets_a_text_and_no_signature() {
    let store = Store::in_memory();
    let server = Server::start(vec![Answer::Status("200 OK")]).await;
    let log = recorded(&store, &[MonitorState::Drift]).await;
    assert!(delivered(&server.webhooks(WebhookKind::Slack), &store, &log).await.is_empty());
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("webhook-signature"), "{head}");
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    let text = event["text"].as_str().unwrap();
    assert!(text.starts_with("*bot@3* in *production*: drift ("), "{text}");
    assert!(text.ends_with("\n• intent &lt;b&gt; drifted"), "{text}");
    assert_eq!(event.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_of_an_earlier_window_made_later_changes_no_state() {
    use MonitorState::{Drift, Healthy};
    let store = Store::in_memory();
    let mut log = recorded(&store, &[Healthy, Healthy]).await;
    log.record(&report(-30, Drift)).await.unwrap();
    assert!(log.changes_after(0).is_empty());
    assert_eq!(log.weeks("bot").len(), 3);
    let again = log.record(&report(-30, Drift)).await.unwrap();
    assert_eq!((again.number, again.is_new), (3, false));
}

#[test]
fn a_setting_that_cannot_work_is_refused_and_no_path_is_shown() {
    let spec = |url: &str, kind, secret: Option<&str>| WebhookSpec {
        url: url.to_owned(),
        kind,
        secret: secret.map(str::to_owned),
    };
    let good = "https://ops.example.com/secret-path";
    use WebhookKind::{Generic, Slack};
    let check = |specs: &[WebhookSpec], private: &[&str]| {
        let private: Vec<String> = private.iter().map(|it| (*it).to_owned()).collect();
        Webhooks::new(specs, &private, WebhookPace::default())
    };
    check(&[spec(good, Generic, Some(SECRET)), spec("https://b.example/x", Slack, None)], &[])
        .unwrap();
    for (specs, private) in [
        (vec![spec(good, Generic, None)], vec![]),
        (vec![spec(good, Generic, Some("secret-path"))], vec![]),
        (vec![spec(good, Slack, Some(SECRET))], vec![]),
        (vec![spec("ftp://ops.example.com/secret-path", Slack, None)], vec![]),
        (vec![spec("https://ada:secret-path@ops.example.com/", Slack, None)], vec![]),
        (vec![spec("http://127.0.0.1:9/secret-path", Slack, None)], vec![]),
        (vec![spec("http://169.254.169.254/secret-path", Slack, None)], vec!["10.0.0.0/8"]),
        (vec![spec(good, Slack, None), spec(good, Slack, None)], vec![]),
        (vec![], vec!["office"]),
    ] {
        let fault = check(&specs, &private).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6258", 2));
        let shown = format!("{fault:?} {:?} {:?}", fault.hints(), specs);
        assert!(!shown.contains("secret-path"), "{shown}");
    }
}
