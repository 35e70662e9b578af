//! The scripts of a release: the version and its notes, the archive, and the bill of materials.

use crate::{
    support::{Folder, clean, report_skip, repository, terminal, tool},
    terminal::words,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(120);
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Prepares a script of `deploy/release` with `line`'s words as arguments.
fn script(name: &str, line: &str, folder: &Path) -> Command {
    let mut command = Command::new("python3");
    clean(&mut command, folder).arg(repository().join("deploy/release").join(name));
    command.args(words(line)).current_dir(folder);
    // Cargo finds what it has fetched, and git the repository whoever owns it.
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_NET_OFFLINE"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

fn run(command: &mut Command) -> String {
    let (code, text) = terminal(command, LIMIT);
    assert_eq!(code, Some(0), "{command:?}\n{text}");
    text
}

/// A repository before a release: its changelog, and the version in its manifest and in its action.
fn prepared(changelog: &str, version: &str) -> Folder {
    let folder = Folder::empty();
    folder.write("CHANGELOG.md", changelog);
    folder.write("Cargo.toml", format!("[workspace.package]\nversion = \"{version}\"\n"));
    let action = "inputs:\n  version:\n    description: Version\n    default: ";
    folder.write("action.yml", format!("{action}{version}\n"));
    folder
}

fn changelog(unreleased: &str, released: &str) -> String {
    format!("# Changelog\n\nText.\n\n## [Unreleased]\n\n{unreleased}\n{released}\n")
}

#[test]
fn the_version_of_a_release_follows_from_its_changelog() {
    let cases = [
        ("### Fixed\n\n- A fault.\n", "## [1.2.3] - 2026-01-31\n", "1.2.4", "patch"),
        ("### Security\n\n- A hole.\n\n### Fixed\n- A fault.\n", "## [1.2.3]\n", "1.2.4", "patch"),
        ("### Fixed\n\n- A fault.\n", "## [1.2.3]\n", "1.3.0", "a larger step than needed"),
        ("### Added\n\n- A verb.\n", "## [1.2.3]\n## [1.2.0]\n", "1.3.0", "minor"),
        ("### Removed\n\n- A verb.\n", "## [1.2.3]\n", "2.0.0", "major"),
        ("### Changed\n\n- **Breaking**: a flag.\n", "## [1.2.3]\n", "2.0.0", "major"),
        ("### Removed\n\n- A verb.\n", "## [0.2.3]\n", "0.3.0", "breaking before 1.0.0"),
        ("### Added\n\n- A verb.\n", "", "0.1.0", "the first version"),
    ];
    for (unreleased, released, version, why) in cases {
        let folder = prepared(&changelog(unreleased, released), version);
        let mut notes = script("notes", "--root . --tags tags --out notes.md", folder.path());
        folder.write("tags", "v0.0.1\nnightly\n");
        assert_eq!(run(&mut notes), format!("version={version}\n"), "{why}");
        assert_eq!(folder.read("notes.md"), unreleased, "{why}");
    }
}

#[test]
fn the_notes_keep_what_looks_like_a_heading_inside_of_code() {
    let entry = "### Added\n\n- A verb:\n\n  ```\n## [9.9.9]\n  ```\n";
    let folder = prepared(&changelog(entry, "## [1.0.0]\n\n[1.0.0]: #100\n"), "1.1.0");
    run(&mut script("notes", "--root . --out notes.md", folder.path()));
    assert_eq!(folder.read("notes.md"), entry);
}

#[test]
fn a_version_that_cannot_be_released_is_refused_with_the_reason() {
    let added = "### Added\n\n- A verb.\n";
    let old = "## [1.2.3]\n";
    let with = |unreleased: &str| changelog(unreleased, old);
    let cases = [
        (with(added), "1.2.4", "need minor: 1.3.0 or 2.0.0"),
        (with(added), "1.2.3", "Cargo.toml has the version 1.2.3, and after 1.2.3"),
        (with(added), "1.4.0", "need minor"),
        (with("### Removed\n\n- A verb.\n"), "1.3.0", "need major: 2.0.0"),
        (with(added), "1.3.0-rc1", "`1.3.0-rc1` is not of the form"),
        (with(""), "1.2.4", "Unreleased has no entry"),
        (with("### Added\n"), "1.3.0", "`Added` of Unreleased has no entry"),
        (with("### Added\n\n### Fixed\n\n- A fault.\n"), "1.3.0", "`Added` of Unreleased has no"),
        (with("- A verb.\n"), "1.3.0", "line 7 of CHANGELOG.md: an entry of Unreleased stands"),
        (with("### New\n\n- A verb.\n"), "1.3.0", "line 7 of CHANGELOG.md: `New` is not"),
        (old.to_owned(), "1.2.4", "first section is not `## [Unreleased]`"),
        (changelog(added, "## Version one\n"), "1.3.0", "`Version one` is not a version"),
        (changelog(added, "## [1.2.3]\n## [1.2.3]\n"), "1.3.0", "1.2.3 stands above 1.2.3"),
        (changelog(added, "## [1.2.3]\n## [1.10.0]\n"), "1.3.0", "1.2.3 stands above 1.10.0"),
    ];
    for (changelog, version, reason) in cases {
        let folder = prepared(&changelog, version);
        let mut notes = script("notes", "--root . --out notes.md", folder.path());
        let (code, text) = terminal(&mut notes, LIMIT);
        assert_eq!(code, Some(3), "{reason}: {text}");
        assert!(text.contains(reason) && text.contains("\nhint: "), "{reason}: {text}");
        assert!(!folder.path().join("notes.md").exists(), "{reason}");
    }
}

#[test]
fn a_release_that_exists_already_or_an_action_of_another_version_is_refused() {
    let text = changelog("### Fixed\n\n- A fault.\n", "## [1.2.3]\n");
    let folder = prepared(&text, "1.2.4");
    folder.write("tags", "v1.2.3\nv1.2.4\n");
    let (code, text) = terminal(&mut script("notes", "--root . --tags tags", folder.path()), LIMIT);
    assert!(code == Some(3) && text.contains("the tag v1.2.4 exists"), "{code:?} {text}");
    folder.write("action.yml", folder.read("action.yml").replace("1.2.4", "1.2.3"));
    let (code, text) = terminal(&mut script("notes", "--root .", folder.path()), LIMIT);
    assert!(code == Some(3) && text.contains("action.yml installs the version 1.2.3"), "{text}");
    folder.write("action.yml", folder.read("action.yml").replace("1.2.3", "1.2.4"));
    for (line, exit) in [("--root nowhere", 1), ("--roots .", 2), ("--root . --tags none", 1)] {
        let (code, text) = terminal(&mut script("notes", line, folder.path()), LIMIT);
        assert_eq!(code, Some(exit), "{line}: {text}");
        assert!(!text.contains("Traceback"), "{line}: {text}");
    }
}

#[test]
fn the_changelog_of_the_repository_has_the_form_of_a_release() {
    let folder = Folder::empty();
    run(script("notes", "--form", folder.path()).arg("--root").arg(repository()));
    // Nothing to release is fine until there is a release.
    folder.write("CHANGELOG.md", changelog("", "## [1.2.3]\n"));
    run(&mut script("notes", "--form --root .", folder.path()));
    folder.write("CHANGELOG.md", changelog("### News\n", "## [1.2.3]\n"));
    let (code, text) = terminal(&mut script("notes", "--form --root .", folder.path()), LIMIT);
    assert!(code == Some(3) && text.contains("`News` is not a heading"), "{code:?} {text}");
}

/// A program that answers as the release build does, and is small.
const STAND_IN: &str = "#!/bin/sh
case $* in
--version) echo 'botops 1.2.3' ;;
'man --list') printf 'data infer\\nrun\\n' ;;
man*) echo \".TH $*\" ;;
completions*) echo \"# $2\" ;;
*) exit 9 ;;
esac
";

#[test]
fn an_archive_has_the_program_and_its_pages_and_the_same_bytes_each_time() {
    let folder = Folder::empty();
    folder.write("botops", STAND_IN);
    run(Command::new("chmod").arg("+x").arg(folder.path().join("botops")));
    let archive = |out: &str| {
        run(&mut script("archive", &format!("--program botops --out {out}"), folder.path()));
        let name = format!("botops-1.2.3-{TARGET}.tar.gz");
        let read = |name: &str| fs::read(folder.path().join(out).join(name)).unwrap();
        (read(&name), read(&format!("{name}.sha256")))
    };
    let first = archive("first");
    assert_eq!(first, archive("second"));
    run(Command::new("sha256sum")
        .args(["--check", "--strict"])
        .arg(format!("botops-1.2.3-{TARGET}.tar.gz.sha256"))
        .current_dir(folder.path().join("first")));
    run(Command::new("tar")
        .args(["-xzf", &format!("first/botops-1.2.3-{TARGET}.tar.gz")])
        .current_dir(folder.path()));
    let unpacked = format!("botops-1.2.3-{TARGET}");
    assert_eq!(
        folder.read(&format!("{unpacked}/man/man1/botops-data-infer.1")),
        ".TH man data infer\n"
    );
    assert_eq!(folder.read(&format!("{unpacked}/completions/_botops")), "# zsh\n");
    assert_eq!(
        folder.read(&format!("{unpacked}/README.md")),
        fs::read_to_string(repository().join("README.md")).unwrap()
    );
    let program = folder.path().join(&unpacked).join("botops");
    assert_eq!(run(Command::new(program).arg("--version")), "botops 1.2.3\n");

    folder.write("broken", "#!/bin/sh\nexit 4\n");
    run(Command::new("chmod").arg("+x").arg(folder.path().join("broken")));
    for (line, said) in [("--program broken", "ended with 4"), ("--program none", "No such file")] {
        let line = format!("{line} --out third");
        let (code, text) = terminal(&mut script("archive", &line, folder.path()), LIMIT);
        assert!(code == Some(1) && text.contains(said), "{line}: {code:?} {text}");
        assert!(!folder.path().join("third").exists());
    }
}

/// Returns the crates that `cargo tree` finds behind `edges`, without the program itself.
fn tree(edges: &str) -> BTreeSet<String> {
    let mut command = Command::new("cargo");
    command.args(["tree", "--locked", "--package", "botops", "--prefix", "none"]);
    command.args(["--edges", edges, "--target", TARGET]).current_dir(repository());
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    text.lines().skip(1).filter(|line| !line.is_empty()).map(name).collect()
}

#[test]
fn the_bill_of_materials_has_each_crate_of_the_program_with_license_and_digest() {
    let folder = Folder::empty();
    run(&mut script("sbom", "--out first.json", folder.path()));
    run(&mut script("sbom", "--out second.json", folder.path()));
    let text = folder.read("first.json");
    assert_eq!(text, folder.read("second.json"));
    let bill: Value = serde_json::from_str(&text).unwrap();
    let components = bill["components"].as_array().unwrap();
    let named = |scope: Option<&str>| -> BTreeSet<String> {
        let of_scope =
            components.iter().filter(|it| scope.is_none_or(|scope| it["scope"] == scope));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        of_scope.map(|it| format!("{} v{}", text(&it["name"]), text(&it["version"]))).collect()
    };
    assert_eq!(named(None), tree("normal,build"));
    assert_eq!(named(Some("required")), tree("normal,no-proc-macro"));
    let required = named(Some("required"));
    assert!(required.iter().any(|name| name.starts_with("ring v")));
    // What weak features and tests would bring is not in the program.
    for absent in ["sqlx-mysql", "rsa", "insta", "moto"] {
        assert!(!named(None).iter().any(|name| name.starts_with(&format!("{absent} v"))));
    }
    let by_ref: BTreeMap<&str, &Value> =
        components.iter().map(|it| (it["bom-ref"].as_str().unwrap(), it)).collect();
    for (reference, component) in &by_ref {
        let is_ours = component["name"].as_str().unwrap().starts_with("botops-");
        let digest = component["hashes"][0]["content"].as_str();
        assert!(is_ours || digest.is_some_and(|it| it.len() == 64), "{reference}");
        let license = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(!license.contains('/'), "{reference}: {license}");
    }
    let depends = bill["dependencies"].as_array().unwrap();
    assert_eq!(depends.len(), components.len() + 1);
    let ring = depends.iter().find(|it| it["ref"].as_str().unwrap().contains("/ring@")).unwrap();
    let of_ring = ring["dependsOn"].as_array().unwrap();
    assert!(of_ring.iter().any(|it| it.as_str().unwrap().contains("/untrusted@")), "{of_ring:?}");
}

/// Checks a bill of materials with the schema that OWASP publishes, and prints the first fault.
const CHECK: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(None if fault is None else f'refused: {fault}')
";

#[test]
fn the_bill_of_materials_satisfies_the_schema_of_cyclonedx() {
    let name = "the_bill_of_materials_satisfies_the_schema_of_cyclonedx";
    let python = tool("BOTOPS_PYTHON", "python3");
    let has_schema = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-c", "import cyclonedx.validation.json, jsonschema"]);
        command.output().is_ok_and(|done| done.status.success())
    };
    let Some(python) = python.filter(|python| has_schema(python)) else {
        return report_skip(name, "cyclonedx-python-lib[json-validation] (from PyPI)");
    };
    let folder = Folder::empty();
    run(&mut script("sbom", "--out bill.json", folder.path()));
    let check = |file: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", CHECK, file]).current_dir(folder.path());
        terminal(&mut command, LIMIT)
    };
    assert_eq!(check("bill.json"), (Some(0), String::new()));
    let bill = folder.read("bill.json");
    let mistakes = [
        ("\"SHA-256\"", "\"SHA-257\""),
        ("\"scope\": \"required\"", "\"scope\": \"needed\""),
        ("\"bomFormat\"", "\"format\""),
        ("urn:uuid:", "uuid:"),
    ];
    for (from, to) in mistakes {
        assert!(bill.contains(from), "{from}");
        folder.write("wrong.json", bill.replacen(from, to, 1));
        let (code, text) = check("wrong.json");
        assert!(code == Some(1) && text.contains("refused"), "{to}: {code:?} {text}");
    }
}
