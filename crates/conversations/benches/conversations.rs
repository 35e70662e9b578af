//! Durable turns per second, of 256 tasks with a conversation each, in every store; beside them, the time that one sync of
//! the disk takes. Run with `cargo bench -p botops-conversations [SECONDS]`.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

#[expect(dead_code, reason = "the tests also kill the servers")]
#[path = "../src/tests/servers.rs"]
mod servers;

use botops_conversations::{Conversations, DataKeys, Location, Names, Recorded, Turn};
use serde_json::json;
use servers::{Postgres, Redis};
use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The tasks that append at the same time.
const TASKS: usize = 256;
/// The data key of the measurement with sealed texts.
const KEY: &str = "bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Returns the median time to append 4 kB to a file in `folder` and sync it.
fn sync_time(folder: &Path) -> Duration {
    let path = folder.join("sync");
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            file.write_all(&[7; 4_096]).unwrap();
            let begun = Instant::now();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn turn() -> Turn {
    Turn {
        message_id: None,
        request_id: "0123456789abcdef0123456789abcdef".to_owned(),
        text: "where is my order 20447? I have been waiting for it since Monday".to_owned(),
        answer: json!({"intent": "order_status", "confidence": 0.93, "entities": [{"name": "order", "value": "20447"}],
            "response": "Order 20447 is on its way and arrives on Thursday.", "language": "en", "fallback": false,
            "model": "support@3", "digest": "sha256:0123456789abcdef", "arm": "primary"})
        .to_string(),
        intent: Some("order_status".to_owned()),
        language: Some("en".to_owned()),
        entities: json!([{"name": "order", "value": "20447"}]),
        slots: json!({"order": "20447"}),
        digest: "sha256:0123456789abcdef".to_owned(),
        arm: "primary".to_owned(),
        ..Turn::default()
    }
}

/// Appends turns for `time`, and says how many there were in a second and how long each took.
async fn measure(name: &str, location: &Location, keys: Option<&str>, time: Duration) {
    let store = location.open(true).await.unwrap();
    let keys = keys.map(|keys| DataKeys::parse(keys).unwrap());
    let of = Conversations::new(store, Names::new(b"a key of the bench", None), keys);
    let n_turns = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (of, n_turns) = (of.clone(), Arc::clone(&n_turns));
            let named = of.named(&format!("{name} {task}"), None);
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < time {
                    let started = Instant::now();
                    let head = of.head(&named).await.unwrap();
                    let recorded = of.append(&named, &head, (&turn(), false, 1_000)).await.unwrap();
                    assert!(matches!(recorded, Recorded::Written(_)));
                    times.push(started.elapsed());
                    n_turns.fetch_add(1, Ordering::Relaxed);
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let per_second = n_turns.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    say(&format!(
        "{name:<28} {per_second:>8.0} turns/s  p50 {:>7.2} ms  p99 {:>7.2} ms",
        at(0.5),
        at(0.99)
    ));
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args().skip(1).find_map(|word| word.parse::<u64>().ok());
    let time = Duration::from_secs(seconds.unwrap_or(5));
    let folder = tempfile::tempdir().unwrap();
    let sync = sync_time(folder.path());
    say(&format!("a sync of 4 kB takes {:.2} ms (median of 200)", sync.as_secs_f64() * 1e3));
    let at = |place: &str| Location::parse(place, folder.path()).unwrap();
    measure("SQLite, FULL", &at("plain"), None, time).await;
    measure("SQLite, FULL, sealed", &at("sealed"), Some(KEY), time).await;
    if let Some(server) = Postgres::start() {
        let location = at(&server.url());
        location.migrate(false).await.unwrap();
        measure("PostgreSQL, pool 32", &location, None, time).await;
    }
    for (sync, name) in [("always", "Redis, appendfsync always"), ("everysec", "Redis, everysec")] {
        if let Some(server) = Redis::start(sync) {
            measure(name, &at(&server.url()), None, time).await;
        }
    }
}
