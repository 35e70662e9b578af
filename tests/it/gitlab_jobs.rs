//! The jobs that `botops init --ci gitlab` writes: their scripts run unchanged in a scratch repository, twice; the second time
//! there is nothing to do.

use crate::{
    support::{clean, report_skip, terminal, tool},
    terminal::two_intents,
    written_workflows::{GITLAB, commit, git, path_with, scratch, yaml},
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Runs the scripts of the GitLab jobs `names` as its runner does, and returns what they printed.
fn gitlab_job(folder: &Path, name: &str, variables: &[(&str, &str)]) -> String {
    let whole = yaml(&folder.join(GITLAB));
    let job = &whole[name];
    let base = &whole[job["extends"].as_str().unwrap_or_default()];
    let lines = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|line| line.as_str().unwrap().to_owned())
            .collect()
    };
    let mut script = lines(&base["before_script"]);
    script.extend(lines(&job["script"]));
    let temp = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    clean(&mut command, temp.path())
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script.join("\n")])
        .current_dir(folder)
        .env("PATH", path_with(temp.path()))
        .env("CI", "true")
        .env("CI_JOB_ID", "9")
        .env("CI_PIPELINE_ID", "8")
        .env("CI_BUILDS_DIR", temp.path());
    for level in [&whole["variables"], &job["variables"]] {
        for (name, value) in level.as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap());
        }
    }
    let (code, text) = terminal(command.envs(variables.iter().copied()), Duration::from_secs(300));
    assert_eq!(code, Some(0), "{name}: {text}");
    text
}

#[test]
fn the_jobs_of_gitlab_run_unchanged_twice_and_the_second_time_have_nothing_to_do() {
    let folder = scratch("gitlab");
    let path = folder.path();
    for round in 0..2 {
        let printed = gitlab_job(path, "train", &[]);
        assert_eq!(printed.contains("train: skipped"), round == 1, "{printed}");
        let version = fs::read_to_string(path.join("version.env")).unwrap();
        let version = version.trim().strip_prefix("VERSION=").unwrap();
        let printed = gitlab_job(path, "promote", &[("VERSION", version)]);
        let said = if round == 0 { "is the first champion" } else { "nothing to do" };
        assert!(printed.contains(said), "{printed}");
    }
    let before = git(path, &["rev-parse", "HEAD"]);
    folder.write("data/utterances.csv", two_intents(60) + "is my parcel lost,order_status\n");
    commit(path, "change");
    for _ in 0..2 {
        gitlab_job(path, "review", &[("CI_MERGE_REQUEST_DIFF_BASE_SHA", before.trim())]);
        let comment = fs::read_to_string(path.join("comment.md")).unwrap();
        assert!(
            comment.starts_with("<!-- botops pipeline diff -->") && comment.contains("1 added"),
            "{comment}"
        );
    }
}

/// A server with the notes of a merge request: one of another user, and one of the user of the token. It prints its port, and
/// keeps the notes and the calls in `notes.json`.
const NOTES: &str = r#"
import http.server, json, urllib.parse
MARK = "<!-- botops pipeline diff -->"
notes = [{"id": 1, "author": {"id": 5}, "body": MARK}, {"id": 2, "author": {"id": 9}, "body": "hello"}]
calls = []
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        assert self.headers["PRIVATE-TOKEN"] == "t0k"
        self.answer({"id": 9} if self.path == "/user" else notes)
    def change(self):
        assert self.headers["PRIVATE-TOKEN"] == "t0k"
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        calls.append(self.command + " " + self.path)
        if self.command == "POST": notes.append({"id": 3, "author": {"id": 9}})
        wanted = 3 if self.command == "POST" else int(self.path.rsplit("/", 1)[1])
        for note in notes:
            if note["id"] == wanted: note["body"] = form["body"][0]
        json.dump([notes, calls], open("notes.json", "w"))
        self.answer({})
    do_POST = do_PUT = change
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[test]
fn a_merge_request_gets_one_note_that_is_updated_in_place() {
    let test = "a_merge_request_gets_one_note_that_is_updated_in_place";
    let Some(python) = tool("BOTOPS_PYTHON", "python3") else { return report_skip(test, "Python") };
    let folder = scratch("gitlab");
    let mut server = Command::new(python)
        .args(["-c", NOTES])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let api = format!("http://127.0.0.1:{}", port.trim());
    let variables = [
        ("CI_API_V4_URL", api.as_str()),
        ("CI_PROJECT_ID", "3"),
        ("CI_MERGE_REQUEST_IID", "4"),
        ("BOTOPS_NOTES_TOKEN", "t0k"),
    ];
    for text in ["first & \"x\" = é", "second + 100%"] {
        folder.write("comment.md", format!("<!-- botops pipeline diff -->\n{text}\n"));
        gitlab_job(folder.path(), "comment", &variables);
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let kept: Value = serde_json::from_str(&folder.read("notes.json")).unwrap();
    assert_eq!(
        kept[0][0]["body"], "<!-- botops pipeline diff -->",
        "the note of another user stays"
    );
    assert_eq!(kept[0][2]["body"], "<!-- botops pipeline diff -->\nsecond + 100%\n");
    let notes = "/projects/3/merge_requests/4/notes";
    assert_eq!(kept[1], serde_json::json!([format!("POST {notes}"), format!("PUT {notes}/3")]));
}
