//! The Helm chart and the Kustomize base: linted and rendered by Helm and kubectl, checked against the schemas of three
//! versions of Kubernetes, and run as rendered, with a read-only root.

mod chart;
mod contradictions;
mod kustomize;
mod links;
mod pod;
mod program;

use crate::support::{report_skip, repository, tool};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The versions of Kubernetes whose schemas are used: the oldest that the chart allows, and newer ones.
const VERSIONS: [&str; 3] = ["1.30", "1.34", "1.37"];
/// Kinds of operators, whose schemas are not part of Kubernetes.
const CUSTOM: [&str; 3] = ["ExternalSecret", "PrometheusRule", "ServiceMonitor"];
/// Helm, and the schemas of Kubernetes.
const DRIVER: &str = include_str!("kubernetes/driver.py");

/// Returns the folder of the chart.
fn chart_folder() -> PathBuf {
    repository().join("deploy/helm/botops")
}

/// Helm as a library of Python, with the schemas.
struct Helm {
    python: PathBuf,
}

impl Helm {
    /// Finds it, or reports that `test` is skipped.
    fn find(test: &str) -> Option<Self> {
        let python = tool("BOTOPS_HELM_PYTHON", "python3");
        let found = python.filter(|python| {
            let modules = "import helm_python, kubernetes_validate, yaml";
            Command::new(python)
                .args(["-c", modules])
                .output()
                .is_ok_and(|done| done.status.success())
        });
        if found.is_none() {
            report_skip(test, "Python with helm-python-sdk and kubernetes-validate");
        }
        Some(Self { python: found? })
    }

    /// Asks the driver.
    fn ask(&self, verb: &str, question: &Value) -> Value {
        let mut command = Command::new(&self.python);
        command.args(["-c", DRIVER, verb]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        // Large questions are written while the answer may begin.
        let mut stdin = child.stdin.take().unwrap();
        let question = question.to_string();
        let writer = std::thread::spawn(move || stdin.write_all(question.as_bytes()));
        let done = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{verb}: {errors}");
        serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{verb}: {error}"))
    }

    /// Lints the chart with each of `values`, and returns the warnings and errors.
    fn lint(&self, values: &BTreeMap<String, Value>) -> BTreeMap<String, Vec<String>> {
        let found = self.ask("lint", &chart_question(values));
        serde_json::from_value(found).unwrap()
    }

    /// Renders the chart with each of `values`.
    fn render(&self, values: &BTreeMap<String, Value>) -> BTreeMap<String, Vec<Value>> {
        let found = self.ask("render", &chart_question(values));
        serde_json::from_value(found).unwrap()
    }

    /// Renders the chart with some values.
    fn render_one(&self, values: Value) -> Vec<Value> {
        self.render(&[("it".to_owned(), values)].into()).remove("it").unwrap()
    }

    /// Reads the documents of a text.
    fn parse(&self, text: &str) -> Vec<Value> {
        let found = self.ask("parse", &json!({ "texts": { "it": text } }));
        serde_json::from_value(found["it"].clone()).unwrap()
    }

    /// Returns the faults of documents, by the schemas of `versions`.
    fn validate(&self, versions: &[&str], documents: &[Value]) -> Vec<String> {
        let documents: Vec<&Value> =
            documents.iter().filter(|it| !CUSTOM.contains(&kind(it))).collect();
        let question = json!({ "versions": versions, "documents": documents });
        let found = self.ask("validate", &question);
        found.as_array().unwrap().iter().map(Value::to_string).collect()
    }
}

fn chart_question(values: &BTreeMap<String, Value>) -> Value {
    let values: BTreeMap<&String, String> =
        values.iter().map(|(name, values)| (name, values.to_string())).collect();
    json!({ "chart": chart_folder(), "values": values })
}

fn kind(document: &Value) -> &str {
    document["kind"].as_str().unwrap()
}

fn name(document: &Value) -> &str {
    document["metadata"]["name"].as_str().unwrap()
}

/// Returns the documents of a kind.
fn of_kind<'a>(documents: &'a [Value], wanted: &str) -> Vec<&'a Value> {
    documents.iter().filter(|it| kind(it) == wanted).collect()
}

/// Returns the only document of a kind.
fn only<'a>(documents: &'a [Value], wanted: &str) -> &'a Value {
    let found = of_kind(documents, wanted);
    assert_eq!(found.len(), 1, "{wanted}");
    found[0]
}

/// Returns the pod templates of documents with the names of their owners.
fn pods(documents: &[Value]) -> Vec<(String, &Value)> {
    let template = |it: &'_ Value| match kind(it) {
        "Deployment" | "Job" => Some("/spec/template"),
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    };
    let pod = |it| Some((format!("{}/{}", kind(it), name(it)), it.pointer(template(it)?)?));
    documents.iter().filter_map(pod).collect()
}

/// Returns the values that `ci/` has for the tests, by the names of their files.
fn kept_values() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(chart_folder().join("ci")).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

/// Returns the values that are required, with some more.
fn values_with(more: &[&Value]) -> Value {
    let mut values = json!({
        "model": "support",
        "registry": "s3://bots/registry",
        "secrets": { "existingSecret": "bots" },
    });
    more.iter().for_each(|more| merge(&mut values, more));
    values
}

/// Merges values as Helm does: maps by key, everything else as a whole.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
