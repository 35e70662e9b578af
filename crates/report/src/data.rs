//! The page of a profile: balance, lengths, languages and columns of a data set, also before and after a change.

use super::{
    charts::{Series, change_bar, histogram, legend},
    html::quoted,
    page::{Card, Page, cards, facts, scroll_box},
    table::{Column, Narrow, table},
    wording::{count, counted, of, percent, trimmed},
};
use botops_labels::OOS;
use botops_profile::{
    Balance, ColumnProfile, IntentProfile, LengthBin, Lengths, Profile, ProfileChange, TextProfile,
    UNTOLD,
};
use botops_text::base_language;
use std::collections::{BTreeMap, BTreeSet};

/// The most rows of a table. The JSON contains the rest.
const MOST_ROWS: usize = 400;

/// The most languages with their own column.
const MOST_LANGUAGES: usize = 4;

/// Returns the page of `profile`, compared with the profile `before` if there is one.
#[must_use]
pub fn profile_html(profile: &Profile, before: Option<&Profile>) -> String {
    let sides = Sides { before, after: profile, names: ["before", "now"], is_part: false };
    let mut page = Page::new("profile", &format!("Profile of {}", profile.name));
    if let Some(before) = before {
        page = page.lead(&facts(&[("before", quoted(&before.name, 120))]));
    }
    page = page.lead(&cards(&headline(profile, before)));
    fill(page, &sides).footer(FOOTER).render()
}

/// The methods behind the numbers.
pub(super) const FOOTER: &str = "<p>Words and characters are counted in texts that are not empty; quantiles use linear \
     interpolation. The bins of lengths are the same for every data set and become wider to the right. \
     “As wide as” is e to the entropy of the intents’ shares. English and French are detected by their function words; \
     “untold” is a text of unknown language. Examples are chosen by their digests, and personal data in them \
     is replaced.</p>";

/// The profiles of a page: one, or two to compare.
pub(super) struct Sides<'a> {
    before: Option<&'a Profile>,
    after: &'a Profile,
    /// The names of the two profiles.
    names: [&'static str; 2],
    /// Whether `after` is a part of `before`. Then histograms compare counts, else shares.
    is_part: bool,
}

impl<'a> Sides<'a> {
    /// Returns the profiles of a validation: the records read and the records accepted.
    pub(super) fn of_validation(profiles: &'a ProfileChange) -> Self {
        let has_change = profiles.before.records != profiles.after.records;
        Self {
            before: has_change.then_some(&profiles.before),
            after: if has_change { &profiles.after } else { &profiles.before },
            names: ["read", "accepted"],
            is_part: true,
        }
    }

    fn legend(&self) -> String {
        let [before, after] = self.names;
        legend(&[("bar-was", before.to_owned()), ("bar", after.to_owned())])
    }

    fn text_before(&self) -> Option<&'a TextProfile> {
        self.before.and_then(|profile| profile.text.as_ref())
    }
}

/// Returns `page` with the sections of a profile.
pub(super) fn fill(mut page: Page, sides: &Sides<'_>) -> Page {
    if let Some(text) = &sides.after.text {
        if !text.intents.is_empty() || sides.text_before().is_some_and(|t| !t.intents.is_empty()) {
            page = page.section("balance", "Class balance", balance(sides, text));
        }
        page = page.section("lengths", "Lengths", lengths(sides, text)).section(
            "languages",
            "Languages",
            languages(sides, text),
        );
        if !text.intents.is_empty() {
            page = page.section("samples", "Examples", samples(text));
        }
    }
    page.section("columns", "Columns", columns(sides.after))
}

fn headline(profile: &Profile, before: Option<&Profile>) -> Vec<Card> {
    let card = |name: &str, value: String, range: String, meaning: &str| Card {
        name: name.to_owned(),
        value,
        range,
        meaning: meaning.to_owned(),
    };
    let mut out = vec![card(
        "records",
        count(profile.records),
        before.map_or_else(String::new, |before| format!("{} before", count(before.records))),
        "in the data",
    )];
    if let Some(text) = &profile.text {
        if let Some(Balance { intents, ratio, effective }) = text.balance {
            out.push(card(
                "intents",
                count(intents),
                format!("as wide as {effective:.1}"),
                "without out of scope; as wide as that many intents of one size",
            ));
            out.push(card(
                "imbalance",
                format!("{ratio:.1}"),
                String::new(),
                "records of the largest intent divided by those of the smallest",
            ));
        }
        out.push(card(
            "words per text",
            trimmed(text.words.median),
            format!("{} to {}", trimmed(text.words.p05), trimmed(text.words.p95)),
            "median; 90 % of the texts are in the range",
        ));
        let mismatched = mismatched(text);
        out.push(card(
            "other language",
            count(mismatched),
            String::new(),
            "records whose text is in another language than declared",
        ));
    }
    let personal: u64 = profile.columns.iter().map(|column| column.personal).sum();
    out.push(card("personal data", count(personal), String::new(), "cells that contain some"));
    out
}

/// Returns the number of records whose text looks like another language than the declared one.
fn mismatched(text: &TextProfile) -> u64 {
    let declared = text.languages.iter().filter(|(declared, _)| *declared != UNTOLD);
    declared
        .flat_map(|(declared, guessed)| {
            let declared = base_language(declared);
            guessed.iter().filter(move |(guess, _)| *guess != declared && *guess != UNTOLD)
        })
        .map(|(_, n)| n)
        .sum()
}

fn balance(sides: &Sides<'_>, text: &TextProfile) -> String {
    let none = IntentProfile::default();
    let before = sides.text_before();
    let rows = text.intents_beside(before);
    let most = rows.iter().flat_map(|(_, records)| *records).max().unwrap_or(0);
    let languages = text.frequent_languages(MOST_LANGUAGES);
    let mut columns = vec![("intent", Column::Name)];
    if sides.before.is_some() {
        columns.push((sides.names[0], Column::Number));
    }
    columns.push((if sides.before.is_some() { sides.names[1] } else { "records" }, Column::Number));
    if sides.before.is_some() {
        columns.push(("change", Column::Number));
    }
    columns.push(("", Column::Chart));
    columns.extend(languages.iter().map(|language| (*language, Column::Number)));
    columns.push(("median words", Column::Number));
    let n_intents = rows.len();
    let rows = rows.into_iter().take(MOST_ROWS).map(|(name, [old, new])| {
        let intent = text.intents.get(name).unwrap_or(&none);
        let old = before.map(|_| old);
        let mut cell = quoted(name, 80);
        if name == OOS {
            cell += " <span class=\"quiet\">out of scope</span>";
        }
        let mut row = vec![cell];
        row.extend(old.map(count));
        row.push(count(new));
        row.extend(old.map(|old| change(old, new)));
        row.push(change_bar(old, new, most, sides.names));
        row.extend(
            languages
                .iter()
                .map(|language| count(intent.languages.get(*language).copied().unwrap_or(0))),
        );
        row.push(trimmed(intent.median_words));
        row
    });
    let legend = if sides.before.is_some() {
        format!(
            "<p class=\"quiet\">Languages, medians, examples and columns describe the {} records.</p>{}",
            if sides.is_part { "accepted" } else { "current" },
            sides.legend()
        )
    } else {
        String::new()
    };
    let left_out = match n_intents.checked_sub(MOST_ROWS) {
        Some(more) if more > 0 => {
            format!(
                "<p class=\"quiet\">{} smaller intents are in the JSON.</p>",
                count(more as u64)
            )
        }
        _ => String::new(),
    };
    format!(
        "{}{legend}{}{left_out}",
        spread(text, before),
        table("Records by intent", Narrow::Scroll, &columns, rows)
    )
}

/// Returns the balance of the intents in words.
fn spread(text: &TextProfile, before: Option<&TextProfile>) -> String {
    let Some(Balance { intents, ratio, effective }) = text.balance else { return String::new() };
    let was = before.and_then(|text| text.balance).map_or_else(String::new, |was| {
        format!(
            " Before, it had {:.1} times, and they were as wide as {:.1}.",
            was.ratio, was.effective
        )
    });
    let unlabelled = match text.unlabelled {
        0 => String::new(),
        n => format!(" {} no intent.", counted(n, "record has", "records have")),
    };
    format!(
        "<p>The largest of {} has {ratio:.1} times the records of the smallest; together they are as wide as \
         {effective:.1} of one size.{was}{unlabelled}</p>",
        counted(intents, "intent", "intents")
    )
}

/// Writes the change of a count with its sign.
fn change(before: u64, after: u64) -> String {
    match after.cmp(&before) {
        std::cmp::Ordering::Equal => "0".to_owned(),
        std::cmp::Ordering::Less => format!("−{}", count(before - after)),
        std::cmp::Ordering::Greater => format!("+{}", count(after - before)),
    }
}

fn lengths(sides: &Sides<'_>, text: &TextProfile) -> String {
    let before = sides.text_before();
    let drawing = |title: &str, of: Kind| {
        let now: Vec<u64> = of(text).bins.iter().map(|bin| bin.n).collect();
        let old: Option<Vec<u64>> =
            before.map(|text| of(text).bins.iter().map(|bin| bin.n).collect());
        let labels: Vec<String> = of(text).bins.iter().map(label).collect();
        let name = |at: usize| sides.names[at];
        let mut series = Vec::new();
        if let Some(old) = &old {
            series.push(Series { name: name(0), class: "bar-was", counts: old });
        }
        let name_now = if old.is_some() { name(1) } else { "records" };
        series.push(Series { name: name_now, class: "bar", counts: &now });
        let by_share = old.is_some() && !sides.is_part;
        format!(
            "<figure><h3>{title}</h3>{}</figure>",
            scroll_box(
                title,
                &histogram(&format!("{title}, by length"), &labels, &series, by_share, None)
            )
        )
    };
    let mut rows = Vec::new();
    for (unit, of) in KINDS {
        for (name, text) in [(sides.names[0], before), (sides.names[1], Some(text))] {
            let Some(text) = text else { continue };
            let Lengths { min, p05, median, p95, max, mean, .. } = of(text);
            let side = if before.is_some() { format!(", {name}") } else { String::new() };
            let mut row = vec![format!("{unit}{side}")];
            row.extend([min, p05, median, p95, max].map(|value| trimmed(*value)));
            row.push(format!("{mean:.1}"));
            rows.push(row);
        }
    }
    let columns = [
        ("", Column::Name),
        ("shortest", Column::Number),
        ("5 %", Column::Number),
        ("median", Column::Number),
        ("95 %", Column::Number),
        ("longest", Column::Number),
        ("mean", Column::Number),
    ];
    let empty = match text.empty {
        0 => String::new(),
        n => format!("<p>{} empty.</p>", counted(n, "text is", "texts are")),
    };
    let legend = if before.is_some() { sides.legend() } else { String::new() };
    format!(
        "{empty}{legend}<div class=\"columns\">{}{}</div>{}",
        drawing("Words per text", |text| &text.words),
        drawing("Characters per text", |text| &text.chars),
        table("Lengths", Narrow::Scroll, &columns, rows)
    )
}

/// Returns the lengths of one kind from a profile.
type Kind = fn(&TextProfile) -> &Lengths;

/// The units of lengths.
const KINDS: [(&str, Kind); 2] =
    [("words", |text| &text.words), ("characters", |text| &text.chars)];

/// Returns the label of a bin: ≤ 2, 7, 11–12, ≥ 500.
fn label(bin: &LengthBin) -> String {
    match bin.to {
        None => format!("≥ {}", bin.from),
        Some(to) if bin.from == 0 => format!("≤ {to}"),
        Some(to) if to == bin.from => to.to_string(),
        Some(to) => format!("{}–{to}", bin.from),
    }
}

fn languages(sides: &Sides<'_>, text: &TextProfile) -> String {
    let guessed = text.guessed();
    let total = |of: &BTreeMap<String, u64>| of.values().sum::<u64>();
    let before = sides.text_before();
    let mut names: Vec<&String> = before
        .iter()
        .flat_map(|text| text.languages.keys())
        .chain(text.languages.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let none = BTreeMap::new();
    let now = |name: &String| text.languages.get(name).unwrap_or(&none);
    names.sort_by(|a, b| total(now(b)).cmp(&total(now(a))).then(a.cmp(b)));
    let mut columns = vec![("declared", Column::Name)];
    let heads: Vec<String> = guessed.iter().map(|name| format!("reads as {name}")).collect();
    if before.is_some() {
        columns.push((sides.names[0], Column::Number));
    }
    columns.push((if before.is_some() { sides.names[1] } else { "records" }, Column::Number));
    columns.extend(heads.iter().map(|head| (head.as_str(), Column::Number)));
    let rows = names.into_iter().take(MOST_ROWS).map(|name| {
        let of = now(name);
        let mut row = vec![quoted(name, 40)];
        row.extend(before.map(|text| count(text.languages.get(name).map_or(0, total))));
        row.push(count(total(of)));
        row.extend(guessed.iter().map(|language| {
            let n = of.get(*language).copied().unwrap_or(0);
            let is_other =
                *language != base_language(name) && *language != UNTOLD && name != UNTOLD && n > 0;
            let cell = if is_other { format!("<strong>{}</strong>", count(n)) } else { count(n) };
            format!(
                "{cell} <span class=\"quiet\">{}</span>",
                percent(n as f64 / total(of).max(1) as f64)
            )
        }));
        row
    });
    let n = mismatched(text);
    let mismatches = if n == 0 {
        "<p>No text reads as another language than declared.</p>".to_owned()
    } else {
        format!(
            "<p>{} as another language than declared.</p>",
            counted(n, "text reads", "texts read")
        )
    };
    format!("{mismatches}{}", table("Records by language", Narrow::Scroll, &columns, rows))
}

fn samples(text: &TextProfile) -> String {
    let intents = text.intents.iter().filter(|(_, intent)| intent.records > 0);
    let boxes: String = intents
        .take(MOST_ROWS)
        .map(|(name, intent)| {
            let lines: String = intent
                .samples
                .iter()
                .map(|line| format!("<li>{}</li>", quoted(line, 160)))
                .collect();
            format!("<div><h3>{}</h3><ul class=\"samples\">{lines}</ul></div>", quoted(name, 80))
        })
        .collect();
    format!("<div class=\"columns\">{boxes}</div>")
}

fn columns(profile: &Profile) -> String {
    let rows = profile.columns.iter().take(MOST_ROWS).map(|column| {
        let ColumnProfile { name, role, filled, empty, kind, personal, .. } = column;
        let mut name = quoted(name, 60);
        if let Some(role) = role {
            name += &format!(" <span class=\"badge\">{role}</span>");
        }
        vec![
            name,
            kind.clone(),
            of(*filled, filled + empty),
            format!("<span class=\"nowrap\">{}</span>", values(column)),
            range(column),
            if *personal > 0 { count(*personal) } else { String::new() },
            column
                .top
                .iter()
                .map(|(value, n)| {
                    format!("{} <span class=\"quiet\">{}</span>", quoted(value, 40), count(*n))
                })
                .collect::<Vec<_>>()
                .join(", "),
        ]
    });
    let columns = [
        ("column", Column::Name),
        ("type", Column::Plain),
        ("filled", Column::Number),
        ("distinct values", Column::Plain),
        ("range", Column::Plain),
        ("personal data", Column::Number),
        ("most frequent", Column::Text),
    ];
    let left_out = match profile.columns.len().checked_sub(MOST_ROWS) {
        Some(more) if more > 0 => {
            format!("<p class=\"quiet\">{} more columns are in the JSON.</p>", count(more as u64))
        }
        _ => String::new(),
    };
    format!("{}{left_out}", table("Columns", Narrow::Stack, &columns, rows))
}

fn values(column: &ColumnProfile) -> String {
    let n = column.distinct.map_or_else(|| "&gt; 200".to_owned(), count);
    if column.unique && column.filled > 1 { format!("{n}, all unique") } else { n }
}

fn range(column: &ColumnProfile) -> String {
    match (&column.min, &column.max) {
        (Some(min), Some(max)) => format!("{} to {}", quoted(min, 40), quoted(max, 40)),
        _ if column.filled == 0 => String::new(),
        _ => format!(
            "<span class=\"nowrap\">{} to {} characters</span>",
            count(column.shortest),
            count(column.longest)
        ),
    }
}
