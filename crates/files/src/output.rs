//! The outputs that a user names.

use crate::{
    atomic_file::AtomicFile,
    output_kind::OutputKind,
    overwrite_rule::{Existing, OverwriteRule},
};
use botops_findings::Result;
use std::{fs, path::Path};

/// An output that the user named.
///
/// - an existing file that is not of this kind, or not by botops, is replaced only with `force`. An empty file, and a
///   file that already has the content to be written, pass
/// - a symbolic link is not followed: with `force` the link itself is replaced, and its target is left alone
/// - a pipe or a device, also behind a link, is written in place
/// - `-` is standard output; see [`crate::is_standard_output`]. The caller keeps the answer of the verb away from it
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    path: &'a Path,
    rule: OverwriteRule,
    is_private: bool,
}

impl<'a> Output<'a> {
    /// Makes an output of the kind `kind` at `path`; `force` allows any existing file to be replaced.
    #[must_use]
    pub fn new(path: &'a Path, kind: OutputKind, force: bool) -> Self {
        Self { path, rule: OverwriteRule { kind, force }, is_private: false }
    }

    /// Lets only its owner read the file (mode 0600), from before it has any content. For texts of persons.
    #[must_use]
    pub fn private(self) -> Self {
        Self { is_private: true, ..self }
    }

    fn begin(&self) -> Result<AtomicFile> {
        let file = AtomicFile::create_output(self.path, self.rule)?;
        if self.is_private {
            file.keep_private()?;
        }
        Ok(file)
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// Checks, before the work whose result it takes, that the output can be written. Changes nothing.
    ///
    /// A file whose kind cannot be recognised passes: it may get the same content, which only writing shows.
    ///
    /// # Errors
    /// `BOT-2219` (exit 2) if a file that botops did not write exists, `BOT-1033` (exit 2) if a link exists,
    /// `BOT-1016` (exit 2) if the path is a directory, `BOT-1017` (exit 1) if the existing file cannot be read.
    pub fn check(&self) -> Result<()> {
        match self.rule.existing(self.path)? {
            Existing::Unrecognised if self.rule.kind != OutputKind::Other => {
                Err(self.rule.exists(self.path))
            }
            _ => Ok(()),
        }
    }

    /// Checks like [`Self::check`] for the content `bytes`.
    ///
    /// # Errors
    /// Those of [`Self::check`]; `BOT-2219` also if an existing file of the kind [`OutputKind::Other`] has other content.
    pub fn check_content(&self, bytes: &[u8]) -> Result<()> {
        match self.rule.existing(self.path)? {
            Existing::Replaceable => Ok(()),
            Existing::Unrecognised if fs::read(self.path).is_ok_and(|found| found == bytes) => {
                Ok(())
            }
            Existing::Unrecognised => Err(self.rule.exists(self.path)),
        }
    }

    /// Starts the file; it appears under its name when [`AtomicFile::publish`] is called.
    ///
    /// # Errors
    /// Those of [`Self::check`] and [`AtomicFile::create`].
    pub fn create(&self) -> Result<AtomicFile> {
        self.check()?;
        self.begin()
    }

    /// Writes `bytes`: afterwards the file is complete, or unchanged.
    ///
    /// # Errors
    /// Those of [`Self::check_content`] and [`AtomicFile::publish`].
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.check_content(bytes)?;
        let mut file = self.begin()?;
        file.write(bytes)?;
        file.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputKind::{
        Annotations, Json, Junit, Markdown, Model, Other, Page, Predictions, Quarantine, Sarif,
        Settings,
    };
    use botops_findings::FaultKind;

    /// The beginning of a file of each kind.
    const WRITTEN: [(OutputKind, &str); 21] = [
        (Page, "<!doctype html>\n<meta name=\"generator\" content=\"botops 0.2.0\">\n"),
        (Page, "<!doctype html>\n<head><title>a.csv · botops validation</title>"),
        (Json("gate"), "{\n  \"schema\": \"botops.gate/1\","),
        (Json("baseline"), "{\"schema\":\"botops.baseline/1\"}"),
        (
            Sarif,
            "{\"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\", \"runs\": [{\"name\": \"botops\"}]}",
        ),
        (Junit, "<?xml version=\"1.0\"?>\n<testsuites name=\"botops validate\" tests=\"1\">"),
        (
            Annotations,
            "::error file=a.csv,line=2,title=BOT-2107 x::text\nErrors found. 1 of 2 records can be used for training.\n",
        ),
        (Annotations, "Passed. 2 of 2 records can be used for training.\n"),
        (
            Annotations,
            "::error file=p.yaml,title=BOT-8020 x::text\nbotops run: p: validate failed\n",
        ),
        (Markdown, "## botops: weekly\n\n| stage |\n"),
        (Markdown, "### Validation of a.csv\n\n**failed**\n"),
        (Settings, "# The winner of `botops tune p.yaml`: trial 3\n"),
        (Predictions, "record,text,intent,confidence,fallback\n"),
        (Predictions, "record,text,truth,intent,confidence,fallback\r\n"),
        (Predictions, "record,text,intent,confidence,fallback,p_a,p_b\n"),
        (Predictions, "record\ttext\ttruth\tintent\tconfidence\tfallback\tp_a\n"),
        (
            Predictions,
            "{\"record\":1,\"text\":\"a\",\"confidence\":1,\"score\":1,\"fallback\":false,\"scores\":[]}\n",
        ),
        (Quarantine, "file,record,line,codes,reasons,fingerprint,text\n"),
        (Quarantine, "file,record,line,codes,reasons\n"),
        (Quarantine, "\u{feff}file;record;line;codes;reasons;fingerprint;text\n"),
        (Other, ""),
    ];

    #[test]
    fn a_file_is_replaced_without_force_only_if_botops_wrote_one_of_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let kinds = [
            Model,
            Page,
            Json("gate"),
            Json("baseline"),
            Sarif,
            Junit,
            Annotations,
            Markdown,
            Settings,
            Predictions,
            Quarantine,
            Other,
        ];
        let own = [
            "model: support\n",
            "text,intent\nhello,greeting\n",
            "\u{feff}file;record;line;codes;reasons;fingerprint;text\r\n",
            "file;record;line;codes;reasons;fingerprint;text\n",
            "<!doctype html><title>mine</title>",
            "{\"schema\": \"mine/1\"}",
            "### Notes\n",
            "file,record,line,codes,reasonsofmine\n",
            "record,text\n",
        ];
        for kind in kinds {
            let written = WRITTEN.iter().map(|(of, text)| (*of == kind, text.as_bytes().to_vec()));
            let model = (kind == Model, b"\x89BOTOPS\n\0\0".to_vec());
            let own = own.iter().map(|text| (false, text.as_bytes().to_vec()));
            for (is_own_kind, content) in written.chain([model]).chain(own) {
                fs::write(&path, &content).unwrap();
                let output = Output::new(&path, kind, false);
                let shown = String::from_utf8_lossy(&content).into_owned();
                match output.write(b"new") {
                    Ok(()) => {
                        assert!(is_own_kind || content.is_empty(), "{kind:?} over {shown}");
                        assert_eq!(fs::read(&path).unwrap(), b"new");
                    }
                    Err(fault) => {
                        assert!(!is_own_kind, "{kind:?} over {shown}: {fault}");
                        assert_eq!((fault.code(), fault.kind()), ("BOT-2219", FaultKind::Usage));
                        assert_eq!(fs::read(&path).unwrap(), content, "unchanged");
                        Output::new(&path, kind, true).write(b"new").unwrap();
                        assert_eq!(fs::read(&path).unwrap(), b"new");
                    }
                }
            }
        }
    }

    #[test]
    fn a_refusal_comes_before_the_work_where_the_kind_can_be_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        assert_eq!(Output::new(&path, Model, false).check().unwrap_err().code(), "BOT-2219");
        assert_eq!(Output::new(&path, Model, false).create().unwrap_err().code(), "BOT-2219");
        Output::new(&path, Model, true).check().unwrap();
        // A table may get the content that it has, which only writing shows.
        let table = Output::new(&path, Other, false);
        table.check().unwrap();
        let mut file = table.create().unwrap();
        file.write(b"mine").unwrap();
        file.publish().unwrap();
        let mut file = table.create().unwrap();
        file.write(b"yours").unwrap();
        assert_eq!(file.publish().unwrap_err().code(), "BOT-2219");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        table.check_content(b"mine").unwrap();
        assert_eq!(table.check_content(b"yours").unwrap_err().code(), "BOT-2219");
    }

    #[test]
    fn a_file_that_appears_during_the_work_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.botops");
        let mut file = Output::new(&path, Model, false).create().unwrap();
        file.write(b"model").unwrap();
        fs::write(&path, "mine").unwrap();
        assert_eq!(file.publish().unwrap_err().code(), "BOT-2219");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_private_file_is_read_by_its_owner_alone_also_where_another_one_was() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turns.jsonl");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        Output::new(&path, Other, false).private().write(b"texts").unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut file = Output::new(&path, Other, true).private().create().unwrap();
        file.write(b"other texts").unwrap();
        file.publish().unwrap();
        assert_eq!((mode(), fs::read(&path).unwrap()), (0o600, b"other texts".to_vec()));
        Output::new(Path::new("/dev/null"), Other, false).private().write(b"x").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_never_followed_and_replaced_only_with_force() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("botops.yaml"), "model: support\n").unwrap();
        symlink("botops.yaml", at("out")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        for kind in [Model, Other] {
            for link in ["out", "dangling"] {
                let link = at(link);
                for refused in [
                    Output::new(&link, kind, false).check(),
                    Output::new(&link, kind, false).write(b"x"),
                    Output::new(&link, kind, false).create().map(drop),
                ] {
                    let fault = refused.unwrap_err();
                    assert_eq!((fault.code(), fault.kind()), ("BOT-1033", FaultKind::Usage));
                }
                assert!(link.is_symlink());
            }
        }
        for link in ["out", "dangling"] {
            Output::new(&at(link), Model, true).write(b"x").unwrap();
            assert!(!at(link).is_symlink());
            assert_eq!(fs::read(at(link)).unwrap(), b"x");
        }
        assert_eq!(fs::read(at("botops.yaml")).unwrap(), b"model: support\n");
        assert!(!at("nowhere").exists());
        // A device, also behind a link, takes any output.
        symlink("/dev/null", at("null")).unwrap();
        Output::new(&at("null"), Model, false).write(b"x").unwrap();
        assert!(at("null").is_symlink());
    }
}
