//! `botops train --cross-validate`: every record judged by a model that learned without its fold; no model is written.

use super::{Args, seeds};
use crate::cli::{
    Outcome,
    arguments::data_args::DataArgs,
    evaluate::text as evaluation_text,
    session::{
        context::{self, Context},
        recording::{self, Input, Recording},
    },
    terminal::{progress::Training, tables},
};
use botops_datasets::Dataset;
use botops_evaluation::{
    self as evaluation, Candidate, CrossValidation, FoldComparison, LearningCurve, MetricName,
    Outlook, SeedSpread, SpecComparison,
};
use botops_expectations::Expectations;
use botops_experiments::Basis;
use botops_findings::{Fault, FaultKind, Finding, Result, Severity};
use botops_models::{CrossValidator, ModelSpec};
use botops_pipelines::{self as pipelines, Equipment};
use botops_report as report;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// What the default configuration is called.
const DEFAULT: &str = "default configuration";

/// How to measure without a test set, or several times.
#[derive(Debug, clap::Args)]
pub(crate) struct Measuring {
    /// Write no model: judge each record by a model that learned without its fold, of K; with several --config,
    /// compare them
    #[arg(long, value_name = "K", conflicts_with_all = ["out", "test", "dialogue"])]
    pub(super) cross_validate: Option<usize>,
    /// With --cross-validate: how good with 10 to 100 % of the records, and what more would bring
    #[arg(long, requires = "cross_validate", conflicts_with = "repeat")]
    learning_curve: bool,
    /// With --cross-validate: write a report page here
    #[arg(long, value_name = "FILE", requires = "cross_validate")]
    html: Option<PathBuf>,
    /// Train with N seeds, and say how far the metrics vary; the model kept is that of the first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=100))]
    pub(super) repeat: Option<u64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    n_samples: u64,
    results: &'a [CrossValidation],
    comparisons: &'a [SpecComparison],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    learning_curves: &'a [LearningCurve],
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<&'a SeedSpread>,
    runs: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
}

/// Returns what the files of the configurations say in vain.
pub(super) fn unused(args: &Args) -> Result<Vec<Finding>> {
    let found: Result<Vec<Vec<Finding>>> =
        args.config.iter().map(|path| ModelSpec::unused(path)).collect();
    Ok(found?.concat())
}

/// Returns the configurations that are asked for, by name.
pub(super) fn configurations(args: &Args, context: &Context) -> Result<Vec<(String, ModelSpec)>> {
    let mut found = Vec::new();
    for path in &args.config {
        let spec = super::overridden(args, botops_spec::read(path)?, context)?;
        found.push((path.display().to_string(), spec));
    }
    if found.is_empty() {
        let spec = super::overridden(args, ModelSpec::default(), context)?;
        found.push((DEFAULT.to_owned(), spec));
    }
    Ok(found)
}

/// Reads the one encoder that `specs` ask for, if any does.
fn equipment(specs: &[(String, ModelSpec)], context: &Context) -> Result<Equipment> {
    let mut dense = specs.iter().filter(|(_, spec)| spec.features.encoder.is_some());
    let Some((name, first)) = dense.next() else { return Ok(Equipment::default()) };
    if let Some((other, _)) =
        dense.find(|(_, spec)| spec.features.encoder != first.features.encoder)
    {
        return Err(Fault::usage(
            "BOT-3032",
            format!("`{name}` and `{other}` ask for two encoders, and one is read at a time"),
        )
        .hint("cross-validate each on its own, with the same `--seed`: the folds are the same"));
    }
    context.equipment(first)
}

/// Says that the folds of `spec` decline by the stated confidence, where it asks for something else.
fn not_judged(name: &str, spec: &ModelSpec) -> Option<Finding> {
    (!spec.fallback.is_stated()).then(|| {
        Finding::new(
            "BOT-7064",
            Severity::Warning,
            format!(
                "`{name}`: a fold has too few records to find its `fallback`, and declines below the confidence {}",
                spec.fallback.threshold
            ),
            "judge the fallback by training: `botops train` shows what it found, `botops evaluate` what it does",
        )
    })
}

/// Cross-validates over `n_folds`.
pub(super) fn run(args: &Args, n_folds: usize, context: &Context) -> Result<Outcome> {
    let Measuring { learning_curve, html, repeat, .. } = &args.measuring;
    let mut inputs = vec![Some(args.data.as_path())];
    inputs.extend(args.config.iter().map(|path| Some(path.as_path())));
    context::distinct(html.as_deref(), &inputs)?;
    let specs = configurations(args, context)?;
    if repeat.is_some() && specs.len() > 1 {
        return Err(Fault::usage(
            "BOT-3032",
            "several seeds of several configurations cannot be compared at once",
        )
        .hint("repeat one `--config`, or compare several without `--repeat`"));
    }
    for (name, spec) in &specs {
        spec.check().map_err(|fault| if name == DEFAULT { fault } else { fault.file(name) })?;
    }
    let began = context::now()?;
    let (_, data) = Input::data(context, &args.data, &args.columns)?;
    let mut validation = botops_validation::validate(&data, &Expectations::default(), None);
    let accepted = validation.accepted.take().expect("validation returns the accepted records");
    let mut left_out: Vec<Finding> =
        validation.rejected.iter().flat_map(|rejected| rejected.reasons.iter().cloned()).collect();
    let plain: Vec<Finding> =
        specs.iter().filter_map(|(name, spec)| not_judged(name, spec)).collect();
    let samples = super::samples(&accepted);
    let seed = specs[0].1.seed;
    let named = |fault: Fault| match fault.kind() {
        FaultKind::Usage => fault,
        _ => fault.file(&args.data),
    };
    let equipment = equipment(&specs, context)?;
    let deal =
        |seed| CrossValidator::new(&samples, n_folds, seed, equipment.resources()).map_err(named);
    let validator = deal(seed)?;
    let progress = Training::new(&context.printer);
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results = Vec::new();
    for (name, spec) in &specs {
        context.printer.say(&format!("{name}: {n_folds} folds"));
        let candidate = Candidate { name, spec, seed };
        let result =
            evaluation::cross_validate(&accepted, &validator, candidate, at_once, &progress);
        results.push(result.map_err(named)?);
    }
    let comparisons = evaluation::compare_with_first(&results);
    let mut curves = Vec::new();
    if *learning_curve {
        for (_, spec) in &specs {
            let curve = evaluation::learning_curve(&validator, spec, at_once, &progress);
            curves.push(curve.map_err(named)?);
        }
    }
    let spread = match repeat {
        Some(n) => {
            let (name, spec) = &specs[0];
            let seeds: Vec<u64> = seeds::of(seed, *n);
            let mut metrics = vec![results[0].report.metrics.clone()];
            for &seed in &seeds[1..] {
                context.printer.say(&format!("{name}: seed {seed}"));
                let spec = ModelSpec { seed, ..spec.clone() };
                let candidate = Candidate { name, spec: &spec, seed };
                let result = evaluation::cross_validate(
                    &accepted,
                    &deal(seed)?,
                    candidate,
                    at_once,
                    &progress,
                );
                metrics.push(result.map_err(named)?.report.metrics);
            }
            Some(evaluation::seed_spread(&seeds, &metrics.iter().collect::<Vec<_>>()))
        }
        None => None,
    };
    let html = html.as_ref().filter(|_| !args.dry_run);
    if let Some(path) = html {
        let page = report::cross_validation_html(&results, &comparisons, &curves);
        context::write_file(path, page.as_bytes())?;
    }
    let mut runs = Vec::new();
    if !args.dry_run && recording::is_wanted(context, args.record)? {
        for result in &results {
            runs.push(record(context, args, began, result)?);
        }
    }
    let mut text = text(&results, &accepted);
    text.push_str(&compared(&comparisons));
    for (result, curve) in results.iter().zip(&curves) {
        text.push_str(&curve_text(&result.name, curve));
    }
    if let Some(spread) = &spread {
        text.push_str(&seeds::text(spread, "folds and models alike"));
    }
    if !validation.rejected.is_empty() {
        text.push_str(&format!(
            "left out {} of {} records:\n{}",
            validation.records_rejected,
            validation.records_in,
            tables::findings(&left_out, 3)
        ));
    }
    let mut set_up = unused(args)?;
    set_up.extend(equipment.findings());
    text.push_str(&tables::findings(&set_up, 3));
    left_out.extend(set_up);
    if !plain.is_empty() {
        text.push_str(&tables::findings(&plain, 1));
        left_out.extend(plain);
    }
    if let Some(path) = html {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    for run in &runs {
        text.push_str(&format!("run {run}\n"));
    }
    let answer = Answer {
        n_samples: samples.len() as u64,
        results: &results,
        comparisons: &comparisons,
        learning_curves: &curves,
        seeds: spread.as_ref(),
        runs: &runs,
        html: html.map(|path| path.display().to_string()),
    };
    let data = args.data.display().to_string();
    let mut next = vec!["botops", "train", data.as_str()];
    // The better of two is a person's choice: what is suggested is the first, as it was given.
    let config = args.config.first().map(|path| path.display().to_string());
    next.extend(config.iter().flat_map(|path| ["--config", path.as_str()]));
    Ok(Outcome::done(&answer, text).findings(left_out).next(args.columns.line(next)))
}

/// Records one configuration's cross-validation.
fn record(
    context: &Context,
    args: &Args,
    began: chrono::DateTime<chrono::Utc>,
    result: &CrossValidation,
) -> Result<String> {
    let DataArgs { .. } = &args.columns;
    let (input, data) = Input::data(context, &args.data, &args.columns)?;
    let mut params = BTreeMap::new();
    let spec = serde_json::to_value(&result.spec).expect("a spec is valid JSON");
    pipelines::flatten("model", &spec, &mut params);
    let json = serde_json::to_vec_pretty(result).expect("a report is valid JSON");
    let method = format!("cross_validation {} folds, seed {}", result.n_folds, result.seed);
    recording::record(
        context,
        Recording {
            kind: "cross_validation",
            began,
            params,
            metrics: result.report.metrics.clone(),
            measured_on: Some(Basis { method, data: data.digest }),
            inputs: vec![("train", input)],
            artifacts: vec![("cross_validation.json", json.into())],
            recipe: None,
            costs: Vec::new(),
        },
    )
}

fn text(results: &[CrossValidation], data: &Dataset) -> String {
    let mut out = String::new();
    for result in results {
        out.push_str(&format!(
            "{} on {}: {} utterances in {} groups of near duplicates, each judged by a model that learned without \
             its fold of {}\n\n",
            result.name,
            data.name,
            tables::count(result.report.n),
            tables::count(result.n_groups),
            result.n_folds
        ));
        out.push_str(&match results {
            [_] => evaluation_text::report(&result.report, 10),
            _ => tables::metrics(&result.report.metrics),
        });
        out.push('\n');
        out.push_str(&folds(result));
        out.push('\n');
    }
    out
}

fn folds(result: &CrossValidation) -> String {
    let values = |of: &dyn Fn(&evaluation::FoldScore) -> f64| -> Vec<f64> {
        result.folds.iter().map(of).collect()
    };
    let spread = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (mean, (squares / (n - 1.0)).sqrt())
    };
    let mut rows: Vec<Vec<String>> = result
        .folds
        .iter()
        .map(|fold| {
            vec![
                fold.fold.to_string(),
                tables::count(fold.n),
                tables::count(fold.n_train),
                format!("{:.4}", fold.accuracy),
                format!("{:.4}", fold.macro_f1),
                format!("{:.4}", fold.log_loss),
                format!("{:.3}", fold.temperature),
            ]
        })
        .collect();
    let columns = [
        spread(&values(&|fold| fold.accuracy)),
        spread(&values(&|fold| fold.macro_f1)),
        spread(&values(&|fold| fold.log_loss)),
    ];
    for (name, pick) in [("mean", 0), ("spread", 1)] {
        let mut row = vec![name.to_owned(), String::new(), String::new()];
        row.extend(
            columns.iter().map(|&(mean, deviation)| {
                format!("{:.4}", if pick == 0 { mean } else { deviation })
            }),
        );
        row.push(String::new());
        rows.push(row);
    }
    tables::table(
        &["fold", "records", "learned from", "accuracy", "macro_f1", "log_loss", "temperature"],
        rows,
        &[1, 2, 3, 4, 5, 6],
    )
}

fn compared(comparisons: &[SpecComparison]) -> String {
    if comparisons.is_empty() {
        return String::new();
    }
    let rows = comparisons.iter().map(|comparison| {
        let FoldComparison { metric, difference, .. } = &comparison.folds;
        vec![
            comparison.name.clone(),
            comparison.against.clone(),
            metric.name().to_owned(),
            format!("{:+.4}", difference.mean),
            format!("[{:+.4}, {:+.4}]", difference.ci95[0], difference.ci95[1]),
            tables::p_value(difference.p),
            tables::p_value(comparison.p_adjusted),
        ]
    });
    format!(
        "on the same folds, corrected resampled t-test:\n{}\n",
        tables::table(
            &[
                "configuration",
                "against",
                "metric",
                "difference",
                "95 % interval",
                "p",
                "p adjusted"
            ],
            rows,
            &[3, 5, 6],
        )
    )
}

fn curve_text(name: &str, curve: &LearningCurve) -> String {
    let metric = MetricName::Accuracy.name();
    let rows = curve.points.iter().map(|point| {
        let accuracy = point.metrics[metric];
        vec![
            format!("{:.0} %", point.share * 100.0),
            tables::count(point.n_train),
            format!("{:.4}", accuracy.value),
            format!("[{:.4}, {:.4}]", accuracy.ci95[0], accuracy.ci95[1]),
            format!("{:.4}", point.metrics[MetricName::MacroF1.name()].value),
            format!("{:.4}", point.metrics[MetricName::LogLoss.name()].value),
        ]
    });
    let gain = &curve.last_gain.difference;
    let outlook = match &curve.outlook {
        Outlook::Foretold { n_train, accuracy } => format!(
            "with {} records, if the curve goes on as it did: accuracy {:.3} [{:.3}, {:.3}]",
            tables::count(*n_train),
            accuracy.mean,
            accuracy.ci95[0],
            accuracy.ci95[1]
        ),
        Outlook::Open(why) => format!("what more records would bring cannot be said: {why}"),
    };
    format!(
        "learning curve of {name}:\n{}from {:.0} % to all records: accuracy {:+.4} [{:+.4}, {:+.4}]\n{outlook}\n\n",
        tables::table(
            &["share", "learned from", "accuracy", "95 % interval", "macro_f1", "log_loss"],
            rows,
            &[0, 1, 2, 4, 5],
        ),
        curve.before * 100.0,
        gain.mean,
        gain.ci95[0],
        gain.ci95[1]
    )
}
