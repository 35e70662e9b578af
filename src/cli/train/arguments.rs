//! The arguments of `botops train`.

use crate::cli::arguments::{data_args::DataArgs, out_path::OutPath, output_args::ForceArg};
use botops_files::{Output, OutputKind};
use std::path::PathBuf;

/// Train a model from a data set
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Training data: CSV, TSV, JSONL or Parquet, or a file of a snapshot such as support@3:train.csv
    pub(super) data: PathBuf,
    /// Write the model to this file
    #[arg(long, short, value_name = "FILE", default_value = "model.botops")]
    pub(super) out: OutPath,
    #[command(flatten)]
    pub(super) force: ForceArg,
    /// Evaluate the model on this data
    #[arg(long, value_name = "FILE")]
    pub(super) test: Option<PathBuf>,
    /// Settings of the model, in YAML (`features`, `head`, `fallback`, `conformal`, `oos_labels`, `seed`, `goldens`); repeatable with
    /// --cross-validate, to compare them
    #[arg(long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// Classifier; overrides the configuration
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) head: Option<Head>,
    /// Encoder whose embeddings are the features, a folder or `hf://owner/name`; overrides the configuration
    #[arg(long, value_name = "SOURCE")]
    pub(super) encoder: Option<String>,
    /// Random seed; overrides the configuration
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Entities and responses to include in the model, in YAML
    #[arg(long, value_name = "FILE")]
    pub(super) dialogue: Option<PathBuf>,
    /// Record the run in the experiments store, with its data (always done in a workspace)
    #[arg(long)]
    pub(super) record: bool,
    /// Train, but write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) measuring: MeasuringArgs,
    #[command(flatten)]
    pub(super) columns: DataArgs,
}

impl Args {
    /// Returns the model file to write.
    pub(super) fn model_file(&self) -> Output<'_> {
        Output::new(&self.out, OutputKind::Model, self.force.force)
    }

    /// Returns the report page to write, if any.
    pub(super) fn page(&self) -> Option<Output<'_>> {
        let page = |path| Output::new(path, OutputKind::Page, self.force.force);
        self.measuring.html.as_deref().map(page)
    }
}

/// The classifiers.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Head {
    /// One-vs-rest linear SVM
    LinearSvm,
    /// Multinomial logistic regression
    LogisticRegression,
    /// Complement naive Bayes
    ComplementNaiveBayes,
    /// Bagged decision trees
    RandomForest,
    /// A linear layer trained together with the encoder
    FineTuned,
}

/// The flags that measure without a test set, or several times.
#[derive(Debug, clap::Args)]
pub(crate) struct MeasuringArgs {
    /// Write no model: judge each record by a model trained without its fold, with K folds; with several --config,
    /// compare them
    #[arg(long, value_name = "K", conflicts_with_all = ["out", "test", "dialogue"])]
    pub(super) cross_validate: Option<usize>,
    /// With --cross-validate: measure with 10 to 100 % of the records, and predict the gain of more records
    #[arg(long, requires = "cross_validate", conflicts_with = "repeat")]
    pub(super) learning_curve: bool,
    /// With --cross-validate: write a report page to this file
    #[arg(long, value_name = "FILE", requires = "cross_validate")]
    pub(super) html: Option<OutPath>,
    /// Train with N seeds and show the spread of the metrics; the model of the first seed is kept
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=100))]
    pub(super) repeat: Option<u64>,
}
