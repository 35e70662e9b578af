//! A window of a rollout, with records that no version of the model can have made.

use crate::{
    canary::Canary,
    evaluate::{Monitored, evaluate, later_hours},
    evaluate_tests::{begin, ship},
    history::MonitorLog,
    monitor_spec::MonitorSpec,
    monitored_model::MonitoredModel,
    reference_tests::{TRAINED, data, log},
    window::Window,
};
use botops_digest::Digest;
use botops_models::IntentModel;
use botops_store::Store;
use chrono::TimeDelta;
use std::sync::Arc;

#[tokio::test]
async fn a_canary_has_its_own_estimate_and_unknown_intents_are_counted_and_not_compared() {
    let (model, _) = &*TRAINED;
    let loaded = Arc::new(IntentModel::from_bytes(&model.to_bytes()).unwrap());
    let [champion, challenger] = [Digest::of(b"champion"), Digest::of(b"challenger")];
    let mut records = log(model, &data(600, 7), champion);
    for (record, i) in records.iter_mut().zip(0_i64..) {
        record.at = begin().timestamp_millis() + i * 600_000;
        record.endpoint = "chat".to_owned();
        record.arm = "primary".to_owned();
        if i % 3 == 0 {
            record.arm = "canary".to_owned();
            record.digest = challenger.to_string();
        }
    }
    // One of the canary, and one of the champion.
    records[0].intent = "hub".to_owned();
    records[1].intent = "hub".to_owned();
    let store = Store::in_memory();
    ship(&store, "a", &records).await;
    let named = |version, digest: Digest| MonitoredModel {
        name: "bot".to_owned(),
        version,
        digest: digest.to_string(),
        manifest: None,
    };
    let mut monitored = Monitored {
        environment: "production".to_owned(),
        model: named(1, champion),
        loaded: Some(Arc::clone(&loaded)),
        canary: Some(Canary { model: named(2, challenger), loaded }),
    };
    let spec = MonitorSpec::default();
    let now = begin() + TimeDelta::days(7);
    let window = Window::last(spec.window, now).unwrap();
    let done = evaluate(&store, &monitored, window, &spec, now).await.unwrap();
    let report = &done.report;
    assert_eq!((report.volume.records, report.volume.unknown_intents), (400, 1));
    let told = done.findings.iter().find(|it| it.code == "BOT-6261").unwrap();
    assert!(told.message.starts_with("1 of the 400 records") && told.message.contains("`hub`"));
    assert_eq!(report.estimate.as_ref().unwrap().n, 399);
    let canary = report.canary.as_ref().unwrap();
    assert_eq!((canary.n, canary.model.version), (199, 2));
    let estimate = report.estimate_of("canary").unwrap();
    assert!(estimate.n == 199 && estimate.expected > 0.8, "{estimate:?}");
    let text = report.not_judged.iter().find(|it| it.name == "drift.text").unwrap();
    assert!(text.reason.contains("keeps no texts") && text.reason.contains("reference_window"));
    let later = |window| later_hours(&store, "production", window, now);
    assert_eq!(later(window).await.unwrap(), 0);
    // Without a rollout there is none, and records of later hours wait.
    monitored.canary = None;
    let day = Window::last(spec.window, begin() + TimeDelta::days(1)).unwrap();
    let alone = evaluate(&store, &monitored, day, &spec, now).await.unwrap();
    assert!(alone.report.canary.is_none());
    // 600 records, ten minutes apart, are in 100 hours, of which the window has the first 24.
    assert_eq!(later(day).await.unwrap(), 76);
}

#[tokio::test]
async fn versions_that_share_a_model_file_are_told_apart_by_their_manifests() {
    let (model, _) = &*TRAINED;
    let loaded = Arc::new(IntentModel::from_bytes(&model.to_bytes()).unwrap());
    let file = Digest::of(b"one model file");
    let [champion, challenger] = [Digest::of(b"old documents"), Digest::of(b"new documents")];
    let mut records = log(model, &data(600, 7), file);
    for (record, i) in records.iter_mut().zip(0_i64..) {
        record.at = begin().timestamp_millis() + i * 600_000;
        record.endpoint = "chat".to_owned();
        let is_challenger = i % 3 == 0;
        record.arm = if is_challenger { "canary" } else { "primary" }.to_owned();
        let manifest = if is_challenger { challenger } else { champion };
        record.manifest = Some(manifest.to_string());
    }
    // A record from before manifests is of every version with its model file; this one is on the arm of the champion.
    records[1].manifest = None;
    let store = Store::in_memory();
    ship(&store, "a", &records).await;
    let named = |version, manifest: Digest| MonitoredModel {
        name: "bot".to_owned(),
        version,
        digest: file.to_string(),
        manifest: Some(manifest.to_string()),
    };
    let mut monitored = Monitored {
        environment: "production".to_owned(),
        model: named(1, champion),
        loaded: Some(Arc::clone(&loaded)),
        canary: Some(Canary { model: named(2, challenger), loaded }),
    };
    let spec = MonitorSpec::default();
    let now = begin() + TimeDelta::days(7);
    let window = Window::last(spec.window, now).unwrap();
    let during = evaluate(&store, &monitored, window, &spec, now).await.unwrap().report;
    assert_eq!((during.volume.records, during.volume.other_models), (400, 200));
    assert_eq!(
        during.canary.as_ref().map(|canary| (canary.n, canary.model.version)),
        Some((200, 2))
    );
    let mut log = MonitorLog::read(&store, "production").await.unwrap();
    assert!(log.record(&during).await.unwrap().is_new);
    // Once the challenger is the champion, its records are judged, and its report is another one of the same window.
    monitored.model = named(2, challenger);
    monitored.canary = None;
    let after = evaluate(&store, &monitored, window, &spec, now).await.unwrap().report;
    assert_eq!((after.volume.records, after.volume.other_models), (201, 399));
    assert!(log.of_window(window, &after.model).is_none());
    assert!(log.record(&after).await.unwrap().is_new);
    assert_eq!(log.of_window(window, &during.model).map(|entry| entry.seq), Some(1));
}
