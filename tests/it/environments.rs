//! The settings of environments under deploy/environments: what `botops doctor --strict` says of them.

use crate::{
    servers::{Moto, settings},
    support::{repository, terminal},
    terminal::Terminal,
};
use std::{fs, process::Command, time::Duration};

/// The address at which a server of `environment` listens.
fn listen(environment: &str) -> &'static str {
    if environment == "development" { "127.0.0.1:8080" } else { "0.0.0.0:8080" }
}

/// Returns the command `botops doctor --strict` in a copy of the files of `environment`, with secrets as a platform gives
/// them. Variables are not read from the environment of the test.
fn doctor(terminal: &Terminal, environment: &str, endpoint: &str) -> Command {
    let folder = repository().join("deploy/environments").join(environment);
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        terminal.write(&entry.file_name().to_string_lossy(), fs::read(entry.path()).unwrap());
    }
    let mut command =
        terminal.command(&format!("doctor --strict --listen {}", listen(environment)));
    command.envs(settings(endpoint)).envs([
        ("BOTOPS_IDENTITY_KEY", "an-identity-key-of-more-than-forty-characters".to_owned()),
        ("BOTOPS_TOKEN_KEY", "a-token-key-of-more-than-forty-characters".to_owned()),
        ("BOTOPS_DATA_KEY", format!("1:{}=", "a2tr".repeat(10) + "a2s")),
        ("BOTOPS_CONVERSATIONS", "postgres://bot:secret-of-the-database@db/bots".to_owned()),
        ("BOTOPS_LIMITS_SHARED", "redis://:secret-of-the-limits@limits:6379/0".to_owned()),
    ]);
    command
}

#[test]
fn the_settings_of_every_environment_pass_a_strict_doctor() {
    let Some(moto) = Moto::start() else { return };
    moto.create_bucket("bots-staging");
    moto.create_bucket("bots-production");
    let folders = fs::read_dir(repository().join("deploy/environments")).unwrap();
    let mut names: Vec<String> =
        folders.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["development", "production", "staging"]);
    for name in names {
        let place = Terminal::new();
        let mut command = doctor(&place, &name, &moto.endpoint());
        let (code, shown) = terminal(&mut command, Duration::from_secs(60));
        assert_eq!(code, Some(0), "{name}: {shown}");
        assert!(shown.contains(&name) && !shown.contains("secret-of"), "{name}: {shown}");
    }
}

#[test]
fn a_strict_doctor_names_each_missing_protection_and_fails() {
    let terminal = Terminal::new();
    let plain = terminal.run("doctor --listen 0.0.0.0:8080");
    assert!(plain.starts_with("exit: 0\n"), "{plain}");
    let local = terminal.run("doctor --strict");
    assert!(local.starts_with("exit: 0\n"), "{local}");
    let strict = terminal.run("doctor --strict --listen 0.0.0.0:8080");
    assert!(strict.starts_with("exit: 2\n"), "{strict}");
    for part in ["BOT-1195", "`access` is not set", "`policy` is not set", "lacks a protection: 6"]
    {
        assert!(strict.contains(part), "no `{part}` in {strict}");
    }
}
