//! Messages of the WhatsApp Cloud API: verification, one answer to each, and requests that are not genuine.

use super::shop::{
    ANSWER, Framing, NUMBER, PERSON, QUESTION, SECRETS, Shop, TEN_MEGABYTES, assert_nothing_leaked,
    count, deliver, payload, post, send_large, signature, text_message,
};
use crate::serving;
use serde_json::{Value, json};
use std::time::Duration;

const APP_SECRET: &str = SECRETS[0].1;
const VERIFY_TOKEN: &str = SECRETS[1].1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_is_verified_by_the_challenge_of_the_platform() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    let verify = async |channel: &str, mode: &str, token: &str, challenge: &str| {
        let mut url: reqwest::Url =
            format!("{}/channels/{channel}", server.address()).parse().unwrap();
        url.query_pairs_mut().extend_pairs([
            ("hub.mode", mode),
            ("hub.verify_token", token),
            ("hub.challenge", challenge),
        ]);
        let answer = serving::http().get(url).send().await.unwrap();
        let kind = answer.headers().get("content-type").unwrap().to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    };
    let (status, kind, body) = verify("shop", "subscribe", VERIFY_TOKEN, "1158201444").await;
    assert_eq!((status, body.as_str()), (200, "1158201444"));
    assert!(kind.starts_with("text/plain"), "{kind}");
    for (expected, (mode, token, challenge)) in [
        (403, ("subscribe", "another token", "1158201444")),
        (403, ("subscribe", "", "1158201444")),
        (403, ("unsubscribe", VERIFY_TOKEN, "1158201444")),
        (400, ("subscribe", VERIFY_TOKEN, "<script>alert(1)</script>")),
    ] {
        let (status, kind, body) = verify("shop", mode, token, challenge).await;
        assert_eq!((status, kind.as_str()), (expected, "application/json"), "{mode} {token}");
        assert!(!body.contains(VERIFY_TOKEN) && !body.contains("script"), "{body}");
        assert!(!body.contains("1158201444"), "{body}");
    }
    let (status, _, body) = verify("other", "subscribe", VERIFY_TOKEN, "1158201444").await;
    assert_eq!(status, 404, "{body}");
    // A generic webhook has no challenge.
    let (status, _, body) = verify("crm", "subscribe", VERIFY_TOKEN, "1158201444").await;
    assert_eq!(status, 405, "{body}");
    assert_eq!(count(&server, "shop", "bad_signatures").await, 3);
    assert_nothing_leaked(&shop.written(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_message_is_answered_by_one_call_and_its_replays_are_not_processed() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    let message = text_message("wamid.first", QUESTION);
    let first = payload(NUMBER, std::slice::from_ref(&message));
    // The platform sends it several times at once, and again later.
    let statuses =
        tokio::join!(deliver(&server, &first), deliver(&server, &first), deliver(&server, &first));
    assert_eq!(statuses, (200, 200, 200));
    let sends = shop.platform.wait_for(1).await;
    let call = &sends[0];
    assert_eq!(call.method, "POST");
    assert_eq!(call.path, format!("/v21.0/{NUMBER}/messages"));
    assert_eq!(call.header("authorization"), format!("Bearer {}", SECRETS[2].1));
    assert_eq!(call.body["messaging_product"], "whatsapp");
    assert_eq!(call.body["recipient_type"], "individual");
    assert_eq!((&call.body["to"], &call.body["type"]), (&json!(PERSON), &json!("text")));
    assert_eq!(call.body["text"]["body"], ANSWER);
    let marks: Vec<_> =
        shop.platform.calls().into_iter().filter(super::graph::Call::is_read_mark).collect();
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].body["message_id"], "wamid.first");

    shop.until("the message is marked as done", || shop.stored("shop", "inbox").is_empty()).await;
    assert_eq!(deliver(&server, &first).await, 200);
    // The same message beside a new one, and statuses of sent messages.
    let second = text_message("wamid.second", QUESTION);
    let mut both = payload(NUMBER, &[message, second]);
    both["entry"][0]["changes"][0]["value"]["statuses"] = json!([{
        "id": "wamid.sent", "status": "delivered", "timestamp": "1780000000", "recipient_id": PERSON,
    }]);
    assert_eq!(deliver(&server, &both).await, 200);
    shop.platform.wait_for(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shop.platform.sends().len(), 2);
    for (event, expected) in [
        ("received", 2),
        ("duplicates", 4),
        ("turns", 2),
        ("sent", 2),
        ("processed", 2),
        ("status_delivered", 1),
        ("uncertain_sends", 0),
    ] {
        assert_eq!(count(&server, "shop", event).await, expected, "{event}");
    }
    assert_nothing_leaked(&shop.written(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_and_reactions_are_accepted_and_answered_politely_or_not_at_all() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    let at = chrono::Utc::now().timestamp().to_string();
    let image = json!({
        "from": PERSON, "id": "wamid.image", "timestamp": at, "type": "image",
        "image": { "id": "1003383421387256", "mime_type": "image/jpeg", "sha256": "invented" },
    });
    let reaction = json!({
        "from": PERSON, "id": "wamid.reaction", "timestamp": at, "type": "reaction",
        "reaction": { "message_id": "wamid.sent", "emoji": "👍" },
    });
    assert_eq!(deliver(&server, &payload(NUMBER, &[reaction, image])).await, 200);
    let sends = shop.platform.wait_for(1).await;
    assert!(sends[0].body["text"]["body"].as_str().unwrap().contains("text"), "{sends:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shop.platform.sends().len(), 1);
    assert_eq!(count(&server, "shop", "unsupported").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_not_genuine_are_refused_and_nothing_is_processed() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    let genuine = payload(NUMBER, &[text_message("wamid.genuine", QUESTION)]);
    let body = genuine.to_string().into_bytes();
    let signed = signature(APP_SECRET, &body);
    let send = async |channel: &str, header: (&str, &str), body: Vec<u8>| {
        let answer = post(&server, channel, (&[header], body)).await;
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    const NAME: &str = "x-hub-signature-256";
    let altered = payload(NUMBER, &[text_message("wamid.altered", QUESTION)]).to_string();
    let other_number = payload("100000000000002", &[text_message("wamid.other", QUESTION)]);
    let broken = b"{\"object\":\"whatsapp_business_account\"".to_vec();
    let other_object = br#"{"object":"page","entry":[]}"#.to_vec();
    let (sign_broken, sign_other) =
        (signature(APP_SECRET, &broken), signature(APP_SECRET, &other_object));
    for (name, (expected, code), (header, value), body) in [
        ("unsigned", (401, "BOT-7512"), ("x-other", "1"), body.clone()),
        ("an empty signature", (401, "BOT-7512"), (NAME, "sha256="), body.clone()),
        (
            "another secret",
            (401, "BOT-7512"),
            (NAME, signature("another secret", &body).as_str()),
            body.clone(),
        ),
        ("another body", (401, "BOT-7512"), (NAME, signed.as_str()), altered.into_bytes()),
        ("SHA-1", (401, "BOT-7512"), ("x-hub-signature", signed.as_str()), body.clone()),
        ("broken JSON", (400, "BOT-7511"), (NAME, sign_broken.as_str()), broken.clone()),
        ("another object", (400, "BOT-7511"), (NAME, sign_other.as_str()), other_object.clone()),
    ] {
        let (status, answer) = send("shop", (header, value), body).await;
        assert_eq!(status, expected, "{name}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{name}: {answer}");
    }
    let (status, answer) = send("shopp", (NAME, &signed), body.clone()).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("BOT-7510")));
    // A body of 10 MB is refused whether it names its length or not, signed or not.
    let of_large = signature(APP_SECRET, &vec![b'a'; TEN_MEGABYTES]);
    for framing in [Framing::Length, Framing::Chunks] {
        let headers = format!("{NAME}: {of_large}\r\n");
        let answer = send_large(&server, "shop", &headers, framing).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{framing:?}: {answer}");
        assert!(answer.contains("BOT-6014"), "{framing:?}: {answer}");
    }
    // A request for an unknown number is accepted, so that it does not come again for days, and not processed.
    assert_eq!(deliver(&server, &other_number).await, 200);

    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shop.platform.calls().len(), 0);
    for kind in ["inbox", "done", "dead", "sent"] {
        assert_eq!(shop.stored("shop", kind), Vec::<String>::new(), "{kind}");
    }
    for (event, expected) in
        [("received", 0), ("turns", 0), ("bad_signatures", 5), ("unknown_accounts", 1)]
    {
        assert_eq!(count(&server, "shop", event).await, expected, "{event}");
    }
    // The bot still answers.
    assert_eq!(deliver(&server, &genuine).await, 200);
    let sends = shop.platform.wait_for(1).await;
    assert_eq!(sends[0].body["text"]["body"], ANSWER);
    assert_nothing_leaked(&shop.written(&server));
}
