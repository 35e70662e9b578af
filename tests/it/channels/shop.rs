//! A server with channels, and the requests that a platform sends to it.

use super::graph::Platform;
use crate::{
    serving::{
        self,
        server_process::{PROCESS_TOKEN, Server, TIMES},
    },
    support::{Folder, terminal_output},
};
use botops_digest::hmac_sha256;
use botops_store::Store;
use reqwest::Response;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The secrets of the channels, by the variables that hold them.
pub(super) const SECRETS: [(&str, &str); 4] = [
    ("WHATSAPP_APP_SECRET", "an-app-secret-that-no-log-holds"),
    ("WHATSAPP_VERIFY_TOKEN", "a-verify-token-that-no-log-holds"),
    ("WHATSAPP_TOKEN", "a-graph-token-that-no-log-holds"),
    ("CRM_SECRET", "a-webhook-secret-that-no-log-holds"),
];
/// The id of the number; it is invented.
pub(super) const NUMBER: &str = "100000000000001";
/// The person who writes; the number is of the range reserved for fiction.
pub(super) const PERSON: &str = "15550100001";
/// A text, and the answer of the model to it.
pub(super) const QUESTION: &str = "my parcel tracking courier";
pub(super) const ANSWER: &str = "Your parcel is on its way.";

/// The file with the standard output of the servers.
const LOG: &str = "server.log";

/// A folder with a registry and channels, whose platform is in this process.
pub(super) struct Shop {
    folder: Folder,
    pub(super) platform: Platform,
}

impl Shop {
    /// Makes the folder. `more` are lines of both channels, indented by four spaces.
    pub(super) async fn new(more: &str) -> Self {
        let (folder, platform) = (Folder::empty(), Platform::start().await);
        let place = folder.path().join("registry");
        let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
        let model = serving::model(160, 1, serving::unchanged);
        serving::registry_in(store, &[&model]).await;
        let url = &platform.url;
        folder.write(
            "botops.yaml",
            format!(
                "channels:
  shop:
    whatsapp:
      phone_number_id: \"{NUMBER}\"
      app_secret: ${{env:WHATSAPP_APP_SECRET}}
      verify_token: ${{env:WHATSAPP_VERIFY_TOKEN}}
      token: ${{env:WHATSAPP_TOKEN}}
      base_url: {url}
{more}  crm:
    webhook:
      secret: ${{env:CRM_SECRET}}
      url: {url}/answers
    allow_private: [127.0.0.0/8]
{more}"
            ),
        );
        Self { folder, platform }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server.
    pub(super) fn serve(&self) -> Server {
        let log = File::options().create(true).append(true).open(self.path().join(LOG)).unwrap();
        Server::start_with(self.path(), TIMES, |command| {
            command.envs(SECRETS).stdout(log);
        })
    }

    /// Returns everything that the servers of the folder logged, and `server` said.
    pub(super) fn written(&self, server: &Server) -> String {
        self.folder.read(LOG) + &server.said()
    }

    /// Waits until a condition holds.
    pub(super) async fn until(&self, condition: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            let said = self.folder.read(LOG);
            assert!(begun.elapsed() < Duration::from_secs(90), "{condition}\n{said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs `botops channels` with more arguments in the folder of the server.
    pub(super) fn channels(&self, arguments: &[&str]) -> String {
        let mut command: Command =
            self.folder.botops([&["channels"], arguments].concat().iter().copied());
        terminal_output(command.envs(SECRETS))
    }

    /// Returns the ids of the dead letters of a channel.
    pub(super) fn dead(&self, channel: &str) -> Vec<String> {
        let mut command = self.folder.botops(["channels", "dead", channel, "--format", "json"]);
        let output = command.envs(SECRETS).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let letters = answer["data"]["dead_letters"].as_array().unwrap();
        letters.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the stored objects of a kind of a channel, such as `inbox` or `done`. A server that was killed while it wrote leaves
    /// a file whose name ends with `#` and a number, which is no object.
    pub(super) fn stored(&self, channel: &str, kind: &str) -> Vec<String> {
        let root = self.path().join("registry/channels").join(channel).join(kind);
        let (mut folders, mut found) = (vec![root], Vec::new());
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries {
                // A server may remove a message meanwhile.
                let Ok(entry) = entry else { continue };
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ if entry.file_name().to_string_lossy().contains('#') => {}
                    _ => found.push(entry.path().display().to_string()),
                }
            }
        }
        found
    }
}

/// Makes a text message in the documented shape.
pub(super) fn text_message(id: &str, text: &str) -> Value {
    let at = chrono::Utc::now().timestamp().to_string();
    json!({ "from": PERSON, "id": id, "timestamp": at, "type": "text", "text": { "body": text } })
}

/// Makes the payload of messages for a number.
pub(super) fn payload(number: &str, messages: &[Value]) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "102290129340398", "changes": [{
            "field": "messages",
            "value": {
                "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": "15550100000", "phone_number_id": number },
                "contacts": [{ "profile": { "name": "A person" }, "wa_id": PERSON }],
                "messages": messages,
            },
        }] }],
    })
}

/// Signs a body as the platform does.
pub(super) fn signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hmac_sha256(secret.as_bytes(), body).hex())
}

/// Delivers a body with headers to a channel.
pub(super) async fn post(
    server: &Server,
    channel: &str,
    call: (&[(&str, &str)], Vec<u8>),
) -> Response {
    try_post(server, channel, call).await.unwrap()
}

async fn try_post(
    server: &Server,
    channel: &str,
    (headers, body): (&[(&str, &str)], Vec<u8>),
) -> reqwest::Result<Response> {
    let url = format!("{}/channels/{channel}", server.address());
    let mut request = serving::http().post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).send().await
}

/// Delivers a payload of WhatsApp, signed; returns the status.
pub(super) async fn deliver(server: &Server, payload: &Value) -> u16 {
    try_deliver(server, payload).await.unwrap()
}

/// As [`deliver`], to a server that may be killed meanwhile.
pub(super) async fn try_deliver(server: &Server, payload: &Value) -> reqwest::Result<u16> {
    let body = payload.to_string().into_bytes();
    let signature = signature(SECRETS[0].1, &body);
    let headers = [("x-hub-signature-256", signature.as_str())];
    Ok(try_post(server, "shop", (&headers, body)).await?.status().as_u16())
}

/// The bytes of a body that is too large.
pub(super) const TEN_MEGABYTES: usize = 10_000_000;

/// The way in which a body shows its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunks,
}

/// Sends a body of [`TEN_MEGABYTES`] letters; returns the answer, after which the server may close the connection.
pub(super) async fn send_large(
    server: &Server,
    channel: &str,
    headers: &str,
    framing: Framing,
) -> String {
    let address = server.address().strip_prefix("http://").unwrap();
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let end = match framing {
        Framing::Length => format!("content-length: {TEN_MEGABYTES}"),
        Framing::Chunks => "transfer-encoding: chunked".to_owned(),
    };
    let head = format!(
        "POST /channels/{channel} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}{end}\r\n\r\n"
    );
    writer.write_all(head.as_bytes()).await.unwrap();
    let sending = tokio::spawn(async move {
        let letters = vec![b'a'; 50_000];
        let piece = match framing {
            Framing::Length => letters,
            Framing::Chunks => [b"c350\r\n", letters.as_slice(), b"\r\n"].concat(),
        };
        for _ in 0..TEN_MEGABYTES / 50_000 {
            // The server may have answered and closed the connection.
            if writer.write_all(&piece).await.is_err() {
                break;
            }
        }
        writer
    });
    let (mut answer, mut buffer) = (Vec::new(), [0; 4_096]);
    while !answer.ends_with(b"}") {
        match reader.read(&mut buffer).await {
            Ok(n) if n > 0 => answer.extend_from_slice(&buffer[..n]),
            _ => break,
        }
    }
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the count of an event of a channel.
pub(super) async fn count(server: &Server, channel: &str, event: &str) -> u64 {
    let url = format!("{}/metrics", server.admin_url());
    let answer = serving::http().get(url).bearer_auth(PROCESS_TOKEN).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let labels = format!("channel=\"{channel}\",event=\"{event}\"}} ");
    let line = text
        .lines()
        .find(|line| line.starts_with("botops_channel_events_total") && line.contains(&labels));
    let line = line.unwrap_or_else(|| panic!("no {labels} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Asserts that no secret of a channel and no text of a person is in what a server wrote.
pub(super) fn assert_nothing_leaked(said: &str) {
    for (name, secret) in SECRETS {
        assert!(!said.contains(secret), "{name}: {said}");
    }
    for private in [QUESTION, PERSON] {
        assert!(!said.contains(private), "{private}: {said}");
    }
}
