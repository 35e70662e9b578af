//! Feedback over HTTP: which of it counts for a rollout, and at which server it may be given.

use super::*;
use crate::{Running, public_gate::PublicGate, server::listen};
use botops_access::{FeedbackTokens, JudgedAnswer, TokenKeys, rollout_mark};
use botops_connections::bind;
use botops_rollout::{Arm, Evidence, FailureKind, GatePolicy, PauseReason, Slot, VerdictSource};
use serde_json::{Value, json};

/// Opens the public API of `server` to everyone.
async fn open(server: &Server) -> Running {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let gate = PublicGate::open(&server.app);
    listen(Arc::clone(&server.app), (listener, None), &crate::tests::settings(), gate).unwrap()
}

async fn post(running: &Running, path: &str, body: &Value) -> Value {
    let url = format!("http://{}{path}", running.address());
    let answer = crate::client::http().unwrap().post(url).json(body).send().await.unwrap();
    answer.json().await.unwrap()
}

/// Says "red apple", of which every model here knows that it is fruit. Returns the token of the answer.
async fn say(running: &Running, conversation: &str) -> String {
    let answer = json!({"conversation_id": conversation, "text": "red apple"});
    let answer = post(running, "/v1/chat", &answer).await;
    assert_eq!(answer["intent"], "fruit");
    answer["feedback_token"].as_str().unwrap().to_owned()
}

/// Gives feedback, and returns the outcome.
async fn judge(running: &Running, body: Value) -> String {
    let answer = post(running, "/v1/feedback", &body).await;
    assert_eq!(answer["accepted"], true, "{answer}");
    answer["outcome"].as_str().unwrap().to_owned()
}

/// Returns `n` conversations that the challenger answers.
fn on_canary(server: &Server, n: usize) -> Vec<String> {
    let routing = server.app.slot.load().unwrap();
    let names = (0..).map(|i| format!("talk {i}"));
    names.filter(|name| routing.choose(Some(name), 0.0).arm == Arm::Canary).take(n).collect()
}

fn verdicts_on_wrong(server: &Server) -> Evidence {
    let rollout = server.canary.view("latest").unwrap().rollout;
    rollout.evidence().into_iter().find(|it| it.kind == FailureKind::Wrong).unwrap()
}

/// Begins a rollout whose first step gives the challenger `percent`, on two servers.
async fn two_servers(percent: u32) -> (Server, Server) {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    let mut plan = plan();
    plan.steps[0].weight = percent.into();
    plan.judge.metrics = [(FailureKind::Wrong, GatePolicy::Gate)].into();
    a.begin(plan).await;
    raised().await;
    a.turns(1).await;
    b.turns(2).await;
    (a, b)
}

/// Lets both servers take turns: whichever ticks, it sees what the other published.
async fn both_turn(a: &Server, b: &Server) {
    for _ in 0..10 {
        a.turns(2).await;
        b.turns(2).await;
    }
}

#[tokio::test]
async fn a_verdict_given_at_another_server_counts_and_at_both_counts_once() {
    let (a, b) = two_servers(50).await;
    let (at_a, at_b) = (open(&a).await, open(&b).await);
    let names = on_canary(&a, 2);
    let (first, second) = (say(&at_a, &names[0]).await, say(&at_a, &names[1]).await);
    let verdict = |token: &str, intent: &str| json!({"token": token, "intent": intent});
    // `b` has seen neither request.
    assert_eq!(judge(&at_b, verdict(&first, "vehicle")).await, "counted");
    assert_eq!(judge(&at_b, verdict(&first, "vehicle")).await, "noted", "one for each message");
    // The same verdict at both: neither knows of the other yet.
    assert_eq!(judge(&at_a, verdict(&second, "fruit")).await, "counted");
    assert_eq!(judge(&at_b, verdict(&second, "fruit")).await, "counted");
    both_turn(&a, &b).await;
    let wrong = verdicts_on_wrong(&a);
    assert_eq!((wrong.measured, wrong.failures), (Some([0, 2]), [0, 1]));
    let sources: Vec<_> = wrong.sources.iter().map(|it| (it.source, it.judged)).collect();
    assert_eq!(sources, [(VerdictSource::EndUser, [0, 2])]);
    assert_eq!(a.units(), 2, "a verdict makes no conversation");
    assert_eq!(judge(&at_a, verdict(&first, "fruit")).await, "counted", "`a` was not asked before");
    both_turn(&a, &b).await;
    assert_eq!(verdicts_on_wrong(&a).failures, [0, 1], "and the first verdict stays");
}

#[tokio::test]
async fn three_anonymous_messages_stop_the_challenger_and_decide_nothing() {
    let (a, b) = two_servers(5).await;
    let (at_a, at_b) = (open(&a).await, open(&b).await);
    for name in on_canary(&a, 3) {
        let token = say(&at_a, &name).await;
        let verdict = json!({"token": token, "intent": "vehicle"});
        assert_eq!(judge(&at_b, verdict).await, "counted");
    }
    both_turn(&a, &b).await;
    let rollout = a.canary.view("latest").unwrap().rollout;
    let reason = PauseReason::Feedback;
    assert!(
        matches!(rollout.phase, Phase::Paused { reason: why, weight: 0.0, .. } if why == reason),
        "{:?}",
        rollout.phase
    );
    assert_eq!((a.share(), b.share()), (0.0, 0.0));
}

#[tokio::test]
async fn feedback_without_a_token_of_the_open_rollout_never_counts() {
    let (a, b) = two_servers(50).await;
    let at_a = open(&a).await;
    let name = &on_canary(&a, 1)[0];
    let token = say(&at_a, name).await;
    let id = post(&at_a, "/v1/chat", &json!({"conversation_id": name, "text": "a car"})).await;
    let id = id["request_id"].as_str().unwrap().to_owned();

    let real = a.app.tokens.open(&token).unwrap();
    let (mark, slot) = real.place.unwrap();
    assert_eq!((slot.arm, real.intent.as_ref(), real.fallback), (Arm::Canary, "fruit", false));
    let thirty_days = real.expires - a.app.clock.now();
    assert!((29..=30).contains(&thirty_days.num_days()), "{thirty_days}");
    let make = |tokens: &FeedbackTokens, answer: JudgedAnswer<'_>| tokens.make(&answer).unwrap();
    let others = |key: &str, environment: &str, model: &str| {
        FeedbackTokens::new(TokenKeys::parse(key).unwrap(), environment, model).unwrap()
    };
    let expired = JudgedAnswer { expires: a.app.clock.now(), ..real.clone() };
    let unjudged = JudgedAnswer { place: None, ..real.clone() };
    let other = JudgedAnswer { place: Some((rollout_mark("other"), slot)), ..real.clone() };
    let mut forged = token.clone().into_bytes();
    let at = forged.len() / 2;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let alone = FeedbackTokens::new(TokenKeys::alone().unwrap(), "production", "m").unwrap();
    for (what, token, expected) in [
        ("expired", make(&a.app.tokens, expired), "noted"),
        ("not judged", make(&a.app.tokens, unjudged), "noted"),
        ("another rollout", make(&a.app.tokens, other), "noted"),
        ("forged", String::from_utf8(forged).unwrap(), "unknown"),
        ("environment", make(&others(TOKEN_KEY, "staging", "m"), real.clone()), "unknown"),
        ("model", make(&others(TOKEN_KEY, "production", "n"), real.clone()), "unknown"),
        ("key", make(&others(&"x".repeat(32), "production", "m"), real.clone()), "unknown"),
        ("another process alone", make(&alone, real.clone()), "unknown"),
        ("empty", String::new(), "unknown"),
        ("long", "A".repeat(40_000), "unknown"),
    ] {
        let outcome = judge(&at_a, json!({"token": token, "intent": "vehicle"})).await;
        assert_eq!(outcome, expected, "{what}");
    }
    // By name, as old clients do, and with an id that nobody gave out.
    for (body, expected) in [
        (json!({"conversation_id": name, "intent": "vehicle"}), "noted"),
        (json!({"request_id": id, "intent": "vehicle"}), "noted"),
        (json!({"request_id": "0123", "intent": "vehicle"}), "unknown"),
    ] {
        assert_eq!(judge(&at_a, body).await, expected);
    }
    both_turn(&a, &b).await;
    let wrong = verdicts_on_wrong(&a);
    assert!(a.units() > 0, "the answers were counted");
    assert_eq!((wrong.measured, wrong.failures, wrong.sources), (Some([0, 0]), [0, 0], vec![]));
    assert_eq!(mark, rollout_mark(&a.canary.view("latest").unwrap().rollout.id));
    // Another process of the environment makes tokens that count.
    let slot = Slot { arm: slot.arm, ..slot };
    let answer = JudgedAnswer { place: Some((mark, slot)), ..real };
    let same = make(&others(TOKEN_KEY, "production", "m"), answer);
    assert_eq!(judge(&at_a, json!({"token": same, "intent": "vehicle"})).await, "counted");
}

#[tokio::test]
async fn a_server_without_a_token_key_in_common_does_not_join_an_open_rollout() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    let pace = Pace::default().times(TIMES);
    let other = "another-token-key-of-32-characters";
    Server::try_start(&store, pace, other).await.unwrap();
    a.begin(plan()).await;
    raised().await;
    a.turns(2).await;
    let fault = Server::try_start(&store, pace, other).await.map(drop).unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6130", 2));
    assert!(!format!("{fault:?}").contains(other));
    for both in [format!("{other} {TOKEN_KEY}"), format!("{TOKEN_KEY}\n{other}\n")] {
        Server::try_start(&store, pace, &both).await.unwrap();
    }
}
