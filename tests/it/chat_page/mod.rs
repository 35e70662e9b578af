//! The chat page in a real browser: two widths, two languages, keyboard, no network, refusals, hostile texts.

mod hostile;
mod refusals;
mod scripted;
mod socket;
mod widget;

use crate::{
    bot::Served,
    browser::{Browser, View},
    servers::skip,
};
use scripted::Scripted;
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const WIDE: View = View { width: 1_280, is_dark: false };

/// A browser that shows a chat page.
struct Page(Browser);

impl Page {
    /// Starts a browser. Returns `None`, with a message, if it is not installed.
    fn start() -> Option<Self> {
        Browser::start().map(Self)
    }

    /// Opens the page at `url` for a reader of `language`, without a conversation.
    fn open(&self, url: &str, view: View, language: &str) {
        self.0.go(url, view, language);
        self.0.run("sessionStorage.clear();");
        self.0.go(url, view, language);
    }

    /// Types `text` into the message box, and sends it with Enter.
    fn say(&self, text: &str) {
        self.0.run("document.getElementById('text').focus();");
        self.0.insert(text);
        self.0.press("Enter", 13);
    }

    /// Waits until the expression is true.
    fn until(&self, expression: &str) {
        self.0.until(expression);
    }

    /// Waits until there are `n` answers.
    fn answers(&self, n: usize) -> Value {
        self.until(&format!("document.querySelectorAll('.bot').length === {n}"));
        self.0.run("return [...document.querySelectorAll('.bot .body')].map(it => it.textContent);")
    }

    fn status(&self) -> String {
        self.text("status")
    }

    fn text(&self, id: &str) -> String {
        let script = format!("return document.getElementById('{id}').textContent;");
        self.0.run(&script).as_str().unwrap().to_owned()
    }

    /// Returns the new lines of the console, without those about answers that are no success.
    fn surprises(&self) -> Vec<String> {
        let mut lines = self.0.console();
        lines.retain(|line| !line.contains("/v1/ws") && !line.contains("Failed to load resource"));
        lines
    }
}

/// Returns the script of axe-core; `None`, with a message, if it is not installed.
fn axe() -> Option<String> {
    let modules = std::env::var_os("BOTOPS_NODE_MODULES").map(PathBuf::from);
    let script = modules.map(|folder| folder.join("axe-core/axe.min.js"));
    let Some(script) = script.filter(|path| path.is_file()) else {
        skip("axe-core (npm install axe-core; BOTOPS_NODE_MODULES names node_modules)");
        return None;
    };
    Some(std::fs::read_to_string(script).unwrap())
}

/// Checks the page as it is now: it fits the window, and axe-core finds no violation of WCAG 2.2 AA or of good practice.
fn check_access(page: &Page, axe: &str, case: &str) {
    let wide = page.0.run("return document.documentElement.scrollWidth > innerWidth;");
    assert_eq!(wide, json!(false), "{case}: the page is wider than the window");
    page.0.run(&format!("{axe}; window.axe = axe;"));
    let found = page.0.run_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document).then(found => done([found.passes.length, found.violations.map(
           it => `${it.id} (${it.impact}): ${it.nodes.map(node => node.html)}`)]));",
    );
    assert!(found[0].as_u64() > Some(10), "{case}: {found}");
    assert_eq!(found[1], json!([]), "{case}");
}

#[test]
fn people_talk_to_a_bot_at_both_widths_in_both_languages() {
    let Some(page) = Page::start() else { return };
    let Some(axe) = axe() else { return };
    let bot = Served::start(&["--chat-page"]);
    for (view, language, title, sent, answer, thanks) in [
        (
            View { width: 375, is_dark: false },
            "en-US",
            "Chat",
            "where is my parcel",
            "Your parcel is on its way.",
            "Thank you.",
        ),
        (
            View { width: 375, is_dark: true },
            "fr-FR",
            "Discussion",
            "où est mon colis",
            "Votre colis est en route.",
            "Merci.",
        ),
        (WIDE, "fr-FR", "Discussion", "où est mon colis", "Votre colis est en route.", "Merci."),
        (
            View { width: 1_280, is_dark: true },
            "en-US",
            "Chat",
            "where is my parcel",
            "Your parcel is on its way.",
            "Thank you.",
        ),
    ] {
        let case = format!("{view:?} {language}");
        page.open(&bot.url, view, language);
        assert_eq!(page.0.run("return document.title;"), title, "{case}");
        let lang = page.0.run("return document.documentElement.lang;");
        assert_eq!(lang, language[..2], "{case}");
        check_access(&page, &axe, &format!("{case}: empty"));
        page.say(sent);
        assert_eq!(page.answers(1), json!([answer]), "{case}");
        assert_eq!(page.0.run("return document.activeElement.id;"), "text", "{case}");
        page.say(&"a".repeat(300));
        page.answers(2);
        page.0.run("document.querySelector('.judge .wrong').click();");
        page.until(&format!("document.querySelector('.judge .said').textContent === '{thanks}'"));
        check_access(&page, &axe, &case);

        // The conversation is there again after a reload, with the opinion that was given.
        page.0.go(&bot.url, view, language);
        assert_eq!(page.answers(2)[0], answer, "{case}");
        let pressed =
            "return document.querySelector('.judge .wrong').getAttribute('aria-pressed');";
        assert_eq!(page.0.run(pressed), "true", "{case}");
        assert_eq!(page.surprises(), Vec::<String>::new(), "{case}");
    }
}

#[test]
fn the_reader_chooses_the_language_of_the_page_and_of_the_answers() {
    let Some(page) = Page::start() else { return };
    let bot = Served::start(&["--chat-page"]);
    page.open(&bot.url, WIDE, "de-DE");
    assert_eq!(page.0.run("return document.title;"), "Chat", "a language that the page lacks");
    page.say("hello good day");
    assert_eq!(page.answers(1), json!(["Hello you!"]));
    page.0.run("document.querySelector('[data-language=fr]').click();");
    assert_eq!(page.0.run("return document.documentElement.lang;"), "fr");
    assert_eq!(page.text("restart"), "Nouvelle conversation");
    let unseen = page.0.run("return document.querySelector('.bot .unseen').textContent;");
    assert_eq!(unseen, "Le robot a dit :", "messages that are there change, too");
    page.say("hello good day");
    assert_eq!(page.answers(2)[1], "Bonjour vous !", "the choice decides, not the message");
    let lang = page.0.run("return document.querySelectorAll('.bot .body')[1].lang;");
    assert_eq!(lang, "fr", "a screen reader pronounces the answer");
    page.0.go(&bot.url, WIDE, "de-DE");
    assert_eq!(page.0.run("return document.documentElement.lang;"), "fr", "after a reload");
    page.0.run("document.getElementById('restart').click();");
    page.answers(0);
    assert_eq!(page.0.run("return document.title;"), "Discussion", "the choice stays");
}

#[test]
fn a_keyboard_reaches_everything_in_the_order_of_the_page() {
    let Some(page) = Page::start() else { return };
    let server = Scripted::start(ANYWHERE);
    page.open(&server.url(), WIDE, "en-US");
    let buttons =
        json!([{"title": "Yes", "payload": "/affirm"}, {"title": "No", "payload": "/deny"}]);
    server.reply([(200, 0, json!({"buttons": buttons}))]);
    page.say("return my parcel");
    page.answers(1);
    page.0.go(&server.url(), WIDE, "en-US");
    page.answers(1);
    let mut seen = Vec::new();
    for _ in 0..11 {
        page.0.press("Tab", 9);
        let name = "const at = document.activeElement; \
                    return at.id || at.dataset.language || at.dataset.text || at.className;";
        seen.push(page.0.run(name).as_str().unwrap().to_owned());
    }
    let order = [
        "skip", "en", "fr", "restart", "log", "choice", "choice", "right", "wrong", "text", "send",
    ];
    assert_eq!(seen, order);
    let outline = page.0.run("return getComputedStyle(document.activeElement).outlineStyle;");
    assert_eq!(outline, "solid", "the focus can be seen");
    page.until("document.getElementById('log').getAttribute('aria-live') === 'polite'");

    // Nothing moves for readers who do not want it.
    let features = json!([{"name": "prefers-reduced-motion", "value": "reduce"}]);
    page.0.devtools("Emulation.setEmulatedMedia", json!({"media": "", "features": features}));
    let moving = page.0.run(
        "return [...document.querySelectorAll('*')].map(it => getComputedStyle(it))
           .filter(it => it.animationName !== 'none' || it.transitionDuration !== '0s' || it.scrollBehavior === 'smooth')
           .length;",
    );
    assert_eq!(moving, 0);
}

#[test]
fn messages_wait_while_the_network_or_the_server_is_away() {
    let Some(page) = Page::start() else { return };
    for (language, offline, lost) in [
        ("en-US", "You are offline.", "The server cannot be reached."),
        ("fr-FR", "Vous êtes hors ligne.", "Le serveur est injoignable."),
    ] {
        let server = Scripted::start(ANYWHERE);
        page.open(&server.url(), View { width: 375, is_dark: false }, language);
        page.0.offline(true);
        page.say("first");
        page.say("second");
        page.until("document.querySelectorAll('.user .note').length === 2");
        assert!(page.status().starts_with(offline), "{}", page.status());
        assert!(server.requests().is_empty());
        page.0.offline(false);
        assert_eq!(page.answers(2), json!(["Echo: first", "Echo: second"]), "in their order");
        assert_eq!(page.status(), "");

        // The server goes away while the message is written, and comes back at its address.
        let address = server.address;
        drop(server);
        page.say("third");
        page.until("!document.getElementById('again').hidden");
        assert!(page.status().starts_with(lost), "{}", page.status());
        page.say("fourth");
        let server = Scripted::start(address);
        page.0.run("document.getElementById('again')?.click();");
        assert_eq!(page.answers(4)[2], "Echo: third");
        let ids: Vec<Value> =
            server.requests().iter().map(|it| it.body["conversation_id"].clone()).collect();
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[0], ids[1], "one conversation");
        assert_eq!(page.surprises(), Vec::<String>::new());
    }
}
