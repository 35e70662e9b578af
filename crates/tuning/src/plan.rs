//! The plan of a search: trials and rungs, checked, from the block `tune:`.

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
use botops_spec::{self as spec, Outline, Spec as _, nearest};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The version of the code that judges trials; a new version starts every search again.
const CODE: &str = concat!("botops ", env!("CARGO_PKG_VERSION"), " tune 1");

/// A checked search.
#[derive(Debug, Clone)]
pub struct TunePlan {
    /// The block as written.
    pub spec: TuneSpec,
    /// The train stage whose model settings are the base.
    pub stage: String,
    /// The stages that produce its data, as a pipeline.
    pub upstream: Plan,
    /// The split stage whose train side it trains on.
    pub source: String,
    /// The trials, in order; the first is the base.
    pub trials: Vec<TuneTrial>,
    /// The rungs, in order.
    pub rungs: Vec<Rung>,
    /// Whether the space has fewer configurations than requested.
    pub is_exhausted: bool,
}

/// One configuration to try.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TuneTrial {
    /// The drawn settings, by dotted key; empty for the base.
    pub params: Params,
    /// The configuration.
    pub spec: ModelSpec,
}

impl TunePlan {
    /// Reads and checks the search of the pipeline at `path`; `model` is the model name of the workspace.
    ///
    /// # Errors
    /// Those of [`Plan::read`]; `BOT-8042` without `tune:` or a train stage, or for a number out of range; `BOT-8043` for a
    /// setting without a range; `BOT-8044` and those of model settings for a space that cannot be used. All exit 2.
    pub fn read(path: &Path, model: Option<&str>) -> Result<Self> {
        let plan = Plan::read(path, model)?;
        let yaml = spec::text(path)?;
        let file = path.display().to_string();
        let places = Places { file: &file, outline: Outline::of(&yaml) };
        let Some(tune) = plan.spec.tune.clone() else {
            return Err(Fault::usage("BOT-8042", "the pipeline has no `tune:` block")
                .file(path)
                .hint("add a block: `tune: { space: { head.c: { log_uniform: [0.1, 30] } } }`"));
        };
        tune.check(&places)?;
        let (stage, train) = tuned(&plan, &tune, &places)?;
        let space = Space { base: &train.model, dimensions: &tune.space, seed: tune.seed };
        train.model.check_ranges().map_err(|fault| {
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

    /// Returns the identity of the search: a digest of everything that the result of a trial in a rung depends on.
    ///
    /// The number of trials and the metric are not included, so a search with more trials or another metric continues from
    /// the existing results.
    #[must_use]
    pub fn identity(&self, records: &[(String, String)]) -> Digest {
        let TuneSpec { folds, seed, halving, space, .. } = &self.spec;
        let base = &self.trials[0].spec;
        Digest::of_json(&(CODE, records, base, space, folds, seed, halving))
    }

    /// Returns the kind of each setting of the space.
    pub(crate) fn kinds(&self) -> BTreeMap<String, SettingKind> {
        let kind = |(key, dimension): (&String, &super::Dimension)| (key.clone(), dimension.kind());
        self.spec.space.iter().map(kind).collect()
    }

    /// Returns the folds of `rung` that no earlier rung judged.
    pub(crate) fn new_folds(&self, rung: usize) -> std::ops::Range<u32> {
        match self.spec.halving.of {
            super::RungKind::Records => 0..self.rungs[rung].folds,
            super::RungKind::Folds => {
                let before = rung.checked_sub(1).map_or(0, |before| self.rungs[before].folds);
                before..self.rungs[rung].folds
            }
        }
    }

    /// Returns the number of fits of the whole search.
    #[must_use]
    pub fn fits(&self) -> u64 {
        (0..self.rungs.len())
            .map(|rung| u64::from(self.rungs[rung].trials) * self.new_folds(rung).len() as u64)
            .sum()
    }
}

/// Returns the train stage to tune.
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
                    None => {
                        fault.hint("add a `train` stage: its `model:` is the base of the search")
                    }
                })
            }
        },
        None => match trains.as_slice() {
            [(name, train)] => Ok(((*name).to_owned(), (*train).clone())),
            [] => Err(wrong("the pipeline has no train stage to tune".to_owned())
                .hint("add a `train` stage: its `model:` is the base of the search")),
            _ => Err(wrong(format!("the pipeline has {} train stages", trains.len()))
                .hint(format!("name one: `stage: {}`", trains[0].0))),
        },
    }
}

/// Returns the stages that `stage` needs, directly or through others.
fn upstream(plan: &Plan, stage: &str) -> Plan {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = vec![stage];
    while let Some(name) = open.pop() {
        let needs = plan.stage(name).map_or(&[][..], |stage| stage.needs.as_slice());
        open.extend(needs.iter().map(String::as_str).filter(|need| wanted.insert(need)));
    }
    // A search changes nothing outside its folder, so it does not compact the prediction log.
    let is_wanted = |stage: &&Stage| {
        wanted.contains(stage.name.as_str()) && !matches!(stage.spec, Some(StageSpec::Compact(_)))
    };
    let stages: Vec<Stage> = plan.stages.iter().filter(is_wanted).cloned().collect();
    Plan { stages, ..plan.clone() }
}
