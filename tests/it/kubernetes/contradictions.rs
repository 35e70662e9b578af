//! Values that contradict each other.

use super::{Helm, values_with};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Values that are refused, with what the message names.
fn contradictions() -> Vec<(Value, &'static str)> {
    let url = json!({ "keys": { "conversationsUrl": "url" } });
    vec![
        (json!({ "model": "" }), "/model"),
        (json!({ "backup": { "enabled": true } }), "/backup/store"),
        (
            json!({ "backup": { "enabled": true, "store": "s3://b/a", "recipients": ["AGE-SECRET-KEY-1A"] } }),
            "/backup/recipients",
        ),
        (json!({ "registry": "registry" }), "/registry"),
        (json!({ "replicas": 3 }), "replicas"),
        (json!({ "replicaCount": "3" }), "/replicaCount"),
        (json!({ "secrets": { "existingSecret": "" } }), "/secrets/existingSecret"),
        (
            json!({ "secrets": { "external": { "enabled": true, "remoteKey": "a", "store": { "name": "vault" } } } }),
            "/secrets/existingSecret",
        ),
        (
            json!({ "secrets": { "existingSecret": "", "external": { "enabled": true, "remoteKey": "a" } } }),
            "/secrets/external/store/name",
        ),
        (json!({ "secrets": { "keys": { "identityKey": "" } } }), "/secrets/keys/identityKey"),
        (json!({ "replicaCount": 2 }), "/conversations/store"),
        (json!({ "autoscaling": { "enabled": true } }), "/conversations/store"),
        (json!({ "conversations": { "store": "secret" } }), "/secrets/keys/conversationsUrl"),
        (json!({ "secrets": url }), "/conversations/store"),
        (json!({ "conversations": { "store": "secret" }, "secrets": url }), "/networkPolicy/e"),
        (json!({ "secrets": { "keys": { "limitsUrl": "url" } } }), "/networkPolicy/e"),
        (
            json!({ "replicaCount": 2, "conversations": { "store": "secret" }, "secrets": url,
                "networkPolicy": { "egressPorts": [443, 5432] }, "segments": { "kind": "claim" } }),
            "/replicaCount",
        ),
        (json!({ "conversations": { "store": "folder" } }), "/segments/kind"),
        (
            json!({ "autoscaling": { "enabled": true, "minReplicas": 7, "maxReplicas": 6 } }),
            "/autoscaling/maxReplicas",
        ),
        (
            json!({ "autoscaling": { "enabled": true, "cpuPercent": 0 } }),
            "/autoscaling/requestsPerSecond",
        ),
        (
            json!({ "autoscaling": { "enabled": true }, "resources": { "requests": { "cpu": null } } }),
            "/resources/requests",
        ),
        (
            json!({ "ingress": { "enabled": true }, "trustedProxies": ["10.0.0.0/8"] }),
            "/ingress/hosts",
        ),
        (
            json!({ "ingress": { "enabled": true, "hosts": [{ "host": "bots.example.com" }] } }),
            "/trustedProxies",
        ),
        (
            json!({ "ingress": { "enabled": true, "hosts": [{ "host": "a.example" }] }, "tls": { "secretName": "tls" }, "trustedProxies": ["10.0.0.0/8"] }),
            "/ingress/annotations",
        ),
        (json!({ "serviceAccount": { "create": false } }), "/serviceAccount/name"),
        (json!({ "rbac": { "create": true } }), "/rbac/subjects"),
        (
            json!({ "metrics": { "serviceMonitor": { "enabled": true } }, "networkPolicy": { "adminFrom": [{ "podSelector": {} }] } }),
            "/metrics/serviceMonitor/credential",
        ),
        (
            json!({ "metrics": { "access": "open", "serviceMonitor": { "enabled": true } } }),
            "/networkPolicy/adminFrom",
        ),
        (
            json!({ "podDisruptionBudget": { "maxUnavailable": 0 } }),
            "/podDisruptionBudget/maxUnavailable",
        ),
        (
            json!({ "podDisruptionBudget": { "maxUnavailable": "0%" } }),
            "/podDisruptionBudget/maxUnavailable",
        ),
        (json!({ "access": { "keys": false } }), "/access/jwt"),
        (json!({ "access": { "open": true, "jwt": [{ "issuer": "a" }] } }), "/access/jwt"),
        (
            json!({ "weekly": { "enabled": true, "insecure": true, "workspace": { "existingClaim": "a" } } }),
            "/experiments",
        ),
        (
            json!({ "weekly": { "enabled": true, "insecure": true }, "experiments": "s3://bots/experiments" }),
            "/weekly/workspace",
        ),
        (
            json!({ "weekly": { "enabled": true, "insecure": true, "workspace": { "existingClaim": "a", "image": "b" } },
                "experiments": "s3://bots/experiments" }),
            "/weekly/workspace",
        ),
        (
            json!({ "weekly": { "enabled": true, "workspace": { "existingClaim": "a" } }, "experiments": "s3://bots/e" }),
            "/weekly/adminUrl",
        ),
        (
            json!({ "weekly": { "enabled": true, "insecure": true, "workspace": { "image": "a" } },
                "experiments": "s3://bots/e", "secrets": { "keys": { "adminToken": "" } } }),
            "/secrets/keys/adminToken",
        ),
        (
            json!({ "monitor": { "enabled": true }, "config": { "monitoring": { "every": "1h" } } }),
            "not",
        ),
        (
            json!({ "profile": { "enabled": true, "output": { "existingClaim": "a" } } }),
            "/profile/data",
        ),
        (
            json!({ "profile": { "enabled": true, "data": "train.csv", "output": { "existingClaim": "a" } } }),
            "/profile/data",
        ),
        (json!({ "config": { "registry": "s3://other" } }), "/config/registry"),
        (json!({ "config": { "secrets": { "token_key": "abc" } } }), "/config/secrets"),
        (json!({ "config": { "server": { "admin_token": "abc" } } }), "/config/server/admin_token"),
        (json!({ "env": { "BOTOPS_ADMIN_TOKEN": "abc" } }), "BOTOPS_ADMIN_TOKEN"),
        (json!({ "env": { "AWS_SECRET_ACCESS_KEY": "abc" } }), "AWS_SECRET_ACCESS_KEY"),
        (json!({ "image": { "digest": "sha256:abc" } }), "/image/digest"),
        (json!({ "monitor": { "enabled": true, "schedule": "hourly" } }), "/monitor/schedule"),
    ]
}

#[test]
fn values_that_contradict_each_other_fail_in_lint_and_the_message_names_them() {
    let name = "values_that_contradict_each_other_fail_in_lint_and_the_message_names_them";
    let Some(helm) = Helm::find(name) else { return };
    let contradictions = contradictions();
    let values: BTreeMap<String, Value> = contradictions
        .iter()
        .enumerate()
        .map(|(i, (values, part))| (format!("{i:02} {part} {values}"), values_with(&[values])))
        .collect();
    let found = helm.lint(&values);
    for (case, (_, part)) in values.keys().zip(&contradictions) {
        let messages = found[case].join("\n");
        assert!(!messages.is_empty(), "{case} is not refused");
        assert!(messages.contains(part), "{case}: {messages}");
    }
    let sound = helm.lint(&[("sound".to_owned(), values_with(&[]))].into());
    assert!(sound["sound"].is_empty(), "{sound:?}");
}
