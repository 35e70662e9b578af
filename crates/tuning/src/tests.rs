use super::*;
use botops_digest::Digest;
use botops_evaluation::SearchReport;
use botops_experiments::{CodeState, Environment, Experiments, RunRecord};
use botops_findings::{Fault, Result};
use botops_models::HeadKind;
use botops_pipelines::Ignore;
use botops_spec as spec;
use botops_spec::Spec as _;
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const SPACE: &str = "
  space:
    head.c: { log_uniform: [0.1, 30] }
    head.kind: { choice: [linear_svm, logistic_regression] }
    features.min_df: { integer: [1, 3] }
";

/// Reads a pipeline whose `tune:` is `tune`.
fn read(tune: &str) -> Result<TunePlan> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    let head = "version: 1\nname: p\nstages:\n  - validate: { data: a.csv }\n  - split: { from: validate }\n  \
                - train: { from: split, model: { head: { c: 2.0, max_iterations: 60 } } }\n  - evaluate: { model: train, on: split }\n";
    std::fs::write(&path, format!("{head}tune:{tune}")).unwrap();
    TunePlan::read(&path, None)
}

fn plan(trials: u32, more: &str) -> TunePlan {
    read(&format!("\n  trials: {trials}\n  folds: 3\n{more}{SPACE}")).unwrap()
}

/// Returns code, line, column, key, message and hints of the fault.
fn fault_text(tune: &str) -> String {
    let fault = read(tune).unwrap_err();
    let place = fault.place();
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    format!(
        "{} {}:{} {} | {} | {}",
        &fault.code()[4..],
        number(place.line),
        number(place.column),
        place.key.as_deref().unwrap_or("-"),
        fault.message(),
        fault.hints().join("; ")
    )
}

#[test]
fn rungs_keep_a_third_and_judge_them_by_three_times_as_much() {
    let rungs = |plan: &TunePlan| -> Vec<(u32, f64, u32)> {
        plan.rungs.iter().map(|rung| (rung.folds, rung.share, rung.trials)).collect()
    };
    let default = read(&format!("\n  trials: 40{SPACE}")).unwrap();
    // By hand: 0.2, 0.6 and 1 of five folds; 40, a third of it, and a third of that, rounded up.
    assert_eq!(rungs(&default), [(1, 1.0, 40), (3, 1.0, 14), (5, 1.0, 5)]);
    assert_eq!(default.fits(), 40 + 14 * 2 + 5 * 2);
    let records = "\n  trials: 10\n  halving: { factor: 2, first_share: 0.3, of: records }";
    let records = read(&format!("{records}{SPACE}")).unwrap();
    assert_eq!(rungs(&records), [(5, 0.3, 10), (5, 0.6, 5), (5, 1.0, 3)]);
    let none = read(&format!("\n  trials: 4\n  halving: {{ first_share: 1.0 }}{SPACE}")).unwrap();
    assert_eq!(rungs(&none), [(5, 1.0, 4)]);
    // Two folds allow two rungs only, and small rungs keep their trials.
    let two = read(&format!("\n  trials: 4\n  folds: 2{SPACE}")).unwrap();
    assert_eq!(rungs(&two), [(1, 1.0, 4), (2, 1.0, 3)]);
}

#[test]
fn trials_are_a_function_of_seed_and_number() {
    let (few, many) = (plan(8, ""), plan(30, ""));
    assert_eq!(few.trials[..], many.trials[..8], "more trials change none of those there were");
    assert!(few.trials[0].params.is_empty(), "the first is the base");
    assert_eq!(few.trials[0].spec.head.c, Some(2.0));
    let other = plan(8, "  seed: 18\n");
    assert_ne!(few.trials[1..], other.trials[1..]);
    let specs: BTreeSet<String> =
        many.trials.iter().map(|trial| serde_json::to_string(&trial.spec).unwrap()).collect();
    assert_eq!(specs.len(), 30, "no configuration is tried twice");
    for trial in &many.trials[1..] {
        let c = trial.spec.head.c.unwrap();
        assert!((0.1..=30.0).contains(&c), "{c}");
        assert_eq!(trial.params["head.c"], json!(c));
        assert!((1..=3).contains(&trial.spec.features.min_df));
        // Settings outside the space are those of the base.
        assert_eq!(trial.spec.head.max_iterations, Some(60));
    }
    let kinds: BTreeSet<&str> = many.trials.iter().map(|t| t.spec.head.kind.name()).collect();
    assert_eq!(kinds.len(), 2);
}

#[test]
fn a_new_setting_does_not_change_the_draws_of_the_others() {
    let more = format!(
        "\n  trials: 8\n  folds: 3{SPACE}    features.sublinear_tf: {{ choice: [true, false] }}\n"
    );
    let (before, after) = (plan(8, ""), read(&more).unwrap());
    for (before, after) in before.trials.iter().zip(&after.trials).skip(1) {
        assert_eq!(before.params["head.c"], after.params["head.c"]);
    }
}

#[test]
fn a_small_space_is_tried_completely() {
    let found =
        read("\n  trials: 40\n  space:\n    features.min_df: { integer: [1, 3] }\n").unwrap();
    // The base has min_df 1, which is therefore no trial of its own.
    assert!(found.is_exhausted);
    let tried: BTreeSet<u32> = found.trials.iter().map(|t| t.spec.features.min_df).collect();
    assert_eq!((found.trials.len(), tried), (3, BTreeSet::from([1, 2, 3])));
    assert_eq!(found.rungs[0].trials, 3);
}

#[test]
fn whole_blocks_can_be_chosen_and_combinations_that_cannot_be_trained_are_not_drawn() {
    let found = read(
        "\n  trials: 12\n  space:\n    features.char_ngrams: { choice: [[0, 0], [2, 4]] }\n    features.word_ngrams: \
         { choice: [[0, 0], [1, 2], [1, 1]] }\n    head: { choice: [{ kind: linear_svm, c: 1 }, { kind: logistic_regression }] }\n",
    )
    .unwrap();
    assert!(found.trials.iter().all(|trial| trial.spec.check_ranges().is_ok()));
    // 2 * 3 * 2 combinations, less the two without any n-gram; the base's head is none of the two.
    assert_eq!((found.trials.len(), found.is_exhausted), (11, true));
    assert!(found.trials[1..].iter().any(|t| t.spec.head.kind == HeadKind::LogisticRegression));
    assert!(found.trials[1..].iter().all(|t| t.spec.head.max_iterations.is_none()));
}

#[test]
fn bad_spaces_are_reported_with_their_place() {
    let space = |line: &str| fault_text(&format!("\n  space:\n    {line}\n"));
    assert_eq!(
        space("head.cc: { log_uniform: [0.1, 30] }"),
        "1011 10:5 tune.space.head.cc | unknown key `cc` | did you mean `c`?"
    );
    assert_eq!(
        space("c: { log_uniform: [0.1, 30] }"),
        "1011 10:5 tune.space.c | unknown key `c` | known keys here: `features`, `head`, `fallback`, `conformal`, `oos_labels`, `seed`, `goldens`, `entities`; \
         did you mean `head.c`?"
    );
    assert_eq!(
        space("head.c: { log_uniform: [0, 30] }"),
        "8043 10:15 tune.space.head.c.log_uniform | `log_uniform: [0, 30]` begins at or below 0, where ratios mean nothing \
         | begin above 0, such as at 0.01, or use `uniform`"
    );
    assert_eq!(
        space("head.c: { uniform: [3, 3] }"),
        "8043 10:15 tune.space.head.c.uniform | `uniform: [3, 3]` is not a range | write two numbers, the smaller first"
    );
    assert_eq!(
        space("features.min_df: { integer: [3, 1] }"),
        "8043 10:24 tune.space.features.min_df.integer | `integer: [3, 1]` is not a range | write two whole numbers, the \
         smaller first"
    );
    assert_eq!(
        space("head.kind: { choice: [] }"),
        "8043 10:18 tune.space.head.kind.choice | there is nothing to choose from | list at least two values: `choice: \
         [linear_svm, logistic_regression]`"
    );
    assert_eq!(
        space("head.kind: { choice: [linear_svm, logistic] }"),
        "1012 10:39 tune.space.head.kind.choice[1] | `logistic` is not a known value for `head.kind` | did you mean \
         `logistic_regression`?"
    );
    assert_eq!(
        space("features.min_df: { integer: [0, 3] }"),
        "7010 10:34 tune.space.features.min_df.integer[0] | `min_df` is 0 | write `min_df: 1` to keep every term"
    );
    assert!(
        space("head.n_trees: { uniform: [10.5, 100] }")
            .ends_with("use `integer` or `log_integer` for whole numbers")
    );
    assert!(
        space("seed: { integer: [1, 9] }")
            .starts_with("8044 10:5 tune.space.seed | `seed` cannot be tuned: the best")
    );
    assert!(
        fault_text("\n  space: {}\n").starts_with("8042 9:3 tune.space | the space has no setting")
    );
}

#[test]
fn numbers_out_of_range_are_reported_with_their_place() {
    let with = |line: &str| fault_text(&format!("\n  {line}{SPACE}"));
    assert!(with("trials: 0").starts_with("8042 9:3 tune.trials | `trials` is 0 | from 2"));
    assert!(with("folds: 1").starts_with("8042 9:3 tune.folds | `folds` is 1 | 5 folds"));
    assert!(
        with("halving: { factor: 1 }")
            .starts_with("8042 9:14 tune.halving.factor | `halving.factor` is 1")
    );
    assert!(with("halving: { first_share: 0 }").starts_with("8042 9:14 tune.halving.first_share"));
    assert!(
        with("stage: trian").starts_with(
            "8042 9:3 tune.stage | `trian` is not a train stage | did you mean `train`?"
        )
    );
    assert!(with("metric: acuracy").contains("did you mean `accuracy`?"));
    assert!(with("trails: 3").contains("did you mean `trials`?"));
}

/// Utterances of three intents, built from words that overlap.
fn data() -> TuneData {
    const WORDS: [[&str; 4]; 3] = [
        ["invoice", "charged", "payment", "bill"],
        ["parcel", "late", "tracking", "arrive"],
        ["password", "account", "locked", "reset"],
    ];
    let mut random = botops_stats::random::Random::new(11);
    let records = (0..90)
        .map(|i| {
            let text: Vec<&str> = (0..4)
                .map(|_| {
                    WORDS[if random.below(3) == 0 { random.below(3) } else { i % 3 }]
                        [random.below(4)]
                })
                .collect();
            (format!("{} {i}", text.join(" ")), ["billing", "delivery", "login"][i % 3].to_owned())
        })
        .collect();
    TuneData {
        name: "split/train.csv".into(),
        path: PathBuf::from("train.csv"),
        digest: Digest::of(b"data"),
        records: Arc::new(records),
    }
}

fn clock() -> Result<DateTime<Utc>> {
    Ok(DateTime::from_timestamp(1_780_000_000, 0).unwrap())
}

fn services<'a>(experiments: &'a Experiments, listener: &'a dyn TuneListener) -> TuneServices<'a> {
    TuneServices {
        equipment: std::sync::Arc::new(botops_pipelines::Equipment::default()),
        experiments,
        clock: &clock,
        code: CodeState::default(),
        environment: Environment::default(),
        listener,
        shard: Shard::ALL,
        lease: Duration::from_secs(600),
        poll: Duration::from_millis(20),
        workers: 2,
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

fn bytes(report: &SearchReport) -> String {
    serde_json::to_string_pretty(report).unwrap()
}

async fn runs(experiments: &Experiments) -> Vec<RunRecord> {
    let mut runs = experiments.list().await.unwrap();
    runs.retain(|run| run.kind == "tune_trial");
    runs
}

/// Counts trials judged here and trials read from the store.
#[derive(Default)]
struct Counted {
    here: AtomicUsize,
    store: AtomicUsize,
    /// Notified after so many trials judged here.
    enough: Option<(usize, tokio::sync::Notify)>,
}

impl TuneListener for Counted {
    fn hear(&self, event: &TuneEvent) {
        let TuneEvent::Judged { by, .. } = event else { return };
        if *by == By::Store {
            self.store.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let n = self.here.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((enough, notify)) = &self.enough
            && n == *enough
        {
            notify.notify_one();
        }
    }
}

#[test]
fn an_interrupted_search_ends_in_the_same_result_and_repeats_no_trial() {
    let (plan, data) = (plan(6, ""), data());
    wait(async {
        let whole = Experiments::open(Store::in_memory());
        let counted = Counted::default();
        let wanted = search(&plan, &data, &services(&whole, &counted)).await.unwrap();
        let all = counted.here.into_inner();

        let store = Experiments::open(Store::in_memory());
        let mut done = 0;
        for enough in [2, 3] {
            let counted = Counted {
                enough: Some((enough, tokio::sync::Notify::new())),
                ..Counted::default()
            };
            let services = services(&store, &counted);
            tokio::select! {
                _ = search(&plan, &data, &services) => panic!("it was to be interrupted"),
                () = counted.enough.as_ref().unwrap().1.notified() => {}
            }
            done += counted.here.into_inner();
        }
        let counted = Counted::default();
        let found = search(&plan, &data, &services(&store, &counted)).await.unwrap();
        assert_eq!(bytes(&found.report), bytes(&wanted.report));
        assert_eq!(found.winner, wanted.winner);
        assert!(done >= 5 && counted.here.into_inner() + done == all, "{done} of {all}");
        // Every trial is one run with its result.
        let recorded = runs(&store).await;
        assert_eq!(recorded.len(), 6);
        let metrics =
            |run: &RunRecord| (run.params["tune.trial"].clone(), run.metrics["accuracy"].value);
        let mut ours: Vec<(Value, f64)> = recorded.iter().map(metrics).collect();
        let mut theirs: Vec<(Value, f64)> = runs(&whole).await.iter().map(metrics).collect();
        ours.sort_by_key(|(trial, _)| trial.as_u64());
        theirs.sort_by_key(|(trial, _)| trial.as_u64());
        assert_eq!(ours, theirs);
    });
}

#[test]
fn the_result_does_not_depend_on_workers_or_shards() {
    let (plan, data) = (plan(7, ""), data());
    wait(async {
        let alone = Experiments::open(Store::in_memory());
        let one = TuneServices { workers: 1, ..services(&alone, &Ignore) };
        let wanted = search(&plan, &data, &one).await.unwrap();

        let shared = Experiments::open(Store::in_memory());
        let counts = [Counted::default(), Counted::default()];
        let part = |index: u32| {
            let services = services(&shared, &counts[index as usize]);
            (TuneServices { shard: Shard { index, count: 2 }, ..services }, &plan, &data)
        };
        let (first, second) = (part(0), part(1));
        let (first, second) =
            tokio::join!(search(first.1, first.2, &first.0), search(second.1, second.2, &second.0));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(bytes(&first.report), bytes(&wanted.report));
        assert_eq!(bytes(&second.report), bytes(&wanted.report));
        assert_eq!(first.run, second.run, "both record the one search");
        let here: Vec<usize> = counts.iter().map(|c| c.here.load(Ordering::SeqCst)).collect();
        let all: u32 = plan.rungs.iter().map(|rung| rung.trials).sum();
        assert_eq!(here.iter().sum::<usize>(), all as usize, "nothing was judged twice: {here:?}");
        assert!(here.iter().all(|&n| n >= 3), "both took part: {here:?}");
        assert_eq!(runs(&shared).await.len(), 7);
    });
}

#[test]
fn a_shard_judges_the_trials_of_a_missing_peer() {
    let (plan, data) = (plan(6, ""), data());
    wait(async {
        let alone = Experiments::open(Store::in_memory());
        let wanted = search(&plan, &data, &services(&alone, &Ignore)).await.unwrap();
        let left = Experiments::open(Store::in_memory());
        let counted = Counted::default();
        let services = TuneServices {
            shard: Shard { index: 1, count: 3 },
            lease: Duration::from_millis(50),
            ..services(&left, &counted)
        };
        let found = search(&plan, &data, &services).await.unwrap();
        assert_eq!(bytes(&found.report), bytes(&wanted.report));
        let all: u32 = plan.rungs.iter().map(|rung| rung.trials).sum();
        assert_eq!(counted.here.into_inner(), all as usize);
    });
}

#[test]
fn more_trials_and_another_metric_continue_from_existing_results() {
    let data = data();
    wait(async {
        let store = Experiments::open(Store::in_memory());
        let first = search(&plan(4, ""), &data, &services(&store, &Ignore)).await.unwrap();
        let counted = Counted::default();
        let more = plan(6, "  metric: log_loss\n");
        let second = search(&more, &data, &services(&store, &counted)).await.unwrap();
        assert_eq!(first.report.setting.search, second.report.setting.search);
        assert!(counted.store.into_inner() >= 4, "what was judged before is taken as it is");
        let best =
            |report: &SearchReport| report.trial(report.winner).unwrap().metrics["log_loss"].value;
        let finalists = second.report.trials.iter().filter(|t| t.rung as usize == more.rungs.len());
        let least = finalists.map(|t| t.metrics["log_loss"].value).fold(f64::INFINITY, f64::min);
        assert_eq!(best(&second.report), least, "less log loss is better");
    });
}

#[test]
fn results_of_another_search_are_refused() {
    let (plan, data) = (plan(4, ""), data());
    wait(async {
        let store = Store::in_memory();
        let experiments = Experiments::open(store.clone());
        let folder = format!("tunes/{}/trials", plan.identity(&data.records).hex());
        let refused = async |content: Value| -> Fault {
            let store = Store::in_memory();
            let path = format!("{folder}/1-0.json");
            store.create(&path, content.to_string().into()).await.unwrap();
            let experiments = Experiments::open(store);
            search(&plan, &data, &services(&experiments, &Ignore)).await.unwrap_err()
        };
        search(&plan, &data, &services(&experiments, &Ignore)).await.unwrap();
        let sound = store.read(&format!("{folder}/1-0.json")).await.unwrap().unwrap();
        let sound: Value = serde_json::from_slice(&sound).unwrap();
        for (key, other) in [
            ("search", json!(Digest::of(b"another"))),
            ("trial", json!(2)),
            ("params", json!({ "head.c": 1.0 })),
            ("folds", json!([])),
        ] {
            let mut altered = sound.clone();
            altered[key] = other;
            let fault = refused(altered).await;
            assert_eq!(fault.code(), "BOT-8046", "{key}");
            assert!(fault.message().ends_with("belongs to another search"), "{fault}");
            assert!(fault.place().file.as_ref().unwrap().ends_with("1-0.json"));
        }
        let mut newer = sound.clone();
        newer["schema"] = json!("botops.tune_trial/2");
        assert_eq!(refused(newer).await.kind(), botops_findings::FaultKind::Policy);
        assert!(refused(json!([1])).await.message().contains("cannot be read"));
    });
}

#[test]
fn a_configuration_that_cannot_be_trained_is_a_result() {
    let plan = read(
        "\n  trials: 5\n  folds: 3\n  space:\n    features.min_df: { choice: [80, 2] }\n    features.char_ngrams: \
         { choice: [[0, 0], [6, 6]] }\n",
    )
    .unwrap();
    // No word stands in eighty of ninety records.
    let data = data();
    wait(async {
        let store = Experiments::open(Store::in_memory());
        let found = search(&plan, &data, &services(&store, &Ignore)).await.unwrap();
        let failed: Vec<_> = found.report.trials.iter().filter(|t| t.failed.is_some()).collect();
        assert!(!failed.is_empty());
        for trial in failed {
            assert!(trial.failed.as_ref().unwrap().contains("no term appears in 80"), "{trial:?}");
            assert_ne!(trial.trial, found.report.winner);
        }
        assert_eq!(runs(&store).await.len(), plan.trials.len());
    });
}

#[test]
fn the_winner_reads_back_equal() {
    let (plan, data) = (plan(5, ""), data());
    wait(async {
        let store = Experiments::open(Store::in_memory());
        let found = search(&plan, &data, &services(&store, &Ignore)).await.unwrap();
        let read: botops_models::ModelSpec = spec::parse(&found.winner, "winner.yaml").unwrap();
        assert_eq!(read, found.report.spec);
        assert_eq!(read, plan.trials[found.report.winner as usize].spec);
        assert!(found.winner.starts_with("# The winner of `botops tune "), "{}", found.winner);
        assert!(!found.winner.contains("null"), "{}", found.winner);
        let search = experiments_run(&store, &found.run).await;
        let names: Vec<&str> = search.artifacts.iter().map(|a| a.name.as_str()).collect();
        assert_eq!((search.kind.as_str(), names), ("tune", vec!["search.json", "winner.yaml"]));
    });
}

async fn experiments_run(experiments: &Experiments, id: &str) -> RunRecord {
    experiments.find(id).await.unwrap()
}

#[test]
fn records_that_cannot_be_divided_into_folds_are_refused_before_any_trial() {
    let plan = plan(4, "");
    let mut records = (*data().records).clone();
    records.push(("something else entirely".into(), "rare".into()));
    records.push(("quite another thing".into(), "rare".into()));
    let data = TuneData { records: Arc::new(records), ..data() };
    wait(async {
        let store = Experiments::open(Store::in_memory());
        let fault = search(&plan, &data, &services(&store, &Ignore)).await.unwrap_err();
        assert_eq!(fault.code(), "BOT-3031");
        assert_eq!(fault.message(), "intent `rare` has 2 records, fewer than the 3 folds");
        assert_eq!(fault.place().file.as_deref(), Some("split/train.csv"));
    });
}
