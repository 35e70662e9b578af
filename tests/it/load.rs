//! `botops bench serve`: load on real servers, alone and behind a real proxy, while some of them are killed and renewed.

use crate::{
    support::{program, report_skip, repository, tool},
    terminal::{Terminal, two_intents},
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    fn end(&mut self) {
        until("a process ends", || self.0.try_wait().unwrap().is_some());
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns the status of a `GET`; 0 without an answer.
fn get(port: u16, path: &str) -> u16 {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().unwrap_or_default();
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Serves with `arguments` in `folder`, and returns the process and its port when it is ready.
fn serve(folder: &Path, arguments: &[&str]) -> (Process, u16) {
    let mut command = Command::new(program());
    crate::support::clean(&mut command, folder)
        .current_dir(folder)
        .arg("serve")
        .args(arguments)
        .args(["--no-request-log", "--admin-listen", "127.0.0.1:0"])
        .env("BOTOPS_IDENTITY_KEY", "the identity key of the three servers")
        .env("BOTOPS_TOKEN_KEY", "the-token-key-of-the-three-servers")
        .env("BOTOPS_ADMIN_TOKEN", "a token of thirty-two characters!!")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let process = Process(child);
    let mut said = String::new();
    while !said.contains("admin API on ") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    let (_, address) = said.split_once(" on http://").unwrap();
    let address = address.split_whitespace().next().unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    until("the server is ready", || get(port, "/readiness") == 200);
    (process, port)
}

/// Returns a folder with a model, and with the profiles of `deploy/load`, whose users think for less time, and whose bounds of
/// latencies hold on a machine that is busy with other tests.
fn with_model() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.stdout("train data.csv --out model.botops");
    for name in ["standard", "smoke", "spike", "soak"] {
        let profile = repository().join(format!("deploy/load/{name}.yaml"));
        let profile = fs::read_to_string(profile).unwrap();
        let profile = profile
            .replace("< 50ms", "< 30s")
            .replace("< 250ms", "< 30s")
            .replace("< 1s", "< 30s")
            .replace("min: 1s, max: 3s", "min: 50ms, max: 150ms");
        assert!(profile.contains("< 30s"), "{name}");
        terminal.write(&format!("{name}.yaml"), profile);
    }
    terminal
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    assert_eq!(document["data"]["schema"], "botops.load/1", "{document:#}");
    document["data"].clone()
}

#[test]
fn the_profiles_run_in_both_loops_against_a_real_server_without_an_error() {
    let terminal = with_model();
    let (_server, port) = serve(terminal.path(), &["model.botops", "--listen", "127.0.0.1:0"]);
    let bench = |profile: &str, rest: &str| {
        let line = format!("bench serve http://127.0.0.1:{port} --profile {profile}.yaml {rest}");
        terminal.command(&format!("{line} --format json")).output().unwrap()
    };
    // 4.8 s with up to 40 users.
    let output = bench("standard", "--scale 0.005 --load 0.2 --retry 3 --out report.json");
    let standard = report(&output);
    assert_eq!(output.status.code(), Some(0), "{standard:#}");
    assert_eq!(standard["passed"], true);
    assert_eq!(standard["loop"], "closed");
    let count = |value: &Value, key: &str| value[key].as_u64().unwrap();
    assert!(count(&standard["all"], "answered") > 300, "{standard:#}");
    assert_eq!(count(&standard["all"], "errors"), 0, "{standard:#}");
    let names = |key: &str| -> Vec<String> {
        let parts = standard[key].as_array().unwrap();
        assert!(parts.iter().all(|part| count(part, "answered") > 0), "{standard:#}");
        parts.iter().map(|part| part["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names("stages"),
        ["to 100 users", "hold 100 users", "to 200 users", "hold 200 users", "down"]
    );
    assert_eq!(names("kinds"), ["chat", "predict", "websocket"]);
    let written: Value =
        serde_json::from_slice(&fs::read(terminal.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(written, standard);

    // 3 s of an open loop with up to 100 requests per second.
    let output = bench("spike", "--scale 0.02 --load 0.5 --retry 3");
    let spike = report(&output);
    assert_eq!(output.status.code(), Some(0), "{spike:#}");
    assert_eq!((&spike["loop"], &spike["corrected"]), (&"open".into(), &true.into()));
    assert!(count(&spike["all"], "answered") > 50, "{spike:#}");

    // A threshold that is missed is an exit code of its own, and named.
    let missed = terminal.run(&format!(
        "bench serve http://127.0.0.1:{port} --profile smoke.yaml --scale 0.02 --threshold \"throughput > 90000/s\""
    ));
    assert!(missed.starts_with("exit: 3\n"), "{missed}");
    assert!(missed.contains("threshold throughput > 90000/s: missed"), "{missed}");
    assert!(missed.contains("BOT-6281"), "{missed}");
    let planned = terminal.run(&format!(
        "bench serve http://127.0.0.1:{port} --profile soak.yaml --dry-run --out new.json"
    ));
    assert!(planned.starts_with("exit: 0\n"), "{planned}");
    assert!(planned.contains("up to 100 users in 2 stages, 2100.0 s"), "{planned}");
    assert!(!terminal.path().join("new.json").exists());
}

#[test]
fn mistakes_end_before_there_is_load() {
    let terminal = Terminal::new();
    let profile =
        "version: 1\nname: a\nloop: closed\nstages: [{ name: a, duration: 1s, users: 1 }]\n";
    terminal.write("good.yaml", profile).write("bad.yaml", profile.replace("loop", "lop"));
    let closed = free_port();
    for (line, exit, words) in [
        ("bench serve ftp://localhost --profile good.yaml".to_owned(), 2, "BOT-6030"),
        ("bench serve http://u:hunter2@localhost --profile good.yaml".to_owned(), 2, "BOT-6030"),
        ("bench serve http://localhost:1 --profile bad.yaml".to_owned(), 2, "BOT-1011"),
        ("bench serve http://localhost:1 --profile none.yaml".to_owned(), 2, "BOT-1001"),
        ("bench serve http://localhost:1 --profile good.yaml --scale 0".to_owned(), 2, "BOT-6280"),
        (
            "bench serve http://localhost:1 --profile good.yaml --threshold p95".to_owned(),
            2,
            "BOT-6280",
        ),
        (format!("bench serve http://127.0.0.1:{closed} --profile good.yaml"), 7, "BOT-6282"),
    ] {
        let text = terminal.run(&line);
        assert!(text.starts_with(&format!("exit: {exit}\n")), "{line}: {text}");
        assert!(text.contains(words) && !text.contains("hunter2"), "{line}: {text}");
    }
    // A key is not sent to another machine in clear, and is not shown.
    let mut command = terminal.command("bench serve http://192.0.2.1 --profile good.yaml");
    let text = terminal.show(command.env("BOTOPS_CLIENT_KEY", "bo_hunter2"));
    assert!(text.starts_with("exit: 2\n") && text.contains("BOT-1032"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn more_connections_than_a_server_has_places_for_are_told_to_come_back() {
    let terminal = with_model();
    terminal.write("botops.yaml", "version: 1\nserver: { limits: { connections: 1000 } }\n");
    terminal.write(
        "many.yaml",
        "version: 1\nname: many\nloop: closed\nstages:\n- { name: jump, duration: 0s, users: 1500 }\n\
         - { name: hold, duration: 5s, users: 1500 }\nthink: { min: 2s, max: 2s }\n\
         mix: { predict: 1 }\ntimeout: 30s\n",
    );
    let (_server, port) = serve(terminal.path(), &["model.botops", "--listen", "127.0.0.1:0"]);
    let line = format!("bench serve http://127.0.0.1:{port} --profile many.yaml --format json");
    let output = terminal.command(&line).output().unwrap();
    let all = &report(&output)["all"];
    let count = |key: &str| all[key].as_u64().unwrap();
    assert!(count("requests") >= 1_500, "{all:#}");
    assert!(count("answered") >= 1_000, "{all:#}");
    assert!(count("shed") > 0 && count("without_retry_after") == 0, "{all:#}");
    // A full server ends idle connections, at times just when their next request is on its way.
    let ended = count("broken");
    assert!(ended * 100 <= count("requests"), "{all:#}");
    assert_eq!(count("answered") + count("shed") + ended, count("requests"), "{all:#}");
    // The server lives, and its places are free again.
    until("a place is free", || get(port, "/readiness") == 200);
}

/// Replicas of a server on one registry, each on a port that it keeps.
struct Replicas {
    folder: Terminal,
    ports: Vec<u16>,
    processes: Vec<Option<Process>>,
}

impl Replicas {
    fn start(n: usize) -> Self {
        let folder = with_model();
        folder.stdout("push model.botops --name bot");
        folder.stdout("promote bot@1");
        let ports = (0..n).map(|_| free_port()).collect();
        let mut replicas = Self { folder, ports, processes: (0..n).map(|_| None).collect() };
        for i in 0..n {
            replicas.begin(i);
        }
        replicas
    }

    /// Starts replica `i`, and waits until it is ready.
    fn begin(&mut self, i: usize) {
        let home = self.folder.path().join(format!("home-{i}"));
        fs::create_dir_all(&home).unwrap();
        let registry = self.folder.path().join("registry");
        let listen = format!("127.0.0.1:{}", self.ports[i]);
        let arguments = ["bot", "--listen", &listen, "--registry", registry.to_str().unwrap()];
        self.processes[i] = Some(serve(&home, &arguments).0);
    }

    /// Ends replica `i` by a signal.
    fn stop(&mut self, i: usize, signal: &str) {
        let mut process = self.processes[i].take().unwrap();
        process.signal(signal);
        process.end();
    }
}

/// Starts HAProxy in front of `ports`, and returns it and its port.
fn proxy(haproxy: &Path, folder: &Path, ports: &[u16]) -> (Process, u16) {
    let port = free_port();
    let servers: String = ports
        .iter()
        .enumerate()
        .map(|(i, port)| format!("  server bot{i} 127.0.0.1:{port} check\n"))
        .collect();
    let settings = format!(
        "global\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  \
         timeout server 30s\n  timeout tunnel 60s\n  retries 3\n  option redispatch\n\
         frontend public\n  bind 127.0.0.1:{port}\n  default_backend bots\n\
         backend bots\n  balance roundrobin\n  option httpchk GET /readiness\n  \
         default-server inter 200ms fall 1 rise 1\n{servers}"
    );
    fs::write(folder.join("haproxy.cfg"), settings).unwrap();
    let child = Command::new(haproxy)
        .args(["-db", "-f", "haproxy.cfg"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    until("the proxy has a server", || get(port, "/readiness") == 200);
    (process, port)
}

#[test]
fn behind_a_proxy_no_request_fails_while_a_replica_is_killed_and_others_are_renewed() {
    let name = "three replicas behind HAProxy";
    let haproxy = tool("BOTOPS_HAPROXY", "haproxy").or_else(|| {
        Some("/usr/sbin/haproxy".into()).filter(|path: &std::path::PathBuf| path.is_file())
    });
    let Some(haproxy) = haproxy else { return report_skip(name, "haproxy") };
    let mut replicas = Replicas::start(3);
    let (_proxy, port) = proxy(&haproxy, replicas.folder.path(), &replicas.ports);
    replicas.folder.write(
        "rolling.yaml",
        "version: 1\nname: rolling\nloop: closed\nstages:\n- { name: jump, duration: 0s, users: 20 }\n\
         - { name: hold, duration: 12s, users: 20 }\n\
         think: { min: 50ms, max: 150ms }\nmix: { chat: 6, predict: 2, websocket: 2 }\ntimeout: 5s\n\
         retry: { max: 10, backoff: 50ms, longest: 2s }\nthresholds: [errors = 0]\n",
    );
    let line = format!("bench serve http://127.0.0.1:{port} --profile rolling.yaml --format json");
    let mut bench = replicas.folder.command(&line);
    let bench = bench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut bench = Some(thread::spawn(move || bench.wait_with_output().unwrap()));
    // One is killed first; then one after the other is renewed, as a rolling update does.
    let mut disturbed = Vec::new();
    while bench.as_ref().is_some_and(|bench| !bench.is_finished()) {
        let (i, signal) =
            if disturbed.is_empty() { (0, "-KILL") } else { (disturbed.len() % 3, "-TERM") };
        replicas.stop(i, signal);
        replicas.begin(i);
        disturbed.push(i);
        thread::sleep(Duration::from_millis(500));
    }
    let output = bench.take().unwrap().join().unwrap();
    let rolling = report(&output);
    let all = &rolling["all"];
    assert!(disturbed.len() >= 3, "{disturbed:?}");
    assert_eq!(all["errors"], 0, "{disturbed:?}: {rolling:#}");
    assert!(all["answered"].as_u64().unwrap() > 200, "{rolling:#}");
    assert_eq!(output.status.code(), Some(0), "{rolling:#}");
}
