//! The flags of every verb.

use super::terminal::printer::Format;
use std::path::PathBuf;

/// The flags of every verb.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Work as if started in this folder
    #[arg(short = 'C', value_name = "FOLDER", global = true, help_heading = "Global options")]
    pub(crate) folder: Option<PathBuf>,
    /// Format of the answer; every verb writes table and json
    #[arg(
        long,
        value_enum,
        default_value = "table",
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) format: Format,
    /// Print no progress and no next commands
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Print the errors underneath
    #[arg(long, short, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// Profile of botops.yaml to use
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub(crate) profile: Option<String>,
    /// Location of the registry: a path or URL
    #[arg(long, value_name = "LOCATION", global = true, help_heading = "Global options")]
    pub(crate) registry: Option<String>,
    /// Location of the recorded runs: a path or URL
    #[arg(long, value_name = "LOCATION", global = true, help_heading = "Global options")]
    pub(crate) experiments: Option<String>,
    /// Environment whose champion a reference means, and in which a promotion takes effect
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub(crate) environment: Option<String>,
    /// Actor, for the audit trail
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub(crate) actor: Option<String>,
    /// Send tokens and passwords over http to other machines, too
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) insecure: bool,
}
