//! Checkpoints: all that a run needs to go on as if it had never stopped.
//!
//! A checkpoint of step n is two files, `step-<n>.safetensors` (weights, moments and perhaps the best weights so
//! far) and `step-<n>.json` (where the run is, and the digest of the first). Each is written aside, synced and
//! renamed, the JSON last: a checkpoint is there once its JSON is. The last two are kept. Random numbers are keyed
//! by seed, step and place, so that there is no generator to save.

use super::EpochRecord;
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

const SCHEMA: &str = "botops.fine_tuning_checkpoint/1";
/// So many checkpoints are kept: the newest, and one in case the disk harms it.
const KEPT: usize = 2;

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// Steps made.
    pub(super) step: u64,
    /// Sum of the losses of this epoch's steps so far.
    pub(super) loss_sum: f64,
    /// The epochs done.
    pub(super) history: Vec<EpochRecord>,
    /// The epoch whose weights are best so far; only where training may stop early.
    pub(super) best: Option<usize>,
    /// The most tokens computed at once: smaller than asked for once a device ran out of memory.
    pub(super) max_tokens: usize,
}

/// A run as a whole, of the variables in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) place: Place,
    pub(super) values: Vec<Vec<f32>>,
    /// Mean and mean square of the gradients.
    pub(super) moments: Vec<[Vec<f32>; 2]>,
    pub(super) best: Option<Vec<Vec<f32>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
    /// Of the configuration and the data.
    run: Digest,
    /// Of the file with the numbers.
    numbers: Digest,
    place: Place,
    /// Of the fields above.
    digest: Option<Digest>,
}

impl Header {
    /// The digest of all but the digest.
    fn digested(&self) -> Digest {
        Digest::of(&canonical_json(&(&self.schema, &self.run, &self.numbers, &self.place)))
    }
}

/// A folder of checkpoints of one run.
pub(super) struct Checkpoints<'a> {
    folder: &'a Path,
    /// The digest of all that decides the run's result.
    run: Digest,
    /// Name and length of each variable.
    layout: Vec<(String, usize)>,
}

impl<'a> Checkpoints<'a> {
    pub(super) fn new(folder: &'a Path, run: Digest, layout: Vec<(String, usize)>) -> Self {
        Self { folder, run, layout }
    }

    /// Returns the newest state, and what was passed over to get to it; none in an empty folder.
    ///
    /// # Errors
    /// `BOT-7031` (exit 2) when a checkpoint is of another configuration or other data; `BOT-7033` (exit 3) when
    /// there are checkpoints and none is whole; `BOT-7034` (exit 1) when a file cannot be read.
    pub(super) fn newest(&self) -> Result<Option<(State, Vec<String>)>> {
        let mut passed_over = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            match self.read(step)? {
                Ok(state) => return Ok(Some((state, passed_over))),
                Err(why) => passed_over.push(format!("the checkpoint of step {step} {why}")),
            }
        }
        match passed_over.first() {
            None => Ok(None),
            Some(first) => Err(Fault::data("BOT-7033", format!("no checkpoint is whole: {first}"))
                .file(self.folder)
                .hint("delete the folder of checkpoints to begin anew")),
        }
    }

    /// Writes the checkpoint of `state`, then removes all but the last two.
    ///
    /// # Errors
    /// `BOT-7034` (exit 1) when the folder cannot be written.
    pub(super) fn write(&self, state: &State) -> Result<()> {
        let fault = |error: io::Error| {
            Fault::internal("BOT-7034", format!("a checkpoint cannot be written: {error}"))
                .file(self.folder)
                .hint("check the room on the disk, and that you may write there; what was saved before stands")
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
        header.digest = Some(header.digested());
        let [numbers_path, header_path] = self.paths(state.place.step);
        write_synced(&numbers_path, &numbers).map_err(fault)?;
        write_synced(&header_path, &canonical_json(&header)).map_err(fault)?;
        File::open(self.folder).and_then(|folder| folder.sync_all()).map_err(fault)?;
        self.tidy(&header_path).map_err(fault)
    }

    /// Removes what is neither one of the last two checkpoints nor a file of somebody else.
    fn tidy(&self, newest: &Path) -> io::Result<()> {
        let mut ours: Vec<PathBuf> = fs::read_dir(self.folder)?
            .map(|entry| Ok(entry?.path()))
            .filter(|path: &io::Result<PathBuf>| path.as_ref().map_or(true, |path| is_ours(path)))
            .collect::<io::Result<_>>()?;
        let is_header = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == "json");
        let mut kept: Vec<PathBuf> = ours.iter().filter(is_header).cloned().collect();
        kept.sort_unstable();
        // Checkpoints of later steps can only be damaged ones that were passed over.
        kept.retain(|path| path.as_path() <= newest);
        kept.drain(..kept.len().saturating_sub(KEPT));
        // A JSON goes before its numbers: without it they are no checkpoint.
        ours.sort_unstable_by_key(|path| !is_header(&path));
        for path in ours {
            let whole =
                path.extension().is_some_and(|kind| kind == "json" || kind == "safetensors");
            if !(whole && kept.contains(&path.with_extension("json"))) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn paths(&self, step: u64) -> [PathBuf; 2] {
        ["safetensors", "json"].map(|kind| self.folder.join(format!("step-{step:08}.{kind}")))
    }

    /// The steps of which there is a checkpoint, in order.
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

    /// Reads the checkpoint of `step`, or says what is wrong with it.
    fn read(&self, step: u64) -> Result<Result<State, &'static str>> {
        let [numbers_path, header_path] = self.paths(step);
        let header = fs::read(&header_path).map_err(|error| unreadable(&header_path, error))?;
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&header) else {
            return Ok(Err("is damaged"));
        };
        let schema = value.get("schema").and_then(serde_json::Value::as_str);
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Err(
                self.of_another_run(&header_path, "it was written by another version of botops")
            );
        }
        let Ok(header) = Header::deserialize(value) else { return Ok(Err("is damaged")) };
        if header.digest != Some(header.digested()) {
            return Ok(Err("is damaged"));
        }
        if header.run != self.run {
            return Err(self.of_another_run(
                &header_path,
                "its data, its settings, its seed or its encoder differ",
            ));
        }
        let numbers = match fs::read(&numbers_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("lacks its numbers"));
            }
            numbers => numbers.map_err(|error| unreadable(&numbers_path, error))?,
        };
        if Digest::of(&numbers) != header.numbers {
            return Ok(Err("is damaged"));
        }
        Ok(self.state(&numbers, header.place).ok_or("is damaged"))
    }

    fn of_another_run(&self, path: &Path, why: &str) -> Fault {
        Fault::usage("BOT-7031", format!("the folder holds a checkpoint of another run: {why}"))
            .file(path)
            .hint("name another folder for the checkpoints of this run, or delete this one")
    }

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

    fn state(&self, numbers: &[u8], place: Place) -> Option<State> {
        let file = SafeTensors::deserialize(numbers).ok()?;
        let all = |kind: &str| {
            self.layout
                .iter()
                .map(|(name, len)| {
                    let view = file.tensor(&format!("{kind}.{name}")).ok()?;
                    let whole = view.dtype() == Dtype::F32 && view.shape() == [*len];
                    let numbers = || {
                        view.data()
                            .as_chunks::<4>()
                            .0
                            .iter()
                            .map(|bytes| f32::from_le_bytes(*bytes))
                            .collect()
                    };
                    whole.then(numbers)
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

/// Numbers that become bytes only when they are written.
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

/// Whether a file is named as those of checkpoints are, whole or cut short by a kill.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let step = name.strip_prefix("step-").and_then(|rest| rest.split_once('.'));
    step.is_some_and(|(step, kind)| {
        step.parse::<u64>().is_ok() && ["json", "safetensors", "part"].contains(&kind)
    })
}

/// Writes aside, syncs and renames, so that the file is there whole or not at all.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

fn unreadable(path: &Path, error: io::Error) -> Fault {
    Fault::internal("BOT-7034", format!("a checkpoint cannot be read: {error}"))
        .file(path)
        .hint("check that you may read the folder of checkpoints, or name another one")
        .caused_by(error)
}
