//! The arguments of the verbs that evaluate a model on data: `evaluate` and `gate`.

use super::data_args::DataArgs;
use std::path::{Path, PathBuf};

/// A model, labelled data, and the model and the rules to judge it by.
#[derive(Debug, clap::Args)]
pub(crate) struct JudgeArgs {
    /// Model: a `.botops` file or a reference such as support@2; default: the workspace's champion
    pub(crate) model: Option<String>,
    /// Labelled data: CSV, TSV, JSONL or Parquet, or a file of a snapshot such as support@3:test.csv
    pub(crate) data: PathBuf,
    /// Judge by the rules in this YAML file (`metrics`, `per_class`, `per_language`, `per_entity`, `relative`, `behaviour`, `flips`)
    #[arg(long, alias = "gates", value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Compare with this model on the same records: a file or a reference; relative rules need it
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: Option<String>,
    /// Leave out records without an intent, such as traffic that nobody has labelled, and report their number
    #[arg(long)]
    pub(crate) skip_unlabelled: bool,
    /// Run the behavioural tests in this YAML file, too; rules on `behaviour` need it
    #[arg(long, value_name = "FILE")]
    pub(crate) behaviour: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) columns: DataArgs,
}

impl JudgeArgs {
    /// Returns a command line of `words` that reads the data in the same way; see [`DataArgs::line`].
    pub(crate) fn line<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let skip = self.skip_unlabelled.then_some("--skip-unlabelled");
        let behaviour = self.behaviour.as_ref().map(|path| path.display().to_string());
        let tests = behaviour.iter().flat_map(|path| ["--behaviour", path.as_str()]);
        let words: Vec<&str> = words.into_iter().chain(skip).collect();
        self.columns.line(words.into_iter().chain(tests))
    }

    /// Returns the files that the verb reads. An output must be none of them.
    pub(crate) fn inputs(&self) -> [Option<&Path>; 5] {
        [
            Some(&self.data),
            self.rules.as_deref(),
            self.model.as_deref().map(Path::new),
            self.against.as_deref().map(Path::new),
            self.behaviour.as_deref(),
        ]
    }
}
