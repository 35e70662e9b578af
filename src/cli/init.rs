//! `botops init`.

use super::Outcome;
use crate::cli::{session::context::Context, terminal::tables};
use botops_datasets::ReadOptions;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_pipelines::{PipelineSpec, StageSpec};
use botops_starter::{
    CiSystem, DataOrigin, PlacedFile, Placement, Starter, StartingData, model_name,
};
use botops_text::shell_line;
use botops_workspace::{FILE_NAME, WorkspaceSpec};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Write the files of a new workspace: settings, expectations, a pipeline, and the workflows of a CI system
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the workspace; it is created if it does not exist
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Utterances with their intents, in any format that `validate` reads; default: the data of an existing
    /// pipeline, else a small example set
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Column with the text; default: text, utterance or message
    #[arg(long, value_name = "NAME", requires = "data")]
    text_column: Option<String>,
    /// Column with the intent; default: intent, label or category
    #[arg(long, value_name = "NAME", requires = "data")]
    intent_column: Option<String>,
    /// Column with the language; default: lang, language or locale
    #[arg(long, value_name = "NAME", requires = "data")]
    lang_column: Option<String>,
    /// Write the workflows of this CI system, too
    #[arg(long, value_name = "SYSTEM", value_enum)]
    ci: Option<Ci>,
    /// List the files; write none
    #[arg(long)]
    dry_run: bool,
}

/// A CI system.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Ci {
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
}

#[derive(Serialize)]
struct Answer<'a> {
    folder: String,
    model: &'a str,
    data: &'a str,
    origin: DataOrigin,
    records: u64,
    intents: usize,
    files: &'a [PlacedFile],
    /// Whether the files were only listed.
    dry_run: bool,
}

/// The path of the pipeline that is written.
const PIPELINE: &str = "pipelines/weekly.yaml";
/// The path of the list of files that git ignores.
const IGNORE: &str = ".gitignore";

pub(crate) fn run(args: &Args, _: &Context) -> Result<Outcome> {
    let root = &args.directory;
    let ci = args.ci.map(|ci| match ci {
        Ci::Github => CiSystem::Github,
        Ci::Gitlab => CiSystem::Gitlab,
    });
    if let Some(ci) = args.ci {
        check_root_of_repository(root, ci)?;
    }
    let data = match &args.data {
        Some(data) => Some(data.clone()),
        None => data_of_pipeline(root)?,
    };
    let model = model(root, data.as_deref())?;
    let read = ReadOptions {
        text_column: args.text_column.clone(),
        intent_column: args.intent_column.clone(),
        lang_column: args.lang_column.clone(),
        ..ReadOptions::default()
    };
    let data = match &data {
        None => StartingData::example(&model),
        Some(data) => StartingData::read(root, data, &model, &read)?,
    };
    let starter = Starter { model, data, ci, version: env!("CARGO_PKG_VERSION") };
    let placement = Placement::check(root, starter.files())?;
    if !args.dry_run {
        placement.write()?;
    }
    let files = placement.files();
    let answer = Answer {
        folder: root.display().to_string(),
        model: &starter.model,
        data: &starter.data.path,
        origin: starter.data.origin,
        records: starter.data.n_records,
        intents: starter.data.intents.len(),
        files: &files,
        dry_run: args.dry_run,
    };
    let findings = findings(root, &starter, &placement);
    let text = format!("{}{}", text(&answer), tables::findings(&findings, 5));
    let outcome = Outcome::done(&answer, text).findings(findings);
    if args.dry_run {
        return Ok(outcome);
    }
    let here = |words: &[&str]| {
        let folder = root.display().to_string();
        let in_folder: &[&str] = if root == Path::new(".") { &[] } else { &["-C", &folder] };
        shell_line(["botops"].iter().chain(in_folder).chain(words).copied())
    };
    Ok(outcome.next(here(&["run", PIPELINE])).next(here(&[
        "promote",
        "--plan",
        "pipelines/rollout.yaml",
    ])))
}

/// Refuses workflows for a folder below the root of a repository, where no CI system reads them.
///
/// # Errors
/// `BOT-1173` (exit 2).
fn check_root_of_repository(folder: &Path, ci: Ci) -> Result<()> {
    let whole = whole(folder);
    let root = whole.ancestors().find(|folder| folder.join(".git").exists());
    match root {
        Some(root) if root != whole => {
            let system = match ci {
                Ci::Github => "github",
                Ci::Gitlab => "gitlab",
            };
            let message = format!(
                "`--ci`: `{}` is a folder of the repository `{}`, whose workflows are at its root",
                folder.display(),
                root.display()
            );
            let root = root.display().to_string();
            let command = shell_line(["botops", "-C", &root, "init", "--ci", system]);
            Err(Fault::usage("BOT-1173", message)
                .file(folder)
                .hint(format!("run it in the root: `{command}`"))
                .hint("or leave `--ci` out, and call botops from a workflow of your own"))
        }
        _ => Ok(()),
    }
}

/// Returns the whole path of `folder`, without links if it exists.
fn whole(folder: &Path) -> PathBuf {
    let whole = || std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    folder.canonicalize().unwrap_or_else(|_| whole())
}

/// Returns the data of the pipeline of an existing workspace.
fn data_of_pipeline(root: &Path) -> Result<Option<PathBuf>> {
    let path = root.join(PIPELINE);
    if !path.exists() {
        return Ok(None);
    }
    let spec = PipelineSpec::read(&path)?;
    let data = spec.stages.iter().find_map(|stage| match stage {
        StageSpec::Validate(validate) => Some(root.join(&validate.data)),
        _ => None,
    });
    Ok(data)
}

/// Returns the name of the model: that of an existing botops.yaml, else one made from the folder of the data or of the
/// workspace.
fn model(root: &Path, data: Option<&Path>) -> Result<String> {
    let settings = root.join(FILE_NAME);
    if settings.exists() {
        let settings: WorkspaceSpec = botops_spec::read(&settings)?;
        if let Some(model) = settings.model {
            return Ok(model);
        }
    }
    let of_data = data.and_then(Path::parent).filter(|folder| {
        folder.parent().and_then(Path::file_name).is_some_and(|above| above == "datasets")
    });
    let folder = match of_data {
        Some(folder) => folder.to_owned(),
        None => whole(root),
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(model_name(&name))
}

/// Returns warnings about data that is only an example, and about files that git should ignore and does not.
fn findings(root: &Path, starter: &Starter, placement: &Placement) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = |file: &str| Place {
        file: Some(root.join(file).display().to_string()),
        ..Place::default()
    };
    if starter.data.origin == DataOrigin::Example {
        let path = &starter.data.path;
        findings.push(
            Finding::new(
                "BOT-1174",
                Severity::Warning,
                format!("`{path}` is an example: its utterances are not those of your users"),
                "replace it and its expectations, or run `botops init --data FILE` in an empty folder".to_owned(),
            )
            .at(place(path)),
        );
    }
    if placement.keeps(IGNORE) {
        let existing = fs::read_to_string(root.join(IGNORE)).unwrap_or_default();
        let has = |line: &str| {
            let bare = |line: &str| line.trim().trim_matches('/').trim_end_matches("/*").to_owned();
            existing.lines().any(|existing| bare(existing) == bare(line))
        };
        let missing: Vec<&str> = Starter::ignored().filter(|line| !has(line)).collect();
        if !missing.is_empty() {
            findings.push(
                Finding::new(
                    "BOT-1175",
                    Severity::Warning,
                    format!("`.gitignore` does not list {}", missing.join(", ")),
                    "add these lines, so that caches and local stores are not committed".to_owned(),
                )
                .at(place(IGNORE)),
            );
        }
    }
    findings
}

/// Renders the files, and what was done with each.
fn text(answer: &Answer<'_>) -> String {
    let origin = match answer.origin {
        DataOrigin::Here | DataOrigin::Copy => "",
        DataOrigin::Example => " (an example)",
    };
    let mut text = format!(
        "{}: {}, {}{origin}\n",
        botops_text::display(answer.data, 200),
        tables::counted(answer.records, "record", "records"),
        tables::counted(answer.intents as u64, "intent", "intents"),
    );
    for file in answer.files {
        let verb = match (file.kept, answer.dry_run) {
            (true, _) => "kept",
            (false, true) => "would write",
            (false, false) => "wrote",
        };
        text.push_str(&format!("{verb} {}\n", botops_text::display(&file.path, 200)));
    }
    if answer.files.iter().all(|file| file.kept) {
        text.push_str("nothing to do: every file exists\n");
    }
    text
}
