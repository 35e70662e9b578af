//! Settings and names that leak, mislead or forge: passwords in URLs, mistyped URLs, line breaks, empty variables.

use crate::terminal::{Terminal, two_intents};
use std::fs;

#[test]
fn a_password_in_an_endpoint_is_refused_and_shown_nowhere() {
    let terminal = Terminal::new();
    for (line, variable) in [
        ("registry list --registry s3://bucket/prefix -vv", "AWS_ENDPOINT_URL"),
        ("registry list --registry s3://bucket/prefix -vv", "AWS_ENDPOINT_URL_S3"),
        ("registry list --registry s3://bucket/prefix --format json", "AWS_ENDPOINT_URL"),
        ("registry list --registry http://ada:sesame-open@127.0.0.1:9/x -vv", "UNUSED"),
        ("registry list --registry s3:/ada:sesame-open@bucket -vv", "UNUSED"),
        ("registry list --registry file://ada:sesame-open@host/x -vv", "UNUSED"),
    ] {
        let mut command = terminal.command(line);
        command
            .env(variable, "http://ada:sesame-open@127.0.0.1:9")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1");
        let text = terminal.show(&mut command);
        assert!(text.starts_with("exit: 2\n") && text.contains("BOT-5001"), "{line}: {text}");
        assert!(!text.contains("sesame"), "{line}: {text}");
    }
}

#[test]
fn a_mistyped_url_never_becomes_a_folder() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    for location in ["s3:/b", "s3:b", "http:x", "file:/x", "S3://b"] {
        for line in [
            format!("train data.csv --record --experiments {location}"),
            format!("registry list --registry {location}"),
            format!("doctor --registry {location}"),
        ] {
            let text = terminal.run(&line);
            assert!(text.starts_with("exit: 2\n") && text.contains("BOT-5001"), "{line}: {text}");
        }
        terminal.write("botops.yaml", format!("version: 1\nregistry: \"{location}\"\n"));
        let text = terminal.run("registry list");
        assert!(text.starts_with("exit: 2\n") && text.contains("BOT-5001"), "{location}: {text}");
        fs::remove_file(terminal.path().join("botops.yaml")).unwrap();
    }
    let names: Vec<_> =
        fs::read_dir(terminal.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let made = names.iter().filter(|name| name.to_string_lossy().contains(':')).count();
    assert_eq!(made, 0, "{names:?}");
}

#[test]
fn a_line_break_in_a_name_begins_no_command_of_a_ci_system() {
    let terminal = Terminal::new();
    let forged = "a\n::error file=x::forged\r::warning::forged.csv";
    terminal.write("data.csv", two_intents(30)).write(forged, format!("{},\n", two_intents(3)));
    let missing = "missing\n::error::forged.csv";
    for arguments in [
        &["validate", forged][..],
        &["validate", forged, "--format", "github"],
        &["validate", forged, "--format", "markdown"],
        &["validate", missing],
        &["validate", missing, "--format", "github"],
        &["validate", "data.csv", forged],
        &["validate", "data.csv", "--quarantine", "no/a\n::error::forged.csv"],
        &["data", "import", forged, "--out", "b\n::error::forged.csv"],
        &["data", "repair", forged, "--patch", "p\n::error::forged.csv"],
        &["train", forged, "--out", "m\n::error::forged.botops"],
        &["registry", "show", "a\n::error::forged"],
        &["explain", "a\n::error::forged"],
    ] {
        let mut command = terminal.command("");
        let output = command.args(arguments).output().unwrap();
        for stream in [output.stdout, output.stderr] {
            let text = String::from_utf8(stream).unwrap();
            for line in text.split(['\n', '\r']) {
                let is_command = line.trim_start().starts_with("::");
                assert!(!(is_command && line.contains("::forged")), "{arguments:?}: {text:?}");
            }
        }
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    for value in ["", " "] {
        let mut command = terminal.command("validate data.csv");
        let text = terminal.show(command.env("SOURCE_DATE_EPOCH", value));
        assert!(text.starts_with("exit: 0\n"), "{text}");
    }
    // It gets as far as the model.
    let mut command = terminal.command("serve missing.botops");
    command.env("BOTOPS_LISTEN", "").env("BOTOPS_ADMIN_LISTEN", "").env("BOTOPS_ENVIRONMENT", "");
    let text = terminal.show(&mut command);
    assert!(text.contains("BOT-1001") && !text.contains("BOTOPS_LISTEN"), "{text}");
}
