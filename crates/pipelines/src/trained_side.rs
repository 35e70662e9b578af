//! One side of a change: the data of a pipeline, and the model that it trains on it.
//!
//! A change to the data or to the settings of a model is judged by what both sides train. No registry is read or written, so
//! it works on a clone without access to the stores.

use crate::{
    plan::{Plan, Stage},
    run::prepare,
    services::Services,
    spec::{StageSpec, ValidateStage},
    stages::{read_behaviour, work::expectations_path},
    state::Folder,
};
use botops_datasets::{self as datasets, Dataset, ReadOptions};
use botops_digest::Digest;
use botops_evaluation::{BehaviourSpec, GateSpec};
use botops_expectations::Expectations;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_spec::{Checked, Spec as _};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest wait for another run of the pipeline.
const PATIENCE: Duration = Duration::from_secs(600);

/// The stages of a pipeline that lead to its evaluation, without those that touch the registry.
#[derive(Debug)]
pub struct SidePlan {
    plan: Plan,
    data: Option<ValidateStage>,
    train: String,
    /// The split whose train side the model learns from.
    learns_from: String,
    /// The split whose test side judges the model.
    judged_on: String,
    rules: Option<Checked<GateSpec>>,
    behaviour: Option<PathBuf>,
}

/// A trained model, the records it learned from, and the records that judge it.
#[derive(Debug)]
pub struct TrainedSide {
    /// The model.
    pub model: IntentModel,
    /// The digest of its file.
    pub digest: Digest,
    /// The records that it learned from.
    pub train: Dataset,
    /// The records that judge it.
    pub test: Dataset,
}

impl SidePlan {
    /// Reads the pipeline at `path`; `model` is the model name of the workspace.
    ///
    /// # Errors
    /// Those of [`Plan::read`]; `BOT-1176` (exit 2) the pipeline evaluates no model; the faults of its gates.
    pub fn read(path: &Path, model: Option<&str>) -> Result<Self> {
        let plan = Plan::read(path, model)?;
        let specs = || plan.stages.iter().filter_map(|stage| stage.spec.as_ref());
        let evaluate = specs().find_map(|spec| match spec {
            StageSpec::Evaluate(stage) => Some((spec.name(), stage)),
            _ => None,
        });
        let train_of = |name: &str| match plan.stage(name)?.spec.as_ref()? {
            StageSpec::Train(train) => Some(train.from.clone()),
            _ => None,
        };
        let found = evaluate.and_then(|(name, stage)| Some((name, stage, train_of(&stage.model)?)));
        let Some((name, evaluate, learns_from)) = found else {
            return Err(Fault::usage("BOT-1176", "the pipeline has no stage `evaluate`")
                .file(path)
                .hint("add one, with the stages `validate`, `split` and `train` that it needs"));
        };
        let rules = specs().find_map(|spec| match spec {
            StageSpec::Gate(gate) if gate.from == name => Some(gate.rules.clone()),
            _ => None,
        });
        let stages = upstream(&plan, &[&evaluate.model, &evaluate.on]);
        let data = stages.iter().find_map(|stage| match &stage.spec {
            Some(StageSpec::Validate(validate)) => Some(validate.clone()),
            _ => None,
        });
        Ok(Self {
            data,
            train: evaluate.model.clone(),
            learns_from,
            judged_on: evaluate.on.clone(),
            behaviour: evaluate.behaviour.clone(),
            rules: rules.map(GateSpec::check).transpose()?,
            plan: Plan { stages, ..plan },
        })
    }

    /// Returns the rules of the gate on the evaluation, if there is one.
    #[must_use]
    pub fn rules(&self) -> Option<&Checked<GateSpec>> {
        self.rules.as_ref()
    }

    /// Reads the behavioural tests of the evaluation, with their path from `root`; `None` if it has none.
    ///
    /// # Errors
    /// The faults of the file of tests.
    pub fn behaviour(&self, root: &Path) -> Result<Option<(Checked<BehaviourSpec>, String)>> {
        let Some(path) = &self.behaviour else { return Ok(None) };
        Ok(Some((read_behaviour(root, path)?, path.display().to_string())))
    }

    /// Reads the data of the workspace at `root` as it is, before validation.
    ///
    /// # Errors
    /// The faults of reading, and those of the expectations, which name its columns.
    pub fn records(&self, root: &Path) -> Result<Dataset> {
        let Some(stage) = &self.data else {
            return Err(Fault::usage("BOT-1176", "the pipeline has no stage `validate`")
                .file(&self.plan.file)
                .hint("add one: it names the data"));
        };
        let options = match expectations_path(root, stage) {
            Some(path) => Expectations::read(&root.join(path))?.read_options(),
            None => ReadOptions::default(),
        };
        let mut data = datasets::read(&root.join(&stage.data), &options)?;
        data.name = stage.data.display().to_string();
        Ok(data)
    }

    /// Trains the model, or takes it from the last run if nothing has changed since.
    ///
    /// # Errors
    /// Those of [`prepare`], and the fault of the first stage that does not pass.
    pub async fn train(&self, services: &Services<'_>) -> Result<TrainedSide> {
        let mut summary = prepare(&self.plan, services, PATIENCE).await?;
        if let Some(fault) = summary.fault.take() {
            let findings = summary.findings;
            return Err(if findings.is_empty() { fault } else { fault.with_findings(findings) });
        }
        let folder = Folder::new(&services.root, &self.plan.spec.name);
        let (model, digest) = IntentModel::read(&folder.file(&self.train, "model.botops"))?;
        let records = |stage: &str, file: &str| {
            let mut data = datasets::read(&folder.file(stage, file), &ReadOptions::default())?;
            data.name = format!("{stage}/{file}");
            Ok::<_, Fault>(data)
        };
        Ok(TrainedSide {
            model,
            digest,
            train: records(&self.learns_from, "train.csv")?,
            test: records(&self.judged_on, "test.csv")?,
        })
    }
}

/// Returns `names` and the stages that they need, directly or through others, in the order of `plan`.
fn upstream(plan: &Plan, names: &[&str]) -> Vec<Stage> {
    let mut wanted: BTreeSet<&str> = names.iter().copied().collect();
    let mut open: Vec<&str> = names.to_vec();
    while let Some(name) = open.pop() {
        let needs = plan.stage(name).map_or(&[][..], |stage| stage.needs.as_slice());
        open.extend(needs.iter().map(String::as_str).filter(|need| wanted.insert(need)));
    }
    plan.stages.iter().filter(|stage| wanted.contains(stage.name.as_str())).cloned().collect()
}
