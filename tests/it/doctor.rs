//! `botops doctor --probe`: what it asks of a store.

use crate::terminal::Terminal;
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

/// Starts a server that answers every request like S3 without the permission to list, and returns its endpoint.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            // The requests have no body, and fit into one read.
            let read = connection.read(&mut [0; 16_384]).unwrap_or(0);
            let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            if read > 0 {
                connection.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    endpoint
}

#[test]
fn a_probe_of_a_folder_finds_that_absent_objects_are_absent() {
    let terminal = Terminal::new();
    let probed = terminal.run("doctor --probe");
    assert!(probed.starts_with("exit: 0\n"), "{probed}");
    assert_eq!(probed.matches("says that an absent object is absent").count(), 2, "{probed}");
    assert!(!terminal.run("doctor").contains("absent object"));
}

#[test]
fn a_probe_names_the_permission_without_which_s3_answers_403_for_an_absent_object() {
    let terminal = Terminal::new();
    let doctor = |line: &str| {
        let mut command = terminal.command(line);
        command
            .env("AWS_ENDPOINT_URL", refusing())
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
            .env("AWS_REGION", "us-east-1");
        terminal.show(&mut command)
    };
    let probed = doctor("doctor --probe --registry s3://models/team");
    assert!(probed.starts_with("exit: 1\n"), "{probed}");
    for part in [
        "BOT-5052",
        "answers 403 instead of 404 for an absent object",
        "grant `s3:ListBucket` on `arn:aws:s3:::models`",
    ] {
        assert!(probed.contains(part), "no `{part}` in {probed}");
    }
    assert!(!probed.contains("not-to-be-shown"), "{probed}");
    let plain = doctor("doctor --registry s3://models/team");
    assert!(plain.contains("BOT-5002") && !plain.contains("BOT-5052"), "{plain}");
}

#[test]
fn the_doctor_finds_what_keeps_a_server_from_starting() {
    let terminal = Terminal::new();
    terminal.write(
        "botops.yaml",
        "version: 1\nconversations:\n  retention: 5m\nlimits:\n  shared: nowhere\n",
    );
    let doctor = terminal.run("doctor");
    assert!(doctor.starts_with("exit: 2\n"), "{doctor}");
    for part in ["botops.yaml:3:3", "BOT-6139", "botops.yaml:5:3", "BOT-1098"] {
        assert!(doctor.contains(part), "no `{part}` in {doctor}");
    }
    let serve = terminal.run("serve model.botops");
    for part in
        ["exit: 2\n", "error[BOT-1098]", "--> botops.yaml:5:3, key `limits.shared`", "hint: "]
    {
        assert!(serve.contains(part), "no `{part}` in {serve}");
    }
}
