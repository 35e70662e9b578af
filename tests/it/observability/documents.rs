//! The files of Prometheus and Grafana, as data, and the rules that hold between them.

use crate::support::repository;
use regex::Regex;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::LazyLock,
};

/// The page that lists every metric.
const METRICS: &str = "docs/operations/metrics.md";

/// Returns the files of a folder of the repository, sorted.
pub(super) fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(repository().join(path)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the rules of a file.
fn rules(path: &str) -> Vec<Value> {
    let groups = yaml(path)["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// One query of a dashboard.
pub(super) struct Query {
    /// Where it is: `service: Latency`.
    pub(super) place: String,
    /// The query, with variables of Grafana.
    pub(super) expression: String,
}

/// Returns every query of every dashboard: of panels and of annotations.
pub(super) fn queries() -> Vec<Query> {
    let mut found = Vec::new();
    for path in files("deploy/grafana/dashboards") {
        let dashboard: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            for target in panel["targets"].as_array().unwrap() {
                found.push(Query {
                    place: format!("{name}: {title}"),
                    expression: target["expr"].as_str().unwrap().to_owned(),
                });
            }
        }
    }
    assert!(found.len() > 50, "{} queries", found.len());
    found
}

/// Returns the metrics and recorded series that a query or a template names.
fn names(text: &str) -> BTreeSet<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"botops[_:][a-z0-9_:]+").unwrap());
    // A name in quotes is a value of a label.
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""[^"]*""#).unwrap());
    let text = QUOTED.replace_all(text, "\"\"");
    NAME.find_iter(&text).map(|it| it.as_str().to_owned()).collect()
}

/// Returns the name of the metric of a sample: a histogram has three kinds of samples.
fn metric(sample: &str) -> &str {
    ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|end| sample.strip_suffix(end).filter(|name| listed().contains_key(*name)))
        .unwrap_or(sample)
}

/// Returns the metrics of the page that lists them, with their types.
pub(super) fn listed() -> &'static BTreeMap<String, String> {
    static LISTED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
        let page = fs::read_to_string(repository().join(METRICS)).unwrap();
        let row =
            Regex::new(r"(?m)^\| `(botops_[a-z0-9_]+)(?:\{[a-z_, ]+\})?` \| (\w+) \|").unwrap();
        row.captures_iter(&page).map(|it| (it[1].to_owned(), it[2].to_owned())).collect()
    });
    &LISTED
}

#[test]
fn every_metric_that_a_rule_or_a_panel_reads_is_one_of_the_list() {
    let recorded: BTreeSet<String> = rules("deploy/prometheus/recording.yaml")
        .iter()
        .map(|rule| rule["record"].as_str().unwrap().to_owned())
        .collect();
    let mut read: Vec<(String, String)> = Vec::new();
    for file in ["deploy/prometheus/recording.yaml", "deploy/prometheus/alerts.yaml"] {
        for rule in rules(file) {
            let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap().to_owned();
            read.push((name, rule["expr"].as_str().unwrap().to_owned()));
        }
    }
    read.extend(queries().into_iter().map(|query| (query.place, query.expression)));
    for (place, expression) in read {
        let found = names(&expression);
        assert!(!found.is_empty() || expression.contains("up{"), "{place} reads no metric");
        for name in found {
            let is_known = recorded.contains(&name) || listed().contains_key(metric(&name));
            assert!(is_known, "{place}: `{name}` is neither recorded nor in {METRICS}");
        }
    }
    for record in &recorded {
        let used = queries().iter().any(|query| names(&query.expression).contains(record))
            || ["alerts.yaml", "recording.yaml"].iter().any(|file| {
                let rules = rules(&format!("deploy/prometheus/{file}"));
                rules.iter().any(|rule| names(rule["expr"].as_str().unwrap()).contains(record))
            })
            || fs::read_to_string(repository().join("docs/operations/slo.md"))
                .unwrap()
                .contains(record);
        assert!(used, "nothing reads {record}");
    }
}

#[test]
fn every_alert_has_a_severity_a_runbook_and_tests_and_no_runbook_is_left_over() {
    let mut tested: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for path in files("deploy/prometheus/tests") {
        let text = fs::read_to_string(path).unwrap();
        let document: Value = serde_yaml::from_str(&text).unwrap();
        for test in document["tests"].as_array().unwrap() {
            for case in test["alert_rule_test"].as_array().unwrap() {
                let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
                let alert = case["alertname"].as_str().unwrap().to_owned();
                tested.entry(alert).or_default()[usize::from(fires)] += 1;
            }
        }
    }
    let mut runbooks = BTreeSet::new();
    for rule in rules("deploy/prometheus/alerts.yaml") {
        let alert = rule["alert"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("page" | "ticket")), "{alert}: {severity:?}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].is_string(), "{alert} has no {annotation}");
        }
        let runbook = rule["annotations"]["runbook"].as_str().unwrap();
        let page = fs::read_to_string(repository().join(runbook));
        let page = page.unwrap_or_else(|error| panic!("{alert}: {runbook}: {error}"));
        assert!(page.contains(&format!("`{alert}`")), "{runbook} does not name {alert}");
        for part in ["## Symptom", "## First look", "## Remedy"] {
            assert!(page.contains(part), "{runbook} has no `{part}`");
        }
        assert!(page.contains("```console\n"), "{runbook} shows no command");
        assert!(runbooks.insert(repository().join(runbook)), "{runbook} is that of two alerts");
        let [quiet, firing] = tested.remove(alert).unwrap_or_default();
        assert!(quiet > 0 && firing > 0, "{alert}: {firing} cases fire, {quiet} do not");
    }
    assert!(tested.is_empty(), "tests of alerts that are gone: {tested:?}");
    let left: Vec<PathBuf> = files("docs/operations/runbooks")
        .into_iter()
        .filter(|path| !path.ends_with("README.md") && !runbooks.contains(path))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn dashboards_are_provisioned_by_files_that_exist_and_have_ids_of_their_own() {
    let mut ids = BTreeSet::new();
    for path in files("deploy/grafana/dashboards") {
        let dashboard: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(ids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{path:?}");
        let mut panels = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(panels.insert(panel["id"].as_u64().unwrap()), "{path:?}: {}", panel["title"]);
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{path:?}");
            assert!(!panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
        }
    }
    assert_eq!(ids.len(), 4);
    let provider = yaml("deploy/grafana/provisioning/dashboards/botops.yaml");
    assert_eq!(provider["providers"][0]["type"], "file");
    let source = yaml("deploy/grafana/provisioning/datasources/prometheus.yaml");
    assert_eq!(source["datasources"][0]["type"], "prometheus");
}
