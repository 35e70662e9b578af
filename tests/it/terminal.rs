//! A terminal for tests: a folder, a command line, and everything that the command prints.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// A temporary folder in which commands run, with a clean environment.
pub(crate) struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Prepares `botops` with `line`'s words as arguments; quotes group words.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_botops"));
        command
            .args(words(line))
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USER", "tester")
            .env("SOURCE_DATE_EPOCH", "1780000000")
            .stdin(Stdio::null());
        command
    }

    /// Runs `botops` and returns exit code, standard output and standard error as one text.
    pub(crate) fn run(&self, line: &str) -> String {
        self.show(&mut self.command(line))
    }

    /// Runs `botops`, which must succeed, and returns its standard output.
    pub(crate) fn stdout(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// As [`Self::run`], for a prepared command.
    pub(crate) fn show(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let text = format!(
            "exit: {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().map_or("signal".to_owned(), |code| code.to_string()),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!text.contains("panicked"), "{text}");
        text.replace(&self.path().display().to_string(), "[folder]")
    }
}

/// Splits a line at spaces outside double quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns a small labelled data set: two intents that differ by a word, with `n` records each.
pub(crate) fn two_intents(n: usize) -> String {
    let mut text = String::from("text,intent\n");
    let fillers = [
        "please", "today", "my", "the", "again", "now", "for", "about", "with", "and", "still",
        "really",
    ];
    for i in 0..n {
        let (a, b, c) =
            (fillers[i % 12], fillers[(i / 12 + i * 5) % 12], fillers[(i * 7 + 3) % 12]);
        text.push_str(&format!("parcel {a} arrives {b} {c} {i},order_status\n"));
        text.push_str(&format!("password {a} forgotten {b} {c} {i},account_help\n"));
    }
    text
}
