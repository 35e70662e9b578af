//! The stage that runs a command.

use super::{
    files::{write_bytes, write_json},
    work::{Ended, Work},
};
use crate::{spec::ShellStage, state::StageVerdict};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The file that holds the digests of the declared outputs of a shell stage.
pub(crate) const SHELL_OUTPUTS: &str = "outputs.json";

/// Returns the digest of each declared output of a shell stage, by its path; `None` if it cannot be read.
pub(crate) fn shell_outputs(root: &Path, stage: &ShellStage) -> BTreeMap<String, Option<Digest>> {
    let digest = |path: &PathBuf| fs::File::open(root.join(path)).and_then(Digest::of_reader).ok();
    stage.outputs.iter().map(|path| (path.display().to_string(), digest(path))).collect()
}

/// Runs the command of a shell stage.
pub(super) async fn shell(work: &Work<'_>, stage: &ShellStage, made: &Path) -> Result<Ended> {
    let mut command = std::process::Command::new("sh");
    command
        .arg("-c")
        .arg(&stage.run)
        .current_dir(&work.services.root)
        .env("BOTOPS_OUTPUT", made)
        .stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|error| {
            Fault::internal("BOT-8040", "the task that runs the command ended early")
                .caused_by(error)
        })?
        .map_err(|error| Fault::internal("BOT-8040", "`sh` cannot be started").caused_by(error))?;
    let kept =
        fs::read_dir(made).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    if let Some(entry) =
        kept.iter().find(|entry| entry.path().is_dir() || entry.file_name() == "stage.json")
    {
        let name = entry.file_name();
        return Err(Fault::usage(
            "BOT-8041",
            format!("`{}` cannot be an output of a shell stage", name.to_string_lossy()),
        )
        .hint(
            "write files directly into `$BOTOPS_OUTPUT`: no folders, and no file named `stage.json`",
        ));
    }
    write_bytes(made, "stdout.txt", &output.stdout)?;
    write_bytes(made, "stderr.txt", &output.stderr)?;
    match output.status.code() {
        Some(0) => {
            let written = shell_outputs(&work.services.root, stage);
            let absent: Vec<String> = written
                .iter()
                .filter(|(_, digest)| digest.is_none())
                .map(|(path, _)| format!("`{path}`"))
                .collect();
            if !absent.is_empty() {
                let absent = absent.join(", ");
                let summary = format!("`{}` succeeded, but did not write {absent}", stage.run);
                return Ok((StageVerdict::Failed, summary));
            }
            if !written.is_empty() {
                write_json(made, SHELL_OUTPUTS, &written)?;
            }
            Ok((StageVerdict::Passed, format!("`{}` succeeded", stage.run)))
        }
        // The command says that its fault may pass, as the commands of botops do.
        Some(7) if stage.retries.is_some() => {
            Err(Fault::unreachable("BOT-7089", format!("`{}` failed with exit code 7", stage.run))
                .hint(format!("its messages are in `stderr.txt`: {}", made.display())))
        }
        Some(code) => {
            Ok((StageVerdict::Failed, format!("`{}` failed with exit code {code}", stage.run)))
        }
        None => Ok((StageVerdict::Failed, format!("`{}` was killed by a signal", stage.run))),
    }
}
