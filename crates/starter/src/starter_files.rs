//! The files of a new workspace.

use crate::{
    ci_files::{CiSystem, ci_files},
    starting_data::StartingData,
};

/// The name of a model that nothing else names.
const DEFAULT_MODEL: &str = "bot";
/// The most characters of a name that comes from a folder.
const MOST_CHARS: usize = 40;

/// A file of a new workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterFile {
    /// The path from the root of the workspace, with `/` between its parts.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
}

impl StarterFile {
    pub(crate) fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into() }
    }
}

/// A new workspace.
#[derive(Debug)]
pub struct Starter {
    /// The name of the model in the registry.
    pub model: String,
    /// The data.
    pub data: StartingData,
    /// The CI system that gets workflows.
    pub ci: Option<CiSystem>,
    /// The version of botops, which the workflows install.
    pub version: &'static str,
}

impl Starter {
    /// Returns the files of the workspace: the same input gives the same bytes.
    #[must_use]
    pub fn files(&self) -> Vec<StarterFile> {
        let mut files = vec![StarterFile::new("botops.yaml", self.filled(BOTOPS))];
        files.extend(self.data.file.clone());
        files.push(StarterFile::new(
            self.data.beside("expectations.yaml"),
            self.data.expectations.as_str(),
        ));
        files.push(StarterFile::new("pipelines/weekly.yaml", self.filled(PIPELINE)));
        files.push(StarterFile::new("pipelines/rollout.yaml", ROLLOUT));
        files.push(StarterFile::new(".gitignore", IGNORED));
        files.extend(self.ci.into_iter().flat_map(|ci| ci_files(ci, self.version)));
        files
    }

    /// Returns the lines that a `.gitignore` of the workspace needs.
    pub fn ignored() -> impl Iterator<Item = &'static str> {
        IGNORED.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
    }

    /// Returns the share of the records for the test: larger if there are few, because a metric needs at least ten.
    fn test_share(&self) -> &'static str {
        match self.data.intents.values().sum::<u64>() {
            0..50 => "0.5",
            50..100 => "0.3",
            _ => "0.2",
        }
    }

    /// Puts the names of this workspace into a template.
    fn filled(&self, template: &str) -> String {
        template
            .replace("@MODEL@", &scalar(&self.model))
            .replace("@DATA@", &scalar(&self.data.path))
            .replace("@EXPECTATIONS@", &scalar(&self.data.beside("expectations.yaml")))
            .replace("@TEST_SHARE@", self.test_share())
    }
}

const BOTOPS: &str = include_str!("templates/botops.yaml");
const PIPELINE: &str = include_str!("templates/weekly.yaml");
const ROLLOUT: &str = include_str!("templates/rollout.yaml");
const IGNORED: &str = include_str!("templates/gitignore");

/// Returns a name for a model, made from the name of a folder or a file: lower case letters, digits and hyphens.
#[must_use]
pub fn model_name(from: &str) -> String {
    let mut name = String::new();
    for c in from.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => name.push(c),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
        if name.len() == MOST_CHARS {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false if name.is_empty() => DEFAULT_MODEL.to_owned(),
        false => format!("{DEFAULT_MODEL}-{name}"),
    }
}

/// Returns `text`, which holds no control characters, as a string of YAML.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text);
    match is_plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_folder_becomes_the_name_of_a_model() {
        for (folder, name) in [
            ("support", "support"),
            ("My Bot (2026)", "my-bot-2026"),
            ("--", "bot"),
            ("", "bot"),
            ("2026", "bot-2026"),
            ("été", "t"),
            ("..", "bot"),
        ] {
            assert_eq!(model_name(folder), name, "{folder}");
        }
        assert!(model_name(&"x".repeat(300)).len() <= MOST_CHARS);
    }

    #[test]
    fn a_path_with_signs_of_yaml_is_quoted() {
        assert_eq!(scalar("data/a.csv"), "data/a.csv");
        for text in ["a: b.csv", "a \"b\" \\c.csv", "#a.csv", "no", "7.csv", "é.csv"] {
            let yaml = format!("data: {}\n", scalar(text));
            let read: std::collections::BTreeMap<String, String> =
                botops_spec::parse(&yaml, "x.yaml").unwrap();
            assert_eq!(read["data"], text);
        }
    }
}
