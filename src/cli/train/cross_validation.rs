//! `botops train --cross-validate`: each record is judged by a model trained without its fold; no model is written.
//!
//! The data is read once for any number of configurations.

mod measured;
mod text;

use super::{arguments::Args, configuration::Configuration, seeds};
use crate::cli::{
    Outcome,
    session::{
        context::Context,
        outputs, provenance,
        recording::{self, Input, Recording},
        training_data::{TrainingData, named},
    },
    terminal::{progress::Training, tables},
};
use botops_evaluation::{
    self as evaluation, Candidate, CrossValidation, LearningCurve, SeedSpread, SpecComparison,
};
use botops_experiments::{Basis, Recorded};
use botops_files::output_name;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_models::{CrossValidator, ModelSpec, Sample};
use botops_pipelines::{self as pipelines, Equipment};
use botops_report as report;
use botops_spec::Spec as _;
use chrono::{DateTime, Utc};
use measured::Measured;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Answer<'a> {
    n_samples: u64,
    results: &'a [CrossValidation],
    comparisons: &'a [SpecComparison],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    learning_curves: &'a [LearningCurve],
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<&'a SeedSpread>,
    runs: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
}

/// Cross-validates over `n_folds`.
pub(super) fn run(args: &Args, n_folds: usize, context: &Context) -> Result<Outcome> {
    let configurations = configurations(args, context)?;
    let began = provenance::now()?;
    let mut training = TrainingData::read(context, &args.data, &args.columns)?;
    let unmatched_oos = training.usable.unmatched_oos(&configurations[0].spec);
    training.usable.relabel(&configurations[0].spec);
    let samples = training.usable.samples();
    let equipment = equipment(&configurations, context)?;
    let work = Work { args, context, n_folds, training: &training, samples: &samples, equipment };
    let measured = work.measure(&configurations)?;
    let html = args.page().filter(|_| !args.dry_run);
    if let Some(output) = html {
        let Measured { results, comparisons, curves, .. } = &measured;
        let page = report::cross_validation_html(results, comparisons, curves);
        output.write(page.as_bytes())?;
    }
    let mut runs = Vec::new();
    if !args.dry_run && recording::is_recorded(context, args.record)? {
        for result in &measured.results {
            runs.push(record(context, &training.input, began, result)?);
        }
    }
    let set_up: Vec<Finding> = configurations
        .iter()
        .flat_map(|configuration| configuration.unused.iter().cloned())
        .chain(work.equipment.findings())
        .chain(unmatched_oos)
        .chain(training.usable.undeclared_oos(&configurations[0].spec))
        .collect();
    let not_judged: Vec<Finding> = configurations.iter().filter_map(fallback_not_judged).collect();
    let mut text = text::measured(&measured, &training.usable.accepted);
    text.push_str(&training.usable.left_out_text());
    text.push_str(&tables::findings(&set_up, 3));
    text.push_str(&tables::findings(&not_judged, 1));
    text.push_str(
        &html.map_or(String::new(), |output| format!("wrote {}\n", output_name(output.path()))),
    );
    for run in &runs {
        text.push_str(&recording::text(run));
    }
    let answer = Answer {
        n_samples: samples.len() as u64,
        results: &measured.results,
        comparisons: &measured.comparisons,
        learning_curves: &measured.curves,
        seeds: measured.spread.as_ref(),
        runs: runs.iter().map(|run| run.id.as_str()).collect(),
        html: html.map(|output| output_name(output.path())),
    };
    let findings = [&training.usable.left_out, &set_up, &not_judged].map(Vec::as_slice).concat();
    Ok(Outcome::done(&answer, text).findings(findings).next(next(args)))
}

/// Reads and checks the configurations.
fn configurations(args: &Args, context: &Context) -> Result<Vec<Configuration>> {
    let mut inputs = vec![Some(args.data.as_path())];
    inputs.extend(args.config.iter().map(|path| Some(path.as_path())));
    outputs::distinct(args.measuring.html.as_deref(), &inputs)?;
    args.page().map_or(Ok(()), |page| page.check())?;
    let configurations = Configuration::all(args, context)?;
    if args.measuring.repeat.is_some() && configurations.len() > 1 {
        let message = "several seeds of several configurations cannot be compared at once";
        return Err(Fault::usage("BOT-3032", message)
            .hint("repeat one `--config`, or compare several without `--repeat`"));
    }
    let labels = &configurations[0].spec.oos_labels;
    if let Some(other) = configurations.iter().find(|other| other.spec.oos_labels != *labels) {
        let (first, other) = (&configurations[0].name, &other.name);
        let message = format!(
            "`{first}` and `{other}` have different `oos_labels`, so they are judged on other records"
        );
        return Err(Fault::usage("BOT-3032", message)
            .hint("write the same `oos_labels` in all configurations, or judge one at a time"));
    }
    Ok(configurations)
}

/// Reads the encoder of the configurations, if any has one; all must have the same.
fn equipment(configurations: &[Configuration], context: &Context) -> Result<Equipment> {
    let mut dense = configurations.iter().filter(|one| one.spec.features.encoder.is_some());
    let Some(first) = dense.next() else { return Ok(Equipment::default()) };
    if let Some(other) = dense.find(|one| one.spec.features.encoder != first.spec.features.encoder)
    {
        let message = format!(
            "`{}` and `{}` have different encoders, and only one can be read at a time",
            first.name, other.name
        );
        return Err(Fault::usage("BOT-3032", message).hint(
            "cross-validate each by itself, with the same `--seed`: the folds are the same",
        ));
    }
    context.equipment(&first.spec)
}

/// Returns a warning if the configuration asks for a fallback that cannot be measured in a fold.
fn fallback_not_judged(Configuration { name, spec, .. }: &Configuration) -> Option<Finding> {
    (!spec.fallback.is_stated()).then(|| {
        Finding::new(
            "BOT-7064",
            Severity::Warning,
            format!(
                "`{name}`: a fold has too few records to find its `fallback`, so it declines below the confidence {}",
                spec.fallback.threshold
            ),
            "judge the fallback by training: `botops train` shows the chosen one, `botops evaluate` its effect",
        )
    })
}

/// The data and the resources that all measurements share.
struct Work<'a> {
    args: &'a Args,
    context: &'a Context,
    n_folds: usize,
    training: &'a TrainingData,
    samples: &'a [Sample<'a>],
    equipment: Equipment,
}

impl Work<'_> {
    /// Cross-validates the configurations, then measures learning curves and seeds if the flags ask for them.
    fn measure(&self, configurations: &[Configuration]) -> Result<Measured> {
        let seed = configurations[0].spec.seed;
        let progress = Training::new(&self.context.printer);
        let validator = self.deal(seed)?;
        let mut results = Vec::new();
        for Configuration { name, spec, .. } in configurations {
            self.context.printer.say(&format!("{name}: {} folds", self.n_folds));
            let candidate = Candidate { name, spec, seed };
            results.push(self.cross_validate(&validator, candidate, &progress)?);
        }
        let mut curves = Vec::new();
        if self.args.measuring.learning_curve {
            for Configuration { spec, .. } in configurations {
                let curve = evaluation::learning_curve(&validator, spec, at_once(), &progress);
                curves.push(curve.map_err(|fault| self.named(fault))?);
            }
        }
        let spread = match self.args.measuring.repeat {
            Some(n) => Some(self.repeat(&configurations[0], &results[0], n, &progress)?),
            None => None,
        };
        let comparisons = evaluation::compare_with_first(&results);
        Ok(Measured { results, comparisons, curves, spread })
    }

    /// Cross-validates with the other `n - 1` seeds, for folds and models; `first` is the result of the first seed.
    fn repeat(
        &self,
        configuration: &Configuration,
        first: &CrossValidation,
        n: u64,
        progress: &Training<'_>,
    ) -> Result<SeedSpread> {
        let Configuration { name, spec, .. } = configuration;
        let seeds: Vec<u64> = seeds::of(spec.seed, n);
        let mut metrics = vec![first.report.metrics.clone()];
        for &seed in &seeds[1..] {
            self.context.printer.say(&format!("{name}: seed {seed}"));
            let spec = ModelSpec { seed, ..(**spec).clone() }.check()?;
            let candidate = Candidate { name, spec: &spec, seed };
            let result = self.cross_validate(&self.deal(seed)?, candidate, progress)?;
            metrics.push(result.report.metrics);
        }
        Ok(evaluation::seed_spread(&seeds, &metrics.iter().collect::<Vec<_>>()))
    }

    /// Divides the records into folds.
    fn deal(&self, seed: u64) -> Result<CrossValidator<'_>> {
        CrossValidator::new(self.samples, self.n_folds, seed, self.equipment.resources())
            .map_err(|fault| self.named(fault))
    }

    fn cross_validate(
        &self,
        validator: &CrossValidator<'_>,
        candidate: Candidate<'_>,
        progress: &Training<'_>,
    ) -> Result<CrossValidation> {
        let data = &self.training.usable.accepted;
        evaluation::cross_validate(data, validator, candidate, at_once(), progress)
            .map_err(|fault| self.named(fault))
    }

    fn named(&self, fault: Fault) -> Fault {
        named(fault, &self.args.data)
    }
}

/// Returns the number of folds to train at the same time.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Records the cross-validation of one configuration.
fn record(
    context: &Context,
    input: &Input,
    began: DateTime<Utc>,
    result: &CrossValidation,
) -> Result<Recorded> {
    let mut params = BTreeMap::new();
    let spec = serde_json::to_value(&result.spec).expect("a spec is valid JSON");
    pipelines::flatten("model", &spec, &mut params);
    let json = serde_json::to_vec_pretty(result).expect("a report is valid JSON");
    let method = format!("cross_validation {} folds, seed {}", result.n_folds, result.seed);
    let recording = Recording {
        kind: "cross_validation",
        began,
        params,
        metrics: result.report.metrics.clone(),
        measured_on: Some(Basis { method, data: input.digest() }),
        inputs: vec![("train", input.clone())],
        artifacts: vec![("cross_validation.json", json.into())],
        recipe: None,
        costs: Vec::new(),
    };
    recording::record(context, recording)
}

/// Suggests to train the first configuration; a person chooses the better of several.
fn next(args: &Args) -> String {
    let data = args.data.display().to_string();
    let config = args.config.first().map(|path| path.display().to_string());
    let mut words = vec!["botops", "train", data.as_str()];
    words.extend(config.iter().flat_map(|path| ["--config", path.as_str()]));
    args.columns.line(words)
}
