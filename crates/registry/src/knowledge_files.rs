//! The knowledge files of a version: `knowledge/<name>.knowledge`, beside its model file.

use super::reference::is_name;
use super::{Manifest, ManifestFile};
use botops_digest::Digest;
use botops_evaluation::VersionSet;
use std::collections::BTreeMap;

/// The folder of the knowledge files in a version.
const FOLDER: &str = "knowledge/";

/// The extension of a knowledge file.
const EXTENSION: &str = ".knowledge";

/// The media type of a knowledge file.
pub const KNOWLEDGE_MEDIA_TYPE: &str = "application/vnd.botops.knowledge";

/// Returns the path of the knowledge `name` in a version, such as `knowledge/faq.knowledge`.
#[must_use]
pub fn knowledge_path(name: &str) -> String {
    format!("{FOLDER}{name}{EXTENSION}")
}

/// Returns the name of the knowledge whose file in a version is `path`; `None` for another file.
#[must_use]
pub fn knowledge_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix(FOLDER)?.strip_suffix(EXTENSION)?;
    is_name(name).then_some(name)
}

/// Returns the defect of a file in the folder of the knowledge: its name or its media type; `None` for a file that is sound or
/// elsewhere.
pub(super) fn defect(file: &ManifestFile) -> Option<String> {
    if !file.path.starts_with(FOLDER) {
        return None;
    }
    if knowledge_name(&file.path).is_none() {
        return Some(format!("has `{}`, which is not the name of a knowledge file", file.path));
    }
    (file.media_type != KNOWLEDGE_MEDIA_TYPE).then(|| {
        format!(
            "gives `{}` the media type `{}`",
            file.path,
            botops_text::display(&file.media_type, 80)
        )
    })
}

impl Manifest {
    /// Returns the digests of the knowledge files, by the name of the knowledge.
    #[must_use]
    pub fn knowledge(&self) -> BTreeMap<String, Digest> {
        let named =
            |file: &ManifestFile| Some((knowledge_name(&file.path)?.to_owned(), file.digest));
        self.files.iter().filter_map(named).collect()
    }

    /// Returns the model file and the knowledge; `None` if there is no model file.
    #[must_use]
    pub fn set(&self) -> Option<VersionSet> {
        let model = self.file(super::MODEL_FILE)?.digest;
        Some(VersionSet { model, knowledge: self.knowledge() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, media_type: &str) -> ManifestFile {
        ManifestFile {
            path: path.to_owned(),
            digest: Digest::of(path.as_bytes()),
            size_bytes: 1,
            media_type: media_type.to_owned(),
        }
    }

    #[test]
    fn a_knowledge_file_has_a_name_in_the_folder_and_its_media_type() {
        assert_eq!(knowledge_name(&knowledge_path("faq-2")), Some("faq-2"));
        for path in [
            "knowledge/.knowledge",
            "knowledge/a/b.knowledge",
            "knowledge/A.knowledge",
            "a.knowledge",
        ] {
            assert_eq!(knowledge_name(path), None, "{path}");
        }
        assert_eq!(defect(&file("knowledge/faq.knowledge", KNOWLEDGE_MEDIA_TYPE)), None);
        assert_eq!(defect(&file("gate.json", "application/json")), None);
        let escape = defect(&file("knowledge/../faq.knowledge", KNOWLEDGE_MEDIA_TYPE)).unwrap();
        assert!(escape.contains("not the name of a knowledge file"), "{escape}");
        let typed = defect(&file("knowledge/faq.knowledge", "text/html")).unwrap();
        assert!(typed.contains("the media type `text/html`"), "{typed}");
    }
}
