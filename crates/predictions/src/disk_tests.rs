//! A disk that refuses writes, and a store that is away and comes back.

use crate::{
    hours,
    prediction_log::{
        PredictionLog,
        tests::{raw, settings},
    },
    segment::read_segment,
    ship,
    spool::full_segments,
};
use botops_store::Store;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

/// Names the folder of the process whose disk is small.
const SMALL_DISK: &str = "BOTOPS_TEST_SMALL_DISK";

/// Runs the test below in a process that may write 8 KiB to a file at most; a write beyond fails, as on a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_only_what_it_refuses_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact disk_tests::with_a_small_disk",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(SMALL_DISK, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(fs::read_dir(folder.path().join("server-0")).unwrap().count() > 2, "it ran");
}

#[test]
fn with_a_small_disk() {
    let Some(folder) = std::env::var_os(SMALL_DISK) else { return };
    let (said, heard) = mpsc::channel();
    let log = PredictionLog::start(&settings(Path::new(&folder), 64 << 20), move |event| {
        let _ = said.send(event);
    })
    .unwrap();
    let mut n = 0;
    let mut add = |more: u32| {
        (n..n + more).for_each(|i| log.add(raw(i)));
        n += more;
        log.flush(false);
    };
    // Groups that fit, one that does not, and again some that do.
    (0..5).for_each(|_| add(20));
    add(2_000);
    let refused = log.counts().refused;
    assert!(refused > 0, "{:?}", log.counts());
    (0..5).for_each(|_| add(20));
    log.flush(true);
    let counts = log.counts();
    assert_eq!((counts.refused, counts.dropped), (refused, 0));
    assert_eq!(counts.written + counts.refused, 2_200);
    let mut ids = BTreeSet::new();
    for (path, ..) in full_segments(log.folder()).unwrap() {
        let segment = read_segment(&fs::read(&path).unwrap(), "s").unwrap();
        assert!(segment.findings.is_empty(), "{:?}", segment.findings);
        ids.extend(segment.records.into_iter().map(|it| it.request_id));
    }
    assert_eq!(ids.len() as u64, counts.written);
    assert!(["r-0", "r-99", "r-2100", "r-2199"].iter().all(|id| ids.contains(*id)));
    let events: Vec<String> = heard.try_iter().collect();
    assert!(events[0].starts_with("BOT-6204: predictions are lost: "), "{events:?}");
    assert_eq!(events[1], "predictions are written again");
}

#[tokio::test]
async fn a_store_that_comes_back_gets_every_segment_that_waited() {
    let (folder, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(root.path().to_str().unwrap(), &Default::default()).unwrap();
    // No folder can be made where a file is.
    let obstacle = root.path().join("predictions");
    fs::write(&obstacle, "").unwrap();
    let (said, heard) = mpsc::channel();
    let log = PredictionLog::start(&settings(folder.path(), 12_000), move |event| {
        let _ = said.send(event);
    })
    .unwrap();
    let mut n = 0;
    while log.counts().refused == 0 {
        (n..n + 20).for_each(|i| log.add(raw(i)));
        n += 20;
        log.flush(true);
        assert!(ship(&store, "e", log.folder()).await.is_err());
        assert!(n < 10_000);
    }
    let counts = log.counts();
    assert!(counts.sampled_out > 0 && counts.waiting_bytes < 16_000, "{counts:?}");
    fs::remove_file(&obstacle).unwrap();
    let begun = Instant::now();
    let shipped = ship(&store, "e", log.folder()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(shipped.bytes, counts.waiting_bytes);
    log.flush(false);
    (n..n + 20).for_each(|i| log.add(raw(i)));
    log.flush(true);
    ship(&store, "e", log.folder()).await.unwrap();
    log.flush(false);
    let mut ids = BTreeSet::new();
    for hour in hours(&store, "e", None, None).await.unwrap() {
        let findings = hour.records(&store, |it| assert!(ids.insert(it.request_id))).await.unwrap();
        assert!(findings.is_empty());
    }
    assert_eq!(ids.len() as u64, counts.written + 20);
    assert_eq!(log.counts().waiting_bytes, 0);
    let events: Vec<String> = heard.try_iter().collect();
    assert!(events[0].contains("one of 10 is kept"), "{events:?}");
    assert_eq!(events.last().unwrap(), "every prediction is logged again");
}
