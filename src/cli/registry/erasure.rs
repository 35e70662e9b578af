//! `botops registry forget`.

use crate::cli::{
    Outcome, arguments::output_args::ReasonArg, serve::identity_key, session::context::Context,
    terminal::tables,
};
use botops_digest::{Digest, hmac_sha256};
use botops_findings::{Fault, Result};
use botops_registry::{Act, ErasurePlan, Needles, Reference, Registry, blobs_holding};
use botops_spec::LARGEST_SPEC;
use botops_store::{Erasure, ErasureSubject, Store};
use botops_text::shell_line;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(super) struct Args {
    /// Versions whose files are erased, such as support@2
    #[arg(group = "which", value_name = "VERSION")]
    versions: Vec<String>,
    /// File with utterances, one a line (`-` is stdin); every blob that holds one of them is erased
    #[arg(long, value_name = "FILE", group = "which")]
    utterances: Option<PathBuf>,
    /// Erase the files of a champion, too, and search for utterances of fewer than 8 letters
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, and show what would be erased, but erase nothing
    #[arg(long)]
    dry_run: bool,
}

/// The blobs to erase, with the stores that have them.
struct Found {
    plan: ErasurePlan,
    /// The snapshots that lose a pack.
    snapshots: BTreeSet<String>,
    /// The versions of knowledge bases that lose documents, an index or both.
    knowledge: BTreeSet<String>,
    /// The blobs in the store of runs, if it is another one.
    of_runs: BTreeSet<Digest>,
    /// The names of the subject in the log of erasures.
    names: Vec<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    registry: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    plan: &'a ErasurePlan,
    /// The snapshots of data sets that can no longer be read as a whole.
    snapshots: &'a BTreeSet<String>,
    /// The versions of knowledge bases that lose documents, an index or both.
    knowledge: &'a BTreeSet<String>,
    /// The blobs in the store of runs, if it is another one.
    blobs_of_runs: &'a BTreeSet<Digest>,
    /// The erasure in the log of erasures; `None` in a dry run, or if nothing was found.
    erasure: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let references = args.versions.iter().map(|text| text.parse()).collect::<Result<Vec<_>>>()?;
    let needles =
        args.utterances.as_deref().map(|file| utterances(file, args.force)).transpose()?;
    let act = context.act(args.reason.reason.clone())?;
    let registry = context.registry()?;
    let runs = context.experiments()?.store().clone();
    let runs = (runs.url() != registry.store().url()).then_some(runs);
    let mut found = context.wait(search(
        context,
        &registry,
        runs.as_ref(),
        &references,
        needles.as_ref(),
    ))??;
    if !args.force {
        registry.refuse_champion_erasure(&found.plan)?;
    }
    let is_empty = found.plan.blobs.is_empty() && found.of_runs.is_empty();
    let mut erasure = None;
    if !args.dry_run && !is_empty {
        if let Some(needles) = &needles {
            let key = identity_key::resolve(context.workspace()?)?;
            found.names.extend(names(key.expose().as_bytes(), needles));
        }
        erasure = Some(context.wait(erase(&registry, runs.as_ref(), &found, &act))??);
    }
    let answer = Answer {
        registry: registry.store().url(),
        dry_run: args.dry_run,
        plan: &found.plan,
        snapshots: &found.snapshots,
        knowledge: &found.knowledge,
        blobs_of_runs: &found.of_runs,
        erasure,
    };
    let outcome = Outcome::done(&answer, text(&answer));
    Ok(match is_empty || args.dry_run {
        true => outcome,
        false => outcome.next(shell_line(["botops", "registry", "verify"])),
    })
}

fn unread(file: &Path, problem: &str) -> Fault {
    Fault::internal("BOT-5145", format!("`{}` cannot be read: {problem}", file.display()))
        .file(file)
}

/// Reads the utterances. They come from a file, so that no list of processes and no history of a shell has them.
fn utterances(file: &Path, short: bool) -> Result<Needles> {
    let mut text = String::new();
    let source: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => {
            Box::new(std::fs::File::open(file).map_err(|error| unread(file, &error.to_string()))?)
        }
    };
    let read = source.take(LARGEST_SPEC + 1).read_to_string(&mut text);
    read.map_err(|error| unread(file, &error.to_string()))?;
    if text.len() as u64 > LARGEST_SPEC {
        return Err(unread(file, &format!("it has more than {LARGEST_SPEC} bytes")));
    }
    Needles::of_lines(&text, short).map_err(|fault| fault.file(file))
}

async fn search(
    context: &Context,
    registry: &Registry,
    runs: Option<&Store>,
    references: &[Reference],
    needles: Option<&Needles>,
) -> Result<Found> {
    let mut versions = Vec::new();
    for reference in references {
        versions.push(registry.resolve(reference).await?);
    }
    let names = versions.iter().map(|version| version.manifest_digest.to_string()).collect();
    let mut blobs = match versions.is_empty() {
        true => BTreeSet::new(),
        false => registry.blobs_of(&versions).await?,
    };
    let (mut of_runs, mut packs) = (BTreeSet::new(), BTreeMap::new());
    let mut knowledge = BTreeSet::new();
    if let Some(needles) = needles {
        blobs.extend(blobs_holding(registry.store(), needles).await?);
        packs = context.snapshots()?.packs_where(&|bytes: &[u8]| needles.are_in(bytes)).await?;
        blobs.extend(packs.keys());
        // An index holds the text of its documents, in another form.
        let holds = |bytes: &[u8]| needles.are_in(bytes);
        for (blob, versions) in context.knowledge()?.blobs_where(&holds, &blobs).await? {
            blobs.insert(blob);
            knowledge.extend(versions);
        }
    }
    // An erasure that was interrupted is continued.
    let erased = registry.store().erased_blobs().await?;
    let mut rest = BTreeSet::new();
    for blob in blobs {
        if !erased.contains(&blob) || registry.store().has_blob(&blob).await? {
            rest.insert(blob);
        }
    }
    if let Some(runs) = runs {
        if let Some(needles) = needles {
            of_runs = blobs_holding(runs, needles).await?;
        }
        for blob in &rest {
            // A run keeps the files of the versions that it made.
            if runs.has_blob(blob).await? {
                of_runs.insert(*blob);
            }
        }
    }
    let snapshots = packs.into_values().flatten().collect();
    Ok(Found { plan: registry.plan_erasure(rest).await?, snapshots, knowledge, of_runs, names })
}

/// Returns the names of utterances: HMACs under the identity key, which nobody can read.
fn names(key: &[u8], needles: &Needles) -> Vec<String> {
    let name = |text: &String| {
        let message = [b"botops utterance\0".as_slice(), text.as_bytes()].concat();
        hmac_sha256(key, &message).hex()[..32].to_owned()
    };
    needles.canonical().iter().map(name).collect()
}

async fn erase(
    registry: &Registry,
    runs: Option<&Store>,
    found: &Found,
    act: &Act,
) -> Result<String> {
    let store = registry.store();
    let id = ulid::Ulid::generate().to_string();
    let blobs = found.plan.blobs.union(&found.of_runs).copied().collect();
    let mut entry = Erasure {
        id: id.clone(),
        done: false,
        subject: ErasureSubject::Utterance,
        names: found.names.clone(),
        conversations: Vec::new(),
        n_conversations: 0,
        turns: 0,
        keys: 0,
        predictions: 0,
        blobs,
        by: act.actor.clone(),
        reason: act.reason.clone(),
        at: act.at,
    };
    store.record_erasure(&entry).await?;
    registry.erase(&found.plan, &id, act).await?;
    if let Some(runs) = runs {
        for digest in &found.of_runs {
            runs.erase_blob(digest, &id, act.at).await?;
        }
    }
    entry.done = true;
    store.record_erasure(&entry).await?;
    Ok(id)
}

fn text(answer: &Answer<'_>) -> String {
    let ErasurePlan { blobs, versions } = answer.plan;
    let n_blobs = (blobs.len() + answer.blobs_of_runs.len()) as u64;
    if n_blobs == 0 {
        return format!("nothing to erase in {}\n", answer.registry);
    }
    let verb = if answer.dry_run { "to erase" } else { "erased" };
    let mut out = format!("{verb}: {}\n", tables::counted(n_blobs, "blob", "blobs"));
    if !versions.is_empty() {
        let rows = versions.iter().map(|version| {
            let state = if version.unusable { "cannot be served" } else { "can be served" };
            vec![
                version.version.clone(),
                version.files.join(", "),
                version.champion_of.join(", "),
                state.to_owned(),
            ]
        });
        out.push_str(&tables::table(&["version", "files", "champion of", "afterwards"], rows, &[]));
    }
    for snapshot in answer.snapshots {
        out.push_str(&format!("snapshot {snapshot} loses files\n"));
    }
    for version in answer.knowledge {
        out.push_str(&format!("knowledge {version} loses documents\n"));
    }
    if let Some(erasure) = &answer.erasure {
        out.push_str(&format!("erasure {erasure} is in the log; it cannot be taken back\n"));
    } else {
        out.push_str("(dry run: nothing was erased)\n");
    }
    out
}
