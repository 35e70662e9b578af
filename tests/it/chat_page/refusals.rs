//! Refusals of the server: the page waits and tries again, asks for a key, or says why.

use super::{ANYWHERE, Page, Scripted, WIDE, axe, check_access};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_message_is_sent_again_with_its_id_until_it_is_answered() {
    let Some(page) = Page::start() else { return };
    for (language, limited, busy) in [
        ("en-US", "You sent many messages", "The server is busy."),
        ("fr-FR", "Vous avez envoyé beaucoup de messages", "Le serveur est occupé."),
    ] {
        let server = Scripted::start(ANYWHERE);
        page.open(&server.url(), WIDE, language);
        server
            .reply([(429, 2, json!({"code": "BOT-1095"})), (503, 1, json!({"code": "BOT-6110"}))]);
        let began = Instant::now();
        page.say("hello");
        page.until(&format!(
            "document.getElementById('status').textContent.startsWith('{limited}')"
        ));
        assert!(page.text("countdown").ends_with(" s"), "{}", page.text("countdown"));
        page.until(&format!("document.getElementById('status').textContent.startsWith('{busy}')"));
        assert!(began.elapsed() >= Duration::from_secs(2), "as long as the server asked for");
        assert_eq!(page.answers(1), json!(["Echo: hello"]));
        assert_eq!(page.status(), "");
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        assert!(requests[0].body["message_id"].is_string());
        assert!(requests.iter().all(|it| it.body == requests[0].body), "{requests:?}");
    }
}

#[test]
fn a_key_is_asked_for_kept_in_memory_and_asked_for_again() {
    let Some(page) = Page::start() else { return };
    let server = Scripted::start(ANYWHERE);
    page.open(&server.url(), WIDE, "en-US");
    let no_key = || (401, 0, json!({"code": "BOT-1081"}));
    server.reply([no_key(), no_key()]);
    page.say("hello");
    page.until("!document.getElementById('key-form').hidden");
    assert_eq!(page.status(), "This server needs an access key.");
    assert_eq!(page.0.run("return document.activeElement.id;"), "key");
    if let Some(axe) = axe() {
        check_access(&page, &axe, "the form of the key");
    }
    page.0.insert("botops_wrong");
    page.0.press("Enter", 13);
    page.until(
        "document.getElementById('status').textContent === 'The server does not accept this key.'",
    );
    page.0.insert("botops_right");
    page.0.press("Enter", 13);
    assert_eq!(page.answers(1), json!(["Echo: hello"]));
    let sent: Vec<_> = server.requests().into_iter().map(|it| it.authorization).collect();
    let bearer = |key: &str| Some(format!("Bearer {key}"));
    assert_eq!(sent, [None, bearer("botops_wrong"), bearer("botops_right")]);
    page.0.run("document.querySelector('.judge .right').click();");
    let judged = server.request(4);
    assert_eq!(
        (judged.path.as_str(), judged.authorization),
        ("/v1/feedback", bearer("botops_right"))
    );
    assert_eq!(judged.body, json!({"token": "a-token", "correct": true}));

    let kept = page.0.run(
        "return JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href,
           [...document.querySelectorAll('input')].map(it => it.value)]);",
    );
    assert!(!kept.as_str().unwrap().contains("botops_right"), "{kept}");
    page.0.go(&server.url(), WIDE, "en-US");
    server.reply([no_key()]);
    page.say("again");
    page.until("!document.getElementById('key-form').hidden");
    assert_eq!(server.request(5).authorization, None, "a reload forgets it");
}

#[test]
fn a_message_that_is_refused_for_good_says_why_and_can_be_sent_again() {
    let Some(page) = Page::start() else { return };
    let server = Scripted::start(ANYWHERE);
    page.open(&server.url(), WIDE, "en-US");
    let long = json!({"code": "BOT-6015", "detail": "`text` has 9000 characters"});
    let other = json!({"code": "BOT-6013", "detail": "another shape"});
    for (status, document, said) in [
        (403, json!({"code": "BOT-1046"}), "Not sent. This key may not do this."),
        (413, json!({"code": "BOT-6014"}), "Not sent. The message is too long."),
        (422, long, "Not sent. The message is too long."),
        (422, other, "Not sent. The server refused the message: another shape"),
    ] {
        server.reply([(status, 0, document)]);
        page.say("hello");
        page.until("document.querySelector('.problem')");
        let why = page.0.run("return document.querySelector('.problem').textContent;");
        assert_eq!(why, said);
        page.0.run("document.querySelector('.resend').click();");
        page.until("!document.querySelector('.problem') && document.querySelector('.bot')");
        page.0.run("document.getElementById('restart').click();");
    }
    let ids: Vec<Value> =
        server.requests().iter().map(|it| it.body["message_id"].clone()).collect();
    assert_eq!(ids.len(), 8);
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]), "sent again with the same id: {ids:?}");
}

#[test]
fn a_server_that_keeps_no_conversations_gets_no_ids_of_messages() {
    let Some(page) = Page::start() else { return };
    let server = Scripted::start(ANYWHERE);
    page.open(&server.url(), WIDE, "en-US");
    server.reply([(422, 0, json!({"code": "BOT-6124"}))]);
    page.say("hello");
    assert_eq!(page.answers(1), json!(["Echo: hello"]));
    page.say("again");
    page.answers(2);
    let has_id: Vec<bool> =
        server.requests().iter().map(|it| it.body.get("message_id").is_some()).collect();
    assert_eq!(has_id, [true, false, false]);
}

#[test]
fn a_button_sends_its_payload_and_an_opinion_that_is_lost_is_taken_back() {
    let Some(page) = Page::start() else { return };
    let server = Scripted::start(ANYWHERE);
    page.open(&server.url(), WIDE, "en-US");
    let buttons = json!([{"title": "Yes, please", "payload": "/affirm"}, {"title": "No", "payload": "/deny"}]);
    server.reply([(200, 0, json!({"buttons": buttons}))]);
    page.say("return it");
    page.answers(1);
    page.0.run("document.querySelector('.choice').click();");
    page.answers(2);
    let pressed = server.request(2).body;
    assert_eq!((&pressed["text"], &pressed["button"]), (&json!("Yes, please"), &json!("/affirm")));
    let old = "return [...document.querySelectorAll('.choice')].map(it => it.disabled);";
    assert_eq!(page.0.run(old), json!([true, true]), "the question is answered");

    server.reply([(403, 0, json!({"code": "BOT-1046"}))]);
    page.0.run("document.querySelector('.judge .right').focus();");
    page.0.press("Enter", 13);
    page.until(
        "document.querySelector('.judge .said').textContent === 'Your opinion could not be sent.'",
    );
    let state = page.0.run(
        "const it = document.querySelector('.judge .right'); \
         return [it.getAttribute('aria-pressed'), document.activeElement === it];",
    );
    assert_eq!(state, json!(["false", true]), "it can be given again, and the focus stays");
    server.reply([(200, 0, json!({"response": null, "feedback_token": null, "fallback": true}))]);
    page.say("hm");
    assert_eq!(page.answers(3)[2], "The bot has no answer to this.");
    let judged = "return document.querySelectorAll('.bot')[2].querySelector('.judge') === null;";
    assert_eq!(page.0.run(judged), true, "nothing to judge");
}
