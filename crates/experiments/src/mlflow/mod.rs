//! The export of runs to an MLflow tracking server, through its REST API.
//!
//! In: a run. Out: an MLflow run with the same params, metrics and files. A tag holds the id of the run,
//! so an export that is repeated after an interruption completes the same MLflow run.

mod client;
mod export;
mod server;
mod translate;

pub use export::{Exported, Outcome};
pub use server::{Credentials, Mlflow};
pub use translate::{MlflowMetric, MlflowRun, translate};

#[cfg(test)]
mod tests;
