//! The command line: parses arguments, resolves settings, calls the rooms, prints the answer.
//!
//! No other module parses arguments, prints or ends the process.

pub(crate) mod arguments;
mod global;
mod outcome;
pub(crate) mod session;
pub(crate) mod terminal;

mod backup;
mod bench;
mod channels;
mod chat;
mod conversations;
mod data;
mod db;
mod dialogue;
mod doctor;
mod drift;
mod evaluate;
mod explain;
mod freeze;
mod gate;
mod init;
mod jobs;
mod keys;
mod knowledge;
mod man;
mod monitor;
mod pdf_text;
mod pipeline;
mod policy;
mod predict;
mod predictions;
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

pub(crate) use global::Global;
pub(crate) use outcome::Outcome;
use terminal::ci_commands::defused;
pub use terminal::exit::EXIT_CODES;
pub(crate) use terminal::exit::Exit;
pub(crate) use terminal::printer::{Format, Printer};

use arguments::{
    out_path::{self, OutPath},
    report_arg::ReportArg,
};
use botops_findings::{Fault, Result};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum as _};
use session::context::Context;
use std::{ffi::OsString, io::Write as _, path::Path, process::ExitCode};

const LONG_ABOUT: &str = "\
From a file of utterances to a canaried, served chatbot model, and back every week.

  botops init --data FILE                      write the files of a new workspace
  botops run pipelines/weekly.yaml             the main job: validate to promote
  botops train train.csv --test test.csv       train a model and evaluate it
  botops predict intents.botops \"where is my parcel?\"
  botops chat intents.botops                   talk to it in the terminal
  botops serve intents.botops

As a file, - is standard input or standard output.

Exit codes: 0 done, 1 internal error, 2 usage, 3 a gate failed, 4 insufficient evidence,
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

/// The verbs, in the order of the work; nouns group the rest.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the files of a new workspace
    Init(init::Args),
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
    /// Talk to a model, or to a server
    Chat(chat::Args),
    /// Compare current data with a reference
    Drift(drift::Args),
    /// Register a model as a new version
    Push(push::Args),
    /// Promote a version through a canary
    Promote(promote::Args),
    /// Return to the previous champion
    Rollback(rollback::Args),
    /// Serve a model over HTTP
    Serve(serve::Args),
    /// Run a pipeline
    Run(run::Args),
    /// Judge the traffic of the champion: accuracy, drift, volume
    Monitor(monitor::Args),
    /// Manage data sets
    Data(data::Args),
    /// Manage knowledge bases: the documents that a bot answers from
    Knowledge(knowledge::Args),
    /// Inspect recorded runs
    Runs(runs::Args),
    /// Inspect versions, and move aliases
    Registry(registry::Args),
    /// Follow and control a rollout on a server
    Rollout(rollout::Args),
    /// Inspect, export and erase the conversations that a server stored
    Conversations(conversations::Args),
    /// Inspect the messaging channels, and replay messages that were not answered
    Channels(channels::Args),
    /// Inspect, compact and erase what servers logged about their predictions
    Predictions(predictions::Args),
    /// Manage the API keys of administrators
    Keys(keys::Args),
    /// Check versions and plans against the policy of the environment
    Policy(policy::Args),
    /// Freeze the environment: nothing advances, and a rollback is still possible
    Freeze(freeze::FreezeArgs),
    /// End the freeze of the environment
    Unfreeze(freeze::UnfreezeArgs),
    /// List, follow and control background jobs, such as uploads of documents
    Jobs(jobs::Args),
    /// Back up the registry, experiments, predictions and conversations, and restore them
    Backup(backup::Args),
    /// Manage the tables of the store of conversations
    Db(db::Args),
    /// Test the dialogue of a bot
    Dialogue(dialogue::Args),
    /// Inspect a pipeline
    Pipeline(pipeline::Args),
    /// Measure a server under load
    Bench(bench::Args),
    /// Show the settings in force with their origins, and check the stores
    Doctor(doctor::Args),
    /// Explain a code such as BOT-2107
    Explain(explain::Args),
    /// Write shell completions
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[command(hide = true)]
    Man(man::Args),
    /// Read the text of a PDF from standard input, for botops itself
    #[command(hide = true)]
    PdfText,
}

/// Returns the command line as clap knows it: verbs, flags, help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line `arguments`, beginning with the name of the program, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    std::panic::set_hook(Box::new(bug));
    let matches = match Cli::command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error, &arguments),
    };
    let mut cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    if matches!(cli.verb, Verb::Bench(_)) {
        // A load profile, which is none of botops.yaml.
        cli.global.profile = None;
    }
    let printer = Printer::new(cli.global.format, cli.global.quiet, cli.global.verbose);
    let name = verb_name(&matches);
    let folder = cli.global.folder.clone();
    let entered = enter(folder.as_deref()).and_then(|()| standard_output(&matches, printer));
    let printer = match entered {
        Ok(printer) => printer,
        Err(fault) => {
            printer.fault(&name, &fault);
            return ExitCode::from(Exit::from(&fault).code());
        }
    };
    let context = Context::new(cli.global, printer);
    // A panic, too, ends with an exit code and, with `--format json`, one document.
    let result =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli.verb, &context)))
            .unwrap_or_else(|_| {
                Err(Fault::internal("BOT-9001", "botops stopped because of a bug"))
            });
    let notices = botops_datasets::take_notices();
    let exit = match result {
        Ok(outcome) => {
            let outcome = outcome.in_folder(folder.as_deref());
            printer.outcome(&name, &printer.with_notices(outcome, notices))
        }
        Err(fault) => {
            printer.notices(&notices);
            printer.fault(&name, &fault);
            Exit::from(&fault)
        }
    };
    say_overdue(&context, exit);
    ExitCode::from(exit.code())
}

/// Says in one line which scheduled run is overdue, if the verb has used the store. One that cannot be reached is not asked.
fn say_overdue(context: &Context, exit: Exit) {
    if matches!(exit, Exit::Unreachable | Exit::Interrupted | Exit::Terminated) {
        return;
    }
    let overdue = context.overdue_runs();
    let Some(first) = overdue.first() else { return };
    let more = match overdue.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more: `botops doctor`)"),
    };
    context
        .printer
        .say(&format!("warning: {}: {}{more}; {}", first.code, first.message, first.help));
}

/// Prints the place of a panic; [`main`] prints the fault.
fn bug(info: &std::panic::PanicHookInfo<'_>) {
    if botops_datasets::is_parsing_parquet() {
        // The reader catches this panic and reports a damaged file.
        return;
    }
    let place = info
        .location()
        .map_or(String::new(), |place| format!(" at {}:{}", place.file(), place.line()));
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    let _ = writeln!(anstream::stderr(), "{}", defused(&format!("bug{place}: {message}")));
}

fn dispatch(verb: Verb, context: &Context) -> Result<Outcome> {
    let has_format = match context.printer.format() {
        Format::Table | Format::Json => true,
        Format::Markdown => match &verb {
            Verb::Validate(_)
            | Verb::Evaluate(_)
            | Verb::Gate(_)
            | Verb::Drift(_)
            | Verb::Promote(_)
            | Verb::Run(_) => true,
            Verb::Data(args) => args.writes_markdown(),
            Verb::Pipeline(args) => args.writes_markdown(),
            Verb::Knowledge(args) => args.writes_markdown(),
            _ => false,
        },
        Format::Sarif | Format::Junit | Format::Github => {
            matches!(verb, Verb::Validate(_) | Verb::Run(_))
        }
    };
    if !has_format {
        return Err(Fault::usage("BOT-1003", "this verb does not support this format")
            .hint("use `--format table` or `--format json`")
            .hint("`validate` and `run` write every format; `evaluate`, `gate`, `drift`, `promote`, `data profile`, `pipeline diff` and `knowledge evaluate` write Markdown"));
    }
    match verb {
        Verb::Init(args) => init::run(&args, context),
        Verb::Validate(args) => validate::run(&args, context),
        Verb::Train(args) => train::run(&args, context),
        Verb::Tune(args) => tune::run(&args, context),
        Verb::Evaluate(args) => evaluate::run(&args, context),
        Verb::Gate(args) => gate::run(&args, context),
        Verb::Predict(args) => predict::run(&args, context),
        Verb::Chat(args) => chat::run(&args, context),
        Verb::Drift(args) => drift::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Promote(args) => promote::run(&args, context),
        Verb::Rollback(args) => rollback::run(&args, context),
        Verb::Serve(args) => serve::run(&args, context),
        Verb::Run(args) => run::run(&args, context),
        Verb::Monitor(args) => monitor::run(&args, context),
        Verb::Data(args) => data::run(&args, context),
        Verb::Knowledge(args) => knowledge::run(&args, context),
        Verb::Runs(args) => runs::run(&args, context),
        Verb::Registry(args) => registry::run(&args, context),
        Verb::Rollout(args) => rollout::run(&args, context),
        Verb::Conversations(args) => conversations::run(&args, context),
        Verb::Channels(args) => channels::run(&args, context),
        Verb::Predictions(args) => predictions::run(&args, context),
        Verb::Keys(args) => keys::run(&args, context),
        Verb::Policy(args) => policy::run(&args, context),
        Verb::Freeze(args) => freeze::freeze(&args, context),
        Verb::Unfreeze(args) => freeze::unfreeze(&args, context),
        Verb::Jobs(args) => jobs::run(&args, context),
        Verb::Backup(args) => backup::run(&args, context),
        Verb::Db(args) => db::run(&args, context),
        Verb::Dialogue(args) => dialogue::run(&args, context),
        Verb::Pipeline(args) => pipeline::run(&args, context),
        Verb::Bench(args) => bench::run(&args, context),
        Verb::Doctor(args) => doctor::run(&args, context),
        Verb::Explain(args) => explain::run(&args),
        Verb::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "botops", &mut out);
            Ok(Outcome::done(&(), String::from_utf8_lossy(&out)))
        }
        Verb::Man(args) => man::run(&args, Cli::command()),
        Verb::PdfText => pdf_text::run(),
    }
}

/// Makes `folder` the current folder, if one is given.
///
/// # Errors
/// `BOT-1056` (exit 2).
fn enter(folder: Option<&Path>) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    std::env::set_current_dir(folder).map_err(|error| {
        let why = session::outputs::plain_of_folder(&error);
        let message = format!("`-C {}` cannot be entered: {why}", folder.display());
        Fault::usage("BOT-1056", message)
            .file(folder)
            .hint("name an existing folder; it is relative to the current one")
            .caused_by(error)
    })
}

/// Returns a printer that leaves standard output to the file that a flag writes there, if one does.
///
/// # Errors
/// `BOT-1009` (exit 2) if standard output would take two files, or a file and an answer that a program reads.
fn standard_output(matches: &clap::ArgMatches, printer: Printer) -> Result<Printer> {
    let (mut command, mut inner) = (&Cli::command(), matches);
    while let Some((name, of_verb)) = inner.subcommand() {
        let Some(verb) = command.find_subcommand(name) else { break };
        (command, inner) = (verb, of_verb);
    }
    let mut flags = out_path::standard_outputs::<OutPath>(command, inner);
    flags.extend(out_path::standard_outputs::<ReportArg>(command, inner));
    let format = match printer.format() {
        Format::Table => None,
        other => other.to_possible_value().map(|value| value.get_name().to_owned()),
    };
    let both = match (flags.as_slice(), format) {
        ([], _) => return Ok(printer),
        ([_], None) => return Ok(printer.beside_standard_output()),
        ([flag], Some(format)) => format!("the answer of `--format {format}` and `{flag} -`"),
        ([first, second, ..], _) => format!("`{first} -` and `{second} -`"),
    };
    Err(Fault::usage("BOT-1009", format!("two outputs go to standard output: {both}"))
        .hint("name a file for one of them"))
}

/// Returns the verb with its noun, such as `registry.list`; the JSON schema has this name.
fn verb_name(matches: &clap::ArgMatches) -> String {
    let mut parts = Vec::new();
    let mut matches = matches;
    while let Some((name, inner)) = matches.subcommand() {
        parts.push(name);
        matches = inner;
    }
    parts.join(".")
}

/// Reports a command line that cannot be parsed; for help and version, prints them and returns 0.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind;
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json")
        || arguments.iter().any(|argument| argument == "--format=json");
    if json && !is_help {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or("the command line cannot be parsed");
        let fault = Fault::usage("BOT-1003", message.trim_start_matches("error: "))
            .hint("see `botops --help`");
        Printer::new(Format::Json, false, 0).fault("usage", &fault);
    } else if is_help {
        let _ = error.print();
    } else {
        // The message repeats arguments, which may be names of files.
        let _ = write!(anstream::stderr(), "{}", defused(&error.render().ansi().to_string()));
    }
    ExitCode::from(if is_help { Exit::Done } else { Exit::Usage }.code())
}
