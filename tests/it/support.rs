//! A terminal for tests: a folder, the program in a clean environment, and everything that it prints.

use regex::Regex;
use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

/// Prints that `test` did not run because `missing` is missing. Fails under `BOTOPS_REQUIRE_ALL=1`.
pub(crate) fn report_skip(test: &str, missing: &str) {
    assert!(
        env::var_os("BOTOPS_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{test}: {missing} is required"
    );
    print_past_harness(&format!("skipped: {test}: {missing} is absent"));
}

/// Prints a line past the test harness, which captures the output of a passing test.
pub(crate) fn print_past_harness(line: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{line}").unwrap();
}

/// Returns the program that `variable` names, else the one called `name` on the PATH.
pub(crate) fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|value| !value.is_empty()) {
        return Some(named.into());
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Returns the root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_botops"))
}

/// Copies the files of the repository (tracked, and new ones that git does not ignore) into the folder `to`.
///
/// `wanted` decides on each path, relative to the root. Without git, ignored files are left out by name.
pub(crate) fn copy_repository(to: &Path, wanted: impl Fn(&Path) -> bool) {
    for file in repository_files().into_iter().filter(|file| wanted(file)) {
        let from = repository().join(&file);
        // A file that git still tracks may have been removed.
        if from.is_file() {
            let target = to.join(&file);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(from, target).unwrap();
        }
    }
}

fn repository_files() -> BTreeSet<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output();
    if let Ok(Output { status, stdout, .. }) = listed
        && status.success()
    {
        let listed = String::from_utf8(stdout).unwrap();
        return listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    }
    let ignored = |path: &Path| {
        let path = path.to_str().unwrap();
        matches!(path, "target" | ".git" | ".botops")
            || ["experiments/", "registry/"]
                .iter()
                .any(|store| path.starts_with(store) && !path.ends_with("README.md"))
    };
    let (mut folders, mut files) = (vec![PathBuf::new()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() && !ignored(&path) {
                folders.push(path);
            } else if entry.file_type().unwrap().is_file() && !ignored(&path) {
                files.insert(path);
            }
        }
    }
    files
}

/// Removes everything from the environment of `command` but the paths of programs: no settings, no credentials, no
/// CI.
pub(crate) fn clean<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("USER", "tester")
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
}

/// A temporary folder for one test, outside the repository.
pub(crate) struct Folder {
    held: tempfile::TempDir,
}

impl Folder {
    /// Makes an empty folder.
    pub(crate) fn empty() -> Self {
        Self { held: tempfile::tempdir().unwrap() }
    }

    /// Copies the workspace of the repository: its settings, data and pipelines.
    pub(crate) fn workspace() -> Self {
        let folder = Self::empty();
        copy_repository(folder.path(), |file| {
            ["botops.yaml", "datasets", "pipelines"].iter().any(|kept| file.starts_with(kept))
        });
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.held.path()
    }

    /// Writes a file, and creates the folders above it.
    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap()
    }

    /// Returns the program with these arguments, in this folder and a clean environment.
    pub(crate) fn botops<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(program());
        clean(&mut command, self.path()).args(arguments).current_dir(self.path());
        command
    }
}

/// Runs `command` and returns exit code, stdout and stderr as text for a snapshot, without values that change from
/// run to run.
pub(crate) fn terminal_output(command: &mut Command) -> String {
    let folder = command.get_current_dir().map(Path::to_owned);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let code = status.code().map_or_else(|| format!("{status}"), |code| code.to_string());
    let text = |bytes: Vec<u8>| normalized(&String::from_utf8(bytes).unwrap(), folder.as_deref());
    format!(
        "exit: {code}\n----- stdout -----\n{}\n----- stderr -----\n{}",
        text(stdout),
        text(stderr)
    )
}

/// Replaces values that change from run to run: the folder, digests, ids, times, durations, rates, ports.
pub(crate) fn normalized(text: &str, folder: Option<&Path>) -> String {
    static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d| UTC)?", "[time]"),
            (r"\bsha256:[0-9a-f]{6,64}\b", "sha256:[digest]"),
            (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "[id]"),
            (r"\b\d{8}-[0-9a-z]{4,12}\b", "[id]"),
            (r"\b[0-9a-f]{12,64}\b", "[digest]"),
            (
                r"\b(\d+(\.\d+)?\s?(ns|us|µs|ms|s|min|m|h)\b ?)+(\d+(\.\d+)?(s|m|ms)\b)?",
                "[duration] ",
            ),
            (r"\b[\d,.]+/s\b", "[rate]/s"),
            (r"(127\.0\.0\.1|localhost|\[::1\]):\d{5}\b", "$1:[port]"),
            (r"\b(pid|process) \d+\b", "$1 [pid]"),
        ]
        .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
        .into()
    });
    let mut text = text.to_owned();
    if let Some(folder) = folder {
        // On some systems the path of the temporary folder contains a link.
        for path in [fs::canonicalize(folder).unwrap_or_default(), folder.to_owned()] {
            if let Some(path) = path.to_str().filter(|path| path.len() > 1) {
                text = text.replace(path, "[folder]");
            }
        }
    }
    for (pattern, name) in CHANGING.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Runs `command` for at most `limit`. Returns its exit code (`None` if it was killed), and stdout and stderr as one
/// text.
///
/// The output goes through a file, so that a child left in the background does not delay the result.
pub(crate) fn terminal(command: &mut Command, limit: Duration) -> (Option<i32>, String) {
    let shown = tempfile::NamedTempFile::new().unwrap();
    let file = File::create(shown.path()).unwrap();
    let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let until = Instant::now() + limit;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    (code, String::from_utf8_lossy(&fs::read(shown.path()).unwrap()).into_owned())
}

/// Compares exit code, stdout and stderr of one command with an inline snapshot.
///
/// `botops_snapshot!(folder.botops(["validate", "train.csv"]), @r"...")`
macro_rules! botops_snapshot {
    ($command:expr, @$snapshot:literal) => {
        insta::assert_snapshot!($crate::support::terminal_output(&mut $command), @$snapshot)
    };
}
pub(crate) use botops_snapshot;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_change_from_run_to_run_get_a_placeholder() {
        let text = "run 01K0ABCDEFGHJKMNPQRSTVWXYZ at 2026-11-20T04:23:11.5Z took 1.25 s\n\
                    sha256:0123456789abcdef in /tmp/x/model.botops, 4,812.5/s on 127.0.0.1:43125  \n\
                    840 records, 7 intents, accuracy 0.912, v12, facade";
        assert_eq!(
            normalized(text, Some(Path::new("/tmp/x"))),
            "run [id] at [time] took [duration]\n\
             sha256:[digest] in [folder]/model.botops, [rate]/s on 127.0.0.1:[port]\n\
             840 records, 7 intents, accuracy 0.912, v12, facade"
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 60"]);
        let (code, text) = terminal(&mut command, Duration::from_millis(300));
        assert_eq!((code, text.as_str()), (None, "begun\n"));
    }

    #[test]
    fn the_copied_workspace_holds_the_files_that_git_tracks() {
        let folder = Folder::workspace();
        assert!(folder.read("botops.yaml").contains("registry"));
        assert!(folder.path().join("pipelines/weekly.yaml").is_file());
        assert!(!folder.path().join("src").exists());
    }
}
