//! The state of a pipeline: a lock, and one folder per stage that is published by one rename.

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The schema of `stage.json`.
const SCHEMA: &str = "botops.stage/1";

/// The verdict of a stage that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageVerdict {
    /// The stage succeeded.
    Passed,
    /// The stage succeeded with warnings.
    Warned,
    /// A check of the stage failed.
    Failed,
    /// There was too little evidence to decide.
    Insufficient,
}

impl StageVerdict {
    /// Returns whether later stages may run.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Self::Passed | Self::Warned)
    }

    /// Returns the name of the verdict, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Insufficient => "insufficient",
        }
    }
}

/// The record of a stage, in `stage.json`. It contains no time, so the same work writes the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// `botops.stage/1`.
    pub schema: String,
    /// The name of the stage.
    pub stage: String,
    /// The version of the code that ran it.
    pub code: String,
    /// Digest of its settings.
    pub settings: Digest,
    /// Digests of its inputs, by name.
    pub inputs: BTreeMap<String, Digest>,
    /// Digests of the files that it wrote, by name.
    pub outputs: BTreeMap<String, Digest>,
    /// Its verdict.
    pub verdict: StageVerdict,
    /// Its result in one line.
    pub summary: String,
}

impl StageRecord {
    /// Returns the digest over all outputs of the stage.
    #[must_use]
    pub fn result(&self) -> Digest {
        Digest::of_json(&self.outputs)
    }
}

/// The folder of one pipeline's state.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Returns the folder of pipeline `name` in the workspace `root`. Does not create it.
    #[must_use]
    pub fn new(root: &Path, name: &str) -> Self {
        Self { path: root.join(".botops").join("pipelines").join(name) }
    }

    /// Returns the folder of `stage`.
    #[must_use]
    pub fn stage(&self, stage: &str) -> PathBuf {
        self.path.join(stage)
    }

    /// Returns the path of file `name` of `stage`.
    #[must_use]
    pub fn file(&self, stage: &str, name: &str) -> PathBuf {
        self.stage(stage).join(name)
    }

    /// Returns the record of `stage`; `None` if it is missing or cannot be read.
    #[must_use]
    pub fn record(&self, stage: &str) -> Option<StageRecord> {
        let bytes = fs::read(self.file(stage, "stage.json")).ok()?;
        let record: StageRecord = serde_json::from_slice(&bytes).ok()?;
        (record.schema == SCHEMA).then_some(record)
    }

    /// Returns the name of the first output of `record` that is missing or altered.
    #[must_use]
    pub fn altered(&self, record: &StageRecord) -> Option<String> {
        record.outputs.iter().find_map(|(name, digest)| {
            let same = File::open(self.file(&record.stage, name))
                .and_then(Digest::of_reader)
                .is_ok_and(|found| found == *digest);
            (!same).then(|| name.clone())
        })
    }

    /// Takes the lock of this pipeline, which is held until the guard is dropped or the process ends.
    ///
    /// Also removes the unfinished folders of a killed run, and returns the process id of that run.
    ///
    /// # Errors
    /// `BOT-8010` (exit 5) if another run holds it; `BOT-1002` if the folder cannot be written.
    pub fn lock(&self) -> Result<(Lock, Option<u32>)> {
        let fault = |error: io::Error| unwritable(&self.path, &error);
        fs::create_dir_all(&self.path).map_err(fault)?;
        let path = self.path.join("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fault)?;
        let holder =
            fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u32>().ok());
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let holder = holder.map_or(String::new(), |pid| format!(" (process {pid})"));
                return Err(Fault::conflict(
                    "BOT-8010",
                    format!("another run of this pipeline is in progress{holder}"),
                )
                .file(&path)
                .hint("wait for it to end, then run again"));
            }
            Err(fs::TryLockError::Error(error)) => return Err(fault(error)),
        }
        // The kernel releases the lock when its process ends. The process id in the file is for messages only.
        let stale = holder.filter(|&pid| pid != std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
            .map_err(fault)?;
        for entry in fs::read_dir(&self.path).map_err(fault)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp-") {
                fs::remove_dir_all(entry.path()).map_err(fault)?;
            }
        }
        Ok((Lock { file }, stale))
    }

    /// Creates an empty folder for the outputs of `stage`.
    ///
    /// # Errors
    /// `BOT-1002` if it cannot be created.
    pub fn begin(&self, stage: &str) -> Result<PathBuf> {
        let path = self.path.join(format!(".tmp-{stage}"));
        let fault = |error: io::Error| unwritable(&path, &error);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(fault)?;
        }
        fs::create_dir_all(&path).map_err(fault)?;
        Ok(path)
    }

    /// Publishes the content of the folder of [`Folder::begin`] as the result of the stage of `record`, by a rename.
    ///
    /// # Errors
    /// `BOT-1002` if it cannot be written.
    pub fn publish(&self, made: &Path, mut record: StageRecord) -> Result<StageRecord> {
        let fault = |error: io::Error| unwritable(made, &error);
        SCHEMA.clone_into(&mut record.schema);
        record.outputs.clear();
        let mut names: Vec<_> = fs::read_dir(made)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>())
            .map_err(fault)?;
        names.sort();
        for path in &names {
            let file = File::open(path).map_err(fault)?;
            file.sync_all().map_err(fault)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            record.outputs.insert(name, Digest::of_reader(file).map_err(fault)?);
        }
        let mut bytes = serde_json::to_vec_pretty(&record).expect("a record serializes to JSON");
        bytes.push(b'\n');
        botops_files::replace(&made.join("stage.json"), &bytes)?;
        let aside = self.path.join(format!(".tmp-old-{}", record.stage));
        botops_files::replace_folder(made, &self.stage(&record.stage), &aside).map_err(fault)?;
        Ok(record)
    }

    /// Returns the path of `name`, a file or folder of the pipeline itself.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// The held lock of a pipeline.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Clear the process id, so that only a killed process leaves it in the file.
        let _ = self.file.set_len(0);
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault::internal("BOT-1002", format!("`{}` cannot be written: {error}", path.display()))
        .file(path)
        .hint("check the permissions and the free space of the folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stage: &str) -> StageRecord {
        StageRecord {
            schema: String::new(),
            stage: stage.into(),
            code: "1".into(),
            settings: Digest::of(b"s"),
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            verdict: StageVerdict::Passed,
            summary: String::new(),
        }
    }

    #[test]
    fn a_published_stage_is_unchanged_until_an_output_is_altered() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), "p");
        let _lock = folder.lock().unwrap();
        for round in [b"one", b"two"] {
            let made = folder.begin("train").unwrap();
            fs::write(made.join("model"), round).unwrap();
            let published = folder.publish(&made, record("train")).unwrap();
            assert_eq!(folder.record("train"), Some(published.clone()));
            assert_eq!(folder.altered(&published), None);
        }
        fs::write(folder.file("train", "model"), b"three").unwrap();
        assert_eq!(folder.altered(&folder.record("train").unwrap()), Some("model".into()));
    }

    #[test]
    fn a_second_lock_is_refused_and_a_dead_holder_is_recognised() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), "p");
        let held = folder.lock().unwrap();
        assert_eq!(folder.lock().unwrap_err().code(), "BOT-8010");
        drop(held);
        // A killed process leaves its id in the file, but no kernel lock.
        fs::write(folder.own("lock"), "4194305").unwrap();
        let (_lock, stale) = folder.lock().unwrap();
        assert_eq!(stale, Some(4_194_305));
    }

    #[test]
    fn unfinished_folders_of_a_killed_run_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), "p");
        drop(folder.lock().unwrap());
        let made = folder.begin("train").unwrap();
        fs::write(made.join("half"), b"x").unwrap();
        drop(folder.lock().unwrap());
        assert!(!made.exists());
    }
}
