//! The cost of knowledge: only messages that reach it wait for a turn of slow work.

use super::{
    clock::WallClock,
    knowledge_tests::{QUOTE, RETURNS, chat, keeping, model, shop},
    public_gate::PublicGate,
    routing::Served,
    server::{listen, new_app},
    shadow,
};
use botops_connections::bind;
use botops_digest::Digest;
use botops_workspace::Knowledge;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_an_intent_claims_does_not_wait_for_the_encoder_of_knowledge() {
    let settings = keeping(Vec::new(), Knowledge::default());
    let clock = Arc::new(WallClock::start());
    let app = new_app("support", &settings, clock, shadow::CAPACITY).unwrap();
    let digest = Digest::of(b"model");
    let model = Arc::new(model(Value::Null));
    let served = Served::prepare(model, digest, "shop@1".to_owned(), Some(digest), None).unwrap();
    let served = served.with_knowledge(&[shop()]).unwrap().with_slow_knowledge();
    app.slot.set(Arc::new(served), None);
    let gate = PublicGate::open(&app);
    let listener = bind(settings.listen).await.unwrap();
    let running = listen(Arc::clone(&app), (listener, None), &settings, gate).unwrap();

    let n_turns = app.turns.available_permits() as u32;
    let held = app.turns.acquire_many(n_turns).await.unwrap();
    let body = |text: &str| json!({"text": text, "conversation_id": text});
    let claimed = timeout(Duration::from_secs(5), chat(&running, body("red apple"))).await;
    assert_eq!(claimed.expect("no turn is needed")["response"], "A fruit.");
    let never = json!({"text": RETURNS, "use_knowledge": false});
    let never = timeout(Duration::from_secs(5), chat(&running, never)).await;
    assert_eq!(never.expect("no turn is needed")["fallback"], true);

    let mut asked = Box::pin(chat(&running, body(RETURNS)));
    let early = timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err(), "the search waits for its turn: {early:?}");
    drop(held);
    let answer = timeout(Duration::from_secs(5), asked).await.unwrap();
    assert_eq!(answer["response"], QUOTE);
    running.shutdown().await;
}
