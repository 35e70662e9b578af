//! Channels of a store as a user sees them: listed, erased, backed up, given back, and answered through a bucket.

use crate::{
    conversations::{IDENTITY_KEY, stored_with},
    servers::{BUCKET, Moto, settings},
    terminal::{Terminal, two_intents},
};
use botops_conversations::Names;
use botops_http::SigningKey;
use chrono::Utc;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The settings of a channel, answered at this address.
fn channel(url: &str) -> String {
    format!(
        "channels:\n  shop:\n    webhook: {{secret: '${{env:SHOP_SECRET}}', url: '{url}'}}\n    allow_private: [127.0.0.0/8]\n"
    )
}

fn names() -> Names {
    Names::new(IDENTITY_KEY.as_bytes(), None)
}

/// Stores what a server leaves of two persons: a message that waits, a dead letter, and a conversation with a person.
fn with_messages(terminal: &Terminal) {
    terminal.write("botops.yaml", channel("https://crm.example.com/answers"));
    terminal.write(".botops/keys/identity_key", IDENTITY_KEY);
    let folder = |kind: &str| format!("registry/channels/shop/{kind}");
    for (n, person) in [(1, "alice"), (2, "bob")] {
        let conversation = format!("talk of {person}");
        let named = names().of(&format!("shop:{conversation}"), Some(&format!("shop:{person}")));
        let stored = |id: &str| {
            json!({
                "schema": "botops.channel-message/1",
                "conversation": named.conversation, "person": named.person,
                "received_at": 1_780_000_000_000_i64, "index": 0, "replays": 0,
                "message": { "id": id, "conversation": conversation, "person": person, "at": 1_780_000_000,
                    "content": { "type": "text", "text": format!("the secret of {person}") } },
            })
        };
        let place = format!("{n:032}");
        let waiting = folder(&format!("inbox/{place}/{n:031}a.json"));
        terminal.write(&waiting, stored("m1").to_string());
        let id = format!("{n:031}b");
        let letter = json!({
            "schema": "botops.channel-dead-letter/1", "id": id, "reason": "the platform answers 400",
            "at": 1_780_000_000, "attempts": 1, "conversation": place, "waiting": stored("m2"),
        });
        terminal.write(&folder(&format!("dead/{id}.json")), letter.to_string());
        let mark =
            json!({ "schema": "botops.channel-mark/1", "outcome": "dead", "at": 1_780_000_000 });
        terminal.write(&folder(&format!("done/{id}.json")), mark.to_string());
        let handed = json!({
            "schema": "botops.channel-handed/1", "conversation": named.conversation, "at": 1_780_000_000,
        });
        terminal.write(&folder(&format!("handed/{place}.json")), handed.to_string());
    }
}

/// Returns everything below a folder, as text.
fn all(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        text.push_str(&match path.is_dir() {
            true => all(&path),
            false => format!(
                "{} {}\n",
                path.display(),
                String::from_utf8_lossy(&fs::read(&path).unwrap())
            ),
        });
    }
    text
}

fn done(terminal: &Terminal, line: &str, variables: &BTreeMap<String, String>) -> Value {
    let mut command = terminal.command(&format!("{line} --format json"));
    let output = command.env("SHOP_SECRET", SECRET).envs(variables).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{line}: {error}: {text}{:?}", output.stderr));
    assert_eq!(output.status.code(), Some(0), "{line}: {answer}");
    answer["data"].clone()
}

#[test]
fn forgetting_a_person_reaches_the_inbox_and_the_dead_letters() {
    let (terminal, none) = (Terminal::new(), BTreeMap::new());
    stored_with(&terminal, None);
    with_messages(&terminal);
    let channels = terminal.path().join("registry/channels");
    let listed = done(&terminal, "channels list", &none);
    let expected = json!([{ "name": "shop", "platform": "webhook", "waiting_conversations": 2, "dead_letters": 2 }]);
    assert_eq!(listed["channels"], expected);

    let forget = "conversations forget --person shop:alice --reason \"she asked\"";
    let before = all(&channels);
    let dry = terminal.run(&format!("{forget} --dry-run"));
    assert!(
        dry.contains("0 turns of 0 conversations and 2 messages of channels would be erased"),
        "{dry}"
    );
    assert_eq!(all(&channels), before);
    assert_eq!(done(&terminal, forget, &none)["messages"], 2);
    let left = all(&channels);
    assert!(!left.contains("alice") && left.matches("the secret of bob").count() == 2, "{left}");
    let again = terminal.run(forget);
    assert!(again.starts_with("exit: 2\n") && again.contains("BOT-6126"), "{again}");

    // Also where no conversation has a turn, and no store of conversations exists.
    fs::remove_dir_all(terminal.path().join(".botops/conversations")).unwrap();
    let forget = "conversations forget \"shop:talk of bob\" --reason \"he asked\"";
    assert_eq!(done(&terminal, forget, &none)["messages"], 2);
    let left = all(&channels);
    // The mark of a hand-off goes with its conversation; that of alice had no turn by which it is found.
    assert!(!left.contains("secret of") && left.matches("/handed/").count() == 1, "{left}");
    let entries = all(&terminal.path().join("registry/erasures"));
    assert!(!entries.contains("alice") && !entries.contains("bob"), "{entries}");
}

#[test]
fn a_store_with_channels_is_verified_swept_backed_up_and_restored_without_what_was_erased() {
    let (terminal, none) = (Terminal::new(), BTreeMap::new());
    terminal.write("data.csv", two_intents(30));
    terminal.stdout("train data.csv --out model.botops --record");
    terminal.stdout("push model.botops --name bot");
    stored_with(&terminal, None);
    with_messages(&terminal);
    let before = all(&terminal.path().join("registry/channels"));
    for line in ["registry verify", "registry gc", "runs gc --keep 5", "doctor"] {
        let shown = terminal.show(terminal.command(line).env("SHOP_SECRET", SECRET));
        assert!(shown.starts_with("exit: 0\n"), "{line}: {shown}");
        assert_eq!(all(&terminal.path().join("registry/channels")), before, "{line}");
    }
    let variables = [("BOTOPS_BACKUP_STORE".to_owned(), "backups".to_owned())].into();
    done(&terminal, "backup create", &variables);
    done(&terminal, "backup verify", &variables);
    let forget = "conversations forget --person shop:alice --reason asked";
    done(&terminal, forget, &none);
    done(&terminal, "backup restore --into new", &variables);
    let restored = terminal.path().join("new/registry/channels");
    let (live, copy) = (all(&terminal.path().join("registry/channels")), all(&restored));
    assert!(copy.matches("the secret of bob").count() == 2 && !copy.contains("alice"), "{copy}");
    for kind in ["/inbox/", "/dead/", "/done/", "/handed/"] {
        assert_eq!(copy.matches(kind).count(), live.matches(kind).count(), "{kind}");
    }
    done(&terminal, "registry verify --registry new/registry", &none);
    let mirrored = terminal.run("registry mirror registry copy");
    assert!(mirrored.starts_with("exit: 0\n"), "{mirrored}");
    assert!(
        !terminal.path().join("copy/channels").exists(),
        "messages stay where they are answered"
    );
}

#[test]
fn conversations_with_persons_are_listed_and_given_back() {
    let (terminal, none) = (Terminal::new(), BTreeMap::new());
    with_messages(&terminal);
    let listed = done(&terminal, "channels handed shop", &none);
    assert_eq!(listed["conversations"].as_array().unwrap().len(), 2, "{listed}");
    let unknown = terminal.run("channels give-back shop nobody");
    assert!(unknown.starts_with("exit: 2\n") && unknown.contains("BOT-6126"), "{unknown}");
    assert!(unknown.contains("botops channels handed shop"), "{unknown}");
    let give_back = "channels give-back shop \"talk of alice\"";
    let dry = terminal.run(&format!("{give_back} --dry-run"));
    assert!(dry.contains("would be given back to the bot"), "{dry}");
    let given = done(&terminal, give_back, &none);
    assert_eq!(given["conversation"], json!(names().of("shop:talk of alice", None).conversation));
    let listed = done(&terminal, "channels handed shop", &none);
    let left = listed["conversations"].as_array().unwrap();
    assert_eq!(left.len(), 1);
    let name = left[0]["conversation"].as_str().unwrap();
    done(&terminal, &format!("channels give-back shop {name}"), &none);
    let listed = terminal.run("channels handed shop");
    assert!(listed.contains("the bot answers in every conversation of shop"), "{listed}");
}

/// The system behind a webhook: it refuses some answers, and keeps those that it took.
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
    tries: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/answers", listener.local_addr().unwrap());
        let of = Self {
            url,
            taken: Arc::default(),
            tries: Arc::default(),
            refuses: Arc::new(Mutex::new(true)),
        };
        let (taken, tries) = (Arc::clone(&of.taken), Arc::clone(&of.tries));
        let refuses = Arc::clone(&of.refuses);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(id) = message_of(&mut stream) else { continue };
                let mut tries = tries.lock().unwrap();
                tries.push(id.clone());
                let n = tries.iter().filter(|tried| **tried == id).count();
                let status = match id.as_str() {
                    "busy" if n == 1 => 503,
                    "refused" if *refuses.lock().unwrap() => 400,
                    _ => 200,
                };
                if status == 200 {
                    taken.lock().unwrap().push(id);
                }
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        of
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

/// Returns the id of the message that a call answers.
fn message_of(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(n) = line.strip_prefix("content-length: ") {
            length = n.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    Some(body["message_id"].as_str()?.to_owned())
}

/// A server with the channel `shop`. Killed when it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(terminal: &Terminal, line: &str, variables: &BTreeMap<String, String>) -> Self {
        let mut command = terminal.command(line);
        command.envs(variables).env("SHOP_SECRET", SECRET).env_remove("SOURCE_DATE_EPOCH");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
            if let Some((_, address)) =
                line.split_once(" on http://").filter(|_| line.contains("serving"))
            {
                break address.trim_end_matches('/').to_owned();
            }
            said.push_str(&line);
        };
        // The server continues to write. Without a reader, a full pipe would block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Delivers a message, signed; returns the status line.
    fn deliver(&self, id: &str) -> String {
        let body = json!({ "conversation_id": format!("c {id}"), "message_id": id, "text": "where is my order" });
        let (body, at) = (body.to_string(), Utc::now().timestamp());
        let signature = SigningKey::new(SECRET).unwrap().sign(id, at, &body);
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST /channels/shop HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nwebhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_bucket_keeps_the_inbox_of_two_servers_through_duplicates_retries_and_dead_letters() {
    let Some(moto) = Moto::start() else { return };
    let mut variables = settings(&moto.endpoint());
    let registry = format!("s3://{BUCKET}/registry");
    variables.insert("BOTOPS_IDENTITY_KEY".to_owned(), IDENTITY_KEY.to_owned());
    let (terminal, receiver) = (Terminal::new(), Receiver::start());
    terminal.write("data.csv", two_intents(30));
    terminal.stdout("train data.csv --out model.botops --record");
    terminal.write("botops.yaml", format!("registry: {registry}\n{}", channel(&receiver.url)));
    done(&terminal, "push model.botops --name bot", &variables);
    let line = "serve bot@latest --listen 127.0.0.1:0";
    let (one, two) =
        (Server::start(&terminal, line, &variables), Server::start(&terminal, line, &variables));

    for server in [&one, &two, &one] {
        assert!(server.deliver("twice").contains(" 200 "));
    }
    assert!(one.deliver("busy").contains(" 200 ") && two.deliver("refused").contains(" 200 "));
    let taken = |id: &str| receiver.taken().iter().filter(|taken| *taken == id).count();
    until("both are answered", || taken("twice") >= 1 && taken("busy") >= 1);
    let dead = || done(&terminal, "channels dead shop", &variables)["dead_letters"].clone();
    until("the third is dead", || dead().as_array().unwrap().len() == 1);
    assert!(dead()[0]["reason"].as_str().unwrap().contains("400"), "{}", dead());
    assert_eq!((taken("twice"), taken("busy"), taken("refused")), (1, 1, 0));
    let tries = receiver.tries.lock().unwrap().iter().filter(|id| *id == "busy").count();
    assert_eq!(tries, 2, "one try, and one again");

    // A server that starts anew finds what is replayed; duplicates are still known.
    drop((one, two));
    *receiver.refuses.lock().unwrap() = false;
    done(&terminal, "channels replay shop --all", &variables);
    let three = Server::start(&terminal, line, &variables);
    until("the replay is answered", || taken("refused") == 1);
    assert!(three.deliver("twice").contains(" 200 ") && three.deliver("refused").contains(" 200 "));
    assert!(three.deliver("last").contains(" 200 "));
    until("the last is answered", || taken("last") == 1);
    assert_eq!((taken("twice"), taken("busy"), taken("refused")), (1, 1, 1));
    let listed = done(&terminal, "channels list", &variables);
    assert_eq!(listed["channels"][0]["dead_letters"], 0);
    done(&terminal, "registry verify", &variables);
}
