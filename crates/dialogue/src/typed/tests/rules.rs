use crate::{Dialogue, DialogueSpec, Entity, Moment};
use serde_json::json;

fn refused(yaml: &str) -> botops_findings::Fault {
    let spec: DialogueSpec = botops_spec::parse(yaml, "dialogue.yaml").expect(yaml);
    Dialogue::compile(&spec).expect_err(yaml)
}

#[test]
fn a_rule_that_does_not_fit_is_refused_with_its_key() {
    for (x, key, message, hint) in [
        ("{}", "entities.x", "nothing finds `x`", "type: date"),
        ("{type: order_number}", "entities.x.pattern", "needs a pattern", "pattern:"),
        ("{pattern: '\\d+', learned: true}", "entities.x.pattern", "no effect", "remove"),
        ("{type: date, distance: 1}", "entities.x.distance", "no effect", "remove"),
        ("{type: date, region: FR}", "entities.x.region", "no effect", "remove"),
        ("{type: url, prefer: past}", "entities.x.prefer", "no effect", "remove"),
        ("{type: datetime, relative: false}", "entities.x.relative", "no effect", "remove"),
        ("{type: time, date_order: day_first}", "entities.x.date_order", "no effect", "remove"),
        ("{lookup: {a: []}, distance: 3}", "entities.x.distance", "more than 2", "something else"),
        ("{type: phone, region: XX}", "entities.x.region", "`XX` is no country", "FR, BE"),
        ("{type: amount, region: France}", "entities.x.region", "`France` is no country", "FR, BE"),
        ("{lookup: {}}", "entities.x.lookup", "is empty", "Paris"),
        ("{lookup: {'--': []}}", "entities.x.lookup", "no letter or digit", "remove"),
        (
            "{lookup: {a: [É], b: [e]}}",
            "entities.x.lookup",
            "stands for both `a` and `b`",
            "accents",
        ),
    ] {
        let fault = refused(&format!("entities:\n  x: {x}"));
        assert_eq!(
            (fault.code(), fault.kind()),
            ("BOT-1100", botops_findings::FaultKind::Usage),
            "{x}"
        );
        assert_eq!(fault.place().key.as_deref(), Some(key), "{x}");
        assert!(fault.message().contains(message), "{x}: {fault}");
        assert!(fault.hints().join(" ").contains(hint), "{x}: {:?}", fault.hints());
    }
    let long = refused(&format!("entities:\n  x: {{lookup: {{{}: []}}}}", "a".repeat(65)));
    assert!(long.message().contains("more than 64 characters"), "{long}");
    let zone = refused("timezone: Europe/Pariss");
    assert_eq!(zone.code(), "BOT-1101");
    assert!(zone.hints().join(" ").contains("`Europe/Paris`"), "{:?}", zone.hints());
    let pattern = refused("entities:\n  x: {type: email, pattern: '('}");
    assert_eq!(pattern.code(), "BOT-1030");
}

#[test]
fn lists_have_a_limit_together() {
    let names = |n: usize, from: usize| -> String {
        (from..from + n).map(|i| format!("n{i}: []")).collect::<Vec<_>>().join(", ")
    };
    let yaml = |n: usize| {
        format!(
            "entities:\n  x: {{lookup: {{{}}}}}\n  y: {{lookup: {{{}}}}}",
            names(10_000, 0),
            names(n, 0)
        )
    };
    let spec = |yaml: &str| -> DialogueSpec { botops_spec::parse(yaml, "d.yaml").unwrap() };
    assert!(Dialogue::compile(&spec(&yaml(10_000))).is_ok());
    let fault = Dialogue::compile(&spec(&yaml(10_001))).unwrap_err();
    assert!(fault.message().contains("more than 20000 names"), "{fault}");
    assert_eq!(fault.place().key.as_deref(), Some("entities.y.lookup"));
}

#[test]
fn tagged_values_and_patterns_are_normalised_by_the_type() {
    let yaml = "
timezone: Europe/Paris
entities:
  city: {lookup: {Paris: [paname]}, learned: true}
  from: {type: date, learned: true}
  order: {type: order_number, pattern: '(?i)order\\s+([a-z]{2}\\s?\\d{4})'}
";
    let spec: DialogueSpec = botops_spec::parse(yaml, "d.yaml").unwrap();
    let dialogue = Dialogue::compile(&spec).unwrap();
    let moment = Moment::new("2026-11-30T11:00:00Z".parse().unwrap(), Some("en"));
    let text = "order fr 2049 to paname tomorrow, not Lyon";
    let tagged = vec![
        Entity { role: Some("to".into()), ..Entity::new("city", "paname", 17, 23) },
        Entity::new("city", "Lyon", 38, 42),
        Entity { role: Some("start".into()), ..Entity::new("from", "tomorrow", 24, 32) },
    ];
    let found = dialogue.entities(text, &moment, tagged);
    let shown = serde_json::to_value(&found).unwrap();
    assert_eq!(
        shown,
        json!([
            {"entity": "order", "value": "fr 2049", "start": 6, "end": 13, "normalised": "FR2049"},
            {"entity": "city", "value": "paname", "start": 17, "end": 23, "normalised": "Paris", "role": "to"},
            {"entity": "from", "value": "tomorrow", "start": 24, "end": 32, "normalised": {"date": "2026-12-01"}, "role": "start"},
            {"entity": "city", "value": "Lyon", "start": 38, "end": 42},
        ])
    );
    assert_eq!(
        dialogue.normalise("from", "2027-01-02", &moment),
        Some(json!({"date": "2027-01-02"}))
    );
    assert_eq!(dialogue.normalise("from", "2027-01-02 or so", &moment), None);
    assert_eq!(dialogue.normalise("nobody", "2027-01-02", &moment), None);
}
