//! A real Prometheus and a real Alertmanager with the files of the repository, and a receiver of alerts.

use super::{Tools, served::TOKEN};
use crate::support::{Folder, repository};
use regex::{Captures, Regex};
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

/// A process that is killed when dropped.
struct Watcher(Child);

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a free port. Another process may take it before it is used, so whoever uses it looks whether it got it.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The alerts that arrived: the path they were posted to, and the alert.
type Arrived = Arc<Mutex<Vec<(String, Value)>>>;

/// Prometheus and Alertmanager at work.
pub(super) struct Watchers {
    _prometheus: Watcher,
    _alertmanager: Watcher,
    url: String,
    arrived: Arrived,
    folder: Folder,
}

impl Watchers {
    /// Starts them with the files of the repository. Only addresses are replaced, and times, so that nobody waits for minutes.
    pub(super) fn start(tools: &Tools, admin_url: &str) -> Self {
        let folder = Folder::empty();
        let arrived = Arrived::default();
        let receiver = receive(Arc::clone(&arrived));
        let read = |path: &str| fs::read_to_string(repository().join("deploy").join(path)).unwrap();
        let [alerting, scraping] = [free_port(), free_port()];
        let routes = read("alertmanager/alertmanager.yaml");
        let receivers = replaced(&routes, "alert-receiver:9095", &receiver.to_string());
        let waits = Regex::new(r"group_wait: \d+s").unwrap();
        folder.write("alertmanager.yaml", waits.replace_all(&receivers, "group_wait: 0s").as_ref());
        for file in ["alerts.yaml", "recording.yaml"] {
            folder.write(file, sooner(&read(&format!("prometheus/{file}"))));
        }
        let settings = read("prometheus/prometheus.yaml");
        let settings = replaced(&settings, "alertmanager:9093", &format!("127.0.0.1:{alerting}"));
        let target = admin_url.strip_prefix("http://").unwrap();
        let settings = replaced(&settings, "botops:8081", target);
        let settings = replaced(&settings, "/run/secrets/botops_metrics_key", "token");
        folder.write("token", TOKEN).write("prometheus.yaml", sooner(&settings));
        let mut manager = Command::new(&tools.alertmanager);
        manager.args(["--config.file=alertmanager.yaml", "--storage.path=alerts"]);
        manager.args([
            "--cluster.listen-address=",
            &format!("--web.listen-address=127.0.0.1:{alerting}"),
        ]);
        let mut prometheus = Command::new(&tools.prometheus);
        prometheus.args(["--config.file=prometheus.yaml", "--storage.tsdb.path=series"]);
        prometheus.arg(format!("--web.listen-address=127.0.0.1:{scraping}"));
        let alertmanager = started(&mut manager, folder.path());
        let prometheus = started(&mut prometheus, folder.path());
        let url = format!("http://127.0.0.1:{scraping}");
        Self { _prometheus: prometheus, _alertmanager: alertmanager, url, arrived, folder }
    }

    /// Returns the samples that Prometheus finds for a query, without those that are no number; `Err` if it does not answer.
    pub(super) async fn ask(
        &self,
        client: &reqwest::Client,
        query: &str,
    ) -> Result<Vec<f64>, String> {
        let url = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(format!("{query}: {answer}"));
        }
        let samples = answer["data"]["result"].as_array().unwrap().iter();
        let values = samples.filter_map(|sample| sample["value"][1].as_str()?.parse::<f64>().ok());
        Ok(values.filter(|value| value.is_finite()).collect())
    }

    /// Returns the alerts that arrived so far.
    pub(super) fn arrived(&self) -> Vec<(String, Value)> {
        self.arrived.lock().unwrap().clone()
    }

    /// Returns what both programs said, for the message of a failure.
    pub(super) fn said(&self) -> String {
        let logs = ["alertmanager.yaml.log", "prometheus.yaml.log"];
        logs.map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .concat()
    }
}

/// Replaces `old`, which must be there.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old} is missing in\n{text}");
    text.replace(old, new)
}

/// Returns a file of Prometheus in which everything happens each second: scrapes, evaluations, and alerts that wait.
fn sooner(text: &str) -> String {
    let times = Regex::new(r"(?m)^( *(?:scrape_interval|evaluation_interval|interval|for)): \w+$");
    times
        .unwrap()
        .replace_all(text, |found: &Captures<'_>| format!("{}: 1s", &found[1]))
        .into_owned()
}

fn started(command: &mut Command, folder: &Path) -> Watcher {
    let name = command.get_args().next().unwrap().to_str().unwrap().replace("--config.file=", "");
    let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Watcher(command.spawn().unwrap())
}

/// Receives alerts for as long as the test program lives. Returns the address.
fn receive(arrived: Arrived) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, arrived) = (stream.unwrap(), Arc::clone(&arrived));
            std::thread::spawn(move || answer(stream, &arrived));
        }
    });
    address
}

/// Reads one request and answers it.
fn answer(mut stream: TcpStream, arrived: &Arrived) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
    let (path, body) = loop {
        let n = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let length: usize = length?;
        if body.len() >= length {
            break (head.split(' ').nth(1)?.to_owned(), body.to_owned());
        }
    };
    let message: Value = serde_json::from_str(&body).ok()?;
    let alerts = message["alerts"].as_array()?.iter().map(|alert| (path.clone(), alert.clone()));
    arrived.lock().unwrap().extend(alerts);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()
}
