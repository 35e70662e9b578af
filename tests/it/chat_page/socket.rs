//! The page over a WebSocket: each message is answered once, whatever happens to the socket and to the server.

use super::{Page, WIDE};
use crate::bot::Served;
use serde_json::{Value, json};

/// Notes the frames of the page, before its own script runs.
const NOTED: &str = "
window.frames_seen = [];
window.sockets = [];
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    sockets.push(this);
    this.addEventListener('message', event => frames_seen.push(JSON.parse(event.data)));
  }
  send(text) { frames_seen.push(JSON.parse(text)); super.send(text); }
};
";

const READY: &str = "frames_seen.some(it => it.type === 'ready')";

/// Opens the page of `bot`, and waits until its socket is ready.
fn open(bot: &Served) -> Option<Page> {
    let page = Page::start()?;
    page.0.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": NOTED}));
    page.open(&bot.url, WIDE, "en-US");
    page.until(READY);
    Some(page)
}

fn frames(page: &Page) -> Vec<Value> {
    page.0.run("return frames_seen;").as_array().unwrap().clone()
}

/// Returns the number of requests to `/v1/chat` since the page was loaded.
fn posts(page: &Page) -> Value {
    page.0.run("return performance.getEntriesByType('resource').filter(it => it.name.endsWith('/v1/chat')).length;")
}

#[test]
fn messages_buttons_and_answers_go_over_the_socket() {
    let bot = Served::start(&["--chat-page"]);
    let Some(page) = open(&bot) else { return };
    page.say("hello my name is Ann");
    assert_eq!(page.answers(1), json!(["Hello Ann!"]));
    page.say("where is my parcel");
    page.answers(2);
    page.0.run("document.querySelectorAll('.judge .right')[1].click();");
    page.until("document.querySelectorAll('.judge .said')[1].textContent === 'Thank you.'");
    assert_eq!(posts(&page), 0);
    let seen = frames(&page);
    assert_eq!(seen[0]["type"], "hello");
    assert_eq!(seen[0]["resume_from"], -1);
    let sent: Vec<&Value> = seen.iter().filter(|it| it["type"] == "message").collect();
    let came: Vec<&Value> = seen.iter().filter(|it| it["type"] == "answer").collect();
    assert_eq!((sent.len(), came.len()), (2, 2), "{seen:#?}");
    assert_eq!(sent[1]["message_id"], came[1]["message_id"]);
    assert_eq!(came[1]["number"], 1);

    // After a reload, the page knows these answers, and none is sent again.
    page.0.go(&bot.url, WIDE, "en-US");
    page.until(READY);
    let again = frames(&page);
    assert_eq!(again[0]["conversation_id"], seen[0]["conversation_id"]);
    assert_eq!(again[0]["resume_from"], 1);
    assert!(again.iter().all(|it| it["type"] != "answer"), "{again:?}");
    assert_eq!(page.surprises(), Vec::<String>::new());
}

#[test]
fn sentences_are_shown_as_they_come_and_the_answer_takes_their_place() {
    let bot = Served::start(&["--chat-page"]);
    let Some(page) = open(&bot) else { return };
    assert_eq!(frames(&page)[0]["sentences"], true);
    // From here on, the test answers instead of the server.
    page.0.run(
        "const link = sockets.at(-1);
        link.send = (text) => frames_seen.push(JSON.parse(text));
        window.give = (frame) => {
          const { message_id } = frames_seen.findLast((it) => it.type === 'message');
          link.onmessage({ data: JSON.stringify({ message_id, ...frame }) });
        };",
    );
    page.say("how long");
    page.until("frames_seen.some(it => it.type === 'message')");
    let bodies = "return [...document.querySelectorAll('.bot .body')].map(it => it.textContent);";
    let partial = "return document.querySelectorAll('.bot[data-partial][aria-hidden]').length;";
    for text in ["<b onclick=a()>30 days.</b> [1]", "Hats: 14. [2]"] {
        let frame = json!({"type": "sentence", "text": text});
        page.0.run(&format!("give({frame});"));
    }
    assert_eq!(page.0.run(bodies), json!(["<b onclick=a()>30 days.</b> [1] Hats: 14. [2]"]));
    assert_eq!(page.0.run(partial), 1);
    page.0.run("give({ type: 'answer', response: '30 days.', fallback: false, number: 0 });");
    page.until("!document.querySelector('[data-partial]')");
    assert_eq!(page.0.run(bodies), json!(["30 days."]));
    // A sentence that comes late changes nothing.
    page.0.run("give({ type: 'sentence', text: 'late' });");
    assert_eq!(page.0.run(bodies), json!(["30 days."]));
    assert_eq!(page.surprises(), Vec::<String>::new());
}

#[test]
fn a_conversation_with_questions_and_buttons_goes_on_after_a_reload() {
    let bot = Served::start(&["--chat-page"]);
    let Some(page) = open(&bot) else { return };
    page.say("return an order");
    assert_eq!(page.answers(1), json!(["Which order?"]));
    page.0.go(&bot.url, WIDE, "en-US");
    page.until(READY);
    page.say("#1234");
    assert_eq!(page.answers(2)[1], "Return #1234?");
    let buttons = "return [...document.querySelectorAll('.choice')].map(it => it.textContent);";
    assert_eq!(page.0.run(buttons), json!(["Yes", "No"]));
    page.0.run("document.querySelectorAll('.choice')[1].click();");
    assert_eq!(page.answers(3)[2], "Not returned.");
    let pressed = frames(&page).into_iter().rfind(|it| it["type"] == "message").unwrap();
    assert_eq!(pressed["text"], "No");
    assert!(pressed["button"].is_string(), "{pressed}");
    assert_eq!(page.surprises(), Vec::<String>::new());
}

#[test]
fn a_lost_socket_loses_no_message_and_no_answer() {
    let bot = Served::start(&["--chat-page"]);
    let Some(page) = open(&bot) else { return };
    page.say("hello there");
    page.answers(1);
    // The message is on its way when the socket breaks.
    page.0.run(
        "const text = document.getElementById('text'); text.value = 'where is my parcel';
         document.getElementById('form').requestSubmit(); sockets.at(-1).close();",
    );
    assert_eq!(page.answers(2)[1], "Your parcel is on its way.");
    page.until("sockets.length === 2 && sockets[1].readyState === 1");
    page.until("frames_seen.filter(it => it.type === 'ready').length === 2");
    page.say("hello my name is Ann");
    assert_eq!(page.answers(3)[2], "Hello Ann!");
    let conversation = frames(&page)[0]["conversation_id"].as_str().unwrap().to_owned();
    let folder = bot.kill();
    let output = folder
        .botops(["conversations", "show", &conversation, "--format", "json"])
        .output()
        .unwrap();
    let stored = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stored.matches("Your parcel is on its way.").count(), 1, "one turn: {stored}");
}

#[test]
fn a_server_that_comes_back_goes_on_with_the_conversation() {
    let bot = Served::start(&["--chat-page"]);
    let Some(page) = open(&bot) else { return };
    page.say("hello there");
    page.answers(1);
    let address = bot.address();
    let folder = bot.kill();
    page.say("where is my parcel");
    page.until("!document.getElementById('again').hidden");
    let bot = Served::start_in(folder, &address, &["--chat-page"]);
    page.0.run("document.getElementById('again').click();");
    assert_eq!(page.answers(2), json!(["Hello you!", "Your parcel is on its way."]));
    page.until("frames_seen.filter(it => it.type === 'ready').length === 2");
    page.say("hello my name is Bob");
    assert_eq!(page.answers(3)[2], "Hello Bob!");
    assert_eq!(page.status(), "");
    drop(bot);
}
