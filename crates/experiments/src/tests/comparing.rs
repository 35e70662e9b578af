use super::*;
use serde_json::json;

fn no_evaluation(record: RunRecord) -> (RunRecord, Evaluated) {
    let why = format!("run {} has no evaluation", record.id);
    (record, Err(why))
}

/// Two runs that differ in two params, a metric and the commit.
fn two() -> [RunRecord; 2] {
    let mut first = run("2026-11-20T10:00:00Z", "train", 0.90);
    first.id = "first".to_owned();
    first.params.insert("model.seed".to_owned(), json!(17));
    first.data.insert("test".to_owned(), Digest::of(b"test"));
    first.code.git_commit = Some("abc".to_owned());
    let mut second = first.clone();
    second.id = "second".to_owned();
    second.params.insert("model.head.c".to_owned(), json!(3.0));
    second.params.insert("model.head.kind".to_owned(), json!("linear_svm"));
    second.code.git_commit = Some("def".to_owned());
    second.metrics = run("2026-11-20T10:00:00Z", "train", 0.93).metrics;
    [first, second]
}

#[test]
fn differences_are_listed_and_the_rest_is_counted() {
    let found = compare(&two().map(no_evaluation));
    assert_eq!(found.runs, ["first", "second"]);
    let names = |differences: &[Difference]| -> Vec<String> {
        differences.iter().map(|difference| difference.name.clone()).collect()
    };
    assert_eq!(names(&found.params), ["model.head.c", "model.head.kind"]);
    assert_eq!(found.params[0].values, [Some(json!(1.0)), Some(json!(3.0))]);
    assert_eq!(found.params[1].values, [None, Some(json!("linear_svm"))]);
    assert_eq!(names(&found.code), ["git_commit"]);
    assert!(found.data.is_empty() && found.environment.is_empty() && found.stages.is_empty());
    assert_eq!((found.same["params"], found.same["data"], found.same["environment"]), (1, 2, 4));
    let metric = &found.metrics[0];
    assert_eq!((metric.name.as_str(), metric.better), ("accuracy", Some("higher")));
    // [0.89, 0.91] and [0.92, 0.94].
    assert_eq!(metric.overlaps, [Some(false)]);
    assert!(found.same_basis);
}

#[test]
fn runs_that_cannot_be_paired_name_the_reason() {
    let why = |runs: [RunRecord; 2]| {
        let found = compare(&runs.map(no_evaluation));
        assert_eq!(found.contrasts[0].paired, None);
        (found.same_basis, found.contrasts[0].why_not_paired.clone().unwrap())
    };
    assert_eq!(why(two()), (true, "run first has no evaluation".to_owned()));
    let mut other = two();
    other[1].data.insert("test".to_owned(), Digest::of(b"other"));
    let found = compare(&other.clone().map(no_evaluation));
    assert_eq!(found.metrics[0].overlaps, [None], "intervals on other data cannot be compared");
    let (same, reason) = why(other);
    assert!(!same && reason.starts_with("they were measured on different data: "), "{reason}");
    let mut silent = two();
    silent[1].data.remove("test");
    assert_eq!(
        why(silent),
        (false, "run second does not record what it was measured on".to_owned())
    );
    let mut folds = two();
    let basis = |method: &str| Basis { method: method.to_owned(), data: Digest::of(b"test") };
    folds[1].measured_on = Some(basis("cross_validation 5 folds"));
    let (same, reason) = why(folds.clone());
    assert_eq!(reason, "they were measured in different ways: test and cross_validation 5 folds");
    assert!(!same);
    folds[0].measured_on = Some(basis("cross_validation 5 folds"));
    let (same, reason) = why(folds);
    assert!(same && reason.starts_with("records out of fold are not independent"), "{reason}");
}

#[test]
fn two_runs_with_the_same_model_are_recognised() {
    let mut runs = two();
    for record in &mut runs {
        record.artifacts = vec![Artifact::of("model.botops", b"model")];
    }
    assert_eq!(compare(&runs.clone().map(no_evaluation)).contrasts[0].same_model, Some(true));
    runs[1].artifacts = vec![Artifact::of("model.botops", b"other")];
    assert_eq!(compare(&runs.clone().map(no_evaluation)).contrasts[0].same_model, Some(false));
    runs[1].artifacts.clear();
    assert_eq!(compare(&runs.map(no_evaluation)).contrasts[0].same_model, None);
}

#[test]
fn an_older_record_is_read_and_written_as_it_was() {
    // As botops 0.1.0 wrote it, before records named sources and recipes.
    let text = r#"{"artifacts":[],"code":{"git_commit":null,"git_dirty":null},"data":{"train":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"environment":{"botops":"0.1.0","ci":false,"cores":2,"platform":"linux-x86_64"},"finished_at":"2026-11-20T10:00:03Z","id":"20261120-0123456789ab","kind":"train","metrics":{},"params":{},"schema":"botops.run/1","stages":{},"started_at":"2026-11-20T10:00:00Z"}"#;
    let record: RunRecord = serde_json::from_str(text).unwrap();
    assert_eq!(String::from_utf8(botops_digest::canonical_json(&record)).unwrap(), text);
    assert_eq!((record.recipe.clone(), record.basis()), (None, None));
}
