//! No tracked file has a private key, a token or a password: `.ci/secrets` finds each kind, and shows none.

use crate::{
    support::{Folder, clean, repository, terminal},
    written_workflows::git,
};
use std::{process::Command, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);

fn scan(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("python3");
    clean(&mut command, folder.path()).arg(repository().join(".ci/secrets")).args(arguments);
    terminal(command.current_dir(folder.path()), LIMIT)
}

/// Returns a text of each kind, in two parts, so that this file has none.
fn planted() -> Vec<(&'static str, String)> {
    let body = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w";
    let marked = |kind: &str| format!("-----{}{kind} KEY-----", "BEGIN ");
    let letters = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    let hex = "0123456789abcdef".repeat(4);
    vec![
        ("private key", format!("{}\n{body}\n", marked("PRIVATE"))),
        ("private key", format!("key = \"{}\\n{body}\\n\"", marked("EC PRIVATE"))),
        ("private key", format!("{}\nProc-Type: 4,ENCRYPTED\n\n{body}\n", marked("RSA PRIVATE"))),
        ("private key", format!("{}\n  {body}\n", marked("OPENSSH PRIVATE"))),
        ("age identity", format!("{}1{}", "AGE-SECRET-KEY-", letters.to_uppercase())),
        ("AWS access key", format!("{}IOSFODNN7EXAMPLE", "AKIA")),
        ("GitHub token", format!("{}p_{letters}", "gh")),
        ("GitHub token", format!("github_{}_{letters}{letters}", "pat")),
        ("GitLab token", format!("gl{}-{}", "pat", &letters[..20])),
        ("Slack token", format!("{}b-123456789012-{letters}", "xox")),
        (
            "Slack token",
            format!("https://hooks.slack{}/T0000000/B0000000/{letters}", ".com/services"),
        ),
        ("Google key", format!("{}{}", "AIza", &letters[..35])),
        ("npm token", format!("{}_{letters}", "npm")),
        ("PyPI token", format!("{}-AgEIcHlwaS5vcmc{letters}", "pypi")),
        ("crates.io token", format!("{}{}", "cio", &letters[..32])),
        ("Stripe key", format!("sk_{}_{letters}", "live")),
        ("key of botops", format!("{}_0123456789ab_{hex}", "botops")),
        ("JWT", format!("{}hbGciOiJub25l.{}zdWIiOiJyb290.{letters}", "eyJ", "eyJ")),
        ("password in an address", format!("store: postgres://bot:{}@db/chat", "hunter2")),
    ]
}

#[test]
fn no_tracked_file_has_a_secret() {
    let mut command = Command::new("python3");
    let (code, text) = terminal(command.arg(repository().join(".ci/secrets")), LIMIT);
    if text.contains("error: `git ls-files") {
        return crate::support::report_skip("no_tracked_file_has_a_secret", "the git repository");
    }
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn each_kind_of_secret_is_found_at_its_line_and_not_shown() {
    let folder = Folder::empty();
    let planted = planted();
    for (index, (_, text)) in planted.iter().enumerate() {
        folder.write(&format!("{index:02}.yaml"), format!("first: line\n{text}\n"));
    }
    let files: Vec<String> = (0..planted.len()).map(|index| format!("{index:02}.yaml")).collect();
    let mut arguments = vec!["--root", "."];
    arguments.extend(files.iter().map(String::as_str));
    let (code, text) = scan(&folder, &arguments);
    assert_eq!(code, Some(3), "{text}");
    let found: Vec<&str> = text.lines().filter(|line| line.contains(".yaml:")).collect();
    let expected: Vec<String> =
        planted.iter().zip(&files).map(|((kind, _), file)| format!("{file}:2: {kind}")).collect();
    assert_eq!(found, expected);
    assert!(!text.contains("hunter2") && !text.contains("MIGH"), "{text}");
}

#[test]
fn what_is_no_secret_is_not_found() {
    let folder = Folder::empty();
    let mark = format!("{} PRIVATE KEY-----", "-----BEGIN");
    folder.write("help.rs", format!("it begins with `{mark}`; an encrypted key cannot be read"));
    folder.write("public.pem", "-----BEGIN PUBLIC KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n");
    folder.write("test.rs", format!("postgres://bot:{}@db/chat", "hunter2"));
    folder.write("good.yaml", "store: ${env:DATABASE}\nurl: https://host:8080/a@b\n");
    folder.write("digest.yaml", format!("sha256: {}\n", "0123456789abcdef".repeat(4)));
    let files = ["help.rs", "public.pem", "test.rs", "good.yaml", "digest.yaml"];
    let (code, text) = scan(&folder, &[&["--root", "."], &files[..]].concat());
    assert_eq!((code, text.as_str()), (Some(0), "no secret in 5 files\n"));
}

#[test]
fn a_list_of_known_findings_that_no_longer_fits_and_a_folder_without_files_fail() {
    let folder = Folder::empty();
    let (code, text) = scan(&folder, &["--root", "."]);
    assert!(code == Some(1) && text.contains("error: "), "{code:?} {text}");
    git(folder.path(), &["init", "--quiet"]);
    let (code, text) = scan(&folder, &["--root", "."]);
    assert!(code == Some(1) && text.contains("no tracked file was found"), "{code:?} {text}");
    folder.write("file.txt", "text");
    git(folder.path(), &["add", "--all"]);
    let (code, text) = scan(&folder, &["--root", "."]);
    assert!(code == Some(3) && text.contains("ALLOWED names a JWT that is not there"), "{text}");
    let (code, text) = scan(&folder, &["--rot", "."]);
    assert!(code == Some(2) && text.contains("usage"), "{code:?} {text}");
}
