//! `botops pipeline diff`.

use crate::cli::{
    Exit, Outcome, data, evaluate, gate,
    run::screen::Screen,
    session::{context::Context, interruption::interrupted, services::with_services},
    terminal::tables,
};
use botops_curation::{Review, Side};
use botops_datasets::{self as datasets, Dataset, Record};
use botops_evaluation::{
    self as evaluation, BehaviourSpec, Comparison, EvaluationReport, GateReport, GateSpec,
};
use botops_findings::{Fault, FaultKind, Finding, Place, Result, Severity};
use botops_pipelines::{SidePlan, TrainedSide};
use botops_report::{Change, change_markdown};
use botops_spec::Checked;
use botops_text::shell_line;
use serde::Serialize;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// Compare the data and the models of two states of a pipeline
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Pipeline before: the file in a checkout of the earlier state
    before: PathBuf,
    /// Pipeline after
    #[arg(default_value = "pipelines/weekly.yaml")]
    after: PathBuf,
    /// Show at most N records of each kind of change of each intent, and N changed predictions
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: usize,
}

#[derive(Serialize)]
struct Answer<'a> {
    before: String,
    after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Review>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<&'a EvaluationReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'a Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<&'a GateReport>,
    /// Records of the test side that the model before had learned, and that are left out.
    left_out: u64,
    notes: &'a [String],
}

/// One side: its plan, its data and the model that it trains, or the faults.
struct State {
    name: String,
    rules: Option<Checked<GateSpec>>,
    records: Result<Dataset>,
    trained: Result<TrainedSide>,
    behaviour: Result<Option<Tests>>,
}

/// Behavioural tests, and the path of their file.
type Tests = (Checked<BehaviourSpec>, String);

/// The models of both sides, judged on the same records.
struct Models {
    evaluation: EvaluationReport,
    comparison: Option<Comparison>,
    gate: Option<GateReport>,
    n_left_out: u64,
}

pub(in crate::cli) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    // Each side has the settings of its own workspace.
    let other = Context::new(context.global.clone(), context.printer);
    let before = state(&other, &args.before)?;
    let mut after = state(context, &args.after)?;
    let tests = std::mem::replace(&mut after.behaviour, Ok(None))?;
    let mut notes = Vec::new();
    let review = match (&before.records, &after.records) {
        (Ok(before), Ok(after)) => {
            let side = |data: &Dataset| Side { data: vec![data.clone()], ..Side::default() };
            Some(botops_curation::review(&side(before), &side(after), args.samples))
        }
        (before, after) => {
            let faults = [("before", before.as_ref().err()), ("now", after.as_ref().err())];
            notes.extend(faults.into_iter().filter_map(|(side, fault)| {
                Some(note(&format!("the data {side} cannot be read"), fault?))
            }));
            None
        }
    };
    if let Err(fault) = &before.trained {
        notes.push(note("the model before could not be trained", fault));
    }
    // The fault of the later side decides the exit code; what can be compared is shown all the same.
    let models = match &after.trained {
        Err(fault) => {
            notes.push(note("the model could not be trained", fault));
            Err(fault)
        }
        Ok(trained) => Ok(models(&before, trained, after.rules.as_ref(), tests.as_ref())),
    };
    let (models, failed) = match models {
        Ok(Ok(models)) => (Some(models), None),
        Ok(Err(fault)) => {
            notes.push(note("the model could not be judged", &fault));
            (None, Some((Exit::from(&fault), fault.as_finding())))
        }
        Err(fault) => (None, Some((Exit::from(fault), fault.as_finding()))),
    };
    let comparison = models.as_ref().and_then(|models| models.comparison.as_ref());
    let gate = models.as_ref().and_then(|models| models.gate.as_ref());
    let answer = Answer {
        before: before.name.clone(),
        after: after.name.clone(),
        data: review.as_ref(),
        evaluation: models.as_ref().map(|models| &models.evaluation),
        comparison,
        gate,
        left_out: models.as_ref().map_or(0, |models| models.n_left_out),
        notes: &notes,
    };
    let text = match context.printer.is_markdown() {
        true => change_markdown(&Change {
            pipeline: &after.name,
            data: answer.data,
            evaluation: answer.evaluation,
            comparison,
            gate,
            notes: notes.clone(),
        }),
        false => text(&answer, args.samples),
    };
    let mut findings: Vec<Finding> = left_out(&answer).into_iter().collect();
    let mut exit = Exit::Done;
    if let Some(gate) = gate.filter(|gate| !gate.passed) {
        exit = Exit::Gate;
        findings.extend(gate::findings(gate));
    }
    if let Some((of_fault, finding)) = failed {
        exit = of_fault;
        findings.insert(0, finding);
    }
    let next = shell_line(["botops", "run", &args.after.display().to_string()]);
    Ok(Outcome::done(&answer, text).exit(exit).findings(findings).next(next))
}

/// Reads the pipeline at `path` with the settings of its workspace, and trains its model.
///
/// # Errors
/// Those of the pipeline file, of the settings and of an interruption; what fails later is part of the state.
fn state(context: &Context, path: &Path) -> Result<State> {
    let workspace = context.workspace_of(path)?;
    let plan = SidePlan::read(path, workspace.model.value.as_deref())?;
    let records = plan.records(&workspace.root);
    let behaviour = plan.behaviour(&workspace.root);
    let screen = Screen::new(context.printer);
    let trained = with_services(context, &screen, |services| {
        context.wait(async {
            tokio::select! {
                trained = plan.train(services) => trained,
                fault = interrupted() => Err(fault),
            }
        })?
    });
    screen.clear();
    let trained = match trained {
        // Only a fault of the data or of the settings says something about this side.
        Err(fault)
            if !matches!(
                fault.kind(),
                FaultKind::Gate | FaultKind::Insufficient | FaultKind::Usage
            ) =>
        {
            return Err(fault);
        }
        trained => trained,
    };
    let (name, rules) = (path.display().to_string(), plan.rules().cloned());
    Ok(State { name, rules, records, trained, behaviour })
}

/// Judges both models on the test side of `after`, without the records that the model before had learned.
fn models(
    before: &State,
    after: &TrainedSide,
    rules: Option<&Checked<GateSpec>>,
    tests: Option<&Tests>,
) -> Result<Models> {
    let (test, n_left_out) = match &before.trained {
        Err(_) => (after.test.clone(), 0),
        Ok(before) => unseen(&after.test, &before.train),
    };
    let mut evaluation = evaluation::evaluate(&after.model, after.digest, &test)?;
    evaluation.behaviour =
        tests.map(|(tests, path)| evaluation::test_behaviour(&after.model, tests, path));
    let comparison = match &before.trained {
        Err(_) => None,
        Ok(before) => {
            let (champion, challenger) =
                ((&before.model, before.digest), (&after.model, after.digest));
            Some(evaluation::compare(champion, challenger, &test)?)
        }
    };
    let gate = match rules {
        None => None,
        Some(rules) => Some(evaluation::gate(rules, &evaluation, comparison.as_ref())?),
    };
    Ok(Models { evaluation, comparison, gate, n_left_out })
}

/// Returns the records of `test` whose text is not in `learned`, and the number of the others.
fn unseen(test: &Dataset, learned: &Dataset) -> (Dataset, u64) {
    let key = |record: &Record| botops_text::normalise(&record.text);
    let learned: HashSet<String> = learned.records.iter().map(key).collect();
    let kept: Vec<Record> =
        test.records.iter().filter(|record| !learned.contains(&key(record))).cloned().collect();
    let n_left_out = (test.records.len() - kept.len()) as u64;
    match n_left_out {
        0 => (test.clone(), 0),
        n => (datasets::part(test, kept), n),
    }
}

/// Warns about records that were left out.
fn left_out(answer: &Answer<'_>) -> Option<Finding> {
    if answer.left_out == 0 {
        return None;
    }
    let place = Place { file: Some(answer.after.clone()), ..Place::default() };
    let records = tables::counted(answer.left_out, "test record is", "test records are");
    Some(
        Finding::new(
            "BOT-1177",
            Severity::Warning,
            format!("{records} left out: the model before had learned their texts"),
            "add `lock: split.lock.json` to the stage `split`: then no record changes sides",
        )
        .at(place),
    )
}

fn note(what: &str, fault: &Fault) -> String {
    format!("{what}: {} {}", fault.code(), fault.message())
}

/// Renders the difference of the data, the metrics with those of the model before, the changed predictions and the gates.
fn text(answer: &Answer<'_>, samples: usize) -> String {
    let mut out = format!(
        "{} -> {}\n",
        botops_text::display(&answer.before, 200),
        botops_text::display(&answer.after, 200)
    );
    for note in answer.notes {
        out.push_str(&format!("note: {}\n", botops_text::display(note, 600)));
    }
    if let Some(review) = answer.data {
        out.push('\n');
        out.push_str(&data::diff::changes(review));
    }
    if let Some(evaluation) = answer.evaluation {
        out.push('\n');
        out.push_str(&tables::metrics(&evaluation.metrics));
    }
    if let Some(comparison) = answer.comparison {
        out.push('\n');
        out.push_str(&evaluate::text::against(&answer.before, comparison, samples));
    }
    if let Some(gate) = answer.gate {
        out.push('\n');
        out.push_str(&gate::text(gate));
    }
    out
}
