use super::*;
use botops_evaluation::Better;
use botops_findings::FaultKind;

/// A run with `value` of `metric`, measured on `test`; `None` if it does not record the test data.
fn measured(hour: u32, kind: &str, metric: &str, value: f64, test: Option<&str>) -> RunRecord {
    let mut record = run(&format!("2026-11-20T{hour:02}:00:00Z"), kind, 0.5);
    record.id = format!("20261120-{hour:012}");
    let value = Metric { value, ci95: [value - 0.01, value + 0.01], n: 100 };
    record.metrics = [(metric.to_owned(), value)].into();
    record.data.extend(test.map(|test| ("test".to_owned(), Digest::of(test.as_bytes()))));
    record
}

fn query(metric: &str) -> RankQuery<'_> {
    RankQuery { metric, better: None, kind: None, on: RankedOn::Newest }
}

/// Returns the hours of the ranked runs, with their standings.
fn order(ranking: &Ranking) -> Vec<(u32, Standing)> {
    let hour = |run: &Ranked| run.id[9..].parse().unwrap();
    ranking.ranked.iter().map(|run| (hour(run), run.standing)).collect()
}

/// Sorts runs as a listing does: newest first.
fn listed(mut runs: Vec<RunRecord>) -> Vec<RunRecord> {
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
    runs
}

#[test]
fn the_best_comes_first_and_the_others_have_a_standing() {
    let runs = listed(vec![
        measured(1, "train", "macro_f1", 0.95, Some("test")),
        measured(2, "train", "macro_f1", 0.80, Some("test")),
        measured(3, "tune", "macro_f1", 0.95, Some("test")),
        measured(4, "train", "macro_f1", 0.94, Some("test")),
        measured(5, "train", "macro_f1", 0.99, Some("other")),
        measured(6, "train", "macro_f1", 0.99, None),
        measured(7, "train", "accuracy", 0.99, Some("test")),
    ]);
    // The newest run that has the metric and records its basis is the fifth.
    let newest = rank(&runs, &query("macro_f1")).unwrap();
    assert_eq!(order(&newest), [(5, Standing::Best)]);
    assert_eq!((newest.on_other_data, newest.on_unknown_data), (4, 1));

    let test = Digest::of(b"test").to_string();
    let on = RankedOn::Data(&test[..20]);
    let ranking = rank(&runs, &RankQuery { on: on.clone(), ..query("macro_f1") }).unwrap();
    let standings =
        [(1, Standing::Best), (3, Standing::Tied), (4, Standing::Overlaps), (2, Standing::Worse)];
    assert_eq!(order(&ranking), standings);
    assert_eq!((ranking.on_other_data, ranking.on_unknown_data, ranking.better), (1, 1, "higher"));
    let same = RankQuery { on: RankedOn::SameAs(&runs[3]), ..query("macro_f1") };
    assert_eq!(order(&rank(&runs, &same).unwrap()), standings);
    let tuned = rank(&runs, &RankQuery { on, kind: Some("tune"), ..query("macro_f1") }).unwrap();
    assert_eq!(order(&tuned), [(3, Standing::Best)]);
}

#[test]
fn a_lower_error_is_better() {
    for metric in ["log_loss", "ece", "brier", "fallback_rate"] {
        let runs = listed(vec![
            measured(1, "train", metric, 0.3, Some("test")),
            measured(2, "train", metric, 0.1, Some("test")),
        ]);
        let ranking = rank(&runs, &query(metric)).unwrap();
        assert_eq!(order(&ranking), [(2, Standing::Best), (1, Standing::Worse)], "{metric}");
    }
}

#[test]
fn metrics_out_of_fold_are_not_ranked_among_those_of_a_test_set() {
    let mut folds = measured(2, "cross_validation", "accuracy", 0.99, None);
    let method = "cross_validation 5 folds, seed 17".to_owned();
    folds.measured_on = Some(Basis { method, data: Digest::of(b"test") });
    let runs = listed(vec![measured(1, "train", "accuracy", 0.9, Some("test")), folds]);
    let newest = rank(&runs, &query("accuracy")).unwrap();
    assert_eq!(order(&newest), [(2, Standing::Best)]);
    let test = RankQuery { on: RankedOn::SameAs(&runs[1]), ..query("accuracy") };
    assert_eq!(order(&rank(&runs, &test).unwrap()), [(1, Standing::Best)]);
}

#[test]
fn an_unknown_metric_names_the_nearest_and_an_undeclared_one_needs_a_direction() {
    let runs = [measured(1, "train", "macro_f1", 0.9, Some("test"))];
    let fault = rank(&runs, &query("makro_f1")).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5038", FaultKind::Usage));
    assert_eq!(fault.hints(), ["did you mean `macro_f1`?"]);
    let fault = rank(&runs, &query("log_loss")).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5032", FaultKind::Insufficient));

    let runs = [measured(1, "train", "euros", 3.0, Some("test"))];
    let fault = rank(&runs, &query("euros")).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5038", FaultKind::Usage));
    let declared = RankQuery { better: Some(Better::Lower), ..query("euros") };
    assert_eq!(rank(&runs, &declared).unwrap().better, "lower");
}

#[test]
fn runs_that_cannot_be_ranked_name_the_reason() {
    let code = |runs: &[RunRecord], query: &RankQuery<'_>| {
        let fault = rank(runs, query).unwrap_err();
        assert!(!fault.hints().is_empty(), "{fault}");
        (fault.code(), fault.message().to_owned())
    };
    assert_eq!(code(&[], &query("accuracy")).1, "no run has been recorded yet");
    let silent = [measured(1, "train", "accuracy", 0.9, None)];
    let (found, message) = code(&silent, &query("accuracy"));
    assert_eq!(
        (found, message.as_str()),
        ("BOT-5032", "no run records what its `accuracy` was measured on")
    );
    let same = RankQuery { on: RankedOn::SameAs(&silent[0]), ..query("accuracy") };
    assert_eq!(code(&silent, &same).0, "BOT-5039");
    let kind = RankQuery { kind: Some("trian"), ..query("accuracy") };
    assert_eq!(code(&silent, &kind), ("BOT-5032", "no run has the kind `trian`".to_owned()));

    let two = [
        measured(2, "train", "accuracy", 0.9, Some("a")),
        measured(1, "train", "accuracy", 0.9, Some("b")),
    ];
    let on = |data| RankQuery { on: RankedOn::Data(data), ..query("accuracy") };
    assert_eq!(code(&two, &on("ffffffff")).0, "BOT-5039");
    assert_eq!(code(&two, &on("sha256:")).0, "BOT-5039");
    let fault = rank(&two, &on("")).unwrap_err();
    assert_eq!(fault.hints().len(), 2, "the known data: {:?}", fault.hints());
}

/// A trial of the search `s` that ended in `rung`, judged by `method`.
fn trial(hour: u32, rung: u64, method: &str, value: f64) -> RunRecord {
    let mut trial = measured(hour, "tune_trial", "macro_f1", value, None);
    trial.params.insert("tune.search".to_owned(), "s".into());
    trial.params.insert("tune.rung".to_owned(), rung.into());
    trial.measured_on = Some(Basis { method: method.to_owned(), data: Digest::of(b"train") });
    trial
}

#[test]
fn after_a_search_the_trials_of_its_last_rung_are_ranked() {
    let (one, all) = ("cross_validation 1 of 5 folds, seed 1", "cross_validation 5 folds, seed 1");
    let mut search = measured(1, "tune", "macro_f1", 0.8, None);
    search.measured_on = Some(Basis { method: all.to_owned(), data: Digest::of(b"train") });
    // The newest runs are trials that were dropped after one fold, with a lucky score.
    let runs = listed(vec![
        search,
        trial(2, 2, all, 0.8),
        trial(3, 2, all, 0.7),
        trial(4, 1, one, 0.99),
        trial(5, 1, one, 0.98),
    ]);
    let hours = |query: &RankQuery<'_>| -> Vec<u32> {
        order(&rank(&runs, query).unwrap()).into_iter().map(|(hour, _)| hour).collect()
    };
    assert_eq!(hours(&query("macro_f1")), [1, 2, 3]);
    let data = Digest::of(b"train").to_string();
    assert_eq!(hours(&RankQuery { on: RankedOn::Data(&data), ..query("macro_f1") }), [1, 2, 3]);
    assert_eq!(hours(&RankQuery { kind: Some("tune_trial"), ..query("macro_f1") }), [2, 3]);
    // A run that says so is compared with those judged as it was.
    let same = RankQuery { on: RankedOn::SameAs(&runs[0]), ..query("macro_f1") };
    assert_eq!(hours(&same), [4, 5]);
}
