//! A server under load, as Prometheus sees it.

use super::{
    Tools,
    documents::{listed, queries},
    served::{Served, client},
    watchers::Watchers,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The longest wait for data or for an alert.
const PATIENCE: Duration = Duration::from_secs(90);

/// Counters that the load makes grow: panels of counters that stay at zero would show nothing.
const SHOWN: [&str; 8] = [
    "botops_knowledge_requests_total{outcome=\"answered\"} ",
    "botops_generation_requests_total{outcome=\"answered\"} ",
    "botops_generation_tokens_total{direction=\"in\"} ",
    "botops_generation_cost_total ",
    "botops_channel_events_total{channel=\"crm\",event=\"received\"} ",
    "botops_channel_events_total{channel=\"crm\",event=\"sent\"} ",
    "botops_channel_events_total{channel=\"crm\",event=\"retried_sends\"} ",
    "botops_channel_events_total{channel=\"crm\",event=\"dead\"} ",
];

/// Returns a query as Grafana sends it: for every environment, over a quarter of a minute.
fn as_sent(expression: &str) -> String {
    expression.replace("$environment", ".*").replace("$__rate_interval", "15s")
}

/// Waits until every query of every dashboard has data.
async fn wait_for_panels(watchers: &Watchers) {
    let (client, begun) = (client(), Instant::now());
    let mut open: Vec<(String, String)> =
        queries().into_iter().map(|it| (it.place, as_sent(&it.expression))).collect();
    loop {
        let mut still = Vec::new();
        let mut last = String::new();
        for (place, query) in open {
            match watchers.ask(&client, &query).await {
                Ok(values) if !values.is_empty() => {}
                Ok(_) => still.push((place, query)),
                Err(why) => {
                    last = why;
                    still.push((place, query));
                }
            }
        }
        if still.is_empty() {
            return;
        }
        let said = || format!("no data for {still:#?}\n{last}\n{}", watchers.said());
        assert!(begun.elapsed() < PATIENCE, "{}", said());
        open = still;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Waits until an alert is firing at the receiver `path`, and returns it.
async fn wait_for_alert(watchers: &Watchers, path: &str, alert: &str) -> Value {
    let begun = Instant::now();
    loop {
        let arrived = watchers.arrived();
        let found = arrived.iter().find(|(at, it)| {
            at == path && it["labels"]["alertname"] == alert && it["status"] == "firing"
        });
        if let Some((_, found)) = found {
            return found.clone();
        }
        let names: Vec<_> =
            arrived.iter().map(|(at, it)| (at, &it["labels"]["alertname"])).collect();
        assert!(begun.elapsed() < PATIENCE, "{alert} is not among {names:?}\n{}", watchers.said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns the metrics of an exposition with their types, as Prometheus stores them.
fn exposed(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, kind)| {
            let end = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{end}"), kind.to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_data_of_a_server_under_load_and_alerts_reach_a_receiver() {
    let Some(tools) = Tools::find("dashboards on a real Prometheus") else { return };
    let mut served = Served::start().await;
    let watchers = Watchers::start(&tools, &served.admin_url);
    let load = served.load();
    served.start_rollout().await;
    wait_for_panels(&watchers).await;
    let shown = exposed(&served.metrics().await);
    assert!(shown.len() > 45, "{}", shown.len());
    for (name, kind) in &shown {
        let line = format!("`{name}` ({kind}) is not in docs/operations/metrics.md");
        assert_eq!(listed().get(name), Some(kind), "{line}");
    }
    for line in SHOWN {
        let metrics = served.metrics().await;
        let value = metrics.lines().find_map(|it| it.strip_prefix(line)?.trim().parse().ok());
        assert!(value.is_some_and(|value: f64| value > 0.0), "{line}{value:?}");
    }
    let dead = wait_for_alert(&watchers, "/ticket", "BotopsDeadLetters").await;
    assert_eq!(dead["labels"]["channel"], "crm");
    // Its last window has drifted, and its certificate ends in ten days.
    let drift = wait_for_alert(&watchers, "/ticket", "BotopsDrift").await;
    assert_eq!(drift["annotations"]["runbook"], "docs/operations/runbooks/drift.md");
    assert_eq!(drift["labels"]["environment"], "production", "the label of the configuration");
    let ends = wait_for_alert(&watchers, "/ticket", "BotopsCertificateExpires").await;
    assert_eq!(ends["labels"]["listener"], "public");
    let early = watchers.arrived();
    let down = early.iter().any(|(_, it)| it["labels"]["alertname"] == "BotopsServerDown");
    assert!(!down, "the server is up: {early:?}");
    served.kill();
    let down = wait_for_alert(&watchers, "/page", "BotopsServerDown").await;
    assert_eq!(down["annotations"]["runbook"], "docs/operations/runbooks/server-down.md");
    drop(load);
}
