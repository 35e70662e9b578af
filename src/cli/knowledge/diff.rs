//! `botops knowledge diff`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_findings::{Fault, Result};
use botops_knowledge::store::{KnowledgeDiff, KnowledgeReference};
use botops_text as text;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Version before, such as help@1
    before: String,
    /// Version after, such as help@2 or help@latest
    after: String,
    /// Show at most N documents of each kind of change
    #[arg(long, value_name = "N", default_value_t = 20)]
    samples: usize,
}

#[derive(Serialize)]
struct Answer<'a> {
    before: String,
    after: String,
    #[serde(flatten)]
    diff: &'a KnowledgeDiff,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let before: KnowledgeReference = args.before.parse()?;
    let after: KnowledgeReference = args.after.parse()?;
    let store = context.knowledge()?;
    let (before, after, diff) = context.wait(async {
        let before = store.resolve(&before).await?;
        let after = store.resolve(&after).await?;
        let diff = store.diff(&before, &after).await?;
        Ok::<_, Fault>((before, after, diff))
    })??;
    let answer = Answer { before: before.reference(), after: after.reference(), diff: &diff };
    Ok(Outcome::done(&answer, show(&answer, args.samples)))
}

fn show(answer: &Answer<'_>, samples: usize) -> String {
    let Answer { before, after, diff } = answer;
    let mut out = format!(
        "{before} -> {after}: {} added, {} changed, {} removed, {} unchanged\n",
        diff.added.len(),
        diff.changed.len(),
        diff.removed.len(),
        tables::count(diff.unchanged)
    );
    if !diff.settings.is_empty() {
        out.push_str(&format!("settings that differ: {}\n", diff.settings.join(", ")));
    }
    list(&mut out, "+", &diff.added, samples);
    list(&mut out, "-", &diff.removed, samples);
    for file in diff.changed.iter().take(samples) {
        out.push_str(&format!(
            "~ {}: {} of its passages stay\n",
            text::display(&file.id, 120),
            tables::count(file.passages_kept)
        ));
        let sections = [("-", &file.passages_removed), ("+", &file.passages_added)];
        for (sign, sections) in sections {
            for section in sections.iter().take(samples) {
                let section = match section.is_empty() {
                    true => "(at the top)".to_owned(),
                    false => text::display(section, 120),
                };
                out.push_str(&format!("    {sign} {section}\n"));
            }
            more(&mut out, "    ", sections.len(), samples);
        }
    }
    more(&mut out, "", diff.changed.len(), samples);
    out
}

fn list(out: &mut String, sign: &str, files: &[String], samples: usize) {
    for file in files.iter().take(samples) {
        out.push_str(&format!("{sign} {}\n", text::display(file, 120)));
    }
    more(out, "", files.len(), samples);
}

fn more(out: &mut String, indent: &str, n: usize, samples: usize) {
    if n > samples {
        out.push_str(&format!("{indent}... and {} more\n", n - samples));
    }
}
