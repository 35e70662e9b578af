//! Versions that differ in their documents alone: gated, canaried on a server, promoted, described, and told apart in the log.

use crate::support::{Folder, copy_repository, terminal_output};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const TOKEN: &str = "a token of thirty-two characters!!";

const DIALOGUE: &str = "
default_language: en
intents:
  returns: {answer_from: help}
responses:
  returns: {en: See our page about returns.}
  parcel: {en: It is on its way.}
fallback: {en: Sorry?}
";

const RULES: &str = "
metrics: {accuracy: {min: 0.5}}
knowledge:
  recall_at_5: {min: 0.6}
  max_drop: {recall_at_5: 0.05}
";

const PLAN: &str = "
interval: 100ms
stale_after: 1m
steps: [{weight: 50, min_units: 30, deadline: 5m}]
";

/// The question that the edited document answers. Both words of the intent stand in it.
const QUESTION: &str = "return item: within how many days of delivery?";

/// Returns a folder with documents, questions, data, a dialogue, rules and a trained model.
pub(crate) fn workspace() -> Folder {
    let folder = Folder::empty();
    let copy = tempfile::tempdir().unwrap();
    copy_repository(copy.path(), |path| path.starts_with("datasets/support"));
    let support = copy.path().join("datasets/support");
    folder.write("questions.jsonl", fs::read(support.join("questions.jsonl")).unwrap());
    for language in ["en", "fr"] {
        for file in fs::read_dir(support.join("knowledge").join(language)).unwrap() {
            let file = file.unwrap();
            let name = format!("pages/{language}/{}", file.file_name().to_str().unwrap());
            folder.write(&name, fs::read(file.path()).unwrap());
        }
    }
    let fillers = ["please", "today", "now", "again", "soon", "still", "really", "then"];
    let mut data = "text,intent\n".to_owned();
    for i in 0..40 {
        let (a, b) = (fillers[i % 8], fillers[(i / 8 + i * 3) % 8]);
        data.push_str(&format!("return item {a} days {b} {i},returns\n"));
        data.push_str(&format!("where parcel {a} arrives {b} {i},parcel\n"));
    }
    folder.write("data.csv", data).write("dialogue.yaml", DIALOGUE);
    folder.write("gate.yaml", RULES).write("plan.yaml", PLAN);
    folder.write("botops.yaml", "version: 1\nmodel: bot\nknowledge: {min_confidence: 0.001}\n");
    run(&folder, "train data.csv --dialogue dialogue.yaml --out bot.botops");
    folder
}

pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

pub(crate) fn run(folder: &Folder, line: &str) -> String {
    let text = terminal_output(&mut folder.botops(words(line)));
    assert!(text.starts_with("exit: 0"), "{line}: {text}");
    text
}

pub(crate) fn json_of(folder: &Folder, line: &str) -> Value {
    let mut command = folder.botops(words(line));
    let output = command.args(["--format", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let document: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{line}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    document["data"].clone()
}

const PUSH: &str =
    "push bot.botops --test data.csv --rules gate.yaml --questions questions.jsonl --knowledge";

/// Makes help@1 without a page on warranties, help@2 with one page, and help@3 with all of them and another number of days; and
/// bot@1 with the first of them, as champion.
fn three_knowledge_versions() -> Folder {
    let folder = workspace();
    let page = |name: &str| folder.path().join("pages").join(name);
    let warranty = fs::read(page("en/warranty.md")).unwrap();
    fs::remove_file(page("en/warranty.md")).unwrap();
    run(&folder, "knowledge import pages --into help");
    folder.write("one/en/billing.md", fs::read(page("en/billing.md")).unwrap());
    run(&folder, "knowledge import one --into help");
    fs::write(page("en/warranty.md"), warranty).unwrap();
    let returns = fs::read_to_string(page("en/returns.md")).unwrap();
    assert!(returns.contains("within 30 days"));
    fs::write(page("en/returns.md"), returns.replace("within 30 days", "within 60 days")).unwrap();
    run(&folder, "knowledge import pages --into help");
    let pushed = run(&folder, &format!("{PUSH} help@1"));
    assert!(pushed.contains("bot@1"), "{pushed}");
    let promoted = run(&folder, "promote bot@1");
    assert!(promoted.contains("first champion"), "{promoted}");
    folder
}

/// Returns the stored gate report of a version.
fn gate_of(folder: &Folder, reference: &str) -> Value {
    let shown = json_of(folder, &format!("registry show {reference}"));
    let digest = shown["manifest"]["gates"].as_str().unwrap().parse().unwrap();
    let path = folder.path().join("registry").join(botops_store::blob_path(&digest));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_version_of_other_documents_is_gated_on_its_own_and_described() {
    let folder = three_knowledge_versions();
    let first = gate_of(&folder, "bot@1");
    assert_eq!(first["schema"], "botops.gate/3");
    assert!(
        first["knowledge"]["help"].is_string() && first["basis"]["questions"]["help"]["n"] == 40
    );

    // Fewer documents: the gates refuse them, by the bound and against the champion, and nothing is registered.
    let worse = terminal_output(&mut folder.botops(words(&format!("{PUSH} help@2"))));
    assert!(worse.starts_with("exit: 3"), "{worse}");
    let rules: Vec<&str> = worse.lines().filter(|it| it.contains("recall_at_5")).collect();
    assert!(rules.iter().any(|it| it.contains(">= 0.600") && it.contains("failed")), "{worse}");
    assert!(rules.iter().any(|it| it.contains("worse") && it.contains("failed")), "{worse}");
    assert!(!run(&folder, "registry list bot").contains("bot@2"));

    // The set of the champion is not registered again, also after another judgement; the same model with other documents is.
    folder.write("other.csv", folder.read("data.csv").replace("please", "kindly"));
    let again = json_of(&folder, &format!("{} help@1", PUSH.replace("data.csv", "other.csv")));
    assert_eq!((&again["same_model"], &again["reference"]), (&json!(true), &json!("bot@1")));
    let better = json_of(&folder, &format!("{PUSH} help@3"));
    assert_eq!((&better["registered"], &better["reference"]), (&json!(true), &json!("bot@2")));
    let second = gate_of(&folder, "bot@2");
    assert_eq!(first["model"], second["model"], "the model file is the same");
    assert_ne!(first["knowledge"], second["knowledge"]);
    assert_eq!(second["basis"]["questions"]["help"]["champion"], first["knowledge"]["help"]);

    let shown = run(&folder, "registry show bot@1");
    assert!(shown.contains("13 documents, "), "{shown}");
    assert!(shown.contains("language en, fr, ranked by words\n"), "{shown}");
    let shown = json_of(&folder, "registry show bot@2");
    let held = &shown["knowledge"][0];
    assert_eq!((&held["name"], &held["counts"]["documents"]), (&json!("help"), &json!(14)));
    assert_eq!(held["counts"]["languages"], json!(["en", "fr"]));
    let diff = run(&folder, "registry diff bot@1 bot@2");
    for part in [
        "both hold the same model, to the byte",
        "knowledge help: 1 added, 1 changed, 0 removed, 12 unchanged",
        "  + en/warranty.md\n",
        "  ~ en/returns.md\n",
    ] {
        assert!(diff.contains(part), "{part}: {diff}");
    }
    // An index that is lost is named, and the rest is still shown.
    let digest = second["knowledge"]["help"].as_str().unwrap().parse().unwrap();
    let blob = botops_store::blob_path(&digest);
    fs::remove_file(folder.path().join("registry").join(blob)).unwrap();
    let lost = run(&folder, "registry show bot@2");
    assert!(lost.contains("not readable: ") && lost.contains("BOT-5004"), "{lost}");
}

/// A `botops serve` of the champion, ended when dropped.
struct Server {
    process: Child,
    public: String,
    admin: String,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let line = "serve bot --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --no-request-log";
        let mut command = folder.botops(words(line));
        command.env("BOTOPS_ADMIN_TOKEN", TOKEN).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("admin API on ") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        std::thread::spawn(move || stderr.read_to_string(&mut String::new()));
        let after = |mark: &str| {
            let (_, rest) = said.split_once(mark).unwrap();
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let public = after("serving bot on http://");
        Self { process, public, admin: after("admin API on ") }
    }

    /// Asks the question in a conversation of its own. Returns the answer.
    fn ask(&self, conversation: &str) -> Value {
        let body = json!({"text": QUESTION, "conversation_id": conversation}).to_string();
        let mut stream = TcpStream::connect(&self.public).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "POST /v1/chat HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.public,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn end(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_gate_judges_knowledge_as_a_push_does() {
    let folder = three_knowledge_versions();
    let gate = "gate bot.botops data.csv --rules gate.yaml --questions questions.jsonl --knowledge";
    let passed = run(&folder, &format!("{gate} help@3 --against bot@1 --out gate.json"));
    assert!(passed.contains("recall_at_5"), "{passed}");
    assert!(passed.contains("--knowledge help@3 --questions questions.jsonl"), "{passed}");
    let report: Value = serde_json::from_str(&folder.read("gate.json")).unwrap();
    assert_eq!(report["schema"], "botops.gate/3");
    let pushed = json_of(&folder, &format!("{PUSH} help@3 --dry-run"));
    assert_eq!(pushed["gate"]["knowledge"], report["knowledge"]);
    assert_eq!(pushed["gate"]["basis"]["questions"], report["basis"]["questions"]);
    let evaluate = "knowledge evaluate help@3 questions.jsonl --against help@1 --rules gate.yaml";
    let short = run(&folder, &format!("{evaluate} --format markdown"));
    for part in [
        "### Knowledge help on questions.jsonl\n\n14 documents, ",
        "| `recall_at_5` | ",
        " | champion | change |\n",
        "| ✅ | ",
        "recall_at_5 of every knowledge base &#62;= 0.600",
    ] {
        assert!(short.contains(part), "{part}: {short}");
    }
    let failed = terminal_output(&mut folder.botops(words(&format!("{gate} help@2"))));
    assert!(failed.starts_with("exit: 3"), "{failed}");
    for (line, missing) in [
        ("gate bot.botops data.csv --rules gate.yaml --knowledge help@3", "--questions"),
        (
            "gate bot.botops data.csv --min accuracy=0.1 --knowledge help --questions questions.jsonl",
            "--rules",
        ),
        ("gate bot.botops data.csv --rules gate.yaml --questions questions.jsonl", "--knowledge"),
    ] {
        let refused = terminal_output(&mut folder.botops(words(line)));
        assert!(refused.starts_with("exit: 2") && refused.contains(missing), "{line}: {refused}");
    }
    let over =
        terminal_output(&mut folder.botops(words(&format!("{gate} help --out questions.jsonl"))));
    assert!(over.starts_with("exit: 2"), "{over}");
}

#[test]
fn better_documents_are_canaried_by_a_server_and_promoted_and_the_arms_answer_differently() {
    let folder = three_knowledge_versions();
    run(&folder, &format!("{PUSH} help@3"));
    let server = Server::start(&folder);
    let before = server.ask("before");
    assert!(before["response"].as_str().unwrap().contains("within 30 days"), "{before}");
    let mut promotion = folder.botops(words("promote bot@2 --plan plan.yaml --detach"));
    promotion.env("BOTOPS_ADMIN_URL", &server.admin).env("BOTOPS_ADMIN_TOKEN", TOKEN);
    let started = terminal_output(&mut promotion);
    assert!(started.starts_with("exit: 0"), "{started}");

    // Until the promotion, each arm answers from its own documents, and a conversation stays on its arm.
    let (began, mut said, mut n) = (Instant::now(), BTreeMap::<String, BTreeSet<String>>::new(), 0);
    let number =
        |reference: &str| json_of(&folder, &format!("registry show {reference}"))["number"].clone();
    while number("bot") != 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "not promoted: {said:?}");
        for _ in 0..20 {
            let answer = server.ask(&format!("c{n}"));
            let arm = answer["arm"].as_str().unwrap().to_owned();
            let text = answer["response"].as_str().unwrap().to_owned();
            // After the promotion, the new documents answer on the first arm.
            let is_over = answer["model"] == "bot@2" && arm == "primary";
            if !is_over {
                said.entry(arm).or_default().insert(text);
            }
            n += 1;
        }
    }
    assert_eq!(said.keys().collect::<Vec<_>>(), ["canary", "primary"]);
    for (arm, days) in [("primary", "within 30 days"), ("canary", "within 60 days")] {
        assert!(said[arm].len() == 1 && said[arm].first().unwrap().contains(days), "{said:?}");
    }
    let after = server.ask("after");
    assert_eq!((&after["model"], &after["arm"]), (&json!("bot@2"), &json!("primary")));
    assert!(after["response"].as_str().unwrap().contains("within 60 days"), "{after}");
    assert_eq!(before["digest"], after["digest"], "one model file");
    server.end();

    // The log tells the versions apart, although their model file is one.
    let counted = json_of(&folder, "predictions query --by manifest,arm");
    let manifest = |reference: &str| {
        let shown = json_of(&folder, &format!("registry show {reference}"));
        shown["manifest_digest"].as_str().unwrap().to_owned()
    };
    let (old, new) = (manifest("bot@1"), manifest("bot@2"));
    let rows = counted["rows"].as_array().unwrap();
    let keys: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row["key"][0].as_str().unwrap().into(), row["key"][1].as_str().unwrap().into()))
        .collect();
    let expected = [(&old, "primary"), (&new, "canary"), (&new, "primary")];
    let expected = expected.map(|(manifest, arm)| (manifest.clone(), arm.to_owned()));
    assert_eq!(keys, expected.into());
    let total: u64 = rows.iter().map(|row| row["n"].as_u64().unwrap()).sum();
    assert_eq!(total, n + 2, "every message has one record");
    let of_new = json_of(&folder, &format!("predictions query --by arm --manifest {new}"));
    assert_eq!(of_new["rows"].as_array().unwrap().len(), 2);
}

#[test]
fn a_rehearsal_answers_from_the_documents_of_each_side() {
    let folder = three_knowledge_versions();
    run(&folder, &format!("{PUSH} help@3"));
    let message = |i: usize| {
        format!(
            "{{\"at\":\"2026-01-05T{:02}:{:02}:00Z\",\"conversation_id\":\"c{i}\",\"text\":\"{QUESTION}\",\"truth\":\"returns\"}}\n",
            8 + i / 60,
            i % 60
        )
    };
    folder.write("traffic.jsonl", (0..300).map(message).collect::<String>());
    folder
        .write("slow.yaml", "interval: 10m\nsteps: [{weight: 50, min_units: 30, deadline: 2d}]\n");
    let promote = "promote bot@2 --traffic traffic.jsonl --plan slow.yaml";
    let promoted = run(&folder, promote);
    assert!(promoted.contains("bot@2"), "{promoted}");
    assert_eq!(json_of(&folder, "registry show bot")["number"], 2);
    // Without its documents, a version cannot answer, so the rehearsal refuses it.
    run(&folder, "rollback bot --reason again");
    let shown = json_of(&folder, "registry show bot@2");
    let files = shown["manifest"]["files"].as_array().unwrap();
    let file = files.iter().find(|it| it["path"] == "knowledge/help.knowledge").unwrap();
    let blob = botops_store::blob_path(&file["digest"].as_str().unwrap().parse().unwrap());
    fs::remove_file(folder.path().join("registry").join(blob)).unwrap();
    let refused = terminal_output(&mut folder.botops(words(promote)));
    assert!(refused.starts_with("exit: 1") && refused.contains("BOT-5004"), "{refused}");
}
