//! Every code that the sources use is explained, and every explained code is used.

use botops_findings::catalogue;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Returns the codes in the sources outside the catalogue, each with a file that uses it.
fn used() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "catalogue") {
                    folders.push(path);
                }
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices("\"BOT-") {
                let code = &text[at + 1..(at + 9).min(text.len())];
                let is_code = code.len() == 8 && code[4..].bytes().all(|b| b.is_ascii_digit());
                if is_code && text.as_bytes().get(at + 9) == Some(&b'"') {
                    found.insert(code.to_owned(), path.display().to_string());
                }
            }
        }
    }
    found
}

#[test]
fn every_used_code_is_explained() {
    let used = used();
    assert!(used.len() > 60, "only {} codes were found in the sources", used.len());
    let missing: Vec<_> = used.iter().filter(|(code, _)| catalogue::find(code).is_none()).collect();
    assert!(missing.is_empty(), "not in the catalogue: {missing:#?}");
}

#[test]
fn every_explained_code_is_used() {
    let used: BTreeSet<String> = used().into_keys().collect();
    let idle: Vec<_> =
        catalogue::all().map(|entry| entry.code).filter(|code| !used.contains(*code)).collect();
    assert!(idle.is_empty(), "in the catalogue, but nowhere in the sources: {idle:?}");
}

#[test]
fn an_explanation_is_longer_than_its_title() {
    for entry in catalogue::all() {
        assert!(entry.explanation.len() > entry.title.len() + 20, "{}", entry.code);
        assert!(entry.explanation.ends_with('.'), "{}", entry.code);
    }
}
