//! Results of stages in the store of runs, so that a stage that another machine has run is not run again.

use super::{
    events::Event,
    plan::Stage,
    spec::StageSpec,
    stages::work::Work,
    state::StageRecord,
    status::{self, Inputs},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// The schema of a shared result.
const SCHEMA: &str = "botops.shared-stage/1";

/// A shared result: the record of the stage; its files are blobs.
#[derive(Serialize, Deserialize)]
struct Shared {
    schema: String,
    record: StageRecord,
}

/// Returns whether the result of `stage` may be shared.
///
/// Never that of a stage with effects, of a gate, which the promotion of a model rests on, of a window, whose texts are erased
/// in the log alone, or of a split that writes a lock.
fn is_shared(work: &Work<'_>, stage: &Stage) -> bool {
    work.plan.spec.share
        && match &stage.spec {
            Some(
                StageSpec::Validate(_)
                | StageSpec::Train(_)
                | StageSpec::Evaluate(_)
                | StageSpec::Drift(_)
                | StageSpec::DialogueTest(_),
            ) => true,
            Some(StageSpec::Split(split)) => split.lock.is_none(),
            _ => false,
        }
}

/// Returns the path of the result of a stage with these inputs, settings and code.
fn path(stage: &Stage, inputs: &Inputs) -> String {
    let code = status::code(stage);
    let key = Digest::of_json(&(SCHEMA, &stage.name, code, inputs.settings, &inputs.inputs)).hex();
    format!("stages/{}/{key}.json", &key[..2])
}

/// Returns whether `name` can be a file in the folder of a stage.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && name != "stage.json"
}

/// Takes the result of `stage` from the store, if another run has put it there. Its files are checked by their digests.
///
/// A result that cannot be read, or is not complete, is no result: a note says why, and the stage runs.
pub(super) async fn take(work: &Work<'_>, stage: &Stage, inputs: &Inputs) -> Option<StageRecord> {
    if !is_shared(work, stage) || work.selection.forces(&stage.name) {
        return None;
    }
    match fetched(work, stage, inputs).await {
        Ok(record) => record,
        Err(fault) => {
            let message = format!("the shared result of `{}` is not used: {fault}", stage.name);
            work.services.listener.hear(&Event::Note { message });
            None
        }
    }
}

async fn fetched(work: &Work<'_>, stage: &Stage, inputs: &Inputs) -> Result<Option<StageRecord>> {
    let store = work.services.experiments.store();
    let path = path(stage, inputs);
    let Some(bytes) = store.read(&path).await? else { return Ok(None) };
    let damaged = |why: String| {
        Fault::data("BOT-7088", format!("the shared result of a stage is damaged: {why}"))
            .file(store.object_url(&path))
            .hint("remove the object: the next run writes it again")
    };
    let shared: Shared =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let record = shared.record;
    if shared.schema != SCHEMA {
        return Err(damaged(format!(
            "its schema is `{}`",
            botops_text::display(&shared.schema, 60)
        )));
    }
    let same = record.stage == stage.name
        && record.code == status::code(stage)
        && record.settings == inputs.settings
        && record.inputs == inputs.inputs;
    if !same || !record.verdict.goes_on() || !record.outputs.keys().all(|name| is_plain(name)) {
        return Err(damaged("it is not a result of this stage".to_owned()));
    }
    let staging = work.folder.begin(&stage.name)?;
    for (name, digest) in &record.outputs {
        // A sweep of the store may have removed the files since.
        if !store.has_blob(digest).await? {
            return Ok(None);
        }
        write(&staging.join(name), &store.blob(digest).await?)?;
    }
    let expected = record.outputs.clone();
    let record = work.folder.publish(&staging, record)?;
    match record.outputs == expected {
        true => Ok(Some(record)),
        false => Err(damaged("its files are others".to_owned())),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| {
        Fault::internal("BOT-1002", format!("`{}` cannot be written: {error}", path.display()))
            .file(path)
            .hint("check the permissions and the free space of the folder")
    })
}

/// Puts the result of `stage` into the store, unless it is there: first its files, then the record that names them. A store
/// that cannot be written leaves a note; the result stays valid here.
pub(super) async fn offer(work: &Work<'_>, stage: &Stage, inputs: &Inputs, record: &StageRecord) {
    if !is_shared(work, stage) || !record.verdict.goes_on() {
        return;
    }
    if let Err(fault) = stored(work, stage, inputs, record).await {
        let message = format!("the result of `{}` is not shared: {fault}", stage.name);
        work.services.listener.hear(&Event::Note { message });
    }
}

async fn stored(
    work: &Work<'_>,
    stage: &Stage,
    inputs: &Inputs,
    record: &StageRecord,
) -> Result<()> {
    let store = work.services.experiments.store();
    for (name, digest) in &record.outputs {
        let path = work.folder.file(&stage.name, name);
        if store.has_blob(digest).await? {
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| {
            Fault::internal("BOT-1017", format!("`{}` cannot be read: {error}", path.display()))
                .file(&path)
        })?;
        store.put_blob(bytes.into()).await?;
    }
    let shared = Shared { schema: SCHEMA.to_owned(), record: record.clone() };
    let bytes = serde_json::to_vec(&shared).expect("a record can be JSON");
    // The same work has the same record, so that the first one counts.
    store.create(&path(stage, inputs), bytes.into()).await.map(|_| ())
}
