//! `botops drift`.

mod answer;
mod arguments;
pub(super) mod profiles;
mod side;
pub(super) mod text;

pub(crate) use arguments::Args;

use super::{Exit, Outcome};
use crate::cli::{
    arguments::model_arg::{self, Found},
    session::context::Context,
    terminal::tables,
};
use answer::Answer;
use botops_datasets::{Presence, ReadOptions};
use botops_drift::{self as drift, DriftSpec, DriftVerdict};
use botops_findings::{Finding, Result};
use botops_models::IntentModel;
use botops_pipelines::FoldModels;
use botops_registry::CHAMPION;
use botops_report as report;
use botops_spec::Spec as _;
use side::{Learned, Scorer, Side};
use std::path::Path;

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let spec = DriftSpec {
        alpha: args.alpha,
        min_psi: args.min_psi,
        min_ks: args.min_ks,
        min_auc: DriftSpec::default().min_auc,
        min_rows: args.min_rows,
        columns: (!args.columns.is_empty())
            .then(|| args.columns.iter().map(|name| name.trim().to_owned()).collect()),
    };
    let spec = spec.check()?;
    let Some(now) = args.current.as_deref().filter(|_| !profiles::are_named(args)) else {
        return profiles::run(args, context, &spec);
    };
    let model = args.model.as_deref().map(Path::new);
    let inputs = [Some(args.reference.as_path()), Some(now), model];
    args.page.check(&inputs)?;
    // A model needs texts. Without one, tables of other columns can be compared, too.
    let text = if model.is_some() { Presence::Required } else { Presence::Optional };
    let options = ReadOptions { text, ..args.data.options(Presence::Optional) };
    let reference = Side::read(context, &args.reference, &options)?;
    let current = Side::read(context, now, &options)?;
    let found = match &args.model {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let model = found.as_ref().map(|found| &found.model);
    let sides = [&reference, &current];
    let learned = sides.map(|side| model.and_then(|model| side.learned(model)));
    let (scorer, findings) = match model {
        Some(model) => scorer(model, sides, learned)?,
        None => (Scorer::Nobody, Vec::new()),
    };
    let is_retrained = matches!(scorer, Scorer::Folds(_));
    let [trained_on_reference, trained_on_current] =
        learned.map(|learned| is_retrained && learned.is_some_and(Learned::is_mostly));
    let (reference_rows, current_rows) = (reference.rows(&scorer), current.rows(&scorer));
    let report = drift::compare(
        &reference.of_rows(&reference_rows),
        &current.of_rows(&current_rows),
        &spec,
    )?;
    let html = args.page.write(|| report::drift_html(&report))?;
    let answer = Answer {
        n_reference: reference.n_rows,
        n_current: current.n_rows,
        model: found.as_ref().map(|found| found.name.as_str()),
        trained_on_reference,
        trained_on_current,
        html,
        report: &report,
    };
    let text = match context.printer.is_markdown() {
        true => report::drift_markdown(&report),
        false if findings.is_empty() => answer.text(),
        false => format!("{}\n{}", answer.text(), tables::findings(&findings, 3)),
    };
    let outcome = Outcome::done(&answer, text).findings(findings).exit(match report.verdict {
        DriftVerdict::NoDrift => Exit::Done,
        DriftVerdict::Drift => Exit::Gate,
        DriftVerdict::Insufficient => Exit::Insufficient,
    });
    let next = match report.verdict {
        DriftVerdict::Insufficient => None,
        _ => next((args, now), context, found.as_ref())?,
    };
    Ok(next.into_iter().fold(outcome, Outcome::next))
}

/// Suggests to add the workspace's champion or a report page, whichever was not requested yet.
fn next(
    (args, now): (&Args, &Path),
    context: &Context,
    found: Option<&Found>,
) -> Result<Option<String>> {
    let (before, now) = (args.reference.display().to_string(), now.display().to_string());
    let model = context.workspace()?.model.value.as_ref();
    let champion = model.map(|model| format!("{model}@{CHAMPION}"));
    let mut words: Vec<String> = ["botops", "drift"].map(str::to_owned).into();
    words.extend([before, now]);
    words.extend(settings(args));
    let added: &[&str] = match (found, &champion) {
        (Some(found), _) if args.page.html.is_none() => {
            &["--model", &found.name, "--html", "drift.html"]
        }
        (None, Some(champion)) => &["--model", champion],
        (None, None) if args.page.html.is_none() => &["--html", "drift.html"],
        _ => return Ok(None),
    };
    let words = words.iter().map(String::as_str).chain(added.iter().copied());
    Ok(Some(args.data.line(words)))
}

/// Returns the flags that choose and judge the checks, as they were given.
fn settings(args: &Args) -> Vec<String> {
    let default = DriftSpec::default();
    let numbers = [
        ("--alpha", args.alpha, default.alpha),
        ("--min-psi", args.min_psi, default.min_psi),
        ("--min-ks", args.min_ks, default.min_ks),
    ];
    let mut words = Vec::new();
    if !args.columns.is_empty() {
        words.push(format!("--columns={}", args.columns.join(",")));
    }
    for (flag, value, _) in numbers.into_iter().filter(|(_, value, default)| value != default) {
        words.extend([flag.to_owned(), value.to_string()]);
    }
    if args.min_rows != default.min_rows {
        words.extend(["--min-rows".to_owned(), args.min_rows.to_string()]);
    }
    words
}

/// Chooses the scorer: if a side is training data, models that are trained on it without the text that they score.
///
/// Returns a warning for each side with training data that the model itself has to score.
///
/// # Errors
/// Those of [`FoldModels::train`] on the training data itself.
fn scorer<'a>(
    model: &'a IntentModel,
    sides: [&'a Side; 2],
    learned: [Option<Learned>; 2],
) -> Result<(Scorer<'a>, Vec<Finding>)> {
    let of_kind = |is_file: bool| {
        let mut known = sides.into_iter().zip(learned);
        known.find_map(|(side, learned)| {
            let learned = learned.filter(|learned| learned.is_mostly())?;
            side.data().filter(|_| matches!(learned, Learned::File) == is_file)
        })
    };
    if let Some(data) = of_kind(true) {
        return Ok((Scorer::Folds(FoldModels::train(data, model)?), Vec::new()));
    }
    // Texts of the training data may come without intents, or with too few to train on.
    if let Some(Ok(models)) = of_kind(false).map(|data| FoldModels::train(data, model)) {
        return Ok((Scorer::Folds(models), Vec::new()));
    }
    let warned = sides.into_iter().zip(learned).filter_map(|(side, learned)| match learned {
        Some(Learned::Texts(seen)) => Some(side.warning(seen)),
        _ => None,
    });
    Ok((Scorer::Model(model), warned.collect()))
}
