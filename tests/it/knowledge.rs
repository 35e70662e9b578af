//! Knowledge bases from the outside: imported, edited, compared, written back, fetched, erased, swept and interrupted.

use crate::{
    faulty::{Faulty, Side, Until},
    support::{Folder, botops_snapshot, terminal_output},
};
use botops_documents::{Declared, Limits, PdfReader};
use botops_findings::{Fault, FaultKind, Result};
use botops_knowledge::store::{
    Change, ImportAct, ImportMode, ImportRequest, KnowledgeStore, PutFile, SettingsChange,
    Unreadable,
};
use botops_registry::{GarbageRule, Registry};
use botops_store::{Retries, Store};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use object_store::memory::InMemory;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
    thread,
};

const RETURNS: &str = "# Returns\n\nYou can return an item within 30 days.\n\n## Gifts\n\nGifts can be returned until 31 January.\n";
const DELIVERY: &str = "# Delivery\n\nStandard delivery takes 3 to 5 working days.\n";

/// Makes a folder with two documents and a hidden file.
fn documents() -> Folder {
    let folder = Folder::empty();
    folder.write("help/returns.md", RETURNS).write("help/more/delivery.md", DELIVERY);
    folder.write("help/.draft.md", "x");
    folder
}

fn run(folder: &Folder, arguments: &[&str]) -> String {
    let text = terminal_output(&mut folder.botops(arguments.iter().copied()));
    assert!(text.starts_with("exit: 0"), "{arguments:?}: {text}");
    text
}

/// Returns `text` without the sizes of indexes and blobs.
fn without_sizes(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    for at in 1..words.len() {
        let unit = words[at].trim_end_matches([';', ',', '\n']);
        let is_number = words[at - 1].chars().all(|c| c.is_ascii_digit() || c == '.');
        if is_number && matches!(unit.split('\n').next(), Some("B" | "kB")) {
            words[at - 1] = "[n]";
        }
    }
    words.join(" ")
}

fn output(folder: &Folder, arguments: &[&str]) -> String {
    without_sizes(&terminal_output(&mut folder.botops(arguments.iter().copied())))
}

#[test]
fn a_folder_is_imported_and_an_unchanged_one_is_not_stored_again() {
    let folder = documents();
    let import = ["knowledge", "import", "help", "--into", "help"];
    insta::assert_snapshot!(output(&folder, &[&import[..], &["--dry-run"]].concat()), @r#"
    exit: 0
    ----- stdout -----
    help@1 would be 2 documents, an index of [n] kB ([digest]); nothing was stored (dry run)
      2 added, 0 changed, 0 removed, 0 unchanged
    hidden files skipped: .draft.md
    ----- stderr -----
    "#);
    assert!(!folder.path().join("registry").exists(), "a dry run stores nothing");
    insta::assert_snapshot!(output(&folder, &[&import[..], &["--reason", "first"]].concat()), @r#"
    exit: 0
    ----- stdout -----
    help@1 is in [folder]/registry ([digest]): 2 documents, an index of [n] kB; stored [n] kB
      2 added, 0 changed, 0 removed, 0 unchanged
    hidden files skipped: .draft.md
    ----- stderr -----
    next: `botops knowledge log help`
    "#);
    insta::assert_snapshot!(output(&folder, &import), @r#"
    exit: 0
    ----- stdout -----
    help@1 has this content already ([digest]): 2 documents; nothing was stored
    hidden files skipped: .draft.md
    ----- stderr -----
    next: `botops knowledge log help`
    "#);
}

#[test]
fn an_edit_and_a_removal_are_a_new_version_with_its_differences() {
    let folder = documents();
    let import = ["knowledge", "import", "help", "--into", "help"];
    run(&folder, &import);
    folder.write("help/returns.md", RETURNS.replace("30 days", "60 days"));
    fs::remove_file(folder.path().join("help/more/delivery.md")).unwrap();
    run(&folder, &[&import[..], &["--reason", "60 days"]].concat());
    botops_snapshot!(folder.botops(["knowledge", "diff", "help@1", "help"]), @r#"
    exit: 0
    ----- stdout -----
    help@1 -> help@2: 0 added, 1 changed, 1 removed, 0 unchanged
    - more/delivery.md
    ~ returns.md: 1 of its passages stay
        - (at the top)
        + (at the top)
    ----- stderr -----
    "#);
    let log = run(&folder, &["knowledge", "log", "help"]);
    for part in ["+2 ~0 -0", "+0 ~1 -1", "60 days", "next: `botops knowledge diff help@1 help@2`"] {
        assert!(log.contains(part), "{log}");
    }
    // One document is put beside the others, and one is removed by its name.
    folder.write("delivery.md", DELIVERY);
    let merged = run(&folder, &["knowledge", "import", "delivery.md", "--into", "help"]);
    assert!(merged.contains("1 added, 0 changed, 0 removed, 1 unchanged"), "{merged}");
    let removal = ["knowledge", "import", "--remove", "delivery.md", "--into", "help"];
    let removed = run(&folder, &removal);
    assert!(removed.contains("0 added, 0 changed, 1 removed, 1 unchanged"), "{removed}");
    let list = run(&folder, &["knowledge", "log"]);
    assert!(list.contains("help@4"), "{list}");
}

#[test]
fn a_version_is_pulled_byte_for_byte_and_replaces_no_file_unasked() {
    let folder = documents();
    run(&folder, &["knowledge", "import", "help", "--into", "help", "--out", "new.knowledge"]);
    run(&folder, &["knowledge", "pull", "help", "--documents", "out"]);
    let read = |path: &str| fs::read(folder.path().join(path)).unwrap();
    assert_eq!(read("help.knowledge"), read("new.knowledge"));
    assert_eq!(read("out/more/delivery.md"), DELIVERY.as_bytes());
    // The same files again, and an index that botops wrote, may be replaced.
    run(&folder, &["knowledge", "pull", "help@1", "--documents", "out"]);
    folder.write("out/returns.md", "mine").write("mine.knowledge", "mine");
    botops_snapshot!(folder.botops(["knowledge", "pull", "help", "--documents", "out"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-2219]: `out/returns.md` exists already
      --> out/returns.md
    hint: name another file, or add `--force` to replace it
    "#);
    let other = terminal_output(&mut folder.botops([
        "knowledge",
        "pull",
        "help",
        "--out",
        "mine.knowledge",
    ]));
    assert!(other.starts_with("exit: 2") && other.contains("BOT-2219"), "{other}");
    assert_eq!(folder.read("mine.knowledge"), "mine");
    run(&folder, &["knowledge", "pull", "help", "--documents", "out", "--force"]);
    assert_eq!(folder.read("out/returns.md"), RETURNS);
}

#[test]
#[cfg(unix)]
fn documents_are_not_written_through_a_link() {
    let folder = documents();
    run(&folder, &["knowledge", "import", "help", "--into", "help"]);
    fs::create_dir_all(folder.path().join("outside")).unwrap();
    fs::create_dir_all(folder.path().join("out")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("outside"), folder.path().join("out/more"))
        .unwrap();
    let pulled = terminal_output(&mut folder.botops([
        "knowledge",
        "pull",
        "help",
        "--documents",
        "out",
        "--force",
    ]));
    assert!(pulled.starts_with("exit: 2") && pulled.contains("BOT-7244"), "{pulled}");
    assert_eq!(fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    assert!(!folder.path().join("help.knowledge").exists(), "nothing was written");
}

#[test]
fn files_that_cannot_be_read_stop_an_import_or_are_listed() {
    let folder = documents();
    folder.write("help/broken.pdf", "%PDF-1.4 nothing").write("help/photo.md", b"\0\x01");
    let import = ["knowledge", "import", "help", "--into", "help"];
    let stopped = output(&folder, &import);
    for part in [
        "exit: 3",
        "error[BOT-7234]: 2 of 4 files cannot be read, so nothing was imported",
        "error[BOT-7106] broken.pdf",
        "error[BOT-7100] photo.md",
        "add `--skip-unreadable`",
    ] {
        assert!(stopped.contains(part), "{stopped}");
    }
    let log = terminal_output(&mut folder.botops(["knowledge", "log", "help"]));
    assert!(log.starts_with("exit: 2") && log.contains("BOT-7232"), "{log}");
    let skipped = run(&folder, &[&import[..], &["--skip-unreadable"]].concat());
    for part in ["2 added", "warning[BOT-7106]", "warning[BOT-7100]"] {
        assert!(skipped.contains(part), "{skipped}");
    }
}

#[test]
fn mistakes_have_the_right_code() {
    let folder = documents();
    folder.write("urls.txt", "ftp://example.com/a\n").write("none.txt", "# nothing\n");
    folder.write("secret.txt", "https://me:pw@example.com/\n");
    fs::create_dir(folder.path().join("empty")).unwrap();
    run(&folder, &["knowledge", "import", "help", "--into", "help"]);
    let import = |more: &[&'static str]| [&["knowledge", "import"], more].concat();
    for (arguments, exit, code) in [
        (import(&["nowhere", "--into", "help"]), 2, "BOT-1001"),
        (import(&["empty", "--into", "help"]), 2, "BOT-7235"),
        (import(&["help", "--into", "A b"]), 2, "BOT-7231"),
        (import(&["help", "--into", "help", "--chunk-tokens", "5"]), 2, "BOT-7207"),
        (import(&["help", "--into", "help", "--overlap", "150"]), 2, "BOT-7207"),
        (import(&["help", "--into", "help", "--encoder", "nowhere"]), 2, "BOT-7020"),
        (import(&["--urls", "urls.txt", "--into", "help"]), 2, "BOT-7240"),
        (import(&["--urls", "none.txt", "--into", "help"]), 2, "BOT-7240"),
        (import(&["--urls", "secret.txt", "--into", "help"]), 2, "BOT-7240"),
        (vec!["knowledge", "log", "hepl"], 2, "BOT-7232"),
        (vec!["knowledge", "diff", "help@1", "help@9"], 2, "BOT-7233"),
        (vec!["knowledge", "diff", "help@0", "help"], 2, "BOT-7230"),
        (vec!["knowledge", "pull", "help/x"], 2, "BOT-7230"),
    ] {
        let text = terminal_output(&mut folder.botops(arguments.iter().copied()));
        assert!(text.starts_with(&format!("exit: {exit}")), "{arguments:?}: {text}");
        assert!(text.contains(code), "{arguments:?}: {text}");
        assert!(!text.contains("pw@"), "{text}");
    }
    let log = run(&folder, &["knowledge", "log", "help"]);
    assert!(!log.contains("help@2"), "no mistake made a version: {log}");
}

/// Answers `n` requests on a port of its own, and returns the port.
fn web_server(n: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().take(n) {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let page = "<!doctype html><html><head><title>Hours</title></head><body><p>We open at nine.</p></body></html>";
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let latin = "content-type: text/html; charset=ISO-8859-1\r\n";
            let (status, more, body) = match path {
                "/hours" => ("200 OK", "content-type: text/html\r\n", page),
                "/latin" => ("200 OK", latin, "<html><p>Le café ouvre à neuf heures.</p></html>"),
                "/moved" => ("302 Found", "location: /hours\r\n", ""),
                "/elsewhere" => ("302 Found", "location: http://127.0.0.2:1/\r\n", ""),
                "/loop" => ("302 Found", "location: /loop\r\n", ""),
                "/fake" => ("200 OK", "content-type: application/pdf\r\n", page),
                "/packed" => ("200 OK", "content-encoding: gzip\r\n", "x"),
                "/large" => ("200 OK", "content-length: 999999999\r\n", ""),
                _ => ("404 Not Found", "", ""),
            };
            let length = if path == "/large" {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.chars().count())
            };
            let answer =
                format!("HTTP/1.1 {status}\r\n{more}{length}connection: close\r\n\r\n{body}");
            // Each character of the pages is one byte in ISO-8859-1, which is what the first 256 characters of Unicode are.
            let bytes: Vec<u8> =
                answer.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            stream.write_all(&bytes).unwrap();
        }
    });
    port
}

#[test]
fn addresses_are_fetched_within_their_limits() {
    let folder = Folder::empty();
    let port = web_server(15);
    let import = |path: &str, more: &[&str]| {
        folder.write("urls.txt", format!("# pages\nhttp://127.0.0.1:{port}{path}\n"));
        let arguments =
            [&["knowledge", "import", "--urls", "urls.txt", "--into", "web"], more].concat();
        terminal_output(&mut folder.botops(arguments.iter().copied()))
    };
    let refused = import("/hours", &[]);
    assert!(refused.starts_with("exit: 6") && refused.contains("BOT-7241"), "{refused}");
    let private = &["--allow-private"];
    let fetched = import("/hours", private);
    assert!(fetched.starts_with("exit: 0") && fetched.contains("1 added"), "{fetched}");
    let moved = import("/moved", private);
    assert!(moved.starts_with("exit: 0") && moved.contains("1 added"), "{moved}");
    let latin = import("/latin", private);
    assert!(latin.starts_with("exit: 0") && latin.contains("1 added"), "{latin}");
    for (path, exit, code) in [
        ("/elsewhere", 6, "BOT-7241"),
        ("/loop", 3, "BOT-7243"),
        ("/fake", 3, "BOT-7243"),
        ("/packed", 3, "BOT-7243"),
        ("/large", 3, "BOT-7243"),
        ("/none", 7, "BOT-7242"),
    ] {
        let text = import(path, private);
        assert!(
            text.starts_with(&format!("exit: {exit}")) && text.contains(code),
            "{path}: {text}"
        );
    }
    run(&folder, &["knowledge", "pull", "web", "--documents", "out"]);
    let out = folder.path().join("out").join(format!("127.0.0.1_{port}"));
    assert!(out.join("hours").exists() && out.join("moved").exists());
    let original = fs::read(out.join("latin")).unwrap();
    assert!(original.windows(5).any(|bytes| bytes == b"caf\xe9 "), "it is stored as it was sent");
}

#[test]
fn an_erased_document_is_verified_as_erased_and_left_out() {
    let folder = documents();
    folder.write("forget.txt", "Gifts can be returned until 31 January\n");
    let import = ["knowledge", "import", "help", "--into", "help"];
    run(&folder, &import);
    let forget = ["registry", "forget", "--utterances", "forget.txt", "--reason", "asked"];
    let planned = run(&folder, &[&forget[..], &["--dry-run"]].concat());
    assert!(planned.contains("knowledge help@1 loses documents"), "{planned}");
    run(&folder, &forget);
    let verified = run(&folder, &["registry", "verify"]);
    assert!(verified.contains("erased on purpose, and not missing: 2 files"), "{verified}");
    let again = run(&folder, &import);
    assert!(again.contains("help@2") && again.contains("BOT-7238"), "{again}");
    let gone = terminal_output(&mut folder.botops(["knowledge", "pull", "help@1"]));
    assert!(gone.starts_with("exit: 6") && gone.contains("BOT-5130"), "{gone}");
}

#[test]
fn a_lost_original_is_found_by_verify() {
    let folder = documents();
    run(&folder, &["knowledge", "import", "help", "--into", "help"]);
    let digest = botops_digest::Digest::of(DELIVERY.as_bytes());
    let path = folder.path().join("registry").join(botops_store::blob_path(&digest));
    fs::remove_file(path).unwrap();
    let verified = terminal_output(&mut folder.botops(["registry", "verify"]));
    assert!(verified.starts_with("exit: 3") && verified.contains("more/delivery.md"), "{verified}");
    run(&folder, &["registry", "verify", "--repair", "--file", "help/more/delivery.md"]);
}

struct NoPdf;

impl PdfReader for NoPdf {
    fn pages(&self, _: &[u8]) -> Result<Vec<String>> {
        Err(Fault::data("BOT-7106", "the PDF cannot be read"))
    }
}

fn request() -> ImportRequest {
    let put = |(id, text): (&str, &'static str)| {
        let bytes = Bytes::from_static(text.as_bytes());
        Change::Put(PutFile { id: id.to_owned(), bytes, declared: Declared::default() })
    };
    ImportRequest {
        name: "help".to_owned(),
        changes: [("returns.md", RETURNS), ("delivery.md", DELIVERY)].map(put).to_vec(),
        mode: ImportMode::Merge,
        settings: SettingsChange::default(),
        unreadable: Unreadable::Stop,
        limits: Limits::default(),
        pdf: Arc::new(NoPdf),
        act: ImportAct { at: Utc::now(), actor: "ada".to_owned(), reason: String::new() },
        dry_run: false,
    }
}

#[tokio::test]
async fn an_interrupted_import_is_complete_or_absent_and_a_retry_completes_it() {
    for side in [Side::Before, Side::After] {
        let (mut absent, mut complete) = (0, 0);
        for at in 1.. {
            let context = format!("cut off {side:?} call {at}");
            let raw = Arc::new(InMemory::new());
            let faulty = Arc::new(Faulty::new(raw.clone(), at, side, Until::Forever));
            let store = Store::wrap(faulty.clone(), "memory://").with_retries(Retries::none());
            let result = KnowledgeStore::open(store).import(&request()).await;
            if !faulty.has_failed() {
                result.unwrap();
                assert!(at > 5, "an import took {at} calls");
                break;
            }
            let healthy = KnowledgeStore::open(Store::wrap(raw, "memory://"));
            match healthy.names().await.unwrap().len() {
                0 => absent += 1,
                _ => complete += 1,
            }
            if let Err(fault) = result {
                assert_eq!(fault.kind(), FaultKind::Unreachable, "{context}: {fault}");
            }
            assert_eq!(healthy.verify(None).await.unwrap().problems, [], "{context}");
            healthy.import(&request()).await.unwrap();
            assert_eq!(healthy.versions("help").await.unwrap().len(), 1, "{context}");
            let verified = healthy.verify(None).await.unwrap();
            assert_eq!((verified.problems.len(), verified.blobs), (0, 4), "{context}");
        }
        assert!(absent > 0, "{side:?}: never before the point of commitment");
        assert!(complete > 0, "{side:?}: never after the point of commitment");
    }
}

#[tokio::test]
async fn a_sweep_keeps_what_a_manifest_names_and_removes_the_rest_of_a_killed_import() {
    let store = Store::in_memory();
    let knowledge = KnowledgeStore::open(store.clone());
    let imported = knowledge.import(&request()).await.unwrap();
    let left = store.put_blob(Bytes::from_static(b"of a killed import")).await.unwrap();
    let rule = GarbageRule { grace: TimeDelta::days(7), clock: Utc::now() + TimeDelta::days(8) };
    let plan = Registry::open(store).plan_garbage(rule, "PLAN").await.unwrap();
    let removed: Vec<_> = plan.blobs.iter().map(|blob| blob.digest).collect();
    assert_eq!(removed, [left]);
    assert!(!removed.contains(&imported.index));
}
