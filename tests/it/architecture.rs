//! The house stands: who imports whom, who holds which crate, who prints, who waits. Every break is told with its place.

mod source;
mod table;

use source::{Named, Token, named, tokens, without_tests};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use table::{EDGE, EMPTY_NAMES, HOUSE, LEAVES, NEVER, OWNERS, PURE, TOP, WAITING};

/// One broken rule, at its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Break {
    file: String,
    line: usize,
    message: String,
}

/// Returns every break of the house by the file at `file`, a path under `src/` with forward slashes.
fn breaks(file: &str, source: &str) -> Vec<Break> {
    let module = module_of(file);
    // The crate's root has no room of its own: `main.rs` hands over to the top, `lib.rs` lists the rooms.
    let room = module.first().map_or(TOP, String::as_str);
    let (tokens, _) = without_tests(tokens(source));
    let mut found: Vec<(usize, String)> = Vec::new();
    for name in module.iter().filter(|name| EMPTY_NAMES.contains(&name.as_str())) {
        found.push((1, empty_name(name)));
    }
    for named in named(&tokens, &module) {
        found.extend(import(room, &named).map(|message| (named.line, message)));
        found.extend(edge(room, &named).map(|message| (named.line, message)));
    }
    let may_wait = !PURE.contains(&room) || WAITING.iter().any(|waiting| file.starts_with(waiting));
    found.extend(words(room, may_wait, &tokens));
    let mut breaks: Vec<Break> = found
        .into_iter()
        .map(|(line, message)| Break { file: format!("src/{file}"), line, message })
        .collect();
    breaks.sort();
    breaks.dedup();
    breaks
}

/// Returns the module path of a file: `store/log.rs` and `store/log/mod.rs` are `["store", "log"]`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = if matches!(path, "lib" | "main") { "" } else { path.trim_end_matches("/mod") };
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn empty_name(name: &str) -> String {
    format!("a module called `{name}` says nothing of what is inside: name the idea")
}

/// Judges one path against the table and the owners of crates.
fn import(room: &str, named: &Named) -> Option<String> {
    let first = named.path[0].as_str();
    if first != "crate" {
        let (_, owners) = OWNERS.iter().find(|(name, _)| *name == first)?;
        return (!owners.contains(&room)).then(|| match owners {
            [] => format!("`{room}` uses `{}`: nobody names that crate directly", named.text()),
            _ => format!("`{room}` uses `{}`: `{first}` belongs to {}", named.text(), list(owners)),
        });
    }
    let Some(target) = named.path.get(1).map(String::as_str) else {
        return Some("`crate` is imported whole: name the modules that are used".to_owned());
    };
    if target == room || (room == TOP && target != "*") {
        return None;
    }
    let Some(rules) = HOUSE.iter().find(|known| known.name == room) else {
        return Some(format!(
            "`{room}` is not in the table of the house: give it a place in `architecture/table.rs`"
        ));
    };
    if let Some((.., why)) = NEVER.iter().find(|(from, to, _)| *from == room && *to == target) {
        return Some(format!("`{room}` uses `{}`: never, because {why}", named.text()));
    }
    let allowed = rules.may_use.iter().any(|allowed| match allowed.split_once("::") {
        None => *allowed == target,
        Some((module, item)) => {
            module == target && named.path.get(2).is_some_and(|named| named == item)
        }
    });
    (!allowed)
        .then(|| format!("`{room}` uses `{}`: it may use {}", named.text(), list(rules.may_use)))
}

/// Judges what reads the clock, the environment or a socket, prints, or ends the program.
fn edge(room: &str, named: &Named) -> Option<String> {
    let path = named.text();
    let ends = |tails: &[&str]| {
        tails.iter().any(|tail| path == *tail || path.ends_with(&format!("::{tail}")))
    };
    if room != TOP && ends(&["io::stdout", "io::stderr", "process::exit", "process::abort"]) {
        return Some(format!(
            "`{room}` uses `{path}`: printing and ending the program belong to `{TOP}`"
        ));
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
        return Some(format!(
            "`{room}` uses `{path}`: it is pure, and neither waits nor looks at the clock"
        ));
    }
    if room == "rollout" && ends(&["time::Instant", "time::SystemTime"]) {
        return Some(format!("`{room}` uses `{path}`: a decision gets its time as a value"));
    }
    None
}

/// Judges single words: printing macros, `async` where nothing waits, and modules with empty names.
fn words(room: &str, may_wait: bool, tokens: &[Token]) -> Vec<(usize, String)> {
    const PRINTING: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs
        .filter_map(|(token, next)| {
            let text = token.text.as_str();
            let message = if room != TOP && next.text == "!" && PRINTING.contains(&text) {
                format!("`{room}` uses `{text}!`: printing belongs to `{TOP}`")
            } else if !may_wait && matches!(text, "async" | "await") {
                format!("`{room}` has `{text}`: it is pure, and nothing in it waits")
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
    match names {
        [] => "nothing".to_owned(),
        _ => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns every source file that is not compiled for tests only: its path under `src/`, and its text.
fn files() -> Vec<(String, String)> {
    let mut folders = vec![sources()];
    let (mut found, mut only_tests) = (Vec::new(), BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let file =
                    path.strip_prefix(sources()).unwrap().to_str().unwrap().replace('\\', "/");
                let module = module_of(&file).join("/");
                for name in without_tests(tokens(&source)).1 {
                    only_tests.insert(format!("{module}/{name}"));
                }
                found.push((file, source));
            }
        }
    }
    found.retain(|(file, _)| {
        let module = module_of(file).join("/");
        !only_tests.iter().any(|tests| module == *tests || module.starts_with(&format!("{tests}/")))
    });
    found.sort();
    found
}

#[test]
fn the_house_of_the_design_stands() {
    let files = files();
    assert!(files.len() > HOUSE.len(), "only {} source files were found", files.len());
    let found: Vec<Break> = files.iter().flat_map(|(file, source)| breaks(file, source)).collect();
    let told: Vec<String> = found
        .iter()
        .map(|Break { file, line, message }| format!("  {file}:{line}: {message}\n"))
        .collect();
    assert!(
        found.is_empty(),
        "{} imports or words break the house:\n{}",
        found.len(),
        told.concat()
    );
}

#[test]
fn every_module_has_a_place_in_the_house() {
    let root = fs::read_to_string(sources().join("lib.rs")).unwrap();
    let declared: BTreeSet<String> = tokens(&root)
        .windows(3)
        .filter(|window| window[0].text == "mod" && window[2].text == ";")
        .map(|window| window[1].text.clone())
        .collect();
    let table: BTreeSet<String> =
        HOUSE.iter().map(|room| room.name).chain([TOP]).map(str::to_owned).collect();
    assert_eq!(declared, table, "left: `src/lib.rs`; right: the table of the house");
}

#[test]
fn the_table_itself_keeps_the_order_of_the_house() {
    for (place, room) in HOUSE.iter().enumerate() {
        for used in room.may_use {
            let module = used.split("::").next().unwrap();
            let below = HOUSE[..place].iter().any(|lower| lower.name == module);
            assert!(below, "`{}` may use `{used}`, which stands beside or above it", room.name);
            let never = NEVER.iter().any(|(from, to, _)| *from == room.name && *to == module);
            assert!(
                !never || used.contains("::"),
                "`{}` may use `{used}`, and never may",
                room.name
            );
        }
    }
    for leaf in LEAVES {
        let room = HOUSE.iter().find(|room| room.name == leaf).unwrap();
        assert!(
            room.may_use.iter().all(|used| matches!(*used, "findings" | "text")),
            "`{leaf}` is a leaf"
        );
    }
}

/// Returns the lines, each with the beginning of its message, that break the house when `source` stands at `file`.
fn told(file: &str, source: &str) -> Vec<String> {
    breaks(file, source)
        .into_iter()
        .map(|Break { file, line, message }| format!("{file}:{line}: {message}"))
        .collect()
}

#[test]
fn a_planted_import_is_found_in_a_group_over_several_lines() {
    let source = "//! Serving.\n\nuse crate::{\n    models::IntentModel,\n    evaluation::{\n        Report,\n    },\n};\n";
    assert_eq!(
        told("serving/state.rs", source),
        [
            "src/serving/state.rs:6: `serving` uses `crate::evaluation::Report`: never, because online and offline meet \
          only in the registry"
        ]
    );
}

#[test]
fn a_planted_path_is_found_in_the_middle_of_an_expression() {
    assert_eq!(
        told("text/fold.rs", "fn fold() -> usize {\n    1 + crate::labels::count()\n}\n"),
        ["src/text/fold.rs:2: `text` uses `crate::labels::count`: it may use nothing"]
    );
    assert_eq!(
        told("drift/mod.rs", "fn f() { super::cli::main() }"),
        [
            "src/drift/mod.rs:1: `drift` uses `crate::cli::main`: it may use `labels`, `text`, `stats`, `findings`"
        ]
    );
}

#[test]
fn one_item_of_a_module_can_be_allowed_without_the_rest() {
    assert!(told("serving/admin.rs", "use crate::workspace::Secret;").is_empty());
    assert_eq!(told("serving/admin.rs", "use crate::workspace::{Secret, Settings};").len(), 1);
    assert_eq!(told("serving/admin.rs", "use crate::workspace;").len(), 1);
}

#[test]
fn a_planted_crate_is_found_outside_its_owner() {
    assert_eq!(
        told("registry/mod.rs", "use crate::store::Store;\nuse object_store::path::Path;\n"),
        [
            "src/registry/mod.rs:2: `registry` uses `object_store::path::Path`: `object_store` belongs to `store`"
        ]
    );
    assert!(told("store/mod.rs", "use object_store::path::Path;").is_empty());
    assert_eq!(told("models/mod.rs", "#[derive(clap::Args)]\nstruct A;").len(), 1);
}

#[test]
fn planted_printing_waiting_and_looking_at_the_clock_are_found() {
    assert_eq!(
        told(
            "rollout/advance.rs",
            "async fn f() {\n    tokio::time::sleep(D).await;\n    let now = Instant::now();\n}"
        ),
        [
            "src/rollout/advance.rs:1: `rollout` has `async`: it is pure, and nothing in it waits",
            "src/rollout/advance.rs:2: `rollout` has `await`: it is pure, and nothing in it waits",
            "src/rollout/advance.rs:2: `rollout` uses `tokio::time::sleep`: it is pure, and neither waits nor looks at \
             the clock",
            "src/rollout/advance.rs:3: `rollout` uses `Instant::now`: it is pure, and neither waits nor looks at the \
             clock",
        ]
    );
    assert_eq!(told("store/mod.rs", "fn f() { println!(\"x\"); std::process::exit(1) }").len(), 2);
    assert_eq!(told("pipelines/run.rs", "fn f() { std::env::var(\"X\"); Utc::now() }").len(), 2);
    assert!(
        told("cli/run.rs", "fn f() { println!(\"x\"); std::env::var(\"X\"); Utc::now() }")
            .is_empty()
    );
}

#[test]
fn of_the_pure_rooms_the_download_of_encoders_alone_waits() {
    let waits = "async fn f() { g().await }";
    assert!(told("features/hub/download.rs", waits).is_empty());
    assert_eq!(told("features/encoder/mod.rs", waits).len(), 2);
    // It waits for others, and still looks neither at the clock nor at the environment.
    assert_eq!(
        told("features/hub/mod.rs", "fn f() { Instant::now(); std::env::var(\"X\") }").len(),
        2
    );
}

#[test]
fn a_module_with_an_empty_name_is_found() {
    assert_eq!(told("store/utils.rs", "").len(), 1);
    assert_eq!(told("store/mod.rs", "pub mod blob;\npub mod helpers;").len(), 1);
}
