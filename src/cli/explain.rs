//! `botops explain`.

use super::Outcome;
use crate::cli::terminal::tables;
use botops_findings::{Fault, Result, catalogue};
use botops_spec::nearest;

/// Explain a code such as BOT-2107
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code; without one, all are listed
    code: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let Some(code) = &args.code else {
        let entries: Vec<_> = catalogue::all().collect();
        let rows = entries.iter().map(|entry| vec![entry.code.to_owned(), entry.title.to_owned()]);
        let text = tables::table(&["code", "meaning"], rows, &[]);
        return Ok(Outcome::done(&entries, text));
    };
    let upper = code.to_uppercase();
    let full = if upper.starts_with("BOT-") { upper } else { format!("BOT-{upper}") };
    let entry = catalogue::find(&full).ok_or_else(|| {
        let fault = Fault::usage("BOT-1006", format!("`{code}` is not a botops code"));
        match nearest(&full, catalogue::all().map(|entry| entry.code)) {
            Some(near) => fault.hint(format!("did you mean `botops explain {near}`?")),
            None => fault.hint("`botops explain` lists every code"),
        }
    })?;
    let exit = match entry.kind {
        Some(kind) => format!(" A command that ends with it exits with {}.", kind.exit_code()),
        None => String::new(),
    };
    let text = format!("{}: {}\n\n{}{exit}\n", entry.code, entry.title, entry.explanation);
    Ok(Outcome::done(entry, text))
}
