//! Texts of the bot, of the reader and of the server are shown as text, whatever they contain.

use super::{ANYWHERE, Page, Scripted, WIDE};
use crate::bot::Served;
use serde_json::json;

const ATTACK: &str = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script><b>bold</b>";

#[test]
fn markup_in_a_message_an_answer_a_button_a_source_and_a_problem_is_text() {
    let Some(page) = Page::start() else { return };
    let bot = Served::start(&["--chat-page"]);
    page.open(&bot.url, WIDE, "en-US");
    page.say(&format!("hello my name is {ATTACK}"));
    assert_eq!(page.answers(1), json!([format!("Hello {ATTACK}!")]), "the bot repeats it");

    let server = Scripted::start(ANYWHERE);
    page.open(&server.url(), WIDE, "en-US");
    let answer = json!({
        "response": ATTACK,
        "language": "\"><script>window.hit=1</script>",
        "buttons": [{"title": ATTACK, "payload": ATTACK}],
        "sources": [
            {"title": ATTACK, "url": "javascript:window.hit=1"},
            {"title": "data", "url": "data:text/html,<script>alert(1)</script>"},
            {"title": "a page", "section": ATTACK, "page": 3, "url": "https://example.org/\"onmouseover=\"alert(1)"},
        ],
    });
    let problem = json!({"detail": ATTACK, "code": "BOT-6013"});
    server.reply([(200, 0, answer), (422, 0, problem)]);
    page.say("first");
    assert_eq!(page.answers(1), json!([ATTACK]));
    page.say("second");
    page.until("document.querySelector('.problem')");
    page.0.run("document.querySelectorAll('.sources a').forEach(link => { link.target = ''; });");
    let seen = page.0.run(
        "return [
           document.querySelectorAll('img, b, li script, [onmouseover]').length,
           window.hit ?? 'none',
           [...document.querySelectorAll('.sources a')].map(link => [link.protocol, link.rel]),
           document.querySelector('.choice').textContent,
           document.querySelector('.sources .place').textContent,
           document.getElementById(document.querySelector('.sources').getAttribute('aria-labelledby')).textContent,
         ];",
    );
    let place = format!(" ({ATTACK}, page 3)");
    let links = json!([["https:", "noopener noreferrer"]]);
    assert_eq!(seen, json!([0, "none", links, ATTACK, place, "Sources"]));
    let said = page.0.run("return document.querySelector('.problem').textContent;");
    assert!(said.as_str().unwrap().ends_with(ATTACK), "{said}");

    // A conversation in the storage is data of the page, and is read as text as well.
    page.0.go(&server.url(), WIDE, "en-US");
    assert_eq!(page.answers(1), json!([ATTACK]));
    assert_eq!(page.0.run("return window.hit ?? 'none';"), "none");
    assert_eq!(page.surprises(), Vec::<String>::new());
}

#[test]
fn the_policy_of_the_page_stops_a_script_that_is_not_its_own() {
    let Some(page) = Page::start() else { return };
    let bot = Served::start(&["--chat-page"]);
    page.open(&bot.url, WIDE, "en-US");
    // The driver may write markup into the page, as a mistake of the page would.
    page.0.run(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit=1\">');
         const script = document.createElement('script');
         script.textContent = 'window.hit = 1';
         document.body.append(script);
         document.body.insertAdjacentHTML('beforeend', '<p id=styled style=\"position:fixed\">');",
    );
    page.until("document.querySelector('img').complete");
    let seen = page.0.run(
        "return [window.hit ?? 'none', getComputedStyle(document.getElementById('styled')).position];",
    );
    assert_eq!(seen, json!(["none", "static"]));
    let refused = page.surprises();
    assert!(refused.iter().any(|line| line.contains("Content Security Policy")), "{refused:?}");
}

#[test]
fn a_damaged_storage_begins_a_new_conversation() {
    let Some(page) = Page::start() else { return };
    let server = Scripted::start(ANYWHERE);
    for damaged in ["{", "null", "{\"conversation\": 7}", "{\"conversation\": \"a\", \"turns\": 3}"]
    {
        page.open(&server.url(), WIDE, "en-US");
        page.0.run(&format!("sessionStorage.setItem('botops.chat', {});", json!(damaged)));
        page.0.go(&server.url(), WIDE, "en-US");
        page.say("hello");
        assert_eq!(page.answers(1), json!(["Echo: hello"]), "{damaged}");
    }
}
