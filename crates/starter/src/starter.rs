//! The files of a new workspace.

use crate::{
    ci_files::{CiSystem, ci_files},
    starter_file::StarterFile,
    starting_data::StartingData,
    yaml_string::scalar,
};

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
        let tests = self.data.behaviour.as_deref();
        files.extend(tests.map(|tests| StarterFile::new(self.data.beside(BEHAVIOUR), tests)));
        files.push(StarterFile::new("pipelines/weekly.yaml", self.pipeline()));
        files.push(StarterFile::new("pipelines/rollout.yaml", ROLLOUT));
        files.push(StarterFile::new(".gitignore", IGNORED));
        let ci = self.ci.into_iter().flat_map(ci_files);
        files.extend(ci.map(|(path, template)| StarterFile::new(path, self.filled(template))));
        files
    }

    /// Returns the lines that a `.gitignore` of the workspace needs.
    pub fn ignored() -> impl Iterator<Item = &'static str> {
        IGNORED.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
    }

    /// Returns the pipeline; its parts about behavioural tests only if there are some.
    fn pipeline(&self) -> String {
        let (tests, rules) = match self.data.behaviour {
            Some(_) => (TESTS, TEST_RULES),
            None => ("", ""),
        };
        self.filled(&PIPELINE.replace("@TESTS@", tests).replace("@TEST_RULES@", rules))
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
            .replace("@BEHAVIOUR@", &scalar(&self.data.beside(BEHAVIOUR)))
            .replace("@TEST_SHARE@", self.test_share())
            .replace("@VERSION@", self.version)
    }
}

/// The file of behavioural tests, beside the data.
const BEHAVIOUR: &str = "behaviour.yaml";
/// The key of the stage `evaluate` that names it.
const TESTS: &str = "      behaviour: @BEHAVIOUR@\n";
/// The rules of the gate on it.
const TEST_RULES: &str = "        \
        behaviour:
          # Shares of the tests in the file above that pass: a low bar, too.
          minimum: { min: 0.5 }
          invariance: { min: 0.5 }
";
const BOTOPS: &str = include_str!("templates/botops.yaml");
const PIPELINE: &str = include_str!("templates/weekly.yaml");
const ROLLOUT: &str = include_str!("templates/rollout.yaml");
const IGNORED: &str = include_str!("templates/gitignore");
