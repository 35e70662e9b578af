//! `botops man`: the manual pages, as the definitions of the verbs say.

use super::Outcome;
use botops_findings::{Fault, Result};
use clap::Command;

/// Write the manual page
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The verb, such as `data infer`; default: the page of botops itself
    verb: Vec<String>,
    /// Write the names of all verbs, one a line
    #[arg(long, conflicts_with = "verb")]
    list: bool,
}

/// Writes a page of the command line `root`.
///
/// # Errors
/// `BOT-1003` (exit 2): there is no such verb.
pub(crate) fn run(args: &Args, mut root: Command) -> Result<Outcome> {
    root.build();
    if args.list {
        let mut names = Vec::new();
        list(&root, "", &mut names);
        return Ok(Outcome::done(&(), names.join("\n") + "\n"));
    }
    let mut verb = &root;
    for name in &args.verb {
        verb = verb.find_subcommand(name).filter(|it| is_public(it)).ok_or_else(|| {
            let verb = args.verb.join(" ");
            Fault::usage("BOT-1003", format!("there is no verb `{verb}`"))
                .hint("list them: `botops man --list`")
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(verb.clone()).render(&mut page).map_err(|error| {
        Fault::internal("BOT-9001", "the manual page cannot be written").caused_by(error)
    })?;
    Ok(Outcome::done(&(), String::from_utf8_lossy(&page)))
}

/// Returns whether a verb is one that help shows, and does something itself.
fn is_public(verb: &Command) -> bool {
    !verb.is_hide_set() && verb.get_name() != "help"
}

fn list(of: &Command, before: &str, names: &mut Vec<String>) {
    for verb in of.get_subcommands().filter(|verb| is_public(verb)) {
        let name = format!("{before}{}", verb.get_name());
        names.push(name.clone());
        list(verb, &format!("{name} "), names);
    }
}
