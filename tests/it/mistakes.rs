//! Mistakes of a user: the message says what happened, where, and what to do next, and the exit code is right.
//!
//! There is one snapshot per mistake: exit code, standard output and standard error.

use crate::terminal::{Terminal, two_intents};
use insta::assert_snapshot;
use std::{
    fs,
    io::{self, Write as _},
    process::{ChildStdin, Stdio},
};

const GOOD: &str =
    "text,intent\nwhere is my parcel,order_status\ni forgot my password,account_help\n";

fn validate(bytes: impl AsRef<[u8]>) -> String {
    Terminal::new().write("data.csv", bytes).run("validate data.csv")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_by(flate2::Compression::best(), bytes)
}

fn gzip_by(level: flate2::Compression, bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Runs `botops` and writes to its standard input until it stops reading.
fn piped(line: &str, write: impl FnOnce(&mut ChildStdin) -> io::Result<()> + Send) -> String {
    let terminal = Terminal::new();
    let mut command = terminal.command(line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It ends before everything is written, and closes the pipe.
    assert!(write(&mut input).is_err(), "all of it was read");
    drop(input);
    let output = child.wait_with_output().unwrap();
    format!(
        "exit: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    )
}

// Exit 2: usage.

#[test]
fn a_missing_file_is_usage() {
    assert_snapshot!(Terminal::new().run("validate nowhere.csv"));
}

#[test]
fn a_directory_is_usage() {
    let terminal = Terminal::new();
    fs::create_dir(terminal.path().join("data.csv")).unwrap();
    assert_snapshot!(terminal.run("validate data.csv"));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let terminal = Terminal::new();
    terminal
        .write("data.csv", GOOD)
        .write("expectations.yaml", "version: 1\nmin_example_per_intent: 3\n");
    assert_snapshot!(terminal.run("validate data.csv"));
}

#[test]
fn an_unknown_key_of_the_workspace_names_the_nearest() {
    let terminal = Terminal::new();
    terminal.write("botops.yaml", "version: 1\nregistri: here\n");
    assert_snapshot!(terminal.run("doctor"));
}

#[test]
fn a_pipeline_that_names_a_missing_stage_is_usage() {
    let terminal = Terminal::new();
    terminal.write("p.yaml", "version: 1\nname: p\nstages:\n  - validate: {data: data.csv}\n  - split: {from: validat}\n");
    assert_snapshot!(terminal.run("run p.yaml"));
}

#[test]
fn a_pipeline_with_a_cycle_is_usage() {
    let terminal = Terminal::new();
    terminal.write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n  - shell: {name: a, run: \"true\", after: [b]}\n  - shell: {name: b, run: \"true\", after: [a]}\n",
    );
    assert_snapshot!(terminal.run("run p.yaml"));
}

#[test]
fn no_text_column_lists_the_columns_there_are() {
    assert_snapshot!(validate("txt,intent\nhello,a\nbye,b\n"));
}

#[test]
fn an_unknown_verb_is_usage() {
    assert_snapshot!(Terminal::new().run("trian data.csv"));
}

#[test]
fn an_unknown_run_names_the_nearest() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    let recorded = terminal.run("train data.csv --record");
    let id = recorded.lines().find_map(|line| line.strip_prefix("run ")).unwrap();
    let text = terminal.run(&format!("runs show {}z", &id[..id.len() - 1]));
    assert_snapshot!(crate::support::normalized(&text, None));
}

#[test]
fn a_sweep_without_a_rule_removes_nothing() {
    assert_snapshot!(Terminal::new().run("runs gc"));
}

// Exit 3: data.

#[test]
fn an_empty_file_has_no_data() {
    assert_snapshot!(validate(""));
}

#[test]
fn a_header_alone_has_no_data() {
    assert_snapshot!(validate("text,intent\n"));
}

#[test]
fn a_binary_file_is_refused() {
    assert_snapshot!(validate(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0".repeat(40)));
}

#[test]
fn invalid_utf8_is_found_by_record_line_and_byte() {
    assert_snapshot!(validate(b"text,intent\nhello,a\ncaf\xe9,b\n"));
}

#[test]
fn utf16_is_named() {
    let bytes: Vec<u8> =
        std::iter::once(0xFEFF).chain(GOOD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_snapshot!(validate(bytes));
}

#[test]
fn a_ragged_record_is_found_by_record_and_line() {
    assert_snapshot!(validate("text,intent\n\"hello\nthere\",a\nbye,b,c\n"));
}

#[test]
fn an_unclosed_quote_is_reported_where_it_opened() {
    assert_snapshot!(validate("text,intent\nhello,a\n\"bye,b\nagain,a\n"));
}

#[test]
fn an_unclosed_quote_before_a_long_rest_is_reported_where_it_opened() {
    let rest = "bye,b\n".repeat(12 << 20);
    assert_snapshot!(validate(format!("text,intent\nhello,a\n\"{rest}")));
}

#[test]
fn a_field_of_a_gigabyte_is_refused_before_it_is_buffered() {
    assert_snapshot!(piped("validate -", |input| {
        input.write_all(b"text,intent\nhello,a\n")?;
        (0..1 << 10).try_for_each(|_| input.write_all(&[b'x'; 1 << 20]))
    }));
}

#[test]
fn a_json_record_of_a_gigabyte_is_refused_before_it_is_buffered() {
    assert_snapshot!(piped("validate - --input-format jsonl", |input| {
        input.write_all(b"{\"text\":\"hello\",\"intent\":\"a\"}\n{\"text\":\"")?;
        (0..1 << 10).try_for_each(|_| input.write_all(&[b'x'; 1 << 20]))
    }));
}

#[test]
fn a_hundred_thousand_columns_are_not_all_listed() {
    let names: Vec<String> = (0..100_000).map(|i| format!("column_{i}")).collect();
    let cells = vec!["x"; 100_000].join(",");
    assert_snapshot!(validate(format!("{}\n{cells}\n", names.join(","))));
}

#[test]
fn a_duplicate_column_is_named() {
    assert_snapshot!(validate("text,intent,text\nhello,a,b\n"));
}

#[test]
fn a_duplicate_key_is_named() {
    let terminal = Terminal::new();
    terminal.write("data.jsonl", "{\"text\":\"a\",\"intent\":\"b\",\"text\":\"c\"}\n");
    assert_snapshot!(terminal.run("validate data.jsonl"));
}

#[test]
fn json_nested_too_deeply_is_refused() {
    let terminal = Terminal::new();
    let deep =
        format!("{{\"text\":\"a\",\"intent\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    terminal.write("data.jsonl", deep);
    assert_snapshot!(terminal.run("validate data.jsonl"));
}

#[test]
fn a_truncated_list_is_reported() {
    let terminal = Terminal::new();
    terminal.write("data.json", "[\n {\"text\": \"a\", \"intent\": \"b\"},\n {\"text\": \"c\"");
    assert_snapshot!(terminal.run("validate data.json"));
}

#[test]
fn every_kind_of_line_ending_and_a_byte_order_mark_are_accepted() {
    let terminal = Terminal::new();
    terminal.write(
        "data.csv",
        "\u{feff}text,intent\r\nwhere is it,a\rwho are you,b\nbye,c\r\n\r\n,d\r",
    );
    assert_snapshot!(terminal.run("validate data.csv"));
}

#[test]
fn a_decompression_bomb_is_refused() {
    // A line of 1 MiB, 100 times: gzip members follow each other.
    let packed = gzip(format!("{},b\n", "x".repeat(1 << 20)).as_bytes());
    let terminal = Terminal::new();
    terminal.write("data.csv.gz", [gzip(b"text,intent\n"), packed.repeat(100)].concat());
    assert_snapshot!(terminal.run("validate data.csv.gz"));
}

#[test]
fn a_packed_file_above_the_size_limit_is_refused() {
    let terminal = Terminal::new();
    terminal
        .write("data.csv.gz", gzip(format!("text,intent\n{}", "bye,b\n".repeat(300)).as_bytes()));
    assert_snapshot!(terminal.run("validate data.csv.gz --max-unpacked 1KiB"));
}

#[test]
fn a_truncated_packed_file_is_reported() {
    // Stored without compression, so that the amount that can be unpacked does not depend on the compressor.
    let packed = gzip_by(flate2::Compression::none(), two_intents(100).as_bytes());
    let terminal = Terminal::new();
    terminal.write("data.csv.gz", &packed[..packed.len() / 2]);
    assert_snapshot!(terminal.run("validate data.csv.gz"));
}

#[test]
fn a_pattern_that_matches_nothing_is_usage() {
    assert_snapshot!(Terminal::new().run("validate data/*.csv"));
}

#[test]
fn files_of_one_pattern_with_different_columns_are_refused() {
    let terminal = Terminal::new();
    terminal.write("a.csv", GOOD).write("b.csv", "utterance,intent\nhello,a\n");
    assert_snapshot!(terminal.run("validate *.csv"));
}

#[test]
fn a_pattern_names_the_file_of_each_finding() {
    let terminal = Terminal::new();
    terminal.write("a.csv", GOOD).write("b.csv", "text,intent\n,order_status\n");
    assert_snapshot!(terminal.run("validate *.csv"));
}

#[test]
fn malformed_rasa_training_data_is_reported_by_line() {
    let terminal = Terminal::new();
    terminal.write("nlu.yml", "nlu:\n- intent: a\n  examples: |\n    - b\n    c\n");
    assert_snapshot!(terminal.run("validate nlu.yml"));
}

#[test]
fn all_unreadable_annotations_are_reported() {
    let terminal = Terminal::new();
    terminal.write(
        "nlu.yml",
        "nlu:\n- intent: a\n  examples: |\n    - [b]{\"entity\": }\n    - fine\n    - [c]{\"name\": \"d\"}\n",
    );
    assert_snapshot!(terminal.run("data import nlu.yml --out a.csv"));
    assert!(!terminal.path().join("a.csv").exists());
}

#[test]
fn an_unknown_file_extension_is_usage() {
    let terminal = Terminal::new();
    terminal.write("data.csv", GOOD);
    assert_snapshot!(terminal.run("data import data.csv --out data.xlsx"));
}

#[test]
fn formulas_and_control_characters_are_neutralised_in_the_quarantine() {
    let terminal = Terminal::new();
    terminal.write(
        "data.csv",
        "text,intent\n=cmd|' /C calc'!A0,\n@SUM(A1),\n\u{1b}[2Jgone,\n-2,\nfine,a\nwell,b\n",
    );
    let shown = terminal.run("validate data.csv --quarantine q.csv");
    let quarantine = fs::read_to_string(terminal.path().join("q.csv")).unwrap();
    assert_snapshot!(format!("{shown}--- q.csv\n{quarantine}"));
}

#[test]
fn one_class_only_cannot_be_trained() {
    let terminal = Terminal::new();
    let data: String = (0..30).map(|i| format!("hello number {i},greet\n")).collect();
    terminal.write("data.csv", format!("text,intent\n{data}"));
    assert_snapshot!(terminal.run("train data.csv"));
}

#[test]
fn a_truncated_model_is_refused() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.run("train data.csv --out m.botops");
    let bytes = fs::read(terminal.path().join("m.botops")).unwrap();
    terminal.write("m.botops", &bytes[..bytes.len() - 100]);
    assert_snapshot!(terminal.run("predict m.botops hello"));
}

#[test]
fn an_altered_model_is_refused() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.run("train data.csv --out m.botops");
    let mut bytes = fs::read(terminal.path().join("m.botops")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    terminal.write("m.botops", &bytes);
    assert_snapshot!(terminal.run("predict m.botops hello"));
}

#[test]
fn a_file_that_is_not_a_model_is_refused() {
    let terminal = Terminal::new();
    terminal.write("m.botops", "hello");
    assert_snapshot!(terminal.run("evaluate m.botops data.csv"));
}

#[test]
fn an_utterance_of_ten_megabytes_is_a_finding() {
    let long = "a ".repeat(5 << 20);
    assert_snapshot!(validate(format!("text,intent\n{long},a\nbye,b\n")));
}

// Exit 4: evidence.

#[test]
fn three_records_are_too_few_to_train() {
    let terminal = Terminal::new();
    terminal.write("data.csv", "text,intent\nhello,a\nbye,b\nhi,a\n");
    assert_snapshot!(terminal.run("train data.csv"));
}

#[test]
fn three_records_are_too_few_to_evaluate() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30)).write(
        "test.csv",
        "text,intent\nparcel,order_status\npassword,account_help\nparcel now,order_status\n",
    );
    terminal.run("train data.csv --out m.botops");
    assert_snapshot!(terminal.run("evaluate m.botops test.csv"));
}

#[test]
fn three_records_are_too_few_to_measure_drift() {
    let terminal = Terminal::new();
    terminal.write("a.csv", two_intents(100)).write("b.csv", "text,intent\nhello,a\nbye,b\nhi,a\n");
    assert_snapshot!(terminal.run("drift a.csv b.csv"));
}

// Exit 1: the machine.

#[test]
fn a_store_that_cannot_be_written_is_reported() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.run("train data.csv --out m.botops");
    // Nobody can create a folder there, not even root, which ignores file modes.
    let text = terminal.run("push m.botops --name support --registry /sys/kernel/botops");
    // The name of the blob depends on the model, and the message of the system differs for root.
    let end = text.find("/blobs/").unwrap();
    let rest = text[end..].find('\n').unwrap();
    let text = format!("{}/blobs/[digest]{}", &text[..end], &text[end + rest..])
        .replace("Operation not permitted (os error 1)", "[refused]")
        .replace("Permission denied (os error 13)", "[refused]");
    assert_snapshot!(text);
}

#[test]
fn a_run_that_cannot_be_recorded_is_reported_and_the_model_is_written() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    let text = terminal.run("train data.csv --record --experiments /sys/kernel/botops");
    let text = crate::support::normalized(&text, None)
        .replace("Operation not permitted (os error 1)", "[refused]")
        .replace("Permission denied (os error 13)", "[refused]");
    // The file that is stored first varies.
    let hashed = regex::Regex::new("sha256/[0-9a-f]{2}/").unwrap();
    assert_snapshot!(hashed.replace_all(&text, "sha256/[..]/"));
    assert!(terminal.path().join("model.botops").exists());
}

#[test]
fn a_missing_folder_is_named_and_not_created() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    let text = terminal.run("train data.csv --out nowhere/m.botops");
    assert_snapshot!(text);
    assert!(!terminal.path().join("nowhere").exists());
}

#[test]
fn a_port_in_use_is_reported() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.run("train data.csv --out m.botops");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = terminal.run(&format!("serve m.botops --listen 127.0.0.1:{port}"));
    assert_snapshot!(text.replace(&port, "[port]"));
}

// Exit 5: conflict. (Two runs at once: see `pipeline.rs`; races on an alias: see `registry.rs`.)

#[test]
fn an_alias_moved_by_someone_else_is_a_conflict_that_names_them() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    for seed in ["1", "2"] {
        terminal.run(&format!("train data.csv --out m.botops --seed {seed}"));
        terminal.run("push m.botops --name support");
    }
    terminal.run("registry alias support staging support@2 --reason first --actor ada");
    let text =
        terminal.run("registry alias support staging support@1 --expect support@1 --reason second");
    assert_snapshot!(text);
}

// Exit 6: policy.

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let terminal = Terminal::new();
    terminal.write("p.yaml", "version: 2\nname: p\nstages:\n  - validate: {data: data.csv}\n");
    assert_snapshot!(terminal.run("run p.yaml"));
}

#[test]
fn a_workspace_of_a_newer_format_is_refused() {
    let terminal = Terminal::new();
    terminal.write("botops.yaml", "version: 9\n");
    assert_snapshot!(terminal.run("doctor"));
}

#[test]
fn champion_is_not_moved_by_hand() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.run("train data.csv --out m.botops");
    terminal.run("push m.botops --name support");
    assert_snapshot!(terminal.run("registry alias support champion support@1 --reason because"));
}

// Exit 7: unreachable.

#[test]
fn an_unreachable_store_is_safe_to_retry() {
    let terminal = Terminal::new();
    let mut command = terminal.command("registry list --registry s3://bucket/prefix");
    // Nothing listens on port 9 of the loopback interface.
    command
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "sesame-open")
        .env("AWS_REGION", "us-east-1");
    let text = terminal.show(&mut command);
    assert!(!text.contains("sesame-open"));
    assert_snapshot!(text);
}

#[test]
fn an_unreachable_server_is_safe_to_retry() {
    let terminal = Terminal::new();
    terminal.write(
        "botops.yaml",
        "version: 1\nmodel: support\nserver: { admin_url: \"http://127.0.0.1:9\" }\n",
    );
    let mut command = terminal.command("rollout status");
    command.env("BOTOPS_ADMIN_TOKEN", "sesame-open");
    let text = terminal.show(&mut command);
    assert!(!text.contains("sesame-open"));
    assert_snapshot!(text);
}

#[test]
fn an_unreachable_tracking_server_is_safe_to_retry() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.run("train data.csv --record");
    let mut command = terminal.command("runs export latest --to mlflow --url http://127.0.0.1:9");
    command.env("MLFLOW_TRACKING_TOKEN", "sesame-open");
    let text = terminal.show(&mut command);
    assert!(!text.contains("sesame-open"));
    assert_snapshot!(text);
}

// The envelope.

#[test]
fn json_output_is_one_document_even_on_failure() {
    let terminal = Terminal::new();
    for line in [
        "--format json validate nowhere.csv",
        "--format json trian",
        "validate nowhere.csv --format=json",
    ] {
        let output = terminal.command(line).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["ok"], false, "{line}");
        assert_eq!(document["exit"], 2, "{line}");
        assert!(document["schema"].as_str().unwrap().starts_with("botops."), "{line}");
        assert!(document["findings"][0]["code"].as_str().unwrap().starts_with("BOT-"), "{line}");
        assert!(output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let terminal = Terminal::new();
    let script = format!("{} explain | head -n 1", env!("CARGO_BIN_EXE_botops"));
    let output = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", &script])
        .current_dir(terminal.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let terminal = Terminal::new();
    for line in ["explain", "--format json explain"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = terminal.command(line).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("BOT-1008"), "{line}");
    }
}

#[test]
fn an_output_never_overwrites_an_input() {
    let terminal = Terminal::new();
    let data = two_intents(30);
    terminal.write("data.csv", &data);
    std::os::unix::fs::symlink("data.csv", terminal.path().join("link.csv")).unwrap();
    for line in [
        "validate data.csv --quarantine data.csv",
        "validate data.csv --html ./data.csv",
        "train data.csv --out link.csv",
        "drift data.csv data.csv --html data.csv",
    ] {
        let text = terminal.run(line);
        assert!(text.starts_with("exit: 2\n") && text.contains("BOT-1009"), "{line}: {text}");
        assert_eq!(fs::read_to_string(terminal.path().join("data.csv")).unwrap(), data, "{line}");
    }
    // A model is an input, too.
    terminal.write("m.botops", "a model");
    for line in [
        "evaluate m.botops data.csv --html m.botops --force",
        "evaluate other.botops data.csv --against m.botops --html m.botops --force",
        "gate m.botops data.csv --min accuracy=0.1 --out m.botops --force",
        "predict m.botops --data data.csv --out ./m.botops --force",
        "drift data.csv data.csv --model m.botops --html m.botops --force",
        "data suggest data.csv --model m.botops --limit 3 --out m.botops --force",
    ] {
        let text = terminal.run(line);
        assert!(text.starts_with("exit: 2\n") && text.contains("BOT-1009"), "{line}: {text}");
        assert_eq!(fs::read_to_string(terminal.path().join("m.botops")).unwrap(), "a model");
    }
}

#[test]
fn two_outputs_are_never_written_to_one_file() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    std::os::unix::fs::symlink("same", terminal.path().join("link")).unwrap();
    for line in [
        "validate data.csv --quarantine same --html same",
        "validate data.csv --baseline same --write-baseline --quarantine ./same",
        "validate data.csv --report sarif=same,junit=same",
        "validate data.csv --html same --report sarif=link",
        "data merge data.csv missing.csv --out same.csv --refused ./same.csv",
        "data repair data.csv --quarantine missing.csv --out same.csv --left ./same.csv",
        "data import data.csv --out same.csv --terms ./same.csv",
        "data split data.csv --out sides --lock sides/train.csv",
        "tune missing.yaml --out same --html ./same",
    ] {
        let text = terminal.run(line);
        assert!(text.starts_with("exit: 2\n") && text.contains("BOT-1009"), "{line}: {text}");
        assert!(text.contains("two outputs"), "{line}: {text}");
    }
    assert_eq!(fs::read_dir(terminal.path()).unwrap().count(), 2, "nothing was written");
    // A device takes several outputs. A dry run, so that the test never writes to one.
    let text =
        terminal.run("validate data.csv --html /dev/null --report sarif=/dev/null --dry-run");
    assert!(text.starts_with("exit: 0\n"), "{text}");
}

#[test]
fn a_pipe_is_written_to_and_a_link_to_a_file_is_refused() {
    let terminal = Terminal::new();
    terminal.write("data.csv", format!("{},refund\n", two_intents(30)));
    let at = |name: &str| terminal.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("q.csv", at("link.csv")).unwrap();
    let text = terminal.run("validate data.csv --quarantine link.csv");
    assert!(text.starts_with("exit: 2\n") && text.contains("BOT-1033"), "{text}");
    assert!(at("link.csv").is_symlink() && !at("q.csv").exists());
    terminal.run("validate data.csv --quarantine q.csv");
    let quarantine = fs::read_to_string(at("q.csv")).unwrap();
    assert!(quarantine.starts_with("file,record,line,"));
    // A link to a pipe is written through, as `/dev/stdout` is.
    std::os::unix::fs::symlink("pipe", at("piped")).unwrap();
    for name in ["pipe", "piped"] {
        let pipe = at("pipe");
        let piped = std::thread::spawn(move || fs::read_to_string(pipe).unwrap());
        let text = terminal.run(&format!("validate data.csv --quarantine {name}"));
        assert!(text.starts_with("exit: 3\n"), "{text}");
        assert!(!at("pipe").is_file(), "it is a pipe still");
        assert_eq!(piped.join().unwrap(), quarantine);
    }
}

#[test]
fn push_reads_the_model_once_and_registers_those_bytes() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30)).stdout("train data.csv --out model.botops");
    let at = |name: &str| terminal.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let (bytes, pipe) = (fs::read(at("model.botops")).unwrap(), at("pipe"));
    // The pipe is written once: a second read would wait for ever.
    let writer = std::thread::spawn(move || fs::write(pipe, bytes).map(|()| 1).unwrap());
    let mut push = terminal.command("push pipe --name bot").spawn().unwrap();
    let begun = std::time::Instant::now();
    let status = loop {
        match push.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed().as_secs() < 60 => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            None => {
                push.kill().unwrap();
                panic!("it waits for a second read of the pipe");
            }
        }
    };
    assert!(status.success());
    assert_eq!(writer.join().unwrap(), 1);
    let again = terminal.run("push model.botops --name bot");
    assert!(again.contains("already was bot@1"), "{again}");
}

#[test]
fn a_quarantine_overwrites_only_a_quarantine() {
    let terminal = Terminal::new();
    terminal.write("data.csv", format!("{},refund\n", two_intents(30)));
    let notes = "file;record;line\ndata.csv;1;2\n";
    terminal.write("notes.csv", notes);
    let text = terminal.run("validate data.csv --quarantine notes.csv --html page.html");
    assert!(text.starts_with("exit: 2\n") && text.contains("BOT-2219"), "{text}");
    assert_eq!(fs::read_to_string(terminal.path().join("notes.csv")).unwrap(), notes);
    assert!(!terminal.path().join("page.html").exists());
    // As in CI: the quarantine of an earlier run is replaced, and the temporary file of a killed writer is removed.
    terminal.write("q.csv", "").write(".q.csv.4294967295-0.tmp", "left");
    for _ in 0..2 {
        let text = terminal.run("validate data.csv --quarantine q.csv");
        assert!(text.starts_with("exit: 3\n") && text.contains("quarantined 1 rec"), "{text}");
    }
    assert!(!terminal.path().join(".q.csv.4294967295-0.tmp").exists());
}
