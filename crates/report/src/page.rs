//! The frame of every page: one file, light and dark, for phones, desktops and paper.
//!
//! A page with searchable tables contains one script, which its security policy names by digest. Other pages contain
//! no script.

use super::{
    html::{breakable, escape},
    theme,
};
use crate::search_script;

/// A page under construction. Sections keep the order in which they are added.
#[derive(Debug, Clone)]
pub(super) struct Page {
    kind: String,
    title: String,
    lead: String,
    sections: Vec<Section>,
    footer: String,
}

#[derive(Debug, Clone)]
struct Section {
    id: String,
    title: String,
    html: String,
}

/// The color of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// A good result.
    Good,
    /// A result that needs attention.
    Warning,
    /// A bad result.
    Bad,
    /// None of these.
    Neutral,
}

impl Tone {
    /// Returns its class in the style sheet.
    #[must_use]
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warn",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }
}

impl Page {
    /// Starts a page. `kind` is the small line above `title`; both are plain text.
    #[must_use]
    pub(super) fn new(kind: &str, title: &str) -> Self {
        Self {
            kind: escape(kind),
            title: escape(title),
            lead: String::new(),
            sections: Vec::new(),
            footer: String::new(),
        }
    }

    /// Adds HTML below the title, before the sections.
    #[must_use]
    pub(super) fn lead(mut self, html: &str) -> Self {
        self.lead += html;
        self
    }

    /// Adds a section: `id` is the target of links (letters and hyphens), `title` is plain text, `html` is HTML.
    #[must_use]
    pub(super) fn section(mut self, id: &str, title: &str, html: String) -> Self {
        self.sections.push(Section { id: escape(id), title: escape(title), html });
        self
    }

    /// Sets the HTML at the end of the page: the methods behind the numbers.
    #[must_use]
    pub(super) fn footer(mut self, html: &str) -> Self {
        html.clone_into(&mut self.footer);
        self
    }

    /// Returns the page as HTML.
    #[must_use]
    pub(super) fn render(&self) -> String {
        let Self { kind, title, lead, sections, footer } = self;
        let links: String = sections
            .iter()
            .map(|section| format!("<a href=\"#{}\">{}</a>", section.id, section.title))
            .collect();
        let body: String = sections
            .iter()
            .map(|Section { id, title, html }| {
                format!(
                    "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{html}\n\
                     </section>\n"
                )
            })
            .collect();
        let has_browser = body.contains("<div class=\"browser\"");
        let (policy, script) = if has_browser {
            let script = format!("<script>{}</script>\n", search_script::SCRIPT);
            (format!("; script-src '{}'", search_script::SCRIPT_SHA256), script)
        } else {
            (String::new(), String::new())
        };
        let contents = if sections.len() > 2 {
            format!("<nav aria-label=\"Contents\">{links}</nav>\n")
        } else {
            String::new()
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'{policy}\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"generator\" content=\"botops {version}\">\n\
             <title>{title} · botops {kind}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n\
             <main>\n<header>\n<p class=\"kind\">botops {kind}</p>\n<h1>{}</h1>\n{lead}\n\
             </header>\n{contents}{body}<footer>{footer}</footer>\n</main>\n{script}</body>\n</html>\n",
            theme::css(),
            breakable(title),
            version = env!("CARGO_PKG_VERSION")
        )
    }
}

/// Returns a verdict: a colored box with a bold `word` (plain text) and a `sentence` (HTML).
#[must_use]
pub(super) fn verdict(tone: Tone, word: &str, sentence: &str) -> String {
    format!(
        "<p class=\"verdict {}\"><strong>{}</strong> <span>{sentence}</span></p>",
        tone.class(),
        escape(word)
    )
}

/// Returns a badge: a small colored word.
#[must_use]
pub(super) fn badge(tone: Tone, word: &str) -> String {
    format!("<span class=\"badge {}\">{}</span>", tone.class(), escape(word))
}

/// Returns facts in one line: names (plain text) in a muted color, and values (HTML).
#[must_use]
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{value}</dd></div>", escape(name)))
        .collect();
    format!("<dl class=\"facts\">{facts}</dl>")
}

/// One number of [`cards`].
#[derive(Debug, Clone)]
pub(super) struct Card {
    /// The name of the number.
    pub(super) name: String,
    /// The number, in large type.
    pub(super) value: String,
    /// Its interval or its base, in smaller type.
    pub(super) range: String,
    /// Its meaning, in a few words.
    pub(super) meaning: String,
}

/// Returns the headline numbers of a page as cards.
#[must_use]
pub(super) fn cards(cards: &[Card]) -> String {
    let cards: String = cards
        .iter()
        .map(|card| {
            format!(
                "<div class=\"card\"><h3>{}</h3><p class=\"value\">{}</p><p class=\"range\">{}</p>\
                 <p class=\"meaning\">{}</p></div>",
                escape(&card.name),
                escape(&card.value),
                escape(&card.range),
                escape(&card.meaning)
            )
        })
        .collect();
    format!("<div class=\"cards\">{cards}</div>")
}

/// Wraps wide `html` in a box that scrolls horizontally, also by keyboard.
#[must_use]
pub(super) fn scroll_box(label: &str, html: &str) -> String {
    format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">{html}</div>",
        escape(label)
    )
}

const STYLE: &str = r#"*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:78rem;margin:0 auto;padding:1.75rem 1.25rem 3rem}
header{margin-bottom:1rem}
.kind{margin:0;color:var(--muted);font-size:.875rem}
h1{margin:.1rem 0 .75rem;font-size:1.75rem;line-height:1.2;overflow-wrap:anywhere;text-wrap:balance}
h2{margin:2.5rem 0 .6rem;font-size:1.25rem;line-height:1.3;scroll-margin-top:1rem}
h3{margin:0;font-size:.875rem;font-weight:600}
p{margin:.5rem 0;max-width:70ch}
p,li,dd,summary,td.text{overflow-wrap:anywhere}
td,th{overflow-wrap:break-word}
a{color:var(--accent)}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;background:var(--panel);border-radius:3px;padding:.05em .3em}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;padding:.6rem 0;border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-size:.9375rem}
.quiet,figcaption,footer{color:var(--muted)}
footer{margin-top:3rem;padding-top:.75rem;border-top:1px solid var(--line);font-size:.875rem}
footer p{max-width:90ch}
.facts{display:flex;flex-wrap:wrap;gap:.25rem 1.75rem;margin:.75rem 0;font-size:.9375rem}
.facts div{display:flex;gap:.45rem;align-items:baseline}
.facts dt{color:var(--muted)}
.facts dd{margin:0}
.verdict{max-width:none;margin:.75rem 0;padding:.7rem .9rem;border-left:4px solid var(--muted);background:var(--panel)}
.verdict strong{margin-right:.35rem}
.verdict.good{border-color:var(--good);background:var(--good-soft)}.verdict.good strong{color:var(--good)}
.verdict.warn{border-color:var(--warn);background:var(--warn-soft)}.verdict.warn strong{color:var(--warn)}
.verdict.bad{border-color:var(--bad);background:var(--bad-soft)}.verdict.bad strong{color:var(--bad)}
.verdict code{background:none;padding:0}
.badge{display:inline-block;padding:.05rem .5rem;border-radius:.7rem;font-size:.8125rem;font-weight:600;white-space:nowrap;background:var(--panel);color:var(--muted)}
.badge.good{background:var(--good-soft);color:var(--good)}
.badge.warn{background:var(--warn-soft);color:var(--warn)}
.badge.bad{background:var(--bad-soft);color:var(--bad)}
.good-text{color:var(--good)}.bad-text{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.4rem,1fr));gap:.75rem;margin:1rem 0}
.card{padding:.75rem .9rem;background:var(--panel);border-radius:6px}
.card h3{color:var(--muted)}
.card p{margin:0}
.card .value{font-size:1.75rem;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums}
.card .range{font-size:.875rem;font-variant-numeric:tabular-nums}
.card .meaning{margin-top:.3rem;font-size:.8125rem;line-height:1.35;color:var(--muted)}
.scroll{overflow-x:auto;max-width:100%;padding-bottom:.25rem}
.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;font-size:.9375rem;line-height:1.4}
table.wide{width:100%}
th,td{padding:.38rem 1.4rem .38rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--muted);font-size:.8125rem;vertical-align:bottom}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.chart{padding-top:.45rem}
td.name{min-width:6rem}
td:last-child,th:last-child{padding-right:0}
td.text{min-width:14rem;width:45%}
table.wide td.n{width:1%}
details{margin:.5rem 0;border-bottom:1px solid var(--line);padding-bottom:.5rem}
summary{cursor:pointer;padding:.3rem 0}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,31rem),1fr));gap:1.5rem 2.5rem;align-items:start}
figure{margin:.75rem 0}
figcaption{font-size:.875rem;max-width:70ch;margin-top:.4rem}
svg{display:block}
svg.fluid{width:100%;height:auto}
figure.square{max-width:26rem}
figure.timeline{max-width:46rem}
figure.timeline .scroll svg{min-width:34rem}
figure .scroll svg{min-width:30rem}
.samples{margin:0;padding-left:1.1rem}
figure h3{margin-bottom:.3rem}
details tr:last-child td{border-bottom:0}
.nowrap{white-space:nowrap}
.beside{display:flex;flex-wrap:wrap;gap:1rem 2rem;align-items:flex-start}
.beside>*{min-width:0;max-width:100%}
.beside h3{margin-bottom:.4rem}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink)}
svg .quiet-ink{fill:var(--muted)}
svg .frame{fill:none;stroke:var(--line)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .track{fill:var(--line)}
svg .bar{fill:var(--bar)}
svg .bar-other{fill:var(--bar-other)}
svg .bar-was{fill:var(--bar-was)}
svg .mark{stroke:var(--ink);stroke-width:1.5;fill:none}
svg .mark-fill{fill:var(--ink)}
svg .guide{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:5 4;fill:none}
svg .path{stroke:var(--bar);stroke-width:2.5;fill:none;stroke-linejoin:round}
svg .good-fill{fill:var(--good)}svg .bad-fill{fill:var(--bad)}svg .warn-fill{fill:var(--warn)}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;align-items:center;font-size:.875rem;color:var(--muted);margin:.4rem 0}
.legend span{display:inline-flex;align-items:center;gap:.4rem}
.chips{display:flex;flex-wrap:wrap;gap:.4rem;margin:.5rem 0;padding:0;list-style:none}
.chips li{padding:.1rem .55rem;background:var(--panel);border-radius:4px;font-size:.9375rem}
.chips b{font-weight:400;color:var(--muted);margin-left:.3rem;font-variant-numeric:tabular-nums}
.browser form{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin:.75rem 0;font-size:.875rem;color:var(--muted)}
.browser form[hidden],.browser button[hidden]{display:none}
.browser label{display:inline-flex;gap:.4rem;align-items:center;max-width:100%}
.browser input,.browser select,.browser button{font:inherit;color:var(--ink);background:var(--page);border:1px solid var(--muted);border-radius:4px;padding:.25rem .5rem;min-width:0;max-width:100%}
.browser select{max-width:14rem}
.browser button{cursor:pointer}
.browser :focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
tr[hidden],details[hidden]{display:none!important}
svg a{cursor:pointer}
svg a:hover rect,svg a:focus-visible rect{stroke:var(--ink);stroke-width:2}
@media (max-width:42rem){
main{padding:1.1rem 1rem 2rem}
h1{font-size:1.4rem}
.cards{grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.5rem}
.card{padding:.6rem .7rem}
.card .value{font-size:1.45rem}
table.stack,table.stack tbody,table.stack tr,table.stack td{display:block;width:auto}
table.stack thead{position:absolute;clip-path:inset(50%);height:1px;width:1px;overflow:hidden}
table.stack tr{padding:.55rem 0;border-bottom:1px solid var(--line)}
table.stack td{border:0;padding:.1rem 0;display:grid;grid-template-columns:6.5rem 1fr;gap:.5rem;text-align:left;white-space:normal}
table.stack td::before{content:attr(data-label);color:var(--muted);font-size:.8125rem}
table.stack td.n{width:auto}
table.stack td.text{display:block;width:auto}
table.stack td.text::before{display:none}
}
@media print{
body{font-size:11px}
main{max-width:none;padding:0}
nav,.browser form{display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.scroll{overflow:visible}
.scroll svg{max-width:100%;height:auto}
tr,figure,.card,.verdict{break-inside:avoid}
h2{break-after:avoid}
details::details-content{content-visibility:visible;block-size:auto}
table{font-size:10px}
th,td{padding-top:.12rem;padding-bottom:.12rem}
}
"#;
