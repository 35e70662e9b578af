//! The chat page in a frame of another site.

use super::{ANYWHERE, Page, Scripted, WIDE, axe, check_access};
use crate::bot::{self, Served};
use serde_json::json;

const BUTTON: &str = "document.getElementById('botops-widget').shadowRoot.querySelector('button')";
const FRAME: &str = "document.getElementById('botops-widget').shadowRoot.querySelector('iframe')";

#[test]
fn a_listed_site_shows_the_page_behind_a_button_and_another_site_does_not() {
    let Some(page) = Page::start() else { return };
    let (listed, other) = (Scripted::start(ANYWHERE), Scripted::start(ANYWHERE));
    let folder = bot::folder();
    let origin = format!("http://{}", listed.address);
    folder.write(
        "botops.yaml",
        format!("server: {{chat_page: true, actions: {{allow: [shop.example]}}, cors: {{origins: ['{origin}']}}}}"),
    );
    let bot = Served::start_in(folder, "127.0.0.1:0", &[]);
    let html = format!(
        "<!doctype html><html lang=\"fr\"><head><title>Une boutique</title><script src=\"{}/widget.js\"></script></head>\
         <body><main><h1>Une boutique</h1></main></body></html>",
        bot.url
    );
    let shop = listed.shop(&html);
    page.0.go(&shop, WIDE, "en-US");
    page.until(BUTTON);
    assert_eq!(page.0.run(&format!("return {BUTTON}.textContent;")), "Ouvrir la discussion");
    assert_eq!(page.0.run(&format!("return {FRAME};")), json!(null), "nothing is loaded yet");
    page.0.run(&format!("{BUTTON}.click();"));
    assert_eq!(page.0.run(&format!("return {BUTTON}.getAttribute('aria-expanded');")), "true");
    if let Some(axe) = axe() {
        check_access(&page, &axe, "the page of the shop");
        // Its question to the frame, which is not loaded yet, is a line of the console.
        page.surprises();
    }
    page.0.enter(&format!("return {FRAME};"));
    page.until("document.readyState === 'complete' && document.title === 'Discussion'");
    page.0.run(
        "document.getElementById('text').value = 'où est mon colis';
         document.getElementById('form').requestSubmit();",
    );
    assert_eq!(
        page.answers(1),
        json!(["Votre colis est en route."]),
        "in the language of the shop"
    );
    let reach = "try { return parent.document.title; } catch { return 'out of reach'; }";
    assert_eq!(page.0.run(reach), "out of reach");
    page.0.run("dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));");
    page.0.leave();
    page.until(&format!("{FRAME}.hidden"));
    let back = format!(
        "return document.getElementById('botops-widget').shadowRoot.activeElement === {BUTTON};"
    );
    assert_eq!(page.0.run(&back), true, "the focus is back on the button");
    page.0.run(&format!("{BUTTON}.click();"));
    page.0.enter(&format!("return {FRAME};"));
    page.answers(1);
    page.0.leave();
    assert_eq!(page.surprises(), Vec::<String>::new());

    let shop = other.shop(&html);
    page.0.go(&shop, WIDE, "en-US");
    page.until(BUTTON);
    page.0.run(&format!("{BUTTON}.click();"));
    page.0.enter(&format!("return {FRAME};"));
    page.until("document.readyState === 'complete' && !document.getElementById('text')");
    page.0.leave();
    let refused = page.surprises();
    assert!(refused.iter().any(|line| line.contains("frame-ancestors")), "{refused:?}");
}
