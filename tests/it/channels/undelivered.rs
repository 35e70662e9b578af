//! Calls that fail: they are repeated, become dead letters, and are sent when those are replayed.

use super::{
    graph::{Does, graph_error},
    shop::{
        ANSWER, NUMBER, PERSON, QUESTION, Shop, assert_nothing_leaked, count, deliver, payload,
        text_message,
    },
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_is_repeated_until_the_platform_takes_it_once() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    let mut answers = vec![
        Does::Refuse(429, graph_error(130_429, "Rate limit hit")),
        Does::Refuse(500, graph_error(131_000, "Something went wrong")),
        Does::Refuse(503, Value::Null),
    ]
    .into_iter();
    shop.platform.does(move |_| answers.next().unwrap_or(Does::Accept));
    let message = payload(NUMBER, &[text_message("wamid.first", QUESTION)]);
    assert_eq!(deliver(&server, &message).await, 200);
    let sends = shop.platform.wait_for(4).await;
    let accepted: Vec<bool> = sends.iter().map(|call| call.was_accepted).collect();
    assert_eq!(accepted, [false, false, false, true]);
    assert!(sends.iter().all(|call| call.raw == sends[0].raw), "the same answer in every try");
    shop.until("the message is done", || shop.stored("shop", "inbox").is_empty()).await;
    for (event, expected) in
        [("turns", 1), ("sent", 1), ("retried_sends", 2), ("uncertain_sends", 1), ("dead", 0)]
    {
        assert_eq!(count(&server, "shop", event).await, expected, "{event}");
    }
    assert_eq!(shop.platform.sends().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_answered_is_a_dead_letter_and_a_replay_answers_it() {
    let shop = Shop::new("    attempts: 2\n").await;
    let server = shop.serve();
    shop.platform.does(|_| Does::Refuse(503, Value::Null));
    let message = payload(NUMBER, &[text_message("wamid.first", QUESTION)]);
    assert_eq!(deliver(&server, &message).await, 200);
    shop.until("a dead letter", || shop.stored("shop", "dead").len() == 1).await;
    shop.until("the message left the inbox", || shop.stored("shop", "inbox").is_empty()).await;
    assert_eq!(shop.platform.sends().len(), 2, "as many calls as `attempts`");
    // A message that the platform will never take is given up at once.
    shop.platform.does(|_| Does::Refuse(400, graph_error(131_026, "Message undeliverable")));
    let refused = payload(NUMBER, &[text_message("wamid.second", QUESTION)]);
    assert_eq!(deliver(&server, &refused).await, 200);
    shop.until("another dead letter", || shop.stored("shop", "dead").len() == 2).await;
    assert_eq!(shop.platform.sends().len(), 3);
    // The same message again is no new one.
    assert_eq!(deliver(&server, &message).await, 200);
    assert_eq!(count(&server, "shop", "duplicates").await, 1);

    let list = shop.channels(&["list"]);
    assert!(list.contains("next: `botops channels dead shop`"), "{list}");
    let dead = shop.channels(&["dead", "shop"]);
    for part in [
        "exit: 0",
        "the platform took no call in 2 tries",
        "the platform answers 400 with the error 131026",
        "next: `botops channels replay shop",
    ] {
        assert!(dead.contains(part), "{part}: {dead}");
    }
    assert_nothing_leaked(&dead);
    let ids = shop.dead("shop");
    assert_eq!(ids.len(), 2);
    let unknown = shop.channels(&["replay", "shop", &ids[0], &"0".repeat(32)]);
    assert!(unknown.starts_with("exit: 2") && unknown.contains("BOT-7503"), "{unknown}");
    let dry = shop.channels(&["replay", "shop", "--all", "--dry-run"]);
    assert!(dry.contains("2 dead letters would be replayed"), "{dry}");
    assert_eq!(shop.dead("shop"), ids, "nothing was changed");

    // Still refused: the letter comes back, and counts its replays.
    let replay = shop.channels(&["replay", "shop", &ids[0]]);
    assert!(replay.contains("1 dead letter wait"), "{replay}");
    shop.until("a dead letter again", || shop.stored("shop", "dead").len() == 2).await;
    shop.platform.does(|_| Does::Accept);
    let before = shop.platform.sends().len();
    let replay = shop.channels(&["replay", "shop", "--all"]);
    assert!(replay.starts_with("exit: 0"), "{replay}");
    let sends = shop.platform.wait_for(before + 2).await;
    for call in &sends[before..] {
        assert!(call.was_accepted);
        assert_eq!(
            (&call.body["to"], &call.body["text"]["body"]),
            (&json!(PERSON), &json!(ANSWER))
        );
    }
    shop.until("nothing waits", || shop.stored("shop", "inbox").is_empty()).await;
    assert_eq!(shop.dead("shop"), Vec::<String>::new());
    assert_eq!(count(&server, "shop", "sent").await, 2);
    assert_eq!(shop.platform.sends().len(), before + 2);
    assert_nothing_leaked(&shop.written(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_and_ids_that_do_not_exist_are_mistakes_of_the_user() {
    let shop = Shop::new("").await;
    for (arguments, code) in [
        (["dead", "shopp", ""].as_slice(), "BOT-7506"),
        (&["replay", "shopp", "--all"], "BOT-7506"),
        (&["replay", "shop", "../../etc"], "BOT-7503"),
    ] {
        let arguments: Vec<&str> = arguments.iter().copied().filter(|it| !it.is_empty()).collect();
        let text = shop.channels(&arguments);
        assert!(text.starts_with("exit: 2") && text.contains(code), "{arguments:?}: {text}");
        assert!(text.contains("hint: "), "{text}");
    }
    let none = shop.channels(&["dead", "shop"]);
    assert!(none.contains("shop has no dead letters"), "{none}");
}
