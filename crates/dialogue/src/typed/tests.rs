//! Tests of typed entities; each kind has its table.

mod addresses;
mod amounts;
mod calendar;
mod clock;
mod hostile;
mod lookups;
mod phones;
mod quantities;
mod rules;

use crate::{Dialogue, DialogueSpec, Moment};
use serde_json::Value;

/// Compiles a dialogue in Europe/Paris with the entity `x`.
fn dialogue_of(x: &str) -> Dialogue {
    dialogue_in("Europe/Paris", x)
}

fn dialogue_in(zone: &str, x: &str) -> Dialogue {
    let yaml = format!("timezone: {zone}\nentities:\n  x: {x}");
    let spec: DialogueSpec = botops_spec::parse(&yaml, "dialogue.yaml").expect(x);
    Dialogue::compile(&spec).expect(x)
}

/// Returns the values of `text` as `text => normalised`.
fn found(dialogue: &Dialogue, text: &str, at: &str, language: &str) -> Vec<String> {
    let language = (!language.is_empty()).then_some(language);
    let moment = Moment::new(at.parse().expect(at), language);
    let shown = |normalised: Option<Value>| match normalised {
        None => "-".to_owned(),
        Some(Value::String(text)) => text,
        Some(Value::Object(map)) => {
            let values = map.into_iter().map(|(_, value)| match value {
                Value::String(text) => text,
                other => other.to_string(),
            });
            values.collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    };
    let entities = dialogue.entities(text, &moment, Vec::new());
    entities.into_iter().map(|e| format!("{} => {}", e.value, shown(e.normalised))).collect()
}

/// A row: language, text, and the values found in it.
type Row<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Checks every row of a table at the moment `at`, and reports all that differ.
fn check(dialogue: &Dialogue, at: &str, rows: &[Row<'_>]) {
    let mut wrong = Vec::new();
    for (language, text, expected) in rows {
        let got = found(dialogue, text, at, language);
        if got != *expected {
            wrong.push(format!("[{language}] {text}: {got:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
