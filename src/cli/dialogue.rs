//! `botops dialogue`.

use super::{Exit, Outcome};
use crate::cli::{
    arguments::{model_arg, share::share_up_to_one},
    session::context::Context,
    terminal::tables,
};
use botops_dialogue::{Coverage, StoryReport};
use botops_findings::{Fault, Result};
use botops_pipelines::{StoryRules, read_dialogue, read_stories, replay, story_findings};
use clap::Subcommand;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The names of intents and branches that the text lists; JSON has all of them.
const SHOWN: usize = 12;

/// Test the dialogue of a bot
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Replay the stories of a dialogue, and show the intents and branches that they reach
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// Model whose dialogue is tested and that classifies the messages, or a dialogue file (.yaml), whose stories state the
    /// intents; default: the champion of the workspace's model
    #[arg(value_name = "MODEL|DIALOGUE")]
    source: Option<String>,
    /// Model that classifies the messages of the stories, with a dialogue file
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// File with more stories, under `tests:`
    #[arg(long, value_name = "FILE")]
    stories: Option<PathBuf>,
    /// Least share of the intents that the stories reach, such as 80% or 0.8
    #[arg(long, value_name = "SHARE", value_parser = share_up_to_one)]
    min_intents: Option<f64>,
    /// Least share of the branches that the stories reach, such as 80% or 0.8
    #[arg(long, value_name = "SHARE", value_parser = share_up_to_one)]
    min_branches: Option<f64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// The dialogue: a file, or the name of a model.
    dialogue: &'a str,
    /// The model that classified the messages; `None` if the stories state the intents.
    model: Option<&'a str>,
    #[serde(flatten)]
    report: &'a StoryReport,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Test(args) => test(args, context),
    }
}

fn test(args: &TestArgs, context: &Context) -> Result<Outcome> {
    let file = args.source.as_deref().filter(|source| is_dialogue(source));
    if let (Some(_), None, source) = (&args.model, file, &args.source) {
        let source = source.as_deref().unwrap_or("the champion");
        return Err(Fault::usage("BOT-1003", format!("`--model` is for a dialogue file, not for {source}"))
            .hint("a model is tested with its own dialogue: leave out `--model`, or name the dialogue file first"));
    }
    let found = match (file, &args.model) {
        (Some(_), None) => None,
        (Some(_), Some(model)) => Some(model_arg::load(context, model)?),
        (None, _) => Some(model_arg::load_or_champion(context, args.source.as_deref())?),
    };
    let (dialogue, name) = match (file, &found) {
        (None, Some(found)) => (found.model.dialogue().clone(), found.name.clone()),
        (file, _) => {
            let path = file.unwrap_or_default();
            (read_dialogue(Path::new(path))?, path.to_owned())
        }
    };
    let more = match &args.stories {
        Some(path) => read_stories(path, &dialogue)?,
        None => Vec::new(),
    };
    let report = replay(found.as_ref().map(|found| &found.model), &dialogue, more)?;
    let rules = StoryRules { min_intents: args.min_intents, min_branches: args.min_branches };
    let findings = story_findings(&report, &rules);
    let model = found.as_ref().map(|found| found.name.as_str());
    let text = format!("{}{}", text(&report, &name, model), tables::findings(&findings, 20));
    let outcome = Outcome::done(&Answer { dialogue: &name, model, report: &report }, text);
    Ok(match findings.is_empty() {
        true => outcome,
        false => outcome.exit(Exit::Gate).findings(findings),
    })
}

/// Returns whether `source` names a dialogue file.
fn is_dialogue(source: &str) -> bool {
    let extension = Path::new(source).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"))
}

/// Renders the stories, the differences, and the coverage.
fn text(report: &StoryReport, name: &str, model: Option<&str>) -> String {
    let with = model
        .filter(|model| *model != name)
        .map_or(String::new(), |model| format!(" with {model}"));
    let n_stories = report.stories.len();
    let mut out =
        format!("{name}{with}: {}\n", tables::counted(n_stories as u64, "story", "stories"));
    let rows = report.stories.iter().map(|story| {
        let verdict = if story.passed { "passed" } else { "failed" };
        vec![story.story.clone(), story.n_turns.to_string(), verdict.to_owned()]
    });
    out.push_str(&tables::table(&["story", "turns", "verdict"], rows, &[1]));
    out.push_str(&covered("intents", &report.intents));
    out.push_str(&covered("branches", &report.branches));
    let failed = report.stories.iter().filter(|story| !story.passed).count();
    out.push_str(&match failed {
        0 => format!("passed: {}\n", tables::counted(n_stories as u64, "story", "stories")),
        failed => format!(
            "failed: {failed} of {}\n",
            tables::counted(n_stories as u64, "story", "stories")
        ),
    });
    out
}

fn covered(name: &str, coverage: &Coverage) -> String {
    let missing: Vec<String> =
        coverage.missing.iter().take(SHOWN).map(|name| botops_text::display(name, 80)).collect();
    let more = match coverage.missing.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let missing = match missing.is_empty() {
        true => String::new(),
        false => format!("; not {}{more}", missing.join(", ")),
    };
    format!("{name}: {} of {}{missing}\n", coverage.covered, coverage.total)
}
