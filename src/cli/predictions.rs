//! `botops predictions`.

mod answers;
mod compaction;
mod exporting;
mod filter_args;
mod log;
mod text;
mod verdict_file;

use self::{
    answers::{Counted, CountedRow, Forgotten, Recorded, Tail},
    filter_args::FilterArgs,
    log::{log, nothing},
};
use super::Outcome;
use crate::cli::{
    arguments::output_args::ReasonArg,
    serve::identity_key,
    session::{context::Context, provenance},
};
use botops_conversations::{Conversations, ErasureAct, Names};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_predictions::{
    GroupKey, Query, Record, SourceClass, Verdict, Verdicts, forget, hours, record_verdicts,
    resolve, stored_verdicts, stray_folders, unknown_messages, wrong_clocks,
};
use botops_registry::check_author;
use botops_stats::intervals::wilson;
use botops_text::shell_line;
use std::{collections::VecDeque, path::PathBuf};

/// The level of the intervals.
const LEVEL: f64 = 0.95;
/// The records of an hour that `tail` holds before it drops the older ones.
const MOST_AT_ONCE: usize = 1_000;

/// Inspect, compact and erase what servers logged about their predictions
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the newest records
    Tail(TailArgs),
    /// Count records in groups, with their accuracy where verdicts are known
    Query(QueryArgs),
    /// Write records to a file
    Export(exporting::ExportArgs),
    /// Make one Parquet file of the segments of each hour that is over
    Compact(compaction::CompactArgs),
    /// Record verdicts: the true intents of messages, from a file
    Feedback(FeedbackArgs),
    /// Erase the records of a conversation
    Forget(ForgetArgs),
}

#[derive(Debug, clap::Args)]
struct TailArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Show at most N records
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Debug, clap::Args)]
struct QueryArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Group by day, hour, intent, arm, model, language, endpoint or fallback, separated by commas
    #[arg(long, value_name = "KEYS", value_delimiter = ',', default_value = "day")]
    by: Vec<String>,
    /// Count accuracy from the verdicts of these sources, separated by commas
    #[arg(
        long,
        value_name = "SOURCES",
        value_enum,
        value_delimiter = ',',
        default_value = "reviewers"
    )]
    accuracy_of: Vec<AccuracyOf>,
}

/// The sources of verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AccuracyOf {
    /// Reviewers, whose verdicts are labels
    Reviewers,
    /// Persons who took a conversation over
    Agents,
    /// Users of the bot
    Users,
}

impl AccuracyOf {
    fn source(self) -> SourceClass {
        match self {
            Self::Reviewers => SourceClass::Reviewer,
            Self::Agents => SourceClass::Agent,
            Self::Users => SourceClass::EndUser,
        }
    }
}

#[derive(Debug, clap::Args)]
struct FeedbackArgs {
    /// Verdicts, one JSON object a line, or `-` for standard input: request_id, intent or satisfaction, and if need be index, time, source
    file: PathBuf,
    /// Check, but record nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct ForgetArgs {
    /// Conversation: the id that the client gave it, or its name in the log
    #[arg(long, value_name = "ID")]
    conversation: String,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, and show what would be erased, but erase nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Tail(args) => tail(args, context),
        Verb::Query(args) => query(args, context),
        Verb::Export(args) => exporting::run(args, context),
        Verb::Compact(args) => compaction::run(args, context),
        Verb::Feedback(args) => feedback(args, context),
        Verb::Forget(args) => forgetting(args, context),
    }
}

fn tail(args: &TailArgs, context: &Context) -> Result<Outcome> {
    let filter = args.filter.filter(provenance::now()?)?;
    let (store, environment) = log(context)?;
    let mut newest: VecDeque<Record> = VecDeque::new();
    let limit = args.limit as usize;
    let findings = context.wait(async {
        // From the newest hour back, until there are enough.
        let mut found = Vec::new();
        for hour in hours(&store, environment, None, None).await?.into_iter().rev() {
            let mut records = Vec::new();
            found.extend(
                hour.records(&store, |record| {
                    if filter.passes(&record) {
                        records.push(record);
                        if records.len() >= MOST_AT_ONCE.max(2 * limit) {
                            keep_newest(&mut records, limit);
                        }
                    }
                })
                .await?,
            );
            keep_newest(&mut records, limit);
            for record in records.into_iter().rev().take(limit - newest.len()) {
                newest.push_front(record);
            }
            if newest.len() == limit {
                break;
            }
        }
        Ok::<Vec<Finding>, Fault>(found)
    })??;
    if newest.is_empty() {
        return Err(nothing(environment));
    }
    let answer = Tail { environment, records: newest.into() };
    let text = text::with_findings(text::tail(&answer), &findings);
    Ok(Outcome::done(&answer, text).findings(findings))
}

/// Sorts the records by their times, and leaves the newest `limit`.
fn keep_newest(records: &mut Vec<Record>, limit: usize) {
    records.sort_by_key(|record| record.at);
    records.drain(..records.len().saturating_sub(limit));
}

fn query(args: &QueryArgs, context: &Context) -> Result<Outcome> {
    let by = args.by.iter().map(|name| GroupKey::of(name.trim())).collect::<Result<Vec<_>>>()?;
    let now = provenance::now()?;
    let filter = args.filter.filter(now)?;
    let (store, environment) = log(context)?;
    let question = Query { filter, by };
    let sources: Vec<SourceClass> = args.accuracy_of.iter().map(|it| it.source()).collect();
    let (answered, verdicts, clocks, not_counted) = context.wait(async {
        let mut clocks = Vec::from_iter(wrong_clocks(&store, environment, now).await?);
        clocks.extend(stray_folders(&store, environment).await?);
        let (stored, findings) = stored_verdicts(&store, environment).await?;
        let (counted, others): (Vec<Verdict>, Vec<Verdict>) =
            stored.into_iter().partition(|verdict| sources.contains(&verdict.source));
        let verdicts = Verdicts { findings, ..resolve(counted) };
        let answered = question.answer(&store, environment, &verdicts).await?;
        let not_counted = others.iter().filter(|verdict| verdict.intent.is_some()).count();
        Ok::<_, Fault>((answered, verdicts, clocks, not_counted as u64))
    })??;
    if answered.n == 0 {
        return Err(nothing(environment));
    }
    let rows = answered.rows.into_iter().map(|row| {
        let accuracy = (row.judged > 0).then(|| row.right as f64 / row.judged as f64);
        let interval = (row.judged > 0).then(|| wilson(row.right, row.judged, LEVEL));
        CountedRow { row, accuracy, interval }
    });
    let answer = Counted {
        environment,
        by: args.by.iter().map(|name| name.trim()).collect(),
        n: answered.n,
        contradicted: verdicts.contradicted,
        not_counted,
        label_delay: answered.label_delay,
        unknown_verdicts: answered.unknown_verdicts,
        rows: rows.collect(),
    };
    let Verdicts { mut findings, .. } = verdicts;
    findings.extend(answered.findings);
    findings.extend(clocks);
    let text = text::with_findings(text::counted(&answer), &findings);
    Ok(Outcome::done(&answer, text).findings(findings))
}

fn feedback(args: &FeedbackArgs, context: &Context) -> Result<Outcome> {
    let now = provenance::now()?;
    let read = verdict_file::read(&args.file, now)?;
    let (store, environment) = log(context)?;
    let registry = context.registry()?;
    let (verdicts, unknown) = context.wait(async {
        verdict_file::check_intents(&registry, &read, &args.file).await?;
        let verdicts: Vec<Verdict> = read.into_iter().map(|(_, verdict)| verdict).collect();
        let unknown = unknown_messages(&store, environment, &verdicts).await?;
        if !args.dry_run {
            record_verdicts(&store, environment, &verdicts, now).await?;
        }
        Ok::<_, Fault>((verdicts, unknown))
    })??;
    let findings: Vec<Finding> = unknown.first().into_iter().map(|(id, index)| {
        let shown = botops_text::display(id, 60);
        let message = format!(
            "{} of the messages are not in the log of `{environment}`, such as the text {index} of the request `{shown}`",
            unknown.len()
        );
        let help = "they are recorded, and count once their records are in the store";
        let place = Place { file: Some(args.file.display().to_string()), ..Place::default() };
        Finding::new("BOT-6215", Severity::Warning, message, help).at(place)
    }).collect();
    let (verdicts, unknown) = (verdicts.len(), unknown.len());
    let answer = Recorded { environment, verdicts, unknown, dry_run: args.dry_run };
    let text = text::with_findings(text::recorded(&answer), &findings);
    let query = shell_line(["botops", "predictions", "query", "--by", "intent"]);
    Ok(Outcome::done(&answer, text).findings(findings).next(query))
}

fn forgetting(args: &ForgetArgs, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let by = context.claimed()?.label();
    let reason = &args.reason.reason;
    check_author(&by, reason)?;
    let at = provenance::now()?;
    let key = identity_key::existing(workspace)?;
    let old = workspace.old_identity_key.value.resolve()?;
    let old = old.as_ref().map(|old| old.expose().as_bytes());
    let ids = Names::new(key.expose().as_bytes(), old).conversations(&args.conversation);
    let names = ids.iter().map(ToString::to_string).collect();
    let (store, environment) = log(context)?;
    let done = context.wait(async {
        let dry = forget(&store, environment, &names, true).await?;
        if args.dry_run || dry.records == 0 {
            return Ok::<_, Fault>(dry);
        }
        let act = ErasureAct { by: &by, reason, at };
        let erasure = Conversations::begin_erasure_of_predictions(&store, &ids, dry.records, act);
        let erasure = erasure.await?;
        let done = forget(&store, environment, &names, false).await?;
        Conversations::end_erasure_of_predictions(&store, erasure, done.records).await?;
        Ok(done)
    })??;
    if done.records == 0 {
        let message = format!("the log of `{environment}` has no record of this conversation");
        return Err(Fault::usage("BOT-6126", message)
            .hint("records that a server still holds can be erased once they are in the store"));
    }
    let answer =
        Forgotten { environment, records: done.records, hours: done.hours, dry_run: args.dry_run };
    let text = text::forgotten(&answer);
    Ok(Outcome::done(&answer, text))
}
