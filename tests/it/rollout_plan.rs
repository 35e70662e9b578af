//! `botops rollout plan`: given traffic, the traffic of the latest rollout, and plans that cannot conclude.

use crate::{support, terminal::Terminal};
use botops_access::{Identity, IdentityKind};
use botops_digest::Digest;
use botops_registry::{Change, Deployment, RolloutStep, deployment_log};
use botops_rollout::{
    Command, FailureCount, FailureKind, Observation, Rollout, RolloutRequest, RolloutSpec, advance,
    command,
};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

const PLAN: &str = "steps:
  - { weight: 5, deadline: 12h, min_time: 1h, min_units: 20 }
  - { weight: 50, deadline: 24h, min_time: 1h, min_units: 100, require: promote-evidence }
judge: { metrics: { wrong: optional } }
";

/// Runs a line with `--format json`, and returns its exit code and the document.
fn plan(terminal: &Terminal, line: &str) -> (Option<i32>, Value) {
    let mut command = terminal.command(&format!("rollout plan {line} --quiet --format json"));
    let (code, text) = support::terminal(&mut command, Duration::from_secs(120));
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn a_plan_is_forecast_at_the_traffic_given() {
    let terminal = Terminal::new();
    terminal.write("plan.yaml", PLAN);
    let enough = "--plan plan.yaml --rate 2000/h --failures error=1%,fallback=8%";
    let (code, document) = plan(&terminal, enough);
    assert_eq!(code, Some(0), "{document}");
    let forecast = &document["data"]["forecast"];
    assert_eq!(forecast["schema"], "botops.plan/1");
    assert_eq!(forecast["steps"][0]["seconds"], 3_600);
    assert_eq!(forecast["steps"][0]["canary_units"], 100);
    let excluded = &forecast["steps"][1]["excluded_risk"];
    assert!(excluded["error"].as_f64().unwrap() <= 1.52, "{excluded}");
    let text = terminal.stdout(&format!("rollout plan {enough}"));
    assert!(text.contains("An equal challenger is promoted after about"), "{text}");
}

#[test]
fn a_plan_that_cannot_conclude_is_refused_with_its_reasons() {
    let terminal = Terminal::new();
    terminal.write("plan.yaml", PLAN);
    let (code, document) =
        plan(&terminal, "--plan plan.yaml --rate 20/h --failures error=1%,fallback=8%");
    assert_eq!(code, Some(4), "{document}");
    assert_eq!(document["findings"][0]["code"], "BOT-6071");
    let message = document["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("step 1 (5 %) needs 20h for 20 conversations"), "{message}");
    assert_eq!(document["data"]["forecast"]["total_seconds"], Value::Null);
}

#[test]
fn wrong_words_are_usage_errors() {
    let terminal = Terminal::new();
    for (line, part) in [
        ("--rate 120", "write a rate above zero such as `120/h`"),
        ("--rate 0/h", "write a rate above zero such as `120/h`"),
        (
            "--failures bad=1%",
            "`bad` is not a kind of failure: write one of error, fallback, wrong, slow",
        ),
        ("--failures error=2", "write a share such as `2%` or `0.02`"),
        ("--rate 9/h --failures error=1%,error=2%", "`--failures` names `error` twice"),
        ("support --rate 9/h", "no rollout of `support` in `production` saw traffic"),
    ] {
        let (code, document) = plan(&terminal, line);
        assert_eq!(code, Some(2), "{document}");
        assert!(document.to_string().contains(part), "{document}");
    }
}

/// Returns a rollout of four hours with 2,000 conversations an hour, 1 % errors and 8 % fallbacks on the champion.
fn rollout() -> Rollout {
    let start: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
    let request = RolloutRequest {
        id: "r-earlier".to_owned(),
        model: "support".to_owned(),
        champion: Digest::of(b"champion"),
        challenger: Digest::of(b"challenger"),
        policy: RolloutSpec::default().check().unwrap(),
        actor: "ada".to_owned(),
        reason: String::new(),
    };
    let loading = advance(&Rollout::request(request, start), &Observation::default(), start).next;
    let running = command(&loading, &Command::Loaded, start).unwrap().next;
    let failed = |kind, primary| FailureCount { kind, weight: 0.05, canary: 0, primary };
    let seen = Observation {
        canary_units: 400,
        primary_units: 7_600,
        failures: vec![failed(FailureKind::Error, 76), failed(FailureKind::Fallback, 608)],
        observed_at: Some(start + TimeDelta::hours(4)),
        ..Observation::default()
    };
    let now = start + TimeDelta::hours(4);
    let counted = advance(&running, &seen, now).next;
    command(&counted, &Command::Abort { reason: "enough".to_owned() }, now).unwrap().next
}

#[tokio::test]
async fn without_a_rate_the_traffic_is_that_of_the_latest_rollout() {
    let terminal = Terminal::new();
    terminal.write("plan.yaml", PLAN).write("botops.yaml", "version: 1\nmodel: support\n");
    let location = terminal.path().join("registry");
    let store = Store::open(location.to_str().unwrap(), &BTreeMap::new()).unwrap();
    let step = RolloutStep {
        rollout: rollout(),
        champion: None,
        effective_at: None,
        slow_bound_seconds: None,
        counted: BTreeMap::new(),
    };
    let by = (Identity::new(IdentityKind::Claimed, "ada"), "enough");
    let at = step.rollout.updated_at;
    let entry = Deployment::new(by, at, "support", Change::Rollout(Box::new(step)));
    deployment_log(&store, "production").append(None, entry).await.unwrap();
    let (code, document) = plan(&terminal, "--plan plan.yaml");
    assert_eq!(code, Some(0), "{document}");
    let data = &document["data"];
    assert_eq!((&data["from_rollout"], &data["model"]), (&"r-earlier".into(), &"support".into()));
    let traffic = &data["forecast"]["traffic"];
    assert_eq!(traffic["conversations_per_hour"], 2_000.0);
    assert_eq!(traffic["failures"]["error"]["rate"], 0.01);
    assert_eq!(traffic["failures"]["fallback"]["rate"], 0.08);
    let (_, document) = plan(&terminal, "--plan plan.yaml --rate 10/h");
    assert_eq!(document["data"]["forecast"]["traffic"]["conversations_per_hour"], 10.0);
}
