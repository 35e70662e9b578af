//! Entities: hand-made counts, and the definition of seqeval.

use crate::{
    Bound, EntityError, GateSpec, RecordSpans, Span, SpanScores, gate, measure_entities,
    tests::{close, spread_report},
};
use botops_spec::Spec as _;

fn spans(written: &[(&str, usize, usize)]) -> Vec<Span> {
    let span = |(entity, start, end): &(&str, usize, usize)| Span {
        start: *start,
        end: *end,
        entity: (*entity).to_owned(),
    };
    written.iter().map(span).collect()
}

type Written<'a> = &'a [(&'a str, usize, usize)];

fn records(rows: &[(Written<'_>, Written<'_>)]) -> Vec<RecordSpans> {
    let record = |(i, (truth, found)): (usize, &(Written<'_>, Written<'_>))| RecordSpans {
        record: i as u64 + 1,
        line: i as u64 + 2,
        truth: spans(truth),
        found: spans(found),
    };
    rows.iter().enumerate().map(record).collect()
}

/// Ten records; by hand: `date` 3 exact of 4 annotated and 5 found, `city` 1 exact of 3 annotated and 2 found.
fn ten() -> Vec<RecordSpans> {
    records(&[
        (&[("date", 0, 5)], &[("date", 0, 5)]),
        (&[("date", 3, 9), ("city", 12, 17)], &[("date", 3, 9), ("city", 12, 17)]),
        // Other ends: partly right.
        (&[("date", 4, 10)], &[("date", 0, 10)]),
        // Missed, and found under another name.
        (&[("city", 0, 4)], &[("date", 0, 4)]),
        // One annotated span in two pieces: only one of them is partly right.
        (&[("city", 0, 12)], &[("city", 0, 3)]),
        (&[("date", 7, 8)], &[("date", 7, 8), ("phone", 9, 12)]),
        (&[], &[]),
        (&[], &[]),
        (&[], &[]),
        (&[], &[]),
    ])
}

#[test]
fn scores_are_those_of_hand_made_counts() {
    let report = measure_entities(&ten()).unwrap();
    let date = &report.per_entity["date"];
    assert_eq!((date.support, date.n_found), (4, 5));
    close(date.exact.precision.value, 3.0 / 5.0);
    close(date.exact.recall.value, 3.0 / 4.0);
    close(date.exact.f1.value, 6.0 / 9.0);
    close(date.partial.precision.value, 4.0 / 5.0);
    close(date.partial.recall.value, 1.0);
    close(date.partial.f1.value, 8.0 / 9.0);
    let city = &report.per_entity["city"];
    assert_eq!((city.support, city.n_found), (3, 2));
    close(city.exact.f1.value, 2.0 / 5.0);
    close(city.partial.f1.value, 4.0 / 5.0);
    close(report.micro.exact.precision.value, 4.0 / 7.0);
    close(report.micro.exact.recall.value, 4.0 / 7.0);
    close(report.micro.exact.f1.value, 8.0 / 14.0);
    close(report.macro_average.exact.f1.value, (6.0 / 9.0 + 2.0 / 5.0) / 2.0);
    assert_eq!((report.micro.support, report.micro.n_found, report.n), (7, 7, 10));
    assert_eq!(report.unannotated, ["phone"], "nothing tells whether a phone is right");
    let error = |record, entity: &str, truth, found| EntityError {
        record,
        line: record + 1,
        entity: entity.to_owned(),
        truth,
        found,
    };
    assert_eq!(
        report.errors,
        [
            error(3, "date", Some([4, 10]), Some([0, 10])),
            error(4, "city", Some([0, 4]), None),
            error(4, "date", None, Some([0, 4])),
            error(5, "city", Some([0, 12]), Some([0, 3])),
        ]
    );
}

#[test]
fn intervals_hold_the_estimate_and_do_not_depend_on_threads() {
    let many: Vec<RecordSpans> = (0..20).flat_map(|_| ten()).collect();
    let report = measure_entities(&many).unwrap();
    let f1 = report.micro.exact.f1;
    assert!(f1.ci95[0] < f1.value && f1.value < f1.ci95[1], "{f1:?}");
    assert!(f1.ci95[1] - f1.ci95[0] < 0.25, "{f1:?}");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let three = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(one.install(|| measure_entities(&many)), Some(report.clone()));
    assert_eq!(three.install(|| measure_entities(&many)), Some(report));
    // A perfect entity is certain, and an entity that is never found has no precision.
    let all = records(&[(&[("a", 0, 1)], &[("a", 0, 1)]), (&[("b", 0, 1)], &[])]);
    let report = measure_entities(&all).unwrap();
    assert_eq!(report.per_entity["a"].exact.f1.ci95, [1.0, 1.0]);
    assert_eq!(report.per_entity["b"].exact.precision.value, 0.0);
    assert_eq!(measure_entities(&records(&[(&[], &[("a", 0, 1)])])), None);
}

#[test]
fn more_entities_than_one_bootstrap_takes_are_all_measured() {
    let names: Vec<String> = (0..19).map(|i| format!("e{i:02}")).collect();
    let rows: Vec<RecordSpans> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let truth = spans(&[(name, 0, 3)]);
            let found = if i % 2 == 0 { truth.clone() } else { Vec::new() };
            RecordSpans { record: i as u64, line: 1, truth, found }
        })
        .collect();
    let report = measure_entities(&rows).unwrap();
    assert_eq!(report.per_entity.len(), 19);
    for (i, name) in names.iter().enumerate() {
        close(report.per_entity[name].exact.f1.value, if i % 2 == 0 { 1.0 } else { 0.0 });
    }
    close(report.macro_average.exact.recall.value, 10.0 / 19.0);
}

/// The example of the README of seqeval, whose tags are spans of tokens here: `B-MISC` starts one token early.
#[test]
fn scores_are_those_of_seqeval() {
    let report = measure_entities(&records(&[
        (&[("MISC", 3, 6)], &[("MISC", 2, 6)]),
        (&[("PER", 0, 2)], &[("PER", 0, 2)]),
    ]))
    .unwrap();
    let f1 = |name: &str| report.per_entity[name].exact.f1.value;
    assert_eq!((f1("MISC"), f1("PER")), (0.0, 1.0));
    for average in [&report.micro, &report.macro_average] {
        let SpanScores { precision, recall, f1 } = average.exact;
        assert_eq!((precision.value, recall.value, f1.value), (0.5, 0.5, 0.5));
        assert_eq!(average.partial.f1.value, 1.0);
    }
}

#[test]
fn gates_bound_all_spans_and_every_entity() {
    let mut report = spread_report();
    let spec = |per_entity: &str, metric: &str, min: f64| {
        let bound = Bound { min: Some(min), max: None };
        let spec = GateSpec {
            metrics: [(metric.to_owned(), bound)].into(),
            per_entity: [(per_entity.to_owned(), bound)].into(),
            ..GateSpec::default()
        };
        spec.check().unwrap()
    };
    let judged = gate(&spec("f1", "entity_f1", 0.4), &report, None).unwrap();
    assert!(!judged.passed, "gates on what was not measured fail");
    assert!(
        judged.results.iter().all(|r| r.observed.starts_with("not measured: the data annotates"))
    );

    let entities = measure_entities(&ten()).unwrap();
    report.metrics.extend(entities.metrics());
    report.entities = Some(entities);
    let judged = gate(&spec("f1", "entity_f1", 0.4), &report, None).unwrap();
    assert!(judged.passed, "{:?}", judged.results);
    let judged = gate(&spec("f1", "entity_macro_f1", 0.5), &report, None).unwrap();
    let shown: Vec<(bool, &str)> =
        judged.results.iter().map(|r| (r.passed, r.rule.as_str())).collect();
    assert_eq!(shown, [(true, "entity_macro_f1 >= 0.500"), (false, "f1 of every entity >= 0.500")]);
    assert_eq!(judged.results[1].observed, "worst is `city`: 0.400 on 3 spans");
    let bounds = judged.basis.unwrap().bounds;
    assert_eq!(bounds[1].key, "per_entity.f1.min");
    let unknown = GateSpec {
        per_entity: [("accuracy".to_owned(), Bound { min: Some(0.5), max: None })].into(),
        ..GateSpec::default()
    };
    assert_eq!(unknown.check().unwrap_err().code(), "BOT-3010");
}
