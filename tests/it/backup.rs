//! `botops backup`: what a team stored is backed up, checked, drilled, lost, and restored.

use crate::{
    conversations::{IDENTITY_KEY, stored_with},
    predictions::logged,
    servers::{BUCKET, Moto},
    support::print_past_harness,
    terminal::{Terminal, two_intents},
};
use botops_backup::new_identity;
use botops_conversations::{Copied, Location};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The admin token of the servers here.
const TOKEN: &str = "a token of thirty-two characters!!";

/// A workspace with a model, a run, turns and logged predictions.
fn workspace() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.stdout("train data.csv --out model.botops --record");
    terminal.stdout("push model.botops --name bot");
    terminal.write(".botops/keys/identity_key", IDENTITY_KEY);
    stored_with(&terminal, None);
    logged(&terminal, 2);
    terminal
}

/// Runs `botops` with variables, and returns the exit code and the answer.
fn answer(terminal: &Terminal, line: &str, variables: &[(&str, &str)]) -> (i32, Value) {
    let mut command = terminal.command(&format!("{line} --format json"));
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{line}: {error}: {text}{:?}", output.stderr));
    (output.status.code().unwrap(), answer)
}

fn done(terminal: &Terminal, line: &str, variables: &[(&str, &str)]) -> Value {
    let (exit, answer) = answer(terminal, line, variables);
    assert_eq!(exit, 0, "{line}: {answer}");
    answer["data"].clone()
}

/// Checks that a command fails with this exit code and code, and that it shows no secret.
fn refused(terminal: &Terminal, line: &str, variables: &[(&str, &str)], expected: (i32, &str)) {
    let (exit, answer) = answer(terminal, line, variables);
    let text = answer.to_string();
    assert_eq!((exit, text.contains(expected.1)), (expected.0, true), "{line}: {text}");
    assert!(!text.contains("AGE-SECRET-KEY"), "{text}");
}

fn counted(folder: &Path) -> Copied {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let location = Location::parse("conversations", folder).unwrap();
    runtime.block_on(location.export(async |_| Ok(()))).unwrap()
}

#[test]
fn a_lost_workspace_is_restored_without_what_was_erased_since() {
    let terminal = workspace();
    let ((identity, _), (other, _)) = (new_identity(), new_identity());
    let key = [("BOTOPS_BACKUP_IDENTITY", identity.as_str()), ("BOTOPS_BACKUP_STORE", "backups")];
    let wrong = [("BOTOPS_BACKUP_IDENTITY", other.as_str()), ("BOTOPS_BACKUP_STORE", "backups")];
    let dry = done(&terminal, "backup create --dry-run", &key);
    assert_eq!((&dry["dry_run"], terminal.path().join("backups").exists()), (&true.into(), false));
    let first = done(&terminal, "backup create", &key);
    assert_eq!((&first["encrypted"], &first["conversations"]["turns"]), (&true.into(), &3.into()));
    let second = done(&terminal, "backup create", &key);
    assert!(
        second["objects_read"].as_u64().unwrap() <= 2,
        "only the record of the first: {second}"
    );
    assert_eq!(done(&terminal, "backup list", &key)["backups"].as_array().unwrap().len(), 2);
    done(&terminal, "backup verify", &key);
    refused(&terminal, "backup verify", &wrong, (2, "BOT-5103"));
    refused(&terminal, "backup verify nothing", &key, (2, "BOT-5102"));
    refused(&terminal, "backup create --store registry", &key, (2, "BOT-5001"));
    refused(&terminal, "backup create --store registry/new", &key, (2, "BOT-5001"));
    refused(&terminal, "backup create --store .", &key, (2, "BOT-5001"));
    refused(&terminal, "backup restore --into registry/new", &key, (2, "BOT-5001"));
    refused(&terminal, "backup restore --into backups/new", &key, (2, "BOT-5001"));

    let drill = done(&terminal, "backup drill", &key);
    assert_eq!((&drill["passed"], &drill["models"]), (&true.into(), &1.into()), "{drill}");
    assert_eq!((&drill["schema"], &drill["conversations"]), (&"botops.drill/1".into(), &3.into()));
    assert!(drill["rto_seconds"].as_f64().unwrap() > 0.0, "{drill}");
    assert!(terminal.path().join("registry/drills/log").is_dir());

    let forget = "conversations forget --person alice --reason asked";
    done(&terminal, forget, &[("BOTOPS_IDENTITY_KEY", IDENTITY_KEY)]);
    refused(&terminal, "backup restore --into new", &wrong, (2, "BOT-5103"));
    let restored = done(&terminal, "backup restore --into new", &key);
    assert_eq!(
        (&restored["erasures"], &restored["conversations"]["turns"]),
        (&2.into(), &1.into())
    );
    assert_eq!(counted(&terminal.path().join("new")).turns, 1, "only bob's");
    refused(&terminal, "backup restore --into new", &key, (5, "BOT-5110"));
    done(&terminal, "registry verify --registry new/registry", &[]);
    let predicted = terminal.run("predict bot@latest refund --registry new/registry");
    assert!(predicted.starts_with("exit: 0\n"), "{predicted}");

    fs::remove_dir_all(terminal.path().join("registry")).unwrap();
    refused(&terminal, "backup restore --into again", &key, (6, "BOT-5111"));
    assert!(!terminal.path().join("again").exists());
    let lost = "backup restore --into again --without-newer-erasures";
    assert_eq!(done(&terminal, lost, &key)["conversations"]["turns"], 3);
    let plan = done(&terminal, "backup prune --dry-run --keep-daily 1", &key);
    assert_eq!(plan["remove"].as_array().unwrap().len(), 1, "{plan}");
    assert_eq!(done(&terminal, "backup list", &key)["backups"].as_array().unwrap().len(), 2);
    let pruned = done(&terminal, "backup prune --keep-daily 1", &key);
    assert_eq!(pruned["removed"]["backups"], 1, "{pruned}");
    done(&terminal, "backup verify", &key);
}

#[test]
fn a_bucket_takes_backups_and_restores() {
    let Some(moto) = Moto::start() else { return };
    let terminal = workspace();
    let (endpoint, store) = (moto.endpoint(), format!("s3://{BUCKET}/backups"));
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("BOTOPS_BACKUP_STORE", store.as_str()),
    ];
    done(&terminal, "backup create", &variables);
    done(&terminal, "backup verify", &variables);
    let into = format!("s3://{BUCKET}/restored");
    let restore = format!("backup restore --into {into}");
    refused(&terminal, &restore, &variables, (2, "BOT-5112"));
    done(&terminal, &format!("{restore} --without-conversations"), &variables);
    done(&terminal, &format!("registry verify --registry {into}/registry"), &variables);
    refused(&terminal, &format!("{restore} --without-conversations"), &variables, (5, "BOT-5110"));
    assert_eq!(done(&terminal, "backup drill", &variables)["passed"], true);
}

/// Starts a command, and kills it after `delay`; returns whether it had ended before.
fn killed(mut command: Command, delay: Duration) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(delay);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

#[test]
fn a_killed_backup_does_not_count_and_a_killed_restore_is_finished_by_the_next() {
    let terminal = workspace();
    let variables = [("BOTOPS_BACKUP_STORE", "backups")];
    let prepared = |line: &str| {
        let mut command = terminal.command(line);
        command.envs(variables);
        command
    };
    for step in 1..40 {
        let ended = killed(prepared("backup create"), Duration::from_millis(step * step * 4));
        let listed = done(&terminal, "backup list", &variables);
        for backup in listed["backups"].as_array().unwrap() {
            let id = backup["backup"].as_str().unwrap();
            done(&terminal, &format!("backup verify {id}"), &variables);
        }
        if ended {
            break;
        }
    }
    done(&terminal, "backup create", &variables);
    let id = done(&terminal, "backup verify", &variables)["backup"].as_str().unwrap().to_owned();
    let restore = format!("backup restore {id} --into new");
    for step in 1..40 {
        let ended = killed(prepared(&restore), Duration::from_millis(step * step * 4));
        if ended {
            break;
        }
        // Nothing that is half restored is served.
        let proof = fs::read_to_string(terminal.path().join("new/registry/probes/proof.json"));
        if proof.is_ok_and(|proof| proof.contains("restoring")) {
            let serve = "serve bot@latest --registry new/registry --listen 127.0.0.1:0";
            let served = terminal.run(serve);
            assert!(served.starts_with("exit: 6\n") && served.contains("BOT-5113"), "{served}");
        }
    }
    let (exit, last) = answer(&terminal, &restore, &variables);
    assert!(exit == 0 || last.to_string().contains("BOT-5110"), "{last}");
    done(&terminal, "registry verify --registry new/registry", &[]);
    assert_eq!(counted(&terminal.path().join("new")).turns, 3);
}

/// A small disk, which is unmounted when it is dropped.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_restore_on_a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let terminal = workspace();
    let variables = [("BOTOPS_BACKUP_STORE", "backups")];
    done(&terminal, "backup create", &variables);
    let folder = terminal.path().join("small");
    fs::create_dir(&folder).unwrap();
    let disk = SmallDisk(&folder);
    if !disk.mount("size=32k") {
        print_past_harness("skipped: a_restore_on_a_full_disk: no right to mount a tmpfs");
        return;
    }
    let restore = "backup restore --into small/new";
    let full = terminal.show(terminal.command(restore).envs(variables));
    assert!(full.starts_with("exit: 1\n") && full.contains("BOT-5002"), "{full}");
    assert!(full.contains("run the same command again"), "{full}");
    assert!(disk.mount("remount,size=64m"));
    done(&terminal, restore, &variables);
    done(&terminal, "registry verify --registry small/new/registry", &[]);
}

/// A server of the newest version, which ends when it is dropped.
struct Serving {
    process: Child,
    admin: String,
}

impl Serving {
    fn start(terminal: &Terminal) -> Self {
        let line = "serve bot@latest --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0";
        let mut command = terminal.command(line);
        command.env("BOTOPS_ADMIN_TOKEN", TOKEN).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let admin = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
            if let Some(url) = line.strip_prefix("admin API on http://") {
                break url.to_owned();
            }
            said.push_str(&line);
        };
        // The server continues to write. Without a reader, a full pipe would block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, admin }
    }

    /// Returns its gauges of backups, once they have the line `expected`.
    fn gauges(&self, expected: &str) -> String {
        let began = Instant::now();
        loop {
            let mut stream = TcpStream::connect(&self.admin).unwrap();
            let request = format!(
                "GET /metrics HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            let lines = text.lines().filter(|line| line.starts_with("botops_backup_"));
            let gauges: String = lines.map(|line| format!("{line}\n")).collect();
            if gauges.contains(expected) {
                return gauges;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_server_shows_when_the_last_backup_and_the_last_drill_succeeded() {
    let terminal = workspace();
    let variables = [("BOTOPS_BACKUP_STORE", "backups")];
    let unknown = Serving::start(&terminal).gauges("botops_backup_drill_failed 0\n");
    assert_eq!(unknown.matches(" NaN\n").count(), 4, "{unknown}");
    done(&terminal, "backup create", &variables);
    // The clock of these commands stands still.
    let backup = "botops_backup_last_success_timestamp_seconds 1780000000.0\n";
    let known = Serving::start(&terminal).gauges(backup);
    assert_eq!(known.matches(" NaN\n").count(), 3, "{known}");
    let drill = done(&terminal, "backup drill", &variables);
    let known = Serving::start(&terminal)
        .gauges("botops_backup_last_drill_timestamp_seconds 1780000000.0\n");
    let rto =
        format!("botops_backup_drill_rto_seconds {:?}\n", drill["rto_seconds"].as_f64().unwrap());
    for line in [backup, &rto, "botops_backup_drill_rpo_seconds 0.0\n"] {
        assert!(known.contains(line), "{line} in {known}");
    }
    // A drill of a damaged backup fails, and the times of the last good one stay.
    let chunks = terminal.path().join("backups/chunks");
    fs::remove_dir_all(chunks).unwrap();
    refused(&terminal, "backup drill", &variables, (3, "BOT-5100"));
    let failed = Serving::start(&terminal).gauges("botops_backup_drill_failed 1\n");
    assert!(failed.contains(&rto), "{failed}");
}

#[test]
fn a_version_that_was_erased_after_the_backup_is_erased_in_the_copy() {
    let terminal = workspace();
    let variables = [("BOTOPS_BACKUP_STORE", "backups")];
    terminal.write("other.csv", two_intents(40));
    terminal.stdout("train other.csv --out other.botops --head complement_naive_bayes");
    terminal.stdout("push other.botops --name bot");
    done(&terminal, "backup create", &variables);
    terminal.stdout("registry forget bot@2 --reason \"request 4711\"");
    let restored = done(&terminal, "backup restore --into new", &variables);
    assert_eq!(restored["erasures"], 2, "{restored}");
    let place = "--registry new/registry";
    let verified = terminal.run(&format!("registry verify {place}"));
    assert!(verified.starts_with("exit: 0\n") && verified.contains("not missing"), "{verified}");
    let listed = terminal.stdout(&format!("registry list bot {place}"));
    assert!(listed.contains("erased"), "{listed}");
    let log = terminal.stdout(&format!("registry log bot {place}"));
    assert!(log.contains("request 4711"), "{log}");
    let gone = terminal.run(&format!("predict bot@2 refund {place}"));
    assert!(gone.starts_with("exit: 6\n") && gone.contains("BOT-5130"), "{gone}");
    terminal.stdout(&format!("predict bot@1 refund {place}"));
    // Neither the backup before the erasure nor one after it fails a drill.
    let drill = done(&terminal, "backup drill", &variables);
    assert_eq!((&drill["passed"], &drill["models"]), (&true.into(), &1.into()), "{drill}");
    done(&terminal, "backup create", &variables);
    let drill = done(&terminal, "backup drill", &variables);
    assert_eq!((&drill["passed"], &drill["models"]), (&true.into(), &1.into()), "{drill}");
}
