//! The chart, linted, rendered and validated over a matrix of values.

use super::{
    CUSTOM, Helm, VERSIONS, chart_folder, kept_values, kind, links, merge, only, pods, values_with,
};
use crate::support::repository;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// Parts of the chart that can be had one by one and together.
fn options() -> Vec<(&'static str, Value)> {
    let shared = json!({
        "replicaCount": 3,
        "conversations": { "store": "secret" },
        "secrets": { "keys": { "conversationsUrl": "url" } },
        "networkPolicy": { "egressPorts": [443, 5432] },
    });
    let mut autoscaled = shared.clone();
    merge(&mut autoscaled, &json!({ "autoscaling": { "enabled": true, "requestsPerSecond": 50 } }));
    vec![
        ("several", shared),
        ("autoscaled", autoscaled),
        (
            "ingress",
            json!({
                "ingress": { "enabled": true, "hosts": [{ "host": "bots.example.com" }], "annotations": { "a/b": "c" } },
                "trustedProxies": ["10.0.0.0/8"],
            }),
        ),
        (
            "external",
            json!({ "secrets": { "existingSecret": "", "external": {
                "enabled": true, "remoteKey": "bots", "store": { "kind": "SecretStore", "name": "vault" } } } }),
        ),
        (
            "claim",
            json!({ "segments": { "kind": "claim", "claim": { "accessMode": "ReadWriteMany" } } }),
        ),
        ("policy", json!({ "policy": { "version": 1, "environment": "production" } })),
        (
            "variables",
            json!({ "env": { "AWS_REGION": "eu-central-1" }, "secrets": { "environmentSecret": "aws" } }),
        ),
        ("certificate", json!({ "tls": { "secretName": "bots-tls" } })),
        ("open", json!({ "access": { "open": true } })),
        (
            "operators",
            json!({ "rbac": { "create": true, "subjects": [{ "kind": "User", "name": "ada" }] } }),
        ),
        ("account", json!({ "serviceAccount": { "create": false, "name": "shared" } })),
        ("reachable", json!({ "networkPolicy": { "enabled": false } })),
        ("drainable", json!({ "podDisruptionBudget": { "enabled": false } })),
        (
            "prometheus",
            json!({
                "metrics": { "access": "open", "serviceMonitor": { "enabled": true }, "prometheusRule": { "enabled": true } },
                "networkPolicy": { "adminFrom": [{ "namespaceSelector": {} }] },
            }),
        ),
        (
            "weekly",
            json!({
                "experiments": "s3://bots/experiments",
                "weekly": { "enabled": true, "insecure": true, "workspace": { "image": "workspace:1" } },
            }),
        ),
        (
            "jobs",
            json!({ "monitor": { "enabled": true }, "compact": { "enabled": true },
                "backup": { "enabled": true, "store": "s3://bots-backups/a", "prune": { "enabled": true } } }),
        ),
        (
            "profile",
            json!({ "profile": { "enabled": true, "data": "support@3:train.csv", "output": { "existingClaim": "out" } } }),
        ),
        ("ipv6", json!({ "listenAddress": "[::]", "service": { "type": "NodePort" } })),
        (
            "named",
            json!({ "fullnameOverride": "a-name-that-is-longer-than-kubernetes-allows-for-some-objects" }),
        ),
    ]
}

/// Returns the values of the matrix: those of `ci/`, every option, and every two options together.
fn matrix() -> BTreeMap<String, Value> {
    let mut matrix = kept_values();
    let options = options();
    for (i, (first, one)) in options.iter().enumerate() {
        matrix.insert((*first).to_owned(), values_with(&[one]));
        for (second, other) in &options[i + 1..] {
            matrix.insert(format!("{first}+{second}"), values_with(&[one, other]));
        }
    }
    matrix
}

#[test]
fn the_chart_is_sound_for_every_two_options_and_three_versions_of_kubernetes() {
    let Some(helm) = Helm::find("the_chart_is_sound") else { return };
    let matrix = matrix();
    assert!(matrix.len() > 150, "{}", matrix.len());
    // Helm checks the schema when it renders, too.
    let single = matrix.iter().filter(|(values, _)| !values.contains('+'));
    let single = single.map(|(name, values)| (name.clone(), values.clone())).collect();
    for (values, messages) in helm.lint(&single) {
        assert_eq!(messages, Vec::<String>::new(), "{values}");
    }
    let rendered = helm.render(&matrix);
    let (mut by_version, mut kinds) = ([(); 3].map(|()| BTreeMap::new()), BTreeSet::new());
    for (i, (values, documents)) in rendered.iter().enumerate() {
        links::check(values, documents);
        kinds.extend(documents.iter().map(|it| kind(it).to_owned()));
        for (version, found) in by_version.iter_mut().enumerate() {
            // Pairs repeat what single options have, so each is checked against one version, in turn.
            if !values.contains('+') || i % VERSIONS.len() == version {
                found.extend(documents.iter().map(|it| (it.to_string(), it.clone())));
            }
        }
    }
    for (version, documents) in VERSIONS.iter().zip(by_version) {
        let documents: Vec<Value> = documents.into_values().collect();
        let faults = helm.validate(&[*version], &documents);
        assert!(faults.is_empty(), "{version}: {faults:#?}");
    }
    let wanted = [
        "ConfigMap",
        "CronJob",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    ];
    // Among them is no Secret: secrets are named, and never written.
    let wanted: BTreeSet<String> =
        wanted.iter().chain(&CUSTOM).map(|kind| (*kind).to_owned()).collect();
    assert_eq!(kinds, wanted);
}

#[test]
fn the_schemas_refuse_a_wrong_document() {
    let Some(helm) = Helm::find("the_schemas_refuse_a_wrong_document") else { return };
    let documents = helm.render_one(values_with(&[]));
    let changed = |place: &str, key: &str, value: Value| {
        let mut document = only(&documents, "Deployment").clone();
        document.pointer_mut(place).unwrap()[key] = value;
        helm.validate(&VERSIONS, &[document])
    };
    assert!(changed("/spec", "replicas", json!(2)).is_empty());
    assert_eq!(changed("/spec", "replica", json!(2)).len(), VERSIONS.len(), "an unknown key");
    assert_eq!(changed("/spec", "replicas", json!("two")).len(), VERSIONS.len());
    let unknown = changed("", "apiVersion", json!("apps/v1beta1"));
    assert_eq!(unknown.len(), VERSIONS.len(), "{unknown:?}");
}

#[test]
fn requests_and_the_processor_scale_the_servers() {
    let Some(helm) = Helm::find("requests_and_the_processor_scale_the_servers") else { return };
    let documents = helm.render(&kept_values());
    let metrics =
        |values: &str| only(&documents[values], "HorizontalPodAutoscaler")["spec"].clone();
    let large = metrics("large");
    assert_eq!((&large["minReplicas"], &large["maxReplicas"]), (&json!(3), &json!(12)));
    assert_eq!(large["metrics"][0]["resource"]["target"]["averageUtilization"], 60);
    assert_eq!(large["metrics"][1]["pods"]["metric"]["name"], "botops_requests_per_second");
    assert_eq!(large["metrics"][1]["pods"]["target"]["averageValue"], "200");
    let requests = metrics("requests");
    assert_eq!(requests["metrics"].as_array().unwrap().len(), 1);
    assert_eq!(requests["metrics"][0]["pods"]["target"]["averageValue"], "12.5");
    for (values, documents) in &documents {
        let replicas = &only(documents, "Deployment")["spec"]["replicas"];
        let is_scaled = documents.iter().any(|it| kind(it) == "HorizontalPodAutoscaler");
        assert_eq!(replicas.is_null(), is_scaled, "{values}: an autoscaler is not overruled");
    }
}

#[test]
fn a_job_is_another_one_when_its_settings_change() {
    let Some(helm) = Helm::find("a_job_is_another_one_when_its_settings_change") else { return };
    let options: BTreeMap<_, _> = options().into_iter().collect();
    let names = |more: &Value| {
        let documents = helm.render_one(values_with(&[&options["profile"], more]));
        let jobs = documents.iter().filter(|it| kind(it) == "Job");
        jobs.map(|it| it["metadata"]["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&json!({})), names(&json!({ "service": { "port": 81 } })));
    assert_ne!(
        names(&json!({})),
        names(&json!({ "profile": { "parts": 9 } })),
        "a job cannot change"
    );
    let documents = helm.render_one(values_with(&[&options["profile"]]));
    let shards = documents.iter().find(|it| it["spec"]["completionMode"] == "Indexed").unwrap();
    assert_eq!(shards["spec"]["completions"], 8);
    let (_, pod) = pods(std::slice::from_ref(shards)).remove(0);
    let args = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    assert!(args.contains(&json!("$(JOB_COMPLETION_INDEX)/8")), "{args:?}");
}

#[test]
fn the_chart_has_the_version_user_and_ports_of_the_program_and_its_image() {
    let read = |file: &str| fs::read_to_string(repository().join(file)).unwrap();
    let chart: Value =
        serde_yaml::from_str(&fs::read_to_string(chart_folder().join("Chart.yaml")).unwrap())
            .unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let hint = "write it to Chart.yaml, and run deploy/kubernetes/render";
    assert_eq!(
        (&chart["version"], &chart["appVersion"]),
        (&json!(version), &json!(version)),
        "{hint}"
    );
    let image = read("deploy/Dockerfile");
    for part in [
        "USER 65532:65532",
        "EXPOSE 8080 8081",
        "WORKDIR /srv/botops",
        "ENTRYPOINT [\"/usr/local/bin/botops\"]",
    ] {
        assert!(image.contains(part), "{part}: deploy/helm/botops/templates follows the image");
    }
    // Alerts and recording rules are those that promtool tests.
    for file in ["alerts.yaml", "recording.yaml"] {
        let source = repository().join("deploy/prometheus").join(file);
        if source.is_file() {
            let copy = fs::read(chart_folder().join("files").join(file)).unwrap_or_default();
            assert!(
                fs::read(&source).unwrap() == copy,
                "copy deploy/prometheus/{file} to deploy/helm/botops/files, and run deploy/kubernetes/render"
            );
        }
    }
}
