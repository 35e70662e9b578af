//! `docs/operations/upgrade.md` says which formats an older program still reads: here the present program writes each beside the file
//! that botops 0.1.0 wrote, and both are compared. A file of a newer format is refused, with the remedy, and left as it is.

use crate::{older_formats::version_0_1, support::repository, terminal::Terminal};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// One format: as 0.1.0 wrote it, as it is written now, and whether 0.1.0 reads the latter.
#[derive(Debug, PartialEq)]
struct Format {
    before: String,
    now: String,
    goes_back: bool,
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Returns the paths of all keys in a document.
fn keys(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{place}/{name}");
                keys(value, &place, found);
                found.insert(place);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, place, found)),
        _ => {}
    }
}

/// Compares two documents: an older reader takes the newer one if the schema is the same and no key is new.
fn compared(before: &Value, now: &Value, schema: &str) -> Format {
    let [mut old, mut new] = [BTreeSet::new(), BTreeSet::new()];
    keys(before, "", &mut old);
    keys(now, "", &mut new);
    let text = |value: &Value| value.pointer(schema).unwrap().as_str().unwrap().to_owned();
    let (before, now) = (text(before), text(now));
    let goes_back = before == now && new.is_subset(&old);
    Format { before, now, goes_back }
}

/// Returns the format in the head of a model file.
fn model_format(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x89BOTOPS\n");
    format!("botops.model/{}", u32::from_le_bytes(bytes[8..12].try_into().unwrap()))
}

/// Returns the files under `folder`.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// Runs a command, and returns the only new file under `folder` that `wanted` accepts.
fn written(
    terminal: &Terminal,
    line: &str,
    folder: &str,
    wanted: impl Fn(&str) -> bool,
) -> PathBuf {
    let folder = terminal.path().join(folder);
    let before = files(&folder);
    terminal.stdout(line);
    let new: Vec<PathBuf> = files(&folder)
        .difference(&before)
        .filter(|path| wanted(path.to_str().unwrap()))
        .cloned()
        .collect();
    let [one] = &new[..] else { panic!("{line}: {new:?}") };
    one.clone()
}

/// Returns the file under `folder` of the fixture that `wanted` accepts.
fn kept(terminal: &Terminal, folder: &str, wanted: impl Fn(&str) -> bool) -> PathBuf {
    let found = files(&terminal.path().join(folder));
    found.into_iter().find(|path| wanted(path.to_str().unwrap())).unwrap()
}

/// Returns a predicate for blobs: JSON with this part.
fn has(part: &'static str) -> impl Fn(&str) -> bool {
    move |path| fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(part))
}

/// Returns each format, as the present program writes it in a workspace of 0.1.0.
fn formats() -> BTreeMap<&'static str, Format> {
    let terminal = version_0_1();
    let at = |name: &str| terminal.path().join(name);
    let (entry, manifest) = ("/models/support/log/", "\"botops\":\"0.1.0\",\"creator\"");
    let mut found = BTreeMap::new();
    let old = kept(&terminal, "experiments/runs", |_| true);
    let new = written(&terminal, "train data.csv --out new.botops", "experiments/runs", |_| true);
    found.insert("recorded run", compared(&json(&old), &json(&new), "/schema"));
    let old = kept(&terminal, "experiments/blobs", has("BOTOPS\n"));
    let (before, now) = (model_format(&old), model_format(&at("new.botops")));
    found.insert("model file", Format { goes_back: before == now, before, now });

    let old = [
        kept(&terminal, "registry", |it| it.contains(entry)),
        kept(&terminal, "registry/blobs", has(manifest)),
    ];
    let gate = kept(&terminal, "registry/blobs", has("botops.gate/"));
    let blobs = files(&at("registry/blobs"));
    let push = "push new.botops --name support";
    let new = written(&terminal, push, "registry", |it| it.contains(entry));
    found.insert("entry of a model's log", compared(&json(&old[0]), &json(&new), "/schema"));
    let added: Vec<PathBuf> = files(&at("registry/blobs")).difference(&blobs).cloned().collect();
    let blob =
        |part: &'static str| added.iter().find(|it| has(part)(it.to_str().unwrap())).unwrap();
    found.insert("gate report", compared(&json(&gate), &json(blob("botops.gate/")), "/schema"));
    let mut versions = [json(&old[1]), json(blob("\"creator\""))];
    // Settings of training are data: each names what it is.
    versions.iter_mut().for_each(|it| it["params"] = Value::Null);
    found.insert("manifest of a version", compared(&versions[0], &versions[1], "/schema"));

    let log = "/datasets/utterances/log/";
    let old = [
        kept(&terminal, "registry", |it| it.contains(log)),
        kept(&terminal, "registry/blobs", has("botops.snapshot/")),
    ];
    let text = fs::read_to_string(at("data.csv")).unwrap();
    terminal.write("data.csv", format!("{text}{}\n", text.lines().last().unwrap()));
    let blobs = files(&at("registry/blobs"));
    let line = "data snapshot data.csv --name utterances --reason second";
    let new = written(&terminal, line, "registry", |it| it.contains(log));
    found.insert("entry of a data set's log", compared(&json(&old[0]), &json(&new), "/schema"));
    let added = files(&at("registry/blobs"));
    let new =
        added.difference(&blobs).find(|it| has("botops.snapshot/")(it.to_str().unwrap())).unwrap();
    found.insert("snapshot", compared(&json(&old[1]), &json(new), "/schema"));
    terminal.write("data.csv", text);

    terminal.stdout("data split data.csv --test 20% --lock new.lock.json --out again");
    terminal.stdout("validate bad.csv --baseline new.json --write-baseline");
    for (name, old, new) in [
        ("split lock", "split.lock.json", "new.lock.json"),
        ("baseline", "baseline.json", "new.json"),
    ] {
        assert_eq!(fs::read(at(old)).unwrap(), fs::read(at(new)).unwrap(), "{name}");
        found.insert(name, compared(&json(&at(old)), &json(&at(new)), "/schema"));
    }
    let old =
        kept(&terminal, "registry", |it| it.ends_with("support/log/00000000000000000002.json"));
    let deployment = |it: &str| it.contains("/deployments/staging/log/");
    let new = written(&terminal, "promote support@1 --to staging", "registry", deployment);
    let (old, new) = (json(&old), json(&new));
    assert_eq!(old["payload"]["action"]["alias"], "champion");
    let now = new["payload"]["schema"].as_str().unwrap().to_owned();
    let before = old["schema"].as_str().unwrap().to_owned();
    found.insert("champion of an environment", Format { goes_back: before == now, before, now });
    found
}

/// Returns the table of the page: format, written by 0.1.0, written now, and whether it goes back.
fn table() -> BTreeMap<String, Format> {
    let page = fs::read_to_string(repository().join("docs/operations/upgrade.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with('|') && line.contains("`botops."));
    let unquoted = |text: &str| text.trim().trim_matches('`').to_owned();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, before, now, back, _] = &cells[..] else { panic!("{row}") };
        let goes_back = match back.split([':', ',']).next().unwrap() {
            "yes" => true,
            "no" => false,
            other => panic!("{other}: {row}"),
        };
        (name.to_string(), Format { before: unquoted(before), now: unquoted(now), goes_back })
    })
    .collect()
}

#[test]
fn the_page_on_upgrades_is_right_about_every_format_that_0_1_0_wrote() {
    let formats: BTreeMap<String, Format> =
        formats().into_iter().map(|(name, format)| (name.to_owned(), format)).collect();
    assert_eq!(table(), formats);
}

#[test]
fn a_file_of_a_newer_format_is_refused_with_the_remedy_and_kept() {
    let run = "experiments/runs/20261129-88916e405bf8/run.json";
    let log = "registry/models/support/log/00000000000000000002.json";
    let cases = [
        ("split.lock.json", "botops.split/1", "data split data.csv --lock split.lock.json --out s"),
        ("baseline.json", "botops.baseline/1", "validate bad.csv --baseline baseline.json"),
        (run, "botops.run/1", "runs list"),
        (log, "botops.log/1", "registry list support"),
        ("botops.yaml", "version: 1", "runs list"),
    ];
    for (file, format, line) in cases {
        let terminal = version_0_1();
        let path = terminal.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(format), "{file}");
        let newer = text.replacen(format, &format.replace('1', "9"), 1);
        fs::write(&path, &newer).unwrap();
        let answer = terminal.run(line);
        assert!(answer.starts_with("exit: 6\n"), "{file}: {answer}");
        assert!(answer.contains("newer botops") || answer.contains("upgrade botops"), "{answer}");
        assert_eq!(fs::read_to_string(&path).unwrap(), newer, "{file}");
    }
    let terminal = version_0_1();
    terminal.stdout("train data.csv --out new.botops");
    let mut bytes = fs::read(terminal.path().join("new.botops")).unwrap();
    bytes[8] = 99;
    terminal.write("new.botops", bytes);
    let answer = terminal.run("predict new.botops hello");
    assert!(answer.starts_with("exit: 6\n") && answer.contains("upgrade botops"), "{answer}");
}
