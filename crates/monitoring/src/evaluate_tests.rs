//! Windows of made-up weeks: healthy, drifted, inaccurate, empty and damaged ones.

use crate::{
    alarms::Alarms,
    evaluate::{Evaluated, Monitored, evaluate},
    heartbeat::MONITOR_RUNS,
    history::MonitorLog,
    monitor_spec::MonitorSpec,
    monitored_model::MonitoredModel,
    report::{MonitorReport, MonitorState},
    series::decide_in_series,
    watch::{Observed, WatchHost, WatchSettings, turn},
    webhook::{WebhookPace, Webhooks},
    window::Window,
};
use botops_findings::{Fault, Finding, Result};
use botops_predictions::{HourKey, Record, SegmentWriter, SourceClass, Verdict, record_verdicts};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

const DIGEST: &str = "sha256:abababababababababababababababababababababababababababababababab";
const WEEK: i64 = 7 * 86_400_000;

/// The begin of the judged week: a midnight.
pub(crate) fn begin() -> DateTime<Utc> {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn record(id: &str, at: i64, i: i64) -> Record {
    Record {
        at,
        request_id: format!("{id}-{i}"),
        endpoint: "chat".to_owned(),
        conversation: Some(format!("c{}", i / 3)),
        text: Some(format!("where is my parcel number {}", i % 7)),
        n_chars: 26,
        guessed: Some("en".to_owned()),
        digest: DIGEST.to_owned(),
        arm: "primary".to_owned(),
        intent: ["order_status", "complaint", "account_help"][(i % 3) as usize].to_owned(),
        confidence: 0.6 + (i % 37) as f64 / 100.0,
        oos: Some(0.5 + (i % 41) as f64 / 100.0),
        latency_us: 300 + (i % 53) as u64,
        ..Record::default()
    }
}

/// Makes `n` records of the week that begins `weeks` after [`begin`], each changed by `change`.
fn week(weeks: i64, n: i64, change: impl Fn(&mut Record, i64)) -> Vec<Record> {
    let start = begin().timestamp_millis() + weeks * WEEK;
    let one = |i: i64| {
        let mut record = record(&format!("w{weeks}"), start + i * (WEEK / n.max(1)), i);
        change(&mut record, i);
        record
    };
    (0..n).map(one).collect()
}

/// Stores records as a server ships them, in the hour of each.
pub(crate) async fn ship(store: &Store, name: &str, records: &[Record]) {
    let mut hours = std::collections::BTreeMap::<HourKey, Vec<u8>>::new();
    for record in records {
        assert!(record.write_line(hours.entry(HourKey::of_millis(record.at)).or_default()));
    }
    for (hour, lines) in hours {
        put(store, name, hour, &packed(&lines)).await;
    }
}

fn packed(lines: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl.zst");
    SegmentWriter::create(&path).unwrap().append(lines).unwrap();
    std::fs::read(&path).unwrap()
}

async fn put(store: &Store, name: &str, hour: HourKey, bytes: &[u8]) {
    let path = format!("predictions/production/{hour}/{name}.jsonl.zst");
    assert!(store.create(&path, bytes.to_vec().into()).await.unwrap());
}

fn monitored() -> Monitored {
    let model =
        MonitoredModel { name: "bot".into(), version: 2, digest: DIGEST.into(), manifest: None };
    Monitored { environment: "production".into(), model, loaded: None, canary: None }
}

fn spec() -> MonitorSpec {
    MonitorSpec {
        reference_window: Some(Duration::from_secs(7 * 86_400)),
        ..MonitorSpec::default()
    }
}

fn now() -> DateTime<Utc> {
    begin() + TimeDelta::days(7) + TimeDelta::hours(5)
}

async fn judged_by(store: &Store, spec: &MonitorSpec) -> Result<Evaluated> {
    let window = Window::last(spec.window, now()).unwrap();
    assert_eq!(window.start, begin());
    evaluate(store, &monitored(), window, spec, now()).await
}

async fn report(store: &Store, spec: &MonitorSpec) -> MonitorReport {
    judged_by(store, spec).await.unwrap().report
}

#[tokio::test]
async fn a_week_like_the_one_before_is_healthy_and_one_of_another_intent_has_drifted() {
    let store = Store::in_memory();
    ship(&store, "a", &week(-1, 600, |_, _| {})).await;
    ship(&store, "a", &week(0, 500, |_, _| {})).await;
    let healthy = report(&store, &spec()).await;
    assert_eq!(healthy.state, MonitorState::Healthy, "{:?}", healthy.reasons);
    assert_eq!((healthy.volume.records, healthy.volume.conversations), (500, 167));
    assert!(healthy.reasons.is_empty() && healthy.actions.is_empty());
    assert!(healthy.not_judged.iter().any(|item| item.name == "accuracy"));

    let store = Store::in_memory();
    ship(&store, "a", &week(-1, 600, |_, _| {})).await;
    let changed = week(0, 500, |record, i| {
        record.text = Some("zebra curtains please".to_owned());
        if i % 2 == 0 {
            record.intent = "refund".to_owned();
        }
    });
    ship(&store, "a", &changed).await;
    let done = judged_by(&store, &spec()).await.unwrap();
    assert_eq!(done.report.state, MonitorState::Drift);
    assert_eq!(done.report.reasons[0].code, "BOT-6253");
    assert!(done.report.reasons[0].message.contains("intent"), "{:?}", done.report.reasons);
    assert!(done.new_words.iter().any(|(word, _)| word == "zebra"));
    let stored = serde_json::to_string(&done.report).unwrap();
    assert!(!stored.contains("zebra"), "no word of a user is stored: {stored}");
    assert!(done.report.actions.iter().any(|line| line.contains("data suggest window.csv")));
    let mut report = done.report;
    decide_in_series(&store, &mut report, false).await.unwrap();
    let previewed = report.series.take().unwrap();
    assert!(previewed.alarm && previewed.level < spec().level(), "{previewed:?}");
    let decided = || async { Alarms::read(&store, "production").await.unwrap().decisions().len() };
    assert_eq!(decided().await, 0, "a preview is not recorded");
    decide_in_series(&store, &mut report, true).await.unwrap();
    assert_eq!((report.series, decided().await), (Some(previewed), 1));
}

#[tokio::test]
async fn an_empty_week_one_row_one_class_and_no_reference_are_insufficient() {
    let store = Store::in_memory();
    let empty = judged_by(&store, &spec()).await.unwrap();
    assert_eq!(empty.report.state, MonitorState::Insufficient);
    assert_eq!(empty.report.reasons[0].code, "BOT-6251");
    assert!(empty.report.reasons[0].message.contains("0 predictions"), "{:?}", empty.report);
    ship(&store, "one", &week(0, 1, |_, _| {})).await;
    let one = report(&store, &spec()).await;
    assert_eq!((one.state, one.volume.records), (MonitorState::Insufficient, 1));

    // Another model had the traffic.
    let store = Store::in_memory();
    let others = week(0, 300, |record, _| record.digest = format!("sha256:{}", "cd".repeat(32)));
    ship(&store, "a", &others).await;
    let other = report(&store, &spec()).await;
    assert_eq!((other.state, other.volume.other_models), (MonitorState::Insufficient, 300));
    assert!(other.reasons[0].message.contains("300 predictions are of other models"));

    let store = Store::in_memory();
    let single = |record: &mut Record, _| record.intent = "complaint".to_owned();
    ship(&store, "a", &week(0, 300, single)).await;
    let alone = report(&store, &MonitorSpec { reference_window: None, ..spec() }).await;
    assert_eq!(alone.state, MonitorState::Insufficient);
    assert!(alone.reasons[0].message.contains("no reference profile"), "{:?}", alone.reasons);
    // The earlier window is empty.
    assert_eq!(report(&store, &spec()).await.state, MonitorState::Insufficient);
    // One class on both sides is compared by the other checks.
    ship(&store, "a", &week(-1, 300, single)).await;
    assert_eq!(report(&store, &spec()).await.state, MonitorState::Healthy);
}

#[tokio::test]
async fn verdicts_of_reviewers_below_the_bound_make_the_model_inaccurate() {
    let store = Store::in_memory();
    let records = week(0, 400, |_, _| {});
    ship(&store, "a", &week(-1, 400, |_, _| {})).await;
    ship(&store, "a", &records).await;
    let verdict = |record: &Record, is_right: bool, source| Verdict {
        at: record.at + 7_200_000,
        request_id: record.request_id.clone(),
        intent: Some(if is_right { record.intent.clone() } else { "refund".to_owned() }),
        source,
        index: 0,
        satisfaction: None,
    };
    let spec = MonitorSpec { min_accuracy: Some(0.8), ..spec() };
    // End users are not counted.
    let users: Vec<Verdict> =
        records.iter().map(|it| verdict(it, false, SourceClass::EndUser)).collect();
    record_verdicts(&store, "production", &users, now()).await.unwrap();
    assert_eq!(report(&store, &spec).await.state, MonitorState::Healthy);
    let reviewers: Vec<Verdict> = records
        .iter()
        .take(200)
        .enumerate()
        .map(|(i, it)| verdict(it, i % 2 == 0, SourceClass::Reviewer))
        .collect();
    record_verdicts(&store, "production", &reviewers, now()).await.unwrap();
    let low = report(&store, &spec).await;
    assert_eq!(low.state, MonitorState::InaccurateModel);
    assert_eq!(low.reasons[0].code, "BOT-6252");
    assert!(low.reasons[0].message.contains("0.500"), "{:?}", low.reasons);
    assert_eq!((low.n_labelled(), low.median_delay_hours()), (200, Some(2.0)));
    let bound = MonitorSpec { min_accuracy: Some(0.4), ..spec };
    assert_eq!(report(&store, &bound).await.state, MonitorState::Healthy);
}

#[tokio::test]
async fn a_harmful_risk_is_seen_before_there_are_enough_verdicts_for_an_accuracy() {
    let store = Store::in_memory();
    let records = week(0, 400, |record, _| record.confidence = 0.7);
    ship(&store, "a", &records).await;
    // 60 verdicts, of which half are wrong: fewer than `min_rows`, and far above the 10 % that are tolerated.
    let verdict = |(i, record): (usize, &Record)| Verdict {
        at: record.at + 60_000 * i as i64,
        request_id: record.request_id.clone(),
        intent: Some(if i % 2 == 0 { record.intent.clone() } else { "refund".to_owned() }),
        source: SourceClass::Reviewer,
        index: 0,
        satisfaction: None,
    };
    let verdicts: Vec<Verdict> = records.iter().take(60).enumerate().map(verdict).collect();
    record_verdicts(&store, "production", &verdicts, now()).await.unwrap();
    let bound = |least| MonitorSpec { min_accuracy: Some(least), reference_window: None, ..spec() };
    let harmful = report(&store, &bound(0.9)).await;
    let risk = harmful.risk.clone().unwrap();
    assert_eq!((risk.n, risk.n_waiting, risk.risk), (60, 340, 0.5));
    assert!(risk.lower > 0.1 && risk.since.unwrap() < 60, "{risk:?}");
    assert!((risk.alpha - spec().level()).abs() < 1e-12);
    assert_eq!(harmful.state, MonitorState::InaccurateModel);
    assert_eq!(harmful.reasons[0].code, "BOT-6260");
    assert!(harmful.not_judged.iter().any(|it| it.name == "accuracy"), "{:?}", harmful.not_judged);
    // Half of the answers wrong is what a bound of 0.4 tolerates.
    let tolerated = report(&store, &bound(0.4)).await;
    assert!(!tolerated.risk.unwrap().is_harmful);
    assert_eq!(tolerated.state, MonitorState::Insufficient);
    assert!(report(&store, &spec()).await.risk.is_none(), "nothing is tolerated without a bound");
}

#[tokio::test]
async fn verdicts_on_unsure_messages_only_are_no_risk_of_the_model() {
    let store = Store::in_memory();
    let records = week(0, 400, |record, i| record.confidence = if i < 100 { 0.3 } else { 0.97 });
    ship(&store, "a", &records).await;
    let verdict = |record: &Record| Verdict {
        at: record.at + 1,
        request_id: record.request_id.clone(),
        intent: Some("refund".to_owned()),
        source: SourceClass::Reviewer,
        index: 0,
        satisfaction: None,
    };
    let verdicts: Vec<Verdict> = records.iter().take(60).map(verdict).collect();
    record_verdicts(&store, "production", &verdicts, now()).await.unwrap();
    let spec = MonitorSpec { min_accuracy: Some(0.9), reference_window: None, ..spec() };
    let found = report(&store, &spec).await;
    assert!(found.risk.is_none() && found.state == MonitorState::Insufficient);
    let why = found.not_judged.iter().find(|it| it.name == "risk").unwrap();
    assert!(why.reason.contains("differ from the others in confidence"), "{why:?}");
}

#[tokio::test]
async fn damaged_newer_doubled_and_future_records_are_said_and_nothing_is_lost() {
    let store = Store::in_memory();
    ship(&store, "a", &week(-1, 400, |_, _| {})).await;
    let records = week(0, 400, |_, _| {});
    ship(&store, "a", &records).await;
    // Shipped twice.
    ship(&store, "b", &records[..200]).await;
    let mut lines = Vec::new();
    record("x", begin().timestamp_millis(), 0).write_line(&mut lines);
    lines.extend_from_slice(b"{\"schema\":\"botops.prediction/1\",\"request_id\":\"no time\"}\n");
    put(&store, "missing", HourKey::of(begin()), &packed(&lines)).await;
    let whole = packed(&lines);
    put(&store, "truncated", HourKey::of(begin()), &whole[..whole.len() - 9]).await;
    let ahead = now() + TimeDelta::days(3);
    ship(&store, "c", &[record("future", ahead.timestamp_millis(), 0)]).await;
    let done = judged_by(&store, &spec()).await.unwrap();
    assert_eq!(done.report.volume.records, 401);
    assert_eq!(done.report.volume.refused_lines, 1);
    let codes: Vec<&str> = done.findings.iter().map(|it| it.code.as_str()).collect();
    for code in ["BOT-6200", "BOT-6203", "BOT-6254"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    assert_eq!(done.report.state, MonitorState::Healthy, "{:?}", done.report.reasons);
    let newer = packed(b"{\"schema\":\"botops.prediction/9\"}\n");
    put(&store, "newer", HourKey::of(begin()), &newer).await;
    let fault = judged_by(&store, &spec()).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6201", 6));
}

#[derive(Default)]
struct Host {
    found: Mutex<Vec<String>>,
}

impl WatchHost for Host {
    async fn monitored(&self) -> Result<Option<Monitored>> {
        Ok(Some(monitored()))
    }

    fn now(&self) -> DateTime<Utc> {
        now()
    }

    fn observed(&self, _: &Observed) {}

    fn found(&self, finding: &Finding) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.push(finding.code.clone());
    }

    fn failed(&self, fault: &Fault) {
        panic!("{fault}");
    }
}

#[tokio::test]
async fn of_two_processes_one_evaluates_and_both_see_the_report() {
    let store = Store::in_memory();
    ship(&store, "a", &week(0, 20, |_, _| {})).await;
    let settings = WatchSettings {
        every: Duration::from_secs(3_600),
        spec: spec(),
        webhooks: Webhooks::new(&[], &[], WebhookPace::default()).unwrap(),
    };
    settings.check().unwrap();
    let (first, second) = (Host::default(), Host::default());
    let one = turn(&first, &store, "production", &settings).await.unwrap();
    let two = turn(&second, &store, "production", &settings).await.unwrap();
    assert_eq!((one.evaluated, two.evaluated), (true, false));
    assert_eq!((one.number, two.number), (1, 1));
    assert!(one.report.unwrap().says_as(&two.report.unwrap()));
    assert_eq!(two.heartbeats[0].name, MONITOR_RUNS);
    assert_eq!(first.found.lock().unwrap().as_slice(), ["BOT-6251"]);
    assert!(second.found.lock().unwrap().is_empty());
    let stored = MonitorLog::read(&store, "production").await.unwrap();
    assert_eq!(stored.entries().len(), 1);
    let wrong = WatchSettings { every: Duration::from_secs(5), ..settings };
    assert_eq!(wrong.check().unwrap_err().code(), "BOT-6250");
}
