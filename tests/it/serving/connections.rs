//! Connections of a server in its own process: strangers take neither the descriptors nor the time of administrators.

use super::models;
use crate::support::{Folder, clean, program};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const TOKEN: &str = "a token of thirty-two characters!!";

/// The most files that the server may open.
const FILES: usize = 400;
/// Half-open connections: more than that.
const STRANGERS: usize = 600;

/// A server whose process ends with it.
struct Limited {
    process: Child,
    public: SocketAddr,
    admin: SocketAddr,
    said: String,
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves a model with at most `files` open files.
fn serve(folder: &Folder, files: usize) -> Limited {
    folder.write("support.botops", models()[0].to_bytes());
    let mut command = Command::new("sh");
    clean(&mut command, folder.path())
        .current_dir(folder.path())
        .arg("-c")
        .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
        .arg(program())
        .args(["serve", "support.botops", "--no-request-log"])
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("BOTOPS_ADMIN_TOKEN", TOKEN)
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut stderr = BufReader::new(process.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("note: ") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    let after = |words: &str| {
        let (_, rest) = said.split_once(words).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let public = after("serving support.botops on http://");
    let admin = after("admin API on http://");
    Limited { process, public, admin, said }
}

/// Returns the status of a request, and how long it took; 0 if there is no answer.
fn get(address: SocketAddr, path: &str) -> (u16, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    let mut answer = String::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_string(&mut answer);
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), begun.elapsed())
}

/// Returns the number of files that a process has open.
fn open_files(process: &Child) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count()
}

#[test]
fn half_open_connections_leave_descriptors_and_time_for_administrators() {
    let folder = Folder::empty();
    let server = serve(&folder, FILES);
    assert!(server.said.contains("note: at most "), "{}", server.said);
    let strangers: Vec<TcpStream> = (0..STRANGERS)
        .map(|i| {
            let mut stream = TcpStream::connect(server.public).unwrap();
            // Half of them send a part of a request.
            if i % 2 == 0 {
                let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX: ");
            }
            stream
        })
        .collect();
    let mut times = Vec::new();
    for path in ["/health", "/admin/v1/models", "/metrics"].into_iter().cycle().take(30) {
        let (status, time) = get(server.admin, path);
        assert_eq!(status, 200, "{path}");
        times.push(time);
    }
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_millis(50), "{times:?}");
    assert!(open_files(&server.process) < FILES, "no descriptor is left");
    // All places are taken: a client gets an answer, and does not hang.
    let (status, time) = get(server.public, "/health");
    assert!(status == 503 || status == 0, "{status}");
    assert!(time < Duration::from_secs(1), "{time:?}");
    // The strangers are cut off in time, and their places are free.
    let begun = Instant::now();
    while get(server.public, "/health").0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the places stay taken");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(strangers);
}

#[test]
fn a_server_that_may_open_too_few_files_does_not_start() {
    let folder = Folder::empty();
    folder.write("support.botops", models()[0].to_bytes());
    let mut command = Command::new("sh");
    let output = clean(&mut command, folder.path())
        .current_dir(folder.path())
        .args(["-c", "ulimit -n 48 && exec \"$0\" \"$@\""])
        .arg(program())
        .args(["serve", "support.botops", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("BOT-1092") && said.contains("ulimit -n"), "{said}");
}
