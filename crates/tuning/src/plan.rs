//! From the block `tune:` to the trials and rungs of a search.

use super::space::{Params, Space};
use botops_digest::Digest;
use botops_evaluation::{Rung, SettingKind};
use botops_findings::{Fault, Place, Result};
use botops_models::ModelSpec;
use botops_pipelines::tune_block::{Places, TuneSpec};
use botops_pipelines::{
    plan::{Plan, Stage},
    spec::{StageSpec, TrainStage},
};
use botops_spec::{self as spec, Outline, nearest};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The version of the code that judges trials; another one starts every search anew.
const CODE: &str = concat!("botops ", env!("CARGO_PKG_VERSION"), " tune 1");

/// A checked search: what is tried, on what.
#[derive(Debug, Clone)]
pub struct TunePlan {
    /// The block as written.
    pub spec: TuneSpec,
    /// The train stage whose model settings are the base.
    pub stage: String,
    /// The stages that give it its data, as a pipeline.
    pub upstream: Plan,
    /// The split stage that it learns from.
    pub source: String,
    /// The trials, in order; the first is the base.
    pub trials: Vec<TuneTrial>,
    /// The rungs, in order.
    pub rungs: Vec<Rung>,
    /// Whether the space holds fewer configurations than were asked for.
    pub is_exhausted: bool,
}

/// One configuration to try.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TuneTrial {
    /// What was drawn for it, by dotted key; nothing for the base.
    pub params: Params,
    /// The configuration.
    pub spec: ModelSpec,
}

impl TunePlan {
    /// Reads and checks the search of the pipeline at `path`; `model` is the workspace's.
    ///
    /// # Errors
    /// Those of [`Plan::read`]; `BOT-8042` no `tune:`, no train stage to tune, or a number out of range; `BOT-8043` a
    /// setting without a range; `BOT-8044` and those of a model's settings for a space that cannot be used. All exit 2.
    pub fn read(path: &Path, model: Option<&str>) -> Result<Self> {
        let plan = Plan::read(path, model)?;
        let yaml = spec::text(path)?;
        let file = path.display().to_string();
        let places = Places { file: &file, outline: Outline::of(&yaml) };
        let Some(tune) = plan.spec.tune.clone() else {
            return Err(Fault::usage("BOT-8042", "the pipeline does not say what to tune")
                .file(path)
                .hint("add a block: `tune: { space: { head.c: { log_uniform: [0.1, 30] } } }`"));
        };
        tune.check(&places)?;
        let (stage, train) = tuned(&plan, &tune, &places)?;
        let space = Space { base: &train.model, dimensions: &tune.space, seed: tune.seed };
        train.model.check().map_err(|fault| {
            let key = Some(format!("stages.{stage}.model"));
            fault.at(Place { file: Some(file.clone()), key, ..Place::default() })
        })?;
        space.check(&places)?;
        let drawn = space.trials(tune.trials, &places)?;
        let trials: Vec<TuneTrial> =
            drawn.trials.into_iter().map(|(params, spec)| TuneTrial { params, spec }).collect();
        Ok(Self {
            rungs: tune.rungs(trials.len() as u32),
            upstream: upstream(&plan, &stage),
            source: train.from,
            stage,
            trials,
            is_exhausted: drawn.is_exhausted,
            spec: tune,
        })
    }

    /// Returns what the search is known by: everything that the result of a trial in a rung depends on.
    ///
    /// Neither the number of trials nor the metric is in it: more trials, or another metric, go on from what is there.
    #[must_use]
    pub fn identity(&self, records: &[(String, String)]) -> Digest {
        let TuneSpec { folds, seed, halving, space, .. } = &self.spec;
        let base = &self.trials[0].spec;
        Digest::of_json(&(CODE, records, base, space, folds, seed, halving))
    }

    /// Returns how each setting of the space is to be looked at.
    pub(crate) fn kinds(&self) -> BTreeMap<String, SettingKind> {
        let kind = |(key, dimension): (&String, &super::Dimension)| (key.clone(), dimension.kind());
        self.spec.space.iter().map(kind).collect()
    }

    /// Returns the folds that a trial is newly judged on in `rung`.
    pub(crate) fn new_folds(&self, rung: usize) -> std::ops::Range<u32> {
        match self.spec.halving.of {
            super::RungKind::Records => 0..self.rungs[rung].folds,
            super::RungKind::Folds => {
                let before = rung.checked_sub(1).map_or(0, |before| self.rungs[before].folds);
                before..self.rungs[rung].folds
            }
        }
    }

    /// Returns how many fits the search takes in all.
    #[must_use]
    pub fn fits(&self) -> u64 {
        (0..self.rungs.len())
            .map(|rung| u64::from(self.rungs[rung].trials) * self.new_folds(rung).len() as u64)
            .sum()
    }
}

/// Finds the train stage that is to be tuned.
fn tuned(plan: &Plan, tune: &TuneSpec, places: &Places<'_>) -> Result<(String, TrainStage)> {
    let trains: Vec<(&str, &TrainStage)> = plan
        .stages
        .iter()
        .filter_map(|stage| match &stage.spec {
            Some(StageSpec::Train(train)) => Some((stage.name.as_str(), &**train)),
            _ => None,
        })
        .collect();
    let names = || trains.iter().map(|(name, _)| *name);
    let wrong = |what: String| Fault::usage("BOT-8042", what).at(places.of("stage"));
    match &tune.stage {
        Some(wanted) => match trains.iter().find(|(name, _)| name == wanted) {
            Some((name, train)) => Ok(((*name).to_owned(), (*train).clone())),
            None => {
                let fault = wrong(format!("`{wanted}` is not a train stage"));
                Err(match nearest(wanted, names()).or_else(|| names().next()) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("add a `train` stage: its `model:` is where tuning begins"),
                })
            }
        },
        None => match trains.as_slice() {
            [(name, train)] => Ok(((*name).to_owned(), (*train).clone())),
            [] => Err(wrong("the pipeline has no train stage to tune".to_owned())
                .hint("add a `train` stage: its `model:` is where tuning begins")),
            _ => Err(wrong(format!("the pipeline has {} train stages", trains.len()))
                .hint(format!("say which: `stage: {}`", trains[0].0))),
        },
    }
}

/// Returns the stages that `stage` waits for, and those that these wait for.
fn upstream(plan: &Plan, stage: &str) -> Plan {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = vec![stage];
    while let Some(name) = open.pop() {
        let needs = plan.stage(name).map_or(&[][..], |stage| stage.needs.as_slice());
        open.extend(needs.iter().map(String::as_str).filter(|need| wanted.insert(need)));
    }
    let stages: Vec<Stage> =
        plan.stages.iter().filter(|stage| wanted.contains(stage.name.as_str())).cloned().collect();
    Plan { stages, ..plan.clone() }
}
