//! `botops evaluate` and `botops gate` on data that is labelled in part.

use crate::terminal::{Terminal, two_intents};
use serde_json::Value;

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(30));
    terminal.stdout("train data.csv --out m.botops");
    let mut traffic = String::new();
    for (i, line) in two_intents(20).lines().skip(1).enumerate() {
        let (text, intent) = line.rsplit_once(',').unwrap();
        let truth = match i % 4 {
            0 => String::new(),
            1 => ",\"truth\":\"\"".to_owned(),
            _ => format!(",\"truth\":\"{intent}\""),
        };
        traffic.push_str(&format!(
            "{{\"at\":\"2026-01-05T08:00:00Z\",\"conversation_id\":\"c{i}\",\"text\":\"{text}\"{truth}}}\n"
        ));
    }
    terminal.write("traffic.jsonl", traffic);
    terminal
        .write("nobody.jsonl", "{\"text\":\"parcel\"}\n{\"text\":\"password\",\"truth\":\"\"}\n");
    terminal
}

#[test]
fn records_without_an_intent_are_skipped_on_request_and_counted() {
    let terminal = terminal();
    let line = "evaluate m.botops traffic.jsonl --intent-column truth";
    let refused = terminal.run(line);
    assert!(refused.starts_with("exit: 3\n") && refused.contains("BOT-3003"), "{refused}");
    assert!(refused.contains("`--skip-unlabelled`"), "{refused}");
    let text = terminal.stdout(&format!("{line} --skip-unlabelled"));
    assert!(text.contains("20 utterances"), "{text}");
    assert!(text.contains("20 records have no intent: skipped"), "{text}");
    let answer = terminal.stdout(&format!("{line} --skip-unlabelled --format json"));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&answer["data"]["n"], &answer["data"]["skipped_unlabelled"]),
        (&20.into(), &20.into())
    );
    let next = answer["next"][0].as_str().unwrap();
    assert!(next.contains("--skip-unlabelled") && next.contains("--intent-column truth"), "{next}");
    let markdown = terminal.stdout(&format!("{line} --skip-unlabelled --format markdown"));
    assert!(markdown.contains("20 records have no intent: skipped"), "{markdown}");
    let gate =
        "gate m.botops traffic.jsonl --intent-column truth --min accuracy=0.1 --skip-unlabelled";
    let gate = terminal.stdout(gate);
    assert!(gate.contains("20 records have no intent: skipped"), "{gate}");
    // Labelled data is not changed by the flag.
    let answer = terminal.stdout("evaluate m.botops data.csv --skip-unlabelled --format json");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["data"].get("skipped_unlabelled").is_none());
    let plain = terminal.stdout("evaluate m.botops data.csv --format json");
    let plain: Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(answer["data"], plain["data"]);
}

#[test]
fn data_without_any_intent_cannot_be_evaluated() {
    let terminal = terminal();
    let line = "evaluate m.botops nobody.jsonl --intent-column truth --skip-unlabelled";
    let refused = terminal.run(line);
    assert!(refused.starts_with("exit: 3\n") && refused.contains("BOT-3003"), "{refused}");
    assert!(refused.contains("none of 2 records has an intent"), "{refused}");
}
