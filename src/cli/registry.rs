//! `botops registry`.

mod diff;
mod erasure;
mod gc;
mod held_knowledge;
mod mirror;
mod numbering;
mod resolution;
pub(super) mod text;
mod verification;
mod withdrawal;

use self::held_knowledge::HeldKnowledge;
use super::Outcome;
use crate::cli::{
    arguments::out_path::OutPath,
    arguments::output_args::{ForceArg, ReasonArg},
    session::context::Context,
    terminal::tables,
};
use botops_digest::Digest;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_registry::{
    CHAMPION, Event, Reference, Registry, Reign, Version, Withdrawal, check_alias,
};
use botops_store::Entry;
use botops_text::shell_line;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Inspect versions, and move aliases
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List models, or the versions of one
    List {
        /// Model; without one, all models are listed
        model: Option<String>,
    },
    /// Show a version with its files, origin and metrics
    Show {
        /// Version, such as support@2, support@latest or support@champion
        reference: String,
    },
    /// Show the log of a model with time, actor and reason
    Log {
        /// Model
        model: String,
    },
    /// Point an alias to a version, or remove it
    Alias(AliasArgs),
    /// Compare two versions: data, params, metrics, size, intents and, on data, predictions
    Diff(diff::Args),
    /// Show what a reference means, or meant at a time, since when and by whom
    Resolve(resolution::Args),
    /// Withdraw a version: nothing promotes it, gives it traffic or goes back to it
    Yank(withdrawal::Args),
    /// Warn whoever uses a version
    Deprecate(withdrawal::Args),
    /// Download a file of a version, verified
    Pull(PullArgs),
    /// Verify the logs and every file that they name
    Verify(verification::Args),
    /// Plan the removal of blobs that nothing names, or carry a plan out
    Gc(gc::Args),
    /// Copy a store into another one, as far as it is not there
    Mirror(mirror::Args),
    /// Erase the blobs that hold an utterance, or the files of versions
    Forget(erasure::Args),
}

#[derive(Debug, clap::Args)]
struct AliasArgs {
    /// Model
    model: String,
    /// Alias; `champion` moves only by promotion
    alias: String,
    /// Version: a number, latest, an alias, or a full reference
    #[arg(value_name = "VERSION", required_unless_present = "remove", conflicts_with = "remove")]
    to: Option<String>,
    /// Remove the alias
    #[arg(long)]
    remove: bool,
    /// Refuse (exit code 5) if the alias does not point to this version
    #[arg(long, value_name = "VERSION", conflicts_with = "remove")]
    expect: Option<String>,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct PullArgs {
    /// Version, such as support@2, support@latest or support@champion
    reference: String,
    /// Write to this file; default: such as support-2.botops
    #[arg(long, short, value_name = "FILE")]
    out: Option<OutPath>,
    #[command(flatten)]
    force: ForceArg,
    /// File of the version
    #[arg(long, value_name = "NAME", default_value = "model.botops")]
    file: String,
    /// Download and verify, but write nothing
    #[arg(long)]
    dry_run: bool,
}

/// A model in the list.
#[derive(Serialize)]
struct Model {
    model: String,
    champion: Option<String>,
    versions: u64,
    latest: Option<String>,
}

#[derive(Serialize)]
struct Models<'a> {
    registry: &'a str,
    models: Vec<Model>,
}

#[derive(Serialize)]
struct Versions<'a> {
    model: &'a str,
    versions: Vec<Version>,
}

#[derive(Serialize)]
struct History<'a> {
    model: &'a str,
    entries: &'a [Entry<Event>],
    environment: &'a str,
    /// The moves of the champion in the deployment log of the environment.
    champions: &'a [Reign],
}

#[derive(Serialize)]
struct Aliased<'a> {
    model: &'a str,
    alias: &'a str,
    from: Option<String>,
    to: Option<String>,
    /// Whether the alias was moved or removed.
    moved: bool,
}

#[derive(Serialize)]
struct Pulled {
    reference: String,
    file: String,
    digest: Digest,
    size_bytes: u64,
    out: Option<String>,
}

/// A version with the numbers of its knowledge.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    version: &'a Version,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    knowledge: &'a [HeldKnowledge],
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let registry = context.registry()?;
    match &args.verb {
        Verb::List { model: None } => models(context, &registry),
        Verb::List { model: Some(model) } => versions(context, &registry, model),
        Verb::Show { reference } => {
            let version = context.wait(async {
                let mut found = [resolve(&registry, reference).await?];
                let model = found[0].model.clone();
                registry.name_environments(&model, &mut found).await?;
                let [version] = found;
                Ok::<_, Fault>(version)
            })??;
            let reference = version.reference();
            let knowledge = held_knowledge::of_version(context, &registry, &version);
            let text = text::version(&version, &knowledge);
            let answer = Shown { version: &version, knowledge: &knowledge };
            let outcome = Outcome::done(&answer, text).findings(version.warnings());
            Ok(outcome.next(shell_line(["botops", "registry", "pull", &reference])))
        }
        Verb::Log { model } => {
            let (entries, environment) = context.wait(async {
                let entries = registry.history(model).await?;
                Ok::<_, Fault>((entries, registry.environment().await?))
            })??;
            let champions = environment.model(model).map_or(&[][..], |deployed| &deployed.reigns);
            let mut text = text::history(&entries);
            let name = registry.environment_name();
            text.push_str(&text::champions(name, champions, &entries));
            let answer = History { model, entries: &entries, environment: name, champions };
            Ok(Outcome::done(&answer, text))
        }
        Verb::Diff(args) => diff::run(args, context),
        Verb::Resolve(args) => resolution::run(args, context),
        Verb::Yank(args) => withdrawal::run(args, context, Withdrawal::Yanked),
        Verb::Deprecate(args) => withdrawal::run(args, context, Withdrawal::Deprecated),
        Verb::Alias(args) => alias(context, &registry, args),
        Verb::Pull(args) => pull(context, &registry, args),
        Verb::Verify(args) => verification::run(args, context),
        Verb::Gc(args) => gc::run(args, context),
        Verb::Mirror(args) => mirror::run(args, context),
        Verb::Forget(args) => erasure::run(args, context),
    }
}

async fn resolve(registry: &Registry, reference: &str) -> Result<Version> {
    let reference: Reference = reference.parse()?;
    registry.resolve(&reference).await
}

/// The pipeline that `botops init` writes.
const WEEKLY: &str = "pipelines/weekly.yaml";

fn models(context: &Context, registry: &Registry) -> Result<Outcome> {
    let (models, warnings) = context.wait(async {
        let mut models = Vec::new();
        for model in registry.models().await? {
            let versions = registry.versions(&model).await?;
            let champion = versions
                .iter()
                .find(|version| version.aliases.iter().any(|alias| alias == CHAMPION));
            models.push(Model {
                champion: champion.map(Version::reference),
                latest: versions
                    .iter()
                    .rfind(|version| version.yanked.is_none())
                    .map(Version::reference),
                versions: versions.len() as u64,
                model,
            });
        }
        Ok::<_, Fault>((models, registry.environment_warnings().await?))
    })??;
    let url = registry.store().url();
    let text = if models.is_empty() {
        format!("no model is registered in {url}\n")
    } else {
        let rows = models.iter().map(|model| {
            let or_none =
                |reference: &Option<String>| reference.clone().unwrap_or_else(|| "-".to_owned());
            let (champion, latest) = (or_none(&model.champion), or_none(&model.latest));
            vec![model.model.clone(), champion, latest, tables::count(model.versions)]
        });
        tables::table(&["model", "champion", "latest", "versions"], rows, &[3])
    };
    let next = match models.first() {
        Some(model) => shell_line(["botops", "registry", "list", &model.model]),
        // The pipeline of `botops init` pushes a model that passed its gates.
        None if Path::new(WEEKLY).is_file() => shell_line(["botops", "run", WEEKLY]),
        None => "botops push model.botops --name support".to_owned(),
    };
    let text = format!("{text}{}", tables::warnings(&warnings));
    Ok(Outcome::done(&Models { registry: url, models }, text).findings(warnings).next(next))
}

fn versions(context: &Context, registry: &Registry, model: &str) -> Result<Outcome> {
    let (versions, warnings) = context.wait(async {
        Ok::<_, Fault>((registry.versions(model).await?, registry.environment_warnings().await?))
    })??;
    let text = format!("{}{}", text::versions(&versions), tables::warnings(&warnings));
    let newest = versions.last().map(Version::reference);
    let outcome = Outcome::done(&Versions { model, versions }, text).findings(warnings);
    Ok(match newest {
        Some(reference) => outcome.next(shell_line(["botops", "registry", "show", &reference])),
        None => outcome,
    })
}

/// Parses a version of `model`: `2` and `latest` mean `model@2` and `model@latest`.
fn within(model: &str, version: &str) -> Result<Reference> {
    let is_full = version.contains('@') || version == model;
    let reference: Reference =
        if is_full { version.parse()? } else { format!("{model}@{version}").parse()? };
    if reference.model != model {
        return Err(Fault::usage(
            "BOT-1003",
            format!("`{version}` is a version of `{}`, not of `{model}`", reference.model),
        )
        .hint(format!(
            "an alias of `{model}` points to a version of `{model}`: `botops registry list {model}`"
        )));
    }
    Ok(reference)
}

fn alias(context: &Context, registry: &Registry, args: &AliasArgs) -> Result<Outcome> {
    let AliasArgs { model, alias, .. } = args;
    let to = args.to.as_deref().map(|version| within(model, version)).transpose()?;
    let expect = args.expect.as_deref().map(|version| within(model, version)).transpose()?;
    if alias == CHAMPION {
        let version =
            args.to.as_ref().map_or_else(|| format!("{model}@latest"), |_| args.reference());
        return Err(Fault::policy("BOT-5015", "`champion` moves only by promotion")
            .hint(format!(
                "promote a version through its canary: `{}`",
                shell_line(["botops", "promote", &version])
            ))
            .hint(format!(
                "or return to the previous champion: `{} --reason TEXT`",
                shell_line(["botops", "rollback", model])
            )));
    }
    let act = context.act(args.reason.reason.clone())?;
    let (from, to, moved) = context.wait(async {
        let now = registry.alias(model, alias).await?;
        let expected = match &expect {
            Some(reference) => Some(registry.resolve(reference).await?.manifest_digest),
            None => now.as_ref().map(|version| version.manifest_digest),
        };
        let to = match &to {
            Some(reference) => Some(registry.resolve(reference).await?),
            None => None,
        };
        match (&to, &now) {
            (None, None) => drop(registry.resolve(&format!("{model}@{alias}").parse()?).await?),
            (Some(_), _) => check_alias(alias)?,
            (None, Some(_)) => {}
        }
        if args.dry_run && expected != manifest(&now) {
            let points = now.as_ref().map_or("nothing".to_owned(), Version::reference);
            let message =
                format!("`{alias}` of `{model}` points to `{points}`, not to the expected version");
            return Err(Fault::conflict("BOT-5014", message).hint(format!(
                "see the log: `{}`",
                shell_line(["botops", "registry", "log", model])
            )));
        }
        let is_there = to.is_some() && manifest(&to) == manifest(&now);
        if !args.dry_run && !is_there {
            match &to {
                Some(version) => registry.move_alias(alias, version, expected, &act).await?,
                None => registry.remove_alias(model, alias, &act).await?,
            }
        }
        Ok::<_, Fault>((now, to, !args.dry_run && !is_there))
    })??;
    let (from, to) = (from.as_ref().map(Version::reference), to.as_ref().map(Version::reference));
    let would = if args.dry_run { " (dry run: nothing was changed)" } else { "" };
    let text = match (&from, &to) {
        (Some(from), Some(to)) if from == to => {
            format!("{alias} already points to {to}: nothing was changed\n")
        }
        (Some(from), Some(to)) => format!("{alias}: {from} -> {to}{would}\n"),
        (None, Some(to)) => format!("{alias}: new -> {to}{would}\n"),
        (Some(from), None) => format!("{alias}: removed from {from}{would}\n"),
        (None, None) => format!("{model} has no alias {alias}: nothing was changed\n"),
    };
    let answer = Aliased { model, alias, from, to, moved };
    Ok(Outcome::done(&answer, text).next(shell_line(["botops", "registry", "log", model])))
}

impl AliasArgs {
    /// Returns the version as a full reference; without a version, the model.
    fn reference(&self) -> String {
        match &self.to {
            Some(version) if version.contains('@') => version.clone(),
            Some(version) => format!("{}@{version}", self.model),
            None => self.model.clone(),
        }
    }
}

fn manifest(version: &Option<Version>) -> Option<Digest> {
    version.as_ref().map(|version| version.manifest_digest)
}

fn pull(context: &Context, registry: &Registry, args: &PullArgs) -> Result<Outcome> {
    let version = context.wait(resolve(registry, &args.reference))??;
    let out = args.out.clone().unwrap_or_else(|| OutPath::new(default_out(&version, &args.file)));
    let kind = match args.file.as_str() {
        "model.botops" => OutputKind::Model,
        _ => OutputKind::Other,
    };
    let output = Output::new(&out, kind, args.force.force);
    output.check()?;
    let bytes = context.wait(registry.file(&version, &args.file))??;
    output.check_content(&bytes)?;
    if !args.dry_run {
        output.write(&bytes)?;
    }
    let digest = Digest::of(&bytes);
    let answer = Pulled {
        reference: version.reference(),
        file: args.file.clone(),
        digest,
        size_bytes: bytes.len() as u64,
        out: (!args.dry_run).then(|| out.shown()),
    };
    let file = out.shown();
    let text = format!(
        "{}: {} of {}, {} bytes, {}, verified\n",
        if args.dry_run { "not written (dry run)" } else { &file },
        args.file,
        answer.reference,
        tables::count(answer.size_bytes),
        digest.short()
    );
    let text = format!("{text}{}", text::warnings(&version));
    let outcome = Outcome::done(&answer, text).findings(version.warnings());
    if args.dry_run || args.file != "model.botops" || !file.ends_with(".botops") {
        return Ok(outcome);
    }
    Ok(outcome.next(shell_line(["botops", "predict", &file, "hello"])))
}

/// Returns `support-2.botops` for the model file, `support-2-gate.json` for another.
fn default_out(version: &Version, file: &str) -> PathBuf {
    let stem = format!("{}-{}", version.model, version.number);
    match file {
        "model.botops" => PathBuf::from(format!("{stem}.botops")),
        // A path in a manifest is untrusted: only its last part becomes a file name.
        other => {
            let name =
                Path::new(other).file_name().map_or("file".into(), |name| name.to_string_lossy());
            PathBuf::from(format!("{stem}-{name}"))
        }
    }
}
