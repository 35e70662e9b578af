//! Checks of rendered documents that no schema makes: names that belong together, and the level `restricted`.

use super::{kind, name, of_kind, only, pods};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The seconds in which a server answers the requests under way after SIGTERM.
const DRAIN: u64 = 20;
/// The kinds of volumes of the level `restricted`.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Checks the documents of the values called `values`.
pub(super) fn check(values: &str, documents: &[Value]) {
    let settings = only(documents, "ConfigMap");
    for (owner, pod) in pods(documents) {
        let place = format!("{values}: {owner}");
        restricted(&place, pod);
        volumes(&place, pod, settings);
    }
    let server = &only(documents, "Deployment")["spec"];
    let labels = &server["template"]["metadata"]["labels"];
    assert!(selects(&server["selector"]["matchLabels"], labels), "{values}");
    let container = &server["template"]["spec"]["containers"][0];
    let grace = server["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    let wait = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    assert!(grace >= wait + DRAIN, "{values}: requests under way are answered");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(container[probe]["httpGet"]["path"].is_string(), "{values}: {probe}");
    }
    selected(values, documents, labels);
    services(values, documents, container);
    for document in documents {
        let most = if kind(document) == "CronJob" { 52 } else { 63 };
        assert!(name(document).len() <= most, "{values}: {}", name(document));
    }
    let names = documents.iter().map(|it| (kind(it), name(it)));
    assert_eq!(names.collect::<BTreeSet<_>>().len(), documents.len(), "{values}: a name twice");
}

/// Returns whether a selector selects something with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Checks that Services, budgets and policies select servers, and no jobs, and that an autoscaler scales the servers.
fn selected(values: &str, documents: &[Value], server: &Value) {
    let jobs = pods(documents);
    let jobs = jobs.iter().filter(|(owner, _)| !owner.starts_with("Deployment"));
    let jobs: Vec<&Value> = jobs.map(|(_, pod)| &pod["metadata"]["labels"]).collect();
    let selectors = documents.iter().filter_map(|it| match kind(it) {
        "Service" => it.pointer("/spec/selector"),
        "PodDisruptionBudget" => it.pointer("/spec/selector/matchLabels"),
        // The other one is about everything else.
        "NetworkPolicy" if it["spec"]["podSelector"]["matchExpressions"].is_null() => {
            it.pointer("/spec/podSelector/matchLabels")
        }
        _ => None,
    });
    for selector in selectors {
        assert!(selects(selector, server), "{values}: {selector} selects no server");
        assert!(
            !jobs.iter().any(|job| selects(selector, job)),
            "{values}: {selector} selects a job"
        );
    }
    for policy in of_kind(documents, "NetworkPolicy") {
        let expressions = &policy["spec"]["podSelector"]["matchExpressions"];
        if !expressions.is_null() {
            let key = expressions[0]["key"].as_str().unwrap();
            let left_out = &expressions[0]["values"];
            assert_eq!(left_out, &json!([server[key]]), "{values}");
            let selector = &policy["spec"]["podSelector"]["matchLabels"];
            assert!(jobs.iter().all(|job| selects(selector, job)), "{values}: {selector}");
        }
    }
    for scaler in of_kind(documents, "HorizontalPodAutoscaler") {
        let target = &scaler["spec"]["scaleTargetRef"];
        assert_eq!(target["name"], name(only(documents, "Deployment")), "{values}");
        assert!(!scaler["spec"]["metrics"].as_array().unwrap().is_empty(), "{values}");
    }
}

/// Checks that ports of Services, of the Ingress, of Prometheus and of policies exist.
fn services(values: &str, documents: &[Value], container: &Value) {
    let ports = |of: &Value| -> BTreeSet<String> {
        let ports = of["ports"].as_array().unwrap();
        ports.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let of_container = ports(container);
    for service in of_kind(documents, "Service") {
        for port in service["spec"]["ports"].as_array().unwrap() {
            assert!(
                of_container.contains(port["targetPort"].as_str().unwrap()),
                "{values}: {port}"
            );
        }
        // The admin API is behind a Service of its own.
        assert_eq!(ports(&service["spec"]).len(), 1, "{values}: {}", name(service));
    }
    for ingress in of_kind(documents, "Ingress") {
        let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        let service = of_kind(documents, "Service");
        let service = service.iter().find(|it| name(it) == backend["name"]).unwrap();
        let port = backend["port"]["name"].as_str().unwrap();
        assert!(ports(&service["spec"]).contains(port) && port == "public", "{values}: {backend}");
    }
    for monitor in of_kind(documents, "ServiceMonitor") {
        let selector = &monitor["spec"]["selector"]["matchLabels"];
        let services = of_kind(documents, "Service");
        let mut found = services.iter().filter(|it| selects(selector, &it["metadata"]["labels"]));
        let (service, other) = (found.next().unwrap(), found.next());
        assert!(other.is_none(), "{values}: a pod would be scraped twice");
        let port = monitor["spec"]["endpoints"][0]["port"].as_str().unwrap();
        assert!(ports(&service["spec"]).contains(port), "{values}: {port}");
    }
    for policy in of_kind(documents, "NetworkPolicy") {
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            for port in rule["ports"].as_array().unwrap() {
                assert!(of_container.contains(port["port"].as_str().unwrap()), "{values}: {port}");
            }
        }
    }
}

/// Checks that a pod is of the level `restricted` of the Pod Security Standards, as the user of the image.
fn restricted(place: &str, pod: &Value) {
    let spec = &pod["spec"];
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_ne!(spec[key], true, "{place}: {key}");
    }
    let user = &spec["securityContext"];
    assert_eq!(
        (&user["runAsNonRoot"], &user["runAsUser"]),
        (&json!(true), &json!(65532)),
        "{place}"
    );
    assert_eq!(user["seccompProfile"]["type"], "RuntimeDefault", "{place}");
    assert_eq!(spec["automountServiceAccountToken"], false, "{place}");
    for container in spec["containers"].as_array().unwrap() {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{place}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{place}");
        assert_eq!(security["capabilities"], json!({ "drop": ["ALL"] }), "{place}");
        assert_ne!(security["privileged"], true, "{place}");
        for port in container["ports"].as_array().into_iter().flatten() {
            assert!(port.get("hostPort").is_none(), "{place}: {port}");
        }
        assert!(container["resources"]["requests"]["memory"].is_string(), "{place}");
        assert!(container.get("command").is_none(), "{place}: there is no shell");
    }
    for volume in spec["volumes"].as_array().unwrap() {
        let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
        let kinds: Vec<&String> = kinds.collect();
        assert!(kinds.len() == 1 && VOLUMES.contains(&kinds[0].as_str()), "{place}: {volume}");
    }
}

/// Checks that mounts and volumes belong together, and that what `botops.yaml` names is mounted.
fn volumes(place: &str, pod: &Value, settings: &Value) {
    let container = &pod["spec"]["containers"][0];
    let by_name = |list: &Value| -> BTreeSet<String> {
        let names = list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    let volumes = &pod["spec"]["volumes"];
    assert_eq!(by_name(&container["volumeMounts"]), by_name(volumes), "{place}");
    let volume = |wanted: &str| {
        let found = volumes.as_array().unwrap().iter().find(|it| it["name"] == wanted);
        found.unwrap_or_else(|| panic!("{place}: {wanted}"))
    };
    assert_eq!(volume("settings")["configMap"]["name"], settings["metadata"]["name"], "{place}");
    let files: &Map<String, Value> = settings["data"].as_object().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted: BTreeSet<&str> = mounts.iter().filter_map(|it| it["subPath"].as_str()).collect();
    assert_eq!(mounted, files.keys().map(String::as_str).collect(), "{place}");
    let items = volume("secrets")["secret"]["items"].as_array().unwrap();
    let keys: BTreeSet<&str> = items.iter().map(|it| it["key"].as_str().unwrap()).collect();
    let settings = files["botops.yaml"].as_str().unwrap();
    for reference in settings.split("${file:").skip(1) {
        let (path, _) = reference.split_once('}').unwrap();
        let key = path.strip_prefix("/run/secrets/botops/");
        assert!(key.is_some_and(|key| keys.contains(key)), "{place}: {path} is not mounted");
    }
    for file in settings.lines().filter_map(|line| line.trim().strip_prefix("policy: ")) {
        assert!(files.contains_key(file), "{place}: {file}");
    }
}
