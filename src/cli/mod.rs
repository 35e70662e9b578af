//! The command line: parses, resolves, calls, prints. The only module that does any of these.

pub(crate) mod arguments;
pub(crate) mod session;
pub(crate) mod terminal;

mod data;
mod doctor;
mod drift;
mod evaluate;
mod explain;
mod gate;
mod pipeline;
mod predict;
mod promote;
mod push;
mod registry;
mod rollback;
mod rollout;
mod run;
mod runs;
mod serve;
mod train;
mod tune;
mod validate;

pub use terminal::exit::{EXIT_CODES, Exit};
pub use terminal::printer::{Format, Printer, finding_line, place_line};

use botops_findings::{Fault, Finding, Result};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use session::context::Context;
use std::{ffi::OsString, io::Write as _, process::ExitCode};

const LONG_ABOUT: &str = "\
From a file of utterances to a canaried, served chatbot model, and back every week.

  botops run pipelines/weekly.yaml             the main job: validate to promote
  botops train train.csv --test test.csv       one model, judged at once
  botops predict intents.botops \"where is my parcel?\"
  botops serve intents.botops

Exit codes: 0 done, 1 could not do the job, 2 usage, 3 a gate failed, 4 insufficient evidence,
5 conflict, 6 refused by policy, 7 unreachable, 130/143 interrupted.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "botops", version, about = "MLOps for a chatbot's language model, in one binary", long_about = LONG_ABOUT, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// How to write the answer; the last four are those of validate
    #[arg(
        long,
        value_enum,
        default_value = "table",
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) format: Format,
    /// Say less: no progress, no hints of what comes next
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Say more: the errors underneath
    #[arg(long, short, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// Profile of botops.yaml to use
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub(crate) profile: Option<String>,
    /// Where the registry is: a path or URL
    #[arg(long, value_name = "LOCATION", global = true, help_heading = "Global options")]
    pub(crate) registry: Option<String>,
    /// Where the runs are recorded: a path or URL
    #[arg(long, value_name = "LOCATION", global = true, help_heading = "Global options")]
    pub(crate) experiments: Option<String>,
    /// Who acts, for the audit trail
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub(crate) actor: Option<String>,
}

/// The verbs, in the order of the work; nouns group the rest.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Check a data set against expectations
    Validate(validate::Args),
    /// Train a model from a data set
    Train(train::Args),
    /// Search for better settings of a train stage, by cross-validation
    Tune(tune::Args),
    /// Evaluate a model on a data set
    Evaluate(evaluate::Args),
    /// Judge a model by rules on its evaluation
    Gate(gate::Args),
    /// Classify utterances
    Predict(predict::Args),
    /// Compare current data with a reference
    Drift(drift::Args),
    /// Register a model as a new version
    Push(push::Args),
    /// Promote a version through a canary
    Promote(promote::Args),
    /// Give traffic back to the previous champion
    Rollback(rollback::Args),
    /// Serve a model over HTTP
    Serve(serve::Args),
    /// Run a pipeline
    Run(run::Args),
    /// Look after data sets
    Data(data::Args),
    /// Look at recorded runs
    Runs(runs::Args),
    /// Look at and move versions and aliases
    Registry(registry::Args),
    /// Follow and steer a rollout on a server
    Rollout(rollout::Args),
    /// Look at a pipeline
    Pipeline(pipeline::Args),
    /// Show every setting in force, where it came from, and whether the stores answer
    Doctor(doctor::Args),
    /// Explain a code such as BOT-2107
    Explain(explain::Args),
    /// Write shell completions
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page
    #[command(hide = true)]
    Man,
}

/// What a verb came to: data first, text last.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The very struct that `text` was made from.
    pub(crate) data: serde_json::Value,
    /// The answer for people.
    pub(crate) text: String,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What to do next: commands that can be pasted.
    pub(crate) next: Vec<String>,
}

impl Outcome {
    /// Makes the outcome of a verb that did its job.
    pub(crate) fn done<T: serde::Serialize>(data: &T, text: impl Into<String>) -> Self {
        Self {
            data: serde_json::to_value(data).expect("a structure of ours is valid JSON"),
            text: text.into(),
            findings: Vec::new(),
            exit: Exit::Done,
            next: Vec::new(),
        }
    }

    /// Sets how the process ends.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds what was found.
    pub(crate) fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// Adds what to do next.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }
}

/// Returns the command line as clap knows it: verbs, flags, help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line `arguments` and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    std::panic::set_hook(Box::new(bug));
    let matches = match Cli::command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error, &arguments),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    let printer = Printer::new(cli.global.format, cli.global.quiet, cli.global.verbose);
    let name = verb_name(&matches);
    let context = Context::new(cli.global, printer);
    // A bug ends like everything else: with an exit code and, where asked for, one document.
    let ended =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli.verb, &context)))
            .unwrap_or_else(|_| {
                Err(Fault::internal("BOT-9001", "botops stopped on a bug of its own"))
            });
    let exit = match ended {
        Ok(outcome) => printer.outcome(&name, &outcome),
        Err(fault) => {
            printer.fault(&name, &fault);
            Exit::from(&fault)
        }
    };
    ExitCode::from(exit.code())
}

/// Says where a bug is, for whoever reports it; what it did is said by [`main`].
fn bug(info: &std::panic::PanicHookInfo<'_>) {
    if botops_datasets::is_parsing_parquet() {
        // A damaged file, caught and reported as such where it is read.
        return;
    }
    let place = info
        .location()
        .map_or(String::new(), |place| format!(" at {}:{}", place.file(), place.line()));
    let payload = info.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    let _ = writeln!(anstream::stderr(), "bug{place}: {what}");
}

fn dispatch(verb: Verb, context: &Context) -> Result<Outcome> {
    let has_format = match context.printer.format() {
        Format::Table | Format::Json => true,
        Format::Markdown => match &verb {
            Verb::Validate(_)
            | Verb::Evaluate(_)
            | Verb::Gate(_)
            | Verb::Drift(_)
            | Verb::Promote(_) => true,
            Verb::Data(args) => args.writes_markdown(),
            _ => false,
        },
        Format::Sarif | Format::Junit | Format::Github => matches!(verb, Verb::Validate(_)),
    };
    if !has_format {
        return Err(Fault::usage("BOT-1003", "this verb does not write this format")
            .hint("use `--format table` or `--format json`")
            .hint("`validate` writes every format; `evaluate`, `gate`, `drift`, `promote` and `data profile` write Markdown"));
    }
    match verb {
        Verb::Validate(args) => validate::run(&args, context),
        Verb::Train(args) => train::run(&args, context),
        Verb::Tune(args) => tune::run(&args, context),
        Verb::Evaluate(args) => evaluate::run(&args, context),
        Verb::Gate(args) => gate::run(&args, context),
        Verb::Predict(args) => predict::run(&args, context),
        Verb::Drift(args) => drift::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Promote(args) => promote::run(&args, context),
        Verb::Rollback(args) => rollback::run(&args, context),
        Verb::Serve(args) => serve::run(&args, context),
        Verb::Run(args) => run::run(&args, context),
        Verb::Data(args) => data::run(&args, context),
        Verb::Runs(args) => runs::run(&args, context),
        Verb::Registry(args) => registry::run(&args, context),
        Verb::Rollout(args) => rollout::run(&args, context),
        Verb::Pipeline(args) => pipeline::run(&args, context),
        Verb::Doctor(args) => doctor::run(&args, context),
        Verb::Explain(args) => explain::run(&args),
        Verb::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "botops", &mut out);
            Ok(Outcome::done(&(), String::from_utf8_lossy(&out)))
        }
        Verb::Man => {
            let mut out = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut out).map_err(|error| {
                Fault::internal("BOT-9001", "the manual page could not be written").caused_by(error)
            })?;
            Ok(Outcome::done(&(), String::from_utf8_lossy(&out)))
        }
    }
}

/// Returns the verb with its noun, such as `registry.list`: what the JSON schema is named after.
fn verb_name(matches: &clap::ArgMatches) -> String {
    let mut parts = Vec::new();
    let mut matches = matches;
    while let Some((name, inner)) = matches.subcommand() {
        parts.push(name);
        matches = inner;
    }
    parts.join(".")
}

/// Reports a command line that could not be parsed; help and version are no errors.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind;
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
        || arguments.iter().any(|argument| argument == "--format=json");
    if json && !asked {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or("the command line could not be read");
        let fault = Fault::usage("BOT-1003", message.trim_start_matches("error: "))
            .hint("see `botops --help`");
        Printer::new(Format::Json, false, 0).fault("usage", &fault);
    } else {
        let _ = error.print();
    }
    ExitCode::from(if asked { Exit::Done } else { Exit::Usage }.code())
}
