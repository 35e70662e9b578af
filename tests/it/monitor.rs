//! `botops monitor`: windows of the log are judged, recorded and shown, and a missed run is said.

use crate::terminal::{Terminal, two_intents};
use botops_predictions::{HourKey, Record, SegmentWriter};
use serde_json::Value;
use std::{collections::BTreeMap, fs};

/// The begin of the last whole week before the time of the terminal, 2026-05-28 20:26: a midnight.
const BEGIN: i64 = 1_779_321_600_000;
const WEEK: i64 = 7 * 86_400_000;

/// Makes a workspace with a champion, and returns the digest of its model.
fn with_champion() -> (Terminal, String) {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30)).write("botops.yaml", "model: bot\n");
    terminal.stdout("train data.csv --out model.botops");
    terminal.stdout("push model.botops --name bot");
    terminal.stdout("promote bot@1");
    let shown: Value =
        serde_json::from_str(&terminal.stdout("registry show bot@1 --format json")).unwrap();
    let text = shown.to_string();
    let model = botops_digest::Digest::of(&fs::read(terminal.path().join("model.botops")).unwrap());
    assert!(text.contains(&model.hex()), "{text}");
    (terminal, model.to_string())
}

/// Logs `n` messages of a week, counted from the judged one, all with `intent` or with two in turn.
fn log(terminal: &Terminal, digest: &str, (week, n): (i64, i64), intent: Option<&str>) {
    let mut hours = BTreeMap::<HourKey, Vec<u8>>::new();
    for i in 0..n {
        let record = Record {
            at: BEGIN + week * WEEK + i * (WEEK / n),
            request_id: format!("w{week}-{i}"),
            endpoint: "chat".to_owned(),
            conversation: Some(format!("c{}", i / 3)),
            text: Some(format!("parcel arrives today {}", i % 9)),
            n_chars: 22,
            digest: digest.to_owned(),
            arm: "primary".to_owned(),
            intent: intent
                .unwrap_or(if i % 2 == 0 { "order_status" } else { "account_help" })
                .to_owned(),
            confidence: 0.9,
            latency_us: 400,
            ..Record::default()
        };
        assert!(record.write_line(hours.entry(HourKey::of_millis(record.at)).or_default()));
    }
    for (hour, lines) in hours {
        let folder = terminal.path().join(format!("registry/predictions/production/{hour}"));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("w{week}.jsonl.zst"));
        SegmentWriter::create(&path).unwrap().append(&lines).unwrap();
    }
}

fn data(text: &str) -> Value {
    let document = text.split("--- stdout\n").nth(1).unwrap().split("--- stderr").next().unwrap();
    serde_json::from_str(document).unwrap()
}

#[test]
fn windows_are_judged_recorded_once_and_shown_on_a_page() {
    let (terminal, digest) = with_champion();
    let empty = terminal.run("monitor");
    assert!(empty.starts_with("exit: 4\n") && empty.contains("BOT-6251"), "{empty}");
    log(&terminal, &digest, (0, 300), Some("account_help"));
    log(&terminal, &digest, (-1, 300), None);
    let dry = terminal.run("monitor --reference-window 7d --min-rows 50 --dry-run");
    assert!(dry.starts_with("exit: 3\n") && dry.contains("nothing was recorded"), "{dry}");
    let drifted =
        terminal.run("monitor --reference-window 7d --min-rows 50 --html page.html --format json");
    assert!(drifted.starts_with("exit: 3\n"), "{drifted}");
    let answer = data(&drifted);
    let window = &answer["data"]["windows"][0];
    assert_eq!(window["schema"], "botops.monitor/1");
    assert_eq!((&window["state"], &window["entry"]), (&"drift".into(), &2.into()));
    assert_eq!(window["volume"]["records"], 300);
    // The first test of the series: an alarm, recorded once, and not by the dry run before.
    assert_eq!((&window["series"]["alarm"], &window["series"]["week"]), (&true.into(), &1.into()));
    let decisions = terminal.path().join("registry/monitoring/production/alarms");
    assert_eq!(fs::read_dir(&decisions).unwrap().count(), 1);
    let codes: Vec<&Value> =
        answer["findings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert!(codes.contains(&&Value::from("BOT-6253")), "{codes:?}");
    let again = data(&terminal.run("monitor --reference-window 7d --min-rows 50 --format json"));
    assert_eq!(again["data"]["windows"][0]["recorded"], false, "the same is not written again");
    let page = fs::read_to_string(terminal.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("2026-05-21 to 2026-05-28"));
    assert!(page.contains("series") && dry.contains("over all windows: drift (LORD++"), "{dry}");
    assert!(!page.contains("parcel"), "no word of a user is on the page");
    let entry = terminal.path().join("registry/monitoring/production/log");
    assert_eq!(fs::read_dir(&entry).unwrap().count(), 2);
    for file in fs::read_dir(&entry).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("parcel"), "{text}");
    }
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_place() {
    let (terminal, _) = with_champion();
    for (line, code) in [
        ("monitor --window 90m", "BOT-6250"),
        ("monitor --until 2027-01-01T00:00Z", "BOT-6250"),
        ("monitor --min-accuracy 3", "BOT-6250"),
        ("monitor --every 5s", "BOT-6250"),
        ("monitor --end-schedule nightly", "BOT-6256"),
        ("monitor --model other", "BOT-5011"),
    ] {
        let refused = terminal.run(line);
        assert!(refused.starts_with("exit: 2\n") && refused.contains(code), "{line}: {refused}");
    }
    for (block, code) in [
        ("window: week", "BOT-6250"),
        ("every: 5s", "BOT-6250"),
        ("every: often", "BOT-6250"),
        ("min_accuracy: 3", "BOT-6250"),
        ("reference_window: 90m", "BOT-6250"),
        ("webhooks: [{ url: 'http://127.0.0.1:9/secret-path', kind: slack }]", "BOT-6258"),
        ("webhooks: [{ url: 'https://a.example/secret-path', kind: teams }]", "BOT-6258"),
        ("webhooks: [{ url: 'https://a.example/secret-path' }]", "BOT-6258"),
        ("webhooks: [{ url: 'https://a.example', secret: hunter2 }]", "BOT-1021"),
        ("evry: 1h", "BOT-1011"),
    ] {
        terminal.write("botops.yaml", format!("model: bot\nmonitoring:\n  {block}\n"));
        let refused = terminal.run("monitor");
        assert!(refused.starts_with("exit: 2\n") && refused.contains(code), "{block}: {refused}");
        assert!(refused.contains("botops.yaml:"), "{block}: {refused}");
        assert!(!refused.contains("secret-path") && !refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_missed_run_is_said_by_any_verb_until_its_schedule_ends() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30)).write("botops.yaml", "model: bot\n");
    let pipeline = |zone: &str| {
        format!(
            "version: 1\nname: weekly\nstages:\n- validate: {{ data: data.csv }}\n\
             schedule: {{ every: week, on: monday, at: \"06:00\", zone: {zone} }}\n"
        )
    };
    terminal.write("weekly.yaml", pipeline("Europe/Pariss"));
    let wrong = terminal.run("run weekly.yaml");
    assert!(wrong.starts_with("exit: 2\n") && wrong.contains("BOT-6256"), "{wrong}");
    assert!(wrong.contains("schedule.zone") && wrong.contains("`Europe/Paris`"), "{wrong}");
    terminal.write("weekly.yaml", pipeline("Europe/Paris"));
    let done = terminal.run("run weekly.yaml");
    assert!(done.starts_with("exit: 0\n") && !done.contains("BOT-6257"), "{done}");
    // The next Monday at 06:00 in Paris is 04:00 UTC; two hours later it is overdue.
    let at = |line: &str, time: &str| {
        terminal.show(terminal.command(line).env("SOURCE_DATE_EPOCH", time))
    };
    let early = at("registry list", "1780293000");
    assert!(!early.contains("BOT-6257"), "{early}");
    let late = at("registry list", "1780293700");
    let line = "warning: BOT-6257: the run `pipeline-weekly` was due at 2026-06-01 04:00 UTC";
    assert!(late.contains(line), "{late}");
    assert_eq!(late.matches("BOT-6257").count(), 1, "{late}");
    assert!(!at("registry list --quiet", "1780293700").contains("BOT-6257"));
    let doctor = at("doctor", "1780293700");
    assert!(doctor.contains("pipeline-weekly: overdue since"), "{doctor}");
    let ended = at("monitor --end-schedule pipeline-weekly", "1780293700");
    assert!(ended.starts_with("exit: 0\n"), "{ended}");
    assert!(!at("registry list", "1780293700").contains("BOT-6257"));
}
