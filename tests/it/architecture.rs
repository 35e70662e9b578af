//! The house stands: floors, circles between files, room sizes, owners of crates, printing, waiting, clocks, and prose.
//!
//! Manifests keep the order between rooms; the compiler enforces them. These tests hold the manifests against the table of
//! the house, and check the rules that manifests cannot express. Every breach is reported with its place.

mod circles;
mod manifests;
mod prose;
mod source;
mod table;

use manifests::Manifest;
use source::{Named, Token, named, tokens, without_tests};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use table::{EDGE, EMPTY_NAMES, HOUSE, LARGEST_SHARE, OUTPUTS, PURE, TOP, WAITING};

/// One source file of a room, compiled for more than tests.
struct SourceFile {
    /// From the root of the project, with forward slashes.
    path: String,
    room: String,
    /// Its module within the crate: `crates/store/src/log.rs` is `["log"]`.
    module: Vec<String>,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the source folder of each room.
fn rooms() -> Vec<(String, PathBuf)> {
    let mut rooms = vec![(TOP.to_owned(), root().join("src"))];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            rooms.push((name, path.join("src")));
        }
    }
    rooms.sort();
    rooms
}

/// Returns the module path of a file below `src/`: `table/rows.rs` and `table/rows/mod.rs` are `["table", "rows"]`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = if matches!(path, "lib" | "main") { "" } else { path.trim_end_matches("/mod") };
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Returns every Rust file below `folder`, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns the source files of every room, those for tests only left out.
fn files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    for (room, folder) in rooms() {
        let (mut found, mut only_tests) = (Vec::new(), BTreeSet::new());
        for path in rust_files(&folder) {
            let text = fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
            let module = module_of(&file);
            for name in without_tests(tokens(&text)).1 {
                only_tests.insert([module.as_slice(), &[name]].concat());
            }
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(SourceFile { path, room: room.clone(), module, text });
        }
        found.retain(|file| !only_tests.iter().any(|tests| file.module.starts_with(tests)));
        files.append(&mut found);
    }
    files
}

/// Returns every breach of the rules on words and paths in one file, each with its line.
fn breaches(file: &SourceFile) -> Vec<String> {
    let (tokens, _) = without_tests(tokens(&file.text));
    let mut found: Vec<(usize, String)> = Vec::new();
    for name in file.module.iter().filter(|name| EMPTY_NAMES.contains(&name.as_str())) {
        found.push((1, empty_name(name)));
    }
    for named in named(&tokens, &file.module) {
        found.extend(edge(&file.room, &named).map(|message| (named.line, message)));
    }
    let may_wait = !PURE.contains(&file.room.as_str())
        || WAITING.iter().any(|waiting| file.path.starts_with(waiting));
    found.extend(words(&file.room, may_wait, &tokens));
    found.sort();
    found.dedup();
    found.into_iter().map(|(line, message)| format!("{}:{line}: {message}", file.path)).collect()
}

fn empty_name(name: &str) -> String {
    format!("a module called `{name}` does not name its content: name the idea")
}

/// Judges a path that reads the clock, the environment or a socket, prints, or ends the program.
fn edge(room: &str, named: &Named) -> Option<String> {
    let path = named.text();
    let ends = |tails: &[&str]| {
        tails.iter().any(|tail| path == *tail || path.ends_with(&format!("::{tail}")))
    };
    if room == OUTPUTS && ends(&["io::stdout"]) {
        return None;
    }
    if room != TOP && ends(&["io::stdout", "io::stderr", "process::exit", "process::abort"]) {
        return Some(format!("`{room}` uses `{path}`: printing and exiting belong to `{TOP}`"));
    }
    if !EDGE.contains(&room) && ends(&["SystemTime::now", "Utc::now", "Local::now"]) {
        return Some(format!("`{room}` uses `{path}`: the time is passed in from {}", list(&EDGE)));
    }
    let environment =
        path.starts_with("std::env::") || path.starts_with("env::") || path == "std::env";
    if !EDGE.contains(&room) && environment && !path.contains("::consts") {
        return Some(format!(
            "`{room}` uses `{path}`: the environment is passed in from {}",
            list(&EDGE)
        ));
    }
    if PURE.contains(&room) && (ends(&["Instant::now"]) || path.starts_with("tokio::")) {
        return Some(format!("`{room}` uses `{path}`: it is pure, and does not read the clock"));
    }
    if room == "rollout" && ends(&["time::Instant", "time::SystemTime"]) {
        return Some(format!("`{room}` uses `{path}`: a decision gets its time as a value"));
    }
    None
}

/// Judges single words: printing macros, `async` in pure rooms, and modules with empty names.
fn words(room: &str, may_wait: bool, tokens: &[Token]) -> Vec<(usize, String)> {
    const PRINTING: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs
        .filter_map(|(token, next)| {
            let text = token.text.as_str();
            let message = if room != TOP && next.text == "!" && PRINTING.contains(&text) {
                format!("`{room}` uses `{text}!`: printing belongs to `{TOP}`")
            } else if !may_wait && matches!(text, "async" | "await") {
                format!("`{room}` has `{text}`: it is pure, and does not wait")
            } else if text == "mod" && EMPTY_NAMES.contains(&next.text.as_str()) {
                empty_name(&next.text)
            } else {
                return None;
            };
            Some((token.line, message))
        })
        .collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_room_has_a_floor_and_every_floor_its_rooms() {
    let found: BTreeSet<String> = rooms().into_iter().map(|(name, _)| name).collect();
    let known: BTreeSet<String> = HOUSE.iter().map(|room| room.name.to_owned()).collect();
    assert_eq!(found, known, "left: the crates; right: the table of the house");
}

#[test]
fn manifests_keep_the_order_of_the_house() {
    let found: Vec<String> = rooms()
        .iter()
        .flat_map(|(room, folder)| Manifest::read(folder.parent().unwrap()).breaches(room))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_sources_keep_the_rules_of_the_house() {
    let files = files();
    assert!(files.len() > 300, "only {} source files were found", files.len());
    let found: Vec<String> = files.iter().flat_map(breaches).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = files();
    let found: Vec<String> = rooms()
        .iter()
        .flat_map(|(room, _)| {
            let of_room: Vec<_> = files.iter().filter(|file| file.room == *room).collect();
            circles::circles(
                &of_room
                    .iter()
                    .map(|file| (&*file.path, &*file.module, &*file.text))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_room_holds_more_than_its_share_of_the_lines() {
    let lines: Vec<(String, usize)> = rooms()
        .into_iter()
        .map(|(room, folder)| {
            let texts =
                rust_files(&folder).into_iter().map(|path| fs::read_to_string(path).unwrap());
            (room, texts.map(|text| text.lines().count()).sum())
        })
        .collect();
    let all: usize = lines.iter().map(|(_, lines)| lines).sum();
    for (room, lines) in &lines {
        let share = *lines as f64 / all as f64;
        assert!(share <= LARGEST_SHARE, "`{room}` holds {lines} of {all} lines ({share:.3})");
    }
}

#[test]
fn comments_are_plain_english() {
    let found: Vec<String> = rooms()
        .iter()
        .flat_map(|(_, folder)| rust_files(folder))
        .chain(rust_files(&root().join("tests/it")))
        .chain(rust_files(&root().join("benches")))
        .filter(|path| !path.ends_with("architecture/prose.rs"))
        .flat_map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().display().to_string();
            prose::mannerisms(&text)
                .into_iter()
                .map(move |(line, why)| format!("{path}:{line}: {why}"))
        })
        .collect();
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
}

/// Returns the breaches of `source` at `path`, a path of the project.
fn breaches_of(path: &str, source: &str) -> Vec<String> {
    let (room, file) = match path.strip_prefix("crates/") {
        Some(rest) => {
            let (room, file) = rest.split_once("/src/").unwrap();
            (room, file)
        }
        None => (TOP, path.strip_prefix("src/").unwrap()),
    };
    breaches(&SourceFile {
        path: path.to_owned(),
        room: room.to_owned(),
        module: module_of(file),
        text: source.to_owned(),
    })
}

#[test]
fn planted_printing_waiting_and_clock_reading_are_found() {
    assert_eq!(
        breaches_of(
            "crates/rollout/src/advance.rs",
            "async fn f() {\n    tokio::time::sleep(D).await;\n    let now = Instant::now();\n}"
        ),
        [
            "crates/rollout/src/advance.rs:1: `rollout` has `async`: it is pure, and does not wait",
            "crates/rollout/src/advance.rs:2: `rollout` has `await`: it is pure, and does not wait",
            "crates/rollout/src/advance.rs:2: `rollout` uses `tokio::time::sleep`: it is pure, and does not read the clock",
            "crates/rollout/src/advance.rs:3: `rollout` uses `Instant::now`: it is pure, and does not read the clock",
        ]
    );
    let prints = "fn f() { println!(\"x\"); std::process::exit(1) }";
    assert_eq!(breaches_of("crates/store/src/lib.rs", prints).len(), 2);
    let reads = "fn f() { std::env::var(\"X\"); Utc::now() }";
    assert_eq!(breaches_of("crates/pipelines/src/run.rs", reads).len(), 2);
    assert!(breaches_of("src/cli/run.rs", &format!("{prints} {reads}")).is_empty());
}

#[test]
fn in_pure_rooms_only_the_download_of_encoders_waits() {
    let waits = "async fn f() { g().await }";
    assert!(breaches_of("crates/features/src/hub/download.rs", waits).is_empty());
    assert_eq!(breaches_of("crates/features/src/encoder/mod.rs", waits).len(), 2);
    // It still reads neither the clock nor the environment.
    let reads = "fn f() { Instant::now(); std::env::var(\"X\") }";
    assert_eq!(breaches_of("crates/features/src/hub/mod.rs", reads).len(), 2);
}

#[test]
fn a_module_with_an_empty_name_is_found() {
    assert_eq!(breaches_of("crates/store/src/utils.rs", "").len(), 1);
    assert_eq!(breaches_of("crates/store/src/lib.rs", "pub mod blob;\npub mod helpers;").len(), 1);
}
