//! Accuracy of windows of the log, against counts by hand.

use crate::{AccuracyCounts, GroupAccuracy, Judgements, WindowAccuracy, window_accuracy};
use botops_predictions::{Filter, Record, SegmentWriter, SourceClass, Verdict, record_verdicts};
use botops_stats::{intervals::wilson, random::Random};
use botops_store::Store;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

const DAY: i64 = 86_400_000;
/// 2026-11-30, 00:00.
const START: i64 = 1_795_996_800_000;

/// A record number `i` of an hour of its own, with the predicted intent `intent`.
fn record(i: u32, intent: &str, confidence: f64) -> Record {
    Record {
        at: START + i64::from(i) * 1_000,
        request_id: format!("r-{i}"),
        endpoint: "chat".to_owned(),
        conversation: Some(format!("c-{}", i / 2)),
        digest: "sha256:ab".to_owned(),
        arm: "primary".to_owned(),
        intent: intent.to_owned(),
        confidence,
        fallback: confidence < 0.35,
        ..Record::default()
    }
}

fn verdict(i: u32, intent: &str, source: SourceClass, after_ms: i64) -> Verdict {
    let line = serde_json::json!({
        "time": START + i64::from(i) * 1_000 + after_ms,
        "request_id": format!("r-{i}"),
        "intent": intent,
        "source": source,
    });
    serde_json::from_value(line).unwrap()
}

fn counted(records: &[Record], judgements: &Judgements) -> WindowAccuracy {
    let mut counts = AccuracyCounts::default();
    records.iter().for_each(|record| counts.add(record, judgements));
    counts.finish(judgements)
}

fn group<'a>(groups: &'a [GroupAccuracy], name: &str) -> &'a GroupAccuracy {
    groups.iter().find(|it| it.group == name).unwrap()
}

#[test]
fn accuracy_is_counted_by_day_arm_intent_and_language() {
    use SourceClass::Reviewer;
    let mut records: Vec<Record> =
        (0..40).map(|i| record(i, if i % 4 == 0 { "order" } else { "refund" }, 0.97)).collect();
    for (i, it) in records.iter_mut().enumerate() {
        it.at += if i >= 20 { DAY } else { 0 };
        it.language = (i < 10).then(|| "fr".to_owned());
        it.guessed = (i < 30).then(|| "en".to_owned());
        it.arm = if i % 5 == 0 { "canary" } else { "primary" }.to_owned();
        it.fallback = i == 3;
    }
    // Everything is right but 0 and 1; 2 is out of scope and answered, 3 out of scope and declined.
    let mut verdicts: Vec<Verdict> = (0..40)
        .map(|i| verdict(i, if i % 4 == 0 { "order" } else { "refund" }, Reviewer, 5_000))
        .collect();
    verdicts[0] = verdict(0, "refund", Reviewer, 5_000);
    verdicts[1] = verdict(1, "new_intent", Reviewer, 9_000);
    verdicts[2] = verdict(2, "oos", Reviewer, 5_000);
    verdicts[3] = verdict(3, "oos", Reviewer, -5_000);
    // The records of the second day are later than their labels, by the clocks of their writers.
    let judgements = Judgements::of(verdicts, &Judgements::reviewers());
    let found = counted(&records, &judgements);
    let all = &found.all;
    assert_eq!((all.n, all.labelled, all.in_scope, all.right), (40, 40, 38, 36));
    let accuracy = all.accuracy.unwrap();
    assert!((accuracy.value - 36.0 / 38.0).abs() < 1e-12);
    assert_eq!(accuracy.ci95, wilson(36, 38, 0.95));
    assert_eq!((all.coverage.value, all.labelled_share), (39.0 / 40.0, 1.0));
    assert_eq!((found.out_of_scope.n, found.out_of_scope.declined), (2, 1));
    let days: Vec<(&str, u64, u64)> =
        found.by_day.iter().map(|it| (it.group.as_str(), it.in_scope, it.right)).collect();
    assert_eq!(days, [("2026-11-30", 18, 16), ("2026-12-01", 20, 20)]);
    assert_eq!(group(&found.by_arm, "canary").n, 8);
    assert_eq!(group(&found.by_arm, "canary").right, 7);
    assert_eq!(group(&found.by_language, "fr").n, 10);
    assert_eq!(group(&found.by_language, "en").n, 20);
    assert_eq!(group(&found.by_language, "unknown").right, 10);
    // order: 10 predicted, of which record 0 is a refund; recall is that of 9 orders.
    let order = found.by_intent.iter().find(|it| it.intent == "order").unwrap();
    assert_eq!((order.n, order.precision.unwrap().n, order.recall.unwrap().n), (10, 10, 9));
    assert!((order.f1.unwrap() - 2.0 * 0.9 / 1.9).abs() < 1e-12);
    let unknown = found.by_intent.iter().find(|it| it.intent == "new_intent").unwrap();
    assert_eq!((unknown.n, unknown.precision, unknown.recall.unwrap().value), (0, None, 0.0));
    // F1 of order 18/19, of refund 2*27/(28+28), of new_intent 0.
    let f1 = all.macro_f1.unwrap();
    assert!((f1.value - (18.0 / 19.0 + 54.0 / 56.0) / 3.0).abs() < 1e-12, "{f1:?}");
    assert!(f1.ci95[0] <= f1.value && f1.value <= f1.ci95[1] && f1.ci95[0] < f1.ci95[1]);
    let delay = found.label_delay.unwrap();
    assert_eq!((delay.median_ms, delay.p95_ms), (0, 5_000));
    assert_eq!(delay.before, 21);
    assert!(!found.selection.weighted && found.selection.p_value == 1.0);
}

#[test]
fn only_the_named_sources_count_and_the_others_are_apart() {
    use SourceClass::{Agent, EndUser, Reviewer};
    let records: Vec<Record> = (0..10).map(|i| record(i, "order", 0.9)).collect();
    let verdicts = vec![
        verdict(0, "order", Reviewer, 1),
        verdict(1, "refund", Reviewer, 1),
        verdict(1, "refund", Reviewer, 2),
        verdict(0, "refund", EndUser, 9),
        verdict(1, "refund", EndUser, 9),
        verdict(2, "order", EndUser, 9),
        verdict(3, "order", EndUser, 9),
        verdict(3, "refund", Agent, 3),
        verdict(0, "order", Agent, 3),
    ];
    let of = |sources: &[SourceClass]| {
        let sources: BTreeSet<SourceClass> = sources.iter().copied().collect();
        counted(&records, &Judgements::of(verdicts.clone(), &sources))
    };
    let found = counted(&records, &Judgements::of(verdicts.clone(), &Judgements::reviewers()));
    assert_eq!(found, of(&[Reviewer]));
    assert_eq!((found.all.labelled, found.all.right, found.sources.len()), (2, 1, 1));
    let apart: Vec<_> = found.apart.iter().map(|it| (it.source, it.n, it.both, it.agree)).collect();
    assert_eq!(apart, [(EndUser, 4, 2, 1), (Agent, 2, 1, 1)]);
    assert_eq!(found.apart[0].accuracy.unwrap().value, 0.5);
    // An agent's verdict counts although a reviewer judged the same message, if agents are asked for.
    let agents = of(&[Agent]);
    assert_eq!((agents.all.labelled, agents.all.right), (2, 1));
    let both = of(&[Agent, Reviewer]);
    assert_eq!((both.all.labelled, both.all.right, both.contradicted), (3, 1, 0));
    assert_eq!(both.apart.len(), 1);
    let none = of(&[]);
    assert_eq!((none.all.accuracy, none.all.macro_f1, none.label_delay), (None, None, None));
    assert_eq!(none.selection.note, "no record has a label");
}

/// Labels of unsure messages only, or of all alike: how far the accuracy is from that of all records.
#[test]
fn labels_of_unsure_messages_are_weighted() {
    let mut random = Random::new(2);
    let (mut records, mut verdicts, mut right) = (Vec::new(), Vec::new(), 0);
    let mut alike = Vec::new();
    for i in 0..4_000 {
        let confidence = 1.0 - random.unit().powi(3) * 0.8;
        let is_right = random.unit() < confidence;
        right += u32::from(is_right);
        records.push(record(i, "order", confidence));
        let truth = if is_right { "order" } else { "refund" };
        let share = if confidence < 0.8 { 0.5 } else { 0.05 };
        if random.unit() < share {
            verdicts.push(verdict(i, truth, SourceClass::Reviewer, 1));
        }
        if random.unit() < 0.2 {
            alike.push(verdict(i, truth, SourceClass::Reviewer, 1));
        }
    }
    let truth = f64::from(right) / 4_000.0;
    let found = counted(&records, &Judgements::of(verdicts, &Judgements::reviewers()));
    let accuracy = found.all.accuracy.unwrap();
    assert!(found.selection.weighted && found.selection.p_value < 1e-6);
    assert!(found.selection.note.contains("not a random sample"));
    let raw = found.all.right as f64 / found.all.in_scope as f64;
    assert!(raw < truth - 0.1, "the labels are hard ones: {raw} {truth}");
    assert!((accuracy.value - truth).abs() < 0.03, "{accuracy:?} {truth}");
    assert!(accuracy.ci95[0] < truth && truth < accuracy.ci95[1]);
    // Fewer labels than records are worth less than as many labels of a random sample.
    let narrow = wilson(found.all.right, found.all.in_scope, 0.95);
    assert!(accuracy.ci95[1] - accuracy.ci95[0] > 0.8 * (narrow[1] - narrow[0]));
    let found = counted(&records, &Judgements::of(alike, &Judgements::reviewers()));
    assert!(!found.selection.weighted, "{:?}", found.selection);
    assert_eq!(found.all.accuracy.unwrap().ci95, wilson(found.all.right, found.all.in_scope, 0.95));
}

#[test]
fn the_order_of_records_and_the_threads_do_not_matter_beyond_the_sample() {
    let mut random = Random::new(3);
    // More labelled records than the sample of the bootstrap holds.
    let mut records: Vec<Record> =
        (0..24_000).map(|i| record(i, ["a", "b", "c"][random.below(3)], random.unit())).collect();
    let truths: Vec<&str> = (0..24_000).map(|_| ["a", "b", "c"][random.below(3)]).collect();
    let verdicts = truths.iter().enumerate();
    let verdicts =
        verdicts.map(|(i, truth)| verdict(i as u32, truth, SourceClass::Reviewer, i as i64));
    let judgements = Judgements::of(verdicts, &Judgements::reviewers());
    let mut settings = crate::accuracy_counts::RESAMPLING;
    settings.draws = 20;
    let on = |threads: usize, records: &[Record]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut counts = AccuracyCounts::default();
        records.iter().for_each(|record| counts.add(record, &judgements));
        let found = pool.install(|| counts.finish_with(&judgements, &settings));
        (serde_json::to_string(&found).unwrap(), found)
    };
    let (first, found) = on(1, &records);
    assert!((19_000..=20_000).contains(&found.n_bootstrap), "{}", found.n_bootstrap);
    assert_eq!(found.all.labelled, 24_000);
    random.shuffle(&mut records);
    assert_eq!(first, on(3, &records).0);
    assert_eq!(serde_json::from_str::<WindowAccuracy>(&first).unwrap(), found);
}

#[tokio::test]
async fn a_window_of_the_log_is_read_once_with_the_verdicts_of_the_store() {
    let store = Store::in_memory();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl.zst");
    let mut lines = Vec::new();
    for i in 0..8 {
        let intent = if i == 5 { "refund" } else { "order" };
        assert!(record(i, intent, 0.9).write_line(&mut lines));
    }
    SegmentWriter::create(&path).unwrap().append(&lines).unwrap();
    let segment = "predictions/e/date=2026-11-30/hour=00/s-01ARZ3NDEKTSV4RRFFQ69G5FAV.jsonl.zst";
    store.create(segment, std::fs::read(&path).unwrap().into()).await.unwrap();
    let now: DateTime<Utc> = DateTime::from_timestamp_millis(START).unwrap();
    // The last verdict is on no record of the log.
    let verdicts: Vec<Verdict> =
        [0, 1, 2, 3, 4, 5, 99].map(|i| verdict(i, "order", SourceClass::Reviewer, 60_000)).to_vec();
    record_verdicts(&store, "e", &verdicts, now).await.unwrap();
    let (judgements, findings) =
        Judgements::read(&store, "e", &Judgements::reviewers()).await.unwrap();
    assert_eq!((judgements.n_labels(), findings.len()), (7, 0));
    assert!(judgements.label(&("r-1".to_owned(), 0)).is_some());
    let of = async |filter: Filter| window_accuracy(&store, "e", &filter, &judgements).await;
    let (found, findings) = of(Filter::default()).await.unwrap();
    assert_eq!((found.all.n, found.all.labelled, found.all.right, findings.len()), (8, 6, 5, 0));
    assert_eq!(found.label_delay.unwrap().median_ms, 60_000);
    let until = Some(DateTime::from_timestamp_millis(START + 2_000).unwrap());
    let (found, _) = of(Filter { until, ..Filter::default() }).await.unwrap();
    assert_eq!((found.all.n, found.all.right), (2, 2));
    // An empty window is no fault here: its caller says what it needs.
    let (found, _) = of(Filter { since: until, until, ..Filter::default() }).await.unwrap();
    assert_eq!((found.all.n, found.all.accuracy, found.all.coverage.n), (0, None, 0));
}
