//! `botops chat`: a conversation in the terminal, with a model and with a server.

use crate::{
    bot::{self, Served},
    servers::skip,
    support::{Folder, clean, program, tool},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Output, Stdio},
};

/// Runs `botops chat` with these messages on standard input.
fn chat(folder: &Folder, arguments: &[&str], messages: impl AsRef<[u8]>) -> Output {
    let mut child = command(folder, arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(messages.as_ref()).unwrap();
    child.wait_with_output().unwrap()
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = folder.botops(["chat"].iter().chain(arguments).copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn piped_lines_are_a_conversation_that_remembers() {
    let folder = bot::folder();
    let lines = "hello there\n\nreturn an order\n#1234\n2\n/restart\nmon colis\n/quit\nnot read\n";
    let output = chat(&folder, &["bot.botops"], lines);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stdout(&output),
        "> hello there\nHello you!\n> return an order\nWhich order?\n> #1234\nReturn #1234?\n  1) Yes\n  2) No\n\
         > No\nNot returned.\n> mon colis\nVotre colis est en route.\n"
    );
    assert_eq!(stderr(&output), "");
    let marked = chat(&folder, &["bot.botops", "-"], lines);
    assert_eq!(stdout(&marked), stdout(&output), "a dash says so");
    let again = chat(&folder, &["bot.botops"], lines);
    assert_eq!(again.stdout, output.stdout, "the same messages get the same answers");
}

#[test]
fn an_explanation_shows_intents_entities_slots_and_state() {
    let folder = bot::folder();
    let lines = "return an order #1234\n/explain\nhello there\n";
    let output = chat(&folder, &["bot.botops", "--explain", "--language", "fr"], lines);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (first, second) = stdout(&output).split_once("> hello").unwrap();
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[1..4], ["Retourner #1234 ?", "  1) Oui", "  2) Non"], "{first}");
    assert!(lines[4].starts_with("  intent    return "), "{first}");
    assert!(lines[4].contains(", then "), "{first}");
    assert_eq!(
        lines[5..8],
        ["  entities  order=#1234", "  slots     order=#1234", "  state     awaiting_confirmation"]
    );
    assert!(lines[8].starts_with("  branch    return/"), "{first}");
    assert!(!second.contains("intent "), "it can be hidden: {second}");
}

#[test]
fn a_call_of_another_system_is_shown_and_not_made() {
    let folder = bot::folder();
    let output = chat(&folder, &["bot.botops"], "return an order #1234\nyes\n");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (_, said) = stdout(&output).split_once("> yes\n").unwrap();
    assert!(said.starts_with("Not now.\n"), "{said}");
    let note = "  note: a server would call POST https://shop.example/returns/";
    assert!(said.contains(note) && said.contains("the action counts as failed"), "{said}");
}

#[test]
fn json_is_one_document_also_on_failure() {
    let folder = bot::folder();
    let of = |arguments: &[&str], lines: &[u8]| {
        let output = chat(&folder, &[arguments, &["--format", "json"]].concat(), lines);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["exit"], output.status.code().unwrap());
        document
    };
    let document = of(&["bot.botops"], b"hello my name is Ann\nreturn an order #1234\n1\n");
    assert_eq!(
        (&document["schema"], &document["ok"], &document["data"]["bot"]),
        (&json!("botops.chat/1"), &json!(true), &json!("bot.botops"))
    );
    let turns = document["data"]["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 3, "{document:#}");
    assert_eq!(turns[0]["response"], "Hello Ann!");
    assert_eq!(turns[0]["entities"][0]["value"], "Ann");
    assert_eq!(turns[1]["buttons"][0]["title"], "Yes");
    assert_eq!(turns[1]["state"], "awaiting_confirmation");
    assert_eq!(turns[2]["text"], "Yes");
    assert_eq!(turns[2]["button"], turns[1]["buttons"][0]["payload"]);

    let damaged = of(&["bot.botops"], b"hello\ncaf\xe9\n");
    assert_eq!((&damaged["exit"], &damaged["data"]), (&json!(3), &Value::Null));
    assert_eq!(damaged["findings"][0]["code"], "BOT-2104");
    assert_eq!(damaged["findings"][0]["line"], 2);
    let empty = of(&["bot.botops"], b"");
    assert_eq!(empty["data"]["turns"], json!([]));
}

#[test]
fn a_reader_that_closes_the_pipe_ends_it_quietly() {
    let folder = bot::folder();
    let mut child = command(&folder, &["bot.botops"]).spawn().unwrap();
    let mut messages = child.stdin.take().unwrap();
    messages.write_all(b"hello there\n").unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "> hello there\n", "an answer does not wait for the end of the input");
    drop(answers);
    // The program may be gone before the last of these lines.
    let _ = messages.write_all("hello there\n".repeat(1_000).as_bytes());
    drop(messages);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
fn a_server_answers_too_and_keeps_the_conversation() {
    let server = Served::start(&[]);
    let folder = Folder::empty();
    let arguments = ["--url", &server.url, "--conversation", "of-a-test", "--explain"];
    let output = chat(&folder, &arguments, "hello there\nwhere is my parcel\n");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("> hello there\nHello you!\n  intent    greet "));
    assert!(stdout(&output).contains("> where is my parcel\nYour parcel is on its way.\n"));
    let french = ["--url", &server.url, "--language", "fr", "--format", "json"];
    let output = chat(&folder, &french, "hello there\n");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["data"]["turns"][0]["response"], "Bonjour vous !");
    assert_eq!(document["data"]["bot"], server.url.as_str());
    assert_eq!(document["data"]["conversation"].as_str().unwrap().len(), 26);
}

#[test]
fn documents_answer_with_their_sources_where_no_intent_claims_a_message() {
    let folder = bot::folder();
    // The model knows no letter of this language, so that no intent claims a question in it.
    let page = "# Гарантия\n\n## Батареи\n\nГарантия на батареи заканчивается через 24 месяца.\n";
    let secret =
        "---\naccess: [board]\n---\n# Зарплаты\n\nЗарплата директора составляет 9000 рублей.\n";
    folder.write("help/warranty.md", page).write("help/board.md", secret);
    let run = |line: &str| {
        let output = folder.botops(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{line}: {}", stderr(&output));
    };
    run("knowledge import help --into help");
    run("knowledge pull help --out help.knowledge");
    let question = "когда заканчивается гарантия на батареи?\n";
    let without = chat(&folder, &["bot.botops"], question);
    assert!(!stdout(&without).contains("24 месяца"), "{}", stdout(&without));
    let beside = ["bot.botops", "--knowledge", "help.knowledge", "--format", "json"];
    let output = chat(&folder, &beside, question);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let turn = &document["data"]["turns"][0];
    assert_eq!(turn["response"], "Гарантия на батареи заканчивается через 24 месяца.");
    assert_eq!((&turn["answered_by"], &turn["fallback"]), (&json!("knowledge"), &json!(false)));
    let source = &turn["sources"][0];
    assert_eq!((&source["title"], &source["section"]), (&json!("Гарантия"), &json!("Батареи")));
    let shown = chat(&folder, &beside[..3], question);
    assert!(stdout(&shown).contains("  source: Гарантия > Батареи\n"), "{}", stdout(&shown));
    // A page for one group of people is for no client without a key.
    let secret = chat(&folder, &beside[..3], "какая зарплата у директора?\n");
    assert!(!stdout(&secret).contains("9000"), "{}", stdout(&secret));
    // What an intent claims is answered by it.
    let claimed = chat(&folder, &beside[..3], "hello there\n");
    assert!(stdout(&claimed).starts_with("> hello there\nHello you!\n"), "{}", stdout(&claimed));
}

#[test]
fn mistakes_have_their_exit_codes() {
    let folder = bot::folder();
    folder.write("other.txt", "no model");
    let long = "a".repeat(6_000);
    let server = Served::start(&[]);
    let gone = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", free.local_addr().unwrap())
    };
    for (arguments, lines, exit, code) in [
        (&["bot.botops", "hello"][..], "", 2, "BOT-1003"),
        (&["bot.botops", "--url", &server.url], "", 2, "BOT-1003"),
        (&["--url", "ftp://a"], "hi\n", 2, "BOT-6030"),
        (&["--url", &gone], "hi\n", 7, "BOT-6031"),
        (&["--url", &server.url], &long, 2, "BOT-6015"),
        (&["--url", &format!("{}/nowhere", server.url)], "hi\n", 2, "BOT-6030"),
        (&["missing.botops"], "hi\n", 2, "BOT-1001"),
        (&["bot.botops", "--knowledge", "missing.knowledge"], "hi\n", 2, "BOT-1001"),
        (&["bot.botops", "--knowledge", "other.txt"], "hi\n", 3, "BOT-7200"),
        (&[], "hi\n", 2, "BOT-1005"),
    ] {
        let output = chat(&folder, arguments, lines);
        let shown = stderr(&output);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {shown}");
        assert!(shown.contains(code), "{arguments:?}: {shown}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_person_at_a_terminal_gets_a_prompt_and_is_not_repeated() {
    let Some(script) = tool("", "script") else {
        skip("`script` (on Debian: apt-get install bsdutils)");
        return;
    };
    let folder = bot::folder();
    let chat = format!("{} chat bot.botops", program().display());
    let mut command = Command::new(script);
    let mut child = clean(&mut command, folder.path())
        .current_dir(folder.path())
        .args(["--quiet", "--return", "--command", &chat, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello there\n/explain\nwhere is my parcel\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let shown = stdout(&output).replace('\r', "");
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("/quit ends\n"), "{shown}");
    assert!(shown.contains("> "), "{shown}");
    assert!(shown.contains("Hello you!\n"), "{shown}");
    assert_eq!(shown.matches("hello there").count(), 1, "only the terminal shows it: {shown}");
    assert!(shown.contains("Your parcel is on its way.\n  intent    parcel "), "{shown}");
}
