//! Report pages in a real browser: they fit the window, are readable in light and dark, load nothing, and can be
//! searched.

use crate::{
    browser::{Browser, View},
    support::Folder,
};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

const VIEWS: [View; 4] = [
    View { width: 1_280, is_dark: false },
    View { width: 1_280, is_dark: true },
    View { width: 375, is_dark: false },
    View { width: 375, is_dark: true },
];

/// Opens everything that is folded, and returns the lowest contrast of a text with its background (WCAG 2.2), and
/// that text.
const CONTRAST: &str = r"
document.querySelectorAll('details').forEach(part => { part.open = true; });
const channels = color => (color.match(/[\d.]+/g) || []).map(Number);
const luminance = ([r, g, b]) => [r, g, b]
  .map(value => value / 255)
  .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
const isOpaque = color => { const c = channels(color); return c.length === 3 || (c.length === 4 && c[3] === 1); };
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (isOpaque(color)) return color;
  }
  return 'rgb(255, 255, 255)';
};
const behindDrawn = element => {
  element.scrollIntoView({ block: 'center', inline: 'center' });
  const box = element.getBoundingClientRect();
  for (const at of document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2)) {
    if (at.closest('text')) continue;
    if (!(at instanceof SVGElement) || at.tagName === 'svg') return behind(at);
    const fill = getComputedStyle(at).fill;
    if (isOpaque(fill)) return fill;
  }
  return behind(element);
};
let worst = [99, ''], seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || element.closest('script, style, title, option') || !element.getClientRects().length) continue;
  const isDrawn = element instanceof SVGElement;
  const style = getComputedStyle(element);
  const [a, b] = [isDrawn ? style.fill : style.color, isDrawn ? behindDrawn(element) : behind(element)]
    .map(channels).map(luminance);
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  seen += 1;
  if (contrast < worst[0]) worst = [contrast, node.data.trim()];
}
scrollTo(0, 0);
return [...worst, seen];
";

/// Returns a data set with many defects: empty, cut, damaged and hostile texts, unknown intents, personal data.
fn messy() -> String {
    let mut csv = String::from("text,intent,lang,channel\n");
    let lines = [
        ("where is my parcel", "order_status", "en"),
        ("où est mon colis, je l'attends depuis lundi", "order_status", "fr"),
        ("i forgot my password", "account_help", "en"),
        ("j'ai oublié mon mot de passe", "account_help", "fr"),
    ];
    for i in 0..120 {
        let (text, intent, lang) = lines[i % 4];
        let _ = writeln!(csv, "\"{text} {i}\",{intent},{lang},web");
    }
    for (text, intent) in [
        ("", "order_status"),
        ("   ", "account_help"),
        ("dÃ©jÃ  vu", "account_help"),
        ("where is my parcel 0", "account_help"),
        ("call me on +33 6 12 34 56 78 or a@example.org", "order_status"),
        ("=HYPERLINK(1)", "Order_Status"),
        (
            "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>",
            "order_status",
        ),
        ("hid\u{200b}den and \u{202e}turned", "account_help"),
    ] {
        let _ = writeln!(csv, "\"{text}\",{intent},en,phone");
    }
    csv
}

/// Returns a data set of 80 intents with long names. With a `turn` above 0, a third of the labels is wrong.
fn many_intents(turn: usize) -> String {
    let mut csv = String::from("text,intent\n");
    for intent in 0..80 {
        for i in 0..6 {
            let (a, b) = (intent % 9, (intent * 7 + i * 5 + turn) % 23);
            let name = if turn > 0 && i % 3 == 0 { (intent + turn) % 80 } else { intent };
            let _ = writeln!(
                csv,
                "topic{a} word{b} about thing{intent} {i},a_rather_long_intent_name_{name:02}"
            );
        }
    }
    csv
}

/// Writes every kind of page into `folder`, with the commands of a user.
fn pages(folder: &Folder) -> Vec<PathBuf> {
    let run = |line: &str| {
        let output = folder.botops(line.split(' ')).output().unwrap();
        let code = output.status.code().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(code == 0 || code == 3, "{line}: {code}\n{stderr}");
    };
    folder.write("messy.csv", messy()).write("many.csv", many_intents(0));
    folder.write("others.csv", many_intents(1));
    run("run pipelines/weekly.yaml");
    run("validate messy.csv --expectations datasets/support/expectations.yaml --html messy.html");
    run("data profile messy.csv --html profile.html");
    run("data profile messy.csv --against datasets/support/utterances.csv --html change.html");
    run("train many.csv -o many.botops");
    run("evaluate many.botops others.csv --html many.html");
    run("train many.csv --cross-validate 3 --learning-curve --html folds.html");
    let made = ["validate/validation", "evaluate/evaluation", "drift/drift", "promote/decision"];
    let made = made.map(|page| format!(".botops/pipelines/weekly/{page}.html"));
    let own = ["messy", "profile", "change", "many", "folds"].map(|page| format!("{page}.html"));
    made.iter().chain(&own).map(|page| folder.path().join(page)).collect()
}

/// Writes a screenshot to the folder that `BOTOPS_SCREENSHOTS` names, for inspection by a person.
fn keep_screenshot(browser: &Browser, page: &Path, view: View) {
    let Some(folder) = std::env::var_os("BOTOPS_SCREENSHOTS") else { return };
    let scheme = if view.is_dark { "dark" } else { "light" };
    let name = page.file_stem().unwrap().to_str().unwrap();
    let path = Path::new(&folder).join(format!("{name}-{}-{scheme}.png.base64", view.width));
    std::fs::write(path, browser.screenshot()).unwrap();
}

/// Plants low contrast and a foreign script, and checks that the tests detect them.
fn check_the_checks(browser: &Browser) {
    let style = "document.documentElement.style";
    browser.run(&format!(
        "{style}.setProperty('--muted', '#6f6f6f'); {style}.setProperty('--panel', '#777');"
    ));
    assert!(browser.run(CONTRAST)[0].as_f64().unwrap() < 2.0);
    let text = "const text = document.querySelector('svg text'); text.style.fill = '#808080'; return text.textContent;";
    browser.run(&format!("{style}.cssText = ''; document.body.style.background = '#888'; {text}"));
    assert!(browser.run(CONTRAST)[0].as_f64().unwrap() < 1.5);
    browser.run("document.body.style.background = '';");
    let foreign = browser.run(
        "const script = document.createElement('script'); script.textContent = 'window.foreign = 1';\
         document.body.append(script); script.remove(); return window.foreign ?? null;",
    );
    assert!(foreign.is_null(), "the page runs any script");
    let output = browser.console();
    assert!(output.iter().any(|line| line.contains("Content Security Policy")), "{output:?}");
}

#[test]
fn every_page_fits_is_readable_and_loads_nothing() {
    let Some(browser) = Browser::start() else { return };
    let folder = Folder::workspace();
    for page in pages(&folder) {
        let name = page.file_name().unwrap().to_str().unwrap();
        for view in VIEWS {
            browser.open(&page, view);
            keep_screenshot(&browser, &page, view);
            let widths =
                "const page = document.documentElement; return page.scrollWidth - innerWidth;";
            let folded = browser.run(widths).as_i64().unwrap();
            let read = browser.run(CONTRAST);
            let (contrast, text, n) =
                (read[0].as_f64().unwrap(), read[1].as_str().unwrap(), read[2].as_u64().unwrap());
            assert!(n > 20, "{name} shows {n} texts");
            assert!(contrast >= 4.5, "{name}, {view:?}: `{text}` has a contrast of {contrast:.2}");
            // The second width is measured with everything unfolded.
            let opened = browser.run(widths).as_i64().unwrap();
            assert!(folded <= 0 && opened <= 0, "{name}, {view:?}: {folded} and {opened} too wide");
            let asked = browser.run("return performance.getEntriesByType('resource').length;");
            assert_eq!(asked, 0, "{name} asks for something");
            assert_eq!(browser.console(), Vec::<String>::new(), "{name}, {view:?}");
        }
        if name == "messy.html" {
            check_the_checks(&browser);
        }
        let pdf = browser.devtools("Page.printToPDF", serde_json::json!({}));
        assert!(pdf["data"].as_str().unwrap().len() > 10_000, "{name} is not printed");
    }
}

#[test]
fn errors_can_be_searched_by_words_by_intent_and_from_the_matrix() {
    let Some(browser) = Browser::start() else { return };
    let folder = Folder::workspace();
    let run = |line: &str| {
        let output = folder.botops(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    folder.write("many.csv", many_intents(0)).write("others.csv", many_intents(1));
    run("train many.csv -o many.botops");
    run("evaluate many.botops others.csv --html many.html");
    let page = folder.path().join("many.html");
    browser.open(&page, VIEWS[0]);
    let shown = "return [...document.querySelectorAll('#wrong tbody tr')].filter(row => row.checkVisibility())\
                 .map(row => [row.cells[0].textContent, row.cells[1].textContent, row.cells[2].textContent]);";
    let all = browser.run("return document.querySelectorAll('#wrong tbody tr').length;");
    assert!(all.as_u64().unwrap() > 60, "there are {all} mistakes");
    assert_eq!(browser.run(shown).as_array().unwrap().len(), 50, "the first rows");

    browser.run(
        "const field = document.querySelector('#wrong input'); field.value = 'TOPIC3 thing';\
         field.dispatchEvent(new Event('input', { bubbles: true }));",
    );
    let found = browser.run(shown);
    let found = found.as_array().unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|row| row[0].as_str().unwrap().contains("topic3 ")), "{found:?}");
    let summary = browser.run("return document.querySelector('#wrong output').textContent;");
    assert_eq!(summary, format!("{} of {all} rows", found.len()));

    // A cell of the matrix shows its records, and only those.
    let chosen = browser.run(
        "const link = document.querySelector('svg a[data-pick]');\
         link.dispatchEvent(new MouseEvent('click', { bubbles: true }));\
         return [JSON.parse(link.dataset.pick), link.getAttribute('aria-label')];",
    );
    let found = browser.run(shown);
    let found = found.as_array().unwrap();
    let label = chosen[1].as_str().unwrap();
    assert!(label.contains(&format!(": {} of 6", found.len())), "{label}: {found:?}");
    assert!(found.iter().all(|row| row[1] == chosen[0][0] && row[2] == chosen[0][1]), "{found:?}");
    assert_eq!(browser.console(), Vec::<String>::new());

    // An altered script is refused. The page then shows all rows, and hides the field for searching.
    let html = std::fs::read_to_string(&page).unwrap();
    let other = html.replacen("<script>'use strict';", "<script>'use strict'; ", 1);
    assert_ne!(html, other);
    folder.write("refused.html", other);
    browser.open(&folder.path().join("refused.html"), VIEWS[0]);
    assert_eq!(browser.run(shown).as_array().unwrap().len() as u64, all.as_u64().unwrap());
    assert_eq!(
        browser.run("return document.querySelector('#wrong form').checkVisibility();"),
        false
    );
    let console = browser.console();
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");
}
