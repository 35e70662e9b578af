//! `botops data profile`.

mod arguments;
mod written;

pub(super) use arguments::Args;

use crate::cli::{Outcome, arguments::data_source, session::context::Context, terminal::tables};
use botops_datasets::{Presence, ReadOptions};
use botops_findings::Result;
use botops_profile::{IntentProfile, Lengths, Profile, TextProfile, UNTOLD};
use botops_report as report;
use botops_text::{counted, display};
use serde::Serialize;
use std::path::Path;
use written::Profiles;

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    profile: &'a Profile,
    before: Option<&'a Profile>,
    html: Option<String>,
    /// The profile for `botops drift`.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
}

/// The most rows of a table; the JSON has all.
const MOST_ROWS: usize = 60;
/// The most languages with a column of their own.
const MOST_LANGUAGES: usize = 4;

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let inputs = [Some(args.data.as_path()), args.against.as_deref()];
    let page = args.page();
    page.check(&inputs)?;
    let written = Profiles::read(args, context)?;
    if let Some(outcome) = written.as_ref().map(Profiles::in_parts).transpose()?.flatten() {
        return Ok(outcome);
    }
    let options =
        ReadOptions { text: Presence::Optional, ..args.columns.options(Presence::Optional) };
    let read = |path: &Path| match data_source::reference(path) {
        None => botops_profile::profile(path, &options),
        Some(_) => {
            let source = data_source::read(context, path)?;
            botops_profile::profile_bytes(source.bytes, &source.name, &options)
        }
    };
    let before = args.against.as_deref().map(read).transpose()?;
    let profile = read(&args.data)?;
    let html = page.write(|| report::profile_html(&profile, before.as_ref()))?;
    let mut text = text(&profile, before.as_ref());
    if context.printer.is_markdown() {
        text = report::profile_markdown(&profile, before.as_ref());
    } else if let Some(path) = &args.html {
        let verb = if args.dry_run { "would write" } else { "wrote" };
        text.push_str(&format!("\n{verb} {}\n", path.shown()));
    }
    let out = written.map_or(Ok(None), |written| written.write())?;
    if let Some(file) = &out
        && !context.printer.is_markdown()
    {
        text.push_str(&format!("\nwrote {file}\n"));
    }
    let answer = Answer { profile: &profile, before: before.as_ref(), html, out };
    let outcome = Outcome::done(&answer, text);
    let data = args.data.display().to_string();
    Ok(match args.html {
        Some(_) => outcome.next(args.columns.line(["botops", "validate", &data])),
        None => {
            let against = args.against.as_ref().map(|path| path.display().to_string());
            let mut words = vec!["botops", "data", "profile", &data];
            words.extend(against.iter().flat_map(|path| ["--against", path.as_str()]));
            words.extend(["--html", "profile.html"]);
            outcome.next(args.columns.line(words))
        }
    })
}

fn text(profile: &Profile, before: Option<&Profile>) -> String {
    let was = before
        .map_or_else(String::new, |before| format!(", {} before", tables::count(before.records)));
    let mut out = format!(
        "{}: {}{was}\n",
        profile.name,
        tables::counted(profile.records, "record", "records")
    );
    if let Some(text) = &profile.text {
        let before = before.and_then(|before| before.text.as_ref());
        if let Some(balance) = text.balance {
            out.push_str(&format!(
                "{} intents, as wide as {:.1} of one size; the largest has {:.1} times the records of the smallest\n",
                tables::count(balance.intents),
                balance.effective,
                balance.ratio
            ));
        }
        out.push('\n');
        out.push_str(&intents(text, before));
        out.push('\n');
        out.push_str(&lengths(text, before));
        out.push('\n');
        out.push_str(&languages(text));
    }
    out.push('\n');
    out.push_str(&columns(profile));
    out
}

fn intents(text: &TextProfile, before: Option<&TextProfile>) -> String {
    let none = IntentProfile::default();
    let found = text.intents_beside(before);
    if found.is_empty() {
        return "no record has an intent\n".to_owned();
    }
    let languages = text.frequent_languages(MOST_LANGUAGES);
    let mut header = vec!["intent"];
    if before.is_some() {
        header.extend(["before", "now", "change"]);
    } else {
        header.push("records");
    }
    header.extend(&languages);
    header.push("median words");
    let n = found.len();
    let rows =
        found.into_iter().take(MOST_ROWS).map(|(name, [was, is])| {
            let intent = text.intents.get(name).unwrap_or(&none);
            let mut row = vec![display(name, 40)];
            if before.is_some() {
                row.push(tables::count(was));
            }
            row.push(tables::count(is));
            if before.is_some() {
                row.push(format!("{:+}", i128::from(is) - i128::from(was)));
            }
            row.extend(languages.iter().map(|language| {
                tables::count(intent.languages.get(*language).copied().unwrap_or(0))
            }));
            row.push(intent.median_words.to_string());
            row
        });
    let numbers: Vec<usize> = (1..header.len()).collect();
    let mut out = tables::table(&header, rows, &numbers);
    if n > MOST_ROWS {
        out.push_str(&format!("and {} smaller intents (`--format json` has all)\n", n - MOST_ROWS));
    }
    if text.unlabelled > 0 {
        let unlabelled = counted(text.unlabelled, "record has", "records have");
        out.push_str(&format!("{unlabelled} no intent\n"));
    }
    out
}

fn lengths(text: &TextProfile, before: Option<&TextProfile>) -> String {
    let mut rows = Vec::new();
    for (unit, of) in [
        ("words", (|text| &text.words) as fn(&TextProfile) -> &Lengths),
        ("characters", |text| &text.chars),
    ] {
        for (side, text) in [(" before", before), ("", Some(text))] {
            let Some(text) = text else { continue };
            let Lengths { min, p05, median, p95, max, mean, .. } = of(text);
            let mut row = vec![format!("{unit}{side}")];
            row.extend([min, p05, median, p95, max].map(|value| format!("{value:.1}")));
            row.push(format!("{mean:.1}"));
            rows.push(row);
        }
    }
    let header = ["a text has", "least", "5 %", "median", "95 %", "most", "mean"];
    let mut out = tables::table(&header, rows, &[1, 2, 3, 4, 5, 6]);
    if text.empty > 0 {
        out.push_str(&format!("{} empty\n", counted(text.empty, "text is", "texts are")));
    }
    out
}

fn languages(text: &TextProfile) -> String {
    let guessed = text.guessed();
    let heads: Vec<String> = guessed.iter().map(|name| format!("reads as {name}")).collect();
    let mut header = vec!["declared", "records"];
    header.extend(heads.iter().map(String::as_str));
    let rows = text.languages.iter().take(MOST_ROWS).map(|(declared, of)| {
        let name = if declared == UNTOLD { "(none)".to_owned() } else { display(declared, 40) };
        let mut row = vec![name, tables::count(of.values().sum())];
        row.extend(guessed.iter().map(|name| tables::count(of.get(*name).copied().unwrap_or(0))));
        row
    });
    let numbers: Vec<usize> = (1..header.len()).collect();
    tables::table(&header, rows, &numbers)
}

fn columns(profile: &Profile) -> String {
    let rows = profile.columns.iter().take(MOST_ROWS).map(|column| {
        let range = match (&column.min, &column.max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            _ if column.filled == 0 => String::new(),
            _ => format!("{} to {} characters", column.shortest, column.longest),
        };
        vec![
            display(&column.name, 40),
            column.role.clone().unwrap_or_default(),
            column.kind.clone(),
            tables::count(column.empty),
            column.distinct.map_or_else(|| "> 200".to_owned(), tables::count),
            range,
            tables::count(column.personal),
        ]
    });
    let header = ["column", "role", "type", "empty", "different", "range", "personal data"];
    let mut out = tables::table(&header, rows, &[3, 4, 6]);
    if profile.columns.len() > MOST_ROWS {
        out.push_str(&format!(
            "and {} more columns (`--format json` has all)\n",
            profile.columns.len() - MOST_ROWS
        ));
    }
    out
}
