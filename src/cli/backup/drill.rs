//! `botops backup drill`.

use super::{
    checks::{Erasing, check},
    restore::below,
    store_args::{IdentityArgs, StoreArgs, keys},
};
use crate::cli::{
    Exit, Outcome,
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_backup::{REGISTRY, Restored, Targets, Wishes, header, live_erasures, restore, verify};
use botops_conversations::Location;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_registry::Registry;
use botops_store::DrillRecord;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Folder with room for the copy, which is removed afterwards; default: that of temporary files
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// Read and check the backup, but restore nothing and record nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    store: &'a str,
    #[serde(flatten)]
    drill: &'a DrillRecord,
    entries: u64,
    dry_run: bool,
}

/// A folder that is removed at the end.
struct ScratchFolder(PathBuf);

impl ScratchFolder {
    fn create(parent: &Path) -> Result<Self> {
        let id = ulid::Ulid::generate().to_string().to_lowercase();
        let folder = parent.join(format!("botops-drill-{id}"));
        // The copy has what persons wrote.
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&folder) {
            Ok(()) => Ok(Self(folder)),
            Err(error) => Err(Fault::internal(
                "BOT-1002",
                format!("`{}` cannot be made: {error}", folder.display()),
            )
            .hint("name a folder with room: `--scratch FOLDER`")
            .caused_by(error)),
        }
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let from = args.store.open(context)?;
    let keys = keys(None, &args.identity)?;
    let at = provenance::now()?;
    let live = context.store(&workspace.registry.value)?;
    let began = Instant::now();
    let header = context.wait(header(&from, None))??;
    let mut drill = DrillRecord {
        schema: DrillRecord::SCHEMA.to_owned(),
        backup: header.id.clone(),
        at,
        passed: false,
        rto_seconds: 0.0,
        rpo_seconds: seconds((at - header.created_at).num_milliseconds() as f64 / 1e3),
        objects: header.objects,
        models: 0,
        conversations: 0,
        problems: 0,
    };
    if args.dry_run {
        let verified = context.wait(verify(&from, &header, &keys))??;
        drill.problems = verified.damaged;
        drill.passed = verified.damaged == 0;
        drill.rto_seconds = seconds(began.elapsed().as_secs_f64());
        return Ok(outcome(args, &drill, 0, verified.problems));
    }
    let parent = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = ScratchFolder::create(&parent)?;
    let place = scratch.0.display().to_string();
    let mut stores = BTreeMap::new();
    for name in &header.stores {
        stores.insert(name.clone(), context.store(&below(&place, name))?);
    }
    let conversations = match header.conversations {
        Some(_) => Some(Location::parse(&below(&place, "conversations"), &workspace.root)?),
        None => None,
    };
    let targets = Targets { stores, conversations };
    let checked = context.wait(async {
        let erasures = Some((live.url().to_owned(), live_erasures(&live, Some(&header)).await?));
        let wishes = Wishes { at: None, erasures, dry_run: false };
        let restored = restore(&from, &header, &keys, (&targets, &wishes), &mut Erasing).await;
        let restored = match restored {
            Ok(restored) => restored,
            // A damaged backup is the outcome of a drill. A key that is missing or a store that is away is not.
            Err(fault) if fault.code() == "BOT-5100" => {
                return Ok((None, 0, 0, vec![fault.as_finding()]));
            }
            Err(fault) => return Err(fault),
        };
        let Some(registry) = targets.stores.get(REGISTRY) else {
            let fault = Fault::data("BOT-5100", "the backup has no registry")
                .file(from.object_url("backups"))
                .hint("make a new backup, and find out who wrote this one");
            return Ok((Some(restored), 0, 0, vec![fault.as_finding()]));
        };
        let registry = Registry::open(registry.clone());
        let checked = check(&registry).await?;
        let mut problems = checked.problems;
        problems.extend(miscounted(&targets, &restored).await?);
        Ok::<_, Fault>((Some(restored), checked.models, checked.entries, problems))
    })?;
    let (restored, models, entries, problems) = checked?;
    drill.rto_seconds = seconds(began.elapsed().as_secs_f64());
    drill.objects = restored.as_ref().map_or(0, |it| it.objects);
    let counted = restored.as_ref().and_then(|it| it.conversations);
    drill.conversations = counted.map_or(0, |copied| copied.conversations);
    drill.models = models;
    drill.problems = problems.len() as u64;
    drill.passed = problems.is_empty();
    context.wait(live.record_drill(drill.clone()))??;
    Ok(outcome(args, &drill, entries, problems))
}

/// Rounds to milliseconds; a clock that went back counts as no time.
fn seconds(seconds: f64) -> f64 {
    (seconds.max(0.0) * 1e3).round() / 1e3
}

/// Counts the restored conversations again, from their store.
async fn miscounted(targets: &Targets, restored: &Restored) -> Result<Option<Finding>> {
    let (Some(location), Some(expected)) = (&targets.conversations, restored.conversations) else {
        return Ok(None);
    };
    let found = location.export(async |_| Ok(())).await?;
    Ok((found != expected).then(|| {
        let message = format!(
            "{} of conversations were restored, and {} can be read",
            tables::counted(expected.turns, "turn", "turns"),
            tables::counted(found.turns, "turn", "turns"),
        );
        let help =
            "run the drill again with another `--scratch`, on a disk that is known to be good";
        Finding::new("BOT-5109", Severity::Error, message, help)
    }))
}

fn outcome(args: &Args, drill: &DrillRecord, entries: u64, problems: Vec<Finding>) -> Outcome {
    let answer = Answer { store: args.store.location(), drill, entries, dry_run: args.dry_run };
    let verdict = match drill.passed {
        true => "passed",
        false => "FAILED",
    };
    let what = if args.dry_run { "read, restored nothing" } else { "restored and checked" };
    let text = format!(
        "{}drill {verdict}: backup {} {what}\n  {}, {} opened, {}, {}\n  recovery time {}, recovery point {} ago\n",
        tables::findings(&problems, 20),
        drill.backup,
        tables::counted(drill.objects, "object", "objects"),
        tables::counted(drill.models, "model", "models"),
        tables::counted(entries, "log entry", "log entries"),
        tables::counted(drill.conversations, "conversation", "conversations"),
        tables::seconds(drill.rto_seconds),
        tables::seconds(drill.rpo_seconds),
    );
    let exit = if drill.passed { Exit::Done } else { Exit::Gate };
    Outcome::done(&answer, text).exit(exit).findings(problems)
}
