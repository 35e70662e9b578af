//! Checkpoints: the complete state of a run, so that an interrupted run gives the same result as an uninterrupted one.
//!
//! A checkpoint of step n consists of two files: `step-<n>.safetensors` (weights, moments, and with early stopping the
//! best weights so far) and `step-<n>.json` (the progress of the run, and the digest of the first file). Each is written
//! to a temporary file, synced and renamed; the JSON is written last, so a checkpoint exists once its JSON does. The last
//! two checkpoints are kept. Random numbers are keyed by seed, step and position, so no generator state is saved.

use super::outcome::EpochRecord;
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
};

const SCHEMA: &str = "botops.fine_tuning_checkpoint/1";
/// Number of checkpoints to keep: the newest, and one more in case the disk damages it.
const KEPT: usize = 2;

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// Number of completed steps.
    pub(super) step: u64,
    /// Sum of the losses of the steps of this epoch so far.
    pub(super) loss_sum: f64,
    /// The completed epochs.
    pub(super) history: Vec<EpochRecord>,
    /// The epoch with the best weights so far; only if training can stop early.
    pub(super) best: Option<usize>,
    /// The largest number of tokens computed at once: below the setting once a device ran out of memory.
    pub(super) max_tokens: usize,
}

/// The complete state of a run, with the variables in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) place: Place,
    pub(super) values: Vec<Vec<f32>>,
    /// Running mean and mean square of the gradients.
    pub(super) moments: Vec<[Vec<f32>; 2]>,
    pub(super) best: Option<Vec<Vec<f32>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
    /// Digest of the configuration and the data.
    run: Digest,
    /// Digest of the file with the numbers.
    numbers: Digest,
    place: Place,
    /// Digest of the fields above.
    digest: Option<Digest>,
}

impl Header {
    /// Returns the digest of all fields except the digest.
    fn own_digest(&self) -> Digest {
        Digest::of(&canonical_json(&(&self.schema, &self.run, &self.numbers, &self.place)))
    }
}

/// The checkpoint folder of one run.
pub(super) struct Checkpoints<'a> {
    folder: &'a Path,
    /// The digest of everything that determines the result of the run.
    run: Digest,
    /// Name and length of each variable.
    layout: Vec<(String, usize)>,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(folder: &'a Path, run: Digest, layout: Vec<(String, usize)>) -> Self {
        Self { folder, run, layout }
    }

    /// Returns the newest intact state, and a message for each newer checkpoint that was skipped; `None` if there is no
    /// checkpoint.
    ///
    /// # Errors
    /// `BOT-7031` (exit 2) if a checkpoint belongs to another configuration or other data; `BOT-7033` (exit 3) if there
    /// are checkpoints and none is intact; `BOT-7034` (exit 1) if a file cannot be read.
    pub(super) fn newest(&self) -> Result<Option<(State, Vec<String>)>> {
        let mut skipped = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            match self.read(step)? {
                Ok(state) => return Ok(Some((state, skipped))),
                Err(problem) => {
                    skipped.push(format!("the checkpoint of step {step} {problem}"));
                }
            }
        }
        match skipped.first() {
            None => Ok(None),
            Some(first) => {
                Err(Fault::data("BOT-7033", format!("no checkpoint is intact: {first}"))
                    .file(self.folder)
                    .hint("delete the checkpoint folder to start again"))
            }
        }
    }

    /// Writes the checkpoint of `state`, then removes all checkpoints except the last two.
    ///
    /// # Errors
    /// `BOT-7034` (exit 1) if the folder cannot be written.
    pub(super) fn write(&self, state: &State) -> Result<()> {
        let fault = |error: io::Error| {
            Fault::internal("BOT-7034", format!("a checkpoint cannot be written: {error}"))
                .file(self.folder)
                .hint("check free disk space and write permission; earlier checkpoints are kept")
                .caused_by(error)
        };
        fs::create_dir_all(self.folder).map_err(fault)?;
        let numbers = self.numbers(state);
        let mut header = Header {
            schema: SCHEMA.to_owned(),
            run: self.run,
            numbers: Digest::of(&numbers),
            place: state.place.clone(),
            digest: None,
        };
        header.digest = Some(header.own_digest());
        let [numbers_path, header_path] = self.paths(state.place.step);
        // The numbers are durable before the JSON that names them.
        for (path, bytes) in [(&numbers_path, numbers), (&header_path, canonical_json(&header))] {
            botops_files::replace(path, &bytes).map_err(io::Error::other).map_err(fault)?;
        }
        self.remove_old(&header_path).map_err(fault)
    }

    /// Removes checkpoint files except those of the last two checkpoints; other files in the folder are kept.
    fn remove_old(&self, newest: &Path) -> io::Result<()> {
        let mut ours: Vec<PathBuf> = fs::read_dir(self.folder)?
            .map(|entry| Ok(entry?.path()))
            .filter(|path: &io::Result<PathBuf>| path.as_ref().map_or(true, |path| is_ours(path)))
            .collect::<io::Result<_>>()?;
        let is_header = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == "json");
        let mut kept: Vec<PathBuf> = ours.iter().filter(is_header).cloned().collect();
        kept.sort_unstable();
        // Checkpoints of later steps are damaged ones that were skipped.
        kept.retain(|path| path.as_path() <= newest);
        kept.drain(..kept.len().saturating_sub(KEPT));
        // A JSON file is removed before its numbers, so no checkpoint exists without numbers.
        ours.sort_unstable_by_key(|path| !is_header(&path));
        for path in ours {
            let is_complete =
                path.extension().is_some_and(|kind| kind == "json" || kind == "safetensors");
            if !(is_complete && kept.contains(&path.with_extension("json"))) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Returns the paths of the numbers and of the JSON of `step`.
    fn paths(&self, step: u64) -> [PathBuf; 2] {
        ["safetensors", "json"].map(|kind| self.folder.join(format!("step-{step:08}.{kind}")))
    }

    /// Returns the steps that have a checkpoint, rising.
    fn steps(&self) -> Result<Vec<u64>> {
        let entries = match fs::read_dir(self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| unreadable(self.folder, error))?,
        };
        let mut steps = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| unreadable(self.folder, error))?.file_name();
            let step =
                name.to_str().and_then(|name| name.strip_prefix("step-")?.strip_suffix(".json"));
            steps.extend(step.and_then(|step| step.parse::<u64>().ok()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Reads the checkpoint of `step`; the inner error completes the sentence "the checkpoint ...".
    fn read(&self, step: u64) -> Result<Result<State, &'static str>> {
        let [numbers_path, header_path] = self.paths(step);
        let header = fs::read(&header_path).map_err(|error| unreadable(&header_path, error))?;
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&header) else {
            return Ok(Err("is damaged"));
        };
        let schema = value.get("schema").and_then(serde_json::Value::as_str);
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Err(self.of_another_run(&header_path, "another version of botops wrote it"));
        }
        let Ok(header) = Header::deserialize(value) else { return Ok(Err("is damaged")) };
        if header.digest != Some(header.own_digest()) {
            return Ok(Err("is damaged"));
        }
        if header.run != self.run {
            return Err(
                self.of_another_run(&header_path, "its data, settings, seed or encoder differ")
            );
        }
        let numbers = match fs::read(&numbers_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("has no file of numbers"));
            }
            numbers => numbers.map_err(|error| unreadable(&numbers_path, error))?,
        };
        if Digest::of(&numbers) != header.numbers {
            return Ok(Err("is damaged"));
        }
        Ok(self.state(&numbers, header.place).ok_or("is damaged"))
    }

    /// Returns the fault of a checkpoint that belongs to another run.
    fn of_another_run(&self, path: &Path, reason: &str) -> Fault {
        Fault::usage("BOT-7031", format!("the folder holds a checkpoint of another run: {reason}"))
            .file(path)
            .hint("use another checkpoint folder for this run, or delete this one")
    }

    /// Returns the safetensors of `state`.
    fn numbers(&self, state: &State) -> Vec<u8> {
        let means = state.moments.iter().map(|[mean, _]| mean).collect();
        let squares = state.moments.iter().map(|[_, square]| square).collect();
        let mut kinds: Vec<(&str, Vec<&Vec<f32>>)> =
            vec![("value", state.values.iter().collect()), ("mean", means), ("square", squares)];
        kinds.extend(state.best.as_ref().map(|best| ("best", best.iter().collect())));
        let tensors = kinds.into_iter().flat_map(|(kind, all)| {
            self.layout.iter().zip(all).map(move |((name, _), values)| {
                (format!("{kind}.{name}"), Numbers { shape: [values.len()], values })
            })
        });
        safetensors::serialize(tensors, None).expect("names are distinct, and lengths are shapes")
    }

    /// Reads the safetensors; `None` if a tensor is missing or has another shape.
    fn state(&self, numbers: &[u8], place: Place) -> Option<State> {
        let file = SafeTensors::deserialize(numbers).ok()?;
        let all = |kind: &str| {
            self.layout
                .iter()
                .map(|(name, len)| {
                    let view = file.tensor(&format!("{kind}.{name}")).ok()?;
                    let valid = view.dtype() == Dtype::F32 && view.shape() == [*len];
                    let numbers = || {
                        view.data()
                            .as_chunks::<4>()
                            .0
                            .iter()
                            .map(|bytes| f32::from_le_bytes(*bytes))
                            .collect()
                    };
                    valid.then(numbers)
                })
                .collect::<Option<Vec<Vec<f32>>>>()
        };
        let moments = all("mean")?
            .into_iter()
            .zip(all("square")?)
            .map(|(mean, square)| [mean, square])
            .collect();
        let best = match place.best {
            Some(_) => Some(all("best")?),
            None => None,
        };
        Some(State { place, values: all("value")?, moments, best })
    }
}

/// A tensor that is converted to bytes when it is written.
struct Numbers<'a> {
    shape: [usize; 1],
    values: &'a [f32],
}

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Returns whether the file name is that of a checkpoint file, complete or temporary; version 0.1 wrote `.part` files.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(name) = name.strip_prefix('.') {
        return name.starts_with("step-") && name.ends_with(".tmp");
    }
    let step = name.strip_prefix("step-").and_then(|rest| rest.split_once('.'));
    step.is_some_and(|(step, kind)| {
        step.parse::<u64>().is_ok() && ["json", "safetensors", "part"].contains(&kind)
    })
}

/// Returns the fault of a file that cannot be read.
fn unreadable(path: &Path, error: io::Error) -> Fault {
    Fault::internal("BOT-7034", format!("a checkpoint cannot be read: {error}"))
        .file(path)
        .hint("check read permission on the checkpoint folder, or use another one")
        .caused_by(error)
}
