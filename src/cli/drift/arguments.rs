//! The arguments of `botops drift`.

use super::actions::FileArgs;
use crate::cli::arguments::data_args::DataArgs;
use botops_drift::DriftSpec;
use std::path::PathBuf;

/// Compare current data with a reference
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Reference, such as the training data; CSV, TSV, JSONL, Parquet, recorded traffic, a file of a snapshot, or a
    /// `.profile.json`; with one file and `--model`, the reference is the training data of the model, and this is the
    /// current data
    pub(super) reference: PathBuf,
    /// Current data; CSV, TSV, JSONL, Parquet, recorded traffic, a file of a snapshot, or a `.profile.json`
    pub(super) current: Option<PathBuf>,
    /// Also compare the predictions of this model: intents, confidence, unseen words
    #[arg(long, short, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// Largest share of comparisons without any change that report drift; over all checks
    #[arg(long, value_name = "RATE", default_value_t = DriftSpec::default().alpha)]
    pub(super) alpha: f64,
    /// Smallest PSI that counts as drift, in addition to significance
    #[arg(long, value_name = "PSI", default_value_t = DriftSpec::default().min_psi)]
    pub(super) min_psi: f64,
    /// Smallest Kolmogorov-Smirnov distance that counts as drift, in addition to significance
    #[arg(long, value_name = "DISTANCE", default_value_t = DriftSpec::default().min_ks)]
    pub(super) min_ks: f64,
    /// Smallest area under the ROC curve of the classifier of the texts that counts as drift, in addition to significance
    #[arg(long, value_name = "AUC", default_value_t = DriftSpec::default().min_auc)]
    pub(super) min_auc: f64,
    /// Fewest rows on each side
    #[arg(long, value_name = "N", default_value_t = DriftSpec::default().min_rows)]
    pub(super) min_rows: usize,
    /// Columns and checks to compare, separated by commas; default: all that both sides have
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) columns: Vec<String>,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) data: DataArgs,
}
