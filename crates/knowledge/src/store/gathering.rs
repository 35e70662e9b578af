//! The files that an import names: single files, and the files of folders.

use super::change::{Change, PutFile};
use botops_documents::{Declared, Limits};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_spec as spec;
use botops_text as text;
use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The most files of an import: those that a knowledge base may have.
const MOST_FILES: usize = 100_000;
/// The deepest folder that is read.
const DEEPEST: usize = 64;
const RENAME: &str = "rename it: names are UTF-8, without `\\` or control characters";

/// The files to import.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The files by their names in the knowledge base.
    pub files: BTreeMap<String, PathBuf>,
    /// Hidden files and folders, which are skipped.
    pub hidden: Vec<String>,
    refused: Vec<Finding>,
}

impl Gathered {
    /// Lists the files under `paths`: a file by its own name, a file in a folder by its path in that folder; with several
    /// folders, the path begins with the name of the folder. Links in folders are not followed, and refused.
    ///
    /// # Errors
    /// `BOT-1001` (exit 2) a path does not exist; `BOT-7235` (exit 2) some files cannot be imported, with a finding for each, or
    /// there are none.
    pub fn of(paths: &[PathBuf]) -> Result<Self> {
        let mut gathered = Self::default();
        for path in paths {
            let meta = fs::metadata(path).map_err(|error| spec::unreadable(path, &error))?;
            let own = path.canonicalize().map_err(|error| spec::unreadable(path, &error))?;
            let name = path.file_name().or_else(|| own.file_name()).and_then(|name| name.to_str());
            let Some(name) = name else {
                gathered.refuse(path, "its name is not UTF-8", RENAME);
                continue;
            };
            if meta.is_dir() {
                let prefix = if paths.len() == 1 { String::new() } else { format!("{name}/") };
                gathered.folder(path, &prefix, 0);
            } else if meta.is_file() {
                gathered.file(path, name.to_owned());
            } else {
                gathered.refuse(
                    path,
                    "it is neither a file nor a folder",
                    "name a file or a folder",
                );
            }
        }
        gathered.checked(paths)
    }

    /// Reads the files as changes that put them into a knowledge base, each up to one byte more than a document may have: a longer
    /// one is refused as such. `declared` is the metadata of all of them; `advance` is called after each.
    ///
    /// # Errors
    /// `BOT-1001` (exit 2) a file cannot be read.
    pub fn changes(
        &self,
        declared: &Declared,
        limits: &Limits,
        advance: &dyn Fn(),
    ) -> Result<Vec<Change>> {
        let mut changes = Vec::with_capacity(self.files.len());
        for (name, path) in &self.files {
            let mut bytes = Vec::new();
            let most = limits.file_bytes as u64 + 1;
            fs::File::open(path)
                .and_then(|file| file.take(most).read_to_end(&mut bytes))
                .map_err(|error| spec::unreadable(path, &error))?;
            let (id, declared) = (name.clone(), declared.clone());
            changes.push(Change::Put(PutFile { id, bytes: bytes.into(), declared }));
            advance();
        }
        Ok(changes)
    }

    fn checked(mut self, paths: &[PathBuf]) -> Result<Self> {
        let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        let shown = shown.join(", ");
        let refused = std::mem::take(&mut self.refused);
        if let Some(first) = refused.first() {
            let message = match &refused[..] {
                [one] => format!("a file of {shown} cannot be imported: {}", one.message),
                more => format!("{} files of {shown} cannot be imported", more.len()),
            };
            let help = first.help.clone();
            return Err(Fault::usage("BOT-7235", message)
                .file(&paths[0])
                .hint(help)
                .with_findings(refused));
        }
        if self.files.is_empty() && !paths.is_empty() {
            let fault = Fault::usage("BOT-7235", format!("there is no file in {shown}"));
            let fault = fault.file(&paths[0]);
            return Err(match self.hidden.is_empty() {
                true => fault.hint("name a file, or a folder with files in it"),
                false => fault.hint("hidden files are skipped: name such a file itself"),
            });
        }
        Ok(self)
    }

    fn refuse(&mut self, path: &Path, why: &str, help: &str) {
        let file = Some(text::display(&path.display().to_string(), 400));
        let place = Place { file, ..Place::default() };
        self.refused.push(Finding::new("BOT-7235", Severity::Error, why, help).at(place));
    }

    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) {
        if depth > DEEPEST {
            return self.refuse(folder, "it is too deep", "name a folder that is nearer to it");
        }
        let mut entries =
            match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
                Ok(entries) => entries,
                Err(error) => {
                    let why = format!("it cannot be read: {error}");
                    return self.refuse(folder, &why, "check its permissions");
                }
            };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else {
                self.refuse(&path, "its name is not UTF-8", RENAME);
                continue;
            };
            if name.starts_with('.') {
                self.hidden.push(format!("{prefix}{name}"));
                continue;
            }
            match fs::symlink_metadata(&path) {
                Err(error) => {
                    let why = format!("it cannot be read: {error}");
                    self.refuse(&path, &why, "check its permissions");
                }
                Ok(meta) if meta.is_symlink() => self.refuse(
                    &path,
                    "it is a symbolic link",
                    "replace the link by the file, or name the file that it points to",
                ),
                Ok(meta) if meta.is_dir() => {
                    self.folder(&path, &format!("{prefix}{name}/"), depth + 1);
                }
                Ok(meta) if meta.is_file() => self.file(&path, format!("{prefix}{name}")),
                Ok(_) => self.refuse(
                    &path,
                    "it is neither a file nor a folder",
                    "remove it from the folder: a device or a pipe cannot be imported",
                ),
            }
        }
    }

    fn file(&mut self, path: &Path, name: String) {
        if self.files.len() >= MOST_FILES {
            if self.files.len() == MOST_FILES && self.refused.is_empty() {
                let help = "split the documents into several knowledge bases";
                self.refuse(path, "there are more than 100,000 files", help);
            }
            return;
        }
        if self.files.insert(name.clone(), path.to_owned()).is_some() {
            let why = format!("another file has the same name, `{}`", text::display(&name, 200));
            self.refuse(path, &why, "name the folder that contains both, or rename one of them");
        }
    }
}
