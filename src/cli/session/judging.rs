//! A model evaluated on data, and compared with another one: the common part of `evaluate` and `gate`.

use super::context::Context;
use crate::cli::{
    arguments::{
        data_source,
        judge_args::JudgeArgs,
        model_arg::{self, Found},
    },
    terminal::tables,
};
use botops_datasets::{self as datasets, Dataset, Presence, Record};
use botops_evaluation::{self as evaluation, BehaviourSpec, Comparison, EvaluationReport};
use botops_findings::{Fault, Finding, Result};
use botops_registry::Version;
use botops_spec::{Checked, Spec as _};
use botops_text::shell_line;
use std::path::Path;

/// A model, the data, the evaluation, and the comparison if one was requested.
pub(crate) struct Judged {
    /// The model.
    pub(crate) found: Found,
    /// The data; without the records that have no intent, if they are to be skipped.
    pub(crate) data: Dataset,
    /// The number of records that were skipped, because they have no intent.
    pub(crate) n_unlabelled: u64,
    /// The evaluation of the model on the data.
    pub(crate) report: EvaluationReport,
    /// The name of the other model, and the comparison with it.
    pub(crate) against: Option<(String, Comparison)>,
    /// The version that it was compared with, if it is registered.
    pub(crate) against_version: Option<Version>,
    /// The warnings on the data.
    pub(crate) warnings: Vec<Finding>,
}

impl Judged {
    /// Returns the comparison, if there is one.
    pub(crate) fn comparison(&self) -> Option<&Comparison> {
        self.against.as_ref().map(|(_, comparison)| comparison)
    }

    /// Returns the sentence about the skipped records; empty if there are none.
    pub(crate) fn skipped_text(&self) -> String {
        match self.n_unlabelled {
            0 => String::new(),
            n => {
                let skipped = tables::counted(n, "record has", "records have");
                format!("{skipped} no intent: skipped\n")
            }
        }
    }
}

/// Evaluates the model that `args` name on their data, and compares it with the other one.
pub(crate) fn judge(context: &Context, args: &JudgeArgs) -> Result<Judged> {
    refuse_model_as_data(context, &args.data)?;
    let behaviour = args.behaviour.as_deref().map(read_behaviour).transpose()?;
    let options = args.columns.options(Presence::Required);
    let data = data_source::dataset(context, &args.data, &options)?;
    let (data, n_unlabelled) = match args.skip_unlabelled {
        true => labelled(data)?,
        false => (data, 0),
    };
    let found = model_arg::load_or_champion(context, args.model.as_deref())?;
    let rival = args.against.as_deref().map(|name| model_arg::load(context, name)).transpose()?;
    let mut report = evaluation::evaluate(&found.model, found.digest, &data).map_err(|fault| {
        match fault.code() {
            "BOT-3003" => {
                fault.hint("or leave out the records without an intent: `--skip-unlabelled`")
            }
            _ => fault,
        }
    })?;
    let against_version = rival.as_ref().and_then(|rival| rival.version.clone());
    let against = match rival {
        Some(rival) => {
            let (champion, challenger) =
                ((&rival.model, rival.digest), (&found.model, found.digest));
            Some((rival.name, evaluation::compare(champion, challenger, &data)?))
        }
        None => None,
    };
    let mut warnings = evaluation::data_warnings(&found.model, &data);
    if let (Some(tests), Some(path)) = (&behaviour, &args.behaviour) {
        let tested = evaluation::test_behaviour(&found.model, tests, &path.display().to_string());
        warnings.extend(evaluation::behaviour_warnings(&tested));
        report.behaviour = Some(tested);
    }
    Ok(Judged { found, data, n_unlabelled, report, against, against_version, warnings })
}

/// Reads the behavioural tests at `path` and checks them.
pub(crate) fn read_behaviour(path: &Path) -> Result<Checked<BehaviourSpec>> {
    BehaviourSpec::read(path)?.check().map_err(|fault| fault.file(path))
}

/// Returns the labelled records of `data`, and the number of the others.
fn labelled(data: Dataset) -> Result<(Dataset, u64)> {
    let (n, file) = (data.records.len(), data.name.clone());
    let labelled: Vec<Record> =
        data.records.iter().filter(|record| record.intent.is_some()).cloned().collect();
    if labelled.is_empty() && n > 0 {
        let message =
            format!("none of {} has an intent", tables::counted(n as u64, "record", "records"));
        return Err(Fault::data("BOT-3003", message)
            .file(file)
            .hint("name the column with the intents with `--intent-column`"));
    }
    let n_unlabelled = (n - labelled.len()) as u64;
    // The digest stands for the records that are judged.
    let data = if n_unlabelled == 0 { data } else { datasets::part(&data, labelled) };
    Ok((data, n_unlabelled))
}

/// Refuses a model where data is expected: a likely mistake, because the model may be left out.
fn refuse_model_as_data(context: &Context, data: &Path) -> Result<()> {
    let name = data.display().to_string();
    if !model_arg::names_model(&name) || (data.exists() && !name.ends_with(".botops")) {
        return Ok(());
    }
    if data_source::is_stored(context, data)? {
        return Ok(());
    }
    let command = shell_line(["botops", "evaluate", &name, "test.csv"]);
    Err(Fault::usage("BOT-1003", format!("`{name}` is a model, and no data was named"))
        .hint(format!("name the data after it: `{command}`")))
}
