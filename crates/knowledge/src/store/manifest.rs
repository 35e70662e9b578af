//! The manifest of a version: its files, its settings, and the index made of them.

use botops_digest::Digest;
use botops_documents::{ChunkSpec, Declared};
use botops_findings::{Fault, Result};
use botops_text as text;
use serde::{Deserialize, Serialize};

pub(crate) const SCHEMA: &str = "botops.knowledge-set/1";
/// The version of the readers of documents: a change of it makes every file be read again.
const READERS: u32 = 1;
/// The most bytes of the name of a file.
const LONGEST_ID: usize = 2_048;

/// A file of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeFile {
    /// Its name: the path within the imported folder with `/`, or the address it came from.
    pub id: String,
    /// The digest of its bytes, which are a blob.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// The media type, by its content.
    pub media_type: String,
    /// The metadata that the importer declared.
    pub declared: Declared,
}

impl KnowledgeFile {
    /// Returns the digest of the file with its name and its declared metadata: while it stays, so do the passages.
    #[must_use]
    pub fn source(&self) -> Digest {
        Digest::of_json(&(READERS, &self.id, self.digest, &self.declared))
    }
}

/// The settings of a knowledge base that its index depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeSettings {
    /// The sizes of passages.
    pub chunks: ChunkSpec,
    /// The encoder; without one, the index is lexical only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<UsedEncoder>,
}

/// The encoder of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedEncoder {
    /// Where it was read from.
    pub source: String,
    /// Its digest.
    pub digest: Digest,
}

/// The content of a version and where it is stored. It has no time and no author.
///
/// - `files` rise by name
/// - the digest of the manifest identifies the version
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeManifest {
    /// `botops.knowledge-set/1`.
    pub schema: String,
    /// The name of the knowledge base.
    pub name: String,
    /// The settings.
    pub settings: KnowledgeSettings,
    /// The files.
    pub files: Vec<KnowledgeFile>,
    /// The digest of the index.
    pub index: Digest,
    /// The size of the index.
    pub index_bytes: u64,
}

impl KnowledgeManifest {
    /// Returns the file `id`.
    #[must_use]
    pub fn file(&self, id: &str) -> Option<&KnowledgeFile> {
        let at = self.files.binary_search_by(|file| file.id.as_str().cmp(id)).ok()?;
        self.files.get(at)
    }

    /// Returns the size of all files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// Parses a manifest of the knowledge base `name`, and checks every invariant that reading its files depends on.
pub(crate) fn parse(bytes: &[u8], name: &str, place: &str) -> Result<KnowledgeManifest> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |defect: String| {
        Fault::data("BOT-5006", format!("a manifest of the knowledge base `{name}` {defect}"))
            .file(place)
            .hint("restore the object from a backup")
    };
    let unreadable = |error: serde_json::Error| broken(format!("cannot be read: {error}"));
    let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
    if head.schema != SCHEMA {
        let version = head.schema.strip_prefix("botops.knowledge-set/").map(str::parse::<u32>);
        let shown = text::display(&head.schema, 60);
        return Err(match version {
            Some(Ok(version)) if version > 1 => {
                let message = format!(
                    "a manifest of the knowledge base `{name}` has the format `{shown}`, newer than this botops"
                );
                Fault::policy("BOT-5007", message).file(place).hint("install a newer botops")
            }
            _ => broken(format!("has the unknown format `{shown}`")),
        });
    }
    let manifest: KnowledgeManifest = serde_json::from_slice(bytes).map_err(unreadable)?;
    match defect(&manifest, name) {
        Some(defect) => Err(broken(defect)),
        None => Ok(manifest),
    }
}

/// Returns the first defect of a manifest, if it has one.
fn defect(manifest: &KnowledgeManifest, name: &str) -> Option<String> {
    if manifest.name != name {
        return Some(format!("names the knowledge base `{}`", text::display(&manifest.name, 60)));
    }
    if !manifest.files.windows(2).all(|pair| pair[0].id < pair[1].id) {
        return Some("has files out of order".to_owned());
    }
    let unsafe_file = manifest.files.iter().find(|file| !is_id(&file.id))?;
    Some(format!("has a file `{}` with an unsafe name", text::display(&unsafe_file.id, 120)))
}

/// Returns whether `id` may name a file: a path within a folder, valid on every system, or an address of the web.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '\\';
    if id.len() > LONGEST_ID || !id.chars().all(plain) {
        return false;
    }
    if let Some(rest) = id.strip_prefix("https://").or_else(|| id.strip_prefix("http://")) {
        return !rest.is_empty() && !rest.contains(char::is_whitespace);
    }
    id.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> KnowledgeManifest {
        let file = |id: &str| KnowledgeFile {
            id: id.to_owned(),
            digest: Digest::of(b"x"),
            size_bytes: 1,
            media_type: "text/markdown".to_owned(),
            declared: Declared::default(),
        };
        KnowledgeManifest {
            schema: SCHEMA.to_owned(),
            name: "help".to_owned(),
            settings: KnowledgeSettings::default(),
            files: vec![file("a/b.md"), file("https://example.com/c")],
            index: Digest::of(b"index"),
            index_bytes: 5,
        }
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        assert_eq!(defect(&manifest(), "help"), None);
        type Damage = fn(&mut KnowledgeManifest);
        let changes: [(Damage, &str); 4] = [
            (|m| m.name = "other".into(), "names the knowledge base `other`"),
            (|m| m.files.swap(0, 1), "has files out of order"),
            (|m| m.files[0].id = "../b".into(), "has a file `../b` with an unsafe name"),
            (|m| m.files[0].id = "/b".into(), "has a file `/b` with an unsafe name"),
        ];
        for (damage, message) in changes {
            let mut manifest = manifest();
            damage(&mut manifest);
            assert_eq!(defect(&manifest, "help").as_deref(), Some(message));
            let bytes = botops_digest::canonical_json(&manifest);
            assert_eq!(parse(&bytes, "help", "place").unwrap_err().code(), "BOT-5006");
        }
    }

    #[test]
    fn a_newer_format_has_another_code_than_an_unknown_one() {
        let mut manifest = manifest();
        manifest.schema = "botops.knowledge-set/2".to_owned();
        let bytes = botops_digest::canonical_json(&manifest);
        assert_eq!(parse(&bytes, "help", "place").unwrap_err().code(), "BOT-5007");
        assert_eq!(parse(b"{\"schema\":\"x\"}", "help", "place").unwrap_err().code(), "BOT-5006");
        assert_eq!(parse(b"{", "help", "place").unwrap_err().code(), "BOT-5006");
    }

    #[test]
    fn the_source_of_a_file_changes_with_its_name_content_and_metadata() {
        let file = manifest().files.remove(0);
        let mut others = [file.clone(), file.clone(), file.clone()];
        others[0].id = "b.md".to_owned();
        others[1].digest = Digest::of(b"y");
        others[2].declared.language = Some("fr".to_owned());
        assert!(others.iter().all(|other| other.source() != file.source()));
        let same = KnowledgeFile { media_type: "text/plain".to_owned(), ..file.clone() };
        assert_eq!(same.source(), file.source());
    }
}
