//! How a server answers from documents: the rules of the workspace, and the knowledge beside a model file.

use super::flags::Args;
use crate::cli::session::knowledge_files;
use botops_findings::Result;
use botops_serving::KnowledgeSettings;
use botops_workspace::Workspace;

/// Returns the rules, and the files of `--knowledge`.
///
/// # Errors
/// `BOT-1001` (exit 2) a file cannot be read.
pub(super) fn settings(args: &Args, workspace: &Workspace) -> Result<KnowledgeSettings> {
    let files = knowledge_files::read(&args.knowledge)?;
    Ok(KnowledgeSettings { rules: workspace.knowledge.value.clone(), files })
}
