//! A server that is killed between the call of an action and its answer.

use crate::support::Folder;
use botops_dialogue::DialogueSpec;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

/// A shop whose action and hand-off go to the address `DESK`.
const DIALOGUE: &str = r"
entities: {order: '\d{4,5}'}
slots:
  order_number: {from: [order], ask: {en: 'Which order?'}}
intents:
  return:
    needs: [order_number]
    action: {url: 'http://DESK/returns/{order_number}', timeout: 1s}
responses:
  return: {en: 'Done: {action.label}.'}
  track: {en: 'On its way.'}
default_language: en
handoff: {webhook: 'http://DESK/hook'}
";

const TEXTS: [(&str, &[&str]); 2] = [
    (
        "return",
        &[
            "return my order",
            "send it back",
            "return an item",
            "i want to return it",
            "take my order back",
            "a return please",
        ],
    ),
    (
        "track",
        &[
            "track my parcel",
            "where is my parcel",
            "parcel tracking please",
            "has my parcel left",
            "where is the parcel now",
            "parcel status",
        ],
    ),
];

/// Writes the model and the settings of a shop that calls `desk`.
fn shop(desk: SocketAddr) -> Folder {
    let samples: Vec<Sample<'_>> = TEXTS
        .iter()
        .flat_map(|(intent, texts)| texts.iter().map(|text| Sample { text, intent }))
        .collect();
    let dialogue = DIALOGUE.replace("DESK", &desk.to_string());
    let dialogue: DialogueSpec = botops_spec::parse(&dialogue, "dialogue.yaml").unwrap();
    let spec = ModelSpec::default().check().unwrap();
    let input = TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) };
    let folder = Folder::empty();
    folder.write("shop.botops", train(input, &Silent).unwrap().to_bytes());
    let settings =
        format!("server: {{actions: {{allow: ['http://{desk}'], allow_private: [127.0.0.1]}}}}\n");
    folder.write("botops.yaml", settings);
    folder
}

/// Listens, sends on the first line of each request, and answers all of them but the first.
fn desk() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let is_first = kept.is_empty();
            let _ = sender.send(line.trim().to_owned());
            if !is_first {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
            // The first one never gets an answer.
            kept.push(stream);
        }
    });
    (address, requests)
}

/// A server in its own process. Killed when dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let arguments =
            ["serve", "shop.botops", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut command = folder.botops(arguments);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
            if let Some(url) = line.strip_prefix("serving shop.botops on http://") {
                break url.to_owned();
            }
            said += &line;
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Sends a message of the conversation `c`. Returns the status and the answer; `None` if the connection broke.
    fn say(address: &str, text: &str, id: &str) -> Option<(u16, Value)> {
        let body = json!({"text": text, "conversation_id": "c", "message_id": id}).to_string();
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let request = format!(
            "POST /v1/chat HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).ok()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_action_whose_server_was_killed_goes_to_a_person_and_is_not_called_again() {
    let (address, requests) = desk();
    let folder = shop(address);
    let server = Server::start(&folder);
    let (status, asked) = Server::say(&server.address, "return my order", "m1").unwrap();
    assert_eq!((status, &asked["response"]), (200, &json!("Which order?")), "{asked}");
    let called = server.address.clone();
    let client = std::thread::spawn(move || Server::say(&called, "20447", "m2"));
    let request = requests.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(request, "POST /returns/20447 HTTP/1.1");
    drop(server);
    assert_eq!(client.join().unwrap(), None, "the client got no answer");

    let server = Server::start(&folder);
    let begun = Instant::now();
    let (status, problem) = Server::say(&server.address, "20447", "m2").unwrap();
    assert_eq!((status, &problem["code"]), (409, &json!("BOT-6153")), "{problem}");
    // Its own second, and half a minute of grace.
    let answer = loop {
        let (status, answer) = Server::say(&server.address, "20447", "m2").unwrap();
        if status == 200 {
            break answer;
        }
        assert_eq!(answer["code"], json!("BOT-6153"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{answer}");
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_eq!((&answer["state"], &answer["message_number"]), (&json!("handed_off"), &json!(1)));
    assert_eq!(Server::say(&server.address, "20447", "m2"), Some((200, answer)));
    let hook = requests.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(hook, "POST /hook HTTP/1.1");
    assert_eq!(requests.recv_timeout(Duration::from_millis(500)).ok(), None, "nothing twice");
}
