//! `botops bench serve`.

use super::text::{self, Plan};
use crate::cli::{
    Exit, Outcome,
    arguments::{out_path::OutPath, output_args::ForceArg},
    session::{context::Context, interruption::interrupted, outputs, provenance},
    terminal::progress::{bar, cpu_seconds},
};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_load::{Facts, LoadReport, Pacing, Profile, Progress, Target, drive, probe};
use botops_workspace::Secret;
use chrono::SecondsFormat;
use indicatif::ProgressBar;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;

/// Files that the process has open beside the connections.
const OTHER_FILES: u64 = 64;

/// Make the load of a profile on a server, and judge its answers
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address of the server, such as `http://127.0.0.1:8080`; the key is in `server.client_key` or BOTOPS_CLIENT_KEY
    #[arg(value_name = "URL")]
    url: String,
    /// Load profile, such as `deploy/load/standard.yaml`; a profile of botops.yaml is named by BOTOPS_PROFILE here
    // Its id is that of the global flag, which it replaces, so it has its type.
    #[arg(long, value_name = "FILE")]
    profile: String,
    /// Multiply the durations of the stages, such as 0.01 for a short test
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Multiply the users, or the rates
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    load: f64,
    /// Repeat a request at most N times if it got no answer, or 429, 502, 503 or 504; default: `retry` of the profile
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10))]
    retry: Option<u32>,
    /// Rule on the whole test, such as `p95 < 50ms`, besides those of the profile
    #[arg(long, value_name = "RULE")]
    threshold: Vec<String>,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<OutPath>,
    #[command(flatten)]
    force: ForceArg,
    /// Check the profile, and send one request of each kind, but make no load
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let profile = profile(args)?;
    outputs::distinct(args.out.as_deref(), &[Some(Path::new(&args.profile))])?;
    let output = args
        .out
        .as_deref()
        .map(|path| Output::new(path, OutputKind::Json("load"), args.force.force));
    output.as_ref().map_or(Ok(()), Output::check)?;
    allow_connections(&profile)?;
    let key = context.workspace()?.client_key.value.resolve()?;
    // One thread of its own: the load takes little of the machine, and no other work delays it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Fault::internal("BOT-9001", "the asynchronous runtime could not be started")
            .caused_by(error)
    })?;
    let target = runtime.block_on(prepare(&args.url, key.as_ref(), context, &profile))?;
    let url = target.url().to_owned();
    if args.dry_run {
        let plan = plan(&profile, &url);
        return Ok(Outcome::done(&plan, text::plan(&plan)));
    }
    let (report, stopped) = runtime.block_on(measure(profile, target, context))?;
    if let Some(output) = output {
        let json = serde_json::to_string_pretty(&report).expect("reports are valid JSON");
        output.write(format!("{json}\n").as_bytes())?;
    }
    let findings = report.findings();
    let exit = match &stopped {
        Some(fault) => Exit::from(fault),
        None if report.passed => Exit::Done,
        None => Exit::Gate,
    };
    let text = text::report(&report, &findings, args.out.as_ref().map(OutPath::shown));
    Ok(Outcome::done(&report, text).findings(findings).exit(exit))
}

/// Reads the profile, with the flags.
fn profile(args: &Args) -> Result<Profile> {
    let mut profile = Profile::read(Path::new(&args.profile))?.scaled(args.scale, args.load)?;
    if let Some(max) = args.retry {
        profile = profile.with_retries(max)?;
    }
    for rule in &args.threshold {
        profile = profile.with_threshold(rule)?;
    }
    Ok(profile)
}

/// Makes the target, and sends it one request of each kind.
async fn prepare(
    url: &str,
    key: Option<&Secret>,
    context: &Context,
    profile: &Profile,
) -> Result<Target> {
    let run = format!("load-{}", ulid::Ulid::generate());
    let mut target = Target::new(url, key, context.plain_http(), &run).await?;
    probe(profile, &mut target).await?;
    Ok(target)
}

/// Makes the load. Returns the report, and the fault of a signal that ended it.
async fn measure(
    profile: Profile,
    target: Target,
    context: &Context,
) -> Result<(LoadReport, Option<Fault>)> {
    let started_at = provenance::now()?.to_rfc3339_opts(SecondsFormat::Secs, true);
    let machine = provenance::environment();
    let (url, cpu) = (target.url().to_owned(), cpu_seconds());
    let names: Vec<String> = profile.stages.iter().map(|stage| stage.name.clone()).collect();
    let total = profile.levels().end().as_secs();
    let drawn = bar(&context.printer, &profile.name, total);
    let mut shown = None;
    let seen = |progress: &Progress| show(&drawn, progress, &names, &mut shown, context);
    let (driven, stopped) = drive(profile, target, seen, interrupted()).await;
    drawn.finish_and_clear();
    let facts = Facts {
        started_at,
        botops: machine.botops,
        platform: machine.platform,
        cores: machine.cores,
        ci: machine.ci,
        generator_cpu_seconds: cpu
            .zip(cpu_seconds())
            .map(|(before, now)| ((now - before) * 100.0).round() / 100.0),
    };
    Ok((LoadReport::of(&driven, &url, facts, stopped.is_some()), stopped))
}

/// Draws the progress, and says a line when a stage begins, on a terminal.
fn show(
    drawn: &ProgressBar,
    progress: &Progress,
    names: &[String],
    shown: &mut Option<usize>,
    context: &Context,
) {
    drawn.set_position(progress.elapsed.as_secs());
    if progress.stage == *shown || !context.printer.draws_bars() {
        return;
    }
    *shown = progress.stage;
    let name = progress.stage.and_then(|stage| names.get(stage));
    let name = name.map_or("the last answers", String::as_str);
    let p95 = progress.p95.map_or(String::new(), |p95| format!(", p95 {:.1} ms", p95 * 1e3));
    let line =
        format!("{name}: {} requests, {} errors{p95} so far", progress.requests, progress.errors);
    drawn.suspend(|| context.printer.say(&line));
}

fn plan<'a>(profile: &'a Profile, url: &'a str) -> Plan<'a> {
    let levels = profile.levels();
    let of_stages = profile.stages.iter().flat_map(|stage| &stage.thresholds);
    Plan {
        profile: &profile.name,
        url,
        pacing: profile.pacing,
        seconds: levels.end().as_secs_f64(),
        highest: levels.highest(),
        stages: profile.stages.len(),
        thresholds: profile.thresholds.iter().chain(of_stages).map(ToString::to_string).collect(),
    }
}

/// Raises the number of files that this process may open, so that each user has a connection.
///
/// # Errors
/// `BOT-6289` (exit 2) the system does not allow as many.
fn allow_connections(profile: &Profile) -> Result<()> {
    let users = match profile.pacing {
        Pacing::Closed => profile.levels().highest().round() as u64,
        Pacing::Open => profile.max_in_flight as u64,
    };
    let needed = users + OTHER_FILES;
    let found = getrlimit(Resource::Nofile);
    if found.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let wanted = Rlimit { current: found.maximum, maximum: found.maximum };
    if found.maximum.is_none_or(|maximum| maximum >= needed)
        && setrlimit(Resource::Nofile, wanted).is_ok()
    {
        return Ok(());
    }
    let most = found.maximum.or(found.current).unwrap_or_default();
    let message = format!("{users} connections are needed, and this process may open {most} files");
    let hint = match profile.pacing {
        Pacing::Closed => "or make less load: `--load 0.5`",
        Pacing::Open => "or lower `max_in_flight` in the profile",
    };
    Err(Fault::usage("BOT-6289", message)
        .hint(format!("allow more: `ulimit -n {needed}`"))
        .hint(hint))
}
