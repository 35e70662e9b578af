//! Promotions rehearsed on recorded traffic: a worse model is rolled back, a better one promoted, and the same inputs
//! give the same bytes.

use super::{corpus, models, registry, serve};
use botops_digest::Digest;
use botops_findings::FaultKind;
use botops_models::IntentModel;
use botops_rollout::{Decision, FailureKind, GatePolicy, Requirement, RolloutSpec, StepSpec};
use botops_serving::{Message, Side, rehearse, replay};
use botops_stats::random::Random;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn side(model: &Arc<IntentModel>) -> Side {
    let digest = Digest::of(&model.to_bytes());
    Side {
        model: Arc::clone(model),
        digest,
        manifest: Digest::of(digest.as_bytes()),
        knowledge: Vec::new(),
    }
}

/// Returns conversations of one to three messages over `days`, each message with its truth.
fn traffic(conversations: usize, days: i64, seed: u64) -> Vec<Message> {
    let begin: DateTime<Utc> = "2026-03-02T06:00:00Z".parse().unwrap();
    let mut random = Random::new(seed);
    let mut messages = Vec::new();
    let texts = corpus(conversations * 3, seed);
    for conversation in 0..conversations {
        let start = (days * 86_400) * conversation as i64 / conversations as i64;
        for turn in 0..1 + random.below(3) {
            let (text, intent) = &texts[conversation * 3 + turn];
            messages.push(Message {
                at: begin + TimeDelta::seconds(start + 40 * turn as i64),
                conversation_id: format!("c{conversation}"),
                text: text.clone(),
                truth: Some((*intent).to_owned()),
            });
        }
    }
    messages.sort_by_key(|message| message.at);
    messages
}

fn plan() -> RolloutSpec {
    let step = |weight, require| StepSpec {
        weight,
        min_time: Some("6h".to_owned()),
        min_units: Some(20),
        deadline: "3d".to_owned(),
        require,
    };
    RolloutSpec {
        steps: vec![step(10.0, None), step(50.0, Some(Requirement::PromoteEvidence))],
        ..RolloutSpec::default()
    }
}

async fn rehearsed(
    champion: &Arc<IntentModel>,
    challenger: &Arc<IntentModel>,
    messages: &[Message],
) -> Decision {
    let output = AtomicU64::new(0);
    let decision =
        rehearse("support", side(champion), side(challenger), &plan(), messages, &|done, total| {
            assert_eq!(total, messages.len() as u64);
            assert!(output.fetch_max(done, Ordering::SeqCst) <= done);
        })
        .await
        .unwrap();
    assert!(decision.rehearsal);
    decision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worse_challenger_is_rolled_back_with_the_numbers() {
    let [good, _, worse] = models();
    let messages = traffic(1_200, 6, 5);
    let decision = rehearsed(&good, &worse, &messages).await;
    assert_eq!(decision.verdict, "rolled_back", "{decision:#?}");
    let wrong = decision.evidence.iter().find(|one| one.kind == FailureKind::Wrong).unwrap();
    assert!(wrong.log_e_rollback >= wrong.log_threshold);
    let [primary, canary] = wrong.rates.map(Option::unwrap);
    assert!(canary > primary + 0.3, "{:?}", wrong.rates);
    assert!(decision.reason.contains("wrong"), "{}", decision.reason);
    let last = decision.transitions.last().unwrap();
    assert_eq!((last.phase.as_str(), last.weight_percent), ("rolled_back", 0.0));
    assert!(last.at > messages[0].at && last.at < messages.last().unwrap().at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_better_challenger_is_promoted_and_the_same_inputs_give_the_same_bytes() {
    let [_, good, worse] = models();
    let messages = traffic(1_200, 6, 6);
    let decision = rehearsed(&worse, &good, &messages).await;
    assert_eq!(decision.verdict, "promoted", "{decision:#?}");
    let phases: Vec<&str> = decision.transitions.iter().map(|line| line.phase.as_str()).collect();
    assert_eq!(phases, ["pending", "loading", "ramping", "ramping", "promoting", "promoted"]);
    assert!(decision.transitions[3].at - decision.transitions[2].at >= TimeDelta::hours(6));
    let again = rehearsed(&worse, &good, &messages).await;
    assert_eq!(serde_json::to_vec(&decision).unwrap(), serde_json::to_vec(&again).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_feedback_is_not_no_failure() {
    let [good, _, worse] = models();
    // The challenger is wrong half of the time, and nobody says so.
    let mut silent = traffic(1_200, 6, 5);
    silent.iter_mut().for_each(|message| message.truth = None);
    let decision = rehearsed(&good, &worse, &silent).await;
    assert_eq!(decision.verdict, "insufficient", "{decision:#?}");
    for part in ["`wrong` unmeasured: counted on 0 conversations", "`wrong: optional` in the plan"]
    {
        assert!(decision.reason.contains(part), "{}", decision.reason);
    }
    let on = |decision: &Decision, kind| {
        decision.evidence.iter().find(|one| one.kind == kind).unwrap().clone()
    };
    let wrong = on(&decision, FailureKind::Wrong);
    assert_eq!((wrong.measured, wrong.rates), (Some([0, 0]), [None, None]));
    assert_eq!(on(&decision, FailureKind::Fallback).measured, Some(decision.units));

    // A plan may say that feedback is not expected.
    let mut plan = plan();
    plan.judge.metrics.insert(FailureKind::Wrong, GatePolicy::Optional);
    let (champion, challenger) = (side(&good), side(&worse));
    let decision =
        rehearse("support", champion, challenger, &plan, &silent, &|_, _| {}).await.unwrap();
    assert_eq!(decision.verdict, "promoted", "{decision:#?}");
    assert!(decision.reason.contains("`wrong` unmeasured"), "{}", decision.reason);
    assert!(!decision.reason.contains("too rare to compare: 0 of 0"), "{}", decision.reason);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_traffic_is_insufficient_and_the_reason_has_the_numbers() {
    let [champion, challenger, _] = models();
    let decision = rehearsed(&champion, &challenger, &traffic(30, 1, 7)).await;
    assert_eq!(decision.verdict, "insufficient");
    assert!(decision.reason.contains("more conversations"), "{}", decision.reason);
    let (champion, challenger) = (side(&champion), side(&challenger));
    let fault =
        rehearse("support", champion, challenger, &plan(), &[], &|_, _| {}).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-6020", FaultKind::Insufficient));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_traffic_advances_a_rollout_on_an_idle_server() {
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let running = serve(&registry).await;
    let client = super::admin(&running);
    client.start("support", "support@2", &super::plan(50.0, 10), "ada", "try").await.unwrap();
    super::wait_for_challenger(&running).await;
    let url = format!("http://{}", running.address());
    replay(&super::target(url), &traffic(60, 1, 8), &|_, _| {}).await.unwrap();
    let status = super::wait_for(&client, |status| status.rollout.is_over()).await;
    assert_eq!(status.decision.verdict, "promoted", "{}", status.decision.reason);
    running.shutdown().await;
}
