//! How a server answers from documents: the rules of the workspace, and the knowledge beside a model file.

use super::flags::Args;
use botops_findings::Result;
use botops_serving::{KnowledgeFile, KnowledgeSettings};
use botops_spec::bytes_within;
use botops_workspace::Workspace;

/// The largest `.knowledge` file that is served.
const MOST_BYTES: u64 = 8 << 30;

/// Returns the rules, and the files of `--knowledge`.
///
/// # Errors
/// `BOT-1001` (exit 2) a file cannot be read.
pub(super) fn settings(args: &Args, workspace: &Workspace) -> Result<KnowledgeSettings> {
    let files = args.knowledge.iter().map(|path| {
        let bytes = bytes_within(path, MOST_BYTES)?.into();
        Ok(KnowledgeFile { name: path.display().to_string(), bytes })
    });
    Ok(KnowledgeSettings {
        rules: workspace.knowledge.value.clone(),
        files: files.collect::<Result<_>>()?,
    })
}
