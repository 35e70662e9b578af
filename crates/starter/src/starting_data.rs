//! The data of a new workspace: a file of the user, or the example set.

use crate::{behaviour::behaviour, starter_file::StarterFile};
use botops_datasets::{self as datasets, Dataset, Presence, ReadOptions};
use botops_findings::{Fault, Result};
use botops_labels::OOS;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

/// The fewest intents that a model can tell apart.
const FEWEST_INTENTS: usize = 2;

/// The origin of the data of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataOrigin {
    /// A file inside the workspace, which stays where it is.
    Here,
    /// A copy of a file that lies outside.
    Copy,
    /// The example set of botops.
    Example,
}

/// The data of a new workspace, and the expectations for it.
#[derive(Debug)]
pub struct StartingData {
    /// The path from the root of the workspace, with `/` between its parts.
    pub path: String,
    /// The origin.
    pub origin: DataOrigin,
    /// The number of records.
    pub n_records: u64,
    /// The records of each intent; out of scope is not an intent.
    pub intents: BTreeMap<String, u64>,
    /// The file to write, unless the data is in the workspace.
    pub(crate) file: Option<StarterFile>,
    /// The expectations, as YAML.
    pub(crate) expectations: String,
    /// The behavioural tests, as YAML; `None` if no record fits.
    pub(crate) behaviour: Option<String>,
}

impl StartingData {
    /// Returns the example set, for the model `model`.
    #[must_use]
    pub fn example(model: &str) -> Self {
        let path = format!("datasets/{model}/utterances.csv");
        let csv = include_str!("templates/example.csv");
        let data = datasets::read_bytes(csv.as_bytes(), &path, &ReadOptions::default())
            .expect("the example set can be read");
        Self {
            origin: DataOrigin::Example,
            n_records: data.records.len() as u64,
            intents: intents(&data),
            behaviour: behaviour(&data),
            file: Some(StarterFile::new(&path, csv)),
            expectations: include_str!("templates/example-expectations.yaml").to_owned(),
            path,
        }
    }

    /// Reads the file at `data`, with the columns that `read` names, for a workspace at `root` with the model `model`.
    ///
    /// A file outside of `root` is copied to `datasets/<model>/`, because a pipeline names files of its workspace only.
    ///
    /// # Errors
    /// `BOT-1171` (exit 2) `data` is not a file whose path a pipeline can name; `BOT-1172` (exit 3) it has fewer than two
    /// intents; the faults of reading.
    pub fn read(root: &Path, data: &Path, model: &str, read: &ReadOptions) -> Result<Self> {
        let whole = existing_file(data)?;
        let inside = real(root).and_then(|root| path_in(&whole, &root));
        let options = ReadOptions { intent: Presence::Required, ..read.clone() };
        let records = datasets::read(data, &options)?;
        let intents = intents(&records);
        if intents.len() < FEWEST_INTENTS {
            let found = match intents.keys().next() {
                None => "no intent".to_owned(),
                Some(one) => format!("one intent, `{}`", botops_text::utterance(one, 40)),
            };
            let message = format!("`{}` has {found}: a model needs at least two", data.display());
            return Err(Fault::data("BOT-1172", message)
                .file(data)
                .hint("label the records with the intents that the bot should tell apart")
                .hint("or name the column of the labels: `--intent-column NAME`"));
        }
        let inferred = botops_profile::infer(data, read)?;
        let (path, origin, file) = match inside {
            Some(path) => (named(&path, data)?, DataOrigin::Here, None),
            None => {
                let name = whole.file_name().unwrap_or_default();
                let path = named(&Path::new("datasets").join(model).join(name), data)?;
                let content = fs::read(&whole).map_err(|error| unreadable(data, error))?;
                let file = StarterFile::new(&path, content);
                (path, DataOrigin::Copy, Some(file))
            }
        };
        Ok(Self {
            path,
            origin,
            n_records: records.records.len() as u64,
            intents,
            behaviour: behaviour(&records),
            file,
            expectations: inferred.yaml,
        })
    }

    /// Returns the path of the file `name` in the folder of the data.
    pub(crate) fn beside(&self, name: &str) -> String {
        match self.path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// Returns the records of each intent of `data`.
fn intents(data: &Dataset) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for intent in data.records.iter().filter_map(|record| record.intent.as_deref()) {
        if intent != OOS {
            *found.entry(intent.to_owned()).or_default() += 1;
        }
    }
    found
}

/// Returns the real path of the regular file `data`.
fn existing_file(data: &Path) -> Result<PathBuf> {
    let refused = |why: &str| {
        Err(Fault::usage("BOT-1171", format!("`--data {}`: {why}", data.display()))
            .file(data)
            .hint("name one file of utterances with their intents, such as `utterances.csv`"))
    };
    if botops_files::is_standard_output(data) {
        return refused("a pipeline reads its data from a file, not from standard input");
    }
    match fs::metadata(data) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return refused("expected a file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return refused("there is no such file");
        }
        Err(error) => return Err(unreadable(data, error)),
    }
    data.canonicalize().map_err(|error| unreadable(data, error))
}

/// Returns the real path of `folder`; `None` if it does not exist yet, so that no file lies in it.
fn real(folder: &Path) -> Option<PathBuf> {
    folder.canonicalize().ok()
}

/// Returns `file` relative to `root`, if it lies below it.
fn path_in(file: &Path, root: &Path) -> Option<PathBuf> {
    file.strip_prefix(root).ok().map(Path::to_owned)
}

/// Returns `path` in the form that a pipeline names it.
fn named(path: &Path, data: &Path) -> Result<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let is_plain =
        |part: &&str| !part.contains(['*', '?', '[', ']']) && !part.contains(char::is_control);
    match parts.filter(|parts| parts.iter().all(is_plain)) {
        Some(parts) => Ok(parts.join("/")),
        None => {
            let message = format!("a pipeline cannot name `{}`", data.display());
            Err(Fault::usage("BOT-1171", message)
                .file(data)
                .hint("rename it, without control characters and the signs of patterns: * ? [ ]"))
        }
    }
}

fn unreadable(data: &Path, error: std::io::Error) -> Fault {
    Fault::usage("BOT-1001", format!("`{}` cannot be read", data.display()))
        .file(data)
        .hint("check the path and its permissions")
        .caused_by(error)
}
