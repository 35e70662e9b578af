//! `botops data infer`.

use crate::cli::{
    Outcome,
    arguments::{data_args::DataArgs, data_source, out_path::OutPath},
    session::{context::Context, outputs},
    terminal::tables,
};
use botops_datasets::Presence;
use botops_files::{Output, OutputKind};
use botops_findings::Result;
use serde::Serialize;
use std::path::PathBuf;

// Names of intents and languages are written unchanged, even with personal data: a rule with `[email]` would match no
// record.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data file that is correct, in any format that `validate` reads
    data: PathBuf,
    /// Write the expectations to this file; default: standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<OutPath>,
    /// Replace an existing file
    #[arg(long, requires = "out")]
    force: bool,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: String,
    records: u64,
    rules: usize,
    expectations: &'a str,
    out: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    outputs::distinct(args.out.as_deref(), &[Some(args.data.as_path())])?;
    let output = args.out.as_deref().map(|path| Output::new(path, OutputKind::Other, args.force));
    // Expectations are edited by hand, and inferred ones are never empty: any existing ones are refused here.
    output.map_or(Ok(()), |output| output.check_content(b""))?;
    let options = args.columns.options(Presence::Optional);
    let inferred = match data_source::reference(&args.data) {
        None => botops_profile::infer(&args.data, &options)?,
        Some(_) => {
            let source = data_source::read(context, &args.data)?;
            botops_profile::infer_bytes(source.bytes, &source.name, &options)?
        }
    };
    let written = args.out.as_ref().filter(|_| !args.dry_run);
    if let Some(output) = output.filter(|_| !args.dry_run) {
        output.write(inferred.yaml.as_bytes())?;
    }
    let answer = Answer {
        file: args.data.display().to_string(),
        records: inferred.n_records,
        rules: inferred.n_rules,
        expectations: &inferred.yaml,
        out: written.map(OutPath::shown),
    };
    let text = match &args.out {
        None => inferred.yaml.clone(),
        Some(out) => format!(
            "{}: {}, {}\n{} {}\n",
            args.data.display(),
            tables::counted(inferred.n_records, "record", "records"),
            tables::counted(inferred.n_rules as u64, "rule", "rules"),
            if args.dry_run { "would write" } else { "wrote" },
            out.shown()
        ),
    };
    let outcome = Outcome::done(&answer, text);
    Ok(match written {
        None => outcome,
        Some(out) => {
            let (data, out) = (args.data.display().to_string(), out.display().to_string());
            let words = ["botops", "validate", &data, "--expectations", &out];
            outcome.next(args.columns.line(words))
        }
    })
}
